"""Gradients held against finite differences of the function itself.

A gradient is first compared along a few directions, which costs some fifteen calls
whatever its size; only where that fails is it compared element by element, to find and
name the fault. No reference is needed, so these checks can be public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite, assert_shape
from grader.checks.differences import CountedFunction, Difference, differentiate, slope_along
from grader.checks.showing import index_text
from grader.checks.tolerances import precision_of
from grader.diagnosis.case import Factor
from grader.diagnosis.factors import name_factor
from grader.diagnosis.values import diagnose
from grader.diagnosis.wording import Array, number
from grader.errors import CheckFailed, Missing, NonFiniteValue

Function = Callable[[Any], Any]
Redraw = Callable[[np.random.Generator], Any]

# Parameters up to this many are compared one by one from the start: it costs little.
_FEW = 8
# On failure at most this many elements are differentiated; larger gradients by sample.
_MAX_ELEMENTS = 1024
_SAMPLE = 128
# An estimate of the slope that is worse than this share of its scale decides nothing.
_UNRELIABLE = 2e-3
# A slope that is off by less may come from a right gradient: log(p + 1e-8) for log(p).
_SLIGHT = 1e-2
_REDRAWS = 3
_NUDGES = 2
# A cost that differs by more than this between two calls at one point is random.
_RANDOM = 1e-3


@dataclass(frozen=True)
class Slope:
    """One directional derivative, by the gradient and by central differences.

    allowed : what |analytic - numeric| may be; uncertainty : the estimated numerical error
    reliable : the numerical slope is good enough to decide
    term : name of the summand whose direction it is, with the summand's own slope, or ""
    power : of 2, of the step that was best
    """

    analytic: float
    numeric: float
    allowed: float
    uncertainty: float
    reliable: bool
    scale: float
    power: int = 0
    term: str = ""
    of_term: float = 0.0

    @property
    def close(self) -> bool:
        return bool(abs(self.analytic - self.numeric) <= self.allowed)

    @property
    def decides(self) -> bool:
        """Tell whether the numbers leave no doubt: a precise slope, or an error far beyond it."""
        excess = abs(self.analytic - self.numeric) - self.allowed
        return self.reliable or excess > 20 * self.uncertainty

    @property
    def relative_error(self) -> float:
        error = abs(self.analytic - self.numeric)
        return error / self.scale if error else 0.0


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
    def decided(self) -> bool:
        """One wrong slope that leaves no doubt decides; so do right ones, all together."""
        return all(s.reliable for s in self.slopes) or any(
            s.decides and not s.close for s in self.slopes
        )

    @property
    def slight(self) -> bool:
        """Tell whether every slope is nearly right, so that the elements deserve a look."""
        return all(s.relative_error <= _SLIGHT for s in self.slopes)

    @property
    def flat(self) -> bool:
        """Tell whether the function does not change along any direction."""
        return all(abs(s.numeric) <= 1e-6 * s.scale for s in self.slopes)


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
    rtol : on the size of gradient * direction; the estimated numerical error comes on top
    terms : summands of the gradient that must be seen on their own, {"regulariser": array
        or callable of x}: each is a direction of its own, with a tolerance of its size
    Raises CheckFailed for a wrong shape or type, NonFiniteValue for nan and inf.
    """
    x = np.asarray(at, dtype=np.float64)
    best: GradientEvidence | None = None
    for attempt in range(1 + _REDRAWS + _NUDGES):
        ours = attempt > _REDRAWS or redraw is None
        if attempt:
            x = _nudged(x, rng) if ours or redraw is None else np.asarray(redraw(rng), dtype=float)
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
            if best is None or not ours:
                raise
            break  # the nudge left the function's domain: that is no fault of the student's
        if evidence.decided or evidence.repeat > _RANDOM:
            return evidence
        if best is None or _doubt(evidence) < _doubt(best):
            best = evidence
    assert best is not None
    return best


