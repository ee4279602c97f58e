"""Calls that look at more than the returned value, and checks with several right answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grader.checks.conduct import assert_no_warnings, assert_unchanged
from grader.errors import CheckFailed

Way = TypeVar("Way")
Result = TypeVar("Result")


def call_quietly(function: Any, *arguments: Any, called: str = "") -> Any:
    """Return the value of student.f; refuse a call that gives a numerical warning."""
    seen = _observed(function, arguments)
    assert_no_warnings(seen.warnings, called=called)
    return seen.value


def call_unchanging(
    function: Any, *arguments: Any, called: str = "", names: Sequence[str] = ()
) -> Any:
    """Return the value of student.f; refuse a call that changes its arguments.

    names : of the arguments, for the message
    """
    seen = _observed(function, arguments)
    assert_unchanged(arguments, seen.arguments, called=called, names=names)
    return seen.value


@dataclass(frozen=True)
class Samples:
    """What many calls of a function did: one entry for each input, in their order.

    values : what each call returned, None where it raised; errors : StudentError or None
    warnings, printed : texts of each call; seconds : its time inside the student's process
    """

    values: tuple[Any, ...]
    errors: tuple[Any, ...]
    warnings: tuple[tuple[str, ...], ...]
    printed: tuple[str, ...]
    seconds: tuple[float, ...]

    def warned(self) -> dict[str, int]:
        """Return how many calls gave each warning."""
        counts: dict[str, int] = {}
        for told in self.warnings:
            for warning in dict.fromkeys(told):
                counts[warning] = counts.get(warning, 0) + 1
        return counts


def sample_calls(function: Any, inputs: Iterable[Any]) -> Samples:
    """Return what calls of student.f do: values, errors, warnings and what they print.

    inputs : the argument of each call, or a tuple of its arguments
    """
    seen = [function.observe(*(one if isinstance(one, tuple) else (one,))) for one in inputs]
    return Samples(
        tuple(one.value for one in seen),
        tuple(one.error for one in seen),
        tuple(one.warnings for one in seen),
        tuple(one.printed for one in seen),
        tuple(one.seconds for one in seen),
    )


def assert_one_of(ways: Iterable[Way], check: Callable[[Way], Result]) -> Result:
    """Return check(way) for the first way that it accepts, or raise the first way's failure.

    For conventions that need more than a comparison: a gradient may follow 1/m or 1/(2m).
    """
    first: CheckFailed | None = None
    for way in ways:
        try:
            return check(way)
        except CheckFailed as failure:
            first = first or failure
    if first is None:
        raise ValueError("no way to check")
    raise first


def _observed(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the Observation of a call; raise what the call raised."""
    seen = function.observe(*arguments)
    if seen.error is not None:
        raise seen.error
    return seen
