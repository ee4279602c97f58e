"""Functions of a check's that the student's code calls, and what becomes of such a call.

    functions = CheckFunctions()
    functions.stand_in(f)              the record that is sent in place of f
    functions.answer(content)          calls it; returns the answer to send

What comes is an untrusted claim: the number of a function that this check has sent, and values. No
other function can be reached, and nothing of a function but the value that it returns, and the
builtin class and the text of what it raises.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from grader.errors import (
    BadReply,
    CheckFailed,
    GraderFault,
    ReferenceFault,
    StudentDied,
    StudentTimeout,
)
from grader.in_kernel import codec
from grader.text import printable

CALLS_MAX = 1_000_000
"""Of a check's functions, by the student's code, all together."""
DEPTH_MAX = 16
"""Of functions that call the student's code that calls functions."""
_NAME_CHARS = 80
_TEXT_CHARS = 500
_PARAMETERS_MAX = 50
# Of those that the student's code caught: it may yet raise one of them again.
_EXCEPTIONS_KEPT = 64
_MESSAGE = "a function of the check"
# What ends the check at once: the student's code gets no chance to catch it.
_PASS_AT_ONCE = (GraderFault, ReferenceFault, StudentTimeout, StudentDied, BadReply)


class CalledTooOften(Exception):
    """The student's code has called the check's functions too often. The text says how often."""


class CheckFunctions:
    """The functions that a check has sent to its process, by their numbers.

    calls : how often they were called
    """

    def __init__(self) -> None:
        self.calls = 0
        self.depth = 0
        self._sent: dict[int, codec.Function] = {}  # by id(): _functions keeps them alive
        self._functions: list[Callable[..., Any]] = []
        self._raised: dict[int, BaseException] = {}  # the latest
        self._exceptions = 0

    def stand_in(self, function: Callable[..., Any]) -> codec.Function:
        """Return the record that is sent in place of a function; the same one each time."""
        known = self._sent.get(id(function))
        if known is None:
            known = codec.Function(
                len(self._functions),
                name_of(function),
                isinstance(function, FunctionType),
                _parameters(function),
            )
            self._sent[id(function)] = known
            self._functions.append(function)
        return known

    def of(self, claimed: codec.Function) -> Callable[..., Any]:
        """Return the function of a number that came. Raises MalformedFrame."""
        if claimed.id >= len(self._functions):
            raise codec.MalformedFrame("a function that was never sent")
        return self._functions[claimed.id]

    def __bool__(self) -> bool:
        """Whether any was sent."""
        return bool(self._functions)

    def begin(self) -> None:
        """A call of the check's begins, from outside of its functions."""
        self._raised.clear()

    def begin_again(self) -> None:
        """Reset the counts: a call of a replayed recording begins."""
        self.begin()
        self.calls = 0
        for function in self._functions:
            reset = getattr(function, "reset", None)
            if hasattr(function, "at_most") and callable(reset):
                reset()

    def raised(self, number: Any) -> BaseException | None:
        """Return the exception of that number, which a function raised in this call."""
        return self._raised.get(number) if type(number) is int else None

    def answer(self, call: list[Any]) -> list[Any]:
        """Call a function; return ["returned", value], or ["raised", number, kind, args].

        call : its number, keyword arguments or None, arguments
        Raises CalledTooOften, MalformedFrame, and what ends the check at once.
        """
        number, kwargs, *args = call if len(call) > 1 else (None, None)
        if (
            type(number) is not int
            or not 0 <= number < len(self._functions)
            or not (kwargs is None or _is_keywords(kwargs))
        ):
            raise codec.MalformedFrame("no call of a function that was sent")
        self.calls += 1
        if self.calls > CALLS_MAX:
            raise CalledTooOften(f"called functions of the check more than {CALLS_MAX:,} times")
        if self.depth >= DEPTH_MAX:
            text = (
                f"{_MESSAGE} and the notebook's functions call each other more than "
                f"{DEPTH_MAX} deep"
            )
            return self._error_record(RecursionError(text))
        self.depth += 1
        try:
            return ["returned", self._functions[number](*args, **kwargs or {})]
        except _PASS_AT_ONCE:
            raise
        except Exception as error:
            return self._error_record(error)
        finally:
            self.depth -= 1

    def _error_record(self, error: Exception) -> list[Any]:
        number = self._exceptions
        self._exceptions += 1
        self._raised[number] = error
        self._raised.pop(number - _EXCEPTIONS_KEPT, None)
        kind = _builtin_kind(error)
        # What a check asserts may tell the answer.
        if isinstance(error, AssertionError | CheckFailed):
            return ["raised", number, "AssertionError", [_MESSAGE]]
        return ["raised", number, kind, _plain_args(error)]


def name_of(function: Any) -> str:
    """Return a function's name in a few characters; of an object that can be called, its class."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        name = type(function).__name__
    return printable(name, _NAME_CHARS)


def is_function(value: Any) -> bool:
    """Return whether a value of the check travels as a function: anything callable."""
    return callable(value) and not inspect.ismodule(value)


def _is_keywords(claimed: Any) -> bool:
    return type(claimed) is dict and all(type(name) is str for name in claimed)


def _parameters(function: Any) -> tuple[tuple[str, int, bool], ...] | None:
    """Name, kind and whether there is a default, of each parameter; None where they are unknown."""
    try:
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a ufunc, a builtin
        return None
    if len(known) > _PARAMETERS_MAX or any(len(one.name) > _NAME_CHARS for one in known):
        return None
    return tuple((p.name, int(p.kind), p.default is not p.empty) for p in known)


def _builtin_kind(error: BaseException) -> str:
    """The nearest class of an exception that Python or numpy itself has."""
    for kind in type(error).__mro__:
        if kind is np.linalg.LinAlgError or vars(builtins).get(kind.__name__) is kind:
            return kind.__name__
    return "Exception"


def _plain_args(error: BaseException) -> list[Any]:
    args = error.args
    if len(args) <= 5 and all(type(a) in (str, int, float, bool, type(None)) for a in args):
        return [a[:_TEXT_CHARS] if type(a) is str else a for a in args]
    return [str(error)[:_TEXT_CHARS]]
