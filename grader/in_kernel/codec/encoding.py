"""Encodes values as the bytes of a frame."""

from __future__ import annotations

import builtins
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from struct import pack
from typing import Any, Final

import numpy as np
from numpy import array, bool_, dtype, float64, frombuffer, int64, ndarray, uint8

from grader.in_kernel.codec.bases import base_value
from grader.in_kernel.codec.forms import HASHED, apart
from grader.in_kernel.codec.limits import (
    DEFAULT_LIMITS,
    HEADER,
    INT_DIGITS,
    ITEMS_OF_ARRAY,
    KINDS,
    LARGE,
    MAGIC,
    UNSALTED_KEYS,
    VERSION,
    Buffer,
    Function,
    Handle,
    Keep,
    Limits,
    TooLarge,
    no_handles,
    nodes_of,
)
from grader.in_kernel.codec.npy import AXES, bytes_as_float64, npy_header, span_of

globals()["__builtins__"] = dict(vars(builtins))

# Shorter lists stay readable JSON.
PACK_FROM: Final = 16


def encode(
    value: Any,
    *,
    keep: Keep = no_handles,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Buffer]:
    """Return the frame's bytes, in pieces to be sent in order.

    Large contiguous arrays are not copied: send the pieces before the arrays change.
    keep : returns a handle, a function's record or an array that stands for a value that is not
        plain (or is nested too deeply), or raises
    Raises TooLarge, and what `keep` raises.
    """
    encoder = Encoder(keep, limits)
    text = "".join(_json_pieces(encoder.node(value, 0), 0)).encode("ascii")
    # A text never has more nodes than bytes.
    if len(text) > limits.nodes and nodes_of(text) > limits.nodes:
        raise TooLarge(f"more than {limits.nodes} items")
    if not encoder.buffers:
        if HEADER.size + len(text) > limits.size:
            raise TooLarge(f"more than {limits.size >> 20} MiB")
        return [HEADER.pack(MAGIC, VERSION, 0, 0, len(text)) + text]
    lengths = [sum(len(part) for part in parts) for parts in encoder.buffers]
    head = HEADER.pack(MAGIC, VERSION, 0, len(lengths), len(text))
    table = pack(f"<{len(lengths)}Q", *lengths)
    if len(head) + len(table) + len(text) + sum(lengths) > limits.size:
        raise TooLarge(f"more than {limits.size >> 20} MiB")
    pieces: list[Buffer] = []
    small: list[Buffer] = [head, table, text]
    for parts in encoder.buffers:
        for part in parts:
            if len(part) < LARGE:
                small.append(part)
            else:
                pieces += [b"".join(small), part]
                small = []
    if small:
        pieces.append(b"".join(small))
    return pieces


def _no_json(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} in a frame's tree")


# json's C function, without its Python code, which calls builtins.isinstance.
_json_pieces = c_make_encoder(
    None, _no_json, encode_basestring_ascii, None, ":", ",", False, False, True
)


def _scalar_types() -> frozenset[type]:
    """Return numpy's scalar types of the kinds that are sent."""
    return frozenset(kind for kind in np.sctypeDict.values() if dtype(kind).kind in KINDS)


_SCALARS: Final = _scalar_types()
_NUMBERS: Final = frozenset(kind for kind in _SCALARS if dtype(kind).kind not in "SU")
_COMMON: Final = frozenset((float64, int64, bool_))
_LITERALS: Final = frozenset((type(None), bool, float))


