"""The grader's side of a closed process: what it may use, and which layers hold.

The layers themselves are applied in grader/in_kernel/sandbox, in the student's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.errors import GraderFault
from grader.in_kernel.sandbox import confine
from grader.records import Isolation, Limits, Sandbox

# Where numbers are looked for that nobody has. The first range is what most systems never hand
# out; a container may map no number above 65535, and then the second serves.
_USERS = (range(0x60000000, 0x6FFF0000), range(50_000, 60_000))
_taken: set[int] = set()
_lock = threading.Lock()


def plan(
    folders: Mapping[str, Path], limits: Limits, policy: Sandbox, *, seen: Sequence[Path] = ()
) -> dict[str, Any]:
    """Return what confine.enter_sandbox needs, its file descriptors left out.

    folders : root, box, work, home, tmp, calls
    seen : what may be read besides Python and the system's libraries
    """
    return {
        "strict": policy == "strict",
        "layers": [*confine.LAYERS],
        **{name: str(folder) for name, folder in folders.items()},
        "seen": [str(path) for path in seen],
        "user": _take_user() if hasattr(os, "geteuid") and os.geteuid() == 0 else 0,
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
    """Return a user number that has no account and no process, and that no other grader takes."""
    spread = range(64)
    with _lock:
        for numbers in _USERS if _maps(_USERS[0].start) else _USERS[1:]:
            # Each grader begins at a place of its own: its process number is nobody else's.
            first = os.getpid() * len(spread) % len(numbers)
            for step in range(len(numbers)):
                user = numbers[(first + step) % len(numbers)]
                if user not in _taken and not _has_account(user):
                    _taken.add(user)
                    return user
    raise GraderFault("no user number is free")


def release_user(user: int) -> None:
    """Give a number back, once no process has it any more."""
    with _lock:
        _taken.discard(user)


def _maps(user: int) -> bool:
    """Whether this system, which may be a container, knows a number so high."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return True
    spans = [[int(word) for word in line.split()] for line in lines]
    return any(first <= user < first + count for first, _, count in spans)


def _has_account(user: int) -> bool:
    import pwd

    with contextlib.suppress(KeyError):
        pwd.getpwuid(user)
        return True
    return False
