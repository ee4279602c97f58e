"""The words that a student's process sent in one check: they may contain the check's inputs.

claims = listen(student)
...
claims.without(message)     the message if it contains none of these words; "" otherwise
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

# More than an honest answer has. Beyond these, every message is withheld.
_MAX_VALUES = 20_000
_MAX_CHARS = 100_000
_MAX_DEPTH = 64
_WORD = re.compile(r"\w+")
_CUT_WORD = re.compile(r"(\w+)(?:\.\.\.|…)")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
# The count of numbers shows how many axes an array has, which the student's code chooses.
_NUMBERS = re.compile(r"[(\[]?[-+]?…(?:[\s,x()\[\]]*[-+]?…)*,?[)\]]*")
# These types hold only numbers.
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
        """Whether more came than is collected: then any message may contain a part of it."""
        return self._values > _MAX_VALUES or self._chars > _MAX_CHARS

    def collect(self, operation: str, content: Any) -> None:
        """Collect the words of a reply."""
        # The keys of figures and of an observation belong to the protocol; replies.py lets no
        # others pass. Other keys are the student's, also those in an observed return value.
        keys = operation != "figures"
        observed = operation == "observe" and type(content) is dict
        todo = [*content.values()] if observed else [content]
        while todo and not self.too_many:
            value = todo.pop()
            if type(value) is str:
                self._collect_text(value)
            elif type(value) in (list, tuple):
                if not set(map(type, value)) <= _PLAIN:
                    self._values += len(value)
                    todo.extend(value[: _MAX_VALUES + 1])
            elif type(value) is dict:
                self._values += len(value)
                todo.extend(value.values())
                todo.extend(value if keys else ())
            elif isinstance(value, Proxy):
                self._collect_text(place_of(value).label)
                self._collect_text(getattr(value, "type_name", ""))
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
        """Return the message without its numbers; "" if it contains a word that came."""
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

    def _collect_text(self, text: str) -> None:
        self._chars += len(text)
        if not self.too_many:
            self._words.update(_WORD.findall(text.casefold()))


def listen(student: Student) -> Claims:
    """Return the Claims that collect the words of all further replies to this Student."""
    claims = Claims()
    wire_of(student).on_reply = claims.collect
    return claims
