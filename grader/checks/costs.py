"""Why a cost can't show whether a gradient is right: it is noisy, rounded, coarse, or has a state.

The check then does not pass, and its message is about the cost: the gradient may be right or wrong.
"""

from __future__ import annotations

import numpy as np

from grader.checks.ladder import EPS
from grader.checks.slopes import KNOWN, GradientEvidence
from grader.checks.tolerances import PRECISION, shown_decimals, shown_eps
from grader.diagnosis.wording import Array, number
from grader.errors import CheckFailed

# Two calls at one point may differ by this share, because parallel sums round differently.
_REPEATS = 1e-9
_TELLS_NOTHING = (
    "Its gradient can't be checked: finite differences of the cost give no reliable slope."
)


def is_repeatable(evidence: GradientEvidence) -> bool:
    """Return whether the cost gave the same value at each call with the same input."""
    return evidence.repeat <= _REPEATS


def undecided(evidence: GradientEvidence, *, name: str, called: str) -> CheckFailed:
    """Return the failure for a cost whose slopes are too uncertain to judge a gradient."""
    values = np.array(evidence.function.seen)
    problem, hint = reason(
        values,
        evidence.function.eps,
        name,
        "cost",
        kinked=evidence.kinked,
        noise=evidence.function.noise or 0.0,
    )
    worst = max(evidence.slopes, key=lambda s: min(s.uncertainty / s.scale, 1e300))
    share = worst.uncertainty / worst.scale
    return CheckFailed(
        problem,
        hint=f"{_TELLS_NOTHING} {hint}",
        called=called,
        where=f"the slope along one direction is known to {100 * share:.2g} %, "
        f"a verdict needs {100 * KNOWN:g} %"
        if np.isfinite(share)
        else "",
    )


def changes(*, called: str) -> CheckFailed:
    """Return the failure for a cost that returns a different value at each call."""
    return CheckFailed(
        "the cost returns a different value at each call with the same input",
        hint="Does it draw random numbers, or change its inputs or its own state?",
        called=called,
    )


def reason(
    values: Array,
    eps: float,
    name: str,
    noun: str,
    *,
    kinked: bool = False,
    noise: float = 0.0,
) -> tuple[str, str]:
    """Return why slopes are uncertain, and the next step.

    values : of the function, at and around the points; eps : of their dtype, or that they show
    name : of the variable ("W"); noun : of the function ("cost"); noise : of the values
    """
    values = values[np.isfinite(values)]
    decimals = shown_decimals(values)
    if decimals == 0:
        return (
            f"the {noun} moves in whole steps when {name} changes",
            "Is it a count of errors, or is it cut off to an integer? A gradient needs a slope.",
        )
    if decimals is not None:
        return (
            f"the {noun} is rounded to {decimals} decimal{'s' * (decimals > 1)}",
            "Return the number as computed. Round only where you print it.",
        )
    for dtype, digits in (("float16", 3), ("float32", 7)):
        if max(eps, shown_eps(values)) == PRECISION[dtype].eps:
            return (
                f"the {noun} has only {digits} digits, the precision of {dtype}",
                "Compute it in float64: is .astype or a dtype= argument too small?",
            )
    rough = (
        f"the {noun} is rough: it jumps between neighbouring values of {name}",
        "Does it draw random numbers, keep a state, or compute in a smaller dtype than float64?",
    )
    size = float(np.max(np.abs(values), initial=0.0))
    moved = float(np.ptp(values)) if values.size else 0.0
    if noise > max(100 * EPS * size, 1e-9 * moved):
        return rough
    if kinked:
        return (
            f"the {noun} has a kink, a jump or no finite value near every {name} that was tried",
            "Is it defined, and smooth, on both sides of the point?",
        )
    if size * EPS > 1e-9 * moved:
        return (
            f"the {noun} is near {number(size)} and changes by as little as {number(moved)}: "
            "float64 has no digits left for that",
            "Is a large constant added to it?",
        )
    return rough
