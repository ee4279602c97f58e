"""How fast errors fall: the order of a method, from errors at several step sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite
from grader.diagnosis.wording import number
from grader.errors import CheckFailed

# An error below this share of the largest one is rounding, not the method's error.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Convergence:
    """The slope of log error over log h.

    order : the slope of the least squares line; orders : between neighbours, from the largest h on
    used : how many errors are above rounding
    """

    order: float
    orders: tuple[float, ...]
    used: int


def measure_convergence_order(h: Any, errors: Any, *, floor: float = 0.0) -> Convergence:
    """Return the order at which errors fall with h; nan if fewer than two are above `floor`.

    h : step sizes, or 1/n; (k,) positive, in any order; errors : (k,), their magnitudes count
    floor : errors up to this size are rounding, and left out
    """
    steps = np.asarray(h, dtype=float)
    sizes = np.abs(np.asarray(errors, dtype=float))
    if steps.shape != sizes.shape or steps.ndim != 1 or not (steps > 0).all():
        raise ValueError("h and errors are two rows of one length, and h is positive")
    order = np.argsort(-steps)
    steps, sizes = steps[order], sizes[order]
    used = sizes > max(floor, _ROUNDING * sizes.max(initial=0.0))
    # If an error is rounding, those of smaller steps are, too.
    count = int(np.argmin(used)) if not used.all() else len(used)
    if count < 2:
        return Convergence(float("nan"), (), count)
    x, y = np.log(steps[:count]), np.log(sizes[:count])
    slope = float(np.polyfit(x, y, 1)[0])
    return Convergence(slope, tuple((np.diff(y) / np.diff(x)).tolist()), count)


def assert_convergence_order(
    h: Sequence[float] | Any,
    errors: object,
    order: float,
    *,
    room: float = 0.25,
    at_least: bool = True,
    floor: float = 1e-13,
    called: str = "",
    noun: str = "the error",
) -> None:
    """Accept errors that fall like h**order: the slope of log error over log h.

    h : step sizes; errors : of the student's method at each step size
    room : how far the slope may be below `order`; with at_least=False, also above it
    floor : errors up to this size are rounding; if all are, the method is exact, and accepted
    Raises CheckFailed, which says whether an order is lost, or the errors stay or grow.
    ValueError if only one error is above rounding.
    """
    sizes = as_array(errors, called=called)
    assert_finite(sizes, called=called)
    found = measure_convergence_order(h, sizes, floor=floor)
    if found.used == 0:
        return
    if found.used < 2:
        raise ValueError("fewer than two errors are above rounding: take larger steps")
    if found.order >= order - room and (at_least or found.order <= order + room):
        return
    whole = round(found.order)
    got = f"order {found.order:.2f}; from step to step {_listed(found.orders)}"
    if found.order < -room:
        problem = f"{noun} grows as the step gets smaller"
        hint = "Is the sum of n terms weighted by h? Is a difference divided by the right power?"
    elif whole <= 0:
        problem = f"{noun} does not fall with the step"
        hint = "Does it tend to a wrong value? Look at constant factors, end points and signs."
    elif found.order > order:
        problem = f"{noun} falls faster than with a method of order {number(order)}"
        hint = "Is this another method than the exercise asks for?"
    else:
        problem = f"{noun} falls with order {found.order:.1f}, expected {number(order)}"
        hint = (
            "One order is often lost at the ends: at the first step or the last interval, by a "
            "whole step instead of a half one, or by an evaluation at t instead of t + h/2."
        )
    raise CheckFailed(problem, hint=hint, called=called, expected=f"order {number(order)}", got=got)


def _listed(orders: Sequence[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in orders[:6])
