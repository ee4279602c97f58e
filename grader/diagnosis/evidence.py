"""How much evidence a result holds: the number of its independent elements.

A factor fitted to one number always fits. In `np.outer(delta, x)` the elements of a row depend on
each other, and so do those of a pair of classes (c, -c): there a factor explains nothing.
"""

from __future__ import annotations

import numpy as np

from grader.diagnosis.case import scale_of
from grader.diagnosis.wording import Array

# A factor without a name must fit this many elements to be mentioned.
INDEPENDENT = 3
# An element smaller than this, relative to the largest, says nothing about a factor.
_SMALL = 1e-6
_TIED = 1e-7


def independent(array: Array) -> int:
    """Return how many elements of the array are independent.

    Equal and opposite numbers count once. A matrix of rank one counts as the one of its two vectors
    with fewer such elements. An array whose elements sum to 0, like the delta of a softmax, counts
    one less.
    """
    if not np.isfinite(array).all() or not array.size:
        return 0
    if array.ndim == 2 and min(array.shape) > 1:
        left, sizes, right = np.linalg.svd(array, full_matrices=False)
        if sizes[0] == 0:
            return 0
        if sizes[1] <= _TIED * sizes[0]:
            return min(_distinct(left[:, 0]), _distinct(right[0]))
    return _distinct(array.reshape(-1))


def has_rank_one(array: Array) -> bool:
    """Return whether all rows of a matrix are multiples of one row."""
    if array.ndim != 2:
        return False
    sizes = np.linalg.svd(array, compute_uv=False)
    return bool(sizes.size < 2 or sizes[1] <= _TIED * max(sizes[0], 1e-300))


def is_one_limit(array: Array) -> bool:
    """Return whether all values are 0 or 1, or all 0 or -1: limits of a function at large inputs.

    A wrong sign has many causes there: a lost factor, or one class in the place of another.
    """
    return array.size > 1 and set(np.unique(array)) in ({0.0, 1.0}, {-1.0, 0.0}, {-1.0}, {1.0})


def is_unit_vector(array: Array) -> bool:
    """Return whether it is a vector of length 1 with several elements that are not negligible."""
    flat = array.reshape(-1)
    if array.ndim > 2 or flat.size != max(array.shape, default=0) or flat.size < 2:
        return False
    length = float(np.sqrt(np.sum(flat**2)))
    return abs(length - 1) < 1e-9 and _distinct(flat) > 1


def is_generic(value: float) -> bool:
    """Return whether a number has more than four digits, so that an equal one is not chance."""
    return np.isfinite(value) and float(f"{value:.4g}") != value


def _distinct(vector: Array) -> int:
    scale = scale_of(vector)
    if scale == 0:
        return 0
    large = np.sort(np.abs(vector[np.abs(vector) > _SMALL * scale])) / scale
    count = 1 + int(np.sum(np.diff(large) > _TIED))
    tied = abs(float(vector.sum())) <= _TIED * float(np.abs(vector).sum())
    return count - 1 if tied and count > 1 else count
