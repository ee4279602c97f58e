"""The limits of this process, so that an error message can name the one that was reached."""

from __future__ import annotations

import builtins
import errno
from collections.abc import Mapping

from grader.in_kernel.sandbox import libc

try:
    import resource as _resource
except ImportError:  # Windows
    _resource = None  # type: ignore[assignment]

# Student code may replace builtins: this module keeps a copy.
globals()["__builtins__"] = dict(vars(builtins))

in_force: dict[str, int] = {}
"""memory_mib, scratch_mib, open_files, processes, check_cpu_s; empty without limits."""

_BY_NUMBER = {
    errno.ENOMEM: "memory_mib",
    errno.ENOSPC: "scratch_mib",
    errno.EFBIG: "scratch_mib",
    errno.EMFILE: "open_files",
    errno.EAGAIN: "processes",
}
_WORDS = {
    "memory_mib": "used more than {} MiB of memory",
    "scratch_mib": "wrote more than {} MiB",
    "open_files": "opened more than {} files",
    "processes": "started more than {} processes and threads",
}


def limit_behind(error: BaseException, limits: Mapping[str, int] = in_force) -> str:
    """Return the limit that caused an exception ("opened more than 512 files"), or ""."""
    kind = type(error)
    name = ""
    if issubclass(kind, MemoryError):
        name = "memory_mib"
    elif issubclass(kind, OSError):
        number = _number_of(error)
        name = _BY_NUMBER.get(number, "") if type(number) is int else ""
    elif kind is RuntimeError and str(error).startswith("can't start new thread"):
        name = "processes"
    return _WORDS[name].format(limits[name]) if name in limits else ""


_number_of = OSError.__dict__["errno"].__get__  # a student's subclass can't replace this


def limit_this_check() -> None:
    """Set the processor time limit of a check's process, and let it adopt orphans."""
    if not in_force:
        return
    try:
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        seconds = in_force["check_cpu_s"]
        _resource.setrlimit(_resource.RLIMIT_CPU, (seconds, seconds))
    except (OSError, ValueError):  # the notebook has set a lower limit itself
        return
