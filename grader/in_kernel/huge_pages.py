"""Huge pages for a process that is forked again and again.

A fork copies a page table entry for each page of memory, and the end of the child frees each: with
matplotlib and scikit-learn in memory, 36,000 entries and about 10 ms. A huge page has one entry for
512 pages. When a child writes, the system still copies only 4 KiB.

ObjectsInHeap   before importing, if the C library puts its heap into huge pages: the forks of a
                small notebook and their ends then take about 6 ms less, and nothing is copied
collapse()      before forking, if it does not. The system must first copy all this memory into
                free huge pages, which takes 0.05 to 0.3 s of processor time: it pays for dozens
                of kernels. Source: madvise(2), MADV_COLLAPSE; Linux 6.1 and later
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HUGE = 2 << 20
"""Bytes of a huge page on x86-64 and, with pages of 4 KiB, on aarch64. With other sizes the system
may refuse."""
_PAGE = 4096
_MADV_COLLAPSE = 25
_WORTH = HUGE // _PAGE // 2
"""How many pages of a huge page must be in memory already: an empty one would only waste memory."""
_PYMEM_DOMAIN_RAW = 0
_FROM_HEAP = 2 << 20
"""More than a piece of Python's, which has 1 MiB, and its header."""
_POOL_BITS = 14


class _Arenas(ctypes.Structure):
    """CPython's PyObjectArenaAllocator: where the memory for objects comes from."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("alloc", ctypes.c_void_p),  # called with context, size
        ("free", ctypes.c_void_p),  # called with context, place, size
    )


class _Allocator(ctypes.Structure):
    """CPython's PyMemAllocatorEx."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),  # called with context, size
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),  # called with context, place
    )


class ObjectsInHeap:
    """Puts Python's objects into the C library's heap, from now until end().

    Python takes memory for them from the system in pieces of 1 MiB. These lie between the
    libraries, where no huge page fits; the heap is in one piece. Another Python, or one that
    $PYTHONMALLOC has set up, stays as it is.

    Not for student code: a heap gives back only memory at its end, and a limit counts the rest.
    """

    def __init__(self) -> None:
        self._before: _Arenas | None = None
        self._kept: list[object] = []
        if sys.platform != "linux" or sys.implementation.name != "cpython":
            return
        if os.environ.get("PYTHONMALLOC"):
            return
        try:
            libc, python = ctypes.CDLL(None), ctypes.pythonapi
            before, heap = _Arenas(), _Allocator()
            python.PyObject_GetArenaAllocator(ctypes.byref(before))
            python.PyMem_GetAllocator(_PYMEM_DOMAIN_RAW, ctypes.byref(heap))
            # After this, glibc takes pieces up to this size from its heap.
            libc.malloc.restype = ctypes.c_void_p
            libc.free(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(_FROM_HEAP))))
            # free() would abort on a piece that came from the system: none of them may get empty.
            self._kept = _one_a_pool()
            # Python also passes the size to `free`, as a third argument, which it ignores.
            ours = _Arenas(heap.context, heap.malloc, heap.free)
            python.PyObject_SetArenaAllocator(ctypes.byref(ours))
            self._before = before
        except (OSError, AttributeError):  # no such functions
            self._kept = []

    def end(self) -> None:
        """Take memory from the system again. May be called twice.

        A piece of the heap that gets empty is kept: munmap() refuses an address within a page.
        """
        if self._before is not None:
            ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(self._before))
            self._before = None
            self._kept = []


def _one_a_pool() -> list[object]:
    """Return an object of each 16 KiB in which there are any."""
    found: dict[int, object] = {}
    for one in gc.get_objects():
        found.setdefault(id(one) >> _POOL_BITS, one)
        for other in gc.get_referents(one):
            found.setdefault(id(other) >> _POOL_BITS, other)
    return [*found.values()]


def collapse() -> int:
    """Put this process's memory into huge pages; return how many.

    Memory of files and mostly empty memory stays as it is. So does memory that the system refuses
    to move (an older kernel, no free huge page), and all of it if most of it lies
    in huge pages already.
    """
    if _is_mostly_huge():
        return 0
    try:
        libc = ctypes.CDLL(None)
        return sum(
            libc.madvise(ctypes.c_void_p(place), ctypes.c_size_t(HUGE), _MADV_COLLAPSE) == 0
            for first, last in _own_memory()
            for place in range(first, last, HUGE)
            if _pages_in_memory(libc, place) >= _WORTH
        )
    except (OSError, AttributeError):  # no /proc, no such call
        return 0


def _is_mostly_huge() -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError):
        text = Path("/proc/self/smaps_rollup").read_text()
        kib = {name: int(size) for name, size in re.findall(r"(\w+):\s+(\d+) kB", text)}
        return 2 * kib["AnonHugePages"] > kib["Anonymous"]
    return False


def _own_memory() -> Iterator[tuple[int, int]]:
    """Yield the first and last address of mappings without a file that hold whole huge pages."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        found = re.fullmatch(
            r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0\s*(|\[heap\]|\[anon:.*)", line
        )
        if found:
            first, last = int(found[1], 16), int(found[2], 16)
            first = -(-first // HUGE) * HUGE
            if first + HUGE <= last:
                yield first, last // HUGE * HUGE


def _pages_in_memory(libc: ctypes.CDLL, place: int) -> int:
    resident = (ctypes.c_ubyte * (HUGE // _PAGE))()
    if libc.mincore(ctypes.c_void_p(place), ctypes.c_size_t(HUGE), resident):
        return 0
    return bytes(resident).count(1)
