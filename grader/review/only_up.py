"""After checks have changed: no student loses points against an earlier run.

A check that now gives an answer fewer points gets a floor: it gives at least the earlier points.
Each floor has a reason and a line in the history, and can be withdrawn. It belongs to the answer,
like a mark: other work is judged by the check alone. A student who earns more points gets more.
"""

from __future__ import annotations

from dataclasses import dataclass

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.records import Assignment, RunRecord
from grader.report.changes import CheckChange, find_changes
from grader.review.answers import AnswerRow, answers_of, index_run
from grader.review.merged import judged_results
from grader.review.overrides import overrule

_LEAST = 1e-9


@dataclass(frozen=True)
class KeptPoints:
    """The outcome of keep_points().

    kept : (students, check) of each check with a floor
    gone : (exercise, name) of checks that gave points and no longer exist: their points are lost
    other_work : students who lost points with another answer than before
    """

    kept: tuple[tuple[tuple[str, ...], CheckChange], ...]
    gone: tuple[tuple[str, str], ...]
    other_work: tuple[tuple[str, ...], ...] = ()


def keep_points(
    store: Store,
    before: RunRecord,
    after: RunRecord,
    assignment: Assignment | None,
    *,
    grader: str,
    reason: str,
) -> KeptPoints:
    """Make each check of `after` give at least the points that it gave the same answer in `before`.

    reason : why the points are kept; every report shows it
    A second call adds nothing. Raises ReviewError.
    """
    if not reason.strip():
        raise ReviewError("points that are kept need a reason")
    answers: dict[tuple[int, str], AnswerRow] = {}
    pair = []
    for run in (before, after):
        index_run(store, run.id, assignment)
        # With the marks: a verdict that somebody has lowered on purpose stays lowered.
        results = list(judged_results(store, run, assignment))
        places = dict(zip(store.numbers(run.id), results, strict=True))
        for (number, exercise), row in answers_of(store, run.id).items():
            answers[id(places[number]), exercise] = row
        pair.append(results)
    kept, gone, other_work = [], set(), {}
    for change in find_changes(*pair).changed:
        for check in change.checks:
            if check.before is None or check.gained > -_LEAST or not check.before.max_points:
                continue
            if check.after is None or not check.after.max_points:
                gone.add((check.exercise, check.name))
                continue
            credit = min(1.0, check.before.points / check.after.max_points)
            answer = answers.get((id(change.after), check.exercise))
            if answer is None or credit <= check.after.credit + _LEAST:
                continue
            old = answers.get((id(change.before), check.exercise))
            if old is None or old.answer != answer.answer:
                other_work[id(change.after)] = change.after.students
                continue
            overrule(
                store,
                after.assignment,
                check.exercise,
                check.name,
                grader=grader,
                credit=credit,
                reason=f"{reason} (as in run {before.id})",
                subject=answer.subject,
                answer=answer.answer,
                floor=True,
            )
            kept.append((change.after.students, check))
    return KeptPoints(tuple(kept), tuple(sorted(gone)), tuple(other_work.values()))
