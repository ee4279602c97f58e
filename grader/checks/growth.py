"""How the cost of a call grows with its input: steps and memory, over several sizes.

A single time proves nothing, so no verdict depends on times. The verdict comes from the steps that
Python runs and the bytes that it allocates: these counts repeat exactly. The message shows times
beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.calls import observed
from grader.diagnosis.wording import number
from grader.errors import CheckFailed

_KIB = 1024
# A call that allocates less than this allocates only its frame and its scalars.
_LEAST_BYTES = 64 * _KIB
_LEAST_STEPS = 200


@dataclass(frozen=True)
class Growth:
    """What calls with growing inputs cost: each exponent of n is the slope of log cost over log n.

    sizes : n; steps, peak_bytes, seconds : of each call
    steps_order, bytes_order, seconds_order : nan if the costs are too small
    """

    sizes: tuple[float, ...]
    steps: tuple[int, ...]
    peak_bytes: tuple[int, ...]
    seconds: tuple[float, ...]
    steps_order: float
    bytes_order: float
    seconds_order: float


def measure_growth(
    function: Any, inputs: Callable[[int], Any], sizes: Sequence[int], *, repeats: int = 3
) -> Growth:
    """Return how the steps, the memory and the time of student.f grow with its input.

    inputs : n -> the argument, or a tuple of arguments
    sizes : at least three values of n, better four or more, such as 100, 200, 400, 800
    repeats : of the timed calls; the shortest time counts
    Raises the call's own exception; ValueError for fewer than three sizes.
    """
    if len(sizes) < 3:
        raise ValueError("a growth needs at least three sizes; four are better")
    steps, peaks, seconds = [], [], []
    for size in sizes:
        made = inputs(size)
        arguments = made if isinstance(made, tuple) else (made,)
        counted = observed(function, arguments, steps=True)
        steps.append(0 if counted.steps is None else int(counted.steps))
        peaks.append(int(observed(function, arguments, memory=True).peak_bytes))
        times = [observed(function, arguments).seconds for _ in range(repeats)]
        seconds.append(max(min(times), 1e-9))
    return Growth(
        tuple(map(float, sizes)),
        tuple(steps),
        tuple(peaks),
        tuple(seconds),
        _order(sizes, steps, _LEAST_STEPS),
        _order(sizes, peaks, _LEAST_BYTES),
        _order(sizes, seconds, 1e-5),
    )


def assert_growth(
    function: Any,
    inputs: Callable[[int], Any],
    sizes: Sequence[int],
    *,
    order: float = 1.0,
    room: float = 0.4,
    called: str = "",
) -> Growth:
    """Accept a function whose steps and memory grow no faster than n**order; return the growth.

    Memory shows an n x n array inside numpy, steps show a Python loop.
    inputs, sizes : as in measure_growth
    order : 1 for linear, 2 for quadratic
    room : added to order, for constant parts and for logarithms
    Raises CheckFailed, which says what grows how fast.
    """
    found = measure_growth(function, inputs, sizes)
    for noun, grown, costs, unit, hint in (
        (
            "memory",
            found.bytes_order,
            [peak / _KIB for peak in found.peak_bytes],
            "KiB",
            "Is there an array of all pairs, x[:, None] - x[None, :], or does (m, 1) meet (m,)?",
        ),
        (
            "number of Python steps",
            found.steps_order,
            found.steps,
            "steps",
            "Is there a loop inside a loop, or `x in list` or list.pop(0) inside a loop?",
        ),
    ):
        if np.isnan(grown) or grown <= order + room:
            continue
        times = (
            "" if np.isnan(found.seconds_order) else f"; its time like n^{found.seconds_order:.1f}"
        )
        raise CheckFailed(
            f"its {noun} grows like n^{grown:.1f}, expected n^{number(order)}",
            hint=hint,
            called=called,
            got=f"{_listed(costs)} {unit} for n = {_listed(found.sizes)}{times}",
        )
    return found


def assert_no_leak(
    function: Any, *arguments: Any, calls: int = 6, room_kib: float = 64, called: str = ""
) -> None:
    """Accept a function that keeps no memory after a call.

    calls : how often it is called; the first call doesn't count
    room_kib : the KiB that all other calls may keep together
    Raises CheckFailed, with the memory that stays allocated.
    """
    kept_kib = []
    for _ in range(calls):
        call = observed(function, arguments, memory=True)
        size = getattr(call.value, "nbytes", 0)
        kept_kib.append(max(0.0, (float(call.kept_bytes) - size) / _KIB))
    if sum(kept_kib[1:]) <= room_kib or min(kept_kib[1:]) == 0:
        return
    raise CheckFailed(
        "each call keeps memory",
        hint="Does a list or a dict outside of the function grow: a default argument, a global, "
        "an attribute?",
        called=called,
        got=f"{_listed(kept_kib)} KiB stay after each of {calls} calls",
    )


def _order(sizes: Sequence[float], costs: Sequence[float], least: float) -> float:
    """Return the slope of log cost over log size, without the costs that are too small."""
    x, y = np.log(np.asarray(sizes, float)), np.asarray(costs, float)
    used = y >= least
    if used.sum() < 2 or not used[-1]:
        return float("nan")
    # A constant part hides the growth of small costs, so the last three costs count.
    x, y = x[used][-3:], np.log(y[used][-3:])
    return float(np.polyfit(x, y, 1)[0])


def _listed(values: Sequence[float]) -> str:
    return ", ".join(number(round(float(value), 1)) for value in values)
