"""A wrong result with the right one, and a diagnosis of the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.diagnosis.wording import Array

Factor = float | Array

# An explanation must leave at most this share of the error that it explains.
_EXPLAINS = 0.02


@dataclass(frozen=True)
class Diagnosis:
    """One true statement about a wrong result.

    kind : "sign", "factor", "term", "transpose", "dummy", "overflow", ...
    problem : the statement; holds no input and no expected value
    hint : the likely cause, as a question or as advice
    weight : how much the statement assumes; of two true statements, the lighter one is used
    """

    kind: str
    problem: str
    hint: str = ""
    weight: float = 0.0


@dataclass(frozen=True)
class Case:
    """A wrong result with the right one, and what the check says about them; see `diagnose`."""

    got: Array
    expected: Array
    factors: Mapping[str, Factor] = field(default_factory=dict)
    terms: Mapping[str, Array] = field(default_factory=dict)
    mistakes: Mapping[str, Array] = field(default_factory=dict)
    dummy: Array | None = None
    inputs: Mapping[str, Array] = field(default_factory=dict)
    broadcast: tuple[Array, Array] | None = None
    noun: str = "the result"
    rtol: float = 1e-6
    atol: float = 0.0
    whole: bool = False
    """Whether the result was an array of integers."""

    def same(self, value: Array) -> bool:
        """Return whether the value equals the wrong result everywhere, and so explains it."""
        if value.shape != self.got.shape or not np.isfinite(value).all():
            return False
        left = np.abs(self.got - value)
        scale = float(np.max(np.abs(value), initial=0.0))
        if np.any(left > self.rtol * np.abs(value) + self.atol + 1e-12 * scale):
            return False
        if value.shape != self.expected.shape:
            return True
        error = float(np.max(np.abs(self.got - self.expected), initial=0.0))
        return float(np.max(left, initial=0.0)) <= _EXPLAINS * error

    def wrong(self) -> Array:
        """Return the mask of the elements that differ; both shapes must be equal."""
        floor = self.atol + 1e-12 * scale_of(self.expected)
        wrong: Array = np.abs(self.got - self.expected) > self.rtol * np.abs(self.expected) + floor
        return wrong


def ratio_of(got: Array, expected: Array) -> float | None:
    """Return the factor between two arrays by least squares; None if there is none."""
    scale = scale_of(expected)
    if got.shape != expected.shape or scale == 0 or not np.isfinite(got).all():
        return None
    # Scaled first: the squares of 1e-200 and 1e200 are outside float64's range.
    other = scale_of(got)
    if other == 0:
        return None
    e, g = expected / scale, got / other
    ratio = float(np.vdot(e, g) / np.vdot(e, e)) * (other / scale)
    return ratio if ratio != 0 and np.isfinite(ratio) else None


def fit_tolerance(case: Case) -> float:
    """Return the tolerance for a fitted factor; a loose one would name 120.3 as m = 120."""
    floor = case.atol / scale if (scale := scale_of(case.expected)) else 0.0
    return float(min(max(case.rtol, 1e-9) + floor, 1e-3))


def scale_of(array: Array) -> float:
    """Return the largest magnitude; 0 for an empty array."""
    return float(np.max(np.abs(array), initial=0.0))


def numbers(value: object) -> Array | None:
    """Return real numbers, booleans or nested lists of them as a float64 array; else None."""
    if not isinstance(value, (bool, int, float, list, tuple, np.ndarray, np.generic)):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind not in "fiub":
        return None
    return array.astype(np.float64)


def all_numbers(values: Mapping[str, Any] | None) -> dict[str, Array]:
    """Return the values that are numbers, as arrays."""
    arrays = {name: numbers(value) for name, value in (values or {}).items()}
    return {name: array for name, array in arrays.items() if array is not None}


def pair(values: tuple[Any, Any] | None) -> tuple[Array, Array] | None:
    """Return both values as arrays; None if one of them isn't numbers."""
    if values is None:
        return None
    a, b = numbers(values[0]), numbers(values[1])
    return None if a is None or b is None else (a, b)
