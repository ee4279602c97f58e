"""The limits of a frame, and the stand-ins for objects that are not sent."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from numpy import ndarray

globals()["__builtins__"] = dict(vars(builtins))

VERSION: Final = 1
# A socket's buffer: with it, large arrays travel twice as fast as with Linux's 208 KiB.
SEND_BYTES: Final = 1 << 22
# A stream reads up to this much at once.
READ_AHEAD: Final = 1 << 16
MAGIC: Final = b"GRDF"
HEADER: Final = Struct("<4sHHII")
KINDS: Final = frozenset("biufcSU")
# From this size on, a buffer is sent and received without a copy; below, a copy costs less than
# another system call.
LARGE: Final = 1 << 16
# Dict keys that are not str (whose hash is salted) can be chosen so that they collide: this many
# take a second at worst.
UNSALTED_KEYS: Final = 10_000
# An ndarray in a list takes as much memory as this many floats.
ITEMS_OF_ARRAY: Final = 4
# Hexadecimal digits of an int: 2**20 bits.
INT_DIGITS: Final = 1 << 18
TYPE_NAME_CHARS: Final = 200

Buffer = bytes | bytearray | memoryview


class MalformedFrame(Exception):
    """The received bytes are not a valid frame."""


class TooLarge(Exception):
    """A value has more bytes or items than a frame may have."""


@dataclass(frozen=True)
class Handle:
    """Stands for an object that stays in the student's process.

    id : the number that the process gave it
    type_name : the name of the object's class, as the process claims
    """

    id: int
    type_name: str


@dataclass(frozen=True)
class Function:
    """Stands for a function of the check, in the student's process.

    id : the number that the grader gave it
    name : of the function
    binds : whether it becomes a method as an attribute of a class, as a `def` does
    parameters : (name, kind, has a default) of each; the kind is inspect's number. None if unknown
    """

    id: int
    name: str
    binds: bool = True
    parameters: tuple[tuple[str, int, bool], ...] | None = None


@dataclass(frozen=True)
class Limits:
    """How large a frame may be.

    size : bytes of all parts together; a number in an array counts as 8 bytes at least, since a
        check converts it to float64
    items : elements of lists, tuples and dicts, and buffers, all together
    nodes : elements of the JSON text, counted by brackets and commas
    depth : how deep lists may be nested
    """

    size: int = 256 << 20
    items: int = 1 << 22
    nodes: int = 1 << 20
    depth: int = 64


DEFAULT_LIMITS: Final = Limits()
Kept = Handle | Function | ndarray
Keep = Callable[[Any], Kept]
"""Returns what is sent in place of a value that is not plain."""
Resolve = Callable[[Handle | Function], Any]
"""Returns the object that a handle or a function's record stands for."""


def no_handles(value: Any) -> Kept:
    raise TypeError(f"a {type(value).__name__} can't be sent")


def refuse_handle(handle: Handle | Function) -> Any:
    raise MalformedFrame("a handle where none is known")


def nodes_of(text: bytes | bytearray) -> int:
    """Return an upper bound on the objects that a parser would make, without parsing.

    An element follows a comma, or is the first of a container; each container opens a bracket.
    """
    return text.count(b",") + text.count(b"[") + text.count(b"{")
