"""A check's verdict that a person has changed: for one answer, or for all with the same trace.

Every report shows the machine's verdict as well. Like a mark, an override belongs to the answer
that the student handed in: new work is judged again. A floor raises a check's credit and never
lowers it.
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
# A smaller difference of two credits is rounding.
_SAME = 1e-9
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
    """Another verdict of a check.

    subject : the student; "" for all answers with this trace
    credit : share of the check's points, in [0, 1]
    answer : the fingerprint of the answer; "" for any answer of the student
    floor : the credit is a minimum
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
    answer: str = ""
    floor: bool = False


def overrides_of(store: Store, assignment: str) -> dict[tuple[str, str], list[Override]]:
    """Return the overrides in force, by the exercise and the check; the latest comes last."""
    with store.guarded():
        rows = store.connection.execute(
            "SELECT id, exercise, check_name, subject, trace, credit, reason, grader, changed, "
            "answer, floor FROM overrides WHERE assignment = ? AND NOT withdrawn ORDER BY id",
            (assignment,),
        ).fetchall()
    found: dict[tuple[str, str], list[Override]] = {}
    for *row, floor in rows:
        one = replace(Override(*row), floor=bool(floor))
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
    answer: str = "",
    trace: str = "",
    floor: bool = False,
) -> int:
    """Give a check another verdict; return the override's number.

    subject, answer : only for this student's answer; "" for all answers with that trace
    floor : the credit is a minimum; it does not replace a verdict that a person has given
    Raises ReviewError: no reason, no student and no trace, or a credit outside [0, 1].
    """
    reason = printable(reason, MAX_REASON).strip()
    if not reason:
        raise ReviewError("another verdict needs a reason")
    if not subject and not trace:
        raise ReviewError("this check kept no trace: change the verdict for one student")
    if not (math.isfinite(credit) and 0.0 <= credit <= 1.0):
        raise ReviewError(f"a check's credit is a share between 0 and 1, not {credit:g}")
    with store.writing():
        made = store.connection.execute(
            "INSERT INTO overrides (assignment, exercise, check_name, subject, trace, credit, "
            "reason, grader, changed, answer, floor) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (assignment, exercise, check, subject, "" if subject else trace, credit, reason,
             grader, time.time(), answer if subject else "", int(floor)),
        ).lastrowid  # fmt: skip
        what = "points kept" if floor else "verdict changed"
        least = "at least " if floor else ""
        note(store, grader, assignment, f"{what}: {check}", subject=subject,
             exercise=exercise, after=f"{least}{100 * credit:g} % ({reason})")  # fmt: skip
    assert made is not None
    return made


def withdraw(
    store: Store, assignment: str, override: int, *, grader: str, exercise: str | None = None
) -> None:
    """Withdraw an override, so that the machine's verdict holds again.

    exercise : the override must belong to it
    Raises ReviewError if there is no such override in force.
    """
    with store.writing():
        row = store.connection.execute(
            "SELECT exercise, check_name, subject, reason FROM overrides "
            "WHERE id = :id AND assignment = :assignment AND NOT withdrawn "
            "AND (:exercise IS NULL OR exercise = :exercise)",
            {"id": override, "assignment": assignment, "exercise": exercise},
        ).fetchone()
        if row is None:
            raise ReviewError("this verdict was taken back already")
        store.connection.execute("UPDATE overrides SET withdrawn = 1 WHERE id = ?", (override,))
        note(store, grader, assignment, f"the check's own verdict holds again: {row[1]}",
             subject=row[2], exercise=row[0], before=row[3])  # fmt: skip


def override_of(check: Outcome, subject: str, answer: str, overrides: Overrides) -> Override | None:
    """Return the override in force for an answer's check; None if the check's own verdict holds.

    An override for one student comes before one for all. A floor holds where it gives more, unless
    somebody has given that student another verdict since.
    """
    found = overrides.get((check.exercise, check.name), ())
    mine = [o for o in found if subject and o.subject == subject and o.answer in ("", answer)]
    own = [o for o in mine if not o.floor]
    alike = [o for o in found if check.trace and not o.subject and o.trace == check.trace]
    verdict = next(reversed(own or alike), None)
    since = own[-1].id if own else 0
    floors = [o for o in mine if o.floor and o.id > since]
    floor = max(floors, key=lambda o: o.credit, default=None)
    credit = check.credit if verdict is None else verdict.credit
    return floor if floor is not None and floor.credit > credit + _SAME else verdict


def overruled(
    exercise: ExerciseScore, subject: str, answer: str, overrides: Overrides
) -> ExerciseScore:
    """Return the exercise with its overrides applied, and its points computed again."""
    checks = tuple(_overruled(check, subject, answer, overrides) for check in exercise.checks)
    if checks == exercise.checks:
        return exercise
    points = max(0.0, sum(check.points for check in checks))
    # A check that could not run here and has an override counts with its points.
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


def _overruled(check: Outcome, subject: str, answer: str, overrides: Overrides) -> Outcome:
    found = override_of(check, subject, answer, overrides)
    if found is None:
        return check
    return replace(
        check,
        outcome="passed" if found.credit >= 1.0 else "failed",
        credit=found.credit,
        message=_overruled_message(check, found),
        for_students=_why(found),
        overruled=found.reason,
        machine=check.outcome,
        machine_credit=check.credit,
    )


def _overruled_message(check: Outcome, found: Override) -> str:
    message = f" and said: {check.message}" if check.message else ""
    return f"{_why(found)}\nThe check itself {OUTCOMES[check.outcome]}{message}"


def _why(found: Override) -> str:
    what = "points that were given are kept" if found.floor else "a person has changed the verdict"
    return f"{what}: {found.reason}"
