"""Gradients held against finite differences of the function itself.

A gradient is first compared along a few directions, which costs some fifteen calls
whatever its size; only where that fails is it compared element by element, to find and
name the fault. No reference is needed, so these checks can be public.

Sources: Press et al., Numerical Recipes, 3rd ed., sec. 5.7 (step sizes); Moré and Wild,
Estimating computational noise, SIAM J. Sci. Comput. 33 (2011) (noise from differences).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.checks.arrays import (
    Array,
    as_array,
    as_scalar,
    assert_finite,
    assert_shape,
    index_text,
    number,
)
from grader.checks.diagnosis import Factor, diagnose
from grader.errors import CheckFailed, Missing, NonFiniteValue

Function = Callable[[Any], Any]
Redraw = Callable[[np.random.Generator], Any]

_EPS = float(np.finfo(np.float64).eps)
# Parameters up to this many are compared one by one from the start: it costs little.
_FEW = 8
# On failure at most this many elements are differentiated; the others by sample.
_MAX_ELEMENTS = 1024
_SAMPLE = 256
# An estimate of the slope that is worse than this share of its scale decides nothing.
_UNRELIABLE = 1e-2
_REDRAWS = 4
_NUDGES = 3
# The tolerance of a gradient that comes in a smaller dtype than float64.
_RTOL_OF_DTYPE = {"float32": 1e-3, "float16": 5e-2}


@dataclass(frozen=True)
class Slope:
    """One directional derivative, by the gradient and by central differences.

    allowed : what |analytic - numeric| may be; uncertainty : the estimated numerical error
    kink : the slopes on the two sides differ, or a neighbour is not finite
    """

    analytic: float
    numeric: float
    allowed: float
    uncertainty: float
    reliable: bool
    kink: bool

    @property
    def close(self) -> bool:
        return bool(abs(self.analytic - self.numeric) <= self.allowed)

    @property
    def relative_error(self) -> float:
        size = max(abs(self.analytic), abs(self.numeric))
        excess = max(abs(self.analytic - self.numeric) - self.uncertainty, 0.0)
        return excess / size if size else 0.0


@dataclass(frozen=True)
class GradientEvidence:
    """A gradient beside central differences of its function.

    close : the verdict; error : the worst relative error among the slopes
    at, gradient : arrays of one shape; dtype : what the student's gradient came in
    slopes : along the directions that were tried
    evaluations : calls of f; redraws : how often the inputs were drawn anew
    repeat : how much f differs between two calls at the same input, relative
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

    @property
    def reliable(self) -> bool:
        return all(slope.reliable for slope in self.slopes)

    @property
    def decided(self) -> bool:
        """A reliable slope that is wrong decides; so do reliable slopes that all agree."""
        return self.reliable or any(s.reliable and not s.close for s in self.slopes)


def measure_gradient(
    f: Function,
    grad: Function,
    at: Any,
    *,
    rng: np.random.Generator,
    rtol: float = 1e-4,
    transposed_ok: bool = True,
    redraw: Redraw | None = None,
    terms: Mapping[str, Any] | None = None,
    called: str = "",
    name: str = "",
) -> GradientEvidence:
    """Return how grad compares with central differences of f along random directions.

    f : x -> number; a `map` attribute is used to send many points at once
    grad : x -> array of x's shape (or, with transposed_ok, its transpose; for vectors
        also (d,), (d, 1) and (1, d))
    at : float64 array or number; redraw : rng -> another such, taken where f has a kink
    rtol : on the sum of |gradient * direction|; the estimated numerical error comes on top
    terms : summands of the gradient that must be seen on their own, {"regulariser": array
        or callable of x}: each is a direction of its own, with a tolerance of its size
    Raises CheckFailed for a wrong shape or type, NonFiniteValue for nan and inf.
    """
    x = np.asarray(at, dtype=np.float64)
    best: GradientEvidence | None = None
    for attempt in range(1 + _REDRAWS + _NUDGES):
        if attempt:
            x = _another_point(x, attempt, redraw, rng)
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
        if evidence.decided or evidence.repeat > 1e-3:
            return evidence
        if best is None or _doubt(evidence) < _doubt(best):
            best = evidence
    assert best is not None
    return best


