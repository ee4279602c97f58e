"""Compare gradients with finite differences of the function itself.

A gradient is first compared along a few directions (slopes.py). If this fails, it is compared
element by element (faults.py), to find and name the fault. If the differences are too uncertain to
decide, the gradient does not pass, and costs.py gives the reason. These checks need no reference
solution, so they can be public.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grader.checks.costs import changes, is_repeatable, undecided
from grader.checks.faults import Fault, locate
from grader.checks.slopes import (
    Function,
    Redraw,
    Slope,
    measure_gradient,
    values_at,
)
from grader.diagnosis.case import Factor
from grader.diagnosis.factors import name_factor
from grader.diagnosis.observations import what_is_right
from grader.diagnosis.values import diagnose
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing


def assert_gradient(
    f: Function,
    grad: Function,
    *,
    at: Any,
    rng: np.random.Generator,
    name: str = "x",
    called: str = "",
    factors: Mapping[str, Factor] | None = None,
    transposed_ok: bool = False,
    redraw: Redraw | None = None,
    terms: Mapping[str, Any] | None = None,
    mistakes: Mapping[str, Any] | None = None,
    dummy: object = None,
    rtol: float = 1e-4,
    hint: str = "",
) -> None:
    """Accept grad as the gradient of f; otherwise find the fault and name it.

    f, grad, at, redraw, rtol, terms, transposed_ok : as in measure_gradient. If several conventions
        are right, take the student's own cost for f: the gradient must match it
    name : the parameter, for the message ("W"); factors, mistakes : as in diagnose;
        the values of terms and mistakes may be callables of x
    dummy : what the unfilled stub returns
    A gradient that is wrong along a direction is compared again, element by element: each must
    be right to rtol plus the error of its own difference.
    Raises CheckFailed with the diagnosis, or with the reason why the cost's values can't decide it
    (they are noisy, rounded, or coarser than float64); Missing for the dummy.
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
    if evidence.close and evidence.decided:
        return
    if not is_repeatable(evidence):
        raise changes(called=called)
    noun = f"the gradient with respect to {name}"
    # A dummy value that is right has passed before.
    refuse_dummy(evidence.gradient, dummy, noun=noun, called=called)
    if not evidence.decided:
        raise undecided(evidence, name=name, called=called)
    fault = locate(f, evidence, rng=rng)
    of_terms = [s for s in evidence.slopes if s.term and s.reliable and not s.close]
    if fault.decided and not fault.wrong.any() and not of_terms:
        return
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
        terms=fault.of(values_at(terms, evidence.at)),
        mistakes=fault.of(values_at(mistakes, evidence.at)),
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


def refuse_dummy(got: Array, dummy: object, *, noun: str, called: str) -> None:
    """Raise Missing if the result is the unfilled stub's dummy value; None stands for no dummy."""
    value = np.asarray(dummy)
    if dummy is None or (value.size != 1 and value.shape != got.shape):
        return
    if np.all(got == value):
        raise Missing(
            f"{noun} is still the template's dummy value",
            hint="Fill in the region between the markers, then run its cell again.",
            called=called,
        )


def _wrong_term(
    slope: Slope, factors: Mapping[str, Factor] | None, *, noun: str, called: str
) -> CheckFailed:
    """Return the verdict on a term that is too small to show in the elements."""
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


def _plain_problem(fault: Fault, noun: str) -> str:
    count = int(fault.wrong.sum())
    if fault.whole and 0 < count < fault.wrong.size:
        do = "does" if count == 1 else "do"
        return f"{count} of {fault.wrong.size} elements of {noun} {do} not match the cost"
    if not count == fault.wrong.size > 1:
        return f"{noun} does not match the cost"
    right = what_is_right(fault.got, fault.expected) if fault.whole else ""
    return f"{noun} does not match the cost, in any element{'; ' * bool(right)}{right}"
