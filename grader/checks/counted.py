"""A check's own function that remembers how it was called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grader.errors import CheckFailed

KEPT_CALLS = 100_000
"""How many calls have their arguments kept; all calls are counted."""
KEPT_BYTES = 64 << 20
"""How much memory the kept arguments may need together."""


def counted(function: Callable[..., Any], *, at_most: int | None = None) -> Counted:
    """Return the function with a count of its calls, to be passed to the student's code.

    at_most : the calls that are allowed; one more fails the check
    """
    return Counted(function, at_most=at_most)


class Counted:
    """A function that counts its calls and keeps their arguments and values.

    calls : how often it was called
    arguments : the positional arguments of each call, as a tuple; arrays are copies. Only the
        first calls are kept, up to KEPT_CALLS calls and KEPT_BYTES bytes
    keywords, returned : the keyword arguments and the value of each kept call; the value is None if
        the call raised
    at_most : the calls that are allowed; one more fails the check. None for no limit
    """

    def __init__(self, function: Callable[..., Any], *, at_most: int | None = None) -> None:
        self.function = function
        self.at_most = at_most
        self.__name__ = str(getattr(function, "__name__", type(function).__name__))
        self.__wrapped__ = function  # for inspect.signature
        self.reset()

    def reset(self) -> None:
        """Start counting from 0 again."""
        self.calls = 0
        self.arguments: list[tuple[Any, ...]] = []
        self.keywords: list[dict[str, Any]] = []
        self.returned: list[Any] = []
        self._bytes = 0

    def points(self) -> np.ndarray:
        """Return the first argument of each kept call, as one array: (calls, ...).

        Raises CheckFailed if the shapes of the arguments differ, or a call has no argument.
        """
        try:
            return np.array([np.asarray(args[0], float) for args in self.arguments])
        except (IndexError, TypeError, ValueError):
            raise CheckFailed(
                f"{self._label} was called with different kinds or shapes of arguments",
                hint="Pass one number, or one array of the same shape, as its first argument "
                "each time.",
            ) from None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.at_most is not None and self.calls > self.at_most:
            raise CalledMore(
                f"{self._label} was called more than {self.at_most} times",
                hint="Store values that you need again, and look at when the loop stops.",
            )
        size = sum(_size(value) for value in (*args, *kwargs.values()))
        kept = len(self.arguments) < KEPT_CALLS and self._bytes + size <= KEPT_BYTES
        if kept:
            self._bytes += size
            self.arguments.append(tuple(map(_copy, args)))
            self.keywords.append({name: _copy(value) for name, value in kwargs.items()})
            self.returned.append(None)
        value = self.function(*args, **kwargs)
        if kept:
            self.returned[-1] = value
        return value

    @property
    def _label(self) -> str:
        # A student doesn't see what the check wrote.
        return "the given function" if self.__name__ == "<lambda>" else self.__name__

    def __repr__(self) -> str:
        return f"<{self.__name__}, called {self.calls} times>"


class CalledMore(CheckFailed):
    """A function was called more often than the exercise allows."""


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray | np.generic):
        return int(value.nbytes)
    if isinstance(value, str | bytes | list | tuple | dict):
        return 64 + 64 * len(value)
    return 64
