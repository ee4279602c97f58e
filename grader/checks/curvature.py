"""Convex functions, symmetric and positive semidefinite matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, as_scalar, assert_finite, assert_shape, refuse_empty
from grader.checks.showing import first_index, index_text, show
from grader.checks.tolerances import rtol_for
from grader.diagnosis.wording import Array, number
from grader.errors import CheckFailed, NonFiniteValue


def measure_convexity(
    f: Callable[[Any], Any],
    points: Any,
    *,
    rng: np.random.Generator | None = None,
    chords: int = 64,
) -> float:
    """Return the largest violation of convexity on chords between the points, 0 if none.

    f : point -> number; points : (n,) numbers, or (n, ...) arrays
    The violation is f(t a + (1-t) b) - (t f(a) + (1-t) f(b)), relative to the values' size
    and beyond their rounding.
    """
    return _convexity(f, points, rng=rng, chords=chords)[0]


def assert_convex(
    f: Callable[[Any], Any],
    points: Any,
    *,
    rng: np.random.Generator | None = None,
    chords: int = 64,
    called: str = "",
    noun: str = "the function",
) -> None:
    """Accept a function that lies on or below its chords between the points.

    Raises CheckFailed, with the chord that it violates as evidence.
    """
    worst, where = _convexity(f, points, rng=rng, chords=chords)
    if worst > 0:
        raise CheckFailed(
            f"{noun} is not convex: it lies above one of its chords",
            hint="Is its sign right? A convex function is never above the line between two of "
            "its points.",
            called=called,
            where=where,
        )


def assert_not_convex_witness(
    f: Callable[[Any], Any],
    a: object,
    b: object,
    *,
    called: str = "",
    margin: float = 1e-6,
) -> None:
    """Accept a and b if the chord between them shows that f is not convex.

    f : the true function, number -> number
    margin : how far f must rise above the chord somewhere, relative to its largest magnitude
    """
    left, right = (float(as_scalar(end, called=called)) for end in (a, b))
    if not np.isfinite([left, right]).all():
        raise NonFiniteValue("an end of the chord is not finite", called=called)
    if left == right:
        raise CheckFailed("both ends of the chord are the same point", called=called)
    t = np.linspace(0.0, 1.0, 65)[1:-1]
    ends = float(f(left)), float(f(right))
    inside = np.array([float(f(s * left + (1 - s) * right)) for s in t])
    chord = t * ends[0] + (1 - t) * ends[1]
    scale = max(float(np.max(np.abs(inside))), *map(abs, ends))
    if float(np.max(inside - chord)) > margin * scale:
        return
    raise CheckFailed(
        "the function never rises above the chord between the two points",
        hint="The function is not convex where its second derivative is negative: "
        "take both ends from there.",
        called=called,
        got=f"a = {show(left)}, b = {show(right)}",
    )


def assert_psd(
    H: object, *, called: str = "", noun: str = "the matrix", rtol: float = 1e-9
) -> None:
    """Accept a symmetric matrix without negative eigenvalues; a number counts as (1, 1).

    rtol : relative to the largest eigenvalue, a negative one up to this size is rounding; also the
        tolerance of the symmetry. A float32 matrix gets float32's tolerance
    """
    given = as_array(H, called=called)
    rtol = rtol_for(given, rtol)
    matrix = given.astype(np.float64)
    if matrix.ndim == 0:
        matrix = matrix.reshape(1, 1)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise CheckFailed(
            f"{noun} of shape {matrix.shape} is not square", called=called, got=show(matrix)
        )
    assert_finite(matrix, called=called)
    assert_symmetric(matrix, called=called, noun=noun, rtol=rtol)
    eigenvalues = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    size = float(np.max(np.abs(eigenvalues), initial=0.0))
    if eigenvalues.size and eigenvalues[0] < -rtol * size:
        all_negative = bool(np.all(eigenvalues <= rtol * size))
        raise CheckFailed(
            f"{noun} has a negative eigenvalue: it is not positive semidefinite",
            hint="Every eigenvalue is negative: is a minus sign missing?" if all_negative else "",
            called=called,
            got=f"smallest eigenvalue {eigenvalues[0]:.6g}, largest {eigenvalues[-1]:.6g}",
        )


def assert_symmetric(
    M: object,
    *,
    diagonal: float | None = None,
    called: str = "",
    noun: str = "the matrix",
    rtol: float = 1e-9,
) -> None:
    """Accept a square matrix that equals its transpose.

    diagonal : the number that each diagonal element must be; None accepts any
    rtol : relative to the largest element; a float32 matrix gets float32's tolerance
    """
    given = as_array(M, called=called)
    rtol = rtol_for(given, rtol)
    matrix = given.astype(np.float64)
    if matrix.ndim != 2:
        raise CheckFailed(
            f"{noun} must have two axes; an array of shape {matrix.shape} came", called=called
        )
    assert_shape(matrix, (matrix.shape[0], matrix.shape[0]), called=called)
    refuse_empty(matrix, called=called, noun=noun)
    scale = float(np.max(np.abs(matrix), initial=0.0))
    off = np.abs(matrix - matrix.T)
    if np.any(~(off <= rtol * scale)):
        index = first_index(~(off <= rtol * scale))
        triangle = not np.any(np.tril(matrix, -1)) or not np.any(np.triu(matrix, 1))
        raise CheckFailed(
            f"{noun} is not symmetric",
            hint="Only one triangle is filled: copy it to the other one."
            if triangle
            else "Its element [i, j] must equal [j, i].",
            called=called,
            where=f"{index_text(index)}: {matrix[index]:.6g}, "
            f"{index_text(index[::-1])}: {matrix[index[::-1]]:.6g}",
        )
    if diagonal is not None and np.any(np.abs(np.diag(matrix) - diagonal) > rtol * max(scale, 1)):
        raise CheckFailed(
            f"the diagonal of {noun} is not {number(diagonal)} everywhere",
            called=called,
            got=show(np.diag(matrix)),
        )


def _convexity(
    f: Callable[[Any], Any],
    points: Any,
    *,
    rng: np.random.Generator | None,
    chords: int,
) -> tuple[float, str]:
    p = np.asarray(points, dtype=np.float64)
    if len(p) < 2:
        raise ValueError("convexity needs two points at least")
    rng = rng or np.random.default_rng(0)
    pairs = [(i, j) for i in range(len(p)) for j in range(i)]
    if len(pairs) > chords:
        pairs = [pairs[k] for k in rng.choice(len(pairs), size=chords, replace=False)]
    t = np.where(rng.random(len(pairs)) < 0.25, 0.5, rng.uniform(0.05, 0.95, len(pairs)))
    inner = [s * p[i] + (1 - s) * p[j] for (i, j), s in zip(pairs, t, strict=True)]
    values = _values(f, [*p, *inner])
    if not np.isfinite(values).all():
        raise NonFiniteValue("the function is not finite at a finite point")
    ends, middle = values[: len(p)], values[len(p) :]
    worst, where = 0.0, ""
    for (i, j), s, value in zip(pairs, t, middle, strict=True):
        scale = max(abs(ends[i]), abs(ends[j]), abs(value), 1e-300)
        above = (value - (s * ends[i] + (1 - s) * ends[j])) / scale
        if above > max(worst, 1e-9):
            worst = float(above)
            where = (
                f"between {show(p[i])} and {show(p[j])}, at t = {s:.3g}: the function is "
                f"{value:.6g}, the chord {s * ends[i] + (1 - s) * ends[j]:.6g}"
            )
    return worst, where


def _values(f: Callable[[Any], Any], points: Sequence[Any]) -> Array:
    shaped = [p if np.ndim(p) else float(p) for p in points]
    send = getattr(f, "map", None)
    with np.errstate(all="ignore"):
        replies = send(shaped) if callable(send) else [f(p) for p in shaped]
    return np.array([float(as_scalar(reply)) for reply in replies])
