"""Compare a gradient with central differences of its function, along a few directions.

This takes about fifteen calls for a gradient of any size. A slope that is too uncertain decides
nothing; costs.py gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite, assert_shape
from grader.checks.differences import CountedFunction, slope_along
from grader.checks.ladder import Difference
from grader.checks.tolerances import precision_of, rtol_for, shown_decimals
from grader.diagnosis.wording import Array, number
from grader.errors import CheckFailed, NonFiniteValue

Function = Callable[[Any], Any]
Redraw = Callable[[np.random.Generator], Any]

# Up to this many parameters are compared one by one from the start: this needs few calls.
_FEW = 8
# A slope is known if its error is at most this share of its size. Even CERTAIN times this error
# does not accept a slope that is wrong by 1 %.
KNOWN = 8e-4
# Near a minimum the slope is almost 0. There its error is compared with how far f moves,
# and with large elements if there are any; in units of eps if the cost is coarser than float64.
RESOLVED = 1e-6
_RESOLVED_EPS = 1e3
_RESOLVED_MOST = 2e-4
# The slope of a function that does not change is 0. Its error grows without end with the function,
# so that any gradient would be within it: only one of at most this size is accepted.
STILL = 1e-6
# The estimated errors are right up to a small factor: a slope may be off by this many of them.
CERTAIN = 5
# Elements with a smaller share of the slope than this get a direction of their own.
_MINOR = 1e-3
_REDRAWS = 3
_NUDGES = 2


@dataclass(frozen=True)
class Slope:
    """One directional derivative, by the gradient and by central differences.

    allowed : the largest |analytic - numeric| of a right slope; uncertainty : the estimated
        numerical error
    reliable : the numerical slope is good enough to decide
    scale : the magnitude of the terms that were added up to the slope
    kinked : the slopes on the two sides differ, or the cost isn't finite on both sides
    power : of 2, of the best step
    term : name of the summand whose direction it is, or ""; of_term : the summand's own slope
    """

    analytic: float
    numeric: float
    allowed: float
    uncertainty: float
    reliable: bool
    scale: float
    kinked: bool = False
    power: int = 0
    term: str = ""
    of_term: float = 0.0

    @property
    def close(self) -> bool:
        return bool(abs(self.analytic - self.numeric) <= self.allowed)

    @property
    def decides(self) -> bool:
        """Whether the slope is certain: it is precise, or off by far more than its error."""
        excess = abs(self.analytic - self.numeric) - self.allowed
        return self.reliable or excess > 20 * self.uncertainty

    @property
    def relative_error(self) -> float:
        error = abs(self.analytic - self.numeric)
        return error / self.scale if error else 0.0


@dataclass(frozen=True)
class GradientEvidence:
    """A gradient compared with central differences of its function.

    close : the verdict, if it is decided; error : the worst relative error among the slopes
    at, gradient : arrays of one shape; dtype : of the student's gradient
    slopes : along the directions that were tried
    evaluations : calls of f; redraws : how often the inputs were drawn again
    repeat : how much f differs between two calls at the same input, relative
    rtol : the check's own, or that of the gradient's dtype
    function : f, with its precision and noise; value : f at `at`
    """

    close: bool
    error: float
    at: Array
    gradient: Array
    dtype: str
    slopes: tuple[Slope, ...]
    evaluations: int
    redraws: int
    repeat: float
    rtol: float
    function: CountedFunction
    value: float

    @property
    def decided(self) -> bool:
        """Whether the verdict is certain: a wrong slope is certain, or all slopes are."""
        return all(s.reliable for s in self.slopes) or any(
            s.decides and not s.close for s in self.slopes
        )

    @property
    def kinked(self) -> bool:
        """Whether a kink, or the edge of a domain, makes a slope uncertain."""
        return any(s.kinked and not s.reliable for s in self.slopes)

    @property
    def flat(self) -> bool:
        """Whether the function does not change along any direction."""
        return all(abs(s.numeric) <= 1e-6 * s.scale for s in self.slopes)


def measure_gradient(
    f: Function,
    grad: Function,
    at: Any,
    *,
    rng: np.random.Generator,
    rtol: float = 1e-4,
    transposed_ok: bool = False,
    redraw: Redraw | None = None,
    terms: Mapping[str, Any] | None = None,
    called: str = "",
    name: str = "",
) -> GradientEvidence:
    """Return how grad compares with central differences of f along random directions.

    f : x -> number; a `map` attribute is used to send many points at once
    grad : x -> array of x's shape (with transposed_ok also its transpose; for vectors also
        (d,), (d, 1) and (1, d))
    at : float64 array or number; redraw : rng -> another point, used if f has a kink at `at`
    rtol : on the gradient's elements; the estimated numerical error is added to it
    terms : summands of the gradient that are checked one by one, {"regulariser": array
        or callable of x}: each is a direction of its own, with a tolerance of its size
    Raises CheckFailed for a wrong shape or type, NonFiniteValue for nan and inf.
    """
    x = np.asarray(at, dtype=np.float64)
    best: GradientEvidence | None = None
    for attempt in range(1 + _REDRAWS + _NUDGES):
        nudged = attempt > _REDRAWS or redraw is None
        if attempt:
            x = _nudged(x, rng) if nudged or redraw is None else np.asarray(redraw(rng), float)
        try:
            evidence = _measure_at(
                f,
                grad,
                x,
                rng=rng,
                rtol=rtol,
                transposed_ok=transposed_ok,
                terms=terms or {},
                called=called,
                name=name,
                redraws=attempt,
            )
        except NonFiniteValue:
            if best is None or not nudged:
                raise
            break  # the small step left the function's domain: not the student's fault
        if evidence.decided:
            return evidence
        if best is None or _doubt(evidence) < _doubt(best):
            best = evidence
        if attempt and not evidence.kinked:
            break  # noise is the same at every point
    assert best is not None
    return best


def measure_gradient_error(
    f: Function, grad: Function, at: Any, *, rng: np.random.Generator, **how: Any
) -> float:
    """Return the worst relative error of grad along random directions; 1e-10 if it is right."""
    return measure_gradient(f, grad, at, rng=rng, **how).error


def resolved(eps: float) -> float:
    """Return the share of the largest slope below which an error doesn't matter."""
    return min(max(RESOLVED, _RESOLVED_EPS * eps), _RESOLVED_MOST)


