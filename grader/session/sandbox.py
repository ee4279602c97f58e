"""The grader's side of the sandbox: it plans the limits and reads which layers hold.

The layers themselves are applied in the student's process, by grader/in_kernel/sandbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from grader.in_kernel.sandbox import confine
from grader.in_kernel.system import is_root
from grader.records import Isolation, Limits, Sandbox

# Ranges of user ids that have no account. Most systems never assign ids of the first range; a
# container may map no id above 65535, and then the second range serves.
_USERS = (range(0x60000000, 0x6FFF0000), range(50_000, 60_000))
# The user ids of this process, each with the socket that marks it as taken for other graders.
_taken: dict[int, socket.socket] = {}
_lock = threading.Lock()


def plan(
    folders: Mapping[str, Path],
    limits: Limits,
    policy: Sandbox,
    *,
    seen: Sequence[Path] = (),
    apart: bool = True,
) -> dict[str, Any]:
    """Return the argument of confine.enter_sandbox, without the file descriptors.

    folders : root, box, work, home, tmp, calls
    seen : paths that may be read, besides Python and the system's libraries
    apart : whether root runs the process as a user of its own; release_user() frees the user id
    """
    return {
        "strict": policy == "strict",
        "layers": [*confine.LAYERS],
        **{name: str(folder) for name, folder in folders.items()},
        "seen": [str(path) for path in seen],
        "user": _take_user() if apart and is_root() else 0,
        "memory_mib": limits.memory_mib,
        "processes": limits.processes,
        "scratch_mib": limits.scratch_mib,
        "open_files": limits.open_files,
        # Deadlines stop a notebook long before; this limit ends a process that the grader lost.
        "cpu_s": (os.cpu_count() or 1) * 10 * limits.notebook_s,
        "check_cpu_s": (os.cpu_count() or 1) * 10 * limits.check_s,
    }


def read_report(descriptor: int) -> Isolation:
    """Return what confine.enter_sandbox reports through a pipe, and close the pipe."""
    with os.fdopen(descriptor, "rb") as pipe:
        text = pipe.read(1 << 16)
    if not text:
        return Isolation()
    report = json.loads(text)
    return Isolation(tuple(report["applied"]), dict(report["missing"]))


def _take_user() -> int:
    """Return a user id that has no account and that no other grader uses; 0 for none.

    In a container of an ordinary user, root is often the only id that is mapped.
    """
    spread = 64
    with _lock:
        for numbers in filter(_are_mapped, _USERS):
            # Each grader begins at another id, so that few attempts fail.
            first = os.getpid() * spread % len(numbers)
            for step in range(len(numbers)):
                user = numbers[(first + step) % len(numbers)]
                if user in _taken or _has_account(user):
                    continue
                if (mark := _mark_as_taken(user)) is not None:
                    _taken[user] = mark
                    return user
    return 0


def _mark_as_taken(user: int) -> socket.socket | None:
    """Return a socket that reserves the user id until it is closed; None if it is taken.

    At a notebook's end all processes of its user are killed, so two graders must not share a user.
    All graders of a machine or container see an abstract socket; it ends with its process.
    """
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0grade-user-{user}")
    except OSError:
        mark.close()
        return None
    return mark


def release_user(user: int) -> None:
    """Free a user id. Call it when no process of that user is left."""
    with _lock:
        mark = _taken.pop(user, None)
    if mark is not None:
        mark.close()


@cache
def _are_mapped(numbers: range) -> bool:
    """Return whether this system, which may be a container, maps these ids."""
    return all(_spans(f"/proc/self/{kind}_map", numbers) for kind in ("uid", "gid"))


def _spans(file: str, numbers: range) -> bool:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return True
    spans = [[int(word) for word in line.split()] for line in lines]
    return any(first <= numbers[0] and numbers[-1] < first + count for first, _, count in spans)


def _has_account(user: int) -> bool:
    import pwd

    with contextlib.suppress(KeyError):
        pwd.getpwuid(user)
        return True
    return False
