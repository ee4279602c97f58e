"""What a frame may hold, and the stand-ins for objects that do not travel."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from numpy import ndarray

globals()["__builtins__"] = dict(vars(builtins))

VERSION: Final = 1
# Room to ask of a socket: large arrays travel twice as fast as with Linux's 208 KiB.
SEND_BYTES: Final = 1 << 22
# A stream reads as much as this at once.
READ_AHEAD: Final = 1 << 16
MAGIC: Final = b"GRDF"
HEADER: Final = Struct("<4sHHII")
KINDS: Final = frozenset("biufcSU")
# From here on a buffer is sent and received without a copy; below, copies cost less than calls.
LARGE: Final = 1 << 16
# Keys of one kind can be chosen to collide in a dict (ints, floats, tuples; str is salted):
# this many cost a second at worst.
UNSALTED_KEYS: Final = 10_000
# An ndarray of a list takes as much memory as so many floats of one.
ITEMS_OF_ARRAY: Final = 4
# Text of an int in hexadecimal: 2**20 bits.
INT_DIGITS: Final = 1 << 18
TYPE_NAME_CHARS: Final = 200

Buffer = bytes | bytearray | memoryview


class MalformedFrame(Exception):
    """The received bytes are not a legal frame."""


class TooLarge(Exception):
    """A value holds more bytes or items than a frame may."""


@dataclass(frozen=True)
class Handle:
    """The stand-in for an object that stays in the student's process.

    id : the process's own number for it
    type_name : of the object's class, as the process says it
    """

    id: int
    type_name: str


@dataclass(frozen=True)
class Function:
    """The stand-in for a function of the check, in the student's process.

    id : the grader's own number for it
    name : of the function
    binds : whether it becomes a method where a class has it as an attribute, as a `def` does
    parameters : [name, kind, has a default] each, kind as inspect numbers them; None if unknown
    """

    id: int
    name: str
    binds: bool = True
    parameters: tuple[tuple[str, int, bool], ...] | None = None


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


DEFAULT_LIMITS: Final = Limits()
Kept = Handle | Function | ndarray


def no_handles(value: Any) -> Kept:
    raise TypeError(f"a {type(value).__name__} can't be sent")


def refuse_handle(handle: Handle | Function) -> Any:
    raise MalformedFrame("a handle where none is known")


def nodes_of(text: bytes | bytearray) -> int:
    """Return an upper bound on the objects that a parser would make, without parsing.

    Each element but a container's first follows a comma, each container opens a bracket.
    """
    return text.count(b",") + text.count(b"[") + text.count(b"{")
