"""A check's functions that the student's code may call, and how such a call is answered.

    functions = CheckFunctions()
    functions.stand_in(f)              the record that is sent in place of f
    functions.answer(content)          calls the function; returns the answer to send

A call is an untrusted claim: the number of a function that this check has sent, and values. It
reaches no other function. The answer is the value that the function returns, or the builtin class
and the text of the exception that it raises.
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
"""The calls of all of a check's functions together, by the student's code."""
DEPTH_MAX = 16
"""How deep the check's functions and the student's code may call each other."""
_NAME_CHARS = 80
_TEXT_CHARS = 500
_PARAMETERS_MAX = 50
# The student's code may catch an exception and raise it again later.
_EXCEPTIONS_KEPT = 64
_MESSAGE = "a function of the check"
# These end the check at once: the student's code can't catch them.
_PASS_AT_ONCE = (GraderFault, ReferenceFault, StudentTimeout, StudentDied, BadReply)


class CalledTooOften(Exception):
    """The student's code has called the check's functions too often. The text says how often."""


class CheckFunctions:
    """The functions that a check has sent to its process, each with a number.

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
        """Return the function that a reply refers to. Raises MalformedFrame."""
        if claimed.id >= len(self._functions):
            raise codec.MalformedFrame("a function that was never sent")
        return self._functions[claimed.id]

    def __bool__(self) -> bool:
        """Whether the check has sent any function."""
        return bool(self._functions)

    def begin(self) -> None:
        """Forget earlier exceptions: the check makes a new call, not from one of its functions."""
        self._raised.clear()

    def begin_again(self) -> None:
        """Reset all counts before a call of a recording is replayed."""
        self.begin()
        self.calls = 0
        for function in self._functions:
            reset = getattr(function, "reset", None)
            if hasattr(function, "at_most") and callable(reset):
                reset()

    def raised(self, number: Any) -> BaseException | None:
        """Return the exception that a function raised in this call, by its number."""
        return self._raised.get(number) if type(number) is int else None

    def answer(self, call: list[Any]) -> list[Any]:
        """Call a function; return ["returned", value], or ["raised", number, kind, args].

        call : [function's number, keyword arguments or None, *arguments]
        Raises CalledTooOften, MalformedFrame, and the faults that end the check at once.
        """
        number, kwargs, *args = call if len(call) > 1 else (None, None)
        if (
            type(number) is not int
            or not 0 <= number < len(self._functions)
            or not (kwargs is None or _is_keywords(kwargs))
        ):
            raise codec.MalformedFrame("not a call of a function that was sent")
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
        # The text of a failed assertion may reveal the answer.
        if isinstance(error, AssertionError | CheckFailed):
            return ["raised", number, "AssertionError", [_MESSAGE]]
        return ["raised", number, kind, _plain_args(error)]


def name_of(function: Any) -> str:
    """Return a function's name, shortened; for another callable object, the name of its class."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        name = type(function).__name__
    return printable(name, _NAME_CHARS)


def is_function(value: Any) -> bool:
    """Return whether a value of the check is sent as a function: anything callable."""
    return callable(value) and not inspect.ismodule(value)


def _is_keywords(claimed: Any) -> bool:
    return type(claimed) is dict and all(type(name) is str for name in claimed)


def _parameters(function: Any) -> tuple[tuple[str, int, bool], ...] | None:
    """Return (name, kind, whether it has a default) of each parameter; None if unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a ufunc, a builtin
        return None
    if len(parameters) > _PARAMETERS_MAX or any(len(p.name) > _NAME_CHARS for p in parameters):
        return None
    return tuple((p.name, int(p.kind), p.default is not p.empty) for p in parameters)


def _builtin_kind(error: BaseException) -> str:
    """Return the name of an exception's nearest class that Python or numpy defines."""
    for kind in type(error).__mro__:
        if kind is np.linalg.LinAlgError or vars(builtins).get(kind.__name__) is kind:
            return kind.__name__
    return "Exception"


def _plain_args(error: BaseException) -> list[Any]:
    args = error.args
    if len(args) <= 5 and all(type(a) in (str, int, float, bool, type(None)) for a in args):
        return [a[:_TEXT_CHARS] if type(a) is str else a for a in args]
    return [str(error)[:_TEXT_CHARS]]
