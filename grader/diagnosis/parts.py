"""Results of which only a part is right: a row, a branch, the diagonal, between two limits."""

from __future__ import annotations

import numpy as np

from grader.diagnosis.case import Case, Diagnosis, scale_of
from grader.diagnosis.evidence import INDEPENDENT, independent, is_generic
from grader.diagnosis.wording import Array


def explain_clipping(case: Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape or case.got.size < 4:
        return None
    low, high = float(case.got.min()), float(case.got.max())
    wrong = case.wrong()
    inside = ~wrong
    if inside.sum() < 2 or wrong.mean() > 0.75 or low == high:
        return None
    # Any function with a limit looks clipped at large inputs, where all values are alike. But if
    # different values all became one number of many digits, the code has clipped them.
    far_out = independent(case.expected[inside]) < INDEPENDENT
    cut = np.unique(case.got[wrong])
    by_code = wrong.sum() >= 4 and cut.size == 1 and is_generic(float(cut[0]))
    if far_out and not (by_code and independent(case.expected[wrong]) > 1):
        return None
    if np.array_equal(wrong, _border(wrong)) and np.unique(case.got[wrong]).size == 1:
        return None  # a border that was never set: `explain_part` names it
    if case.same(np.clip(case.expected, low, high)):
        above, below = case.expected[wrong] > high, case.expected[wrong] < low
        ends = [word for word, cut in (("above", above), ("below", below)) if cut.any()]
        # The limit is taken from the wrong elements: a single one always fits it.
        if wrong.sum() < 2 or max(above.sum(), below.sum()) < 2:
            return None
        return Diagnosis(
            "clipping",
            f"{case.noun} is clipped {' and '.join(ends)}: "
            f"{int(wrong.sum())} of {wrong.size} elements are cut to one limit",
            "Is np.clip, a maximum or a minimum applied too early, or does a dtype such as uint8 "
            "overflow?",
        )
    return None


def explain_huge(case: Case) -> Diagnosis | None:
    """Explain a few elements that are millions of times larger than any that is due."""
    if case.got.shape != case.expected.shape or not np.isfinite(case.got).all():
        return None
    wrong = case.wrong()
    size = np.abs(case.got[wrong])
    if not wrong.any() or wrong.mean() > 0.5 or size.min() < _HUGE * scale_of(case.expected):
        return None
    are = "is" if wrong.sum() == 1 else "are"
    return Diagnosis(
        "huge",
        f"{int(wrong.sum())} of {wrong.size} elements of {case.noun} {are} far larger than any that"
        f" is due (about {size.max():.0e}); the rest is right",
        "Is it divided by a number near 0 there? Does that case need a value of its own?",
    )


_HUGE = 1e5


def explain_diagonal(case: Case) -> Diagnosis | None:
    """Explain a matrix that is right only on its diagonal, or only off it."""
    shape = case.expected.shape
    if case.got.shape != shape or len(shape) != 2 or shape[0] != shape[1] or shape[0] < 3:
        return None
    wrong, eye = case.wrong(), np.eye(shape[0], dtype=bool)
    if not wrong[~eye].any() and wrong[eye].mean() > 0.5:
        return Diagnosis(
            "part",
            f"{case.noun} is right except on its diagonal",
            "The diagonal elements have a formula of their own.",
        )
    if not wrong[eye].any() and wrong[~eye].mean() > 0.8:
        return Diagnosis(
            "part",
            f"{case.noun} is right only on its diagonal",
            "Is the other part of the formula missing?",
        )
    return None


def explain_part(case: Case) -> Diagnosis | None:
    """Explain a result that is right except in a row, a column, or for one sign of an input."""
    if case.got.shape != case.expected.shape or case.got.size < 3:
        return None
    wrong = case.wrong()
    if not wrong.any() or wrong.all():
        return None
    for part, mask, hint in _parts(case, wrong):
        if np.array_equal(mask, wrong):
            return Diagnosis("part", f"{case.noun} is right except {part}", hint)
    return None


def _reach_hint(case: Case, mask: Array, line: str) -> str:
    """Return the hint for a wrong line; a line of 0 at the edge may be a loop that ends early."""
    if np.any(case.got[mask]) or case.got.size < 4:
        return f"Compute that {line} by hand: does it need a formula of its own, like a bias?"
    return f"It is 0 there: does the loop or the slice reach that {line}?"


def _border(array: Array) -> Array:
    """Return the mask of the first and last element along each axis; no element if all are."""
    border = np.ones(array.shape, dtype=bool)
    border[tuple([slice(1, -1)] * array.ndim)] = False
    return border if min(array.shape, default=0) >= 3 else np.zeros_like(border)


def _parts(case: Case, wrong: Array) -> list[tuple[str, Array, str]]:
    parts: list[tuple[str, Array, str]] = []
    # An element can be right by chance (a 0 that should be 0), so a line counts as wrong if any
    # of its elements is wrong. The mask then holds the wrong elements of that line.
    for axis in range(min(wrong.ndim, 2)):
        line = "element" if wrong.ndim == 1 else ("row", "column")[axis]
        for place, word in ((-1, "last"), (0, "first")):
            mask = np.zeros_like(wrong)
            view = np.moveaxis(mask, axis, 0)
            view[place] = True
            if not mask.all() and (min(wrong.shape) == 1 or wrong.ndim == 1 or wrong.sum() > 1):
                parts.append((f"in the {word} {line}", mask & wrong, _reach_hint(case, mask, line)))
    for name, x in case.inputs.items():
        if x.shape != wrong.shape:
            continue
        for mask, words in (
            (x < 0, f"where {name} < 0"),
            (x > 0, f"where {name} > 0"),
            (x == 0, f"where {name} = 0"),
        ):
            if mask.any() and not mask.all():
                parts.append((words, mask, "Does the formula lack this case?"))
    if wrong.ndim == 2:
        for axis, line in ((1, "row"), (0, "column")):
            bad = np.flatnonzero(wrong.any(axis=axis))
            # A single wrong element does not make its row wrong; its place is named elsewhere.
            if bad.size == 1 and wrong.shape[1 - axis] > 2 and wrong.sum() > 1:
                mask = np.zeros_like(wrong)
                np.moveaxis(mask, 1 - axis, 0)[bad[0]] = True
                parts.append((f"in {line} {bad[0]}", mask & wrong, "Counted from 0."))
    # Last, since a row, or the sign of an input, says more.
    zero = case.expected == 0
    if 3 <= zero.sum() < zero.size and (zero & wrong).sum() > 2:
        hint = "Look at the elements that have to be 0."
        parts.append(("where it should be 0", zero & wrong, hint))
    mask = _border(wrong)
    if wrong.ndim in (1, 2) and (mask & wrong).sum() > 0.75 * mask.sum():
        unset = "It is 0 there: is it ever set?"
        hint = "Do these elements stay as they are, or have they a formula of their own?"
        words = "at both ends" if wrong.ndim == 1 else "at its border"
        parts.append((words, mask & wrong, hint if np.any(case.got[mask]) else unset))
    return parts
