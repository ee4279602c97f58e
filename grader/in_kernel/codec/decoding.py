"""Decodes the bytes of a frame to values, or raises MalformedFrame."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from struct import unpack
from typing import Any, Final

from numpy import bool_, dtype, float64, int64, ndarray, uint8

from grader.in_kernel.codec.forms import HASHED, built
from grader.in_kernel.codec.limits import (
    DEFAULT_LIMITS,
    HEADER,
    INT_DIGITS,
    ITEMS_OF_ARRAY,
    MAGIC,
    TYPE_NAME_CHARS,
    UNSALTED_KEYS,
    VERSION,
    Buffer,
    Function,
    Handle,
    Limits,
    MalformedFrame,
    Resolve,
    nodes_of,
    refuse_handle,
)
from grader.in_kernel.codec.npy import Room, read_buffers

globals()["__builtins__"] = dict(vars(builtins))

# json's C function, without its Python code, which calls builtins.isinstance. It returns an object
# and the index where its text ends.
_json_object = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def decode(
    fill: Callable[[memoryview], None],
    *,
    handle: Resolve = refuse_handle,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """Return the value of the next frame. Its arrays are writable, and not shared.

    fill : fills the whole memoryview with the next bytes of the stream, or raises
    handle : returns the object that a handle or a function's record stands for
    Raises MalformedFrame, and what `fill` and `handle` raise.
    """
    head = bytearray(HEADER.size)
    fill(memoryview(head))
    magic, version, reserved, count, text_size = HEADER.unpack(head)
    if magic != MAGIC or version != VERSION or reserved:
        raise MalformedFrame("not the start of a frame of this version")
    if count > limits.items or 8 * count + text_size > limits.size:
        raise MalformedFrame("more than a frame may have")
    lengths: tuple[int, ...] = ()
    if count:
        table = bytearray(8 * count)
        fill(memoryview(table))
        lengths = unpack(f"<{count}Q", table)
    if len(head) + 8 * count + text_size + sum(lengths) > limits.size:
        raise MalformedFrame("more than a frame may have")
    text = bytearray(text_size)
    fill(memoryview(text))
    tree = _parse(text, limits)
    arrays = read_buffers(fill, lengths, Room(limits.size))
    return _Decoder(arrays, handle, limits).whole(tree)


def decode_bytes(
    data: Buffer,
    *,
    handle: Resolve = refuse_handle,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """Return the value of the only frame in `data`; see `decode`."""
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


def _parse(text: bytearray, limits: Limits) -> Any:
    # A text never has more nodes than bytes.
    if len(text) > limits.nodes and nodes_of(text) > limits.nodes:
        raise MalformedFrame("more items than a frame may have")
    try:
        tree, end = _json_object(text.decode("ascii"), 0)
    except (ValueError, StopIteration, RecursionError) as error:
        raise MalformedFrame("the text is not JSON") from error
    if end != len(text):
        raise MalformedFrame("text after the JSON")
    return tree


class _Decoder:
    def __init__(self, arrays: list[ndarray], handle: Resolve, limits: Limits) -> None:
        self._arrays: list[ndarray | None] = [*arrays]
        self._handle = handle
        self._limits = limits
        self._items = 0
        self._unsalted_keys = 0

    def whole(self, tree: Any) -> Any:
        value = self._value(tree, 0)
        if any(one is not None for one in self._arrays):
            raise MalformedFrame("a buffer that is never used")
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
        if tag == "n":
            return _scalar(content)
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
                raise MalformedFrame("not valid bytes")
            return value.tobytes()
        if tag in _LIST_TAGS:
            return self._list(node, depth)
        if tag == "c":
            return _complex(content)
        if tag == "i":
            return _long(content)
        if tag == "h":
            return self._handle(_handle(content))
        if tag == "v":
            return self._form(content, depth)
        if tag == "f":
            return self._handle(_function(content))
        raise MalformedFrame("an unknown tag")

    def _form(self, content: Any, depth: int) -> Any:
        if type(content) is not list or len(content) != 2 or depth >= self._limits.depth:
            raise MalformedFrame("not a valid form")
        name, contents = content[0], self._value(content[1], depth + 1)
        if type(name) is str and name in HASHED and type(contents) is list:
            self._unsalted_keys += sum(type(one) is not str for one in contents)
            if self._unsalted_keys > UNSALTED_KEYS:
                raise MalformedFrame("not a valid set")
        return built(name, contents)

    def _list(self, node: Any, depth: int) -> list[Any]:
        if type(node) is dict and len(node) == 1 and node.keys() <= _LIST_TAGS:
            ((tag, content),) = node.items()
            if tag == "z":
                return self._zipped(content, depth)
            return self._packed_list(tag, content, depth)
        if type(node) is not list:
            raise MalformedFrame("not a list")
        if depth >= self._limits.depth:
            raise MalformedFrame("nested too deeply")
        self._add_items(len(node))
        return [self._value(item, depth + 1) for item in node]

    def _packed_list(self, tag: str, content: Any, depth: int) -> list[Any]:
        value = self._array(content)
        if depth >= self._limits.depth:
            raise MalformedFrame("nested too deeply")
        if not value.ndim or (value.ndim == 1) == (tag == "A"):
            raise MalformedFrame("not a valid packed list")
        self._add_items(len(value))
        if tag == "A":
            # Even an empty array takes more memory than a number.
            self._add_items(ITEMS_OF_ARRAY * len(value))
            return [one.copy() for one in value]
        if value.dtype.kind in "SU":
            raise MalformedFrame("a packed list of text")
        if tag == "L":
            return list(value)
        if value.dtype.str not in _PACKED_AS_PYTHON:
            raise MalformedFrame("a packed list of another dtype")
        items: list[Any] = value.tolist()
        return items

    def _zipped(self, content: Any, depth: int) -> list[Any]:
        if type(content) is not list or not content or depth + 1 >= self._limits.depth:
            raise MalformedFrame("not valid columns")
        columns = [self._list(column, depth + 1) for column in content]
        if len(set(map(len, columns))) != 1:
            raise MalformedFrame("columns of several lengths")
        return list(zip(*columns, strict=True))

    def _dict(self, content: Any, depth: int) -> dict[Any, Any]:
        if type(content) is not list or len(content) != 2:
            raise MalformedFrame("not a valid dict")
        keys, values = (self._list(half, depth) for half in content)
        self._unsalted_keys += sum(type(key) is not str for key in keys)
        if len(keys) != len(values) or self._unsalted_keys > UNSALTED_KEYS:
            raise MalformedFrame("not a valid dict")
        try:
            return dict(zip(keys, values, strict=True))
        except TypeError as error:
            raise MalformedFrame("a dict key that can't be hashed") from error

    def _array(self, index: Any) -> ndarray:
        if type(index) is not int or not 0 <= index < len(self._arrays):
            raise MalformedFrame("no such buffer")
        value = self._arrays[index]
        if value is None:
            raise MalformedFrame("a buffer used twice")
        self._arrays[index] = None
        self._add_items(1)
        return value

    def _add_items(self, count: int) -> None:
        self._items += count
        if self._items > self._limits.items:
            raise MalformedFrame("more items than a frame may have")


_LIST_TAGS: Final = frozenset(("l", "L", "A", "z"))
_PACKED_AS_PYTHON: Final = frozenset((dtype(float64).str, dtype(int64).str, dtype(bool_).str))


def _scalar(content: Any) -> Any:
    made = _COMMON.get(type(content))
    if made is None or (made is int64 and not -(1 << 63) <= content < 1 << 63):
        raise MalformedFrame("not a valid scalar")
    return made(content)


_COMMON: Final[dict[type, Any]] = {float: float64, int: int64, bool: bool_}


def _complex(content: Any) -> complex:
    if type(content) is not list or [type(part) for part in content] != [float, float]:
        raise MalformedFrame("not a valid complex number")
    return complex(*content)


def _long(content: Any) -> int:
    if type(content) is not str or len(content) > INT_DIGITS:
        raise MalformedFrame("not a valid int")
    try:
        return int(content, 16)
    except ValueError as error:
        raise MalformedFrame("not a valid int") from error


def _handle(content: Any) -> Handle:
    if type(content) is not list or [type(part) for part in content] != [int, str]:
        raise MalformedFrame("not a valid handle")
    identity, type_name = content
    if not 0 <= identity < 1 << 31 or len(type_name) > TYPE_NAME_CHARS:
        raise MalformedFrame("not a valid handle")
    return Handle(identity, type_name)


_FUNCTION: Final = (int, str, bool)


def _function(content: Any) -> Function:
    if type(content) is not list or tuple(type(part) for part in content[:3]) != _FUNCTION:
        raise MalformedFrame("not a valid function")
    if len(content) != 4 or not 0 <= content[0] < 1 << 31 or len(content[1]) > TYPE_NAME_CHARS:
        raise MalformedFrame("not a valid function")
    identity, name, binds, parameters = content
    if parameters is None:
        return Function(identity, name, binds)
    if type(parameters) is not list or not all(map(_is_parameter, parameters)):
        raise MalformedFrame("not a valid function")
    return Function(identity, name, binds, tuple((n, k, d) for n, k, d in parameters))


def _is_parameter(claimed: Any) -> bool:
    return (
        type(claimed) is list
        and [type(part) for part in claimed] == [str, int, bool]
        and len(claimed[0]) <= TYPE_NAME_CHARS
        and 0 <= claimed[1] <= 4
    )
