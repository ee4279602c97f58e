"""Shared memory without a file, mmap.mmap(-1, n), in a file that the sandbox counts.

Linux keeps such memory as long as one page of it is mapped, but counts only the pages that are
mapped. So the sandbox refuses it (seccomp.py), and here it becomes a temporary file without a name.

install()   replaces mmap.mmap
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from typing import Any

_Map = mmap.mmap


def install() -> None:
    """Replace mmap.mmap by a class that makes a file for shared memory. Only on Linux."""
    if sys.platform == "linux":
        mmap.mmap = Map  # type: ignore[misc]


class Map(_Map):
    """As mmap.mmap. Raises OSError if the scratch folder has no room for its length."""

    def __new__(cls, fileno: int, length: int, *args: Any, **kwargs: Any) -> Any:
        named = dict(zip(("flags", "prot", "access", "offset"), args, strict=False)) | kwargs
        flags = named.get("flags", mmap.MAP_SHARED)
        private = not flags & mmap.MAP_SHARED or named.get("access") == mmap.ACCESS_COPY
        if fileno != -1 or length <= 0 or private:
            return super().__new__(cls, fileno, length, *args, **kwargs)
        if "flags" in named:
            named["flags"] = flags & ~mmap.MAP_ANONYMOUS
        with tempfile.TemporaryFile() as file:
            # Reserved now: a write to a page without room would end the process.
            os.posix_fallocate(file.fileno(), 0, length + named.get("offset", 0))
            return super().__new__(cls, file.fileno(), length, **named)


Map.__name__ = Map.__qualname__ = "mmap"
Map.__module__ = "mmap"