def signs(d: int, rng: np.random.Generator) -> Array:
    """Return random signs with sizes in [0.5, 1.5]: none is 0, and no two cancel."""
    drawn: Array = rng.choice([-1.0, 1.0], size=d) * rng.uniform(0.5, 1.5, size=d)
    return drawn


def unit(v: Array) -> Array:
    """Return v with length 1."""
    w = v / float(np.max(np.abs(v)))
    scaled: Array = w / float(np.sqrt(w @ w))
    return scaled


def point(x: Array) -> Any:
    """Return a copy of x for code that may change it; a float for a number."""
    return x.copy() if x.ndim else float(x)


def values_at(values: Mapping[str, Any] | None, x: Array) -> dict[str, Any]:
    """Return the named arrays; callables are called at x."""
    return {
        name: value(point(x)) if callable(value) else value
        for name, value in (values or {}).items()
    }


# --- one point --------------------------------------------------------------------------


def _measure_at(
    f: Function,
    grad: Function,
    x: Array,
    *,
    rng: np.random.Generator,
    rtol: float,
    transposed_ok: bool,
    terms: Mapping[str, Any],
    called: str,
    name: str,
    redraws: int,
) -> GradientEvidence:
    with np.errstate(all="ignore"):
        raw = as_array(grad(point(x)), called=called, dtype_kind="fiub")
    gradient = _fit_shape(raw, x, transposed_ok=transposed_ok, called=called, name=name)
    assert_finite(raw, called=called)
    rtol = rtol_for(raw, rtol)
    function = CountedFunction(f, x.shape, called=called)
    first = function.values([x.copy(), x.copy()])
    if not np.isfinite(first).all():
        raise NonFiniteValue(
            f"the cost is {number(float(first[0]))} at a finite input",
            hint="Does exp overflow, or is log(0) taken?",
            called=called,
        )
    f0, repeat = float(first[0]), abs(float(first[0] - first[1]))
    flat, g = x.reshape(-1), gradient.reshape(-1)
    judge = _Judge(function, flat, g, f0, repeat, rtol, precision_of(raw).rtol_of_sums)
    slopes = [judge.slope(v) for v in _directions(flat, g, rng)]
    for term, value in values_at(terms, x).items():
        own = np.asarray(value, dtype=float).reshape(-1)
        if own.size == g.size and np.any(own != 0):
            slopes.append(judge.slope(unit(own), term, own))
    # A cost with a state of its own may differ only after several calls.
    repeat = max(repeat, abs(float(function.values([x.copy()])[0]) - f0))
    return GradientEvidence(
        close=all(slope.close for slope in slopes),
        error=max((slope.relative_error for slope in slopes), default=0.0),
        at=x,
        gradient=gradient,
        dtype=str(raw.dtype),
        slopes=tuple(slopes),
        evaluations=function.calls,
        redraws=redraws,
        repeat=repeat / max(abs(f0), 1e-300),
        rtol=rtol,
        function=function,
        value=f0,
    )


