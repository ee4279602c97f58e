"""What a wrong result has in common with the right one, in a textbook's words.

`diagnose` tries explanations in order, the most telling first, and returns the first
that holds for every element. An explanation is a statement about the numbers, never a
guess; the guess at its cause stands in the hint, as a question.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grader.checks.arrays import Array, number

Factor = float | Array

# An explanation must leave at most this share of the error that it explains.
_EXPLAINS = 0.02

# More named factors than this would explain any number.
_MAX_NAMES = 4

# A factor that no name explains tells less than any that has one.
_UNNAMED = 100.0
_CONSTANT = 10.0

# Names that textbooks give to the number of samples.
_SAMPLE_COUNTS = frozenset({"m", "n", "N", "M", "batch", "batch_size", "n_samples"})


@dataclass(frozen=True)
class Diagnosis:
    """One true statement about a wrong result.

    kind : "sign", "factor", "term", "transpose", "dummy", "overflow", ...
    problem : the statement; holds no input and no expected value
    hint : the likely cause, as a question or an advice
    weight : how much the statement assumes; of two that hold, the lighter one is told
    """

    kind: str
    problem: str
    hint: str = ""
    weight: float = 0.0


@dataclass(frozen=True)
class _Case:
    """A wrong result beside the right one, and all that is known about them."""

    got: Array
    expected: Array
    factors: Mapping[str, Factor] = field(default_factory=dict)
    terms: Mapping[str, Array] = field(default_factory=dict)
    mistakes: Mapping[str, Array] = field(default_factory=dict)
    dummy: Array | None = None
    inputs: Mapping[str, Array] = field(default_factory=dict)
    broadcast: tuple[Array, Array] | None = None
    noun: str = "the result"
    rtol: float = 1e-6
    atol: float = 0.0

    def same(self, value: Array) -> bool:
        """Tell whether the value equals what was got, and explains the error, everywhere."""
        if value.shape != self.got.shape or not np.isfinite(value).all():
            return False
        left = np.abs(self.got - value)
        scale = float(np.max(np.abs(value), initial=0.0))
        if np.any(left > self.rtol * np.abs(value) + self.atol + 1e-12 * scale):
            return False
        if value.shape != self.expected.shape:
            return True
        error = float(np.max(np.abs(self.got - self.expected), initial=0.0))
        return float(np.max(left, initial=0.0)) <= _EXPLAINS * error

    def wrong(self) -> Array:
        """Return the mask of the elements that differ; shapes are equal."""
        floor = self.atol + 1e-12 * _scale(self.expected)
        wrong: Array = np.abs(self.got - self.expected) > self.rtol * np.abs(self.expected) + floor
        return wrong


def diagnose(
    got: object,
    expected: object,
    *,
    factors: Mapping[str, Factor] | None = None,
    terms: Mapping[str, Any] | None = None,
    mistakes: Mapping[str, Any] | None = None,
    dummy: object = None,
    inputs: Mapping[str, Any] | None = None,
    broadcast: tuple[Any, Any] | None = None,
    noun: str = "the result",
    rtol: float = 1e-6,
    atol: float = 0.0,
    layout: bool = True,
) -> Diagnosis | None:
    """Return what the wrong result has in common with the right one, or None.

    factors : numbers whose powers may be lost or doubled, {"m": 120}; an array is a factor
        of its own in each element, {"sigmoid'(z)": array}
    terms : summands that may be missing, doubled or of the wrong sign, {"regulariser": array}
    mistakes : whole results of known mistakes, {"y and y_pred are swapped": array}
    dummy : what the unfilled stub returns
    inputs : what the function was given, {"z": array}; never shown
    broadcast : the two operands, (m,) or (m, 1), that may have met as (m, m)
    noun : what the sentence speaks of, "the gradient"
    rtol, atol : how well a statement must hold, element by element
    layout : False where the elements are a sample, so that their places mean nothing
    """
    got_array, expected_array = _numbers(got), _numbers(expected)
    if got_array is None or expected_array is None:
        return None
    if got_array.size == 1 and expected_array.size == 1:
        got_array = got_array.reshape(expected_array.shape)
    case = _Case(
        got_array,
        expected_array,
        factors={k: v for k, v in (factors or {}).items() if _numbers(v) is not None},
        terms=_all_numbers(terms),
        mistakes=_all_numbers(mistakes),
        dummy=_numbers(dummy),
        inputs=_all_numbers(inputs),
        broadcast=_pair(broadcast),
        noun=noun,
        rtol=rtol,
        atol=atol,
    )
    if not np.isfinite(expected_array).all() or expected_array.size == 0:
        return None
    if got_array.shape == expected_array.shape and not case.wrong().any():
        return None
    with np.errstate(all="ignore"):
        for explain in _EXPLANATIONS:
            if explain in _OF_PLACES and not layout:
                continue
            found = explain(case)
            if found is not None:
                return found
    return None


# --- the explanations -------------------------------------------------------------------


def _explain_non_finite(case: _Case) -> Diagnosis | None:
    bad = ~np.isfinite(case.got)
    if not bad.any():
        return None
    where = ""
    for name, x in case.inputs.items():
        if x.shape == bad.shape and 0 < bad.sum() < bad.size:
            size = np.abs(x)
            if size[bad].min() > size[~bad].max():
                where = f", those with the largest |{name}|"
    share = f"{int(bad.sum())} of {bad.size} elements are" if bad.size > 1 else "it is"
    name = "nan" if np.isnan(case.got).any() else "inf"
    return Diagnosis(
        "overflow",
        f"{case.noun} is not finite: {share} {name}{where}",
        "Does exp overflow, or is log(0) or 0/0 taken? Rewrite the formula for large arguments.",
    )


def _explain_dummy(case: _Case) -> Diagnosis | None:
    if case.dummy is None:
        return None
    dummy = case.dummy
    if dummy.size == 1:
        dummy = np.broadcast_to(dummy.reshape(()), case.got.shape)
    if dummy.shape == case.got.shape and np.array_equal(dummy, case.got):
        return Diagnosis(
            "dummy",
            f"{case.noun} is still the template's dummy value",
            "Fill the region between the markers, then run its cell again.",
        )
    return None


def _explain_mistake(case: _Case) -> Diagnosis | None:
    for name, value in case.mistakes.items():
        if value.size == 1 and case.got.size == 1:
            value = value.reshape(case.got.shape)
        if case.same(value):
            return Diagnosis("mistake", f"{case.noun} is what comes when {name}")
    return None


def _explain_constant(case: _Case) -> Diagnosis | None:
    if case.got.size == 0 or not np.isfinite(case.got).all():
        return None
    first = float(case.got.reshape(-1)[0])
    if np.any(case.got != first):
        return None
    varied = case.expected.size > 1 and np.ptp(case.expected) > 0
    if first == 0.0 and np.any(case.expected != 0):
        everywhere = " everywhere" if case.got.size > 1 else ""
        return Diagnosis(
            "zero",
            f"{case.noun} is 0{everywhere}",
            "Is the template's dummy still in place, or is the result never assigned?",
        )
    if varied and case.got.size > 1:
        return Diagnosis(
            "constant",
            f"{case.noun} is the same number in every element",
            "Is the template's dummy still in place, or is a sum or mean taken over all elements?",
        )
    return None


def _explain_input(case: _Case) -> Diagnosis | None:
    for name, x in case.inputs.items():
        if case.got.size > 1 and np.ptp(case.got) > 0 and case.same(x):
            return Diagnosis(
                "input",
                f"{case.noun} is the unchanged input {name}",
                "Is the template's dummy still in place, or is the wrong variable returned?",
            )
    return None


def _explain_factor(case: _Case) -> Diagnosis | None:
    """One number times the right result: -1, 2, 1/2, m, 1/m and their products."""
    if case.got.shape != case.expected.shape:
        return None
    ratio = _ratio(case.got, case.expected)
    if ratio is None or not case.same(ratio * case.expected):
        return None
    near = _fit_tolerance(case)
    words = name_factor(ratio, case.factors, rtol=near, noun=case.noun) or _name_constant(
        ratio, case.factors, rtol=near, noun=case.noun
    )
    if words is not None and words.kind == "sign" and case.got.size == 1:
        return replace(words, problem=words.problem.removesuffix(" everywhere"))
    if words is not None:
        return words
    large = case.expected[np.abs(case.expected) > 1e-3 * _scale(case.expected)]
    if np.ptp(large) == 0 or abs(ratio - 1) < 1e-3:
        return None
    return Diagnosis("factor", *_unnamed_factor(ratio, case.noun), weight=_UNNAMED)


def _explain_elementwise_factor(case: _Case) -> Diagnosis | None:
    for name, value in case.factors.items():
        factor = np.asarray(value, dtype=float)
        if factor.size < 2:
            continue
        try:
            factor = np.broadcast_to(factor, case.expected.shape)
        except ValueError:
            continue
        for sign, also in ((1.0, ""), (-1.0, " and the sign is wrong")):
            if np.all(factor != 0) and case.same(sign * case.expected / factor):
                return Diagnosis(
                    "missing factor", f"the factor {name} is missing in {case.noun}{also}"
                )
            if case.same(sign * case.expected * factor):
                return Diagnosis("extra factor", f"the factor {name} is there once too often{also}")
    return None


def _explain_term(case: _Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape:
        return None
    for name, value in case.terms.items():
        try:
            term = np.broadcast_to(value, case.expected.shape)
        except ValueError:
            continue
        if case.same(term):
            return Diagnosis(
                "term alone",
                f"{case.noun} is the {name} term alone; the rest of it is missing",
                "Is it assigned with = where += was meant?",
            )
        error = case.got - case.expected
        size = float(np.vdot(term, term))
        if size == 0:
            continue
        times = float(np.vdot(term, error)) / size + 1.0  # how often the term is in there
        if not case.same(case.expected + (times - 1.0) * term):
            continue
        near = _fit_tolerance(case)
        if abs(times) <= near:
            return Diagnosis(
                "missing term",
                f"the {name} term is missing in {case.noun}",
                "Everything else in it is right.",
            )
        words = name_factor(times, case.factors, rtol=near, noun=f"the {name} term")
        problem, hint = (
            (words.problem, words.hint)
            if words is not None
            else _unnamed_factor(times, f"the {name} term")
        )
        return Diagnosis("term", f"{problem} in {case.noun}; everything else is right", hint)
    return None


def _explain_pairs(case: _Case) -> Diagnosis | None:
    """A cost over the (m, m) differences that (m,) and (m, 1) make."""
    if case.broadcast is None:
        return None
    a, b = (operand.reshape(-1) for operand in case.broadcast)
    m = a.size
    if m < 2 or b.size != m:
        return None
    problem = f"{case.noun} runs over all {m} x {m} pairs of samples, not over the {m} samples"
    hint = (
        "An array (m,) met an array (m, 1) and broadcasting made (m, m): "
        "give both the same shape, e.g. y.reshape(-1, 1)."
    )
    if case.got.shape == (m, m) and case.expected.shape != (m, m):
        return Diagnosis("broadcast", problem, hint)
    if case.got.size != 1:
        return None
    got = float(case.got.reshape(-1)[0])
    sums = _sums_over_pairs(a, b) + _sums_over_pairs(b, a)
    for total, over in itertools.product(sums, (1, 2, m, 2 * m, m * m, 2 * m * m)):
        if (
            np.isfinite(total)
            and total != 0
            and abs(abs(got) - abs(total / over)) <= (case.rtol * abs(total / over))
        ):
            return Diagnosis("broadcast", problem, hint)
    return None


def _explain_layout(case: _Case) -> Diagnosis | None:
    """Transposed, reshaped in another order, flipped, shifted, permuted."""
    for kind, candidate, problem, hint in _layouts(case):
        if case.same(candidate):
            return Diagnosis(kind, f"{case.noun} {problem}", hint)
    if case.expected.ndim == 2 and case.got.shape == case.expected.T.shape:
        turned = case.expected.T
        ratio = _ratio(case.got, turned)
        if ratio is not None and turned.shape[0] > 1 and turned.shape[1] > 1:
            words = name_factor(ratio, case.factors, rtol=_fit_tolerance(case), noun=case.noun)
            if words is not None and case.same(ratio * turned):
                return Diagnosis("transpose", f"{words.problem}, and transposed", words.hint)
    return None


def _layouts(case: _Case) -> Iterator[tuple[str, Array, str, str]]:
    """Give the right result in other layouts, one at a time: large ones would fill memory."""
    got, expected = case.got, case.expected
    rank = expected.ndim
    if rank >= 2:
        hint = "Return x.T, or swap the factors of the product."
        yield "transpose", expected.T, "is transposed", hint
    if got.size == expected.size > 1 and got.shape != expected.shape:
        problem = "holds the right values in another shape"
        hint = f"Reshape it to {expected.shape}."
        yield "shape", expected.reshape(got.shape), problem, hint
    if got.size == expected.size and rank >= 2:
        problem = "holds the right values, read column by column where row by row is due"
        hint = "A transpose is no reshape: reshape keeps the order of reading."
        yield "order", expected.reshape(-1, order="F").reshape(got.shape), problem, hint
    if got.shape != expected.shape:
        return
    for axis in range(min(rank, 4)):
        hint = "Is a slice [::-1] on the wrong axis, missing, or there once too often?"
        yield "flip", np.flip(expected, axis), f"is flipped {_flip_words(axis, rank)}", hint
    if rank >= 2:
        problem = "is turned by 180 degrees (flipped along both axes)"
        yield "flip", np.flip(expected, (0, 1)), problem, ""
        for turns, degrees in ((1, 90), (3, 270)) if expected.shape[0] == expected.shape[1] else ():
            problem, hint = f"is turned by {degrees} degrees", "Check the rotation's direction."
            yield "rotation", np.rot90(expected, turns), problem, hint
    if rank == 1 and expected.size >= 3:
        for shift in (1, -1):
            problem, hint = "is shifted by one place", "Is an index off by one?"
            yield "shift", np.roll(expected, shift), problem, hint
    for axis in range(min(rank, 2)):
        order = _permutation(got, expected, axis)
        if order is not None:
            line = "values" if rank == 1 else ("rows", "columns")[axis]
            hint = "Are two indices or two arguments swapped?"
            problem = f"has the right {line} in another order"
            yield "permuted", np.take(expected, order, axis=axis), problem, hint


def _explain_shift(case: _Case) -> Diagnosis | None:
    """A series that starts one place late or early, with something else at its end."""
    if case.got.ndim != 1 or case.got.shape != case.expected.shape or case.got.size < 4:
        return None
    got, expected = case.got, case.expected
    for ours, theirs, way in ((got[1:], expected[:-1], "late"), (got[:-1], expected[1:], "early")):
        near = np.abs(ours - theirs) <= case.rtol * np.abs(theirs) + case.atol
        if near.all() and np.ptp(expected) > 0 and case.wrong().mean() > 0.5:
            return Diagnosis(
                "shift",
                f"{case.noun} comes one place too {way}",
                "Is an index, a range or a slice off by one?",
            )
    return None


def _explain_offset(case: _Case) -> Diagnosis | None:
    """The same number added to every element, or to each row or column its own."""
    if case.got.shape != case.expected.shape or case.got.size < 3:
        return None
    error = case.got - case.expected
    offset = float(np.mean(error))
    if case.same(case.expected + offset) and np.ptp(case.expected) > 0:
        one = " by 1" if abs(abs(offset) - 1) <= 1e-9 else " by the same amount"
        size = "large" if offset > 0 else "small"
        return Diagnosis(
            "offset",
            f"every element of {case.noun} is too {size}{one}",
            "Is a constant (a bias, a 1) added, forgotten or subtracted once too often?",
        )
    if case.got.ndim == 2 and min(case.got.shape) >= 3:
        for axis, line, other in ((1, "row", "axis=1"), (0, "column", "axis=0")):
            means = error.mean(axis=axis, keepdims=True)
            if case.same(case.expected + means):
                return Diagnosis(
                    "row offset",
                    f"each {line} of {case.noun} is off by an amount of its own",
                    f"Is something added or subtracted along the wrong axis ({other})?",
                )
    return None


def _explain_row_factor(case: _Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape or case.got.ndim != 2 or min(case.got.shape) < 3:
        return None
    for axis, line in ((1, "row"), (0, "column")):
        size = (case.expected**2).sum(axis=axis, keepdims=True)
        if np.any(size == 0):
            continue
        ratio = (case.got * case.expected).sum(axis=axis, keepdims=True) / size
        if np.all(ratio != 0) and case.same(ratio * case.expected):
            return Diagnosis(
                "row factor",
                f"each {line} of {case.noun} is scaled by a factor of its own",
                "Is a sum, a maximum or a norm taken along the wrong axis?",
            )
    return None


def _explain_function(case: _Case) -> Diagnosis | None:
    """An elementwise function of the right result: its square, its complement, ..."""
    if case.got.shape != case.expected.shape:
        return None
    for function, problem, hint in _functions(case.expected):
        if case.same(function(case.expected)):
            return Diagnosis("function", f"{case.noun} {problem}", hint)
    return None


def _functions(e: Array) -> Iterator[tuple[Callable[[Array], Array], str, str]]:
    swapped = "Are the two classes or the signs swapped?"
    yield (lambda x: 1 - x), "is 1 minus what it should be", swapped
    yield np.square, "is the square of what it should be", "Is a square root missing?"
    yield np.exp, "is exp of what it should be", "Is a logarithm missing?"
    if np.all(e > 0):
        yield np.sqrt, "is the square root of what it should be", "Is a square missing?"
        yield np.log, "is the logarithm of what it should be", "Is an exp missing?"
    if np.all(e != 0):
        way = "Is it divided the wrong way round?"
        yield (lambda x: 1 / x), "is the reciprocal of what it should be", way
    if np.any(e < 0) and e.size > 1:
        yield np.abs, "has lost its signs", "Is an absolute value or a square taken?"
        cut = "is 0 where it should be negative"
        yield (lambda x: np.maximum(x, 0)), cut, "Is it cut off at 0?"
    if e.ndim == 1 and e.size >= 3:
        yield np.cumsum, "is summed up cumulatively", "Is a running sum taken for each element?"


def _explain_rounding(case: _Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape:
        return None
    got, e = case.got, case.expected
    if np.any(e != np.trunc(e)) and np.array_equal(got, np.trunc(got)) and e.size > 1:
        for rounded, how in ((np.trunc(e), "cut off"), (np.floor(e), "cut off"), (np.rint(e), "")):
            if np.array_equal(got, rounded) and np.any(got != 0):
                return Diagnosis(
                    "rounding",
                    f"the fractions of {case.noun} are {how or 'rounded away'}",
                    "Is the array of an integer dtype, is // used where / is meant, "
                    "or are probabilities rounded to labels?",
                )
    for decimals in range(1, 9):
        if np.array_equal(got, np.round(e, decimals)) and e.size > 1:
            return Diagnosis(
                "rounding",
                f"{case.noun} is rounded to {decimals} decimal{'s' * (decimals > 1)}",
                "Return the number as computed; round only where it is printed.",
            )
    for dtype, digits in ((np.float32, 7), (np.float16, 3)):
        with np.errstate(over="ignore", under="ignore"):
            lossy = e.astype(dtype).astype(float)
        eps = float(np.finfo(dtype).eps)
        error = np.abs(got - e)
        if (
            np.array_equal(got, got.astype(dtype).astype(float))
            and np.isfinite(lossy).all()
            and np.all(error <= 8 * eps * np.maximum(np.abs(e), float(np.finfo(dtype).tiny)))
        ):
            return Diagnosis(
                "precision",
                f"{case.noun} has only the precision of {np.dtype(dtype)}, {digits} digits",
                "Keep float64: is .astype or a dtype= argument too small?",
            )
    return None


def _explain_clipping(case: _Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape or case.got.size < 4:
        return None
    low, high = float(case.got.min()), float(case.got.max())
    wrong = case.wrong()
    inside = ~wrong
    if inside.sum() < 2 or wrong.mean() > 0.75 or low == high:
        return None
    if case.same(np.clip(case.expected, low, high)):
        ends = []
        if np.any(case.expected[wrong] > high):
            ends.append("above")
        if np.any(case.expected[wrong] < low):
            ends.append("below")
        if wrong.sum() < 2:
            return None
        return Diagnosis(
            "clipping",
            f"{case.noun} is clipped {' and '.join(ends)}: "
            f"{int(wrong.sum())} of {wrong.size} elements are cut to one limit",
            "Is np.clip, a maximum or a minimum applied too early, or a dtype such as uint8 full?",
        )
    return None


def _explain_diagonal(case: _Case) -> Diagnosis | None:
    """Right on the diagonal alone, or off it alone."""
    shape = case.expected.shape
    if case.got.shape != shape or len(shape) != 2 or shape[0] != shape[1] or shape[0] < 3:
        return None
    wrong, eye = case.wrong(), np.eye(shape[0], dtype=bool)
    if not wrong[~eye].any() and wrong[eye].mean() > 0.5:
        return Diagnosis(
            "part",
            f"{case.noun} is right except on its diagonal",
            "The diagonal elements have a formula of their own.",
        )
    if not wrong[eye].any() and wrong[~eye].mean() > 0.8:
        return Diagnosis(
            "part",
            f"{case.noun} is right on its diagonal alone",
            "Is the other part of the formula missing?",
        )
    return None


def _explain_part(case: _Case) -> Diagnosis | None:
    """Right but for a row, a column, or one sign of the input."""
    if case.got.shape != case.expected.shape or case.got.size < 3:
        return None
    wrong = case.wrong()
    if not wrong.any() or wrong.all():
        return None
    for part, mask, hint in _parts(case, wrong):
        if np.array_equal(mask, wrong):
            return Diagnosis("part", f"{case.noun} is right except {part}", hint)
    return None


def _parts(case: _Case, wrong: Array) -> list[tuple[str, Array, str]]:
    parts: list[tuple[str, Array, str]] = []
    off = "Is a range or a slice off by one?"
    # An element can be right by chance (0 where 0 is due), so a line counts as wrong when
    # any of its elements is; the mask compared is then the wrong elements on that line.
    for axis in range(min(wrong.ndim, 2)):
        line = "element" if wrong.ndim == 1 else ("row", "column")[axis]
        for place, word in ((-1, "last"), (0, "first")):
            mask = np.zeros_like(wrong)
            view = np.moveaxis(mask, axis, 0)
            view[place] = True
            if not mask.all():
                parts.append((f"in the {word} {line}", mask & wrong, off))
    for name, x in case.inputs.items():
        if x.shape != wrong.shape:
            continue
        for mask, words in (
            (x < 0, f"where {name} < 0"),
            (x > 0, f"where {name} > 0"),
            (x == 0, f"where {name} = 0"),
        ):
            if mask.any() and not mask.all():
                parts.append((words, mask, "Does one branch of the formula lack its case?"))
    if wrong.ndim == 2:
        for axis, line in ((1, "row"), (0, "column")):
            bad = np.flatnonzero(wrong.any(axis=axis))
            if bad.size == 1 and wrong.shape[1 - axis] > 2:
                mask = np.zeros_like(wrong)
                np.moveaxis(mask, 1 - axis, 0)[bad[0]] = True
                parts.append((f"in {line} {bad[0]}", mask & wrong, "Counted from 0."))
    return parts


_EXPLANATIONS: tuple[Callable[[_Case], Diagnosis | None], ...] = (
    _explain_non_finite,
    _explain_dummy,
    _explain_mistake,
    _explain_pairs,
    _explain_constant,
    _explain_input,
    _explain_factor,
    _explain_term,
    _explain_elementwise_factor,
    _explain_layout,
    _explain_shift,
    _explain_rounding,
    _explain_offset,
    _explain_row_factor,
    _explain_diagonal,
    _explain_function,
    _explain_clipping,
    _explain_part,
)

# Explanations that speak of rows, order and neighbours.
_OF_PLACES = (
    _explain_layout,
    _explain_shift,
    _explain_row_factor,
    _explain_diagonal,
    _explain_part,
)


# --- factors in words -------------------------------------------------------------------


@dataclass(frozen=True)
class _Product:
    """A sign, a power of two and powers of named factors."""

    sign: int
    twos: int
    powers: tuple[tuple[str, int], ...]

    @property
    def complexity(self) -> float:
        return abs(self.twos) + sum(abs(p) for _, p in self.powers) + (self.sign < 0) / 2

    def size(self, factors: Mapping[str, float]) -> float:
        return float(2.0**self.twos * np.prod([factors[n] ** p for n, p in self.powers] or [1.0]))

    def text(self, *, inverse: bool = False) -> str:
        """Return "2 m", "1/m", "m/2", "1/(2 m)", without the sign."""
        flip = -1 if inverse else 1
        above: list[str] = []
        below: list[str] = []
        if self.twos:
            (above if self.twos * flip > 0 else below).append(str(2 ** abs(self.twos)))
        for name, power in self.powers:
            word = name if abs(power) == 1 else f"{name}^{abs(power)}"
            (above if power * flip > 0 else below).append(word)
        top = " ".join(above) or "1"
        if not below:
            return top
        bottom = " ".join(below)
        return f"{top}/({bottom})" if len(below) > 1 else f"{top}/{bottom}"


def name_factor(
    ratio: float,
    factors: Mapping[str, Factor] | None = None,
    *,
    rtol: float = 1e-6,
    noun: str = "the result",
) -> Diagnosis | None:
    """Return the ratio as a product of -1, powers of 2 and named factors, in words, or None.

    ratio : got / expected; rtol : how well the product must meet it
    """
    named = {
        name: abs(float(np.asarray(value)))
        for name, value in (factors or {}).items()
        if np.size(value) == 1
        and np.isfinite(float(np.asarray(value)))
        and float(np.asarray(value))
    }
    if not np.isfinite(ratio) or ratio == 0:
        return None
    matches = [
        product
        for product in _products(tuple(named)[:_MAX_NAMES], sign=-1 if ratio < 0 else 1)
        if abs(product.size(named) - abs(ratio)) <= rtol * abs(ratio)
    ]
    if not matches:
        return None
    matches.sort(key=lambda p: (p.complexity, len(p.powers)))
    best = matches[0]
    if not best.twos and not best.powers:
        if best.sign > 0:
            return None
        return Diagnosis(
            "sign",
            f"{noun} has the wrong sign everywhere",
            "Is a minus sign missing, or one too many?",
        )
    also = [m for m in matches[1:] if m.complexity <= best.complexity + 1][:1]
    return Diagnosis("factor", *_factor_words(ratio, best, also, noun), weight=best.complexity)


# Well-known constants above 1, and what it means when one of them turns up.
_CONSTANTS = (
    (1 / np.log(2.0), "1/ln 2", "Is a logarithm to base 2 taken where the natural one is due?"),
    (np.log(10.0), "ln 10", "Is log10 taken where the natural logarithm is due?"),
    (180 / np.pi, "180/pi", "Are degrees taken for radians?"),
    (255.0, "255", "Are pixels 0 ... 255 taken where they are due in [0, 1], or the reverse?"),
    (256.0, "256", "Are pixels 0 ... 255 taken where they are due in [0, 1], or the reverse?"),
    (100.0, "100", "Is a percentage taken for a share?"),
    (np.pi, "pi", "Is a factor pi missing, or there once too often?"),
    (np.sqrt(2.0), "sqrt(2)", "Is a square root taken of a part alone?"),
)


def _name_constant(
    ratio: float, factors: Mapping[str, Factor], *, rtol: float, noun: str
) -> Diagnosis | None:
    """Return the ratio as a well-known constant, or as m/(m - 1), in words, or None."""
    known = list(_CONSTANTS)
    for name, value in factors.items():
        m = float(np.asarray(value)) if np.size(value) == 1 else 0.0
        if name in _SAMPLE_COUNTS and m > 2:
            hint = f"Is it divided by {name} - 1 where {name} is due, or the reverse (ddof)?"
            known.append((m / (m - 1), f"{name}/({name} - 1)", hint))
            known.append((np.sqrt(m / (m - 1)), f"sqrt({name}/({name} - 1))", hint))
    size = abs(ratio)
    sign = "has the wrong sign and " if ratio < 0 else ""
    for constant, text, hint in known:
        for value in (constant, 1 / constant):
            if abs(size - value) <= min(rtol, 1e-5) * value:
                times, word = (size, "large") if size > 1 else (1 / size, "small")
                problem = f"{noun} {sign}is {number(times)} times too {word}"
                equals = "" if number(times) == text else f"{number(times)} = {text}. "
                return Diagnosis("factor", problem, equals + hint, weight=_CONSTANT)
    return None


def _products(names: tuple[str, ...], *, sign: int) -> list[_Product]:
    found = []
    for twos in range(-2, 3):
        for powers in itertools.product(range(-2, 3), repeat=len(names)):
            if sum(abs(p) for p in powers) > 2:
                continue
            kept = tuple((n, p) for n, p in zip(names, powers, strict=True) if p)
            found.append(_Product(sign, twos, kept))
    return found


def _factor_words(
    ratio: float, product: _Product, also: Sequence[_Product], noun: str
) -> tuple[str, str]:
    size = abs(ratio)
    large = size > 1
    sign = "has the wrong sign and " if ratio < 0 else ""
    minus = " Is a minus sign missing, too?" if ratio < 0 else ""
    if product.twos == 1 and not product.powers:
        problem = f"{noun} {sign}is twice as large as it should be"
        hint = "Is a factor 1/2 missing, or a factor 2 there once too often?"
    elif product.twos == -1 and not product.powers:
        problem = f"{noun} {sign}is half as large as it should be"
        hint = (
            "Is a factor 2 missing (the derivative of a square brings one), "
            "or 1/2 there once too often?"
        )
    else:
        times = number(size if large else 1 / size)
        problem = f"{noun} {sign}is {times} times too {'large' if large else 'small'}"
        hint = f"{times} = {product.text(inverse=not large)}: {_cause(product, large)}"
    if also:
        text = also[0].text(inverse=not large)
        hint += f" (It is also {text}.)"
    return problem, hint + minus


def _cause(product: _Product, large: bool) -> str:
    missing = product.text(inverse=True)
    counts = [n for n, _ in product.powers if n in _SAMPLE_COUNTS]
    single = len(product.powers) == 1 and not product.twos
    if counts and single and product.powers[0][1] == 1:
        return f"is the mean (1/{counts[0]}) missing?"
    if counts and single and product.powers[0][1] == -1:
        return f"is it divided by {counts[0]} once too often?"
    if large:
        return f"is the factor {missing} missing?"
    return f"is the factor {missing} missing, or {product.text()} there once too often?"


def _unnamed_factor(ratio: float, noun: str) -> tuple[str, str]:
    size = abs(ratio)
    sign = "has the wrong sign and " if ratio < 0 else ""
    times, word = (size, "large") if size > 1 else (1 / size, "small")
    return (
        f"{noun} {sign}is {number(times)} times too {word}, by the same factor in every element",
        "Which constant of the formula is missing or there once too often?",
    )


# --- arithmetic -------------------------------------------------------------------------


def _ratio(got: Array, expected: Array) -> float | None:
    """Return the factor that fits best, from the elements that are not nearly 0."""
    scale = _scale(expected)
    if got.shape != expected.shape or scale == 0 or not np.isfinite(got).all():
        return None
    # Scaled first: the squares of 1e-200 and 1e200 would leave float64's range.
    other = _scale(got)
    if other == 0:
        return None
    e, g = expected / scale, got / other
    ratio = float(np.vdot(e, g) / np.vdot(e, e)) * (other / scale)
    return ratio if ratio != 0 and np.isfinite(ratio) else None


def _fit_tolerance(case: _Case) -> float:
    """Return how well a fitted factor is known: a loose comparison must not name m = 120.3."""
    floor = case.atol / scale if (scale := _scale(case.expected)) else 0.0
    return float(min(max(case.rtol, 1e-9) + floor, 1e-3))


def _scale(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0))


def _sums_over_pairs(a: Array, b: Array) -> list[float]:
    """Return what costs add up over all pairs (a_i, b_j); a may hold probabilities."""
    p, y = a[:, None], b[None, :]
    sums = [float(((p - y) ** 2).sum()), float(np.abs(p - y).sum())]
    if np.all((p > 0) & (p < 1)) and np.all((y >= 0) & (y <= 1)):
        sums.append(float((y * np.log(p) + (1 - y) * np.log(1 - p)).sum()))
    return sums


def _permutation(got: Array, expected: Array, axis: int) -> Array | None:
    """Return the order of expected's lines that gives got's, where all lines differ."""
    rows_got = np.moveaxis(got, axis, 0).reshape(got.shape[axis], -1)
    rows = np.moveaxis(expected, axis, 0).reshape(expected.shape[axis], -1)
    if len(rows) < 2 or rows.size == 0:
        return None
    # Lines are sorted by their inner product with fixed weights: one number a line.
    weights = 1.0 + np.abs(np.sin(np.arange(1.0, rows.shape[1] + 1)))
    key, key_got = rows @ weights, rows_got @ weights
    gap = np.diff(np.sort(key))
    if gap.size == 0 or np.min(gap) <= 1e-9 * _scale(key):
        return None
    order = np.empty(len(rows), dtype=int)
    order[np.argsort(key_got, kind="stable")] = np.argsort(key, kind="stable")
    return order if np.any(order != np.arange(len(rows))) else None


def _flip_words(axis: int, ndim: int) -> str:
    if ndim == 1:
        return "end to end"
    words = ("upside down (axis 0)", "left to right (axis 1)")
    return words[axis] if axis < 2 else f"along axis {axis}"


def _numbers(value: object) -> Array | None:
    if value is None:
        return None
    if not isinstance(value, (bool, int, float, list, tuple, np.ndarray, np.generic)):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind not in "fiub":
        return None
    return array.astype(np.float64)


def _all_numbers(values: Mapping[str, Any] | None) -> dict[str, Array]:
    arrays = {name: _numbers(value) for name, value in (values or {}).items()}
    return {name: array for name, array in arrays.items() if array is not None}


def _pair(values: tuple[Any, Any] | None) -> tuple[Array, Array] | None:
    if values is None:
        return None
    a, b = _numbers(values[0]), _numbers(values[1])
    return None if a is None or b is None else (a, b)
