"""Huge pages for a process that is forked again and again.

A fork copies an entry of the page table for each page of memory, and the child's end gives each
back: with matplotlib and scikit-learn in memory, 36,000 entries and some 10 ms. One entry of a huge
page stands for 512 pages. Where a child writes, the system copies 4 KiB, as it always does.

It has a price: the system copies all of it once, into memory that is free in one piece, which takes
0.05 to 0.3 s of a processor. A small notebook's forks then take some 8 ms less: that pays from
dozens of them on.

collapse()   before forking. Source: madvise(2), MADV_COLLAPSE; Linux 6.1 and later
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

HUGE = 2 << 20
"""Bytes of a huge page on x86-64 and, with pages of 4 KiB, on aarch64. Where they are others,
nothing is collapsed, or what the system makes of it."""
_PAGE = 4096
_MADV_COLLAPSE = 25
_WORTH = HUGE // _PAGE // 2
"""So many pages of a huge one must be in memory: an empty one would only take memory."""


def collapse() -> int:
    """Put this process's own memory into huge pages; return how many.

    What is there in the first place as files, what is mostly empty, and what the system refuses
    (an older one, no memory left in one piece) stays as it is.
    """
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


def _own_memory() -> Iterator[tuple[int, int]]:
    """Yield first and last address of what holds whole huge pages, and belongs to no file."""
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
    there = (ctypes.c_ubyte * (HUGE // _PAGE))()
    if libc.mincore(ctypes.c_void_p(place), ctypes.c_size_t(HUGE), there):
        return 0
    return bytes(there).count(1)