def measure_gradient_error(
    f: Function, grad: Function, at: Any, *, rng: np.random.Generator, **how: Any
) -> float:
    """Return the worst relative error of grad along random directions; 0 is right."""
    return measure_gradient(f, grad, at, rng=rng, **how).error


def assert_gradient(
    f: Function,
    grad: Function,
    *,
    at: Any,
    rng: np.random.Generator,
    name: str = "x",
    called: str = "",
    factors: Mapping[str, Factor] | None = None,
    transposed_ok: bool = True,
    redraw: Redraw | None = None,
    terms: Mapping[str, Any] | None = None,
    mistakes: Mapping[str, Any] | None = None,
    dummy: object = None,
    rtol: float = 1e-4,
    hint: str = "",
) -> None:
    """Accept grad where it is the gradient of f; on failure, find the fault and name it.

    f, grad, at, redraw, terms, transposed_ok : as in measure_gradient. f is the student's
        own cost where conventions differ: the gradient is then held to that one
    name : the parameter, for the message ("W"); factors, mistakes : as in diagnose;
        the values of terms and mistakes may be callables of x
    dummy : what the unfilled stub returns
    Raises CheckFailed with the diagnosis; Missing where the dummy came back.
    """
    noun = f"the gradient with respect to {name}"
    evidence = measure_gradient(
        f,
        grad,
        at,
        rng=rng,
        rtol=rtol,
        transposed_ok=transposed_ok,
        redraw=redraw,
        terms=terms,
        called=called,
        name=name,
    )
    if evidence.close:
        return
    if evidence.repeat > 1e-3:
        raise CheckFailed(
            "the cost gives another value at each call with the same input",
            hint="Does it draw random numbers, or change its inputs or its own state?",
            called=called,
        )
    fault = _locate(f, evidence, rng=rng)
    raise _failure(
        fault,
        evidence,
        noun=noun,
        name=name,
        called=called,
        hint=hint,
        known={
            "factors": factors,
            "terms": _values_at(terms, evidence.at),
            "mistakes": _values_at(mistakes, evidence.at),
            "dummy": dummy,
        },
    )


def numerical_gradient(f: Function, at: Any) -> Array:
    """Return the gradient of f by central differences with Richardson extrapolation.

    f : x -> number; at : array; takes 4 calls an element
    """
    x = np.asarray(at, dtype=np.float64)
    function = _Counted(f, x.shape, called="")
    numeric, _ = _differentiate(function, x, np.arange(x.size), steps=(1.0, 0.5))
    return numeric.reshape(x.shape)


# --- slopes -----------------------------------------------------------------------------


@dataclass
class _Counted:
    """The function f, its points shaped as its caller wants them, its calls counted."""

    f: Function
    shape: tuple[int, ...]
    called: str
    calls: int = 0
    eps: float = _EPS
    name: str = field(default="")

    def values(self, points: Sequence[Array]) -> Array:
        """Return f at each point, (n,) float64."""
        self.calls += len(points)
        shaped: list[Any] = [p.reshape(self.shape) if self.shape else float(p) for p in points]
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
        raw = as_array(grad(x.copy() if x.ndim else float(x)), called=called, dtype_kind="fiu")
    gradient = _fit_shape(raw, x, transposed_ok=transposed_ok, called=called, name=name)
    assert_finite(raw, called=called)
    dtype = str(raw.dtype)
    rtol = max(rtol, _RTOL_OF_DTYPE.get(dtype, 0.0))
    function = _Counted(f, x.shape, called=called)
    first = function.values([x, x])
    if not np.isfinite(first).all():
        raise NonFiniteValue(
            f"the cost is {number(float(first[0]))} at a finite input",
            hint="Does exp overflow, or is log(0) taken?",
            called=called,
        )
    repeat = abs(float(first[0] - first[1]))
    flat, g = x.reshape(-1), gradient.reshape(-1)
    slopes = [
        _slope(function, flat, g, v, float(first[0]), repeat, rtol, rtol)
        for v in _directions(g, rng)
    ]
    for value in _values_at(terms, x).values():
        term = np.asarray(value, dtype=float)
        if term.size == g.size and np.any(term != 0):
            v = _unit(term.reshape(-1))
            scale = float(np.abs(g * v).sum())
            # Its own tolerance: a tenth of the term, were it missing, as far as the
            # numbers can tell it from the rest.
            own = 0.1 * abs(float(term.reshape(-1) @ v)) / scale if scale else rtol
            slopes.append(
                _slope(function, flat, g, v, float(first[0]), repeat, min(rtol, own), rtol)
            )
    size = max(abs(float(first[0])), 1e-300)
    return GradientEvidence(
        close=all(slope.close for slope in slopes),
        error=max((slope.relative_error for slope in slopes), default=0.0),
        at=x,
        gradient=gradient,
        dtype=dtype,
        slopes=tuple(slopes),
        evaluations=function.calls,
        redraws=redraws,
        repeat=repeat / size,
    )


