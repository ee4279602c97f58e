"""The grader's side of a sandboxed process: what it may use, and which layers work.

The layers themselves are applied in grader/in_kernel/sandbox, in the student's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.in_kernel.sandbox import confine
from grader.in_kernel.system import is_root
from grader.records import Isolation, Limits, Sandbox

# Where we look for numbers that no account has. The first range is what most systems never hand
# out; a container may map no number above 65535, and then the second serves.
_USERS = (range(0x60000000, 0x6FFF0000), range(50_000, 60_000))
# Numbers of this process: each with what tells other graders that it is taken.
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
    """Return what confine.enter_sandbox needs, its file descriptors left out.

    folders : root, box, work, home, tmp, calls
    seen : what may be read besides Python and the system's libraries
    apart : as root, with a user number of its own; release_user() gives it back
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
        # The clock stops a notebook long before: this one ends what outlives the grader's eye.
        "cpu_s": (os.cpu_count() or 1) * 10 * limits.notebook_s,
        "check_cpu_s": (os.cpu_count() or 1) * 10 * limits.check_s,
    }


def read_report(descriptor: int) -> Isolation:
    """Return what confine.enter_sandbox reports, and close the pipe that it comes through."""
    with os.fdopen(descriptor, "rb") as pipe:
        text = pipe.read(1 << 16)
    if not text:
        return Isolation()
    told = json.loads(text)
    return Isolation(tuple(told["applied"]), dict(told["missing"]))


def _take_user() -> int:
    """Return a user number that has no account, and that no other grader takes; 0 for none.

    There may be none: in a container of an ordinary user, root is often the only number mapped.
    """
    spread = 64
    with _lock:
        for numbers in filter(_are_mapped, _USERS):
            # Each grader begins at another place, so that few numbers are tried in vain.
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
    """Return what holds the number until it is closed; None where another grader holds it.

    All processes of a number are killed at a notebook's end: two graders must not share one. An
    abstract socket is known to all graders of a machine or container, and goes with its process.
    """
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0grade-user-{user}")
    except OSError:
        mark.close()
        return None
    return mark


def release_user(user: int) -> None:
    """Give a number back, once no process has it any more."""
    with _lock:
        mark = _taken.pop(user, None)
    if mark is not None:
        mark.close()


def _are_mapped(numbers: range) -> bool:
    """Whether this system, which may be a container, knows these numbers."""
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
