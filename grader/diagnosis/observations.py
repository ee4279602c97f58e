"""What is right in a wrong result that has no explanation.

Each statement is a fact about the numbers, without a guess at the cause. It is made only if a
random result would fulfil it less than about once in a thousand times.
"""

from __future__ import annotations

import numpy as np

from grader.diagnosis.case import numbers, scale_of
from grader.diagnosis.wording import Array

# Two sums are the same if they differ by at most this share of the sum of magnitudes.
_SAME = 1e-6
# A random result has so many signs right once in a thousand times.
_SIGNS = 10
# A random result has so many elements in the right order once in 720 times.
_ORDER = 6


def what_is_right(got: object, expected: object) -> str:
    """Return "the sum of each row is right", "each has the right sign", ... or ""."""
    g, e = numbers(got), numbers(expected)
    if g is None or e is None or g.shape != e.shape or g.size < 3:
        return ""
    if not (np.isfinite(g).all() and np.isfinite(e).all()) or scale_of(e) == 0:
        return ""
    if e.ndim == 2 and min(e.shape) > 1:
        for axis, line in ((1, "row"), (0, "column")):
            if _sums_agree(g, e, axis) and e.shape[1 - axis] > 1:
                return f"the sum of each {line} is right"
    if _sums_agree(g, e, None):
        return "their sum is right"
    off = float(np.max(np.abs(g - e) / np.maximum(np.abs(e), 1e-300)))
    if off < 0.2:
        return f"each is off by less than {max(1, int(np.ceil(100 * off)))} %"
    both = int(np.sum(e > 0)), int(np.sum(e < 0))
    if sum(both) >= _SIGNS and min(both) >= 3 and np.array_equal(np.sign(g), np.sign(e)):
        return "each has the right sign"
    flat = e.reshape(-1)
    if np.unique(flat).size == flat.size >= _ORDER and np.array_equal(
        np.argsort(g.reshape(-1), kind="stable"), np.argsort(flat, kind="stable")
    ):
        return "their order is right, from the smallest to the largest"
    return ""


def which_are_right(wrong: Array) -> str:
    """Return "the first 3 are right", "the last one is right", "the first 4 columns are right", "".

    wrong : mask of the elements that differ; "" unless the right ones are exactly those at one end
    """
    if not wrong.any():
        return ""
    for axis, line in ((0, "row"), (1, "column"))[: wrong.ndim]:
        others = tuple(n for n in range(wrong.ndim) if n != axis)
        bad = np.asarray(wrong.any(axis=others))
        right = int(np.sum(~bad))
        if bad.size < 3 or not right:
            continue
        word = "" if wrong.ndim == 1 else f" {line}{'s' * (right > 1)}"
        for end, part in (("first", ~bad[:right]), ("last", ~bad[-right:])):
            if part.all():
                shown = f"{right}{word} are" if right > 1 else f"{word.strip() or 'one'} is"
                return f"the {end} {shown} right"
    return ""


def _sums_agree(g: Array, e: Array, axis: int | None) -> bool:
    room = _SAME * np.abs(e).sum(axis=axis)
    return bool(np.all(np.abs(g.sum(axis=axis) - e.sum(axis=axis)) <= room))
