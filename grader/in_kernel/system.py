"""What the operating system offers, asked in one place.

The rest of the code asks for what it needs by name, not for the system that it runs on.
"""

from __future__ import annotations

import os
import sys

CAN_FORK = hasattr(os, "fork")
"""Where a process can't be forked, all checks of a notebook share one process, one after the other
(students on Windows; JupyterLite)."""

CAN_SANDBOX = sys.platform == "linux"
"""Namespaces, Landlock and seccomp, a process's tree in /proc, and forks of a process that has
loaded numpy: macOS's own libraries break in a fork."""

HAS_SIGNALS = os.name == "posix"
"""Signals to groups of processes, and pipes that a process inherits and waits for."""


def is_root() -> bool:
    """Return whether this process may give others a user number of their own."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def may_fork() -> bool:
    """Return whether this process can be forked: on Linux, with no thread but this one."""
    import threading  # not at the top: the small processes around a kernel do without

    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    except OSError:
        return False
