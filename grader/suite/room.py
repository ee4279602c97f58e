"""How much memory a check may take in the grader's own process.

What a student's code returns has a limit, but not what a check makes of it: a column of a million
numbers that meets a row of a thousand makes a billion.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# For the checks of assignments with a small memory_mib.
LEAST_MIB = 1024
# A check that keeps its replies, and computes with them.
_REPLIES = 16


def room_of_check(memory_mib: int, reply_mib: int) -> int:
    """Return the MiB that a check may take.

    memory_mib : of a whole notebook; reply_mib : of the check's largest reply
    """
    return max(LEAST_MIB, memory_mib, _REPLIES * reply_mib)


@contextlib.contextmanager
def limited_memory(mib: int) -> Iterator[None]:
    """Within the block, this process may take that much more memory; then comes MemoryError.

    Only on Linux, where the limit counts what is allocated, but not program files.
    """
    used = _data_bytes()
    if resource is None or not used:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = used + mib * 2**20
    if soft != resource.RLIM_INFINITY and soft <= most:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """Return what RLIMIT_DATA counts, with the stack; 0 if the system does not tell.

    Source: proc_pid_statm(5), the sixth number.
    """
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