def _directions(g: Array, rng: np.random.Generator) -> list[Array]:
    """Return unit directions: all axes where they are few, dense, sparse and balanced ones."""
    d = g.size
    if d == 0:
        return []
    if d <= _FEW:
        return [*np.eye(d), _unit(_signs(d, rng))] if d > 1 else [np.ones(1)]
    sparse = np.zeros(d)
    chosen = rng.choice(d, size=max(2, d // 10), replace=False)
    sparse[chosen] = _signs(chosen.size, rng)
    # Each element of the gradient contributes alike to this one, so a wrong element that
    # is small beside the others (a bias, a border pixel) still shows.
    size = np.abs(g)
    largest = float(size.max())
    balanced = _signs(d, rng)
    if largest > 0:
        balanced = balanced / np.maximum(size / largest, 1e-3)
    return [_unit(_signs(d, rng)), _unit(sparse), _unit(balanced)]


def _signs(d: int, rng: np.random.Generator) -> Array:
    """Return random signs with sizes in [0.5, 1.5]: none vanishes, no two cancel."""
    signs: Array = rng.choice([-1.0, 1.0], size=d) * rng.uniform(0.5, 1.5, size=d)
    return signs


def _unit(v: Array) -> Array:
    longest = float(np.max(np.abs(v)))
    w = v / longest
    unit: Array = w / float(np.sqrt(w @ w))
    return unit


def _slope(
    function: _Counted,
    x: Array,
    g: Array,
    v: Array,
    f0: float,
    repeat: float,
    rtol: float,
    reliable_rtol: float,
) -> Slope:
    """Return the slope along v, from the step whose estimated error is least."""
    analytic = float(g @ v)
    spread = float(np.abs(g * v).sum())
    moved = np.abs(v) > 0
    base = function.eps ** (1 / 3) * max(1.0, float(np.max(np.abs(x[moved]), initial=0.0)))
    best: tuple[float, float, float, bool] | None = None
    for times in (1.0, 32.0, 1 / 32, 1024.0):
        # The difference of two neighbours is exact only where the step is a power of 2.
        h = 2.0 ** np.round(np.log2(base * times))
        numeric, error, floor, kink = _central(function, x, v, h, f0, repeat)
        if best is None or error < best[1]:
            best = numeric, error, floor, kink
        scale = max(spread, abs(numeric)) if np.isfinite(numeric) else spread
        if best[1] <= 0.1 * rtol * scale or best[1] <= 2 * best[2]:
            break
        if best[3] and times == 1.0 and _is_clear_kink(best, scale):
            break
    assert best is not None
    numeric, error, floor, kink = best
    if not np.isfinite(numeric):
        return Slope(analytic, numeric, 0.0, np.inf, False, True)
    scale = max(spread, abs(numeric))
    reliable = error <= max(_UNRELIABLE * scale, 2 * floor) and not (
        kink and error > reliable_rtol * scale
    )
    # What the estimate adds is bounded: a function that is all noise proves nothing right.
    allowed = rtol * scale + 5 * min(error, max(_UNRELIABLE * scale, 2 * floor)) + 1e-300
    return Slope(analytic, numeric, allowed, error, reliable, kink)


def _is_clear_kink(best: tuple[float, float, float, bool], scale: float) -> bool:
    return best[1] > _UNRELIABLE * scale


def _central(
    function: _Counted, x: Array, v: Array, h: float, f0: float, repeat: float
) -> tuple[float, float, float, bool]:
    """Return the slope, its estimated error, its rounding floor, and whether it has a kink."""
    near = [x + h * v, x - h * v, x + h / 2 * v, x - h / 2 * v]
    a, b, c, d = (float(value) for value in function.values(near))
    if not np.isfinite([a, b, c, d]).all():
        return np.nan, np.inf, 0.0, True
    wide, narrow = (a - b) / (2 * h), (c - d) / h
    numeric = (4 * narrow - wide) / 3
    largest = max(abs(a), abs(b), abs(f0))
    floor = (4 * function.eps * largest + 2 * repeat) / h
    # The fourth difference of a smooth function is far below its rounding: what is left
    # of it is noise (Moré and Wild), or a kink.
    noise = abs(a - 4 * c + 6 * f0 - 4 * d + b) / np.sqrt(70.0) / h
    error = abs(wide - narrow) + 2 * noise + floor
    gap = abs((a - f0) - (f0 - b)) / h
    gap_half = abs((c - f0) - (f0 - d)) * 2 / h
    smooth = abs(gap_half - gap / 2) <= 0.1 * gap + 4 * floor
    return numeric, error, floor, not smooth


def _another_point(
    x: Array, attempt: int, redraw: Redraw | None, rng: np.random.Generator
) -> Array:
    if redraw is not None and attempt <= _REDRAWS:
        return np.asarray(redraw(rng), dtype=np.float64)
    nudge = 1e-2 * np.maximum(1.0, np.abs(x)) * rng.normal(size=x.shape)
    return np.asarray(x + nudge, dtype=np.float64)


def _doubt(evidence: GradientEvidence) -> tuple[bool, float]:
    """Return how little an undecided measurement says; less is better."""
    worst = max((s.uncertainty for s in evidence.slopes), default=0.0)
    return (not evidence.close, worst)


# --- shapes -----------------------------------------------------------------------------


def _fit_shape(raw: Array, x: Array, *, transposed_ok: bool, called: str, name: str) -> Array:
    """Return the gradient as float64 in x's shape, or refuse its shape."""
    gradient = raw.astype(np.float64)
    if raw.shape == x.shape:
        return gradient
    if x.size == 1 and raw.size == 1:
        return gradient.reshape(x.shape)
    vectors = _is_vector(raw.shape) and _is_vector(x.shape)
    if transposed_ok and raw.size == x.size:
        if vectors:
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


# --- locating a fault -------------------------------------------------------------------


@dataclass(frozen=True)
class _Fault:
    """The elements that were differentiated: all of them, or a sample with the worst.

    got, expected : arrays of at's shape where `whole`, else (k,)
    indices : flat indices; uncertainty : of each numeric element
    """

    whole: bool
    got: Array
    expected: Array
    indices: Array
    uncertainty: Array


def _locate(f: Function, evidence: GradientEvidence, *, rng: np.random.Generator) -> _Fault:
    x = evidence.at
    g = evidence.gradient.reshape(-1)
    function = _Counted(f, x.shape, called="")
    if x.size <= _MAX_ELEMENTS:
        indices = np.arange(x.size)
    else:
        largest = np.argsort(-np.abs(g), kind="stable")[: _SAMPLE // 4]
        random = rng.choice(x.size, size=_SAMPLE, replace=False)
        worst = _bisect(function, x, g, rng)
        indices = np.unique(np.concatenate([largest, random, [worst]]))
    steps = (1.0, 0.5) if indices.size <= 64 else (1.0,)
    numeric, uncertainty = _differentiate(function, x, indices, steps=steps)
    if indices.size == x.size:
        return _Fault(True, evidence.gradient, numeric.reshape(x.shape), indices, uncertainty)
    return _Fault(False, g[indices], numeric, indices, uncertainty)


def _differentiate(
    function: _Counted, x: Array, indices: Array, *, steps: tuple[float, ...]
) -> tuple[Array, Array]:
    """Return central differences for these elements, and their estimated errors."""
    flat = x.reshape(-1)
    h = function.eps ** (1 / 3) * np.maximum(1.0, np.abs(flat[indices]))
    h = 2.0 ** np.round(np.log2(h)) if h.size else h
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
    if len(steps) == 1:
        return slopes[0], floor + 1e-6 * np.abs(slopes[0])
    return (4 * slopes[1] - slopes[0]) / 3, floor + np.abs(slopes[0] - slopes[1])


def _bisect(function: _Counted, x: Array, g: Array, rng: np.random.Generator) -> int:
    """Return the flat index of an element that is wrong, halving the block that is worse."""
    flat = x.reshape(-1)
    f0 = float(function.values([flat])[0])
    block = np.arange(flat.size)
    while block.size > 1:
        halves = (block[: block.size // 2], block[block.size // 2 :])
        wrong = []
        for half in halves:
            v = np.zeros(flat.size)
            v[half] = _signs(half.size, rng)
            slope = _slope(function, flat, g, _unit(v), f0, 0.0, 1e-4, 1e-4)
            length = float(np.sqrt(v @ v))
            wrong.append(abs(slope.analytic - slope.numeric) * length)
        block = halves[int(not wrong[0] >= wrong[1])]
    return int(block[0])


def _failure(
    fault: _Fault,
    evidence: GradientEvidence,
    *,
    noun: str,
    name: str,
    called: str,
    hint: str,
    known: dict[str, Any],
) -> CheckFailed:
    """Return the verdict on a wrong gradient, diagnosed from the elements at hand."""
    scale = float(np.max(np.abs(fault.expected), initial=0.0))
    noise = float(np.max(fault.uncertainty, initial=0.0))
    error = np.abs(fault.got - fault.expected).reshape(-1)
    allowed = 1e-3 * np.abs(fault.expected).reshape(-1) + 1e-6 * scale + 5 * fault.uncertainty
    wrong = error > allowed
    worst = int(np.argmax(error))
    index = tuple(int(i) for i in np.unravel_index(int(fault.indices[worst]), evidence.at.shape))
    where = (
        f"element {index_text(index)}: central differences give "
        f"{float(fault.expected.reshape(-1)[worst]):.6g}, the gradient is "
        f"{float(fault.got.reshape(-1)[worst]):.6g}"
    )
    if scale <= 10 * noise and np.any(wrong):
        return CheckFailed(
            f"the cost does not change when {name} changes, but its gradient is not 0",
            hint=f"Does the cost use {name}, or a copy made earlier?",
            called=called,
            where=where,
        )
    if not fault.whole:
        for part in ("terms", "mistakes"):
            known[part] = {
                k: np.asarray(v, dtype=float).reshape(-1)[fault.indices]
                for k, v in known[part].items()
                if np.size(v) == evidence.at.size
            }
        known["factors"] = {
            k: v
            if np.size(v) == 1
            else np.broadcast_to(np.asarray(v), evidence.at.shape).reshape(-1)[fault.indices]
            for k, v in (known["factors"] or {}).items()
        }
    else:
        for part in ("terms", "mistakes"):
            known[part] = {
                k: np.asarray(v, dtype=float).reshape(evidence.at.shape)
                for k, v in known[part].items()
                if np.size(v) == evidence.at.size
            }
    found = diagnose(
        fault.got,
        fault.expected,
        noun=noun,
        rtol=1e-4,
        atol=1e-7 * scale + 5 * noise,
        layout=fault.whole,
        **known,
    )
    if found is not None:
        kind = Missing if found.kind == "dummy" else CheckFailed
        return kind(found.problem, hint=found.hint or hint, called=called, where=where)
    count = int(wrong.sum())
    if fault.whole and 0 < count < wrong.size:
        problem = f"{count} of {wrong.size} elements of {noun} do not match the cost"
    elif evidence.at.size == 1:
        problem = f"{noun} does not match the cost"
    else:
        problem = f"{noun} does not match the cost" + (", in any element" if wrong.all() else "")
    return CheckFailed(
        problem,
        hint=hint
        or "It is compared with central differences of the cost: derive it once more, "
        "factor by factor.",
        called=called,
        where=where,
    )


def _values_at(values: Mapping[str, Any] | None, x: Array) -> dict[str, Any]:
    """Return the named arrays; callables are asked for their array at x."""
    found = {}
    for name, value in (values or {}).items():
        found[name] = value(x.copy() if x.ndim else float(x)) if callable(value) else value
    return found
