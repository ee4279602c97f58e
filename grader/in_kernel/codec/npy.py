"""Buffers of a frame: .npy files, version 1.0, written and read without numpy's own reader."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from struct import Struct
from typing import Any, Final

from numpy import dtype, empty, ndarray, uint8

from grader.in_kernel.codec.limits import KINDS, LARGE, MalformedFrame

globals()["__builtins__"] = dict(vars(builtins))

_NPY_START: Final = Struct("<6sBBH")
_NPY_MAGIC: Final = b"\x93NUMPY"
_NPY_HEADER: Final = re.compile(
    rb"\{'descr': '([<>|=]?[biufcSU][0-9]{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(([0-9]{1,18}(?:, [0-9]{1,18})*,?)?\), \} *\n"
)
# Longer than any header of 64 axes, numpy's maximum.
_NPY_HEADER_BYTES: Final = 2048
# numpy 1's maximum of axes, and the bytes that an array's non-empty axes may span.
AXES: Final = 32
SPAN: Final = 1 << 40
# Consecutive small buffers are received together, up to this many bytes at a time.
RUN: Final = 1 << 20
_LAST_CODE_POINT: Final = 0x10FFFF


@lru_cache(maxsize=1024)
def npy_header(descr: str, fortran: bool, shape: tuple[int, ...]) -> bytes:
    """Return the first bytes of a .npy file, version 1.0, up to its data.

    Source: numpy.lib.format, "Format Version 1.0".
    """
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    unpadded = _NPY_START.size + len(text) + 1
    text += " " * (-unpadded % 64) + "\n"
    return _NPY_START.pack(_NPY_MAGIC, 1, 0, len(text)) + text.encode("ascii")


class Room:
    """The bytes left for the arrays of one frame; counted by their headers, before reading."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, layout: _Layout) -> None:
        """Reserve room for an array. Raises MalformedFrame if there is none."""
        self._left -= bytes_as_float64(layout.dtype, span_of(layout.shape))
        if self._left < 0:
            raise MalformedFrame("larger arrays than a frame may have")


def span_of(shape: Sequence[int]) -> int:
    """Return the elements of an array of this shape; of an empty one, those of its other axes.

    Its sum over an axis of length 0 has as many.
    """
    return prod(axis or 1 for axis in shape)


def bytes_as_float64(layout: dtype, count: int) -> int:
    """Return the bytes of `count` elements after a check has converted them to float64."""
    return count * (layout.itemsize if layout.kind in "SU" else max(layout.itemsize, 8))


def read_buffers(
    fill: Callable[[memoryview], None], lengths: Sequence[int], room: Room
) -> list[ndarray]:
    """Return the arrays of the next buffers. Raises MalformedFrame, and what `fill` raises.

    fill : fills a memoryview with the next bytes; lengths : of the buffers, in bytes
    """
    arrays: list[ndarray] = []
    index = 0
    while index < len(lengths):
        if lengths[index] >= LARGE:
            arrays.append(_read_large(fill, lengths[index], room))
            index += 1
            continue
        start, size = index, 0
        while index < len(lengths) and lengths[index] < LARGE and size < RUN:
            size += lengths[index]
            index += 1
        run = bytearray(size)
        fill(memoryview(run))
        offset = 0
        for length in lengths[start:index]:
            arrays.append(_read_small(run, offset, length, room))
            offset += length
    return arrays


def _read_small(run: bytearray, offset: int, length: int, room: Room) -> ndarray:
    if length < _NPY_START.size:
        raise MalformedFrame("a buffer is not a .npy file")
    data = _NPY_START.size + (run[offset + 8] | run[offset + 9] << 8)
    if data > length:
        raise MalformedFrame("a .npy header is longer than its buffer")
    layout = _layout(bytes(run[offset : offset + data]))
    if data + layout.size != length:
        raise MalformedFrame("a .npy buffer and its header have different sizes")
    room.take(layout)
    # The copy owns its data (so that `resize` works) and aligns it.
    value = ndarray(layout.shape, layout.dtype, run, offset + data, None, layout.order).copy("K")
    return _sound(value)


def _read_large(fill: Callable[[memoryview], None], length: int, room: Room) -> ndarray:
    start = bytearray(_NPY_START.size)
    fill(memoryview(start))
    header = bytearray(start[8] | start[9] << 8)
    fill(memoryview(header))
    layout = _layout(bytes(start + header))
    if len(start) + len(header) + layout.size != length:
        raise MalformedFrame("a .npy buffer and its header have different sizes")
    room.take(layout)
    value = empty(layout.shape, layout.dtype, layout.order)
    fill(value.reshape(-1, order="A").view(uint8).data)
    return _sound(value)


def _sound(value: ndarray) -> ndarray:
    """Return the same array. Raises MalformedFrame for text with invalid code points.

    numpy does not check them, and raises SystemError when such a text is read.
    """
    if value.dtype.kind == "U" and value.size:
        points = value.reshape(-1, order="A").view(value.dtype.byteorder + "u4")
        if points.max() > _LAST_CODE_POINT:
            raise MalformedFrame("a text with an invalid code point")
    return value


@dataclass(frozen=True)
class _Layout:
    dtype: dtype
    shape: tuple[int, ...]
    order: Any  # "C" | "F"
    size: int  # bytes of data


@lru_cache(maxsize=4096)
def _layout(header: bytes) -> _Layout:
    """Read the header of a .npy file."""
    magic, major, minor, _ = _NPY_START.unpack_from(header)
    text = _NPY_HEADER.fullmatch(header, _NPY_START.size)
    if (
        magic != _NPY_MAGIC
        or (major, minor) != (1, 0)
        or len(header) > _NPY_HEADER_BYTES
        or not text
    ):
        raise MalformedFrame("a buffer is not a .npy file of plain numbers or text")
    descr, fortran, axes = text.groups()
    shape = tuple(int(axis) for axis in (axes or b"").split(b",") if axis)
    try:
        layout = dtype(descr.decode("ascii"))
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedFrame("a .npy header names no dtype") from error
    if layout.kind not in KINDS or not layout.itemsize:
        raise MalformedFrame("a .npy header names a dtype that is not sent")
    # An empty array of impossible axes has no bytes, but an array built like it would fail.
    if len(shape) > AXES or span_of(shape) * layout.itemsize > SPAN:
        raise MalformedFrame("a .npy header names an impossible array")
    size = prod(shape) * layout.itemsize
    return _Layout(layout, shape, "F" if fortran == b"True" else "C", size)
