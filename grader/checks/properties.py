"""Properties that a right function has whatever its values: purity, speed, curvature, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grader.checks.arrays import (
    Array,
    as_array,
    as_scalar,
    assert_finite,
    assert_shape,
    first_index,
    index_text,
    number,
    rtol_for,
    show,
)
from grader.checks.closeness import assert_close
from grader.errors import CheckFailed, NonFiniteValue

# Bytecode steps that any call may take, whatever its size: argument checks, a debug print.
_FREE_STEPS = 200


# --- purity and repetition --------------------------------------------------------------


def assert_unchanged(
    before: object,
    after: object,
    *,
    called: str = "",
    names: Sequence[str] = (),
) -> None:
    """Accept arguments that a call left as they were.

    before, after : the positional arguments, a tuple each, or one array each; what can't
        be compared (handles) is passed over
    names : of the arguments, for the message
    Raises CheckFailed, which names the argument.
    """
    old = before if isinstance(before, tuple) else (before,)
    new = after if isinstance(after, tuple) else (after,)
    if len(old) != len(new):
        raise ValueError(f"{len(old)} arguments before the call, {len(new)} after it")
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        if _same(a, b):
            continue
        name = names[i] if i < len(names) else "its input" if len(old) == 1 else f"argument {i + 1}"
        raise CheckFailed(
            f"the call changes {name} in place",
            hint="Work on a copy (x = x.copy()) and avoid in-place operations "
            "such as x /= 255 or x[i] = ... on an argument.",
            called=called,
            where=_first_change(a, b),
        )


def assert_deterministic(values: Sequence[object], *, called: str = "") -> None:
    """Accept results of repeated calls that are equal, bit for bit."""
    for i, value in enumerate(values[1:], start=2):
        if not _same(values[0], value):
            raise CheckFailed(
                "the same call gives another result when it is repeated",
                hint="Does it draw random numbers without the given generator or seed, "
                "or keep a state (a list that grows, an input changed in place)?",
                called=called,
                where=f"call 1 and call {i}",
            )


# --- warnings and large inputs ----------------------------------------------------------

_WARNING_HINTS = {
    "overflow": "exp of a large number overflows: rewrite the formula so that exp only sees "
    "arguments <= 0 (np.where, np.logaddexp, or subtract the maximum).",
    "divide by zero": "A division by 0 or log(0) happened: combine log and exp into one stable "
    "formula, or guard the denominator.",
    "invalid value": "nan came up (0/0, inf - inf, log or root of a negative number): check what "
    "the formula does for the extreme elements, also those that np.where throws away.",
}


def assert_no_warnings(
    warnings: Sequence[str],
    *,
    called: str = "",
    kinds: Sequence[str] = ("overflow", "divide by zero", "invalid value"),
    hint: str = "",
) -> None:
    """Accept a call that raised no numerical warning.

    warnings : texts such as "RuntimeWarning: overflow encountered in exp"
    kinds : words of the warnings that count; others (a DeprecationWarning) cost nothing
    """
    for text in warnings:
        for kind in kinds:
            if kind in text and "Deprecat" not in text:
                raise CheckFailed(
                    f"the call warns: {_printable(text)}",
                    hint=hint or _WARNING_HINTS.get(kind, ""),
                    called=called,
                )


def assert_stable(
    f: Callable[[Any], Any] | object,
    *,
    at: Any,
    limits: Any = None,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    hint: str = "",
) -> None:
    """Accept a function that stays finite, and near its limits, at large inputs.

    f : array -> array, or the values that it gave; at : the inputs
    limits : the right values there; None asks for finite values alone
    Raises NonFiniteValue, CheckFailed.
    """
    x = np.asarray(at, dtype=np.float64)
    if callable(f):
        with np.errstate(all="ignore"):
            value = f(x.copy() if x.ndim else float(x))
    else:
        value = f
    array = as_array(value, called=called)
    try:
        assert_finite(array, called=called)
    except NonFiniteValue as failure:
        raise NonFiniteValue(
            f"for large inputs, {failure.problem}",
            hint=hint or failure.hint,
            called=called,
            got=failure.got,
            where=failure.where,
        ) from None
    if limits is None:
        return
    try:
        assert_close(array, limits, rtol=rtol, atol=atol, called=called, hint=hint)
    except CheckFailed as failure:
        raise CheckFailed(
            f"for large inputs, {failure.problem}",
            hint=failure.hint or "It should approach its limit on either side.",
            called=called,
            expected=failure.expected,
            got=failure.got,
            where=failure.where,
        ) from None


# --- vectorisation ----------------------------------------------------------------------


def assert_vectorised(
    steps_small: int | None,
    steps_large: int | None,
    *,
    growth: float = 2.0,
    called: str = "",
    sizes: tuple[int, int] | None = None,
) -> None:
    """Accept a call whose Python steps do not grow with the size of its input.

    steps_small, steps_large : bytecode steps for a small and for a large input
    growth : what steps_large / steps_small may be; sizes : of the inputs, for the message
    Raises CheckFailed: a Python loop runs over the elements.
    """
    if steps_small is None or steps_large is None:
        raise ValueError("the steps were not counted: ask for them with steps=True")
    if steps_large <= growth * steps_small + _FREE_STEPS:
        return
    times = steps_large / max(steps_small, 1)
    size = f"{number(sizes[1] / sizes[0])} times as many elements" if sizes else "A larger input"
    raise CheckFailed(
        "a Python loop runs over the elements",
        hint="Let numpy do the loop: broadcasting, x[:, None], a product, a sum over an axis.",
        called=called,
        got=f"{size} took {number(times)} times as many Python steps",
    )


# --- curvature --------------------------------------------------------------------------


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
            hint="Is its sign right? A convex loss is never above the line between two points.",
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
    """Accept (a, b) where the chord between them shows that f is not convex.

    f : the true function, number -> number
    margin : how far above the chord f must rise somewhere, relative to its values there
    """
    left, right = as_scalar(a, called=called), as_scalar(b, called=called)
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
        hint="Non-convexity shows where the second derivative is negative: "
        "take both ends from that stretch.",
        called=called,
        got=f"a = {show(left)}, b = {show(right)}",
    )


def assert_psd(
    H: object, *, called: str = "", noun: str = "the matrix", rtol: float = 1e-9
) -> None:
    """Accept a symmetric matrix without negative eigenvalues; a number counts as (1, 1).

    rtol : on the largest eigenvalue, below which a negative one is rounding, and on the
        symmetry; a float32 matrix is held to float32's precision
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
    """Accept a square matrix equal to its transpose, with this diagonal where one is given.

    rtol : on the largest element; a float32 matrix is held to float32's precision
    """
    given = as_array(M, called=called)
    rtol = rtol_for(given, rtol)
    matrix = given.astype(np.float64)
    if matrix.ndim != 2:
        raise CheckFailed(
            f"{noun} must have two axes; an array of shape {matrix.shape} came", called=called
        )
    assert_shape(matrix, (matrix.shape[0], matrix.shape[0]), called=called)
    scale = float(np.max(np.abs(matrix), initial=0.0))
    off = np.abs(matrix - matrix.T)
    if np.any(~(off <= rtol * scale)):
        index = first_index(~(off <= rtol * scale))
        triangle = not np.any(np.tril(matrix, -1)) or not np.any(np.triu(matrix, 1))
        raise CheckFailed(
            f"{noun} is not symmetric",
            hint="Only one triangle is filled: copy it to the other."
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


# --- ranges, rates, curves --------------------------------------------------------------


def assert_in_range(
    values: object,
    low: float,
    high: float,
    *,
    called: str = "",
    noun: str = "the result",
    slack: float = 1e-12,
) -> None:
    """Accept finite values within [low, high]; use inf for an open end."""
    array = as_array(values, called=called, dtype_kind="fiub").astype(np.float64)
    assert_finite(array, called=called)
    room = slack * max(1.0, *(abs(v) for v in (low, high) if np.isfinite(v)), 0.0)
    wrong = (array < low - room) | (array > high + room)
    if wrong.any():
        index = first_index(wrong)
        due = (
            f"at least {number(low)}"
            if high == np.inf
            else f"at most {number(high)}"
            if low == -np.inf
            else f"between {number(low)} and {number(high)}"
        )
        count = f"{int(wrong.sum())} of {array.size} elements of " if array.size > 1 else ""
        raise CheckFailed(
            f"{count}{noun} should be {due}",
            called=called,
            where=f"{index_text(index)}: {array[index]:.6g}",
        )


def assert_probabilities(
    p: object,
    *,
    axis: int | None = -1,
    called: str = "",
    noun: str = "the probabilities",
    rtol: float = 1e-9,
) -> None:
    """Accept values in [0, 1] whose sums along the axis are 1; axis None asks no sum."""
    array = as_array(p, called=called)
    assert_in_range(array, 0.0, 1.0, called=called, noun=noun, slack=1e-6)
    if axis is None:
        return
    rtol = rtol_for(array, rtol)
    sums = array.astype(np.float64).sum(axis=axis)
    wrong = np.abs(sums - 1) > rtol
    if np.any(wrong):
        index = first_index(np.asarray(wrong))
        other = array.ndim == 2 and bool(np.all(np.abs(array.sum(axis=1 - axis % 2) - 1) <= rtol))
        raise CheckFailed(
            f"{noun} do not sum to 1 along axis {axis % array.ndim}",
            hint="They sum to 1 along the other axis: normalise along the classes, keepdims=True."
            if other
            else "Divide by the sum along that axis, keepdims=True.",
            called=called,
            where=f"sum {index_text(index)} is {float(np.asarray(sums)[index]):.6g}"
            if index
            else f"the sum is {float(sums):.6g}",
        )


def assert_error_rate(
    rate: object, *, at_most: float, called: str = "", noun: str = "the error rate"
) -> None:
    """Accept an error rate in [0, 1] of at most this much; the message says both numbers."""
    value = _rate(rate, called=called, noun=noun)
    if value > at_most:
        raise CheckFailed(
            f"{noun} is {_percent(value)}, more than the {_percent(at_most)} that is allowed",
            hint="It is that of guessing: are labels, features or the update's sign mixed up?"
            if abs(value - 0.5) < 0.05 and at_most < 0.4
            else "Almost everything is wrong: are the classes swapped?"
            if value > 0.9 and at_most < 0.5
            else "Check the data's scale, the learning rate and the number of epochs.",
            called=called,
        )


def assert_accuracy(
    value: object, *, at_least: float, called: str = "", noun: str = "the accuracy"
) -> None:
    """Accept an accuracy in [0, 1] of at least this much; the message says both numbers."""
    accuracy = _rate(value, called=called, noun=noun)
    if accuracy < at_least:
        raise CheckFailed(
            f"{noun} is {_percent(accuracy)}, less than the {_percent(at_least)} that is due",
            hint="Almost everything is wrong: are the classes swapped?"
            if accuracy < 0.1 and at_least > 0.5
            else "Check the data's scale, the learning rate and the number of epochs.",
            called=called,
        )


def assert_monotone(
    values: object,
    *,
    direction: str = "falls",
    share: float = 1.0,
    slack: float = 1e-12,
    called: str = "",
    noun: str = "the curve",
) -> None:
    """Accept a series that falls (or "rises"): from its first to its last value, and in steps.

    share : of the steps that must go that way, in [0, 1]; slack : relative, for flat steps
    """
    series = as_array(values, called=called).astype(np.float64).reshape(-1)
    assert_finite(series, called=called)
    if direction not in ("falls", "rises"):
        raise ValueError(f"direction is 'falls' or 'rises', not {direction!r}")
    if series.size < 2:
        raise CheckFailed(f"{noun} has fewer than two values", called=called)
    signed = series if direction == "falls" else -series
    steps = np.diff(signed)
    room = slack * float(np.max(np.abs(series)))
    wanted = "fall" if direction == "falls" else "rise"
    if signed[-1] >= signed[0] - room and share > 0:
        moved = "does not change" if np.ptp(series) <= room else f"does not {wanted}"
        raise CheckFailed(
            f"{noun} {moved} from its first to its last value",
            hint="Is the parameter updated, with the right sign, and is each value recorded anew?",
            called=called,
            got=show(series),
        )
    good = float(np.mean(steps <= room))
    if good < share:
        raise CheckFailed(
            f"{noun} should {wanted}, but goes the other way in {int(np.sum(steps > room))} of "
            f"{steps.size} steps",
            hint="Is the learning rate too large?",
            called=called,
            got=show(series),
        )


# --- arithmetic and wording -------------------------------------------------------------


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
    return np.array([as_scalar(reply) for reply in replies])


def _same(a: object, b: object) -> bool:
    """Tell whether two values are equal, nan included; what can't be compared counts as equal."""
    # A 0-d array and a numpy scalar are one value in two wrappings.
    a, b = _unwrapped(a), _unwrapped(b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
            return False
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, (list, tuple)):
        return (
            isinstance(b, (list, tuple))
            and len(a) == len(b)
            and all(_same(x, y) for x, y in zip(a, b, strict=True))
        )
    if isinstance(a, Mapping):
        return (
            isinstance(b, Mapping) and set(a) == set(b) and all(_same(a[key], b[key]) for key in a)
        )
    if a is None or isinstance(a, (bool, int, float, complex, str, bytes, np.generic)):
        if not (b is None or isinstance(b, (bool, int, float, complex, str, bytes, np.generic))):
            return False
        return bool(a == b) or (_is_nan(a) and _is_nan(b))
    return True


def _unwrapped(value: object) -> object:
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _first_change(a: object, b: object) -> str:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape:
            return f"its shape was {a.shape} and is {b.shape}"
        if a.dtype != b.dtype:
            return f"its dtype was {a.dtype} and is {b.dtype}"
        changed = ~((a == b) | ((a != a) & (b != b)))
        index = first_index(changed)
        return (
            f"{int(changed.sum())} of {a.size} elements changed; {index_text(index)} was "
            f"{show(a[index])} and is {show(b[index])}"
        )
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        i = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if not _same(x, y))
        return f"{index_text((i,))}: {_first_change(a[i], b[i])}"
    if isinstance(a, Mapping) and isinstance(b, Mapping) and set(a) == set(b):
        key = next(key for key in a if not _same(a[key], b[key]))
        return f"[{show(key)}]: {_first_change(a[key], b[key])}"
    return f"it was {show(a)} and is {show(b)}"


def _rate(value: object, *, called: str, noun: str) -> float:
    rate = as_scalar(value, called=called)
    if not np.isfinite(rate):
        raise NonFiniteValue(f"{noun} is {number(rate)}", called=called)
    if not -1e-9 <= rate <= 1 + 1e-9:
        raise CheckFailed(
            f"{noun} should be between 0 and 1",
            hint="Is it in percent, or a count? Divide by the number of samples."
            if rate > 1
            else "",
            called=called,
            got=number(rate),
        )
    return rate


def _percent(share: float) -> str:
    return f"{number(round(100 * share, 2))} %"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:160])
