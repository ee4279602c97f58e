"""Tolerances for results in float32 and float16."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.diagnosis.wording import Array


@dataclass(frozen=True)
class Precision:
    """How exact a right result of a dtype can be.

    eps : the distance from 1 to the next number
    rtol : tolerance relative to an element, for the rounding of a short computation
    rtol_of_sums : tolerance relative to the other elements of its row and column. An element of a
        product, or of a gradient over samples, may be a small sum of large terms
    """

    eps: float
    rtol: float
    rtol_of_sums: float


# With 200 seeds, a product over 784 terms in float32 is off by up to 4e-6 of the root mean square
# of its elements. 1e-5 is about 80 units in float32's last place, 2e-3 is two in float16's. With
# more for float16, a gradient without one of a hundred samples would pass.
PRECISION = {
    "float32": Precision(float(np.finfo(np.float32).eps), 1e-5, 2e-5),
    "float16": Precision(float(np.finfo(np.float16).eps), 2e-3, 2e-3),
}
# For float64 and exact types, the check's own tolerance holds.
_EXACT = Precision(float(np.finfo(np.float64).eps), 0.0, 0.0)


def precision_of(array: Array) -> Precision:
    """Return the precision of the array's dtype; float64's for all but float32 and float16."""
    return PRECISION.get(str(array.dtype), _EXACT)


def rtol_for(array: Array, rtol: float) -> float:
    """Return the relative tolerance, or that of the array's dtype if it is larger."""
    return max(rtol, precision_of(array).rtol)


def room_for(array: Array, expected: Array, summed: Array | float | None = None) -> Array | float:
    """Return the error that each element may have because its dtype rounds the terms of its sum.

    summed : the sum of the magnitudes of each element's terms, if the check knows it; without it,
        the magnitude is estimated from the elements of the same row and column
    """
    precision = precision_of(array)
    if precision.rtol_of_sums == 0:
        return 0.0
    if summed is not None:
        room: Array = 8 * precision.eps * np.abs(np.asarray(summed, dtype=float))
        return room
    return precision.rtol_of_sums * sizes_of(expected)


def sizes_of(array: Array) -> Array | float:
    """Return each element's magnitude as estimated from its row and column, by root mean squares.

    For a product A @ B this is about |A_i| |B_j|, even if terms cancel in the sum.
    """
    squares = np.abs(array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)) ** 2
    total = float(np.sqrt(squares.mean())) if squares.size else 0.0
    if array.ndim != 2 or total == 0 or not np.isfinite(total):
        return total if array.ndim and np.isfinite(total) else 0.0
    rows = np.sqrt(squares.mean(axis=1, keepdims=True))
    columns = np.sqrt(squares.mean(axis=0, keepdims=True))
    sizes: Array = rows * columns / total
    return sizes


def shown_eps(values: Array) -> float:
    """Return the eps of the coarsest dtype that holds all the values exactly.

    Fewer than three distinct values, or integers, don't show it: the result is then float64's.
    """
    if np.unique(values).size < 3 or np.array_equal(values, np.round(values)):
        return _EXACT.eps
    with np.errstate(over="ignore"):
        for name in ("float16", "float32"):
            if np.array_equal(values, values.astype(name).astype(float)):
                return PRECISION[name].eps
    return _EXACT.eps


def shown_decimals(values: Array) -> int | None:
    """Return the number of decimals, at most 6, that the values are rounded to, or None."""
    finite = values[np.isfinite(values)]
    if np.unique(finite).size < 2 or np.abs(finite).max() > 1e8:
        return None
    fitting = (k for k in range(7) if np.array_equal(finite, np.round(finite, k)))
    return next(fitting, None)
