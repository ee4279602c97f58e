"""How many files may be open at once. The sockets and pipes of a session count as open files."""

from __future__ import annotations

from grader.errors import GraderFault

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

OPEN_FILES = 64
"""Enough to grade one submission, with a reserve."""


def require_open_files() -> None:
    """Raise the limit of open files if needed. Raises GraderFault if the system refuses."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))
        return
    raise GraderFault(
        f"{hard} files may be open at once here, and grading needs {OPEN_FILES}: "
        f"raise the limit (`ulimit -Hn`) and grade again"
    )
