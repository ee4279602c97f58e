"""Shares that sum to 1 along the wrong axis: a softmax, a mean, a normalised matrix."""

from __future__ import annotations

import numpy as np

from grader.diagnosis.case import Case, Diagnosis
from grader.diagnosis.wording import Array

_NEAR = 1e-6
_LINES = ("column", "row")


def explain_sums(case: Case) -> Diagnosis | None:
    """Explain columns, or all elements, that sum to 1 where each row should."""
    got, expected = case.got, case.expected
    if got.shape != expected.shape or got.ndim != 2 or min(got.shape) < 2:
        return None
    if not np.isfinite(got).all() or (got < 0).any() or (expected < 0).any():
        return None
    for axis in (1, 0):
        if not _is_one(expected.sum(axis=axis)) or _is_one(got.sum(axis=axis)):
            continue
        line, other = _LINES[axis], _LINES[1 - axis]
        if _is_one(got.sum(axis=1 - axis)) and not _is_one(expected.sum(axis=1 - axis)):
            return Diagnosis(
                "axis",
                f"each {other} of {case.noun} sums to 1; each {line} should",
                "Does the softmax, or the sum in its denominator, run over the wrong axis?",
            )
        if _is_one(got.sum()):
            return Diagnosis(
                "axis",
                f"all elements of {case.noun} together sum to 1; each {line} should",
                f"Name the axis of the sum in the denominator: axis={axis}, keepdims=True.",
            )
    return None


def _is_one(sums: Array | np.floating) -> bool:
    return bool(np.all(np.abs(sums - 1) <= _NEAR))
