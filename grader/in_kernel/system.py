"""What the operating system offers.

The rest of the code asks for a capability by name, not for a system.
"""

from __future__ import annotations

import os
import sys

CAN_FORK = hasattr(os, "fork")
"""Without fork (Windows, JupyterLite), all checks of a notebook share one process, one after the
other."""

CAN_SANDBOX = sys.platform == "linux"
"""Whether there are namespaces, Landlock, seccomp and /proc, and a process that has loaded numpy
can be forked: macOS's own libraries break in a fork."""

HAS_SIGNALS = os.name == "posix"
"""Whether a process group can get signals, and a process can inherit pipes and wait for them."""


def is_root() -> bool:
    """Return whether this process may start processes as other users."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def lift_memory_limit() -> None:
    """Let this process take memory although a check of the grader started it, whose limit it has.

    The limit of a check is in suite/room.py.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def may_fork() -> bool:
    """Return whether this process can fork: on Linux, if it has only one thread."""
    import threading  # not at the top: the small processes around a kernel don't need it

    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    except OSError:
        return False
