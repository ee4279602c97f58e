"""Linux calls that Python's os module lacks, through ctypes. Each raises OSError, as os does."""

from __future__ import annotations

import ctypes
import os

from grader.in_kernel.system import CAN_SANDBOX

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

# Numbers of system calls, by processor; from 424 on, all processors have the same.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPSET = {"x86_64": 126, "aarch64": 91}
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True) if CAN_SANDBOX else None


def system_call(number: int, *arguments: object) -> int:
    """Call Linux by a system call's number; return its result.

    arguments : int (passed as 64 bits), bytes (their address) or ctypes objects by reference
    """
    return _result("syscall", ctypes.c_long(number), *map(_argument, arguments))


def prctl(option: int, *arguments: object) -> int:
    """Return prctl(2)'s result; missing arguments are 0."""
    four = [*map(_argument, arguments), *[ctypes.c_ulong(0)] * (4 - len(arguments))]
    return _result("prctl", ctypes.c_int(option), *four)


def unshare(flags: int) -> None:
    """Move this process (for a pid namespace: its next children) into namespaces of its own."""
    _result("unshare", ctypes.c_int(flags))


def setns(descriptor: int, flags: int) -> None:
    """Join namespaces (flags), given by a file of a namespace or a process's pidfd."""
    _result("setns", ctypes.c_int(descriptor), ctypes.c_int(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount as mount(2) does; "" for no file system and no options."""
    _result(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )


def unmount(target: str, flags: int) -> None:
    _result("umount2", os.fsencode(target), ctypes.c_int(flags))


def _argument(value: object) -> object:
    return ctypes.c_ulong(value) if isinstance(value, int) else value


def _result(name: str, *arguments: object) -> int:
    if _libc is None:
        raise OSError(f"{name}: only Linux has this call")
    value = int(getattr(_libc, name)(*arguments))
    if value == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return value
