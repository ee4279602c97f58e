"""Landlock: permanently limits the files that this process and its children may open.

A rule allows the files below a path; all others are forbidden. From ABI 4 on, no TCP port can be
bound or reached; from ABI 6 on, no signal and no abstract socket reaches outside. Landlock does not
restrict stat, chdir and connecting to a Unix socket that has a path.

Source: Linux, Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Iterable, Mapping

from grader.in_kernel.sandbox import libc

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << n for n in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (
    1 << n for n in range(6, 13)
)
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = (
    READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO
    | MAKE_SYM | REFER | TRUNCATE
)  # fmt: skip
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

# The highest bit that each ABI knows, from ABI 1 on: an unknown bit is an error.
_FILE_BITS = (MAKE_SYM, REFER, TRUNCATE, TRUNCATE, IOCTL_DEV)
_TCP = 0b11  # bind, connect
_SCOPED = 0b11  # abstract sockets, signals
_RULE_PATH_BENEATH = 1
_CREATE_RULESET_VERSION = 1


def abi() -> int:
    """Return the kernel's version of Landlock; 0 without Landlock."""
    try:
        return libc.system_call(libc.LANDLOCK_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict(rules: Mapping[int, Iterable[str]]) -> int:
    """Forbid every file except those that the rules allow; return the ABI that was used.

    rules : rights (READ, WRITE, DEVICE) -> paths; a path that does not exist is skipped
    Sets no_new_privs, which Linux requires. Raises OSError without Landlock.
    """
    version = abi()
    if not version:
        raise OSError("no Landlock in this kernel")
    handled = 2 * _FILE_BITS[min(version, len(_FILE_BITS)) - 1] - 1
    # struct landlock_ruleset_attr: __u64 handled_access_fs, handled_access_net, scoped. Older
    # versions of Linux have a shorter struct, and accept a longer one whose rest is zero.
    attr = struct.pack("=3Q", handled, _TCP if version >= 4 else 0, _SCOPED if version >= 6 else 0)
    ruleset = libc.system_call(libc.LANDLOCK_CREATE_RULESET, attr, len(attr), 0)
    try:
        for access, paths in rules.items():
            for path in paths:
                with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                    _allow(ruleset, path, access & handled)
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        libc.system_call(libc.LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= _OF_A_FILE
        # struct landlock_path_beneath_attr: __u64 allowed_access; __s32 parent_fd
        beneath = struct.pack("=Qi", access, parent)
        libc.system_call(libc.LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, beneath, 0)
    finally:
        os.close(parent)
