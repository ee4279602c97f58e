"""Groups of similar answers: one mark goes to all ticked answers of a group."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from grader import new_sample
from grader.errors import AssignmentError, ReviewError
from grader.records import Evidence
from grader.report.html_page import Figure, Gallery
from grader.review.answers import answers_of, result_of
from grader.review.history import note
from grader.review.marking import change
from grader.review.pages.visit import Page, Visit, go, render
from grader.review.similar_answers import KINDS, Group, groups_of
from grader.text import printable

EXCERPTS = 3
MAX_EXCERPT = 1500
MAX_NAME = 120
PICTURED = 20
"""Groups whose figures are shown: a page of hundreds would be as large as its pictures."""


def show_groups(visit: Visit, place: int) -> Page:
    column = visit.room.column(place)
    visit.require("mark", column.id)
    by = _by(visit)
    groups = groups_of(visit.store, visit.room, column.id, by)
    rows = answers_of(visit.store, visit.room.run_id, exercise=column.id, text=True)
    room = visit.room
    shown: list[dict[str, Any]] = []
    for group in groups:
        if len(group.numbers) < 2:
            continue
        shown.append(
            {
                "group": group,
                "members": [
                    {
                        "number": n,
                        "who": room.label(n, names=visit.names),
                        "done": room.grading(n, column.id).done,
                        "points": room.score(n, column.id).points,
                    }
                    for n in group.numbers
                ],
                "wrong": any(
                    check.outcome != "passed"
                    for check in room.machine_score(group.numbers[0], column.id).checks
                ),
                "figures": _figures(visit, group, column.id)
                if by == "figure" and len(shown) < PICTURED
                else [],
                "texts": [
                    printable(rows[n, column.id].text, MAX_EXCERPT)
                    for n in group.numbers[: EXCERPTS if by not in ("answer", "text") else 1]
                ],
            }
        )
    return render(
        visit,
        "alike.html.j2",
        column=column,
        by=by,
        kinds=KINDS,
        groups=shown,
        alone=sum(len(group.numbers) == 1 for group in groups),
        items=room.book.items.get(column.id, []),
        samples="verdicts" in visit.grader.may
        and room.assignment is not None
        and not room.assignment.public_only,
    )


def _figures(visit: Visit, group: Group, exercise: str) -> list[Figure]:
    """Return the figures of the group's first answers, so that a person can compare them."""
    found: list[Figure] = []
    for number in group.numbers[:EXCERPTS]:
        evidence = result_of(visit.store, visit.room.run_id, number).evidence
        places = evidence.drawn.get(exercise, ())
        own = {(place.notebook, place.cell) for place in places}
        runs = {
            name: replace(run, cells=tuple(c for c in run.cells if (name, c.index) in own))
            for name, run in evidence.runs.items()
        }
        found += Gallery(Evidence(runs=runs)).beside(places)[0]
    return found


def _by(visit: Visit) -> str:
    by = visit.form.get("by") or visit.query.get("by") or "text"
    if by not in KINDS:
        raise ReviewError(f"answers are grouped by {', '.join(KINDS)}, not by {by!r}")
    return by


def change_group(visit: Visit, place: int) -> Page:
    """Mark the ticked members of a group, all in one transaction; or name the group."""
    column = visit.room.column(place)
    visit.require("mark", column.id)
    by = _by(visit)
    key = visit.form.get("group", "")
    found = {g.key: g for g in groups_of(visit.store, visit.room, column.id, by)}
    if key not in found:
        raise ReviewError("this group is not there any more: answers have changed meanwhile")
    do = _name if visit.form.get("do") == "name" else _mark
    return go(visit, "q", place, "alike", by=by, said=do(visit, column.id, found[key]))


def _name(visit: Visit, exercise: str, group: Group) -> str:
    name = printable(visit.form.get("name", ""), MAX_NAME).strip()
    if not name:
        raise ReviewError("a group's name needs words")
    # The sample comes first: if it is refused, the group gets no name either.
    about_sample = _sample(visit, exercise, group, name) if visit.form.get("sample") else ""
    with visit.store.writing():
        visit.store.connection.execute(
            "INSERT INTO group_names (assignment, exercise, likeness, name) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (assignment, exercise, likeness) DO UPDATE SET name = excluded.name",
            (visit.room.name, exercise, group.key, name),
        )
        note(visit.store, visit.grader.name, visit.room.name, "group named", exercise=exercise,
             before=group.name, after=name)  # fmt: skip
    return f"The group is called {name}.{about_sample}"


def _sample(visit: Visit, exercise: str, group: Group, title: str) -> str:
    """Make a sample of the group's first answer, so that later runs know the mistake."""
    room = visit.room
    visit.require("verdicts", exercise)
    if room.assignment is None:
        raise ReviewError("the assignment is not at hand: start this with --assignments")
    number = group.numbers[0]
    wrong = [c for c in room.machine_score(number, exercise).checks if c.outcome != "passed"]
    if not wrong:
        raise ReviewError("no check fails in this group, so there is no mistake to recognise")
    regions = result_of(visit.store, room.run_id, number).evidence.regions.get(exercise, ())
    slug = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:60] or f"group-{number}"
    try:
        written = new_sample.write_sample(
            room.assignment, wrong[0], regions, name=slug, title=title
        )
    except (AssignmentError, OSError) as error:
        raise ReviewError(str(error)) from error
    told = f" samples/{written.file.name} shows the mistake: read it, then run `grade verify`."
    if written.students_read == title:
        return told
    words = written.students_read
    instead = f"its `says`: {words}." if words else "nothing of it, until you write `says`."
    return f"{told} The name holds an expression of the solution, so students read {instead}"


def _mark(visit: Visit, exercise: str, group: Group) -> str:
    members = {int(text) for text in visit.lists.get("member", []) if text.isdecimal()}
    members &= set(group.numbers)
    items = {int(text) for text in visit.lists.get("item", []) if text.isdecimal()}
    comment = visit.form.get("comment", "").strip()
    if not members:
        raise ReviewError("nobody in the group is ticked")
    if not items and not comment:
        raise ReviewError("tick items of the rubric, or write a comment")
    # Two attempts of one person with the same content are one answer.
    answers = {visit.room.answer(n, exercise): n for n in sorted(members)}
    with visit.store.writing():
        for answer, number in answers.items():
            before = visit.room.grading(number, exercise)
            text = before.comment
            if comment and comment not in text:
                text = f"{text}\n{comment}" if text else comment
            change(
                visit.store,
                answer,
                grader=visit.grader.name,
                version=before.version,
                items=before.items | items,
                comment=text,
                done=bool(before.items | items) or before.done,
            )
    return f"{len(answers)} answers are marked."
