"""The program of a warm process: `python -P -m grader.warm.process`. It reads its settings as JSON:

    {"key": "...", "graded": "folder", "folder": "the assignment's", "sandbox": "auto"}

It loads the grader and collects the assignment's checks. Then it answers datagrams of at most
REQUEST_BYTES, on a socket that only this user can reach (place.py):

    {"token": "...", "end": true}                  it ends
    {"token": "...", "arguments": [...], "folder": "...", "environment": {...}, "umask": 18,
     "program": "grade", "encodings": [...]}       with three descriptors, the standard streams

A fork of it then does what `grade ARGUMENTS` does, with these streams, this environment and this
folder, and ends. The client gets {"began": true}, and at the end {"code": 0}, or {"not_held": true}
if nothing was graded because something has changed. Any datagram from the client in between means
Ctrl-C; a client that disconnects cancels the run.

It runs no student code, which always has processes of its own. It ends when it got no request for
STAYS_S seconds, when its socket is gone, or when something has changed. Its forks end with it, and
their kernels end with them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.warm import fingerprint

# Taken before all other imports, so that later changes are noticed.
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
"""How long it waits for the next request: an hour."""
MOST = 3
"""How many processes a user may have; each needs about a hundred MiB. The oldest ends."""
REQUEST_BYTES = 160_000
"""Enough for an environment and arguments, and less than the system's limit of a datagram."""
SPEAKS_S = 5.0
"""How long a connection may stay without a request."""
CONNECTIONS = 8
CALLED_OFF_S = 5.0
"""How long a fork may take to end by itself after its client has disconnected."""
_LOOKS_S = 10.0


def main() -> None:
    _open_streams()
    settings = json.loads(sys.stdin.buffer.read(1 << 16))
    os.chdir("/")
    with Place(make=True) as place:
        if key_of(Path(settings["graded"]), os.environ) != settings["key"]:
            return  # another version of the grader has started it, and no client would find it
        lock = place.locked(settings["key"])
        if lock is None:
            return
        for other in place.keys()[MOST - 1 :]:
            place.forget(other)
        _load()
        from grader.warm.held import Held

        with Held(Path(settings["folder"]), settings["sandbox"]) as held:
            _Process(place, settings["key"], lock, held).run()


def _open_streams() -> None:
    """Replace the standard streams by streams that never seek.

    A fork gets its client's files, pipes or terminal under the same descriptors, but a stream
    checks only once whether it can seek. pytest and others keep these objects, so they can't be
    replaced later.
    """
    reading, writing = os.pipe()
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        original = os.dup(number)
        os.dup2(writing, number)
        stream = open(number, "w", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
        os.dup2(original, number)
        os.close(original)
    os.close(reading)
    os.close(writing)


def _load() -> None:
    """Import the modules that grading imports during a run."""
    import importlib

    for name in (
        "grader.cli.grade", "grader.pipeline", "grader.grading", "grader.report.terminal",
        "grader.report.live_table", "grader.report.progress_lines", "grader.gradebook.summary",
        "grader.batch.store", "grader.batch.keeping", "nbformat.v4", "grader.cli.commands",
    ):  # fmt: skip
        importlib.import_module(name)
    from grader.session import cell_outputs

    cell_outputs.load()


@dataclass
class _Client:
    """A client's connection, and the fork that works for it."""

    connection: socket.socket
    since: float
    pid: int = 0
    gone_since: float | None = None


class _Process:
    """Waits for clients, forks for each, and reports to each how its fork ended."""

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
        self._place.forget(self._key)  # the files of a process that was killed
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
        gc.freeze()  # otherwise the collector writes to every object in each fork, and copies it
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
        """Stop listening: runs continue, and a new client grades by itself."""
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
                self._receive(self._clients[number])
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

    def _receive(self, client: _Client) -> None:
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
                    os.kill(client.pid, signal.SIGINT)  # not reaped yet, so the pid is its own
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
        """Answer a client that knows the token; disconnect any other."""
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
            # The only other threads are numpy's, which numpy stops before a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            # A Ctrl-C waits until the fork is ready for it.
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
        """In a fork, close the parent's descriptors and use the client's streams."""
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
            if code == -signal.SIGINT:  # sent by its guard
                code = _INTERRUPTED
            if code >= 0:  # else it was killed: the client sees a closed connection
                self._tell(client, {"code": code})
            self._drop(client)

    def _not_held(self, client: _Client) -> None:
        self._ends = True  # the next process loads the changed files
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


_INTERRUPTED = 130  # the same as in cli/options.py
_NOT_HELD = 113  # a fork's exit code, which the command itself never uses
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
    except KeyboardInterrupt:  # it came between the two lines above
        return cli.INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


if __name__ == "__main__":
    main()
