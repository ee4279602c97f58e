"""How close a value of a coarser dtype than float64 can be: the one table of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.diagnosis.wording import Array


@dataclass(frozen=True)
class Precision:
    """What the dtype of a right result leaves open.

    eps : the distance from 1 to the next number
    rtol : room on each element, for the rounding of a short computation
    rtol_of_sums : the same where each element is a sum over samples, as a gradient's is
    """

    eps: float
    rtol: float
    rtol_of_sums: float


# 1e-5 is about 80 units in float32's last place, 2e-3 is two in float16's: more of float16 would
# let a lost sample of a hundred pass.
PRECISION = {
    "float32": Precision(float(np.finfo(np.float32).eps), 1e-5, 1e-3),
    "float16": Precision(float(np.finfo(np.float16).eps), 2e-3, 5e-3),
}
# float64 and everything exact: what a check asks for is what holds.
_EXACT = Precision(float(np.finfo(np.float64).eps), 0.0, 0.0)


def precision_of(array: Array) -> Precision:
    """Return the precision of the array's dtype; that of float64 for all but coarser floats."""
    return PRECISION.get(str(array.dtype), _EXACT)


def rtol_for(array: Array, rtol: float) -> float:
    """Return the relative tolerance, or what the array's own dtype asks for where that is more."""
    return max(rtol, precision_of(array).rtol)
