"""Finite differences of functions: along a direction, element by element, and of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, as_scalar, assert_shape
from grader.checks.ladder import EPS, POINTS, POWERS, Difference, base_step, best_level, estimate
from grader.checks.tolerances import shown_decimals, shown_eps
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed

Function = Callable[[Any], Any]

# If one step leaves elements in doubt, at most this many of them get all the steps.
_MAX_LADDERS = 64


@dataclass
class CountedFunction:
    """A function of points that returns one number; it counts its calls and notes its precision.

    shape : of the points that f takes; () for plain floats
    eps : of the coarsest dtype that f returned, or that the values themselves show
    seen : some of the values that f returned; they show how it rounds
    noise : of the values; None until a slope needs it
    """

    f: Function
    shape: tuple[int, ...]
    called: str = ""
    calls: int = 0
    eps: float = EPS
    seen: list[float] = field(default_factory=list)
    noise: float | None = None
    _fine: bool = False

    def values(self, points: Sequence[Array]) -> Array:
        """Return f at each point, (n,) float64; in one message if f has a `map`."""
        self.calls += len(points)
        shaped: list[Any] = [
            p.reshape(self.shape) if self.shape else float(p.reshape(())) for p in points
        ]
        send = getattr(self.f, "map", None)
        with np.errstate(all="ignore"):
            replies = send(shaped) if callable(send) else [self.f(p) for p in shaped]
        found = np.array([self._number(reply) for reply in replies])
        self._look_at(found)
        return found

    @property
    def unit(self) -> float:
        """The unit that the values are rounded to (0.001), or 0."""
        decimals = shown_decimals(np.array(self.seen))
        return 0.0 if decimals is None else 10.0**-decimals

    def _number(self, reply: object) -> float:
        dtype = getattr(reply, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind == "f":
            self.eps = max(self.eps, float(np.finfo(dtype).eps))
        try:
            return float(as_scalar(reply, called=self.called))
        except CheckFailed as failure:
            raise CheckFailed(
                f"the cost must be one number: {failure.problem}",
                hint=failure.hint,
                called=self.called,
                got=failure.got,
            ) from None

    def _look_at(self, found: Array) -> None:
        """Note the precision that the values show, whatever their dtype is."""
        finite = found[np.isfinite(found)]
        self.seen = [*self.seen, *finite.tolist()][:256]
        if not self._fine and np.unique(finite).size >= 3:
            eps = shown_eps(finite)
            self.eps, self._fine = max(self.eps, eps), eps == EPS


def slope_along(
    function: CountedFunction,
    x: Array,
    v: Array,
    *,
    f0: float,
    repeat: float,
    good: Callable[[Difference], bool],
) -> Difference:
    """Return the slope of f at x along v, (d,) each; the steps are multiples of v.

    f0 : f(x); repeat : how much f differs between two calls at one point
    good : whether the first step's result is good enough; otherwise all steps are tried
    """

    def measured(h: Array) -> Difference:
        points = [x + t * step * v for step in h for t in POINTS]
        values = function.values(points).reshape(len(h), 4).T
        rough = max(repeat, function.unit)
        return estimate(values, np.asarray(f0), h, eps=function.eps, repeat=rough)

    first = measured(np.array([base_step(function.eps)])).at(np.asarray(0))
    if good(first):
        return first
    if function.noise is None:
        function.noise = _noise(function, x, v, f0)
    repeat = max(repeat, function.noise)
    steps = base_step(function.eps) * 2.0**POWERS
    slope = float(np.abs(first.slope))
    return best_level(measured(steps), 1e-3 * slope if np.isfinite(slope) else 0.0)


def _noise(function: CountedFunction, x: Array, v: Array, f0: float) -> float:
    """Return the standard deviation of f's noise, from values so near that f hardly changes.

    Differences of high order of a smooth function are almost 0 (Moré and Wild). Two steps are used,
    since noise that is periodic in one of them looks smooth.
    """
    found = [0.0]
    for times in (4.0, 11.0):
        h = times * base_step(EPS) * 2.0 ** POWERS[0]
        row = np.append(f0, function.values([x + k * h * v for k in range(1, 7)]))
        if np.isfinite(row).all():
            found += [
                float(np.sqrt(np.mean(np.diff(row, k) ** 2) / math.comb(2 * k, k)))
                for k in (3, 4, 5)
            ]
    return max(found)


def numerical_gradient(f: Function, at: Any) -> Array:
    """Return the gradient of f by central differences with Richardson extrapolation.

    f : x -> number; at : array. It calls f four times for each element.
    """
    x = np.asarray(at, dtype=np.float64)
    function = CountedFunction(f, x.shape)
    f0 = float(function.values([x.copy()])[0])
    return differentiate(function, x, np.arange(x.size), f0=f0).slope.reshape(x.shape)


def differentiate(
    function: CountedFunction,
    x: Array,
    indices: Array,
    *,
    f0: float,
    repeat: float = 0.0,
    power: int = 0,
    doubtful: Callable[[Difference], Array] | None = None,
) -> Difference:
    """Return df/dx_i for these flat indices, (k,), each with its own error.

    f0, repeat : as in slope_along; power : of 2, on the first step
    doubtful : returns (k,) bool, the elements that one step leaves in doubt; the first 64 of these
        get all steps
    """
    flat = x.reshape(-1)
    size = np.maximum(1.0, np.abs(flat))

    def measured(chosen: Array, powers: Array) -> Difference:
        h = base_step(function.eps) * 2.0 ** (np.round(np.log2(size[chosen])) + powers[:, None])
        points = []
        for t in POINTS:
            for level in h:
                for i, step in zip(chosen, level, strict=True):
                    point = flat.copy()
                    point[i] += t * step
                    points.append(point)
        values = function.values(points).reshape(len(POINTS), *h.shape)
        rough = max(repeat, function.unit)
        return estimate(
            values, np.asarray(f0), h, eps=function.eps, repeat=rough, size=size[chosen]
        )

    found = measured(indices, np.array([power])).at(np.zeros(len(indices), dtype=int))
    if doubtful is None or not doubtful(found).any():
        return found
    places = np.flatnonzero(doubtful(found))[:_MAX_LADDERS]
    better = best_level(measured(indices[places], POWERS), 0.0)
    parts = []
    for old, new in zip(vars(found).values(), vars(better).values(), strict=True):
        part = old.copy()
        part[places] = new
        parts.append(part)
    return Difference(*parts)


def numerical_derivative(f: Function, at: Any) -> tuple[Array, Array]:
    """Return the derivative of an elementwise f at each x, and its estimated error.

    f : array -> array of its shape. The error is inf at a kink (the slopes on the two sides
    differ), and where f is not finite nearby.
    """
    found = elementwise(f, np.asarray(at, dtype=np.float64)).slopes
    return found.slope, usable_error(found)


def numerical_jacobian(f: Function, at: Any) -> tuple[Array, Array]:
    """Return J, (k, d), with J[i, j] = df_i/dx_j, and its estimated errors, (k, d).

    f : (d,) -> (k,). An error is inf where f_i has a kink along x_j or is not finite nearby.
    """
    found = by_coordinate(f, np.asarray(at, dtype=np.float64)).slopes
    return found.slope, usable_error(found)


@dataclass(frozen=True)
class ArrayDifference:
    """The slopes of a function that returns arrays, and the values that they were computed from.

    slopes : of the shape of the result; values : all values of f; eps : of their dtype
    farthest : the largest change of f within a step, divided by the step
    """

    slopes: Difference
    farthest: Array
    values: Array
    eps: float


def elementwise(f: Function, x: Array) -> ArrayDifference:
    """Return df/dx at each x, for an f that maps each element by itself."""
    f0, eps = _array_of(f, x)
    if f0.shape != x.shape:
        assert_shape(f0, x.shape)
    size = np.maximum(1.0, np.abs(x))
    unit = 2.0 ** np.round(np.log2(size))
    h = base_step(eps) * 2.0 ** POWERS.reshape(-1, *[1] * x.ndim) * unit
    values = np.array([[_array_of(f, x + t * step)[0] for step in h] for t in POINTS])
    eps, grain = _precision(values, eps)
    levels = estimate(values, f0, h, eps=eps, repeat=grain, size=size)
    return ArrayDifference(best_level(levels, 0.0), levels.reach.max(axis=0), values, eps)


def by_coordinate(f: Function, x: Array) -> ArrayDifference:
    """Return df_i/dx_j, (k, d), for f from (d,) to (k,)."""
    f0, eps = _array_of(f, x)
    flat = f0.reshape(-1)
    columns, farthest, seen = [], [], []
    for j in range(x.size):
        size = max(1.0, abs(float(x[j])))
        h = base_step(eps) * 2.0 ** (POWERS + np.round(np.log2(size)))
        axis = np.zeros_like(x)
        axis[j] = 1.0
        values = np.array(
            [[_array_of(f, x + t * step * axis)[0].reshape(-1) for step in h] for t in POINTS]
        )
        steps = np.broadcast_to(h[:, None], (len(h), flat.size))
        eps, grain = _precision(values, eps)
        levels = estimate(values, flat, steps, eps=eps, repeat=grain, size=size)
        columns.append(best_level(levels, 0.0))
        farthest.append(levels.reach.max(axis=0))
        seen.append(values)
    parts = [
        np.stack(part, axis=1) for part in zip(*(vars(c).values() for c in columns), strict=True)
    ]
    return ArrayDifference(Difference(*parts), np.stack(farthest, axis=1), np.array(seen), eps)


def usable_error(found: Difference) -> Array:
    """Return the errors of the slopes; inf at a kink."""
    usable = np.isfinite(found.slope) & ~(found.kink & (found.error > 1e-3 * np.abs(found.slope)))
    return np.where(usable, found.error, np.inf)


def _precision(values: Array, eps: float) -> tuple[float, float]:
    """Return the eps that the values show, and the unit to which they are rounded, or 0."""
    finite = values[np.isfinite(values)]
    # A function may rightly give only integers: floor has the slope 0.
    decimals = shown_decimals(finite)
    return max(eps, shown_eps(finite)), 10.0**-decimals if decimals else 0.0


def _array_of(f: Function, x: Array) -> tuple[Array, float]:
    """Return f(x) in float64, and the eps of the dtype that f returned."""
    with np.errstate(all="ignore"):
        raw = as_array(f(x.copy()))
    eps = float(np.finfo(raw.dtype).eps) if raw.dtype.kind == "f" else EPS
    return raw.astype(np.float64), max(eps, EPS)
