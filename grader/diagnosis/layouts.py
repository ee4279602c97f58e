"""The right values at the wrong places: transposed, flipped, shifted, reordered, as pairs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from grader.diagnosis.case import Case, Diagnosis, fit_tolerance, ratio_of, scale_of
from grader.diagnosis.evidence import INDEPENDENT, independent
from grader.diagnosis.factors import name_factor
from grader.diagnosis.wording import Array

_FARTHEST = 3
"""How far a picture may be shifted, in places."""


def explain_pairs(case: Case) -> Diagnosis | None:
    """Explain a cost over the (m, m) differences that (m,) and (m, 1) make."""
    if case.broadcast is None:
        return None
    a, b = (operand.reshape(-1) for operand in case.broadcast)
    m = a.size
    if m < 2 or b.size != m:
        return None
    problem = f"{case.noun} runs over all {m} x {m} pairs of samples, not over the {m} samples"
    hint = (
        "An array (m,) met an array (m, 1) and broadcasting made (m, m): "
        "give both the same shape, e.g. y.reshape(-1, 1)."
    )
    if case.got.shape == (m, m) and case.expected.shape != (m, m):
        return Diagnosis("broadcast", problem, hint)
    if case.got.size != 1:
        return None
    got = float(case.got.reshape(-1)[0])
    sums = _sums_over_pairs(a, b) + _sums_over_pairs(b, a)
    for total, over in itertools.product(sums, (1, 2, m, 2 * m, m * m, 2 * m * m)):
        if (
            np.isfinite(total)
            and total != 0
            and abs(abs(got) - abs(total / over)) <= (case.rtol * abs(total / over))
        ):
            return Diagnosis("broadcast", problem, hint)
    return None


def explain_layout(case: Case) -> Diagnosis | None:
    """Explain a transposed, reshaped, turned, flipped, shifted or permuted result."""
    for kind, candidate, problem, hint in _layouts(case):
        if case.same(candidate):
            return Diagnosis(kind, f"{case.noun} {problem}", hint)
    if case.expected.ndim == 2 and case.got.shape == case.expected.T.shape:
        turned = case.expected.T
        ratio = ratio_of(case.got, turned)
        if ratio is not None and turned.shape[0] > 1 and turned.shape[1] > 1:
            if independent(turned) < INDEPENDENT:
                return None
            words = name_factor(ratio, case.factors, rtol=fit_tolerance(case), noun=case.noun)
            if words is not None and case.same(ratio * turned):
                return Diagnosis("transpose", f"{words.problem}, and transposed", words.hint)
    return None


def _layouts(case: Case) -> Iterator[tuple[str, Array, str, str]]:
    """Yield the right result in other layouts, one at a time to save memory."""
    got, expected = case.got, case.expected
    rank = expected.ndim
    if rank >= 2:
        hint = "Return x.T, or swap the factors of the product."
        yield "transpose", expected.T, "is transposed", hint
    if got.size == expected.size > 1 and got.shape != expected.shape:
        problem = "holds the right values in another shape"
        hint = f"Reshape it to {expected.shape}."
        yield "shape", expected.reshape(got.shape), problem, hint
    if got.size == expected.size and rank >= 2:
        problem = "holds the right values, but read column by column instead of row by row"
        hint = "A reshape does not transpose: it keeps the order of the values."
        yield "order", expected.reshape(-1, order="F").reshape(got.shape), problem, hint
    if rank >= 2:
        for turns, degrees in ((1, 90), (3, 270)):
            problem, hint = f"is turned by {degrees} degrees", "Check the rotation's direction."
            yield "rotation", np.rot90(expected, turns), problem, hint
    if got.shape != expected.shape:
        return
    for axis in range(min(rank, 4)):
        if expected.shape[axis] < 3 or _is_mirrored(case, axis):
            continue
        hint = "Is a slice [::-1] missing, on the wrong axis, or applied once too often?"
        if rank == 1 and _only_rises_or_falls(expected):
            # A function of evenly spread points, from -a to a, is flipped by a wrong sign as well.
            hint = "Are the values in reverse order, or has an argument the wrong sign?"
        yield "flip", np.flip(expected, axis), f"is flipped {_flip_words(axis, rank)}", hint
    if rank >= 2:
        problem = "is turned by 180 degrees (flipped along both axes)"
        yield "flip", np.flip(expected, (0, 1)), problem, "Is one of the two flips too many?"
    if rank == 1 and expected.size >= 3:
        for shift in (1, -1):
            problem, hint = "is shifted by one place", "Is an index off by one?"
            yield "shift", np.roll(expected, shift), problem, hint
    for axis in range(min(rank, 2)):
        order = _permutation(got, expected, axis)
        if order is not None:
            line = "values" if rank == 1 else ("rows", "columns")[axis]
            hint = "Are two indices or two arguments swapped?"
            problem = f"has the right {line} in another order"
            yield "permuted", np.take(expected, order, axis=axis), problem, hint


def _only_rises_or_falls(values: Array) -> bool:
    steps = np.diff(values)
    return bool(np.all(steps >= 0) or np.all(steps <= 0))


def _is_mirrored(case: Case, axis: int) -> bool:
    """Return whether an input has the same absolute values from both ends.

    For such an input a wrong sign flips the result, so a flip shows nothing about the order.
    """
    return any(
        x.shape == case.expected.shape and np.allclose(np.abs(np.flip(x, axis)), np.abs(x))
        for x in case.inputs.values()
        if np.ptp(np.abs(x)) > 0
    )


def explain_shift(case: Case) -> Diagnosis | None:
    """Explain a series, or a picture, that starts too late or too early."""
    if case.got.ndim == 2:
        return _shifted_picture(case)
    if case.got.ndim != 1 or case.got.shape != case.expected.shape or case.got.size < 4:
        return None
    got, expected = case.got, case.expected
    for ours, theirs, way in ((got[1:], expected[:-1], "late"), (got[:-1], expected[1:], "early")):
        near = np.abs(ours - theirs) <= case.rtol * np.abs(theirs) + case.atol
        if near.all() and np.ptp(expected) > 0 and case.wrong().mean() > 0.5:
            return Diagnosis(
                "shift",
                f"{case.noun} comes one place too {way}",
                "Is an index, a range or a slice off by one?",
            )
    return None


def _shifted_picture(case: Case) -> Diagnosis | None:
    """Explain a picture that is moved up, down, left or right, or in both directions."""
    got, expected = case.got, case.expected
    rows, columns = got.shape
    if got.shape != expected.shape or min(got.shape) < 3 or case.wrong().mean() < 0.25:
        return None
    shifts = itertools.product(range(-_FARTHEST, _FARTHEST + 1), repeat=2)
    for down, right in sorted(shifts, key=lambda shift: abs(shift[0]) + abs(shift[1])):
        if not (down or right) or abs(down) >= rows - 1 or abs(right) >= columns - 1:
            continue
        ours = got[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)]
        theirs = expected[
            max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)
        ]
        near = np.abs(ours - theirs) <= case.rtol * np.abs(theirs) + case.atol
        if near.all() and independent(theirs) >= INDEPENDENT:
            one = max(abs(down), abs(right)) == 1
            ways = [_way(down, "up", "down"), _way(right, "to the left", "to the right")]
            places = " and ".join(way if one else f"{n} {way}" for n, way in ways if way)
            return Diagnosis(
                "shift",
                f"{case.noun} is moved by {'one place ' if one else ''}{places}",
                "Is an index, a range or a slice off by one?"
                if one
                else "Where does the slice that you assign to begin and end?",
            )
    return None


def _way(by: int, back: str, forth: str) -> tuple[int, str]:
    return abs(by), "" if not by else back if by < 0 else forth


def _sums_over_pairs(a: Array, b: Array) -> list[float]:
    """Return typical costs summed over all pairs (a_i, b_j); a may hold probabilities."""
    p, y = a[:, None], b[None, :]
    sums = [float(((p - y) ** 2).sum()), float(np.abs(p - y).sum())]
    if np.all((p > 0) & (p < 1)) and np.all((y >= 0) & (y <= 1)):
        sums.append(float((y * np.log(p) + (1 - y) * np.log(1 - p)).sum()))
    return sums


def _permutation(got: Array, expected: Array, axis: int) -> Array | None:
    """Return the order of expected's lines that gives got's, if all lines differ; else None."""
    rows_got = np.moveaxis(got, axis, 0).reshape(got.shape[axis], -1)
    rows = np.moveaxis(expected, axis, 0).reshape(expected.shape[axis], -1)
    if len(rows) < 2 or rows.size == 0:
        return None
    # Lines are sorted by their inner product with fixed weights: one number for each line.
    weights = 1.0 + np.abs(np.sin(np.arange(1.0, rows.shape[1] + 1)))
    key, key_got = rows @ weights, rows_got @ weights
    gap = np.diff(np.sort(key))
    if gap.size == 0 or np.min(gap) <= 1e-9 * scale_of(key):
        return None
    order = np.empty(len(rows), dtype=int)
    order[np.argsort(key_got, kind="stable")] = np.argsort(key, kind="stable")
    return order if np.any(order != np.arange(len(rows))) else None


def _flip_words(axis: int, ndim: int) -> str:
    if ndim == 1:
        return "end to end"
    words = ("upside down (axis 0)", "left to right (axis 1)")
    return words[axis] if axis < 2 else f"along axis {axis}"
