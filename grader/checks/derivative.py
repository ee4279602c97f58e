"""Derivatives of elementwise functions, and of functions from vectors to vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite, assert_shape
from grader.checks.costs import reason
from grader.checks.differences import (
    ArrayDifference,
    by_coordinate,
    elementwise,
    usable_error,
)
from grader.checks.gradient import assert_gradient, refuse_dummy
from grader.checks.showing import index_text
from grader.checks.slopes import CERTAIN, KNOWN, RESOLVED, STILL, Redraw, resolved
from grader.checks.tolerances import precision_of, rtol_for, shown_decimals
from grader.diagnosis.case import Factor
from grader.diagnosis.values import diagnose
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed

# At how many points the Jacobian is compared, at most, until each element was away from a kink.
_POINTS_TRIED = 3


def assert_derivative(
    f: Callable[[Any], Any],
    df: Callable[[Any], Any],
    *,
    at: Any,
    called: str = "",
    name: str = "x",
    rtol: float = 1e-5,
    factors: Mapping[str, Factor] | None = None,
    terms: Mapping[str, Any] | None = None,
    mistakes: Mapping[str, Any] | None = None,
    dummy: object = None,
    hint: str = "",
) -> None:
    """Accept df as the derivative of the elementwise function f.

    f, df : array -> array of its shape; both are called with whole arrays
    at : float array of points; points near a kink of f, or where f is not finite, are left out
    rtol : on df; the estimated error of the central differences is added to it
    Raises CheckFailed with the diagnosis and the x of the worst error, or with the reason why f's
    values can't decide it (they are rounded, or coarser than float64).
    """
    x = np.asarray(at, dtype=np.float64)
    got = as_array(df(x.copy()), called=called)
    if dummy is not None and got.size == 1 < x.size:
        refuse_dummy(got, dummy, noun="the derivative", called=called)
    assert_shape(got, x.shape, called=called)
    difference = elementwise(f, x)
    numeric, usable = difference.slopes.slope, np.isfinite(usable_error(difference.slopes))
    if dummy is not None and np.any(numeric[usable] != 0):
        refuse_dummy(got, dummy, noun="the derivative", called=called)
    assert_finite(got, called=called)
    if not usable.any():
        raise CheckFailed(
            f"at every {name} that was tried the function has a jump, a kink or no finite value",
            hint="Its derivative is compared with central differences of the function itself.",
            called=called,
        )
    judged = _judge(got, difference, rtol)
    if not judged.wrong.any():
        judged.refuse_undecided(difference, name=name, noun="function", called=called)
        return
    keep = usable if not usable.all() else slice(None)
    g = got.astype(np.float64)
    found = diagnose(
        g[keep],
        numeric[keep],
        factors=factors,
        terms=_at_points(terms, x, keep),
        mistakes=_at_points(mistakes, x, keep),
        inputs={name: x[keep]},
        noun="the derivative",
        rtol=max(10 * rtol, 1e-4),
        atol=CERTAIN * judged.noise + 1e-8 * judged.scale,
        layout=bool(usable.all()) and x.ndim < 2,
    )
    worst = judged.worst
    place = f"{name}{index_text(worst)}" if x.ndim else name
    where = (
        f"{place} = {x[worst]:.6g}: central differences give {numeric[worst]:.6g}, "
        f"got {g[worst]:.6g}"
    )
    if found is None:
        count = int(judged.wrong.sum())
        part = "" if x.size == 1 else f" at {count} of {x.size} points"
        raise CheckFailed(
            f"the derivative does not match the function{part}",
            hint=hint or "It is compared with central differences of the function itself.",
            called=called,
            where=where,
        )
    raise CheckFailed(found.problem, hint=found.hint or hint, called=called, where=where)


def assert_jacobian(
    f: Callable[[Any], Any],
    jacobian: Callable[[Any], Any],
    *,
    at: Any,
    called: str = "",
    rtol: float = 1e-4,
    factors: Mapping[str, Factor] | None = None,
    mistakes: Mapping[str, Any] | None = None,
    dummy: object = None,
) -> None:
    """Accept jacobian as the Jacobian of f: J[i, j] is df_i/dx_j.

    f : (d,) -> (k,); jacobian : (d,) -> (k, d); at : (d,). If f has a kink there, the elements
    that it concerns are compared at a point nearby.
    rtol : on J's elements; the estimated error of the central differences is added to it
    Raises CheckFailed with the diagnosis, or with the reason why f's values can't decide it.
    """
    x = np.asarray(at, dtype=np.float64)
    nudge = np.random.default_rng(0)
    compared: Array = np.array(False)
    for _ in range(_POINTS_TRIED):
        compared = compared | _judge_jacobian(
            f,
            jacobian,
            x,
            called=called,
            rtol=rtol,
            factors=factors,
            mistakes=mistakes,
            dummy=dummy,
        )
        if np.all(compared):
            return
        x = x + 1e-2 * np.maximum(1.0, np.abs(x)) * nudge.normal(size=x.shape)
    raise CheckFailed(
        "at every point that was tried the function has a jump, a kink or no finite value",
        hint="Its Jacobian is compared with central differences of the function itself.",
        called=called,
    )


def _judge_jacobian(
    f: Callable[[Any], Any],
    jacobian: Callable[[Any], Any],
    x: Array,
    *,
    called: str,
    rtol: float,
    factors: Mapping[str, Factor] | None,
    mistakes: Mapping[str, Any] | None,
    dummy: object,
) -> Array:
    """Return the mask of the elements that were compared at x; raise if one is wrong."""
    got = as_array(jacobian(x.copy()), called=called)
    refuse_dummy(got, dummy, noun="the derivative", called=called)
    difference = by_coordinate(f, x)
    assert_shape(got, difference.slopes.slope.shape, called=called)
    assert_finite(got, called=called)
    judged = _judge(got, difference, rtol)
    if not judged.wrong.any():
        judged.refuse_undecided(difference, name="x", noun="function", called=called)
        return judged.usable
    numeric, worst = difference.slopes.slope, judged.worst
    whole = bool(judged.usable.all())
    found = diagnose(
        got if whole else got[judged.usable],
        numeric if whole else numeric[judged.usable],
        factors=factors,
        mistakes=mistakes if whole else None,
        noun="the Jacobian",
        rtol=max(rtol, 1e-4),
        atol=CERTAIN * judged.noise + 1e-8 * judged.scale,
        layout=whole,
    )
    raise CheckFailed(
        found.problem
        if found
        else f"{int(judged.wrong.sum())} of {judged.wrong.size} elements of the Jacobian "
        f"{'does' if judged.wrong.sum() == 1 else 'do'} not match f",
        hint=found.hint if found else "J[i, j] is the derivative of f_i with respect to x_j.",
        called=called,
        where=f"element {index_text(worst)}: central differences give {numeric[worst]:.6g}, "
        f"got {float(got[worst]):.6g}",
    )


def assert_backward(
    f: Callable[[Any], Any],
    backward: Callable[[Any, Array], Any],
    *,
    at: Any,
    rng: np.random.Generator,
    **how: Any,
) -> None:
    """Accept backward if it turns the gradient with respect to f(x) into that with respect to x.

    f : x -> array; backward : (x, upstream of f(x)'s shape) -> gradient of x's shape
    The upstream gradient is random, since one of all ones would hide a wrong softmax.
    how : as in assert_gradient
    """
    x = np.asarray(at, dtype=np.float64)
    upstream = rng.normal(size=as_array(f(x.copy())).shape)
    redraw: Redraw | None = how.pop("redraw", None)
    assert_gradient(
        lambda p: float(np.sum(upstream * as_array(f(p)))),
        lambda p: backward(p, upstream.copy()),
        at=x,
        rng=rng,
        redraw=redraw,
        **how,
    )


@dataclass(frozen=True)
class _Judged:
    """Slopes of arrays compared with a result: which elements are usable, decided and wrong.

    scale : of the numeric slopes; noise : the largest error of a usable one
    worst : the index of the element that is farthest outside its tolerance
    """

    usable: Array
    decided: Array
    wrong: Array
    scale: float
    noise: float
    worst: tuple[int, ...]

    def refuse_undecided(
        self, difference: ArrayDifference, *, name: str, noun: str, called: str
    ) -> None:
        """Raise the reason why the function can't decide an element, if there is one."""
        if self.decided[self.usable].all():
            return
        problem, hint = reason(difference.values, difference.eps, name, noun)
        raise CheckFailed(
            problem,
            hint="Its derivative can't be checked: finite differences give no reliable slope. "
            f"{hint}",
            called=called,
        )


def _judge(got: Array, difference: ArrayDifference, rtol: float) -> _Judged:
    """Return which elements are wrong, and which can't be decided, from slopes with errors."""
    slopes = difference.slopes
    numeric, error = slopes.slope, usable_error(slopes)
    usable = np.isfinite(error)
    g = got.astype(np.float64)
    scale = float(np.max(np.abs(numeric[usable]), initial=0.0))
    size = float(np.sqrt(np.mean(numeric[usable] ** 2))) if usable.any() else 0.0
    room = precision_of(got).rtol_of_sums * size
    with np.errstate(invalid="ignore"):
        off = np.abs(g - numeric)
        # rtol is on the right slope: a result that is much too large must not widen its own
        # tolerance.
        allowed = rtol_for(got, rtol) * np.abs(numeric) + room + CERTAIN * error + 1e-300
        wrong = usable & ~(off <= allowed)
        small = resolved(difference.eps)
        known = np.maximum(KNOWN * np.abs(numeric), small * np.maximum(scale, slopes.reach))
    decimals = shown_decimals(difference.values)
    # If f does not change nearby, its slope is 0 if the error is small beside slopes farther away.
    flat = (difference.farthest == 0) | (error <= RESOLVED * difference.farthest)
    still = (slopes.reach == 0) & flat & (not decimals) & (np.abs(g) <= STILL)
    decided = (error <= known) | still | (off > allowed + 20 * error)
    excess = np.where(wrong, off / np.maximum(allowed, 1e-300), 0.0)
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
    noise = float(np.max(error[usable], initial=0.0))
    return _Judged(usable, decided, wrong, scale, noise, worst)


def _at_points(values: Mapping[str, Any] | None, x: Array, keep: Any) -> dict[str, Array]:
    found = {}
    for name, value in (values or {}).items():
        array = np.asarray(value(x.copy()) if callable(value) else value, dtype=float)
        if array.shape == x.shape:
            found[name] = array[keep]
    return found
