"""Has a warm process do a run instead of this process, and starts a warm process."""

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
    """The warm process ended during the run."""


def answered(arguments: Sequence[str], graded: Path, *, program: str) -> int | None:
    """Return the exit code of a run that a warm process did; None if it did nothing.

    arguments : of the command
    graded : the file that they name
    program : the name of the command
    Raises Lost if the process ended before the run.
    """
    try:
        with Place() as place:
            name = key(graded.absolute().parent, os.environ)
            record = place.record(name)
            connection = place.connected(name) if record is not None else None
    except OSError:  # including NoPlace
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
                began = _receive(connection)
            except OSError:  # it is gone or hangs, or the environment exceeds a datagram
                return None
            if "began" not in began:
                return None
            connection.settimeout(None)
            try:
                ended = _receive(connection)
            except OSError:
                ended = {}
    if "not_held" in ended:
        return None
    if type(ended.get("code")) is not int:
        raise Lost
    return int(ended["code"])


def leave_behind(assignment: Path, graded: Path, sandbox: str) -> str:
    """Start a warm process for the next run; return the reason if that is impossible, else "".

    assignment : its folder; graded : the file that was graded
    The process loads in the background, without a wait.
    """
    if not HERE:
        return "nothing can be kept warm on this system: processes are not forked here"
    try:
        Place(make=True).close()
    except NoPlace as error:
        return f"nothing is kept warm: {error}"
    graded = graded.absolute().parent
    settings = {
        "key": key(graded, os.environ),
        "graded": str(graded),
        "folder": str(assignment),
        "sandbox": sandbox,
    }
    try:
        process = subprocess.Popen(
            # -P: nothing is imported from the current folder, which may be a student's.
            [sys.executable, "-P", "-m", "grader.warm.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(json.dumps(settings).encode())
    except OSError as error:
        return f"nothing is kept warm: {error.strerror or error}"
    process.returncode = 0  # it outlives this process; without this, Python would warn
    return ""


def end_all() -> None:
    """End every warm process of this user."""
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


def _receive(connection: socket.socket) -> dict[str, Any]:
    try:
        answer = json.loads(connection.recv(_ANSWER_BYTES) or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


@contextlib.contextmanager
def _interrupts_passed_on(connection: socket.socket) -> Iterator[None]:
    """Within the block, pass Ctrl-C on to the process, which reports how its run ended."""

    def pass_on(*_: object) -> None:
        with contextlib.suppress(OSError):
            connection.send(b"interrupt")

    try:
        before = signal.signal(signal.SIGINT, pass_on)
    except ValueError:  # not the main thread, which alone gets signals
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
