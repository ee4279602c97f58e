"""Sandboxes: namespaces that a small process sets up, for kernels that are forked into them.

A fork copies an entry for each page of memory. The fork server has many, so it forks a kernel
once and straight into its sandbox; the launcher and the first process of the sandbox's pids, which
only wait, are forked from the spawner, which has forked off before anything was imported.

    the fork server
        the spawner
            a launcher      ends the sandbox when the grader lets go of `control`
                the first   of its own pids; all processes inside die with it
        a student's process, forked into the sandbox's pids; it enters the rest by itself
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
_TOLD_MAX = 1 << 16
_CLONE = b"clone"


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is set up.

    first : the number of the first process inside, as the grader sees it
    spaces : files of its namespaces, as namespaces.opened() gives them
    lives : closing it ends the sandbox
    gone : at its end when no process of the sandbox is left
    layers : {"applied": [...], "missing": {...}}: what closes it
    """

    first: int
    spaces: tuple[int, ...]
    lives: int
    gone: int
    layers: dict[str, Any]

    def give_up(self) -> None:
        """End a sandbox that has no process yet."""
        for descriptor in (self.lives, self.gone, *self.spaces):
            os.close(descriptor)

    @contextlib.contextmanager
    def pids(self) -> Iterator[None]:
        """Let this process's children be born inside, as long as the context lasts."""
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
    """The process that sets sandboxes up. Make it first of all, while this one is still small.

    not_for_it : a descriptor of this process that it must not hold
    descriptors : what it takes, in this process and its copies; kernels must not hold them
    Raises OSError where this process could not come back from a sandbox's pids.
    """

    def __init__(self, *, not_for_it: int) -> None:
        # To come back, one needs a right over the pids that one comes from. Root has it, unless it
        # is root in a container of an ordinary user.
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
        """Speak with a copy of the spawner from now on: this process is a copy of its parent."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._socket, [_CLONE], [theirs.fileno()])
        self.descriptors ^= {self._socket.fileno(), mine.fileno()}
        self._socket.close()
        self._socket = mine

    def sandbox(self, plan: dict[str, Any], control: int) -> Sandbox | None:
        """Return a sandbox set up by the plan; None where the machine offers no namespaces.

        control : the grader's hand, as confine.py has it; this process may close it
        Raises OSError.
        """
        inside, lives = os.pipe()
        gone, ends = os.pipe()
        told, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as ours:
            for descriptor in (lives, gone):
                ours.callback(os.close, descriptor)
            with told:
                try:
                    request = json.dumps(plan).encode()
                    theirs = [control, inside, ends, tell.fileno()]
                    socket.send_fds(self._socket, [request], theirs)
                finally:
                    tell.close()
                    for descriptor in (inside, ends):
                        os.close(descriptor)
                answer, spaces, _, _ = socket.recv_fds(told, _TOLD_MAX, namespaces.KINDS_MAX)
            if not answer:
                return None
            ours.pop_all()
        said = json.loads(answer)
        return Sandbox(said["first"], tuple(spaces), lives, gone, said["layers"])


def _serve(requests: socket.socket) -> None:
    """Answer until the parent hangs up, which it does by its end as well."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # launchers are reaped without a wait
    gc.disable()  # the collector would write to, and so copy, every object in each launcher
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
            _within(_launch, requests, text, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _within(work: Callable[..., None], *arguments: Any) -> None:
    """Do the work, and end this process in any case."""
    try:
        work(*arguments)
    finally:
        os._exit(0)


def _launch(
    requests: socket.socket, text: bytes, control: int, inside: int, ends: int, tell: int
) -> None:
    """Be the launcher of one sandbox. `ends` is closed when this process is no more."""
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
        _within(_be_first, plan, layers, tell, inside)
    for descriptor in (tell, inside):
        os.close(descriptor)
    confine.wait_or_kill(first, control)


def _be_first(plan: dict[str, Any], layers: confine.Layers, tell: int, inside: int) -> None:
    """Set the sandbox up, then keep it until the fork server lets go of it."""
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are reaped without a wait
    # The host's /proc, which shows its own numbers, is out of sight when the sandbox is set up.
    number = int(Path("/proc/self").readlink().name)
    spaces = namespaces.opened()
    confine.set_up_files(plan, layers)
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    told = {"applied": layers.applied, "missing": layers.missing}
    answer = json.dumps({"first": number, "layers": told}).encode()
    with socket.socket(fileno=tell) as answers:
        socket.send_fds(answers, [answer], spaces)
    for descriptor in spaces:
        os.close(descriptor)
    os.read(inside, 1)