def _directions(x: Array, g: Array, rng: np.random.Generator) -> list[Array]:
    """Return directions: all axes if there are few, else dense, sparse and balanced directions."""
    d = g.size
    if d == 0:
        return []
    # Large parameters need large steps: a direction moves each in proportion to its magnitude.
    size = np.maximum(1.0, np.abs(x))
    if d <= _FEW:
        axes = [*(np.eye(d) * size)]
        return [*axes, unit(signs(d, rng)) * size] if d > 1 else axes
    sparse = np.zeros(d)
    chosen = rng.choice(d, size=max(2, d // 10), replace=False)
    sparse[chosen] = signs(chosen.size, rng)
    share = np.abs(g) * size
    directions = [signs(d, rng), sparse, _balanced(share, rng)]
    # Beside features of 1e4 a bias is too small to be noticed in any of these.
    minor = share < _MINOR * share.max()
    if minor.any() and not minor.all():
        small = np.zeros(d)
        small[minor] = _balanced(share[minor], rng)
        directions.append(small)
    return [unit(v) * size for v in directions]


def _balanced(share: Array, rng: np.random.Generator) -> Array:
    """Return a direction to which each element of the gradient contributes equally.

    So a wrong element that is small beside the others (a bias, a border pixel) is noticed.
    """
    largest = float(share.max())
    drawn = signs(share.size, rng)
    balanced: Array = drawn / np.maximum(share / largest, _MINOR) if largest > 0 else drawn
    return balanced


@dataclass(frozen=True)
class _Judge:
    """Judges the slopes along several directions at one point."""

    function: CountedFunction
    x: Array
    g: Array
    f0: float
    repeat: float
    rtol: float
    grain: float

    def slope(self, v: Array, term: str = "", own: Array | None = None) -> Slope:
        """Return the slope along v, by the gradient and by central differences."""
        analytic = float(self.g @ v)
        parts = self.g * v
        # A random direction gets the tolerance of the largest element, not that of the sum: so
        # one wrong element among many is noticed. A gradient with small errors everywhere (a
        # guarded logarithm) is compared by element later. A term's direction is not random.
        spread = float(np.abs(parts).sum() if term else 2 * np.sqrt(parts @ parts))
        largest = spread if term else float(np.max(np.abs(parts), initial=0.0))
        of_term = float(own @ v) if own is not None else 0.0
        tolerance = self.rtol
        if term and spread:
            # A tenth of the error that a missing term makes; but never finer than float64 allows.
            tolerance = max(min(tolerance, 0.1 * abs(of_term) / spread), 1e-9)
        room = tolerance * largest + self.grain * spread

        def judged(found: Difference) -> Slope:
            numeric, error = float(found.slope), float(found.error)
            if not np.isfinite(numeric) or not np.isfinite(error):
                scale = max(spread, 1e-300)
                return Slope(analytic, numeric, np.inf, np.inf, False, scale, True, 0, term)
            scale = max(spread, abs(numeric), 1e-300)
            known = KNOWN * scale
            if term:
                known = min(known, 0.05 * abs(of_term))
            else:
                known = max(known, RESOLVED * float(found.reach), self.negligible)
            kink = bool(found.kink) and error > tolerance * scale
            still = float(found.reach) == 0.0 and spread <= STILL and self.is_flat(v, error)
            reliable = (error <= known or still) and not kink
            allowed = room + CERTAIN * error + 1e-300
            power = int(found.power)
            return Slope(
                analytic, numeric, allowed, error, reliable, scale, kink, power, term, of_term
            )

        def good(found: Difference) -> bool:
            if float(found.reach) == 0.0:
                return False
            slope = judged(found)
            precise = slope.uncertainty <= max(0.1 * room, 1e-3 * self.negligible)
            return slope.close and slope.reliable and precise

        found = slope_along(self.function, self.x, v, f0=self.f0, repeat=self.repeat, good=good)
        return judged(found)

    @property
    def negligible(self) -> float:
        """Return the error of a slope that is negligible beside the gradient's largest elements."""
        share = resolved(self.function.eps)
        size = np.maximum(1.0, np.abs(self.x))
        return share * float(np.max(np.abs(self.g) * size, initial=0.0))

    def is_flat(self, v: Array, error: float) -> bool:
        """Return whether a cost that does not change nearby is really flat, and not only coarse.

        error : of its slope nearby, which must be negligible beside the slopes farther away
        """
        steps = np.array([-100.0, -10.0, -1.0, 1.0, 10.0, 100.0])
        far = self.function.values([self.x + t * v for t in steps])
        moves = np.where(np.isfinite(far), np.abs(far - self.f0), 0.0)
        if not moves.any():
            return True
        slopes = moves / np.abs(steps)
        return error <= RESOLVED * float(slopes.max()) and shown_decimals(far) is None


def _nudged(x: Array, rng: np.random.Generator) -> Array:
    moved: Array = x + 1e-2 * np.maximum(1.0, np.abs(x)) * rng.normal(size=x.shape)
    return moved


def _doubt(evidence: GradientEvidence) -> tuple[bool, float]:
    """Return how uncertain an undecided measurement is; less is better."""
    worst = max((s.uncertainty / s.scale for s in evidence.slopes), default=0.0)
    return (not evidence.close, worst)


# --- shapes -----------------------------------------------------------------------------


def _fit_shape(raw: Array, x: Array, *, transposed_ok: bool, called: str, name: str) -> Array:
    """Return the gradient as float64 in x's shape, or refuse its shape."""
    gradient = raw.astype(np.float64)
    if raw.shape == x.shape:
        return gradient
    if raw.size == x.size and (x.size == 1 or transposed_ok):
        if x.size == 1 or (_is_vector(raw.shape) and _is_vector(x.shape)):
            return gradient.reshape(x.shape)
        if raw.ndim == 2 and raw.shape == x.shape[::-1]:
            return gradient.T
    try:
        assert_shape(raw, x.shape, called=called)
    except CheckFailed as failure:
        raise CheckFailed(
            f"the gradient must have the shape of {name or 'its parameter'}: {failure.problem}",
            hint=failure.hint,
            called=called,
        ) from None
    return gradient


def _is_vector(shape: tuple[int, ...]) -> bool:
    return sum(size > 1 for size in shape) <= 1 and len(shape) in (1, 2)
