"""Ranges, probabilities, error rates, and series that fall or rise."""

from __future__ import annotations

import numpy as np

from grader.checks.arrays import as_array, as_scalar, assert_finite, refuse_empty
from grader.checks.showing import first_index, index_text, show
from grader.checks.tolerances import precision_of, rtol_for
from grader.diagnosis.wording import number
from grader.errors import CheckFailed, NonFiniteValue


def assert_in_range(
    values: object,
    low: float,
    high: float,
    *,
    called: str = "",
    noun: str = "the result",
    slack: float = 1e-12,
) -> None:
    """Accept finite values within [low, high], at least one; use inf for an open end."""
    array = as_array(values, called=called, dtype_kind="fiub").astype(np.float64)
    refuse_empty(array, called=called, noun=noun)
    assert_finite(array, called=called)
    room = slack * max(1.0, *(abs(v) for v in (low, high) if np.isfinite(v)), 0.0)
    wrong = (array < low - room) | (array > high + room)
    if wrong.any():
        index = first_index(wrong)
        allowed = (
            f"at least {number(low)}"
            if high == np.inf
            else f"at most {number(high)}"
            if low == -np.inf
            else f"between {number(low)} and {number(high)}"
        )
        count = f"{int(wrong.sum())} of {array.size} elements of " if array.size > 1 else ""
        raise CheckFailed(
            f"{count}{noun} should be {allowed}",
            called=called,
            where=f"{index_text(index)}: {array[index]:.6g}",
        )


def assert_probabilities(
    p: object,
    *,
    axis: int | None = -1,
    called: str = "",
    noun: str = "the probabilities",
    rtol: float = 1e-9,
) -> None:
    """Accept values in [0, 1] that sum to 1 along the axis; axis None does not check the sum."""
    array = as_array(p, called=called)
    assert_in_range(array, 0.0, 1.0, called=called, noun=noun, slack=1e-6)
    if axis is None:
        return
    rtol = rtol_for(array, rtol)
    sums = array.astype(np.float64).sum(axis=axis)
    wrong = np.abs(sums - 1) > rtol
    if np.any(wrong):
        index = first_index(np.asarray(wrong))
        other = array.ndim == 2 and bool(np.all(np.abs(array.sum(axis=1 - axis % 2) - 1) <= rtol))
        raise CheckFailed(
            f"{noun} do not sum to 1 along axis {axis % array.ndim}",
            hint="They sum to 1 along the other axis. Normalise along the classes, with "
            "keepdims=True."
            if other
            else "Divide by the sum along that axis, with keepdims=True.",
            called=called,
            where=f"sum {index_text(index)} is {float(np.asarray(sums)[index]):.6g}"
            if index
            else f"the sum is {float(sums):.6g}",
        )


def assert_error_rate(
    rate: object,
    *,
    at_most: float,
    classes: int = 2,
    called: str = "",
    noun: str = "the error rate",
) -> None:
    """Accept an error rate in [0, 1] of at most this much; the message says both numbers.

    classes : how many there are, for the message about guessing
    """
    value = _rate(rate, called=called, noun=noun)
    guessing = 1 - 1 / classes
    if value > at_most + _rounding(rate):
        raise CheckFailed(
            f"{noun} is {_percent(value)}, more than the allowed {_percent(at_most)}",
            hint="Guessing gives the same. Are labels or features mixed up, or the update's sign?"
            if abs(value - guessing) < 0.05 and at_most < guessing - 0.1
            else "Almost everything is wrong: are the classes swapped?"
            if value > 0.9 and classes == 2 and at_most < 0.5
            else "Check the data's scale, the learning rate and the number of epochs.",
            called=called,
        )


def assert_accuracy(
    value: object,
    *,
    at_least: float,
    classes: int | None = None,
    called: str = "",
    noun: str = "the accuracy",
) -> None:
    """Accept an accuracy in [0, 1] of at least this much; the message says both numbers.

    classes : how many there are, of equal size; the message calls a value near 1/classes guessing
    """
    accuracy = _rate(value, called=called, noun=noun)
    if accuracy < at_least - _rounding(value):
        raise CheckFailed(
            f"{noun} is {_percent(accuracy)}, less than the required {_percent(at_least)}",
            hint=f"Guessing among {classes} classes gives the same. Do the updates go down the "
            "gradient, and does the prediction use the updated parameters?"
            if classes and abs(accuracy - 1 / classes) < 0.5 / classes
            else "Check the data's scale, the learning rate and the number of epochs.",
            called=called,
        )


def assert_monotone(
    values: object,
    *,
    direction: str = "falls",
    share: float = 1.0,
    slack: float = 1e-12,
    called: str = "",
    noun: str = "the curve",
) -> None:
    """Accept a series that falls (or "rises"): from its first to its last value, and in steps.

    share : of the steps that must go this way, in [0, 1]
    slack : how far a step may go the other way, relative to the largest magnitude
    """
    series = as_array(values, called=called).astype(np.float64).reshape(-1)
    assert_finite(series, called=called)
    if direction not in ("falls", "rises"):
        raise ValueError(f"direction is 'falls' or 'rises', not {direction!r}")
    if series.size < 2:
        raise CheckFailed(f"{noun} has fewer than two values", called=called)
    signed = series if direction == "falls" else -series
    steps = np.diff(signed)
    room = slack * float(np.max(np.abs(series)))
    wanted = "fall" if direction == "falls" else "rise"
    if signed[-1] >= signed[0] - room and share > 0:
        moved = "does not change" if np.ptp(series) <= room else f"does not {wanted}"
        raise CheckFailed(
            f"{noun} {moved} from its first to its last value",
            hint="Is the parameter updated, with the right sign? Is each value recorded again?",
            called=called,
            got=show(series),
        )
    good = float(np.mean(steps <= room))
    if good < share:
        raise CheckFailed(
            f"{noun} should {wanted}, but goes the wrong way in {int(np.sum(steps > room))} of "
            f"{steps.size} steps",
            hint="Is the learning rate too large?",
            called=called,
            got=show(series),
        )


def _rate(value: object, *, called: str, noun: str) -> float:
    rate = float(as_scalar(value, called=called))
    if not np.isfinite(rate):
        raise NonFiniteValue(f"{noun} is {number(rate)}", called=called)
    if not -1e-9 <= rate <= 1 + 1e-9:
        raise CheckFailed(
            f"{noun} should be between 0 and 1",
            hint="Is it in percent, or a count? Divide by the number of samples."
            if rate > 1
            else "",
            called=called,
            got=number(rate),
        )
    return rate


def _rounding(rate: object) -> float:
    """Return the rounding of a rate in its own dtype: 0.9 in float32 is a little less."""
    return 2 * precision_of(as_array(rate)).eps


def _percent(share: float) -> str:
    return f"{number(round(100 * share, 2))} %"
