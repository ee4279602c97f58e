"""One frame of bytes a message, the same on both sides of the student's process.

A frame is

    header    magic b"GRDF", version u16, reserved u16 (0), buffers u32, text bytes u32
    lengths   u64 for each buffer
    text      ASCII JSON
    buffers   .npy files, version 1.0, one after the other

all little-endian. The JSON holds null, true, false, numbers (NaN and Infinity spelled as
Python does), strings, and arrays for lists. Everything else is an object with one key:

    {"t": list}              tuple
    {"d": [list, list]}      dict: its keys, its values
    {"c": [re, im]}          complex
    {"i": "-0x1f"}           an int beyond 64 bits
    {"a": k}                 ndarray, the k-th buffer
    {"s": k}                 numpy scalar, a buffer of shape ()
    {"b": k}                 bytes, a uint8 buffer
    {"l": k}                 a list of Python floats, ints or bools, packed into one buffer
    {"L": k}                 a list of numpy scalars, packed
    {"A": k}                 a list of ndarrays of one shape and dtype, stacked
    {"z": [list, ...]}       a list of tuples of one length, column by column
    {"h": [id, "Perceptron"]}  a handle on what stays in the student's process

A buffer is named exactly once. Nothing is ever unpickled or evaluated: a .npy header is held
against a regular expression, its dtype against the kinds b i u f c S U, its size against the
buffer's true length, its text against the code points that there are; depth, items and bytes are
checked before anything of that size is made.

The functions here keep a private copy of the builtins: what student code does to
`builtins.isinstance` does not reach them.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from math import prod
from struct import Struct, pack, unpack
from typing import Any, Final

import numpy as np
from numpy import (
    array,
    bool_,
    dtype,
    empty,
    float64,
    frombuffer,
    generic,
    int64,
    ndarray,
    uint8,
)

globals()["__builtins__"] = dict(vars(builtins))

VERSION: Final = 1
# Room to ask of a socket: large arrays travel twice as fast as with Linux's 208 KiB.
SEND_BYTES: Final = 1 << 22
_MAGIC: Final = b"GRDF"
_HEADER: Final = Struct("<4sHHII")
_NPY_START: Final = Struct("<6sBBH")
_NPY_MAGIC: Final = b"\x93NUMPY"
_NPY_HEADER: Final = re.compile(
    rb"\{'descr': '([<>|=]?[biufcSU][0-9]{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(([0-9]{1,18}(?:, [0-9]{1,18})*,?)?\), \} *\n"
)
# The longest header of 64 axes, numpy's most, is shorter.
_NPY_HEADER_BYTES: Final = 2048
_KINDS: Final = frozenset("biufcSU")
# numpy 1's most axes, and the bytes that an array's non-empty axes may span.
_AXES: Final = 32
_SPAN: Final = 1 << 40
# From here on a buffer is sent and received without a copy; below, copies cost less than calls.
_LARGE: Final = 1 << 16
# Small buffers that follow each other are received together, this many bytes at a time.
_RUN: Final = 1 << 20
# Shorter lists stay readable JSON.
_PACK_FROM: Final = 16
# Keys of one kind can be chosen to collide in a dict (ints, floats, tuples; str is salted):
# this many cost a second at worst.
_UNSALTED_KEYS: Final = 10_000
# An ndarray of a list takes as much memory as so many floats of one.
_ITEMS_OF_ARRAY: Final = 4
# Text of an int in hexadecimal: 2**20 bits.
_INT_DIGITS: Final = 1 << 18
_LAST_CODE_POINT: Final = 0x10FFFF
_TYPE_NAME_CHARS: Final = 200

Buffer = bytes | bytearray | memoryview


class MalformedFrame(Exception):
    """What came is no legal frame."""


class TooLarge(Exception):
    """A value holds more bytes or items than a frame may."""


@dataclass(frozen=True)
class Handle:
    """What stands for an object that stays in the student's process.

    id : the process's own number for it
    type_name : of the object's class, as the process says it
    """

    id: int
    type_name: str


@dataclass(frozen=True)
class Limits:
    """What a frame may hold.

    size : bytes, all parts together; a number of an array counts as float64 at least, since that
        is what a check makes of it
    items : elements of lists, tuples and dicts, and buffers, all together
    nodes : elements of the JSON text, as far as brackets and commas tell
    depth : of lists in lists
    """

    size: int = 256 << 20
    items: int = 1 << 22
    nodes: int = 1 << 20
    depth: int = 64


def _no_handles(value: Any) -> Handle:
    raise TypeError(f"a {type(value).__name__} can't be sent")


def _refuse_handle(handle: Handle) -> Any:
    raise MalformedFrame("a handle where none is known")


# --- encoding ---------------------------------------------------------------------------


def encode(
    value: Any,
    *,
    keep: Callable[[Any], Handle | ndarray] = _no_handles,
    limits: Limits = Limits(),
) -> list[Buffer]:
    """Return the frame's bytes, in pieces to be sent in order.

    Large contiguous arrays are not copied: send the pieces before the arrays change.
    keep : gives the handle of what is no plain value (or is nested too deeply), or an array
        that says the same, or raises
    Raises TooLarge, and what `keep` raises.
    """
    encoder = _Encoder(keep, limits)
    text = "".join(_json_pieces(encoder.node(value, 0), 0)).encode("ascii")
    lengths = [sum(len(part) for part in parts) for parts in encoder.buffers]
    head = _HEADER.pack(_MAGIC, VERSION, 0, len(lengths), len(text))
    table = pack(f"<{len(lengths)}Q", *lengths)
    if len(head) + len(table) + len(text) + sum(lengths) > limits.size:
        raise TooLarge(f"more than {limits.size >> 20} MiB")
    if _nodes(text) > limits.nodes:
        raise TooLarge(f"more than {limits.nodes} items")
    pieces: list[Buffer] = []
    small: list[Buffer] = [head, table, text]
    for parts in encoder.buffers:
        for part in parts:
            if len(part) < _LARGE:
                small.append(part)
            else:
                pieces += [b"".join(small), part]
                small = []
    if small:
        pieces.append(b"".join(small))
    return pieces


def _no_json(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} in a frame's tree")


# The C halves of json, without the Python around them, which asks builtins.isinstance: they give
# pieces of text, and an object with the place where its text ends.
_json_pieces = c_make_encoder(
    None, _no_json, encode_basestring_ascii, None, ":", ",", False, False, True
)
_json_object = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _scalar_types() -> frozenset[type]:
    """numpy's own scalar types of the kinds that travel."""
    return frozenset(kind for kind in np.sctypeDict.values() if dtype(kind).kind in _KINDS)


