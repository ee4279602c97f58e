"""How values are shown in a message: short, printable, and never by an object's own repr."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from grader.diagnosis.wording import Array

Dimension = int | str | None
Shape = Sequence[Dimension]


KIND_WORDS = {
    "b": "booleans",
    "i": "integers",
    "u": "integers",
    "f": "floating-point numbers",
    "c": "complex numbers",
    "S": "bytes",
    "U": "strings",
    "O": "Python objects",
    "M": "dates",
    "m": "time spans",
    "V": "records",
}


def show(value: object, *, limit: int = 240) -> str:
    """Return a short printable text of a value; never the repr of an unknown object."""
    if isinstance(value, np.ndarray):
        # The ends of each axis: the more axes there are, the fewer elements of each are shown.
        ends = max(1, 4 - value.ndim)
        with np.printoptions(precision=6, threshold=12, edgeitems=ends, suppress=False):
            text = " ".join(np.array2string(np.asarray(value), separator=", ").split())
        text = re.sub(r"(?<=\[) | (?=[],])", "", text)  # numpy aligns columns; this is one line
        if value.size > 12:
            shape = f", shape {shape_of(value.shape)}"
            text = _cut(text, limit - len(shape)) + shape
    elif isinstance(value, (bool, np.bool_)) or value is None:
        text = str(value)
    elif isinstance(value, (int, float, np.number)):
        text = f"{value:.8g}" if not isinstance(value, int) else f"{value}"[:limit]
    elif isinstance(value, str):
        text = repr(value[:limit])
    else:
        text = describe_type(value)
    return _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def describe_type(value: object) -> str:
    """Return the value's kind in words: "None", "a string", "a tuple of 2 values"."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, dict):
        return f"a dict of {len(value)} entries"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} value{'s' * (len(value) != 1)}"
    if isinstance(value, list):
        return f"a list of {len(value)} value{'s' * (len(value) != 1)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {shape_of(value.shape)}"
    return f"an object of type {type_name(value)}"


def first_index(mask: Array) -> tuple[int, ...]:
    """Return the index of the first True, in row-major order."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def index_text(index: tuple[int, ...]) -> str:
    """Return an index in brackets, [3, 0]; "the value" for a scalar."""
    return "[" + ", ".join(str(i) for i in index) + "]" if index else "the value"


def type_name(value: object) -> str:
    """Return the class's name; student code chooses a handle's `type_name`, so it is cleaned."""
    try:
        name = getattr(value, "type_name", None)
    except Exception:
        name = None
    if not isinstance(name, str):
        name = type(value).__name__
    return "".join(c for c in name[:60] if c.isalnum() or c in "._") or "unknown"


def kind_in_words(kind: str) -> str:
    """Return a dtype's kind in words: "booleans"."""
    return KIND_WORDS.get(kind, "values of another kind")


def kinds_in_words(kinds: str) -> str:
    """Return several kinds in words: "numbers", "integers or booleans"."""
    if set("fiu") <= set(kinds) or kinds == "fi":
        return "numbers"
    words = list(dict.fromkeys(KIND_WORDS.get(kind, kind) for kind in kinds))
    return " or ".join(words)


def shape_of(shape: Sequence[Dimension]) -> str:
    """Return a shape as text: "(3, any)"."""
    parts = ["any" if d is None else str(d) for d in shape]
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
