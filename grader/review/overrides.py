"""A check's verdict that a person has changed: for one student, or for all with the same trace.

The machine's verdict stays beside it, in every report.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.records import CheckStatus, ExerciseScore, Outcome
from grader.review.history import note
from grader.text import printable

MAX_REASON = 1_000
OUTCOMES: dict[CheckStatus, str] = {
    "passed": "passed",
    "failed": "failed",
    "error": "ended in an error",
    "timeout": "ran out of time",
    "skipped": "was not run",
}
Overrides = Mapping[tuple[str, str], "Sequence[Override]"]


@dataclass(frozen=True)
class Override:
    """Another verdict. subject : whose; "" for all whose trace is `trace`

    credit : share of the check's points, in [0, 1]
    """

    id: int
    exercise: str
    check: str
    subject: str
    trace: str
    credit: float
    reason: str
    grader: str
    changed: float


def overrides_of(store: Store, assignment: str) -> dict[tuple[str, str], list[Override]]:
    """Return what holds, by the exercise and the check; the latest comes last."""
    with store.guarded():
        rows = store.connection.execute(
            "SELECT id, exercise, check_name, subject, trace, credit, reason, grader, changed "
            "FROM overrides WHERE assignment = ? AND NOT withdrawn ORDER BY id",
            (assignment,),
        ).fetchall()
    found: dict[tuple[str, str], list[Override]] = {}
    for row in rows:
        one = Override(*row)
        found.setdefault((one.exercise, one.check), []).append(one)
    return found


def overrule(
    store: Store,
    assignment: str,
    exercise: str,
    check: str,
    *,
    grader: str,
    credit: float,
    reason: str,
    subject: str = "",
    trace: str = "",
) -> int:
    """Give a check another verdict; return the override's number.

    subject : for this student alone; "" for all whose answers have that trace
    """
    reason = printable(reason, MAX_REASON).strip()
    if not reason:
        raise ReviewError("another verdict needs a reason")
    if not subject and not trace:
        raise ReviewError("this check kept no trace: change the verdict for one student")
    if not (math.isfinite(credit) and 0.0 <= credit <= 1.0):
        raise ReviewError(f"a check gives a share of its points between 0 and 1, not {credit:g}")
    with store.writing():
        made = store.connection.execute(
            "INSERT INTO overrides (assignment, exercise, check_name, subject, trace, credit, "
            "reason, grader, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (assignment, exercise, check, subject, "" if subject else trace, credit, reason,
             grader, time.time()),
        ).lastrowid  # fmt: skip
        note(store, grader, assignment, f"verdict changed: {check}", subject=subject,
             exercise=exercise, after=f"{100 * credit:g} % ({reason})")  # fmt: skip
    assert made is not None
    return made


def withdraw(
    store: Store, assignment: str, override: int, *, grader: str, exercise: str | None = None
) -> None:
    """Let the machine's verdict hold again. exercise : that it must be of"""
    with store.writing():
        row = store.connection.execute(
            "SELECT exercise, check_name, subject, reason FROM overrides "
            "WHERE id = ?1 AND assignment = ?2 AND NOT withdrawn AND (?3 IS NULL OR exercise = ?3)",
            (override, assignment, exercise),
        ).fetchone()
        if row is None:
            raise ReviewError("this verdict was taken back already")
        store.connection.execute("UPDATE overrides SET withdrawn = 1 WHERE id = ?", (override,))
        note(store, grader, assignment, f"the check's own verdict holds again: {row[1]}",
             subject=row[2], exercise=row[0], before=row[3])  # fmt: skip


def override_of(check: Outcome, subject: str, overrides: Overrides) -> Override | None:
    """Return what holds for that student's check: what is for one comes before what is for all."""
    found = overrides.get((check.exercise, check.name), ())
    mine = [one for one in found if one.subject == subject and subject]
    alike = [one for one in found if not one.subject and one.trace == check.trace and check.trace]
    held = mine or alike
    return held[-1] if held else None


def overruled(exercise: ExerciseScore, subject: str, overrides: Overrides) -> ExerciseScore:
    """Return the exercise with the verdicts that people have changed; its points follow."""
    checks = tuple(_overruled(check, subject, overrides) for check in exercise.checks)
    if checks == exercise.checks:
        return exercise
    points = max(0.0, sum(check.points for check in checks))
    # A check that could not run here has a verdict now, and its points count.
    more = sum(
        now.max_points
        for before, now in zip(exercise.checks, checks, strict=True)
        if now.overruled and before.outcome == "skipped" and not before.missing
    )
    most = more + (0.0 if exercise.status == "not_gradable" else exercise.max_points)
    status = exercise.status
    if points >= most - 1e-9:
        status = "passed"
    elif points > 1e-9:
        status = "partial"
    elif status in ("passed", "partial", "not_gradable"):
        status = "failed"
    return replace(exercise, checks=checks, points=points, max_points=most, status=status)


def _overruled(check: Outcome, subject: str, overrides: Overrides) -> Outcome:
    found = override_of(check, subject, overrides)
    if found is None:
        return check
    return replace(
        check,
        outcome="passed" if found.credit >= 1.0 else "failed",
        credit=found.credit,
        message=_told(check, found),
        for_students=f"a person has changed the verdict: {found.reason}",
        overruled=found.reason,
        machine=check.outcome,
        machine_credit=check.credit,
    )


def _told(check: Outcome, found: Override) -> str:
    said = f" and said: {check.message}" if check.message else ""
    return (
        f"a person has changed the verdict: {found.reason}\n"
        f"The check itself {OUTCOMES[check.outcome]}{said}"
    )