_SCALARS: Final = _scalar_types()
_NUMBERS: Final = frozenset(kind for kind in _SCALARS if dtype(kind).kind not in "SU")
_LITERALS: Final = frozenset((type(None), bool, float))


class _Encoder:
    def __init__(self, keep: Callable[[Any], Handle | ndarray], limits: Limits) -> None:
        self.buffers: list[list[Buffer]] = []
        self._keep = keep
        self._limits = limits
        self._items = 0
        self._size = 0
        self._unsalted_keys = 0

    def node(self, value: Any, depth: int) -> Any:
        """The JSON of a value. Looks at exact types alone: a class can lie about the rest."""
        kind = type(value)
        if kind in _LITERALS:
            return value
        if kind is ndarray:
            return self._array(value, "a")
        if kind is int:
            return self._int(value)
        if kind is str:
            self._add_size(len(value))
            return value
        if kind in _SCALARS:
            return self._array(array(value), "s")
        if kind is list:
            return self._list(value, depth) if depth < self._limits.depth else self._handle(value)
        if kind is tuple:
            if depth >= self._limits.depth:
                return self._handle(value)
            return {"t": self._list(list(value), depth)}
        if kind is dict:
            return self._dict(value, depth)
        if kind is complex:
            return {"c": [value.real, value.imag]}
        if kind is bytes:
            return self._array(frombuffer(value, uint8), "b")
        if kind is Handle:
            return {"h": [value.id, value.type_name]}
        base = base_value(value)
        return self._handle(value) if base is value else self.node(base, depth)

    def _handle(self, value: Any) -> Any:
        kept = self._keep(value)
        if not isinstance(kept, Handle):
            return self._array(kept, "a")
        return {"h": [kept.id, kept.type_name]}

    def _int(self, value: int) -> Any:
        if -(1 << 63) <= value < 1 << 64:
            return value
        if value.bit_length() > 4 * (_INT_DIGITS - 4):
            return self._handle(value)
        return {"i": hex(value)}

    def _list(self, items: list[Any], depth: int) -> Any:
        self._add_items(len(items))
        if len(items) >= _PACK_FROM:
            packed = _packed(items)
            if packed is not None:
                if packed[1] == "A":
                    self._add_items(_ITEMS_OF_ARRAY * len(items))
                return self._array(*packed)
            columns = _columns(items)
            if columns and depth + 1 < self._limits.depth:
                return {"z": [self._list(column, depth + 1) for column in columns]}
        return [self.node(item, depth + 1) for item in items]

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        unsalted = sum(type(key) is not str for key in value)
        if depth >= self._limits.depth or self._unsalted_keys + unsalted > _UNSALTED_KEYS:
            return self._handle(value)
        self._unsalted_keys += unsalted
        return {"d": [self._list(list(value), depth), self._list(list(value.values()), depth)]}

    def _array(self, value: ndarray, tag: str) -> Any:
        layout = value.dtype
        if layout.kind not in _KINDS or layout.names is not None:
            return self._handle(value)
        if not layout.itemsize:  # dtype U0: an array of empty strings without bytes
            value = value.astype(layout.kind + "1")
            layout = value.dtype
        # Before any copy: a broadcast array can claim more bytes than there is memory.
        self._add_size(_bytes_as_float64(layout, value.size))
        self._add_items(1)
        fortran = value.flags.fnc
        header = npy_header(layout.str, fortran, value.shape)
        if value.nbytes < _LARGE:
            self.buffers.append([header, value.tobytes("F" if fortran else "C")])
        else:
            # A view of bytes: memoryview knows no text and no foreign byte order.
            straight = value.T if fortran else value
            if not straight.flags.c_contiguous:
                straight = straight.copy("C")
            self.buffers.append([header, straight.reshape(-1).view(uint8).data])
        return {tag: len(self.buffers) - 1}

    def _add_size(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.size:
            raise TooLarge(f"more than {self._limits.size >> 20} MiB")

    def _add_items(self, count: int) -> None:
        self._items += count
        if self._items > self._limits.items:
            raise TooLarge(f"more than {self._limits.items} items")


def _packed(items: list[Any]) -> tuple[ndarray, str] | None:
    """One array that holds all items, and its tag; None where they are of no one kind."""
    kinds = set(map(type, items))
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind is float:
        return array(items, float64), "l"
    if kind is bool:
        return array(items, bool_), "l"
    if kind is int:
        try:
            return array(items, int64), "l"
        except OverflowError:
            return None
    if kind in _NUMBERS:
        return array(items, dtype(kind)), "L"
    if kind is ndarray:
        return _stacked(items)
    return None


def _columns(items: list[Any]) -> list[list[Any]]:
    """The columns of a list of tuples of one length; none where it is no such list."""
    if set(map(type, items)) != {tuple} or len(set(map(len, items))) != 1:
        return []
    return [list(column) for column in zip(*items, strict=True)]


def _stacked(arrays: list[ndarray]) -> tuple[ndarray, str] | None:
    shape, layout = arrays[0].shape, arrays[0].dtype
    if not 0 < len(shape) < _AXES or layout.kind not in _KINDS or not layout.itemsize:
        return None
    if arrays[0].nbytes >= _LARGE or any(
        one.shape != shape or one.dtype != layout for one in arrays
    ):
        return None
    return array(arrays, layout), "A"


def base_value(value: Any) -> Any:
    """The plain value inside an instance of a subclass; the very same object where there is none.

    Goes by C-level methods of the base alone, none that the subclass may override.
    """
    kind = type(value)
    if issubclass(kind, ndarray):
        return ndarray.view(value, ndarray) if kind is not ndarray else value
    if kind in _BASES or issubclass(kind, generic):
        return value
    for base, plain in _BASES.items():
        if issubclass(kind, base):
            return plain(value)
    return value


def _plain_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    return dict(zip(dict.keys(value), dict.values(value), strict=True))


_BASES: Final[dict[type, Callable[[Any], Any]]] = {
    int: lambda value: int.__pos__(value),
    float: lambda value: float.__pos__(value),
    complex: lambda value: complex.__pos__(value),
    str: lambda value: str.__str__(value),
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    dict: _plain_dict,
}


@lru_cache(maxsize=1024)
def npy_header(descr: str, fortran: bool, shape: tuple[int, ...]) -> bytes:
    """Return the first bytes of a .npy file, version 1.0, up to its data.

    Source: numpy.lib.format, "Format Version 1.0".
    """
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    unpadded = _NPY_START.size + len(text) + 1
    text += " " * (-unpadded % 64) + "\n"
    return _NPY_START.pack(_NPY_MAGIC, 1, 0, len(text)) + text.encode("ascii")


# --- decoding ---------------------------------------------------------------------------


def decode(
    fill: Callable[[memoryview], None],
    *,
    handle: Callable[[Handle], Any] = _refuse_handle,
    limits: Limits = Limits(),
) -> Any:
    """Return the value of the next frame. Its arrays are writable, and nobody else's.

    fill : fills a memoryview with the next bytes of the stream, whole, or raises
    handle : what stands for a handle
    Raises MalformedFrame, and what `fill` and `handle` raise.
    """
    head = bytearray(_HEADER.size)
    fill(memoryview(head))
    magic, version, reserved, count, text_size = _HEADER.unpack(head)
    if magic != _MAGIC or version != VERSION or reserved:
        raise MalformedFrame("no frame of this version starts here")
    if count > limits.items or 8 * count + text_size > limits.size:
        raise MalformedFrame("more than a frame may hold")
    table = bytearray(8 * count)
    fill(memoryview(table))
    lengths = unpack(f"<{count}Q", table)
    if len(head) + len(table) + text_size + sum(lengths) > limits.size:
        raise MalformedFrame("more than a frame may hold")
    text = bytearray(text_size)
    fill(memoryview(text))
    tree = _parse(text, limits)
    arrays = _read_buffers(fill, lengths, _Room(limits.size))
    return _Decoder(arrays, handle, limits).whole(tree)


def decode_bytes(
    data: Buffer,
    *,
    handle: Callable[[Handle], Any] = _refuse_handle,
    limits: Limits = Limits(),
) -> Any:
    """Return the value of the one frame that `data` holds; as `decode`."""
    rest = memoryview(data)

    def fill(target: memoryview) -> None:
        nonlocal rest
        if len(target) > len(rest):
            raise MalformedFrame("the frame ends too early")
        target[:] = rest[: len(target)]
        rest = rest[len(target) :]

    value = decode(fill, handle=handle, limits=limits)
    if rest:
        raise MalformedFrame("bytes after the frame's end")
    return value


def _nodes(text: bytes | bytearray) -> int:
    """How many objects a parser would make at most, told without making one.

    Each element but a container's first follows a comma, each container opens a bracket.
    """
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _parse(text: bytearray, limits: Limits) -> Any:
    if _nodes(text) > limits.nodes:
        raise MalformedFrame("more items than a frame may hold")
    try:
        tree, end = _json_object(text.decode("ascii"), 0)
    except (ValueError, StopIteration, RecursionError) as error:
        raise MalformedFrame("the text is no JSON") from error
    if end != len(text):
        raise MalformedFrame("the text is more than JSON")
    return tree


class _Room:
    """What the arrays of one frame may hold, told by their headers, before they are read."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, layout: _Layout) -> None:
        """Raises MalformedFrame where there is no room for such an array."""
        self._left -= _bytes_as_float64(layout.dtype, prod(layout.shape))
        if self._left < 0:
            raise MalformedFrame("larger arrays than a frame may hold")


def _bytes_as_float64(layout: dtype, count: int) -> int:
    """How many bytes so many elements of a dtype have at least once a check computes with them."""
    return count * (layout.itemsize if layout.kind in "SU" else max(layout.itemsize, 8))


def _read_buffers(
    fill: Callable[[memoryview], None], lengths: Sequence[int], room: _Room
) -> list[ndarray]:
    arrays: list[ndarray] = []
    index = 0
    while index < len(lengths):
        if lengths[index] >= _LARGE:
            arrays.append(_read_large(fill, lengths[index], room))
            index += 1
            continue
        start, size = index, 0
        while index < len(lengths) and lengths[index] < _LARGE and size < _RUN:
            size += lengths[index]
            index += 1
        run = bytearray(size)
        fill(memoryview(run))
        offset = 0
        for length in lengths[start:index]:
            arrays.append(_read_small(run, offset, length, room))
            offset += length
    return arrays


def _read_small(run: bytearray, offset: int, length: int, room: _Room) -> ndarray:
    if length < _NPY_START.size:
        raise MalformedFrame("a buffer is no .npy file")
    data = _NPY_START.size + (run[offset + 8] | run[offset + 9] << 8)
    if data > length:
        raise MalformedFrame("a .npy header is longer than its buffer")
    layout = _layout(bytes(run[offset : offset + data]))
    if data + layout.size != length:
        raise MalformedFrame("a .npy buffer holds other than its header says")
    room.take(layout)
    # The copy owns its data (so that `resize` works on it) and aligns it.
    value = ndarray(layout.shape, layout.dtype, run, offset + data, None, layout.order).copy("K")
    return _sound(value)


def _read_large(fill: Callable[[memoryview], None], length: int, room: _Room) -> ndarray:
    start = bytearray(_NPY_START.size)
    fill(memoryview(start))
    header = bytearray(start[8] | start[9] << 8)
    fill(memoryview(header))
    layout = _layout(bytes(start + header))
    if len(start) + len(header) + layout.size != length:
        raise MalformedFrame("a .npy buffer holds other than its header says")
    room.take(layout)
    value = empty(layout.shape, layout.dtype, layout.order)
    fill(value.reshape(-1, order="A").view(uint8).data)
    return _sound(value)


def _sound(value: ndarray) -> ndarray:
    """Return the same array. Raises MalformedFrame where it holds text of what is no code point.

    numpy itself does not look: such a text ends in a SystemError wherever it is read.
    """
    if value.dtype.kind == "U" and value.size:
        points = value.reshape(-1, order="A").view(value.dtype.byteorder + "u4")
        if points.max() > _LAST_CODE_POINT:
            raise MalformedFrame("a text that holds no code point")
    return value


@dataclass(frozen=True)
class _Layout:
    dtype: dtype
    shape: tuple[int, ...]
    order: Any  # "C" | "F"
    size: int  # bytes of data


@lru_cache(maxsize=4096)
def _layout(header: bytes) -> _Layout:
    """Read all of a .npy file that stands before its data."""
    magic, major, minor, _ = _NPY_START.unpack_from(header)
    text = _NPY_HEADER.fullmatch(header, _NPY_START.size)
    if (
        magic != _NPY_MAGIC
        or (major, minor) != (1, 0)
        or len(header) > _NPY_HEADER_BYTES
        or not text
    ):
        raise MalformedFrame("a buffer is no .npy file of plain numbers or text")
    descr, fortran, axes = text.groups()
    shape = tuple(int(axis) for axis in (axes or b"").split(b",") if axis)
    try:
        layout = dtype(descr.decode("ascii"))
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedFrame("a .npy header names no dtype") from error
    if layout.kind not in _KINDS or not layout.itemsize:
        raise MalformedFrame("a .npy header names a dtype that does not travel")
    # An empty array of impossible axes holds no bytes, yet breaks what is built like it.
    if len(shape) > _AXES or prod(axis or 1 for axis in shape) * layout.itemsize > _SPAN:
        raise MalformedFrame("a .npy header names an impossible array")
    size = prod(shape) * layout.itemsize
    return _Layout(layout, shape, "F" if fortran == b"True" else "C", size)


class _Decoder:
    def __init__(
        self, arrays: list[ndarray], handle: Callable[[Handle], Any], limits: Limits
    ) -> None:
        self._arrays: list[ndarray | None] = [*arrays]
        self._handle = handle
        self._limits = limits
        self._items = 0
        self._unsalted_keys = 0

    def whole(self, tree: Any) -> Any:
        value = self._value(tree, 0)
        if any(one is not None for one in self._arrays):
            raise MalformedFrame("a buffer that nothing names")
        return value

    def _value(self, node: Any, depth: int) -> Any:
        kind = type(node)
        if kind is list:
            return self._list(node, depth)
        if kind is not dict:
            return node
        if len(node) != 1:
            raise MalformedFrame("an object with more than a tag")
        ((tag, content),) = node.items()
        if tag == "a":
            return self._array(content)
        if tag == "t":
            return tuple(self._list(content, depth))
        if tag == "d":
            return self._dict(content, depth)
        if tag == "s":
            value = self._array(content)
            if value.shape != ():
                raise MalformedFrame("a scalar with a shape")
            return value[()]
        if tag == "b":
            value = self._array(content)
            if value.dtype != uint8 or value.ndim != 1:
                raise MalformedFrame("bytes that are none")
            return value.tobytes()
        if tag in _LIST_TAGS:
            return self._list(node, depth)
        if tag == "c":
            return _complex(content)
        if tag == "i":
            return _long(content)
        if tag == "h":
            return self._handle(_handle(content))
        raise MalformedFrame("an unknown tag")

    def _list(self, node: Any, depth: int) -> list[Any]:
        if type(node) is dict and len(node) == 1 and node.keys() <= _LIST_TAGS:
            ((tag, content),) = node.items()
            if tag == "z":
                return self._zipped(content, depth)
            return self._packed_list(tag, content, depth)
        if type(node) is not list:
            raise MalformedFrame("no list where one is due")
        if depth >= self._limits.depth:
            raise MalformedFrame("nested too deeply")
        self._add_items(len(node))
        return [self._value(item, depth + 1) for item in node]

    def _packed_list(self, tag: str, content: Any, depth: int) -> list[Any]:
        value = self._array(content)
        if depth >= self._limits.depth:
            raise MalformedFrame("nested too deeply")
        if not value.ndim or (value.ndim == 1) == (tag == "A"):
            raise MalformedFrame("a packed list that is none")
        self._add_items(len(value))
        if tag == "A":
            # An array is larger than a number, however little it holds.
            self._add_items(_ITEMS_OF_ARRAY * len(value))
            return [one.copy() for one in value]
        if value.dtype.kind in "SU":
            raise MalformedFrame("a packed list of text")
        if tag == "L":
            return list(value)
        if value.dtype.str not in _PACKED_AS_PYTHON:
            raise MalformedFrame("a packed list of another kind")
        return value.tolist()

    def _zipped(self, content: Any, depth: int) -> list[Any]:
        if type(content) is not list or not content or depth + 1 >= self._limits.depth:
            raise MalformedFrame("columns that are none")
        columns = [self._list(column, depth + 1) for column in content]
        if len(set(map(len, columns))) != 1:
            raise MalformedFrame("columns of several lengths")
        return list(zip(*columns, strict=True))

    def _dict(self, content: Any, depth: int) -> dict[Any, Any]:
        if type(content) is not list or len(content) != 2:
            raise MalformedFrame("a dict that is none")
        keys, values = (self._list(half, depth) for half in content)
        self._unsalted_keys += sum(type(key) is not str for key in keys)
        if len(keys) != len(values) or self._unsalted_keys > _UNSALTED_KEYS:
            raise MalformedFrame("a dict that is none")
        try:
            return dict(zip(keys, values, strict=True))
        except TypeError as error:
            raise MalformedFrame("a key that can't be one") from error

    def _array(self, index: Any) -> ndarray:
        if type(index) is not int or not 0 <= index < len(self._arrays):
            raise MalformedFrame("no such buffer")
        value = self._arrays[index]
        if value is None:
            raise MalformedFrame("a buffer named twice")
        self._arrays[index] = None
        self._add_items(1)
        return value

    def _add_items(self, count: int) -> None:
        self._items += count
        if self._items > self._limits.items:
            raise MalformedFrame("more items than a frame may hold")


_LIST_TAGS: Final = frozenset(("l", "L", "A", "z"))
_PACKED_AS_PYTHON: Final = frozenset((dtype(float64).str, dtype(int64).str, dtype(bool_).str))


def _complex(content: Any) -> complex:
    if type(content) is not list or [type(part) for part in content] != [float, float]:
        raise MalformedFrame("a complex number that is none")
    return complex(*content)


def _long(content: Any) -> int:
    if type(content) is not str or len(content) > _INT_DIGITS:
        raise MalformedFrame("an int that is none")
    try:
        return int(content, 16)
    except ValueError as error:
        raise MalformedFrame("an int that is none") from error


def _handle(content: Any) -> Handle:
    if type(content) is not list or [type(part) for part in content] != [int, str]:
        raise MalformedFrame("a handle that is none")
    identity, type_name = content
    if not 0 <= identity < 1 << 31 or len(type_name) > _TYPE_NAME_CHARS:
        raise MalformedFrame("a handle that is none")
    return Handle(identity, type_name)
