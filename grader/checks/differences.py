"""Finite differences with an estimate of their error.

The step is eps**(1/3) at first, the best for a well-behaved function; where the estimate
says that this is no good, a ladder of steps is tried: larger ones for a function that is
noisy (float32 inside), smaller ones for a function that turns fast.

Sources: Press et al., Numerical Recipes, 3rd ed., sec. 5.7 (step sizes); Moré and Wild,
Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) (noise from differences).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, as_scalar, assert_shape
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed

Function = Callable[[Any], Any]

EPS = float(np.finfo(np.float64).eps)
# The ladder's steps, as powers of 2 times eps**(1/3), ascending.
_POWERS = np.array([-25, -20, -15, -10, -5, 0, 4, 8, 11])
_BASE = 5  # the place of 0 among them


@dataclass
class CountedFunction:
    """A function of points that returns one number; its calls and its precision are kept.

    shape : of the points as f wants them; () for plain floats
    eps : of the coarsest dtype that came back
    """

    f: Function
    shape: tuple[int, ...]
    called: str = ""
    calls: int = 0
    eps: float = EPS

    def values(self, points: Sequence[Array]) -> Array:
        """Return f at each point, (n,) float64; one message where f has a `map`."""
        self.calls += len(points)
        shaped: list[Any] = [
            p.reshape(self.shape) if self.shape else float(p.reshape(())) for p in points
        ]
        send = getattr(self.f, "map", None)
        with np.errstate(all="ignore"):
            replies = send(shaped) if callable(send) else [self.f(p) for p in shaped]
        return np.array([self._number(reply) for reply in replies])

    def _number(self, reply: object) -> float:
        dtype = getattr(reply, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind == "f":
            self.eps = max(self.eps, float(np.finfo(dtype).eps))
        try:
            return as_scalar(reply, called=self.called)
        except CheckFailed as failure:
            raise CheckFailed(
                f"the cost must be one number: {failure.problem}",
                hint=failure.hint,
                called=self.called,
                got=failure.got,
            ) from None


@dataclass(frozen=True)
class Difference:
    """A derivative, or an array of them, by central differences.

    error : its estimated error; floor : the share of rounding in it
    kink : the slopes on the two sides differ as at a kink; power : of the step, see _POWERS
    """

    slope: Array
    error: Array
    floor: Array
    kink: Array
    power: Array


def base_step(eps: float) -> float:
    """Return the first step: a power of 2, so that adding it rounds as little as can be."""
    return float(2.0 ** np.round(np.log2(eps ** (1 / 3))))


def slope_along(
    function: CountedFunction,
    x: Array,
    v: Array,
    *,
    f0: float,
    repeat: float,
    good: Callable[[Difference], bool],
) -> Difference:
    """Return the slope of f at x along v, (d,) each; v holds the size of a whole step.

    f0 : f(x); repeat : how much f differs between two calls at one point
    good : tells whether the first step's result will do; else the whole ladder is tried
    """

    def measured(h: Array) -> Difference:
        points = [x + t * step * v for step in h for t in (1.0, -1.0, 0.5, -0.5)]
        a, b, c, d = function.values(points).reshape(len(h), 4).T
        return _estimate(a, b, c, d, np.asarray(f0), h, eps=function.eps, repeat=repeat)

    base = base_step(function.eps)
    first = _at(measured(np.array([base])), np.asarray(0))
    if good(first):
        return first
    return _choose(measured(base * 2.0**_POWERS), 1e-3 * float(np.max(np.abs(first.slope))))


def numerical_gradient(f: Function, at: Any) -> Array:
    """Return the gradient of f by central differences with Richardson extrapolation.

    f : x -> number; at : array; takes 4 calls an element
    """
    x = np.asarray(at, dtype=np.float64)
    function = CountedFunction(f, x.shape)
    numeric, _ = differentiate(function, x, np.arange(x.size), fine=True)
    return numeric.reshape(x.shape)


def differentiate(
    function: CountedFunction, x: Array, indices: Array, *, fine: bool, power: int = 0
) -> tuple[Array, Array]:
    """Return df/dx_i for these flat indices, (k,), and the estimated errors, (k,).

    fine : two steps an element and an error estimate from both, else one step
    power : of 2, on the first step
    """
    flat = x.reshape(-1)
    size = np.maximum(1.0, np.abs(flat[indices]))
    h = 2.0 ** (np.round(np.log2(base_step(function.eps) * size)) + power)
    steps = (1.0, 0.5) if fine else (1.0,)
    points = []
    for times in steps:
        for i, step in zip(indices, h * times, strict=True):
            for sign in (1.0, -1.0):
                point = flat.copy()
                point[i] += sign * step
                points.append(point)
    values = function.values(points).reshape(len(steps), len(indices), 2)
    slopes = [(v[:, 0] - v[:, 1]) / (2 * h * t) for v, t in zip(values, steps, strict=True)]
    floor = 4 * function.eps * np.max(np.abs(values), initial=0.0) / h
    if not fine:
        return slopes[0], floor + 1e-6 * np.abs(slopes[0])
    return (4 * slopes[1] - slopes[0]) / 3, floor + np.abs(slopes[0] - slopes[1])


def numerical_derivative(f: Function, at: Any) -> tuple[Array, Array]:
    """Return the derivative of an elementwise f at each x, and its estimated error.

    f : array -> array of its shape. The error is inf where the slopes on the two sides
    differ (a kink), or where f is not finite nearby.
    """
    x = np.asarray(at, dtype=np.float64)
    f0, eps = _elementwise(f, x)
    size = np.maximum(1.0, np.abs(x))
    unit = 2.0 ** np.round(np.log2(size))
    levels = []
    for power in _POWERS:
        h = base_step(eps) * 2.0**power * unit
        levels.append([h, *(_elementwise(f, x + t * h)[0] for t in (1.0, -1.0, 0.5, -0.5))])
    h, a, b, c, d = (np.stack(parts) for parts in zip(*levels, strict=True))
    found = _choose(_estimate(a, b, c, d, f0, h, eps=eps, repeat=0.0, size=size), 0.0)
    usable = np.isfinite(found.slope) & ~(found.kink & (found.error > 1e-3 * np.abs(found.slope)))
    return found.slope, np.where(usable, found.error, np.inf)


def _elementwise(f: Function, x: Array) -> tuple[Array, float]:
    with np.errstate(all="ignore"):
        raw = as_array(f(x.copy()))
    if raw.shape != x.shape:
        assert_shape(raw, x.shape)
    eps = float(np.finfo(raw.dtype).eps) if raw.dtype.kind == "f" else EPS
    return raw.astype(np.float64), max(eps, EPS)


def _estimate(
    a: Array,
    b: Array,
    c: Array,
    d: Array,
    f0: Array,
    h: Array,
    *,
    eps: float,
    repeat: float,
    size: Array | float = 1.0,
) -> Difference:
    """Return the slopes from f at x + h, x - h, x + h/2, x - h/2, level by level."""
    with np.errstate(all="ignore"):
        wide, narrow = (a - b) / (2 * h), (c - d) / h
        slope = (4 * narrow - wide) / 3
        largest = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.abs(f0))
        # Rounding of the values, and of the points themselves.
        floor = (4 * eps * largest + 2 * EPS * size * np.abs(slope)) / h
        # The fourth difference of a smooth function is far below its rounding: what is
        # left of it is noise (Moré and Wild), or a kink.
        noise = np.abs(a - 4 * c + 6 * f0 - 4 * d + b) / np.sqrt(70.0) / h
        error = np.abs(wide - narrow) + 2 * noise + floor + 2 * repeat / h
        gap = np.abs((a - f0) - (f0 - b)) / h
        gap_half = np.abs((c - f0) - (f0 - d)) * 2 / h
        kink = np.abs(gap_half - gap / 2) > 0.1 * gap + 4 * floor
        # Where f doesn't move at all it is flat, or it computes in float32 and rounds its
        # points to one value: then the least change that it shows at all is its unit.
        moves = np.abs(np.stack([a, b, c, d]) - f0)
        unit = np.min(np.where(moves > 0, moves, np.inf), axis=(0, 1))
        still = np.all(moves == 0, axis=0) & np.isfinite(unit)
        error = np.where(still, np.maximum(error, unit / h), error)
    bad = ~np.isfinite(slope + error)
    error = np.where(bad, np.inf, error)
    return Difference(slope, error, floor, kink | bad, np.zeros_like(slope, dtype=int))


def _choose(levels: Difference, small: float) -> Difference:
    """Return the best level at each place: its own estimate and its neighbours confirm it.

    small : slopes below it count as 0 when levels are compared
    """
    slope = levels.slope
    with np.errstate(all="ignore"):
        apart = np.abs(np.diff(slope, axis=0))
        apart = np.where(np.isfinite(apart), apart, np.inf)
        edge = np.full_like(apart[:1], np.inf)
        nearest = np.minimum(np.concatenate([edge, apart]), np.concatenate([apart, edge]))
    error = np.maximum(levels.error, nearest)
    with np.errstate(all="ignore"):
        score = error / (np.abs(slope) + levels.floor + small + 1e-300)
    score = np.where(np.isfinite(score), score, np.inf)
    distance = np.abs(np.arange(len(_POWERS)) - _BASE).reshape(-1, *[1] * (slope.ndim - 1))
    best = np.argmin(score * (1 + 0.01 * distance), axis=0)
    chosen = _at(Difference(slope, error, levels.floor, levels.kink, levels.power), best)
    return Difference(chosen.slope, chosen.error, chosen.floor, chosen.kink, _POWERS[best])


def _at(levels: Difference, index: Array) -> Difference:
    """Return one level at each place."""

    def take(values: Array) -> Array:
        taken: Array = np.take_along_axis(values, np.expand_dims(index, 0), axis=0)[0]
        return taken

    return Difference(
        take(levels.slope),
        take(levels.error),
        take(levels.floor),
        take(levels.kink),
        take(levels.power),
    )
