"""The mean of each run, of the points that students have: with marks, and with kept points.

    runs = with_judged_means(store, store.runs())

A run keeps the mean of what its checks gave. Where people have judged, only the submissions with a
mark, another verdict or an empty answer are read again; their points replace those of the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from grader.batch.store import Store
from grader.records import Assignment, RunRecord
from grader.report.wording import percent
from grader.review.answers import AnswerRow, answers_of, index_run
from grader.review.book import has_marks, read_book
from grader.review.merged import judged

INDEXED_AT_ONCE = 1_000
"""Submissions whose answers are looked up for the first time in one call: about five seconds. The
latest runs come first; the next call continues."""


def with_judged_means(
    store: Store, runs: Sequence[RunRecord], find: Callable[[str], Assignment | None]
) -> list[RunRecord]:
    """Return the runs, the latest first, with the means of the points that students have.

    find : returns an assignment by its id; None if it is not at hand
    """
    names = {run.assignment for run in runs}
    marked = {name: find(name) for name in names if has_marks(store, name)}
    left = INDEXED_AT_ONCE
    found = []
    for run in runs:
        if run.mean_percent is not None and run.assignment in marked:
            if run.results <= left:
                left -= index_run(store, run.id, marked[run.assignment])
            run = replace(run, mean_percent=_judged_mean(store, run))
        found.append(run)
    return found


def _judged_mean(store: Store, run: RunRecord) -> float | None:
    """Return the mean in percent of the graded submissions."""
    graded = run.results - run.not_graded
    if run.mean_percent is None or not graded:
        return run.mean_percent
    numbers = _judged_numbers(store, run)
    if not numbers:
        return run.mean_percent
    by_number: dict[int, dict[str, AnswerRow]] = {}
    for (number, exercise), row in answers_of(store, run.id, numbers=numbers).items():
        by_number.setdefault(number, {})[exercise] = row
    book = read_book(store, run.assignment)
    places = dict(zip(store.numbers(run.id), range(run.results), strict=False))
    results = store.results_in_place(run.id)
    more = 0.0
    for number in numbers:
        result = results[places[number]]
        if result.status == "graded":
            more += percent(judged(result, by_number.get(number, {}), book)) - percent(result)
    return run.mean_percent + more / graded


def _judged_numbers(store: Store, run: RunRecord) -> list[int]:
    """Return the submissions of a run whose points people may have changed."""
    with store.guarded():
        rows = store.connection.execute(
            "SELECT DISTINCT number FROM answers a WHERE run = :run AND (answered = 0 "
            "OR EXISTS (SELECT 1 FROM gradings g WHERE g.assignment = :assignment "
            "AND g.subject = a.subject AND g.exercise = a.exercise AND g.answer = a.answer) "
            "OR EXISTS (SELECT 1 FROM overrides o WHERE o.assignment = :assignment "
            "AND NOT withdrawn AND o.exercise = a.exercise "
            "AND o.subject IN ('', a.subject))) ORDER BY number",
            {"run": run.id, "assignment": run.assignment},
        ).fetchall()
    return [number for (number,) in rows]
