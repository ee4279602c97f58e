"""The class: the distribution of points, a row for each student, a column for each exercise."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from grader.errors import GradeError
from grader.gradebook.people import match
from grader.gradebook.roster import FILE, read_roster
from grader.records import Outcome, Result
from grader.report.wording import STATUS_TONES, percent, points_text
from grader.review.classroom import Classroom
from grader.review.merged import is_open
from grader.review.pages.visit import Page, Visit, render
from grader.review.similar_answers import diagnosis_of
from grader.text import one_line

STATES = {
    "open": "open: a person has to give points",
    "final": "final: nothing is open",
    "late": "late",
    "refused": "unread: could not be graded",
    "fault": "faulty: a fault of the grader",
    "unanswered": "something not answered",
}
SORTS = {"input": "as handed in", "name": "name", "points": "points, least first",
         "-points": "points, most first", "open": "most open first"}  # fmt: skip
_ASKED = ("find", "state", "exercise", "failed", "diagnosis", "sort")
"""The fields of the form above the rows; the links to other pages of rows keep them."""
BINS = 10
PER_PAGE = 500
"""Rows of a page: other rows are not drawn, and a large class stays fast."""


@dataclass(frozen=True)
class Absent:
    """The students of class.toml who handed in nothing.

    problem : why the file can't be read; "" if it can
    """

    names: tuple[str, ...] = ()
    problem: str = ""


def absent_of(room: Classroom) -> Absent:
    """Return the students of the assignments' class.toml who have no submission in the run."""
    if room.assignment is None or room.assignment.public_only:
        return Absent()
    file = room.assignment.folder.parent / FILE
    if not file.is_file():
        return Absent()
    try:
        people = read_roster(file)
    except GradeError as error:
        return Absent(problem=one_line(str(error), 300))
    matched = match(people, [*room.results.values()])
    there = matched.claimed | matched.results.keys()
    return Absent(tuple(one_line(one.name, 80) for n, one in enumerate(people) if n not in there))


class Rows:
    """The table's rows, each cached until its submission changes."""

    def __init__(self) -> None:
        self._cache: dict[tuple[int, str], tuple[int, Markup]] = {}
        self._lock = threading.Lock()

    def row(self, room: Classroom, number: int, who: str, path: str, base: str) -> Markup:
        version = room.changed.get(number, 0)
        key = (number, who)
        with self._lock:
            cached = self._cache.get(key)
        if cached is not None and cached[0] == version:
            return cached[1]
        made = _row(room, number, who, path, base)
        with self._lock:
            self._cache[key] = (version, made)
        return made

    def draw(self, room: Classroom, base: str) -> None:
        """Draw the rows of the first page, with names, into the cache."""
        for number in list(room.judged)[:PER_PAGE]:
            path = one_line(room.results[number].path, 120)
            self.row(room, number, room.label(number, names=True), path, base)


