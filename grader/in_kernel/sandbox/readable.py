"""What a sandboxed process may read: system libraries, Python with its packages, shared files.

paths()          the paths of one sandbox
python_paths()   looks up what is the same for all sandboxes: what a process knows, its forks know
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from functools import cache

IN_KERNEL = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/etc/fonts", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/os-release",
    "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/python3",
    "/sys/devices/system/cpu",
)  # fmt: skip
# The parts of a Python's folder that may be read: a user's other files may lie beside them.
_OF_PYTHON = ("bin", "lib", "lib32", "lib64", "libexec", "include", "share", "etc", "ssl",
              "pyvenv.cfg")  # fmt: skip


def paths(root: str, seen: Sequence[str]) -> list[str]:
    """Return the paths that a notebook may read.

    root : the session's folder, in which it may not read everything
    seen : further paths
    """
    prefixes = dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix))
    of_prefixes = [os.path.join(prefix, name) for prefix in prefixes for name in _OF_PYTHON]
    searched = [path for path, real in python_paths() if not _holds(real, root)]
    return [*SYSTEM, *of_prefixes, *searched, IN_KERNEL, *seen]


def python_paths() -> tuple[tuple[str, str], ...]:
    """Return the folders of modules and libraries that hold nothing private: (path, real path)."""
    libraries = os.environ.get("LD_LIBRARY_PATH", "")
    return _looked_up((*sys.path, *libraries.split(":")), os.getuid())


@cache
def _looked_up(folders: tuple[str, ...], user: int) -> tuple[tuple[str, str], ...]:
    import pwd

    private = [IN_KERNEL]
    with contextlib.suppress(KeyError):
        private.append(pwd.getpwuid(user).pw_dir)
    found = [(path, os.path.realpath(path)) for path in folders if os.path.isabs(path)]
    return tuple((path, real) for path, real in found if not _holds(real, *private))


def _holds(real: str, *private: str) -> bool:
    """Return whether a folder of sys.path contains private folders: a checkout, a home, or "/"."""
    site = any(part in ("site-packages", "dist-packages") for part in real.split(os.sep))
    return not site and any(os.path.commonpath([real, p]) == real for p in private)
