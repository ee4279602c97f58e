"""A table for a spreadsheet: a row for each student, a column for each exercise.

It is UTF-8 with a byte order mark, which Excel needs. No cell can be read as a formula, whatever
a student's name is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from grader.gradebook.rules import Grade
from grader.text import one_line

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_IDS = ("participant", "user", "username", "sid", "email", "anonymous")


def render(grades: Sequence[Grade], exercises: Iterable[str] = ()) -> str:
    """Return the table as CSV text, with the byte order mark. exercises : columns to add"""
    results = [grade.result for grade in grades if grade.result is not None]
    found = dict.fromkeys(exercises) | dict.fromkeys(
        exercise.id for result in results for exercise in result.exercises
    )
    kinds = [kind for kind in _IDS if any(grade.person.ids.get(kind) for grade in grades)]
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(
        ["name", *kinds, "group", "status", "points", "score", "maximum", "open points",
         *map(safe, found), "late", "attempts", "remarks", "file"]
    )  # fmt: skip
    for grade in grades:
        writer.writerow([safe(cell) for cell in _row(grade, kinds, list(found))])
    return "\ufeff" + made.getvalue()


def _row(grade: Grade, kinds: Sequence[str], exercises: Sequence[str]) -> list[str]:
    person, result = grade.person, grade.result
    earned = {e.id: e for e in result.exercises} if result is not None else {}
    graded = grade.points is not None
    return [
        person.name,
        *(person.ids.get(kind, "") for kind in kinds),
        person.group,
        grade.status,
        _number(grade.points),
        _number(grade.score),
        _number(grade.max_points if graded else None),
        _number(grade.open_points if graded else None),
        *(
            _number(earned[name].points if earned[name].status != "manual" else None)
            if name in earned
            else ""
            for name in exercises
        ),
        "yes" if result is not None and result.origin.late else "",
        str(grade.attempts),
        "; ".join(grade.lines) + ("; by the file's name alone" if grade.by_name else ""),
        result.path if result is not None else "",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def safe(text: str) -> str:
    """Return the text of a cell, safe in every spreadsheet: a quote turns a formula into text."""
    line = one_line(text, 2000)
    if line.startswith(_FORMULA) and not _is_number(line):
        return "'" + line
    return line


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text[:1] != "+" and not text[1:2].isalpha()
