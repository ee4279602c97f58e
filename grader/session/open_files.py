"""How many files may be open at once: sockets and pipes to a session's processes are some."""

from __future__ import annotations

from grader.errors import GraderFault

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

OPEN_FILES = 64
"""What the grading of one submission gets through with, and some more."""


def require_open_files() -> None:
    """Raise GraderFault where so few files may be open at once that no grading gets through."""
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
