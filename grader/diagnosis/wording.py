"""Numbers as people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TRY_BY_HAND = (
    "Try it on two or three numbers of your own, compute the same by hand, and compare the steps."
)
"""The advice where nothing better is known."""


def number(value: float) -> str:
    """Return a number as people write it: integers whole, others with four digits."""
    nearest = round(value) if np.isfinite(value) and abs(value) < 1e15 else None
    if nearest is not None and abs(value - nearest) <= 1e-9 * max(1.0, abs(value)):
        return str(nearest)
    return f"{value:.4g}"


def times_too(ratio: float) -> str:
    """Return what a factor does: "is 12 times too large", "has the wrong sign and is ..."."""
    sign = "has the wrong sign and " if ratio < 0 else ""
    size = abs(ratio)
    times, word = (size, "large") if size > 1 else (1 / size, "small")
    return f"{sign}is {number(times)} times too {word}"
