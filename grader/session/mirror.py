"""Arrays and dicts that a course's own test fetched from the student's objects, and changes here.

    layer.params["W"] = W0          a new array in the student's dict
    layer.params["W"][0, 1] += h    a changed element of the student's array

In one process the student's object would see both. The test has copies here. So before the next
request, what the test has changed in them is changed in the student's process as well, inside the
same arrays: another name for such an array sees it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

_MOST_BYTES = 8 << 20
"""A larger array is data, and is not compared before each request."""
_MOST_ARRAYS = 256
_DEEPEST = 3
Change = tuple[tuple[Any, ...], Any]
"""The keys that lead to a changed element, and its value."""


_MOST_OF_ONE, _MOST = 4, 32
"""How many values are remembered, of one attribute and in all: a test may fetch one in a loop."""


@dataclass
class _Fetched:
    """A value that the test got.

    key : what it was fetched from; root : the object that has it; name : the attribute, or ""
    """

    key: object
    root: Any
    name: str
    value: Any
    seen: dict[tuple[Any, ...], tuple[Any, bytes]]


class Mirror:
    """Remembers what a test fetched, and sends back what the test changed in it.

    send : sets one element: (root, name, keys, value)
    """

    def __init__(self, send: Callable[[Any, str, tuple[Any, ...], Any], None]) -> None:
        self._send = send
        self._fetched: list[_Fetched] = []
        self._pushing = False

    def note(self, key: object, root: Any, name: str, value: Any) -> None:
        """Remember a value that was fetched, if it holds arrays, or is a dict."""
        if self._pushing or not isinstance(value, np.ndarray | dict | list):
            return
        seen = dict(_elements(value))
        if 0 < len(seen) <= _MOST_ARRAYS or value == {}:
            self._fetched.append(_Fetched(key, root, name, value, seen))
            same = [one for one in self._fetched if one.key == key]
            if len(same) > _MOST_OF_ONE or len(self._fetched) > _MOST:
                oldest = same[0] if len(same) > _MOST_OF_ONE else self._fetched[0]
                self._fetched = [one for one in self._fetched if one is not oldest]

    def push(self) -> None:
        """Send what the test has changed since the last time."""
        if self._pushing:
            return
        self._pushing = True
        try:
            for one in self._fetched:
                for keys, value in _changes(one):
                    self._send(one.root, one.name, keys, value)
                one.seen = dict(_elements(one.value))
        finally:
            self._pushing = False


def _changes(fetched: _Fetched) -> list[Change]:
    found: list[Change] = []
    for keys, (element, digest) in _elements(fetched.value):
        before = fetched.seen.get(keys)
        if before is None or before[1] != digest:
            found.append((keys, element))
    return found


def _elements(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield each array, and each number of a dict, with the keys that lead to it and a digest."""
    if isinstance(value, np.ndarray):
        if value.nbytes <= _MOST_BYTES and value.dtype.kind in "fiubc":
            form = f"{value.shape}{value.dtype.str}".encode()
            yield keys, (value, blake2b(value.tobytes(), key=form[:64], digest_size=16).digest())
    elif isinstance(value, dict) and len(keys) < _DEEPEST:
        for key, part in value.items():
            if isinstance(part, int | float | complex | str | None):
                yield (*keys, key), (part, repr(part).encode())
            else:
                yield from _elements(part, (*keys, key))
    elif isinstance(value, list) and len(keys) < _DEEPEST:
        for number, part in enumerate(value[:_MOST_ARRAYS]):
            yield from _elements(part, (*keys, number))
