"""Graders: which exercises they have, and what is graded twice. The history of all changes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from grader.errors import ReviewError
from grader.review.history import changes, note
from grader.review.pages.visit import Page, Visit, go, render
from grader.review.rights import Grader

SHOWN = 300


def show_people(visit: Visit, graders: Sequence[Grader]) -> Page:
    room = visit.room
    rows = []
    for column in room.columns:
        if not column.manual or column.points <= 0:
            continue
        given = room.tasks.get(column.id, {})
        rows.append(
            {
                "column": column,
                "shares": {name: len(subjects) for name, subjects in given.items()},
                "whole": {name for name, subjects in given.items() if "" in subjects},
                "twice": room.twice.get(column.id, 0.0),
                "open": sum(
                    column.id in rows_ and room.score(n, column.id).status == "manual"
                    for n, rows_ in room.answers.items()
                ),
            }
        )
    return render(visit, "people.html.j2", rows=rows, graders=graders)


def change_people(visit: Visit, graders: Sequence[Grader]) -> Page:
    """Give an exercise to graders, whole or in equal parts; or set how much is graded twice."""
    visit.require("assign")
    column = visit.room.column(visit.whole("exercise"))
    names = [grader.name for grader in graders]
    chosen = [name for name in visit.lists.get("grader", []) if name in names]
    store, room = visit.store, visit.room
    if visit.form.get("do") == "twice":
        percent = visit.number("percent")
        if not 0.0 <= percent <= 100.0:
            raise ReviewError("give a percentage between 0 and 100")
        with store.writing():
            store.connection.execute(
                "INSERT INTO rubrics (assignment, exercise, twice) VALUES (?, ?, ?) "
                "ON CONFLICT (assignment, exercise) DO UPDATE SET twice = excluded.twice",
                (room.name, column.id, percent),
            )
            before = f"{room.twice.get(column.id, 0.0):g} %"
            note(store, visit.grader.name, room.name, "graded twice", exercise=column.id,
                 before=before, after=f"{percent:g} %")  # fmt: skip
        return go(visit, "graders", said=f"{percent:g} % of {column.id} are graded twice.")
    shared = visit.form.get("do") == "share"
    subjects = [
        room.answers[number][column.id].subject
        for number in room.order("share", column.id)
        if column.id in room.answers[number]
    ]
    rows: list[tuple[str, str, str, str]] = []
    if shared and chosen:
        for place, subject in enumerate(dict.fromkeys(subjects)):
            rows.append((room.name, chosen[place % len(chosen)], column.id, subject))
    else:
        rows = [(room.name, name, column.id, "") for name in chosen]
    with store.writing():
        store.connection.execute(
            "DELETE FROM tasks WHERE assignment = ? AND exercise = ?", (room.name, column.id)
        )
        store.connection.executemany(
            "INSERT OR IGNORE INTO tasks (assignment, grader, exercise, subject) "
            "VALUES (?, ?, ?, ?)",
            rows,
        )
        how = "in equal parts" if shared and chosen else "whole"
        note(store, visit.grader.name, room.name, "given to graders", exercise=column.id,
             after=f"{', '.join(chosen) or 'everybody'}, {how}")  # fmt: skip
    return go(visit, "graders", said=f"{column.id} is given to {', '.join(chosen) or 'everybody'}.")


def show_history(visit: Visit) -> Page:
    room = visit.room
    by_subject = {
        row.subject: number for number, rows in room.answers.items() for row in rows.values()
    }
    exercise = visit.query.get("exercise") or None
    lines = []
    for change in changes(visit.store, room.name, exercise=exercise, limit=SHOWN):
        if change.exercise and not visit.grader.sees(change.exercise):
            continue
        number = by_subject.get(change.subject)
        whose = room.label(number, names=visit.names) if number is not None else ""
        if change.subject and number is None:
            whose = "somebody in another run"
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.changed))
        lines.append((change, when, whose))
    return render(visit, "history.html.j2", lines=lines, exercise=exercise or "")
