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
from typing import Any

import numpy as np

_MOST_BYTES = 8 << 20
"""A larger array is data, and is not compared before each request."""
_MOST_ARRAYS = 256
_DEEPEST = 3
_Content = tuple[Any, ...]
"""What an element holds: its form and its bytes. A copy is compared faster than a hash is computed,
and a numerical gradient has all arrays compared before each of its thousands of calls."""


_MOST_OF_ONE, _MOST = 4, 32
"""How many values are remembered, of one attribute and in all: a test may fetch one in a loop."""


@dataclass
class _Fetched:
    """A value that the test got.

    key : what it was fetched from; root : the object that has it; name : the attribute, or ""
    seen : each element as it was last sent or fetched, by the keys that lead to it
    """

    key: object
    root: Any
    name: str
    value: Any
    seen: dict[tuple[Any, ...], _Content]


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
        seen = {keys: content for keys, _, content in _elements(value)}
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
                now = [*_elements(one.value)]
                for keys, element, content in now:
                    if one.seen.get(keys) != content:
                        self._send(one.root, one.name, keys, element)
                one.seen = {keys: content for keys, _, content in now}
        finally:
            self._pushing = False


def _elements(
    value: Any, keys: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any, _Content]]:
    """Yield each array, and each number of a dict: the keys that lead to it, it, its content."""
    if isinstance(value, np.ndarray):
        if value.nbytes <= _MOST_BYTES and value.dtype.kind in "fiubc":
            yield keys, value, (value.shape, value.dtype.str, value.tobytes())
    elif isinstance(value, dict) and len(keys) < _DEEPEST:
        for key, part in value.items():
            if isinstance(part, int | float | complex | str | None):
                yield (*keys, key), part, (repr(part),)
            else:
                yield from _elements(part, (*keys, key))
    elif isinstance(value, list) and len(keys) < _DEEPEST:
        for number, part in enumerate(value[:_MOST_ARRAYS]):
            yield from _elements(part, (*keys, number))
