"""The program of a warm process: `python -P -m grader.warm.process`, told on standard input.

    {"key": "...", "graded": "folder", "folder": "the assignment's", "sandbox": "auto"}

It loads the grader and collects the assignment's checks; then it answers, on a socket of this
user's alone (place.py), datagrams of at most REQUEST_BYTES:

    {"token": "...", "end": true}                  it ends
    {"token": "...", "arguments": [...], "folder": "...", "environment": {...}, "umask": 18,
     "program": "grade", "encodings": [...]}       with three descriptors, the standard streams

A fork of it then does what `grade ARGUMENTS` does, with these streams, this environment and this
folder, and ends. The client is answered {"began": true}, and at last {"code": 0}, or
{"not_held": true} where nothing was graded since something has changed. What the client sends in
between is Ctrl-C; a client that hangs up calls the run off.

It runs no student code, which always has processes of its own. It ends by itself when nobody has
asked for STAYS_S seconds, when its socket is gone, and when something has changed. With it end its
forks, and with those their kernels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.warm import fingerprint

# Before all else is imported: what changes from here on is seen.
_PROGRAM = fingerprint.of_program()

import contextlib  # noqa: E402
import gc  # noqa: E402
import hmac  # noqa: E402
import os  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
import warnings  # noqa: E402
from dataclasses import dataclass  # noqa: E402

from grader.in_kernel.sandbox import libc  # noqa: E402
from grader.warm.place import Place, peer_user  # noqa: E402
from grader.warm.place import key as key_of  # noqa: E402

if TYPE_CHECKING:
    from grader.warm.held import Held

STAYS_S = 3600.0
"""A student who comes back within the hour finds it."""
MOST = 3
"""Of one user, together: each holds a hundred MiB or so. The oldest ends."""
REQUEST_BYTES = 160_000
"""An environment and arguments; a datagram of the system's own limit would not be larger."""
SPEAKS_S = 5.0
"""Who connects says what it wants within this time."""
CONNECTIONS = 8
CALLED_OFF_S = 5.0
"""What a fork may take to end by itself once its client has gone."""
_LOOKS_S = 10.0


def main() -> None:
    _open_streams()
    told = json.loads(sys.stdin.buffer.read(1 << 16))
    os.chdir("/")
    with Place(make=True) as place:
        if key_of(Path(told["graded"]), os.environ) != told["key"]:
            return  # it was started by another version of the grader, and would not be found
        lock = place.locked(told["key"])
        if lock is None:
            return
        for other in place.keys()[MOST - 1 :]:
            place.forget(other)
        _load()
        from grader.warm.held import Held

        with Held(Path(told["folder"]), told["sandbox"]) as held:
            _Process(place, told["key"], lock, held).run()


