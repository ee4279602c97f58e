"""What a wrong result has in common with the right one, in the words of a textbook.

`diagnose` tries explanations in order, the most specific first, and returns the first
that holds for every element. An explanation is a statement about the numbers, never a
guess. The hint asks about its likely cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grader.diagnosis.case import Case, Diagnosis, Factor, all_numbers, numbers, pair
from grader.diagnosis.evidence import is_generic
from grader.diagnosis.factors import (
    explain_elementwise_factor,
    explain_factor,
    explain_row_factor,
    explain_term,
)
from grader.diagnosis.functions import explain_function, explain_offset, explain_rounding
from grader.diagnosis.inputs import explain_with_input
from grader.diagnosis.layouts import explain_layout, explain_pairs, explain_shift
from grader.diagnosis.parts import explain_clipping, explain_diagonal, explain_huge, explain_part
from grader.diagnosis.sums import explain_sums


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
    inputs : the function's arguments, {"z": array}; never shown
    broadcast : the two operands, (m,) or (m, 1), that broadcasting may have made (m, m)
    noun : the subject of the sentence, "the gradient"
    rtol, atol : how well a statement must hold, element by element
    layout : False if the elements are a sample, so that their places mean nothing
    """
    got_array, expected_array = numbers(got), numbers(expected)
    if got_array is None or expected_array is None:
        return None
    if got_array.size == 1 and expected_array.size == 1:
        got_array = got_array.reshape(expected_array.shape)
    case = Case(
        got_array,
        expected_array,
        factors={k: v for k, v in (factors or {}).items() if numbers(v) is not None},
        terms=all_numbers(terms),
        mistakes=all_numbers(mistakes),
        dummy=numbers(dummy),
        inputs=all_numbers(inputs),
        broadcast=pair(broadcast),
        noun=noun,
        rtol=rtol,
        atol=atol,
        whole=isinstance(got, np.ndarray) and got.dtype.kind in "iu" and got.size > 1,
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


def explain_non_finite(case: Case) -> Diagnosis | None:
    bad = ~np.isfinite(case.got)
    if not bad.any():
        return None
    where = ""
    for name, x in case.inputs.items():
        if x.shape == bad.shape and 0 < bad.sum() < bad.size:
            size = np.abs(x)
            if size[bad].min() > size[~bad].max():
                where = f", those with the largest |{name}|"
    are = "is" if bad.sum() == 1 else "are"
    share = f"{int(bad.sum())} of {bad.size} elements {are}" if bad.size > 1 else "it is"
    name = "nan" if np.isnan(case.got).any() else "inf"
    return Diagnosis(
        "overflow",
        f"{case.noun} is not finite: {share} {name}{where}",
        "Does exp overflow, or is log(0) or 0/0 taken? Rewrite the formula for large arguments.",
    )


def explain_dummy(case: Case) -> Diagnosis | None:
    if case.dummy is None:
        return None
    dummy = case.dummy
    if dummy.size == 1:
        dummy = np.broadcast_to(dummy.reshape(()), case.got.shape)
    if dummy.shape == case.got.shape and np.array_equal(dummy, case.got):
        return Diagnosis(
            "dummy",
            f"{case.noun} is 0, which is also the template's dummy value"
            if not np.any(case.got)
            else f"{case.noun} is still the template's dummy value",
            "Fill in the region between the markers, then run its cell again."
            + (
                ""
                if np.any(case.got)
                else " If it is filled in, print its factors: which one is 0?"
            ),
        )
    return None


def explain_mistake(case: Case) -> Diagnosis | None:
    """Name the known mistakes that give this result; at most three of them."""
    named = []
    for name, value in case.mistakes.items():
        if value.size == 1 and case.got.size == 1:
            value = value.reshape(case.got.shape)
        if case.same(value):
            named.append(name)
    if not named:
        return None
    return Diagnosis("mistake", f"{case.noun} is what you get when {', or when '.join(named[:3])}")


def explain_constant(case: Case) -> Diagnosis | None:
    if case.got.size == 0 or not np.isfinite(case.got).all():
        return None
    first = float(case.got.reshape(-1)[0])
    if np.any(case.got != first):
        return None
    varied = case.expected.size > 1 and np.ptp(case.expected) > 0
    if first == 0.0 and case.whole and np.any(case.expected != np.round(case.expected)):
        return Diagnosis(
            "rounding",
            f"{case.noun} is an array of whole numbers, and 0 everywhere",
            "Is it created with an integer dtype? Then assigned values lose their fractions.",
        )
    if first == 0.0 and np.any(case.expected != 0):
        everywhere = " everywhere" if case.got.size > 1 else ""
        return Diagnosis(
            "zero",
            f"{case.noun} is 0{everywhere}",
            # A 0 may have many causes; a value assigned and lost is one of them.
            "Print the values that it is computed from, step by step, until one is 0.",
        )
    if varied and case.got.size > 1:
        whole = _name_of_the_whole(first, case)
        return Diagnosis(
            "constant",
            f"{case.noun} is the same number in every element{', ' * bool(whole)}{whole}",
            "Print the shape after each step: where does one number replace all elements?",
        )
    return None


def _name_of_the_whole(value: float, case: Case) -> str:
    """Return which number of the right elements is repeated: "the sum of all ...", or ""."""
    e = case.expected
    for name, whole in (
        ("the sum", float(e.sum())),
        ("the mean", float(e.mean())),
        ("the largest", float(e.max())),
        ("the smallest", float(e.min())),
    ):
        if is_generic(whole) and abs(value - whole) <= max(case.rtol, 1e-9) * abs(whole):
            return f"{name} of all the right elements"
    return ""


def explain_input(case: Case) -> Diagnosis | None:
    for name, x in case.inputs.items():
        if case.got.size > 1 and np.ptp(case.got) > 0 and case.same(x):
            return Diagnosis(
                "input",
                f"{case.noun} is the unchanged input {name}",
                "Is the wrong variable returned, or is the result never assigned to it?",
            )
    return None


_EXPLANATIONS: tuple[Callable[[Case], Diagnosis | None], ...] = (
    explain_non_finite,
    explain_dummy,
    explain_mistake,
    explain_pairs,
    explain_constant,
    explain_input,
    explain_sums,
    explain_factor,
    explain_term,
    explain_elementwise_factor,
    explain_layout,
    explain_shift,
    explain_rounding,
    explain_offset,
    explain_with_input,
    explain_huge,
    explain_row_factor,
    explain_diagonal,
    explain_function,
    explain_clipping,
    explain_part,
)

# Explanations that speak of rows, order and neighbours.
_OF_PLACES = (
    explain_layout,
    explain_shift,
    explain_row_factor,
    explain_diagonal,
    explain_part,
)
