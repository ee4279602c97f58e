"""`grade results --history`: how each grade came about."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import gradebook
from grader.cli.results import matches_student, nobody
from grader.text import one_line

if TYPE_CHECKING:
    from grader.batch.store import Store
    from grader.records import Result, RunRecord
    from grader.review.history import Change

_ALL = 1_000_000


def show(opened: Store, run: RunRecord, student: str | None, assignments: Path | None) -> None:
    """Print a line for each grade that a run gave, and for each change by a person, in order."""
    from grader.review.answers import answers_of, index_run
    from grader.review.history import changes

    assignment = gradebook.find_assignment(run.assignment, assignments)
    lines: list[tuple[float, str]] = []
    names: dict[str, str] = {}
    for one in opened.runs():
        if one.assignment != run.assignment:
            continue
        index_run(opened, one.id, assignment)
        subjects = {number: row.subject for (number, _), row in answers_of(opened, one.id).items()}
        for number, result in zip(opened.numbers(one.id), opened.results(one.id), strict=True):
            if student is not None and not matches_student(student, result):
                continue
            name = one_line(" · ".join(result.students) or result.path, 60)
            if number in subjects:
                names.setdefault(subjects[number], name)
            lines.append((one.begun, f"{_graded(one, result)}  {name}"))
    if student is not None and not lines:
        raise nobody(student)
    for change in changes(opened, run.assignment, limit=_ALL):
        if change.subject in names or (student is None and change.subject == ""):
            lines.append((change.changed, _changed(change, names.get(change.subject, "everybody"))))
    for when, line in sorted(lines, key=lambda pair: pair[0]):
        click.echo(f"{datetime.fromtimestamp(when).astimezone():%Y-%m-%d %H:%M}  {line}")


def _graded(run: RunRecord, result: Result) -> str:
    from grader.report.wording import REFUSAL_SHORT, points_text

    if result.status != "graded":
        said = REFUSAL_SHORT[result.status]
    else:
        said = f"{points_text(result.score)} / {points_text(result.max_score)}"
    of = f", run {run.about['of']} graded again" if "of" in run.about else ""
    return f"run {run.id}: {said}{of}"


def _changed(change: Change, name: str) -> str:
    where = f" at {one_line(change.exercise, 60)}" if change.exercise else ""
    before, after = (one_line(text, 300) for text in (change.before, change.after))
    arrow = f"{before} → {after}" if before else after
    return f"{one_line(change.grader, 60)}: {one_line(change.what, 100)}{where}: {arrow}  {name}"
