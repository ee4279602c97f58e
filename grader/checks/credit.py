"""Part of a check's points, with the reason why the rest is lost."""

from __future__ import annotations

from typing import NoReturn

from grader.errors import CheckFailed


def partial_credit(fraction: float, problem: str, hint: str = "", *, called: str = "") -> NoReturn:
    """Fail the check, but still give this share of its points: raise CheckFailed.

    fraction : float in [0, 1]; problem, hint : the message to the student
    """
    raise CheckFailed(problem, hint=hint, called=called, credit=fraction)
