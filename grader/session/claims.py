"""The words that a student's process has sent in one check: they may carry the check's inputs.

claims = listen(student)
...
claims.without(message)     the message where none of these words is in it; "" otherwise
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import re
from typing import Any

import numpy as np

from grader.in_kernel.codec.plain_forms import Named
from grader.session.student import Student, wire_of
from grader.session.wire import Proxy, place_of

# More than an honest answer has; a message with as many to look for is withheld.
_MAX_VALUES = 20_000
_MAX_CHARS = 100_000
_MAX_DEPTH = 64
_WORD = re.compile(r"\w+")
_CUT_WORD = re.compile(r"(\w+)(?:\.\.\.|…)")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
# How many numbers there are says how many axes an array has, which the student chooses.
_NUMBERS = re.compile(r"[(\[]?[-+]?…(?:[\s,x()\[\]]*[-+]?…)*,?[)\]]*")
# They hold numbers alone.
_EXACT = (decimal.Decimal, fractions.Fraction, datetime.date, datetime.timedelta, range)
_PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, complex})


class Claims:
    """Collects the words of the replies to one check."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._values = 0
        self._chars = 0

    @property
    def too_many(self) -> bool:
        """Whether more came than is looked at: then any message may hold some of it."""
        return self._values > _MAX_VALUES or self._chars > _MAX_CHARS

    def hear(self, operation: str, content: Any) -> None:
        """Collect the words of any reply."""
        # The keys of figures are the protocol's own, and no others get any further; so are those
        # of an observation, but not those in what was returned.
        keys = operation != "figures"
        observed = operation == "observe" and type(content) is dict
        todo = [*content.values()] if observed else [content]
        while todo and not self.too_many:
            value = todo.pop()
            if type(value) is str:
                self._hear_text(value)
            elif type(value) in (list, tuple):
                if not set(map(type, value)) <= _PLAIN:
                    self._values += len(value)
                    todo.extend(value[: _MAX_VALUES + 1])
            elif type(value) is dict:
                self._values += len(value)
                todo.extend(value.values())
                todo.extend(value if keys else ())
            elif isinstance(value, Proxy):
                self._hear_text(place_of(value).label)
                self._hear_text(getattr(value, "type_name", ""))
            elif isinstance(value, np.ndarray | np.generic):
                if value.dtype.kind in "SUVO":  # text, and fields, which have names
                    self._values += _MAX_VALUES + 1
            elif type(value) in (set, frozenset):
                self._values += len(value)
                todo.extend([*value])
            elif type(value) is Named:
                todo.extend([list(value), list(value._fields)])
            elif type(value) not in _PLAIN and not isinstance(value, _EXACT):  # bytes, frames
                self._values += _MAX_VALUES + 1

    def without(self, message: str) -> str:
        """Return the message, its numbers taken out, where it has no word that came; else ""."""
        if self.too_many:
            return ""
        text = _NUMBERS.sub("…", _NUMBER.sub("…", message))
        folded = text.casefold()
        if not self._words.isdisjoint(_WORD.findall(folded)):
            return ""
        for cut in _CUT_WORD.findall(folded):
            if any(word.startswith(cut) for word in self._words):
                return ""
        return text

    def _hear_text(self, text: str) -> None:
        self._chars += len(text)
        if not self.too_many:
            self._words.update(_WORD.findall(text.casefold()))


def listen(student: Student) -> Claims:
    """Return what collects the words of all replies to this Student's check from now on."""
    claims = Claims()
    wire_of(student).heard = claims.hear
    return claims
