"""Slopes from a ladder of steps, with an estimate of their error.

The first step is eps**(1/3), the best for a well-behaved function. If the estimate of its error is
too large, a ladder of steps is tried: larger ones for a function that is noisy (float32 inside),
smaller ones for a function that changes fast.

Sources: Press et al., Numerical Recipes, 3rd ed., sec. 5.7 (step sizes); Moré and Wild,
Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) (noise from differences).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from grader.diagnosis.wording import Array

EPS = float(np.finfo(np.float64).eps)
# The ladder's steps, as powers of 2 times eps**(1/3), ascending.
POWERS = np.array([-25, -20, -15, -10, -5, 0, 2, 4, 6, 8, 10, 12, 14])
_BASE = 5  # the place of 0 among them
_SHORT = 5  # steps below 1
# A step is bad if its error is a larger share than this of the change of f.
_POOR = 0.05
# The points of one step, as multiples of it.
POINTS = (1.0, -1.0, 0.5, -0.5)


@dataclass(frozen=True)
class Difference:
    """A derivative, or an array of them, by central differences.

    error : its estimated error; floor : the part of it that comes from rounding
    bend : how much the slopes over the step and over half of it differ; it is part of the error
    noise : of f, estimated from its fourth difference
    reach : the change of f within the step, divided by the step
    kink : the slopes on the two sides differ as at a kink, or f is not finite nearby
    power : of the step, see POWERS
    step : its length
    """

    slope: Array
    error: Array
    floor: Array
    bend: Array
    noise: Array
    reach: Array
    kink: Array
    step: Array
    power: Array

    def at(self, index: Array) -> Difference:
        """Return, at each place, the level of this index."""

        def take(values: Array) -> Array:
            taken: Array = np.take_along_axis(values, np.expand_dims(index, 0), axis=0)[0]
            return taken

        return Difference(*(take(getattr(self, f.name)) for f in fields(self)))


def base_step(eps: float) -> float:
    """Return the first step: a power of 2, so that adding it rounds as little as possible."""
    return float(2.0 ** np.round(np.log2(eps ** (1 / 3))))


def estimate(
    values: Array,
    f0: Array,
    h: Array,
    *,
    eps: float,
    repeat: float = 0.0,
    size: Array | float = 1.0,
) -> Difference:
    """Return the slopes from f at x + h, x - h, x + h/2, x - h/2, level by level.

    values : (4, levels, ...), the values at POINTS; f0 : at x; h : (levels, ...)
    repeat : how much f differs between two calls at one point; size : of x, at least 1
    If f is finite on one side only, as at the edge of its domain, the slope is that of this side.
    """
    a, b, c, d = values
    with np.errstate(all="ignore"):
        wide, narrow = (a - b) / (2 * h), (c - d) / h
        slope = (4 * narrow - wide) / 3
        largest = np.fmax(np.fmax(np.abs(a), np.abs(b)), np.abs(f0))
        # Rounding of the values, and of the points themselves.
        rounding = 4 * eps * largest
        # The fourth difference of a smooth function is far below its rounding: if it is larger,
        # f has noise (Moré and Wild) or a kink.
        noise = np.abs(a - 4 * c + 6 * f0 - 4 * d + b) / np.sqrt(70.0)
        gap = np.abs((a - f0) - (f0 - b)) / h
        gap_half = np.abs((c - f0) - (f0 - d)) * 2 / h
        bend = np.abs(wide - narrow)
        error = bend + 2 * noise / h
        kink = np.abs(gap_half - gap / 2) > 0.1 * gap + 4 * rounding / h
        for far, near, sign in ((a, c, 1.0), (b, d, -1.0)):
            other = b if sign > 0 else a
            one_sided = ~np.isfinite(other) & np.isfinite(far + near)
            by_two = sign * (4 * near - far - 3 * f0) / h
            slope = np.where(one_sided, by_two, slope)
            bend = np.where(one_sided, np.abs(by_two - sign * 2 * (near - f0) / h), bend)
            error = np.where(one_sided, bend, error)
            kink = np.where(one_sided, False, kink)
        floor = (rounding + 2 * EPS * size * np.abs(slope)) / h
        error = error + floor + 2 * repeat / h
        moves = np.abs(values - f0)
        reach = np.nanmax(np.where(np.isfinite(moves), moves, 0.0), axis=0) / h
    bad = ~np.isfinite(slope + error)
    error = np.where(bad, np.inf, error)
    level = np.zeros_like(slope, dtype=int)
    return Difference(slope, error, floor, bend, noise, reach, kink | bad, h, level)


def best_level(levels: Difference, small: float) -> Difference:
    """Return the best level at each place: its own estimate and its neighbours confirm it.

    small : slopes below it count as 0 when levels are compared
    """
    slope = levels.slope
    with np.errstate(all="ignore"):
        apart = np.abs(np.diff(slope, axis=0))
        apart = np.where(np.isfinite(apart), apart, np.inf)
        edge = np.full_like(apart[:1], np.inf)
        nearest = np.minimum(np.concatenate([edge, apart]), np.concatenate([apart, edge]))
        # Extrapolation removes most of the difference between the two steps. A neighbour, with
        # longer or shorter steps, confirms that it did.
        error = np.maximum(levels.error - 0.75 * levels.bend, nearest)
        # At the shortest steps only noise is left, and it is the noise at all steps. (The second
        # smallest of five, since a function that changes fast still moves at some of them. It is
        # about half of the noise's standard deviation.)
        noise = 2 * np.sort(levels.noise[:_SHORT], axis=0)[1]
        error = np.maximum(error, np.where(np.isfinite(noise), 2 * noise, 0.0) / levels.step)
        error = np.where(np.isnan(error), np.inf, error)
        # The error is compared with the change of f, too: at a step that is too long for a function
        # that changes fast, the slope and its error are both small.
        size = np.maximum(np.abs(slope), levels.reach)
        score = error / (size + levels.floor + small + 1e-300)
    score = np.where(np.isfinite(score), score, np.inf)
    distance = np.abs(np.arange(len(POWERS)) - _BASE).reshape(-1, *[1] * (slope.ndim - 1))
    score = score * (1 + 0.01 * distance)
    best = np.argmin(score, axis=0)
    # If f is flat nearby, with a kink farther away, the longest step at which f is constant is
    # right. (A function that computes in float32 is constant at the shortest steps, too, but
    # has a good step.)
    still = levels.reach == 0
    longest = len(POWERS) - 1 - np.argmax(still[::-1], axis=0)
    best = np.where((np.min(score, axis=0) > _POOR) & still.any(axis=0), longest, best)
    chosen = replace(levels, error=error).at(best)
    return replace(chosen, power=POWERS[best])
