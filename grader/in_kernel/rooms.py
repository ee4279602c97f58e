"""Rooms: namespaces that a small process furnishes, for kernels that are forked into them.

A fork copies an entry for each page of memory. The warm parent has many, so it forks a kernel
once and straight into its room; the launcher and the first process of the room's pids, which
only wait, are forked from the porter, which has forked off before anything was imported.

    the warm parent
        the porter
            a launcher      ends the room when the grader lets go of `control`
                the first   of its own pids; all processes inside die with it
        a student's process, forked into the room's pids; it enters the rest by itself
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from grader.in_kernel import confine, libc, namespaces

_PLAN_MAX = 1 << 18
_TOLD_MAX = 1 << 16
_HEIR = b"heir"


@dataclass(frozen=True)
class Room:
    """A furnished room. first : the number of the first process inside, as seen from here

    lives : closing it ends the room; gone : the end of it can be read when the room is no more
    layers : {"applied": [...], "missing": {...}}: what closes it
    """

    first: int
    pidfd: int
    lives: int
    gone: int
    layers: dict[str, Any]

    def give_up(self) -> None:
        """End a room in which nobody lives yet."""
        for descriptor in (self.lives, self.gone, self.pidfd):
            os.close(descriptor)

    @contextlib.contextmanager
    def pids(self) -> Iterator[None]:
        """Let this process's children be born inside, as long as the context lasts."""
        own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        try:
            namespaces.join_pids(self.pidfd)
            try:
                yield
            finally:
                namespaces.join_pids(own)
        finally:
            os.close(own)


class Porter:
    """The process that furnishes rooms. Make it first of all, while this one is still small.

    not_for_it : a descriptor of this process that it must not hold
    """

    def __init__(self, *, not_for_it: int) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        if os.fork() == 0:
            try:
                self._socket.close()
                os.close(not_for_it)
                _serve(theirs, parent)
            finally:
                os._exit(0)
        theirs.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def give_heir(self) -> None:
        """Speak with a copy of the porter from now on: this process is a copy of its parent."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._socket, [_HEIR], [theirs.fileno()])
        self._socket.close()
        self._socket = mine

    def room(self, plan: dict[str, Any], control: int) -> Room | None:
        """Return a room furnished by the plan; None where the machine offers no namespaces.

        control : the grader's hand, as confine.py has it; this process may close it
        Raises OSError.
        """
        inside, lives = os.pipe()
        gone, ends = os.pipe()
        told, tell = os.pipe()
        with contextlib.ExitStack() as ours:
            for descriptor in (lives, gone):
                ours.callback(os.close, descriptor)
            with os.fdopen(told, "rb") as answer:
                try:
                    text = json.dumps(plan).encode()
                    socket.send_fds(self._socket, [text], [control, inside, ends, tell])
                finally:
                    for descriptor in (inside, ends, tell):
                        os.close(descriptor)
                said = json.loads(answer.read() or b"{}")
            if not said.get("first"):
                return None
            pidfd = os.pidfd_open(said["first"])
            ours.pop_all()
            return Room(said["first"], pidfd, lives, gone, said["layers"])


def _serve(requests: socket.socket, parent: int) -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # launchers need nobody to wait for them
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _PLAN_MAX, 4)
        if not text:
            return
        if text == _HEIR:
            if os.fork() == 0:
                requests.close()
                requests = socket.socket(fileno=descriptors[0])
                continue
        elif os.fork() == 0:
            _within(_launch, requests, text, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _within(work: Callable[..., None], *arguments: Any) -> None:
    """Do the work, and end this process, whatever happens."""
    try:
        work(*arguments)
    finally:
        os._exit(0)


def _launch(
    requests: socket.socket, text: bytes, control: int, inside: int, ends: int, tell: int
) -> None:
    """Be the launcher of one room. `ends` is closed when this process is no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    plan = json.loads(text)
    layers = confine.Layers(frozenset(plan["layers"]))
    if not confine.make_room(plan, layers):
        return
    ready, furnished = os.pipe()
    first = os.fork()
    if first == 0:
        for descriptor in (control, ends, tell, ready):
            os.close(descriptor)
        _within(_be_first, plan, layers, furnished, inside)
    for descriptor in (furnished, inside):
        os.close(descriptor)
    said = os.read(ready, _TOLD_MAX)
    if said:
        answer = {"first": first, "layers": json.loads(said)}
        os.write(tell, json.dumps(answer).encode())
    os.close(tell)
    confine.outlive(first, control)


def _be_first(plan: dict[str, Any], layers: confine.Layers, furnished: int, inside: int) -> None:
    """Furnish the room, then keep it until the warm parent lets go of it."""
    libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans that end need nobody either
    confine.furnish_room(plan, layers)
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    told = {"applied": layers.applied, "missing": layers.missing}
    os.write(furnished, json.dumps(told).encode())
    os.close(furnished)
    os.read(inside, 1)
