"""After checks have changed: nobody loses a point that a run before gave, and why is written down.

Each check that gives a student fewer points than in the run before keeps its points, as a verdict
that a person has changed: with the reason, in the history, to be taken back one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.records import Assignment, RunRecord
from grader.report.changes import CheckChange, find_changes
from grader.review.answers import index_run, result_of
from grader.review.overrides import overrides_of, overrule

_LEAST = 1e-9


@dataclass(frozen=True)
class KeptPoints:
    """What the comparison came to.

    kept : (students, check) of each verdict that stays
    gone : checks that gave points and are not there any more, by exercise and name: nothing of
        them can be kept
    """

    kept: tuple[tuple[tuple[str, ...], CheckChange], ...]
    gone: tuple[tuple[str, str], ...]


def keep_points(
    store: Store,
    before: RunRecord,
    after: RunRecord,
    assignment: Assignment | None,
    *,
    grader: str,
    reason: str,
) -> KeptPoints:
    """Let each check of `after` give at least what it gave the same student in `before`.

    reason : why they keep them, in every report; a second call adds nothing. Raises ReviewError.
    """
    if not reason.strip():
        raise ReviewError("points that are kept need a reason")
    index_run(store, after.id, assignment)
    with store.guarded():
        subjects: dict[int, str] = dict(
            store.connection.execute(
                "SELECT DISTINCT number, subject FROM answers WHERE run = ?", (after.id,)
            ).fetchall()
        )
    whose = {
        result_of(store, after.id, number, evidence=False).path: subject
        for number, subject in subjects.items()
    }
    changes = find_changes(list(store.results(before.id)), list(store.results(after.id)))
    standing = overrides_of(store, assignment.id if assignment else after.assignment)
    kept, gone = [], set()
    for change in changes.changed:
        subject = whose.get(change.after.path)
        for check in change.checks:
            if check.before is None or check.gained > -_LEAST or not check.before.max_points:
                continue
            if check.after is None or not check.after.max_points:
                gone.add((check.exercise, check.name))
                continue
            credit = min(1.0, check.before.points / check.after.max_points)
            held = [
                one
                for one in standing.get((check.exercise, check.name), [])
                if one.subject == subject and one.credit >= credit - _LEAST
            ]
            if subject is None or credit <= check.after.credit + _LEAST or held:
                continue
            overrule(
                store,
                after.assignment,
                check.exercise,
                check.name,
                grader=grader,
                credit=credit,
                reason=f"{reason} (as in run {before.id})",
                subject=subject,
            )
            kept.append((change.after.students, check))
    return KeptPoints(tuple(kept), tuple(sorted(gone)))
