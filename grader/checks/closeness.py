"""Compare a result with the expected one: its shape, its values, and why they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, as_scalar, assert_finite, assert_shape
from grader.checks.showing import index_text, show
from grader.checks.tolerances import room_for, rtol_for
from grader.diagnosis.case import Factor
from grader.diagnosis.observations import what_is_right, which_are_right
from grader.diagnosis.values import diagnose
from grader.diagnosis.wording import TRY_BY_HAND, Array, number
from grader.errors import CheckFailed, Missing

# A result nearer than this to a convention follows it, and is wrong for another reason.
_NEARLY = 1e-3
# Chance puts the largest value into the right place of 13 rows once in a million times, or less.
_ENOUGH = 13


@dataclass(frozen=True)
class Closeness:
    """How far got is from expected.

    n_wrong : elements outside rtol, atol; n : all elements
    worst : index of the element that is farthest outside its tolerance
    absolute, relative : its errors; got, expected : its values
    """

    n: int
    n_wrong: int
    worst: tuple[int, ...]
    absolute: float
    relative: float
    got: complex
    expected: complex
    rtol: float
    atol: float

    @property
    def close(self) -> bool:
        return self.n_wrong == 0


def measure_close(
    got: object,
    expected: object,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    summed: Any = None,
) -> Closeness:
    """Return how far got is from expected, element by element.

    An element is close if |got - expected| <= atol + rtol * |expected|; nan never is.
    A result in float32 or float16 gets an additional tolerance for the rounding of its sums.
    summed : array or number, for this tolerance: the sum of the magnitudes of each element's terms
    Raises ValueError if the shapes can't be compared.
    """
    g = np.asarray(as_array(got, dtype_kind="fiubc"))
    e = np.asarray(as_array(expected, dtype_kind="fiubc"))
    if g.size == 1 and e.size == 1:
        g, e = g.reshape(()), e.reshape(())
    if g.shape != e.shape:
        raise ValueError(f"shapes {g.shape} and {e.shape} can't be compared")
    room = room_for(g, e, summed)
    g, e = _wide(g), _wide(e)
    if g.size == 0:
        return Closeness(0, 0, (), 0.0, 0.0, np.nan, np.nan, rtol, atol)
    with np.errstate(all="ignore"):
        error = np.abs(g - e)
        allowed = atol + rtol * np.abs(e) + room
        wrong = ~(error <= allowed) & ~(g == e)
        excess = np.where(wrong, np.where(np.isfinite(error), error / np.maximum(allowed, 1e-300),
                                          np.inf), 0.0)  # fmt: skip
        worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), g.shape))
        size = float(np.abs(e[worst]))
        absolute = float(error[worst])
        relative = absolute / size if size else (np.inf if absolute else 0.0)
    return Closeness(
        n=int(g.size),
        n_wrong=int(wrong.sum()),
        worst=worst,
        absolute=absolute,
        relative=relative,
        got=g[worst].item(),
        expected=e[worst].item(),
        rtol=rtol,
        atol=atol,
    )


def assert_close(
    got: object,
    expected: object,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    noun: str = "the result",
    factors: Mapping[str, Factor] | None = None,
    dummy: object = None,
    terms: Mapping[str, Any] | None = None,
    mistakes: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    broadcast: tuple[Any, Any] | None = None,
    names: Mapping[str, int] | None = None,
    hint: str = "",
    summed: Any = None,
    dtype_kind: str | None = None,
) -> None:
    """Accept got if it has expected's shape, is finite and is close to it.

    A float32 result gets the tolerance of float32; summed : as in measure_close.
    A scalar may have the shape (1,) or (1, 1). dtype_kind : as in as_array
    factors, terms, mistakes, dummy, inputs, broadcast : as in diagnose, to name the mistake
    names : letters of the dimensions for the message about a shape
    hint : the advice if the mistake has no name
    Raises CheckFailed with the diagnosis; Missing for the stub's dummy; NonFiniteValue for nan or
    inf, even where expected has them.
    """
    expected = np.asarray(expected)
    if dtype_kind is None and expected.dtype.kind == "c":
        dtype_kind = "fiubc"
    array = as_array(_rows_of(got, expected.shape), called=called, dtype_kind=dtype_kind)
    known: dict[str, Any] = {
        "factors": factors,
        "terms": terms,
        "mistakes": mistakes,
        "dummy": dummy,
        "inputs": inputs,
        "broadcast": broadcast,
        "noun": noun,
    }
    assert_not_dummy(array, expected, dummy, called=called, noun=noun)
    scalar = expected.size == 1 and array.size == 1 and expected.ndim == 0
    if array.shape != expected.shape and not scalar:
        _refuse_shape(array, expected, called=called, names=names, known=known, rtol=rtol)
    assert_finite(array, called=called)
    if not np.isfinite(_wide(expected)).all():
        raise ValueError("the expected values of this check are not finite")
    rtol = rtol_for(array, rtol)
    evidence = measure_close(array, expected, rtol=rtol, atol=atol, summed=summed)
    if evidence.close:
        return
    found = diagnose(array, expected, **known, rtol=min(max(rtol, 1e-6), 1e-2), atol=atol)
    next_step = hint or TRY_BY_HAND
    if found is not None:
        # A mistake with a name needs no further advice.
        problem, next_step = found.problem, found.hint or hint
    elif evidence.n == 1:
        problem = f"{noun} is wrong"
    elif evidence.n_wrong == evidence.n:
        right = what_is_right(array, expected)
        problem = f"every element of {noun} is wrong{'; ' * bool(right)}{right}"
    else:
        are = "is" if evidence.n_wrong == 1 else "are"
        problem = f"{evidence.n_wrong} of {evidence.n} elements of {noun} {are} wrong"
        right = which_are_right(_wrong_in(array, expected, rtol=rtol, atol=atol))
        problem += f"; {right}" if right else ""
    raise CheckFailed(
        problem,
        hint=next_step,
        called=called,
        # For a single number the message needs nothing else.
        expected=f"{number_of(evidence.expected)} {_tolerance(evidence)}"
        if evidence.n == 1
        else show(expected),
        got=number_of(evidence.got) if evidence.n == 1 else show(array),
        where="" if evidence.n == 1 else _where(evidence),
    )


def _rows_of(got: object, shape: tuple[int, ...]) -> object:
    """Return a tuple as a list of rows, if these have the expected shape; else the value."""
    if not isinstance(got, tuple) or len(shape) < 2 or len(got) != shape[0]:
        return got
    if not all(isinstance(row, np.ndarray) and row.shape == shape[1:] for row in got):
        return got
    return list(got)


def assert_close_to_one_of(
    got: object,
    conventions: Mapping[str, Any],
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    **known: Any,
) -> str:
    """Return the name of the convention that the result follows: {"1/(2m)": a, "1/m": b}.

    If several fit, the nearest is returned. known : as in assert_close
    Raises CheckFailed, compared with the convention that the result nearly follows, or else with
    the one that gives the simplest diagnosis.
    """
    failures: list[tuple[float, str, CheckFailed]] = []
    distances = {name: _distance(got, expected) for name, expected in conventions.items()}
    for name, expected in sorted(conventions.items(), key=lambda pair: distances[pair[0]]):
        try:
            assert_close(got, expected, rtol=rtol, atol=atol, called=called, **known)
        except CheckFailed as failure:
            near = distances[name] < _NEARLY
            failures.append((-1.0 if near else _weight(got, expected, known), name, failure))
        else:
            return name
    if not failures:
        raise ValueError("no convention to compare with")
    # The first convention is the exercise sheet's own, and wins a tie.
    order = list(conventions)
    _, _, simplest = min(failures, key=lambda entry: (entry[0], order.index(entry[1])))
    if type(simplest) is not CheckFailed:
        raise simplest
    accepted = " and ".join(conventions)
    raise CheckFailed(
        simplest.problem,
        hint="\n".join(filter(None, [simplest.hint, f"(Accepted conventions: {accepted}.)"])),
        called=simplest.called,
        expected=simplest.expected,
        got=simplest.got,
        where=simplest.where,
    )


def assert_not_dummy(
    got: object,
    expected: object,
    dummy: object,
    *,
    called: str = "",
    noun: str = "the result",
) -> None:
    """Refuse the value that the unfilled stub returns, unless it is the expected one.

    Raises Missing, since there is nothing to check yet.
    """
    if dummy is None:
        return
    found = diagnose(got, expected, dummy=dummy, noun=noun)
    if found is not None and found.kind == "dummy":
        raise Missing(found.problem, hint=found.hint, called=called)


def _refuse_shape(
    array: Array,
    expected: Array,
    *,
    called: str,
    names: Mapping[str, int] | None,
    known: dict[str, Any],
    rtol: float,
) -> None:
    """Raise for the wrong shape, with the mistake that the values show."""
    found = diagnose(array, expected, **known, rtol=min(max(rtol, 1e-6), 1e-2))
    if expected.ndim == 0 and found is None:
        as_scalar(array, called=called)
    try:
        assert_shape(array, expected.shape, called=called, names=names)
    except CheckFailed as failure:
        if hint := _argmax_hint(array, expected):
            raise CheckFailed(failure.problem, hint=hint, called=called, got=show(array)) from None
        if found is None or found.kind not in ("transpose", "order", "broadcast"):
            raise
        raise CheckFailed(
            f"{found.problem}: {failure.problem}" if "(" not in found.problem else found.problem,
            hint=found.hint or failure.hint,
            called=called,
            got=show(array),
        ) from None


def _argmax_hint(array: Array, expected: Array) -> str:
    """Return the hint for scores, or one-hot rows, if their argmax is expected; else ""."""
    if array.ndim != expected.ndim + 1 or expected.size < _ENOUGH or np.unique(expected).size < 3:
        return ""
    for axis in (-1, 0):
        if array.shape[axis] < 2:
            continue
        if np.argmax(array, axis=axis).shape != expected.shape:
            continue
        if np.array_equal(np.argmax(array, axis=axis), expected):
            line, number = ("row", array.ndim - 1) if axis else ("column", 0)
            return (
                f"The largest value in each {line} is at the right place. "
                f"Return np.argmax(..., axis={number})."
            )
    return ""


def _weight(got: object, expected: object, known: Mapping[str, Any]) -> float:
    """Return how much the diagnosis assumes; inf if there is none."""
    shapes_and_hints = ("names", "hint")
    found = diagnose(got, expected, **{k: v for k, v in known.items() if k not in shapes_and_hints})
    return np.inf if found is None else found.weight


def _distance(got: object, expected: object) -> float:
    """Return the largest difference, relative to the size of expected; inf for non-numbers."""
    try:
        g, e = np.asarray(got, dtype=np.complex128), np.asarray(expected, dtype=np.complex128)
    except (TypeError, ValueError):
        return np.inf
    if g.size != e.size or not np.isfinite(g).all():
        return np.inf
    size = float(np.max(np.abs(e), initial=0.0))
    off = float(np.max(np.abs(g.reshape(-1) - e.reshape(-1)), initial=0.0))
    return off / size if size else off


def _where(evidence: Closeness) -> str:
    return (
        f"worst at {index_text(evidence.worst)}: expected {number_of(evidence.expected)}, "
        f"got {number_of(evidence.got)} {_tolerance(evidence)}"
    )


def _tolerance(evidence: Closeness) -> str:
    return f"(tolerance rtol={evidence.rtol:g}, atol={evidence.atol:g})"


def number_of(value: complex) -> str:
    """Return a number with as many digits as a comparison needs."""
    if isinstance(value, complex):
        return f"{value:.9g}"
    return number(value) if value == round(value, 3) and abs(value) < 1e6 else f"{value:.9g}"


def _wrong_in(got: Array, expected: Array, *, rtol: float, atol: float) -> Array:
    g, e = _wide(got), _wide(expected)
    return np.asarray(~(np.abs(g - e) <= atol + rtol * np.abs(e)) & ~(g == e))


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
