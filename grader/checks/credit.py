"""Part of a check's points, with the reason why the rest is lost."""

from __future__ import annotations

from typing import NoReturn

from grader.errors import CheckFailed


def partial_credit(fraction: float, problem: str, hint: str = "", *, called: str = "") -> NoReturn:
    """Raise CheckFailed that still earns this share of the check's points.

    fraction : float in [0, 1]
    """
    raise CheckFailed(problem, hint=hint, called=called, credit=fraction)