def show_class(visit: Visit, rows: Rows) -> Page:
    room, query = visit.room, visit.query
    names = visit.names
    shown = []
    for number in room.judged:
        who = room.label(number, names=names)
        if _is_wanted(room, number, who, query):
            shown.append((number, who))
    sort = query.get("sort", "input")
    shown.sort(key=_sort_key(room, sort if names or sort != "input" else "name"))
    pages = max(1, -(-len(shown) // PER_PAGE))
    page = min(_page(query), pages)
    rows_shown = shown[(page - 1) * PER_PAGE : page * PER_PAGE]
    columns = [column for column in room.columns if visit.grader.sees(column.id)]
    return render(
        visit,
        "class.html.j2",
        columns=columns,
        all_columns=room.columns,
        absent=room.once("absent", lambda: absent_of(room)) if names else Absent(),
        rows=Markup("").join(
            rows.row(room, n, who, one_line(room.results[n].path, 120) if names else "", visit.base)
            for n, who in rows_shown
        ),
        count=len(shown),
        page=page,
        pages=pages,
        first=(page - 1) * PER_PAGE + 1,
        last=(page - 1) * PER_PAGE + len(rows_shown),
        asked={name: value for name, value in query.items() if name in _ASKED},
        histogram=room.once("histogram", lambda: _histogram_of(room)),
        progress=[
            (c, *room.open_count(visit.grader.name, c.id))
            for c in columns
            if c.manual and c.points > 0
        ],
        counts=room.once("states", lambda: _state_counts(room)),
        states=STATES,
        sorts=SORTS,
        query=query,
        failed=room.once_of_verdicts("failing", lambda: _failing_checks(room)),
        diagnoses=room.once_of_verdicts("diagnoses", lambda: _diagnoses(room)),
        live=room.waiting > 0 or (room.run is not None and room.run.ended is None),
    )


def _page(query: Mapping[str, str]) -> int:
    """Return the requested page of rows, from 1; the first one if it is not a number."""
    text = query.get("page", "")
    return max(1, int(text)) if text.isdecimal() and len(text) < 10 else 1


def _histogram_of(room: Classroom) -> list[dict[str, Any]]:
    return histogram([r for r in room.judged.values() if r.status == "graded"])


def states_of(result: Result) -> set[str]:
    """Return the states of a submission, as the filter names them."""
    states = set()
    if result.status == "refused":
        states.add("refused")
    elif result.status == "grader_fault":
        states.add("fault")
    else:
        states.add("open" if result.manual_points else "final")
    if result.origin.late:
        states.add("late")
    if any(e.judgement and not e.judgement.answered for e in result.exercises):
        states.add("unanswered")
    return states


def _state_counts(room: Classroom) -> list[tuple[str, int]]:
    counts = Counter(state for result in room.judged.values() for state in states_of(result))
    return [(state, counts[state]) for state in STATES if counts[state]]


def _is_wanted(room: Classroom, number: int, who: str, query: Mapping[str, str]) -> bool:
    """Return whether a submission passes the filter of the form above the rows."""
    result = room.judged[number]
    text = query.get("find", "").casefold().strip()
    if (
        text
        and text not in who.casefold()
        and not (who in result.students and text in result.path.casefold())
    ):
        return False
    state = query.get("state", "")
    if state and state not in states_of(result):
        return False
    exercise = query.get("exercise", "")
    if exercise and not any(e.id == exercise and e.status != "passed" for e in result.exercises):
        return False
    wrong = [c for e in result.exercises for c in e.checks if c.outcome != "passed"]
    diagnosis = query.get("diagnosis", "")
    if diagnosis and not any(f"{c.exercise}: {diagnosis_of(c)}" == diagnosis for c in wrong):
        return False
    failed = query.get("failed", "")
    return not failed or any(f"{c.exercise}: {c.name}" == failed for c in wrong)


def _failures(room: Classroom) -> Iterator[Outcome]:
    for result in room.judged.values():
        for exercise in result.exercises:
            yield from (c for c in exercise.checks if c.outcome not in ("passed", "skipped"))


def _failing_checks(room: Classroom) -> list[str]:
    counts = Counter(f"{check.exercise}: {check.name}" for check in _failures(room))
    return [name for name, _ in counts.most_common(50)]


def _diagnoses(room: Classroom) -> list[str]:
    counts = Counter(f"{c.exercise}: {diagnosis_of(c)}" for c in _failures(room) if not c.missing)
    return [words for words, _ in counts.most_common(30)]


def _sort_key(room: Classroom, sort: str) -> Callable[[tuple[int, str]], Any]:
    if sort == "name":
        return lambda one: (_with_numbers(one[1]), one[0])
    if sort in ("points", "-points"):
        sign = -1.0 if sort.startswith("-") else 1.0
        return lambda one: (sign * room.judged[one[0]].score, one[0])
    if sort == "open":
        return lambda one: (-room.judged[one[0]].manual_points, one[0])
    return lambda one: one[0]


def _with_numbers(who: str) -> list[str | int]:
    """Return a sort key of a name: "Answer 2" comes before "Answer 10"."""
    parts = re.split(r"(\d+)", who.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def histogram(results: list[Result]) -> list[dict[str, Any]]:
    """Return ten bars, [{"from", "to", "count", "height"}]: percent from, to; how many results."""
    counts = Counter(min(BINS - 1, int(percent(r) * BINS / 100.0 + 1e-9)) for r in results)
    most = max(counts.values(), default=0)
    return [
        {
            "from": place * 100 // BINS,
            "to": (place + 1) * 100 // BINS,
            "count": counts[place],
            "height": round(80.0 * counts[place] / most, 1) if most else 0.0,
        }
        for place in range(BINS)
    ]


def _row(room: Classroom, number: int, who: str, path: str, base: str) -> Markup:
    result = room.judged[number]
    by_id = {exercise.id: exercise for exercise in result.exercises}
    late = Markup(' <span class="tag">late</span>') if result.origin.late else ""
    shown = Markup('<span class="path">{}</span>').format(path) if path else ""
    cells = [Markup('<th scope="row"><bdi>{}</bdi>{}{}</th>').format(who, late, shown)]
    if result.status == "graded":
        opened = (
            Markup(' <span class="tag open">+{} open</span>').format(
                points_text(result.manual_points)
            )
            if result.manual_points
            else ""
        )
        cells.append(
            Markup('<td class="number total">{} / {}{}</td>').format(
                points_text(result.score), points_text(result.max_score), opened
            )
        )
    else:
        word = "unread" if result.status == "refused" else "faulty"
        cells.append(
            Markup('<td class="bad status" colspan="{}">{}: {}</td>').format(
                len(room.columns) + 1, word, one_line(result.message, 200)
            )
        )
        return Markup("<tr>{}</tr>\n").format(Markup("").join(cells))
    for column in room.columns:
        exercise = by_id.get(column.id)
        if exercise is None:
            cells.append(Markup("<td></td>"))
            continue
        tone = STATUS_TONES.get(exercise.status, "bad")
        if is_open(exercise):
            text = "open"
        elif exercise.status in ("manual", "not_gradable"):
            text = "–"
        elif exercise.judgement is not None and not exercise.judgement.answered:
            text = f"{points_text(exercise.points)} (not answered)"
        else:
            text = points_text(exercise.points)
        overruled = any(check.overruled for check in exercise.checks)
        mark = Markup(' <span class="tag">changed</span>') if overruled else ""
        cells.append(
            Markup('<td class="number {}"><a href="{}/q/{}/{}">{}</a>{}</td>').format(
                tone, base, column.place, number, text, mark
            )
        )
    return Markup("<tr>{}</tr>\n").format(Markup("").join(map(escape, cells)))
