"""Asks a warm process to do a run in the place of this one, and leaves one behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.warm.place import NoPlace, Place, key

BEGINS_S = 5.0
_ANSWER_BYTES = 1 << 10
HERE = sys.platform == "linux"


class Lost(Exception):
    """The process ended while it worked."""


def answered(arguments: Sequence[str], graded: Path, *, program: str) -> int | None:
    """Return the exit code of a run that a warm process did; None where nothing was done.

    arguments : of the command; graded : the file that they name
    Raises Lost where it ended before the run did.
    """
    try:
        with Place() as place:
            name = key(graded.absolute().parent, os.environ)
            record = place.record(name)
            connection = place.connected(name) if record is not None else None
    except OSError:  # NoPlace among them
        return None
    if connection is None or record is None:
        return None
    with connection:
        request = {
            "token": record["token"],
            "arguments": [*arguments],
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "umask": _umask(),
            "program": program,
            "encodings": [stream.encoding for stream in (sys.stdout, sys.stderr)],
        }
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with _interrupts_passed_on(connection):
            try:
                socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
                connection.settimeout(BEGINS_S)
                began = _received(connection)
            except OSError:  # it is gone, it hangs, or the environment is larger than a datagram
                return None
            if "began" not in began:
                return None
            connection.settimeout(None)
            try:
                ended = _received(connection)
            except OSError:
                ended = {}
    if "not_held" in ended:
        return None
    if type(ended.get("code")) is not int:
        raise Lost
    return int(ended["code"])


def leave_behind(assignment: Path, graded: Path, sandbox: str) -> str:
    """Start a warm process for the next run; return why there will be none, "" otherwise.

    assignment : its folder; graded : the file that was graded
    It loads in the background, and nothing waits for it.
    """
    if not HERE:
        return "nothing can be kept warm on this system: processes are not forked here"
    try:
        Place(make=True).close()
    except NoPlace as error:
        return f"nothing is kept warm: {error}"
    graded = graded.absolute().parent
    told = {
        "key": key(graded, os.environ),
        "graded": str(graded),
        "folder": str(assignment),
        "sandbox": sandbox,
    }
    try:
        process = subprocess.Popen(
            # -P: nothing in the current folder, a student's perhaps, is imported.
            [sys.executable, "-P", "-m", "grader.warm.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(json.dumps(told).encode())
    except OSError as error:
        return f"nothing is kept warm: {error.strerror or error}"
    process.returncode = 0  # it outlives this process, and Python is not to warn of that
    return ""


def end_all() -> None:
    """End every warm process of this user's."""
    with contextlib.suppress(OSError), Place() as place:
        for name in place.keys():  # noqa: SIM118
            record, connection = place.record(name), place.connected(name)
            if connection is not None:
                with connection, contextlib.suppress(OSError):
                    if record is not None:
                        connection.send(
                            json.dumps({"token": record["token"], "end": True}).encode()
                        )
            place.forget(name)


def _received(connection: socket.socket) -> dict[str, Any]:
    try:
        told = json.loads(connection.recv(_ANSWER_BYTES) or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


@contextlib.contextmanager
def _interrupts_passed_on(connection: socket.socket) -> Iterator[None]:
    """Send Ctrl-C on to the process, which tells how its run ended."""

    def pass_on(*_: object) -> None:
        with contextlib.suppress(OSError):
            connection.send(b"interrupt")

    try:
        before = signal.signal(signal.SIGINT, pass_on)
    except ValueError:  # not the main thread: nothing interrupts it
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
