"""Derivatives of elementwise functions, and of functions from vectors to vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite, assert_shape
from grader.checks.differences import EPS, base_step, numerical_derivative
from grader.checks.gradient import Redraw, assert_gradient
from grader.checks.showing import index_text
from grader.checks.tolerances import precision_of
from grader.diagnosis.case import Factor
from grader.diagnosis.values import diagnose
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing


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
    """Accept df where it is the derivative of the elementwise function f.

    f, df : array -> array of its shape; both are called with whole arrays
    at : float array of points; points where f has a kink or is not finite nearby are left out
    rtol : on df; the estimated error of the central differences comes on top
    Raises CheckFailed with the diagnosis and the x of the worst error.
    """
    x = np.asarray(at, dtype=np.float64)
    got = as_array(df(x.copy()), called=called)
    if dummy is not None and got.size == 1 < x.size:
        _refuse_dummy(got, dummy, called)
    assert_shape(got, x.shape, called=called)
    numeric, error = numerical_derivative(f, x)
    usable = np.isfinite(error)
    g = got.astype(np.float64)
    if dummy is not None and np.any(numeric[usable] != 0):
        _refuse_dummy(got, dummy, called)
    assert_finite(got, called=called)
    rtol = max(rtol, precision_of(got).rtol_of_sums)
    if not usable.any():
        raise CheckFailed(
            f"the function has a jump, a kink or no finite value at every {name} that was tried",
            hint="Its derivative is compared with central differences of the function itself.",
            called=called,
        )
    off = np.abs(g - numeric)
    allowed = rtol * np.maximum(np.abs(g), np.abs(numeric)) + 5 * error + 1e-300
    wrong = usable & ~(off <= allowed)
    if not wrong.any():
        return
    excess = np.where(wrong, off / np.maximum(allowed, 1e-300), 0.0)
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), x.shape))
    keep = usable if not usable.all() else slice(None)
    scale = float(np.max(np.abs(numeric[usable])))
    found = diagnose(
        g[keep],
        numeric[keep],
        factors=factors,
        terms=_kept(terms, x, keep),
        mistakes=_kept(mistakes, x, keep),
        inputs={name: x[keep]},
        noun="the derivative",
        rtol=max(10 * rtol, 1e-4),
        atol=5 * float(np.max(error[usable])) + 1e-8 * scale,
        layout=bool(usable.all()) and x.ndim < 2,
    )
    place = f"{name}{index_text(worst)}" if x.ndim else name
    where = (
        f"{place} = {x[worst]:.6g}: central differences give {numeric[worst]:.6g}, "
        f"got {g[worst]:.6g}"
    )
    if found is None:
        count = int(wrong.sum())
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
    """Accept jacobian where J[i, j] is df_i/dx_j.

    f : (d,) -> (k,); jacobian : (d,) -> (k, d); at : (d,)
    Raises CheckFailed with the diagnosis.
    """
    x = np.asarray(at, dtype=np.float64)
    got = as_array(jacobian(x.copy()), called=called)
    k = as_array(f(x.copy()), called=called).size
    if dummy is not None:
        _refuse_dummy(got, dummy, called)
    assert_shape(got, (k, x.size), called=called)
    assert_finite(got, called=called)
    h = base_step(EPS) * 2.0 ** np.round(np.log2(np.maximum(1.0, np.abs(x))))
    numeric = np.empty((k, x.size))
    error = np.empty((k, x.size))
    for j in range(x.size):
        step = np.zeros_like(x)
        step[j] = h[j]
        a, b = _flat(f, x + step), _flat(f, x - step)
        c, d = _flat(f, x + step / 2), _flat(f, x - step / 2)
        wide, narrow = (a - b) / (2 * h[j]), (c - d) / h[j]
        numeric[:, j] = (4 * narrow - wide) / 3
        floor = 4 * EPS * np.maximum(np.abs(a), np.abs(b)) / h[j]
        error[:, j] = np.abs(wide - narrow) + floor
    scale = float(np.max(np.abs(numeric), initial=0.0))
    rtol = max(rtol, precision_of(got).rtol_of_sums)
    off = np.abs(got - numeric)
    wrong = ~(off <= rtol * np.abs(numeric) + 1e-3 * rtol * scale + 5 * error)
    if not wrong.any():
        return
    excess = np.where(wrong, off, 0.0)
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), off.shape))
    found = diagnose(
        got,
        numeric,
        factors=factors,
        mistakes=mistakes,
        noun="the Jacobian",
        rtol=max(rtol, 1e-4),
        atol=5 * float(error.max()) + 1e-8 * scale,
    )
    raise CheckFailed(
        found.problem
        if found
        else f"{int(wrong.sum())} of {wrong.size} elements of the Jacobian do not match f",
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
    """Accept backward where it carries an upstream gradient through f.

    f : x -> array; backward : (x, upstream of f(x)'s shape) -> gradient of x's shape
    The upstream is random: all ones would hide a wrong softmax. how : as in assert_gradient
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


def _flat(f: Callable[[Any], Any], x: Array) -> Array:
    return as_array(f(x)).astype(np.float64).reshape(-1)


def _refuse_dummy(got: Array, dummy: object, called: str) -> None:
    given = np.asarray(dummy)
    same = got.shape == given.shape or given.size == 1
    if same and np.all(got == given):
        raise Missing(
            "the derivative is still the template's dummy value",
            hint="Fill the region between the markers, then run its cell again.",
            called=called,
        )


def _kept(values: Mapping[str, Any] | None, x: Array, keep: Any) -> dict[str, Array]:
    found = {}
    for name, value in (values or {}).items():
        array = np.asarray(value(x.copy()) if callable(value) else value, dtype=float)
        if array.shape == x.shape:
            found[name] = array[keep]
    return found
