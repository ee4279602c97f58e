"""The spawner: a small process that sets up sandboxes, for kernels that are forked into them.

A fork copies an entry for each page of memory. The fork server has many pages, so it forks a kernel
only once, directly into its sandbox. The other processes of a sandbox, which only wait, are forked
from the spawner, which was forked before anything was imported.

    the fork server
        the spawner
            a launcher      ends the sandbox when the grader closes `control`
                the first   process of the pid namespace; all processes inside die with it
        a student's process, forked into the pid namespace; it enters the rest by itself
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.in_kernel.sandbox import confine, libc, namespaces

_PLAN_MAX = 1 << 18
_ANSWER_MAX = 1 << 16
_CLONE = b"clone"


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is set up.

    first : the pid of the first process inside, as the grader sees it
    spaces : descriptors of its namespaces, from namespaces.opened()
    lives : a pipe; to close it ends the sandbox
    gone : a pipe that reaches its end when no process of the sandbox is left
    layers : {"applied": [...], "missing": {...}}
    """

    first: int
    spaces: tuple[int, ...]
    lives: int
    gone: int
    layers: dict[str, Any]

    def give_up(self) -> None:
        """End a sandbox that has no student's process yet."""
        for descriptor in (self.lives, self.gone, *self.spaces):
            os.close(descriptor)

    @contextlib.contextmanager
    def pids(self) -> Iterator[None]:
        """Within the block, put this process's children into the sandbox's pid namespace."""
        own = os.open("/proc/self/ns/pid_for_children", os.O_RDONLY)
        try:
            namespaces.join_pids(self.spaces)
            try:
                yield
            finally:
                namespaces.join_pids((own,))
        finally:
            os.close(own)


class Spawner:
    """The fork server's side of the spawner. Create it before all imports, while a fork is cheap.

    not_for_it : a descriptor of this process that the spawner must not hold
    descriptors : those that lead to the spawner; kernels must not hold them
    Raises OSError if this process could not come back from a sandbox's pid namespace.
    """

    def __init__(self, *, not_for_it: int) -> None:
        # To come back, a process needs rights over its original pid namespace. Root has them,
        # except in a container of an ordinary user.
        back = namespaces.may_come_back()
        pids = [] if back else [namespaces.own_pids(not_for_it=not_for_it)]
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            try:
                for descriptor in (self._socket.fileno(), not_for_it, *pids):
                    os.close(descriptor)
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()
        self.descriptors = {self._socket.fileno(), *pids}

    def clone(self) -> None:
        """Connect to a copy of the spawner, since this process is a copy of the fork server."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._socket, [_CLONE], [theirs.fileno()])
        self.descriptors ^= {self._socket.fileno(), mine.fileno()}
        self._socket.close()
        self._socket = mine

    def sandbox(self, plan: dict[str, Any], control: int) -> Sandbox | None:
        """Return a sandbox set up by the plan; None if the machine offers no namespaces.

        control : the descriptor that confine.py describes; this process may close it afterwards
        Raises OSError.
        """
        inside, lives = os.pipe()
        gone, ends = os.pipe()
        answers, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as ours:
            for descriptor in (lives, gone):
                ours.callback(os.close, descriptor)
            with answers:
                try:
                    request = json.dumps(plan).encode()
                    theirs = [control, inside, ends, answering.fileno()]
                    socket.send_fds(self._socket, [request], theirs)
                finally:
                    answering.close()
                    for descriptor in (inside, ends):
                        os.close(descriptor)
                text, spaces, _, _ = socket.recv_fds(answers, _ANSWER_MAX, namespaces.KINDS_MAX)
            if not text:
                return None
            ours.pop_all()
        answer = json.loads(text)
        return Sandbox(answer["first"], tuple(spaces), lives, gone, answer["layers"])


def _serve(requests: socket.socket) -> None:
    """Answer requests until the parent closes the socket or ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # launchers are reaped without a wait
    gc.disable()  # the collector would write to every object in each launcher, and so copy it
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _PLAN_MAX, 4)
        if not text:
            return
        if text == _CLONE:
            if os.fork() == 0:
                requests.close()
                requests = socket.socket(fileno=descriptors[0])
                continue
        elif os.fork() == 0:
            _run_and_exit(_launch, requests, text, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _run_and_exit(work: Callable[..., None], *arguments: Any) -> None:
    """Call work(*arguments), then end this process in any case."""
    try:
        work(*arguments)
    finally:
        os._exit(0)


def _launch(
    requests: socket.socket, text: bytes, control: int, inside: int, ends: int, answering: int
) -> None:
    """Run the launcher of one sandbox. `ends` closes when this process ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    plan = json.loads(text)
    layers = confine.Layers(frozenset(plan["layers"]))
    if not confine.make_namespaces(plan, layers):
        return
    first = os.fork()
    if first == 0:
        for descriptor in (control, ends):
            os.close(descriptor)
        _run_and_exit(_be_first, plan, layers, answering, inside)
    for descriptor in (answering, inside):
        os.close(descriptor)
    confine.wait_or_kill(first, control)


def _be_first(plan: dict[str, Any], layers: confine.Layers, answering: int, inside: int) -> None:
    """Set up the sandbox, then keep it until the fork server closes `lives`."""
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are reaped without a wait
    # Read before the sandbox is set up: afterwards /proc shows other pids than the grader's.
    number = int(Path("/proc/self").readlink().name)
    spaces = namespaces.opened()
    confine.set_up_files(plan, layers)
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    outcome = {"applied": layers.applied, "missing": layers.missing}
    answer = json.dumps({"first": number, "layers": outcome}).encode()
    with socket.socket(fileno=answering) as answers:
        socket.send_fds(answers, [answer], spaces)
    for descriptor in spaces:
        os.close(descriptor)
    os.read(inside, 1)
