"""The spawner: a small process that sets up sandboxes, for kernels that are forked into them.

A fork copies an entry for each page of memory. The fork server has many pages, so it forks a kernel
only once, directly into its sandbox. The other processes of a sandbox, which only wait, are forked
from the spawner, which was forked before anything was imported.

    the fork server
        the spawner
            the first   process of the pid namespace; all processes inside die with it, and it ends
                        when the grader closes `control`
        a student's process, forked into the pid namespace; it enters the rest by itself

An ordinary user needs a user namespace for that, which the spawner can't enter and leave again.
Then, and before Linux 5.3, a launcher enters it: it is the parent of the first process, and the
one that ends with `control`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from grader.in_kernel.sandbox import confine, libc, namespaces, readable

_PLAN_MAX = 1 << 18
_ANSWER_MAX = 1 << 16
_CLONE = b"clone"


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is set up.

    first : the pid of the first process inside, as the grader sees it
    spaces : descriptors of its namespaces, from namespaces.opened()
    lives : a pipe; to close it ends the sandbox
    gone : a pipe or a pidfd, readable when no process of the sandbox is left
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
    def pids(self) -> Iterator[int]:
        """Within the block, put this process's children into the sandbox's pid namespace.

        Gives the descriptor of this process's own namespace, which a child must close.
        """
        own = os.open("/proc/self/ns/pid_for_children", os.O_RDONLY)
        try:
            namespaces.join_pids(self.spaces)
            try:
                yield own
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
                _serve(theirs, directly=back and os.geteuid() == 0 and hasattr(os, "pidfd_open"))
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
                text, spaces, _, _ = socket.recv_fds(answers, _ANSWER_MAX, namespaces.KINDS_MAX + 1)
            if not text:
                return None
            ours.pop_all()
        answer = json.loads(text)
        if answer["pidfd"]:
            os.close(gone)
            *spaces, gone = spaces
        return Sandbox(answer["first"], tuple(spaces), lives, gone, answer["layers"])


def _serve(requests: socket.socket, *, directly: bool) -> None:
    """Answer requests until the parent closes the socket or ends.

    directly : whether this process may put its children into new pid namespaces, without launchers
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped without a wait
    gc.disable()  # the collector would write to every object in each child, and so copy it
    readable.python_paths()  # once, not in each child
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _PLAN_MAX, 4)
        if not text:
            return
        if text == _CLONE:
            if os.fork() == 0:
                requests.close()
                requests = socket.socket(fileno=descriptors[0])
                continue
        else:
            pid, is_first = _fork_into_new_pids() if directly else (os.fork(), False)
            if pid == 0:
                work = _begin_sandbox if is_first else _launch
                _run_and_exit(work, requests, text, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _run_and_exit(work: Callable[..., None], *arguments: Any) -> None:
    """Call work(*arguments), then end this process in any case."""
    try:
        work(*arguments)
    finally:
        os._exit(0)


def _fork_into_new_pids() -> tuple[int, bool]:
    """Fork; return the child's pid (0 in the child) and whether it got a pid namespace."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        try:
            namespaces.new_pids()
        except OSError:  # too many namespaces
            return os.fork(), False
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                namespaces.join_pids((own,))
        return pid, True
    finally:
        os.close(own)


def _begin_sandbox(
    requests: socket.socket, text: bytes, control: int, inside: int, ends: int, answering: int
) -> None:
    """Be the first process of a sandbox until `control` or `lives` is closed."""
    requests.close()
    os.close(ends)
    plan = json.loads(text)
    layers = confine.Layers(frozenset(plan["layers"]))
    if not confine.make_namespaces(plan, layers, pids=False):
        return
    # The system ends all other processes of a pid namespace before its first one has ended.
    _set_up(plan, layers, answering, pidfd=os.pidfd_open(os.getpid()))
    poll = select.poll()
    for descriptor in (control, inside):
        poll.register(descriptor, select.POLLHUP)
    poll.poll()


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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are reaped without a wait
    _set_up(plan, layers, answering)
    os.read(inside, 1)


def _set_up(
    plan: dict[str, Any], layers: confine.Layers, answering: int, *, pidfd: int | None = None
) -> None:
    """Set up the sandbox around this process, the first one in it, and answer the fork server.

    pidfd : of this process, to be sent as well
    """
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    # Read before the sandbox is set up: afterwards /proc shows other pids than the grader's.
    number = int(os.readlink("/proc/self"))  # noqa: PTH115
    spaces = namespaces.opened()
    confine.set_up_files(plan, layers)
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    outcome = {"applied": layers.applied, "missing": layers.missing}
    answer = {"first": number, "layers": outcome, "pidfd": pidfd is not None}
    sent = spaces if pidfd is None else [*spaces, pidfd]
    with socket.socket(fileno=answering) as answers:
        socket.send_fds(answers, [json.dumps(answer).encode()], sent)
    for descriptor in sent:
        os.close(descriptor)
