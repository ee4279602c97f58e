"""Results that are a function of the right one: its square, its rounding, a number added."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from grader.diagnosis.case import Case, Diagnosis
from grader.diagnosis.evidence import INDEPENDENT, independent, is_generic
from grader.diagnosis.wording import Array


def explain_offset(case: Case) -> Diagnosis | None:
    """Explain a result with one number added to all elements, or one to each row or column."""
    if case.got.size == case.expected.size == 1:
        return _off_by_one(case)
    if case.got.shape != case.expected.shape or case.got.size < 3:
        return None
    error = case.got - case.expected
    offset = float(np.mean(error))
    if case.same(case.expected + offset) and independent(case.expected) >= INDEPENDENT:
        one = " by 1" if abs(abs(offset) - 1) <= 1e-9 else " by the same amount"
        size = "large" if offset > 0 else "small"
        return Diagnosis(
            "offset",
            f"every element of {case.noun} is too {size}{one}",
            "Is a constant (a bias, a 1) forgotten, or added or subtracted once too often?",
        )
    if case.got.ndim == 2 and min(case.got.shape) >= 3:
        for axis, line, other in ((1, "row", "axis=1"), (0, "column", "axis=0")):
            means = error.mean(axis=axis, keepdims=True)
            if case.same(case.expected + means):
                return Diagnosis(
                    "row offset",
                    f"each {line} of {case.noun} is off by a different amount",
                    f"Is a summand wrong that each {line} has of its own, or is something added or "
                    f"subtracted along the wrong axis ({other})?",
                )
    return None


def _off_by_one(case: Case) -> Diagnosis | None:
    """Explain a count, or a size, that is too large or too small by one."""
    got, right = float(case.got.reshape(-1)[0]), float(case.expected.reshape(-1)[0])
    if got != round(got) or right != round(right) or abs(got - right) != 1 or abs(right) < 3:
        return None
    size = "large" if got > right else "small"
    return Diagnosis(
        "offset", f"{case.noun} is too {size} by 1", "Count a small case by hand, with both ends."
    )


def explain_function(case: Case) -> Diagnosis | None:
    """Explain a result that is a function of the right one: its square, its complement, ..."""
    if case.got.shape != case.expected.shape:
        return None
    if independent(case.expected) < INDEPENDENT and not (
        case.expected.size == 1 and is_generic(float(case.expected.reshape(-1)[0]))
    ):
        return None  # 0.25 is the square of 0.5, and 0.3 is 1 - 0.7: few numbers prove nothing
    for function, problem, hint in _functions(case.expected):
        if case.same(function(case.expected)):
            return Diagnosis("function", f"{case.noun} {problem}", hint)
    return None


def _functions(e: Array) -> Iterator[tuple[Callable[[Array], Array], str, str]]:
    swapped = "Are the two classes or the signs swapped?"
    yield (lambda x: 1 - x), "is 1 minus what it should be", swapped
    yield np.square, "is the square of what it should be", "Is a square root missing?"
    yield np.exp, "is exp of what it should be", "Is a logarithm missing?"
    if np.all(e > 0):
        yield np.sqrt, "is the square root of what it should be", "Is a square missing?"
        yield np.log, "is the logarithm of what it should be", "Is an exp missing?"
    if np.all(e != 0):
        way = "Are numerator and denominator swapped?"
        yield (lambda x: 1 / x), "is the reciprocal of what it should be", way
    if np.any(e < 0) and e.size > 1:
        yield np.abs, "has lost its signs", "Does the code take an absolute value or a square?"
        cut = "is 0 where it should be negative"
        yield (lambda x: np.maximum(x, 0)), cut, "Is it cut off at 0?"
    if e.ndim == 1 and e.size >= 3:
        yield np.cumsum, "is the cumulative sum of what it should be", "Is np.cumsum used?"


def explain_rounding(case: Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape:
        return None
    got, e = case.got, case.expected
    if np.any(e != np.trunc(e)) and np.array_equal(got, np.trunc(got)) and e.size > 1:
        for rounded, how in ((np.trunc(e), "cut off"), (np.floor(e), "cut off"), (np.rint(e), "")):
            if np.array_equal(got, rounded) and np.any(got != 0):
                return Diagnosis(
                    "rounding",
                    f"the fractions of {case.noun} are {how or 'rounded away'}",
                    "Does the array have an integer dtype, is // used instead of /, "
                    "or are probabilities rounded to labels?",
                )
    for decimals in range(1, 9):
        if np.array_equal(got, np.round(e, decimals)) and e.size > 1:
            return Diagnosis(
                "rounding",
                f"{case.noun} is rounded to {decimals} decimal{'s' * (decimals > 1)}",
                "Return the number as computed. Round only where you print it.",
            )
    for dtype, digits in ((np.float32, 7), (np.float16, 3)):
        with np.errstate(over="ignore", under="ignore"):
            lossy = e.astype(dtype).astype(float)
        eps = float(np.finfo(dtype).eps)
        error = np.abs(got - e)
        if (
            np.array_equal(got, got.astype(dtype).astype(float))
            and np.isfinite(lossy).all()
            and np.all(error <= 8 * eps * np.maximum(np.abs(e), float(np.finfo(dtype).tiny)))
        ):
            return Diagnosis(
                "precision",
                f"{case.noun} has only {digits} digits, the precision of {np.dtype(dtype)}",
                "Keep float64: is .astype or a dtype= argument too small?",
            )
    return None
