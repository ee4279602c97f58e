"""Stand-ins for a check's functions: when the notebook calls one, the call goes to the grader.

A stand-in is a function, or a callable object if the check's function would not become a method as
a class attribute. It works while the grader waits for the answer to any call of the check. One
thread at a time uses the stream.
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
# How many of the check's exceptions are kept: the notebook's code may raise one again later.
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
    """The stand-ins for the check's functions that the notebook's code has received.

    exchange : sends a call [function's number, keyword arguments or None, *arguments], answers the
        grader's requests meanwhile, and returns the grader's answer: [operation, *arguments]
    away_s : how many seconds the notebook waited for the check's functions
    """

    def __init__(self, exchange: Callable[[Any], list[Any]]) -> None:
        self._exchange = exchange
        self._lock = _thread.RLock()
        self._process = getpid()
        self._open = False
        self._known: dict[int, Any] = {}
        self._originals: dict[int, codec.Function] = {}  # by the id() of the stand-in
        self._exceptions: list[tuple[BaseException, int]] = []
        self.away_s = 0.0

    def begin(self) -> None:
        """Allow calls: a call of the check begins."""
        self._lock.acquire()
        self._open = True
        self._exceptions.clear()
        self._lock.release()

    def end(self) -> None:
        """Refuse calls: the check's call has ended. Waits for a call from another thread."""
        self._lock.acquire()
        self._open = False
        self._lock.release()

    def standing_for(self, function: codec.Function) -> Any:
        """Return the stand-in for a function of the check; the same one each time."""
        known = self._known.get(function.id)
        if known is None:
            known = self._make(function)
            self._known[function.id] = known
            self._originals[id(known)] = function
        return known

    def of(self, value: Any) -> codec.Function | None:
        """Return the check's function behind a stand-in, or None."""
        return self._originals.get(id(value))

    def number_of(self, error: BaseException) -> int | None:
        """Return the number of the check's own exception behind an error, or None."""
        return next((number for known, number in self._exceptions if known is error), None)

    def _make(self, function: codec.Function) -> Any:
        identity = function.id

        def check_function(*args: Any, **kwargs: Any) -> Any:
            return self._call(identity, args, kwargs)

        check_function.__name__ = check_function.__qualname__ = function.name
        check_function.__module__ = "check"
        check_function.__doc__ = "A function of the check: the check answers each call."
        made: Any = check_function if function.binds else Unbound(check_function)
        if function.parameters is not None:
            made.__signature__ = _signature(function.parameters)
        return made

    def _call(self, identity: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getpid() != self._process:
            raise RuntimeError("a function of the check can't be called from another process")
        tracer = gettrace()
        if tracer is not None:  # steps of the check's function don't count
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
    """Return a builtin exception of that class, like the one that the check's function raised."""
    try:
        return _EXCEPTIONS.get(kind, RuntimeError)(*args)
    except Exception:  # UnicodeDecodeError needs five arguments
        return RuntimeError(f"{kind} in a function of the check")


def builtin_base(error: BaseException) -> str:
    """Return the name of the nearest class that an exception extends: a builtin, or LinAlgError."""
    for kind in type.mro(type(error)):
        if kind in _BUILTIN or kind is LinAlgError:
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
