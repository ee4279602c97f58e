"""What a wrong result has to do with an input: its length as a factor, itself as a term."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from grader.diagnosis.case import Case, Diagnosis, fit_tolerance, scale_of
from grader.diagnosis.evidence import INDEPENDENT, independent, is_generic
from grader.diagnosis.wording import Array, number

# A fitted factor must be known this well: inputs offer many numbers.
_NEAR = 1e-6

_WITH_INPUT: tuple[tuple[Callable[[Array, Array], Array], str, str], ...] = (
    (lambda e, x: x - e, "is what is left of {0} when what is due is taken away", "rest"),
    (lambda e, x: e - x, "is what is due minus {0}", "minus"),
    (lambda e, x: e + x, "is what is due plus {0}", "plus"),
    (lambda e, x: e * x, "is what is due times {0}, element by element", "times"),
)
_HINTS = {
    "rest": "Is the last subtraction one too many?",
    "minus": "Is {0} subtracted where it does not belong, or never added?",
    "plus": "Is {0} added where it does not belong, or never subtracted?",
    "times": "Is {0} multiplied once too often?",
}


def name_input_factor(ratio: float, case: Case) -> Diagnosis | None:
    """Return the ratio got / expected as a length, a sum or a maximum of an input, or None."""
    near = min(fit_tolerance(case), _NEAR)
    for name, value, text in _sizes(case):
        for power in (1, 2, -1, -2):
            # Round numbers are many things.
            if not is_generic(value) or abs(abs(ratio) - value**power) > near * value**power:
                continue
            times, word = (abs(ratio), "large") if abs(ratio) > 1 else (1 / abs(ratio), "small")
            what = f"the {text} of {name}" + ("" if abs(power) == 1 else " squared")
            more = "multiplied by it once too often, or never divided by it"
            less = "divided by it once too often, or never multiplied by it"
            sign = "has the wrong sign and " if ratio < 0 else ""
            return Diagnosis(
                "factor",
                f"{case.noun} {sign}is {number(times)} times too {word}, by {what}",
                f"Is it {more if power > 0 else less}?",
            )
    return None


def _sizes(case: Case) -> Iterator[tuple[str, float, str]]:
    for name, x in case.inputs.items():
        if x.size < 2 or not np.isfinite(x).all():
            continue
        for value, text in (
            (float(np.sqrt(np.sum(x**2))), "length"),
            (float(np.sum(np.abs(x))), "sum of absolute values"),
            (abs(float(np.sum(x))), "sum"),
            (scale_of(x), "largest element"),
        ):
            if value > 0:
                yield name, value, text


def explain_with_input(case: Case) -> Diagnosis | None:
    """The right result with an input of its shape added, taken away or multiplied."""
    if case.got.shape != case.expected.shape or independent(case.expected) < INDEPENDENT:
        return None
    for name, x in case.inputs.items():
        if x.shape != case.expected.shape or independent(x) < INDEPENDENT:
            continue
        for combine, problem, kind in _WITH_INPUT:
            if case.same(combine(case.expected, x)):
                return Diagnosis(
                    "input", f"{case.noun} {problem.format(name)}", _HINTS[kind].format(name)
                )
        times = float(np.vdot(x, case.got - case.expected) / np.vdot(x, x))
        if case.same(case.expected + times * x):
            sign = "plus" if times > 0 else "minus"
            return Diagnosis(
                "input",
                f"{case.noun} is what is due {sign} {number(abs(times))} times {name}",
                f"Is {name} scaled or decayed where it does not belong, or by another factor?",
                weight=1.0,
            )
    return None