def measure_gradient_error(
    f: Function, grad: Function, at: Any, *, rng: np.random.Generator, **how: Any
) -> float:
    """Return the worst relative error of grad along random directions; 1e-10 is right."""
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
    A slope that is slightly off gets a second look, element by element: log(p + 1e-8)
    against the gradient of log(p) is right.
    Raises CheckFailed with the diagnosis; Missing where the dummy came back.
    """
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
    if evidence.repeat > _RANDOM:
        raise CheckFailed(
            "the cost gives another value at each call with the same input",
            hint="Does it draw random numbers, or change its inputs or its own state?",
            called=called,
        )
    if evidence.close:
        return
    fault = _locate(f, evidence, rng=rng)
    of_terms = [s for s in evidence.slopes if s.term and s.reliable and not s.close]
    if evidence.slight and not fault.wrong.any() and not of_terms:
        return
    noun = f"the gradient with respect to {name}"
    where = fault.where(evidence.at.shape)
    if evidence.flat and fault.is_flat:
        raise CheckFailed(
            f"the cost does not change when {name} changes, but its gradient is not 0",
            hint=f"Does the cost use {name}, or a copy made earlier?",
            called=called,
            where=where,
        )
    found = diagnose(
        fault.got,
        fault.expected,
        factors=fault.of_factors(factors, evidence.at.shape),
        terms=fault.of(_values_at(terms, evidence.at)),
        mistakes=fault.of(_values_at(mistakes, evidence.at)),
        dummy=dummy,
        noun=noun,
        rtol=1e-4,
        atol=1e-7 * fault.scale + 5 * fault.noise,
        layout=fault.whole,
    )
    if found is not None:
        kind = Missing if found.kind == "dummy" else CheckFailed
        raise kind(found.problem, hint=found.hint or hint, called=called, where=where)
    if of_terms and not fault.wrong.any():
        raise _wrong_term(of_terms[0], factors, noun=noun, called=called)
    raise CheckFailed(
        _plain_problem(fault, noun),
        hint=hint
        or "It is compared with central differences of the cost: derive it once more, "
        "factor by factor.",
        called=called,
        where=where,
    )


# --- slopes -----------------------------------------------------------------------------


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
        raw = as_array(grad(_point(x)), called=called, dtype_kind="fiu")
    gradient = _fit_shape(raw, x, transposed_ok=transposed_ok, called=called, name=name)
    assert_finite(raw, called=called)
    rtol = max(rtol, precision_of(raw).rtol_of_sums)
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
    slopes = [_slope(function, flat, g, v, f0, repeat, rtol) for v in _directions(flat, g, rng)]
    for term, value in _values_at(terms, x).items():
        own = np.asarray(value, dtype=float).reshape(-1)
        if own.size == g.size and np.any(own != 0):
            slopes.append(_slope(function, flat, g, _unit(own), f0, repeat, rtol, term, own))
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
    )


def _directions(x: Array, g: Array, rng: np.random.Generator) -> list[Array]:
    """Return directions: all axes where they are few, else dense, sparse and balanced ones."""
    d = g.size
    if d == 0:
        return []
    # Large parameters take large steps: a direction moves each in proportion.
    size = np.maximum(1.0, np.abs(x))
    if d <= _FEW:
        axes = [*(np.eye(d) * size)]
        return [*axes, _unit(_signs(d, rng)) * size] if d > 1 else axes
    sparse = np.zeros(d)
    chosen = rng.choice(d, size=max(2, d // 10), replace=False)
    sparse[chosen] = _signs(chosen.size, rng)
    # Each element of the gradient contributes alike to this one, so a wrong element that
    # is small beside the others (a bias, a border pixel) still shows.
    share = np.abs(g) * size
    largest = float(share.max())
    balanced = _signs(d, rng)
    if largest > 0:
        balanced = balanced / np.maximum(share / largest, 1e-3)
    return [_unit(v) * size for v in (_signs(d, rng), sparse, balanced)]


def _signs(d: int, rng: np.random.Generator) -> Array:
    """Return random signs with sizes in [0.5, 1.5]: none vanishes, no two cancel."""
    signs: Array = rng.choice([-1.0, 1.0], size=d) * rng.uniform(0.5, 1.5, size=d)
    return signs


def _unit(v: Array) -> Array:
    w = v / float(np.max(np.abs(v)))
    unit: Array = w / float(np.sqrt(w @ w))
    return unit


def _slope(
    function: CountedFunction,
    x: Array,
    g: Array,
    v: Array,
    f0: float,
    repeat: float,
    rtol: float,
    term: str = "",
    own: Array | None = None,
) -> Slope:
    """Return the slope along v by both ways, and how far apart they may be."""
    analytic = float(g @ v)
    # Along a random direction errors add up like noise, so the tolerance is on the root of
    # the sum of squares: one wrong row among many then shows. A term's direction is not
    # random.
    parts = g * v
    spread = float(np.abs(parts).sum() if term else 2 * np.sqrt(parts @ parts))
    of_term = float(own @ v) if own is not None else 0.0
    tolerance = rtol
    if term and spread:
        # A tenth of the term, were it missing; but never finer than float64 can tell.
        tolerance = max(min(rtol, 0.1 * abs(of_term) / spread), 1e-9)

    def judged(found: Difference) -> Slope:
        numeric, error, floor = float(found.slope), float(found.error), float(found.floor)
        if not np.isfinite(numeric) or not np.isfinite(error):
            return Slope(analytic, numeric, np.inf, np.inf, False, max(spread, 1e-300))
        scale = max(spread, abs(numeric), 1e-300)
        bound = max(_UNRELIABLE * scale, 2 * floor)
        kink = bool(found.kink) and error > rtol * scale
        # What the estimate adds is bounded: a function that is all noise proves nothing.
        allowed = tolerance * scale + 5 * min(error, bound) + 1e-300
        reliable = error <= bound and not kink
        return Slope(
            analytic, numeric, allowed, error, reliable, scale, int(found.power), term, of_term
        )

    def good(found: Difference) -> bool:
        slope = judged(found)
        precise = slope.uncertainty <= max(0.1 * tolerance * slope.scale, 2 * float(found.floor))
        return slope.close and slope.reliable and precise

    return judged(slope_along(function, x, v, f0=f0, repeat=repeat, good=good))


def _point(x: Array) -> Any:
    """Return a fresh copy of x for code that may change it; a float for a number."""
    return x.copy() if x.ndim else float(x)


def _nudged(x: Array, rng: np.random.Generator) -> Array:
    moved: Array = x + 1e-2 * np.maximum(1.0, np.abs(x)) * rng.normal(size=x.shape)
    return moved


def _doubt(evidence: GradientEvidence) -> tuple[bool, float]:
    """Return how little an undecided measurement says; less is better."""
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


# --- locating a fault -------------------------------------------------------------------


@dataclass(frozen=True)
class _Fault:
    """The elements that were differentiated: all of them, or a sample with the worst.

    got, expected : arrays of the parameter's shape where `whole`, else (k,)
    indices : flat indices; uncertainty : of each numeric element, (k,)
    """

    whole: bool
    got: Array
    expected: Array
    indices: Array
    uncertainty: Array

    @property
    def scale(self) -> float:
        return float(np.max(np.abs(self.expected), initial=0.0))

    @property
    def noise(self) -> float:
        return float(np.max(self.uncertainty, initial=0.0))

    @property
    def is_flat(self) -> bool:
        return self.scale <= 10 * self.noise

    @property
    def wrong(self) -> Array:
        """The mask, (k,), of elements that differ by more than any right answer's."""
        got, expected = self.got.reshape(-1), self.expected.reshape(-1)
        allowed = 2e-3 * np.abs(expected) + 2e-4 * self.scale + 5 * self.uncertainty
        wrong: Array = ~(np.abs(got - expected) <= allowed)
        return wrong

    def where(self, shape: tuple[int, ...]) -> str:
        got, expected = self.got.reshape(-1), self.expected.reshape(-1)
        worst = int(np.argmax(np.abs(got - expected)))
        index = tuple(int(i) for i in np.unravel_index(int(self.indices[worst]), shape))
        place = f"element {index_text(index)}: " if index else ""
        return (
            f"{place}central differences give {expected[worst]:.6g}, "
            f"the gradient is {got[worst]:.6g}"
        )

    def of(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return the named arrays at these elements; those of another size are left out."""
        size = self.got.size if self.whole else None
        found = {}
        for name, value in values.items():
            array = np.asarray(value, dtype=float)
            if size is None and array.size > int(self.indices.max()):
                found[name] = array.reshape(-1)[self.indices]
            elif array.size == size:
                found[name] = array.reshape(self.got.shape)
        return found

    def of_factors(
        self, factors: Mapping[str, Factor] | None, shape: tuple[int, ...]
    ) -> dict[str, Factor]:
        """Return the factors, elementwise ones at these elements."""
        found: dict[str, Factor] = {}
        for name, value in (factors or {}).items():
            if np.size(value) == 1:
                found[name] = value
                continue
            try:
                array = np.broadcast_to(np.asarray(value, dtype=float), shape)
            except ValueError:
                continue
            found[name] = array if self.whole else array.reshape(-1)[self.indices]
        return found


def _locate(f: Function, evidence: GradientEvidence, *, rng: np.random.Generator) -> _Fault:
    x = evidence.at
    g = evidence.gradient.reshape(-1)
    function = CountedFunction(f, x.shape)
    function.values([x.copy()])  # tells the precision of f, which the steps follow
    power = int(np.median([s.power for s in evidence.slopes])) if evidence.slopes else 0
    if x.size <= _MAX_ELEMENTS:
        indices = np.arange(x.size)
    else:
        largest = np.argsort(-np.abs(g), kind="stable")[: _SAMPLE // 4]
        chosen = rng.choice(x.size, size=_SAMPLE, replace=False)
        worst = _bisect(function, x, g, rng)
        indices = np.unique(np.concatenate([largest, chosen, [worst]]))
    numeric, uncertainty = differentiate(function, x, indices, fine=indices.size <= 64, power=power)
    if indices.size == x.size:
        return _Fault(True, evidence.gradient, numeric.reshape(x.shape), indices, uncertainty)
    return _Fault(False, g[indices], numeric, indices, uncertainty)


def _bisect(function: CountedFunction, x: Array, g: Array, rng: np.random.Generator) -> int:
    """Return the flat index of an element that is wrong, halving the block that is worse."""
    flat = x.reshape(-1)
    f0 = float(function.values([flat.copy()])[0])
    block = np.arange(flat.size)
    while block.size > 1:
        halves = (block[: block.size // 2], block[block.size // 2 :])
        wrong = []
        for half in halves:
            v = np.zeros(flat.size)
            v[half] = _signs(half.size, rng) * np.maximum(1.0, np.abs(flat[half]))
            slope = slope_along(
                function, flat, _unit(v), f0=f0, repeat=0.0, good=lambda _: True
            ).slope
            wrong.append(abs(float(g @ v) - float(slope) * float(np.sqrt(v @ v))))
        block = halves[int(not wrong[0] >= wrong[1])]
    return int(block[0])


# --- wording ----------------------------------------------------------------------------


def _wrong_term(
    slope: Slope, factors: Mapping[str, Factor] | None, *, noun: str, called: str
) -> CheckFailed:
    """Return the verdict on a summand that is too small to show in the elements."""
    times = 1.0 + (slope.analytic - slope.numeric) / slope.of_term
    if abs(times) < 0.05:
        return CheckFailed(
            f"the {slope.term} term is missing in {noun}",
            hint="Everything else in it is right.",
            called=called,
        )
    words = name_factor(times, factors, rtol=1e-2, noun=f"the {slope.term} term")
    return CheckFailed(
        f"{words.problem} in {noun}" if words else f"the {slope.term} term of {noun} is wrong",
        hint=words.hint if words else "Everything else in it is right.",
        called=called,
    )


def _plain_problem(fault: _Fault, noun: str) -> str:
    count = int(fault.wrong.sum())
    if fault.whole and 0 < count < fault.wrong.size:
        return f"{count} of {fault.wrong.size} elements of {noun} do not match the cost"
    everywhere = ", in any element" if count == fault.wrong.size > 1 else ""
    return f"{noun} does not match the cost{everywhere}"


def _values_at(values: Mapping[str, Any] | None, x: Array) -> dict[str, Any]:
    """Return the named arrays; callables are asked for their array at x."""
    return {
        name: value(_point(x)) if callable(value) else value
        for name, value in (values or {}).items()
    }
