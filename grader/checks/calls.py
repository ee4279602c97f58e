"""Calls of the student's functions that are observed, and checks with several right answers."""

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
    call = observed(function, arguments)
    assert_no_warnings(call.warnings, called=called)
    return call.value


def call_unchanging(
    function: Any, *arguments: Any, called: str = "", names: Sequence[str] = ()
) -> Any:
    """Return the value of student.f; refuse a call that changes its arguments.

    names : of the arguments, for the message
    """
    call = observed(function, arguments)
    assert_unchanged(arguments, call.arguments, called=called, names=names)
    return call.value


@dataclass(frozen=True)
class Samples:
    """What many calls of a function did: one entry for each input, in their order.

    values : the value of each call, None if it raised; errors : StudentError or None
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
        for warnings in self.warnings:
            for warning in dict.fromkeys(warnings):
                counts[warning] = counts.get(warning, 0) + 1
        return counts


def sample_calls(function: Any, inputs: Iterable[Any]) -> Samples:
    """Return the values, errors, warnings, printed texts and times of calls of student.f.

    inputs : the argument of each call, or a tuple of its arguments
    """
    calls = [function.observe(*(one if isinstance(one, tuple) else (one,))) for one in inputs]
    return Samples(
        tuple(call.value for call in calls),
        tuple(call.error for call in calls),
        tuple(call.warnings for call in calls),
        tuple(call.printed for call in calls),
        tuple(call.seconds for call in calls),
    )


def assert_one_of(ways: Iterable[Way], check: Callable[[Way], Result]) -> Result:
    """Return check(way) for the first way that it accepts, or raise the first way's failure.

    For conventions that assert_close_to_one_of can't compare: a gradient for 1/m or for 1/(2m).
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


def observed(function: Any, arguments: tuple[Any, ...], **counted: bool) -> Any:
    """Return the Observation of a call; raise the exception that the call raised.

    counted : steps=True, memory=True, operations=True, as in student.f.observe
    """
    call = function.observe(*arguments, **counted)
    if call.error is not None:
        raise call.error
    return call