def _open_streams() -> None:
    """Open the standard streams again, without seeking.

    A fork has its client's files, pipes or terminal under the same numbers, and a stream asks once
    what it is. Others keep these objects, pytest among them: they can't be made anew later.
    """
    reading, writing = os.pipe()
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        nowhere = os.dup(number)
        os.dup2(writing, number)
        stream = open(number, "w", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
        os.dup2(nowhere, number)
        os.close(nowhere)
    os.close(reading)
    os.close(writing)


def _load() -> None:
    """Import what grading imports in the course of a run."""
    import importlib

    for name in (
        "grader.cli.grade", "grader.pipeline", "grader.grading", "grader.report.terminal",
        "grader.report.live_table", "grader.report.progress_lines", "grader.gradebook.summary",
        "grader.batch.store", "grader.batch.keeping", "nbformat.v4", "grader.cli.commands",
    ):  # fmt: skip
        importlib.import_module(name)
    from grader.session.cell_runner import cell_runner

    cell_runner()


@dataclass
class _Client:
    """Who has connected, and the fork that works for it."""

    connection: socket.socket
    since: float
    pid: int = 0
    gone_since: float | None = None


class _Process:
    """Waits for clients, forks for each, and tells each how its fork ended."""

    def __init__(self, place: Place, key: str, lock: int, held: Held) -> None:
        self._place = place
        self._lock = lock
        self._key = key
        self._held = held
        self._clients: dict[int, _Client] = {}
        self._asked = time.monotonic()
        self._ends = False

    def run(self) -> None:
        """Answer requests until the process is no longer needed."""
        self._place.forget(self._key)  # of one that was killed
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        old = os.umask(0o077)
        try:
            listener.bind(self._place.address(self._key))
        finally:
            os.umask(old)
        self._token = self._place.write_record(self._key)
        self._number = self._place.socket_number(self._key)
        listener.listen(CONNECTIONS)
        listener.setblocking(False)
        self._listener = listener
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.set_wakeup_fd(self._waker)
        gc.collect()
        gc.freeze()  # the collector would write to, and so copy, every object in each fork
        try:
            while self._is_wanted():
                self._step()
        finally:
            self._hang_up()
            self._end_all()

    def _on_term(self, *_: object) -> None:
        self._ends = True

    def _is_wanted(self) -> bool:
        if self._place.socket_number(self._key) != self._number:
            self._ends = True
        if self._ends:
            self._hang_up()
            return any(client.pid for client in self._clients.values())
        return bool(self._clients) or time.monotonic() - self._asked < STAYS_S

    def _hang_up(self) -> None:
        """Be found no more: what runs goes on, and who comes now grades by itself."""
        if self._listener.fileno() >= 0:
            self._listener.close()
            if self._place.socket_number(self._key) == self._number:
                self._place.forget(self._key)

    def _step(self) -> None:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if len(self._clients) < CONNECTIONS and not self._ends:
            poll.register(self._listener, select.POLLIN)
        for number, client in self._clients.items():
            if client.gone_since is None:
                poll.register(number, select.POLLIN)
        waits_s = 0.2 if self._clients else _LOOKS_S
        ready = dict(poll.poll(waits_s * 1000))
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 1 << 10)
        if self._listener.fileno() in ready:
            self._accept()
        for number in ready:
            if number in self._clients:
                self._hear(self._clients[number])
        self._note_ends()
        now = time.monotonic()
        for client in [*self._clients.values()]:
            if not client.pid and now - client.since > SPEAKS_S:
                self._drop(client)
            elif client.gone_since is not None and now - client.gone_since > CALLED_OFF_S:
                os.kill(client.pid, signal.SIGKILL)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if peer_user(connection) != os.geteuid():
                connection.close()
                return
            connection.setblocking(False)
            self._clients[connection.fileno()] = _Client(connection, time.monotonic())

    def _hear(self, client: _Client) -> None:
        descriptors: list[int] = []
        try:
            text, descriptors, flags, _ = socket.recv_fds(client.connection, REQUEST_BYTES, 3)
        except BlockingIOError:
            return
        except OSError:
            text, flags = b"", 0
        try:
            if client.pid:
                if text and not descriptors:
                    os.kill(client.pid, signal.SIGINT)  # it is not reaped yet: its own number
                else:
                    self._call_off(client)
            elif not text or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                self._drop(client)
            else:
                self._answer(client, text, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _answer(self, client: _Client, text: bytes, descriptors: list[int]) -> None:
        """Do the request of a client that knows the token; drop any other."""
        try:
            request = json.loads(text)
            known = hmac.compare_digest(str(request["token"]).encode(), self._token.encode())
        except (ValueError, TypeError, KeyError, RecursionError, UnicodeError):
            known = False
        if not known:
            self._drop(client)
        elif request.get("end"):
            self._ends = True
            self._drop(client)
        elif len(descriptors) != 3 or threading.active_count() > 1 or not self._held.alive:
            self._not_held(client)
        else:
            self._asked = time.monotonic()
            self._fork(client, request, descriptors)

    def _fork(self, client: _Client, request: dict[str, Any], descriptors: list[int]) -> None:
        parent = os.getpid()
        with warnings.catch_warnings():
            # Threads of numpy, which it stops before a fork; there are no others.
            warnings.simplefilter("ignore", DeprecationWarning)
            # A Ctrl-C that comes before the fork is ready for it waits there.
            signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
            try:
                pid = os.fork()
            except OSError:
                self._drop(client)
                return
            finally:
                if os.getpid() == parent:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
        if pid == 0:
            code = _NOT_HELD  # any error before the command begins
            try:
                self._become_fork(descriptors, parent)
                code = _run(request, self._held)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(code)
        client.pid = pid
        self._tell(client, {"began": True})

    def _become_fork(self, descriptors: list[int], parent: int) -> None:
        """Let go, in a fork, of all that is its parent's, and take the client's streams."""
        libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for signum in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(signum, signal.SIG_DFL)
        self._listener.close()
        for client in self._clients.values():
            client.connection.close()
        for end in (self._woken, self._waker, self._lock):
            os.close(end)
        self._place.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)

    def _note_ends(self) -> None:
        for client in [*self._clients.values()]:
            if not client.pid:
                continue
            pid, status = os.waitpid(client.pid, os.WNOHANG)
            if pid == 0:
                continue
            client.pid = 0
            code = os.waitstatus_to_exitcode(status)
            if code == _NOT_HELD:
                self._not_held(client)
                continue
            if code == -signal.SIGINT:  # by its guard
                code = _INTERRUPTED
            if code >= 0:  # of one that was killed the client only sees the end
                self._tell(client, {"code": code})
            self._drop(client)

    def _not_held(self, client: _Client) -> None:
        self._ends = True  # the next one is started with what is there now
        self._tell(client, {"not_held": True})
        self._drop(client)

    def _call_off(self, client: _Client) -> None:
        if client.gone_since is None:
            client.gone_since = time.monotonic()
            os.kill(client.pid, signal.SIGINT)

    def _tell(self, client: _Client, what: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            client.connection.send(json.dumps(what).encode())

    def _drop(self, client: _Client) -> None:
        del self._clients[client.connection.fileno()]
        client.connection.close()

    def _end_all(self) -> None:
        for client in self._clients.values():
            if client.pid:
                os.kill(client.pid, signal.SIGKILL)
                os.waitpid(client.pid, 0)
            client.connection.close()


_INTERRUPTED = 130  # as cli/options.py has it
_NOT_HELD = 113  # of a fork: no exit code of the command
_CTRL_C = (signal.SIGINT,)


def _run(request: dict[str, Any], held: Held) -> int:
    """Return the exit code of the command, in a process that has become the client's."""
    from grader import cli
    from grader.errors import NotHeld

    os.environ.clear()
    os.environ.update(request["environment"])
    os.umask(request["umask"])
    time.tzset()
    tempfile.tempdir = None
    try:
        os.chdir(request["folder"])
        if fingerprint.of_program() != _PROGRAM:
            return _NOT_HELD
    except OSError:
        return _NOT_HELD
    sys.argv = [request["program"], *request["arguments"]]
    for stream, encoding in zip((sys.stdout, sys.stderr), request["encodings"], strict=True):
        stream.reconfigure(  # type: ignore[union-attr]
            encoding=encoding, line_buffering=stream is sys.stderr or os.isatty(stream.fileno())
        )
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
        code = cli.run(request["arguments"], program=request["program"], held=held)
    except NotHeld:
        return _NOT_HELD
    except KeyboardInterrupt:  # between the two lines above
        return cli.INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


if __name__ == "__main__":
    main()
