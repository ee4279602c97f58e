"""Calls that look at more than the value, and results of which several are right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from grader.checks.conduct import assert_no_warnings, assert_unchanged
from grader.errors import CheckFailed

Way = TypeVar("Way")
Result = TypeVar("Result")


def call_quietly(function: Any, *arguments: Any, called: str = "") -> Any:
    """Return the value of student.f; refuse a call that warns of an overflow, or the like."""
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


def assert_one_of(ways: Iterable[Way], check: Callable[[Way], Result]) -> Result:
    """Return check(way) of the first way that it accepts; where there is none, tell of the first.

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
    """Return the Observation of a call that went well; raise what the call raised."""
    seen = function.observe(*arguments)
    if seen.error is not None:
        raise seen.error
    return seen