class Encoder:
    def __init__(self, keep: Keep, limits: Limits) -> None:
        self.buffers: list[list[Buffer]] = []
        self._keep = keep
        self._limits = limits
        self._items = 0
        self._size = 0
        self._unsalted_keys = 0
        self._too_deep = 0

    def node(self, value: Any, depth: int) -> Any:
        """Return the JSON of a value. Uses only exact types: a class can lie about the rest."""
        kind = type(value)
        if kind in _LITERALS:
            return value
        if kind is ndarray:
            return self._array(value, "a", depth)
        if kind is int:
            return self._int(value)
        if kind is str:
            self._add_size(len(value))
            return value
        if kind in _COMMON:
            return {"n": value.item()}
        if kind in _SCALARS:
            return self._array(array(value), "s")
        if kind is list:
            return self._list(value, depth) if depth < self._limits.depth else self._cut(value)
        if kind is tuple:
            if depth >= self._limits.depth:
                return self._cut(value)
            return {"t": self._list(list(value), depth)}
        if kind is dict:
            return self._dict(value, depth)
        if kind is complex:
            return {"c": [value.real, value.imag]}
        if kind is bytes:
            return self._array(frombuffer(value, uint8), "b")
        if kind is Handle:
            return {"h": [value.id, value.type_name]}
        if kind is Function:
            return _function(value)
        form = self._form(value, depth)
        if form is not None:
            return form
        base = base_value(value)
        return self._handle(value) if base is value else self.node(base, depth)

    def _form(self, value: Any, depth: int) -> Any:
        """Return the JSON of a value's form, or of its handle; None if it has no form."""
        form = apart(value)
        if form is None:
            return None
        if depth + 1 >= self._limits.depth:
            return self._cut(value)
        name, contents = form
        if name in HASHED:
            unsalted = sum(type(one) is not str for one in contents)
            if self._unsalted_keys + unsalted > UNSALTED_KEYS:
                return None
            self._unsalted_keys += unsalted
        buffers, too_deep = len(self.buffers), self._too_deep
        node = self.node(contents, depth + 1)
        if self._too_deep > too_deep:  # nothing is built from a handle
            del self.buffers[buffers:]
            return self._handle(value)
        return {"v": [name, node]}

    def _cut(self, value: Any) -> Any:
        self._too_deep += 1
        return self._handle(value)

    def _handle(self, value: Any) -> Any:
        kept = self._keep(value)
        if isinstance(kept, Handle):
            return {"h": [kept.id, kept.type_name]}
        if isinstance(kept, Function):
            return _function(kept)
        return self._array(kept, "a")

    def _int(self, value: int) -> Any:
        if -(1 << 63) <= value < 1 << 64:
            return value
        if value.bit_length() > 4 * (INT_DIGITS - 4):
            return self._handle(value)
        return {"i": hex(value)}

    def _list(self, items: list[Any], depth: int) -> Any:
        self._add_items(len(items))
        if len(items) >= PACK_FROM:
            packed = _packed(items)
            if packed is not None:
                if packed[1] == "A":
                    self._add_items(ITEMS_OF_ARRAY * len(items))
                return self._array(*packed)
            columns = _columns(items)
            if columns and depth + 1 < self._limits.depth:
                return {"z": [self._list(column, depth + 1) for column in columns]}
        return [self.node(item, depth + 1) for item in items]

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        unsalted = sum(type(key) is not str for key in value)
        if depth >= self._limits.depth:
            return self._cut(value)
        if self._unsalted_keys + unsalted > UNSALTED_KEYS:
            return self._handle(value)
        self._unsalted_keys += unsalted
        return {"d": [self._list(list(value), depth), self._list(list(value.values()), depth)]}

    def _array(self, value: ndarray, tag: str, depth: int = 0) -> Any:
        layout = value.dtype
        if layout.kind not in KINDS or layout.names is not None:
            return self._form(value, depth) or self._handle(value)
        if not layout.itemsize:  # dtype U0: an array of empty strings without bytes
            value = value.astype(layout.kind + "1")
            layout = value.dtype
        # Checked before any copy: a broadcast array can claim more bytes than there is memory.
        self._add_size(bytes_as_float64(layout, value.size or span_of(value.shape)))
        self._add_items(1)
        fortran = value.flags.fnc
        header = npy_header(layout.str, fortran, value.shape)
        if value.nbytes < LARGE:
            self.buffers.append([header, value.tobytes("F" if fortran else "C")])
        else:
            # A view of bytes: memoryview supports neither text nor foreign byte orders.
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
    """Return one array that holds all items, and its tag; None if their types differ."""
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
    """Return the columns of a list of tuples of one length; [] for any other list."""
    if set(map(type, items)) != {tuple} or len(set(map(len, items))) != 1:
        return []
    return [list(column) for column in zip(*items, strict=True)]


def _stacked(arrays: list[ndarray]) -> tuple[ndarray, str] | None:
    shape, layout = arrays[0].shape, arrays[0].dtype
    if not 0 < len(shape) < AXES or layout.kind not in KINDS or not layout.itemsize:
        return None
    if arrays[0].nbytes >= LARGE or any(
        one.shape != shape or one.dtype != layout for one in arrays
    ):
        return None
    return array(arrays, layout), "A"


def _function(function: Function) -> Any:
    known = function.parameters
    parameters = None if known is None else [[*parameter] for parameter in known]
    return {"f": [function.id, function.name, function.binds, parameters]}
