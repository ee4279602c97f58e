"""A check's functions, as the notebook's code calls them: the call goes to the grader and back.

What stands for one is a function (or, for what does not become a method as an attribute of a class,
a callable object). It works as long as the grader waits for an answer: that is while a call of the
check runs, whichever call it was given to. One thread at a time has the stream.
"""

from __future__ import annotations

import _thread
import builtins
import inspect
from collections.abc import Callable
from os import getpid
from sys import gettrace, settrace
from time import perf_counter
from typing import Any

from numpy.linalg import LinAlgError

from grader.in_kernel import codec

globals()["__builtins__"] = dict(vars(builtins))

_EXCEPTIONS = {
    kind.__name__: kind
    for kind in (*vars(builtins).values(), LinAlgError)
    if isinstance(kind, type) and issubclass(kind, Exception)
}
_BUILTIN = frozenset(kind for name, kind in _EXCEPTIONS.items() if name != "LinAlgError")
_name_of = type.__dict__["__name__"].__get__
_Parameter, _Signature = inspect.Parameter, inspect.Signature
_PARAMETER_KINDS = tuple(inspect._ParameterKind)
# Exceptions of the check's that passed through the notebook's code and may yet come back.
_EXCEPTIONS_KEPT = 64


class Unbound:
    """The stand-in for a bound method, a ufunc, or a callable object."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.__wrapped = call
        self.__name__ = call.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<function {self.__name__} of the check>"


class Functions:
    """The check's functions that the notebook's code was given.

    exchange : sends a call (number of the function, keyword arguments or None, arguments), answers
        what the grader asks meanwhile, and returns what it says: an operation and its arguments
    """

    def __init__(self, exchange: Callable[[Any], list[Any]]) -> None:
        self._exchange = exchange
        self._lock = _thread.RLock()
        self._process = getpid()
        self._open = False
        self._known: dict[int, Any] = {}
        self._ours: dict[int, codec.Function] = {}  # by the id() of the stand-in
        self._exceptions: list[tuple[BaseException, int]] = []
        self.away_s = 0.0  # for which calls were at the grader's

    def begin(self) -> None:
        """A call of the check's begins: its functions can be called."""
        self._lock.acquire()
        self._open = True
        self._exceptions.clear()
        self._lock.release()

    def end(self) -> None:
        """It has ended. A thread of the notebook's that calls back is waited for."""
        self._lock.acquire()
        self._open = False
        self._lock.release()

    def standing_for(self, function: codec.Function) -> Any:
        """Return the stand-in for a function of the check; the same one each time."""
        known = self._known.get(function.id)
        if known is None:
            known = self._made(function)
            self._known[function.id] = known
            self._ours[id(known)] = function
        return known

    def of(self, value: Any) -> codec.Function | None:
        """Return the check's function behind a stand-in, or None."""
        return self._ours.get(id(value))

    def number_of(self, error: BaseException) -> int | None:
        """Return the number of the check's own exception behind an error, or None."""
        return next((number for known, number in self._exceptions if known is error), None)

    def _made(self, function: codec.Function) -> Any:
        identity = function.id

        def check_function(*args: Any, **kwargs: Any) -> Any:
            return self._call(identity, args, kwargs)

        check_function.__name__ = check_function.__qualname__ = function.name
        check_function.__module__ = "check"
        check_function.__doc__ = "A function of the check's: a call of it goes to the check."
        made: Any = check_function if function.binds else Unbound(check_function)
        if function.parameters is not None:
            made.__signature__ = _signature(function.parameters)
        return made

    def _call(self, identity: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getpid() != self._process:
            raise RuntimeError("a function of the check can't be called from another process")
        tracer = gettrace()
        if tracer is not None:  # a count of steps is of the notebook's own
            settrace(None)
        self._lock.acquire()
        started = perf_counter()
        try:
            if not self._open:
                raise RuntimeError(
                    "a function of the check was called after the check's call had ended: "
                    "it can't be kept for later"
                )
            operation, *content = self._exchange([identity, kwargs or None, *args])
            if operation == "returned":
                return content[0]
            error = _exception(*content[1:])
            self._exceptions = [*self._exceptions[1 - _EXCEPTIONS_KEPT :], (error, content[0])]
            raise error
        finally:
            self.away_s += perf_counter() - started
            self._lock.release()
            if tracer is not None:
                settrace(tracer)


def _exception(kind: str, args: list[Any]) -> Exception:
    """The builtin exception of that name, as the check's function raised it."""
    made = _EXCEPTIONS.get(kind, RuntimeError)
    try:
        return made(*args)
    except Exception:  # UnicodeDecodeError wants five arguments
        return RuntimeError(f"{kind} in a function of the check")


def builtin_base(error: BaseException) -> str:
    """The name of the nearest builtin class that an exception is of."""
    for kind in type.mro(type(error)):
        if kind in _BUILTIN:
            return str(_name_of(kind))
    return ""


def _signature(parameters: tuple[tuple[str, int, bool], ...]) -> inspect.Signature:
    return _Signature(
        [
            _Parameter(name, _PARAMETER_KINDS[kind], default=... if default else _Parameter.empty)
            for name, kind, default in parameters
        ],
        __validate_parameters__=False,
    )
