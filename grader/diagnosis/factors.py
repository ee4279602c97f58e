"""A factor, a term or a sign that is missing, or applied too often, in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grader.diagnosis.case import Case, Diagnosis, Factor, fit_tolerance, ratio_of
from grader.diagnosis.evidence import (
    INDEPENDENT,
    has_rank_one,
    independent,
    is_one_limit,
    is_unit_vector,
)
from grader.diagnosis.inputs import name_input_factor
from grader.diagnosis.wording import number, times_too

# More named factors than this could explain any number.
_MAX_NAMES = 4

# A factor without a name says less than any factor with a name.
_UNNAMED = 100.0
_CONSTANT = 10.0

# A factor is named only if a random result would get that name more rarely than this.
_CHANCE = 1e-3

_OR_A_LENGTH = "(2 is also a length here: does a mean stand for a sum, or a sum for a mean?)"

# Names that textbooks give to the number of samples.
_SAMPLE_COUNTS = frozenset({"m", "n", "N", "M", "batch", "batch_size", "n_samples"})


def explain_factor(case: Case) -> Diagnosis | None:
    """Explain a result that is the right one times a number: -1, 2, 1/2, m, 1/m, their products."""
    if case.got.shape != case.expected.shape:
        return None
    ratio = ratio_of(case.got, case.expected)
    if ratio is None or not case.same(ratio * case.expected):
        return None
    near, free = fit_tolerance(case), independent(case.expected)
    if ratio < 0 and is_one_limit(case.expected):
        return None
    words = name_factor(ratio, case.factors, rtol=near, noun=case.noun) or _name_constant(
        ratio, case.factors, rtol=near, noun=case.noun
    )
    if words is not None and _by_chance(words, case, near) ** max(free, 1) > _CHANCE:
        return None
    if words is not None and words.kind == "sign" and case.got.size == 1:
        return replace(words, problem=words.problem.removesuffix(" everywhere"))
    if words is not None and _is_a_count_of_two(words, case):
        return replace(words, hint=f"{words.hint} {_OR_A_LENGTH}")
    if words is not None:
        return words
    if free < INDEPENDENT or abs(ratio - 1) < 1e-3:
        return None
    if is_unit_vector(case.expected):
        return Diagnosis(
            "length",
            f"{case.noun} has the right direction and the length {number(abs(ratio))}, not 1"
            + (", and the wrong sign" if ratio < 0 else ""),
            "Is the division by its length (norm) missing, or does another step follow it?",
        )
    of_input = name_input_factor(ratio, case)
    if of_input is not None:
        return of_input
    return Diagnosis("factor", *_unnamed_factor(ratio, case.noun), weight=_UNNAMED)


def _is_a_count_of_two(words: Diagnosis, case: Case) -> bool:
    """Tell whether a factor 2 may as well be the number of elements of a row."""
    of_two = words.kind == "factor" and ("twice as" in words.problem or "half as" in words.problem)
    return of_two and 2 in case.expected.shape


def _by_chance(words: Diagnosis, case: Case, near: float) -> float:
    """Return the probability that a random ratio gets a name as simple as this one.

    Ratios of wrong results lie about evenly on a logarithmic scale from 1/100 to 100.
    """
    names = 1 + sum(np.size(value) == 1 for value in list(case.factors.values())[:_MAX_NAMES])
    candidates = 1.0 if words.kind == "sign" else (4.0 * names) ** min(max(words.weight, 1.0), 3.0)
    return min(1.0, 2 * candidates * near / math.log(1e4))


def explain_elementwise_factor(case: Case) -> Diagnosis | None:
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
                return Diagnosis(
                    "extra factor", f"the factor {name} is applied once too often{also}"
                )
    return None


def explain_term(case: Case) -> Diagnosis | None:
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
                f"{case.noun} is only the {name} term; the rest is missing",
                "Is it assigned with = instead of +=?",
            )
        error = case.got - case.expected
        size = float(np.vdot(term, term))
        if size == 0:
            continue
        times = float(np.vdot(term, error)) / size + 1.0  # how often the term is in the result
        if not case.same(case.expected + (times - 1.0) * term):
            continue
        near = fit_tolerance(case)
        if abs(times) <= near:
            return Diagnosis(
                "missing term",
                f"the {name} term is missing in {case.noun}",
                "Everything else in it is right.",
            )
        words = name_factor(times, case.factors, rtol=near, noun=f"the {name} term")
        free = independent(np.asarray(term))
        if words is None and free < INDEPENDENT:
            continue
        if words is not None and _by_chance(words, case, near) ** max(free, 1) > _CHANCE:
            continue
        problem, hint = (
            (words.problem, words.hint)
            if words is not None
            else _unnamed_factor(times, f"the {name} term")
        )
        return Diagnosis("term", f"{problem} in {case.noun}; everything else is right", hint)
    return None


def explain_row_factor(case: Case) -> Diagnosis | None:
    if case.got.shape != case.expected.shape or case.got.ndim != 2 or min(case.got.shape) < 3:
        return None
    if has_rank_one(case.expected):
        return None  # any two matrices of rank one differ by such factors
    for axis, line in ((1, "row"), (0, "column")):
        size = (case.expected**2).sum(axis=axis, keepdims=True)
        if np.any(size == 0):
            continue
        ratio = (case.got * case.expected).sum(axis=axis, keepdims=True) / size
        if np.all(ratio != 0) and case.same(ratio * case.expected):
            return Diagnosis(
                "row factor",
                f"each {line} of {case.noun} is scaled by a different factor",
                f"Compute one {line} by hand and divide: which sum, maximum or norm is the factor?",
            )
    return None


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


# Well-known constants above 1, and the likely mistake behind each.
_CONSTANTS = (
    (
        1 / np.log(2.0),
        "1/ln 2",
        "Is it a logarithm to base 2 (np.log2) instead of the natural one?",
    ),
    (np.log(10.0), "ln 10", "Is it np.log10 instead of the natural logarithm?"),
    (180 / np.pi, "180/pi", "Are degrees used as radians?"),
    (255.0, "255", "Are pixels in 0 ... 255 instead of [0, 1], or the reverse?"),
    (256.0, "256", "Are pixels in 0 ... 255 instead of [0, 1], or the reverse?"),
    (100.0, "100", "Is a percentage used as a fraction?"),
    (1000.0, "1000", "Is a learning rate of 0.001 forgotten, or used where it does not belong?"),
    (np.pi, "pi", "Is a factor pi missing, or applied once too often?"),
    (np.sqrt(2.0), "sqrt(2)", "Is only a part under the square root?"),
)


def _name_constant(
    ratio: float, factors: Mapping[str, Factor], *, rtol: float, noun: str
) -> Diagnosis | None:
    """Return the ratio as a well-known constant, or as m/(m - 1), in words, or None."""
    known = list(_CONSTANTS)
    for name, value in factors.items():
        m = float(np.asarray(value)) if np.size(value) == 1 else 0.0
        if name in _SAMPLE_COUNTS and m > 2:
            hint = f"Is it divided by {name} - 1 instead of {name}, or the reverse (ddof)?"
            known.append((m / (m - 1), f"{name}/({name} - 1)", hint))
            known.append((np.sqrt(m / (m - 1)), f"sqrt({name}/({name} - 1))", hint))
    size = abs(ratio)
    for constant, text, hint in known:
        for value in (constant, 1 / constant):
            if abs(size - value) <= min(rtol, 1e-5) * value:
                times = number(max(size, 1 / size))
                equals = "" if times == text else f"{times} = {text}. "
                problem = f"{noun} {times_too(ratio)}"
                return Diagnosis("factor", problem, equals + hint, weight=_CONSTANT)
    return None


def _products(names: tuple[str, ...], *, sign: int) -> list[_Product]:
    found = []
    for twos in range(-2, 3):
        for powers in itertools.product(range(-2, 3), repeat=len(names)):
            if sum(abs(p) for p in powers) > 2:
                continue
            named = tuple((n, p) for n, p in zip(names, powers, strict=True) if p)
            found.append(_Product(sign, twos, named))
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
        hint = "Is a factor 1/2 missing, or a factor 2 applied once too often?"
    elif product.twos == -1 and not product.powers:
        problem = f"{noun} {sign}is half as large as it should be"
        hint = (
            "Is a factor 2 missing (the derivative of a square has one), "
            "or 1/2 applied once too often?"
        )
    else:
        times = number(size if large else 1 / size)
        problem = f"{noun} {times_too(ratio)}"
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
    return f"is the factor {missing} missing, or {product.text()} applied once too often?"


def _unnamed_factor(ratio: float, noun: str) -> tuple[str, str]:
    return (
        f"{noun} {times_too(ratio)}, by the same factor in every element",
        "Print the numbers that it is divided by or multiplied with: is each the right one, "
        "a length, a sum or a largest element?",
    )
