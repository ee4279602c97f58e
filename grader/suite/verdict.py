"""The outcome that an exception means."""

from __future__ import annotations

import pytest

from grader.errors import (
    CheckFailed,
    GraderFault,
    Missing,
    NotDefined,
    PassedOn,
    StudentError,
    StudentFault,
    StudentTimeout,
)
from grader.records import Outcome
from grader.session.claims import Claims
from grader.suite.check import Check


def verdict_of(check: Check, error: BaseException, claims: Claims | None = None) -> Outcome:
    """Return the outcome that an exception means. Only a CheckFailed judges values.

    claims : the words that the student's process sent in a hidden check; None for a public one
    """
    if isinstance(error, CheckFailed):
        message = error.hidden_message() if check.hidden else error.message()
        return check.outcome(
            "failed",
            error.credit,
            message,
            for_students=claims.without(message) if claims is not None else "",
            missing=isinstance(error, Missing),
            suspect=isinstance(error, NotDefined),
            not_defined=error.name if isinstance(error, NotDefined) else "",
        )
    if isinstance(error, StudentTimeout):
        return check.outcome("timeout", 0.0, _withheld(check, error, "the time limit passed"))
    if isinstance(error, StudentError) and error.not_filled_in:
        text = f"not filled in yet: {error.where}"
        return check.outcome("failed", 0.0, text, missing=True, for_students="not filled in yet")
    if isinstance(error, StudentFault):
        return check.outcome("error", 0.0, _withheld(check, error, "the code raised an error"))
    if isinstance(error.__cause__, PassedOn):
        # The check's own function raised it when student code called it: whose fault is unclear.
        text = _withheld(check, error.__cause__, "the code raised an error")
        return check.outcome("error", 0.0, text, suspect=True, called_back=True)
    # pytest.fail's exception is not an Exception
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return check.outcome("failed", 0.0, _withheld(check, error, "the value is not right"))
    if isinstance(error, pytest.skip.Exception):
        return check.outcome("skipped", 0.0, str(error))
    if isinstance(error, GraderFault):
        return check.outcome("error", 0.0, str(error), fault=True)
    if isinstance(error, pytest.FixtureLookupError):
        text = (
            f"it asks for {error.argname!r}; there are student, reference, rng, datasets and files"
        )
        return check.outcome("error", 0.0, text, fault=True)
    # A check that calls sys.exit() must not end the batch.
    if isinstance(error, Exception | SystemExit):
        text = f"{type(error).__name__}: {error}"
        return check.outcome("error", 0.0, text, suspect=True)
    raise error


def _withheld(check: Check, error: BaseException, summary: str) -> str:
    """Return the error's text; for a hidden check the summary, since the text may show inputs."""
    if not check.hidden:
        return str(error) or summary
    kind = getattr(error, "kind", "")
    where = getattr(error, "where", "")
    detail = f" ({kind})" if kind else ""
    step = getattr(error, "of_sizes", "")
    place = f"\nwhere: {where}" if where else ""
    return f"{summary}{detail}{place}" + (f"\n{step}" if step else "")
