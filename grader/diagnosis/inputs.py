"""Results that contain an input too much: its length as a factor, or the input as a term."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from grader.diagnosis.case import Case, Diagnosis, fit_tolerance, scale_of
from grader.diagnosis.evidence import INDEPENDENT, independent, is_generic
from grader.diagnosis.wording import Array, number, times_too

# A factor from an input must fit this well: inputs offer many numbers.
_NEAR = 1e-6

_WITH_INPUT: tuple[tuple[Callable[[Array, Array], Array], str, str], ...] = (
    (lambda e, x: x - e, "is {0} minus what it should be", "rest"),
    (lambda e, x: e - x, "is what it should be minus {0}", "minus"),
    (lambda e, x: e + x, "is what it should be plus {0}", "plus"),
    (lambda e, x: e * x, "is what it should be times {0}, element by element", "times"),
)
_HINTS = {
    "rest": "Is it subtracted from {0} at the end, by mistake?",
    "minus": "Is {0} subtracted where it does not belong, or never added?",
    "plus": "Is {0} added where it does not belong, or never subtracted?",
    "times": "Is {0} multiplied once too often?",
}


def name_input_factor(ratio: float, case: Case) -> Diagnosis | None:
    """Return the ratio got / expected as a length, a sum or a maximum of an input, or None."""
    near = min(fit_tolerance(case), _NEAR)
    for name, value, text in _sizes(case):
        for power in (1, 2, -1, -2):
            # A number with few digits can mean many things.
            if not is_generic(value) or abs(abs(ratio) - value**power) > near * value**power:
                continue
            size = f"the {text} of {name}" + ("" if abs(power) == 1 else " squared")
            more = "multiplied by it once too often, or never divided by it"
            less = "divided by it once too often, or never multiplied by it"
            return Diagnosis(
                "factor",
                f"{case.noun} {times_too(ratio)}, by {size}",
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
    """Explain a result with an input added, subtracted or multiplied too much."""
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
                f"{case.noun} is what it should be {sign} {number(abs(times))} times {name}",
                f"Is {name} scaled or decayed where it should not be, or by the wrong factor?",
                weight=1.0,
            )
    return None
