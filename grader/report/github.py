"""The report inside GitHub Actions: annotations at the notebook's cells, and a job summary.

`grade` writes both if $GITHUB_ACTIONS is "true". An annotation is one line,

    ::error file=sigmoid.ipynb,line=41,title=2a-sigmoid 3 / 8::large inputs: ...

and the summary is Markdown that is appended to the file of $GITHUB_STEP_SUMMARY. Student-written
text is escaped in both: it can't begin a command, and is not read as Markdown.
Source: docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from grader.records import ExerciseScore, Report, Result
from grader.report.class_summary import summarise
from grader.report.wording import (
    MARKS,
    REFUSAL_SHORT,
    REFUSAL_WORDS,
    checks_from,
    complaints,
    exercise_points,
    label,
    open_text,
    percent_text,
    points_text,
    score_text,
    status_text,
    tone,
)
from grader.text import one_line, printable

# GitHub shows the first ten of a step and drops the rest.
MAX_ANNOTATIONS = 10
# A step's summary may have 1 MiB; GitHub drops a longer one.
MAX_SUMMARY_BYTES = 900_000
_MESSAGE = 600
_MAX_NOTEBOOK_BYTES = 20 * 2**20
_PLAIN = re.compile(r"[^\w .,:;()%/+=-]|_")
_CELL = re.compile(r'^\s*"cell_type"\s*:')


class Annotations:
    """The workflow commands of the added results: the ten exercises that lost most points.

    A result with evidence is annotated at its cells. GitHub finds the files if `grade` runs in the
    checkout's top folder.
    """

    def __init__(self) -> None:
        self._found: list[tuple[float, str]] = []

    def add(self, result: Result) -> None:
        found = [*self._found, *_annotations_of(result)]
        self._found = sorted(found, key=lambda pair: -pair[0])[:MAX_ANNOTATIONS]

    def commands(self) -> list[str]:
        return [command for _, command in self._found]


def summary(report: Report) -> str:
    """Return the job summary as Markdown, cut after MAX_SUMMARY_BYTES."""
    parts, size = [], 0
    for part in (text for one in report.each for text in _summary_parts(one)):
        size += len(part.encode())
        if size > MAX_SUMMARY_BYTES:
            parts.append("\n\nThe rest is too long for a summary: see --html or --json.\n")
            break
        parts.append(part)
    return "".join(parts)


# --- annotations ----------------------------------------------------------------------------


def _annotations_of(result: Result) -> Iterator[tuple[float, str]]:
    """Yield (points lost, command) of each exercise that lost points."""
    if result.status != "graded":
        title = REFUSAL_WORDS[result.status]
        yield float("inf"), _command("error", result.path, 1, title, printable(result.message))
        return
    for exercise in result.exercises:
        lost = exercise.max_points - exercise.points
        if exercise.status in ("passed", "manual", "not_gradable") or lost <= 0:
            continue
        messages = [
            f"{one_line('; '.join(one.names), 200)}: "
            + ("a hidden check" if one.hidden else printable(one.message, _MESSAGE))
            for one in complaints(exercise.checks)
        ]
        title = f"{exercise.id} {exercise_points(exercise)}"
        file, line = _place(result, exercise)
        text = "\n".join(messages) or status_text(exercise)
        yield lost, _command("error", file, line, title, text)


def _place(result: Result, exercise: ExerciseScore) -> tuple[str, int]:
    """Return the file and the line where the exercise's cell begins; line 1 if unknown."""
    for region in result.evidence.regions.get(exercise.id, ()):
        return result.path, line_of_cell(Path(result.path), region.cell)
    return result.path, 1


def line_of_cell(path: Path, cell: int) -> int:
    """Return the line (from 1) of an .ipynb file where a cell (from 0) begins; 1 if unknown."""
    try:
        if path.suffix != ".ipynb" or path.stat().st_size > _MAX_NOTEBOOK_BYTES:
            return 1
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return 1
    found = [number for number, line in enumerate(lines, start=1) if _CELL.match(line)]
    return found[cell] if cell < len(found) else 1


def _command(kind: str, file: str, line: int, title: str, message: str) -> str:
    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def in_property(text: str) -> str:
        return escaped(one_line(text)).replace(":", "%3A").replace(",", "%2C")

    where = f"file={in_property(file)},line={line},title={in_property(title)}"
    return f"::{kind} {where}::{escaped(message)}"


# --- the job summary ------------------------------------------------------------------------


def _summary_parts(report: Report) -> Iterator[str]:
    yield f"## {_plain(report.title or report.assignment)}\n\n"
    if checks := checks_from(report):
        yield f"{_plain(checks)}\n\n"
    if len(report.results) != 1:
        for fact in summarise(report.results).lines():
            yield f"- {_plain(fact.removeprefix('- '))}\n"
        yield "\n| handed in by | points | open | result |\n|---|--:|--:|---|\n"
        for result in report.results:
            yield _row(result)
        return
    (result,) = report.results
    yield f"**{_plain(label(result))}**\n\n"
    if result.status != "graded":
        yield f"{REFUSAL_WORDS[result.status]}: {_plain(result.message)}\n"
        return
    yield "| | exercise | points | result |\n|---|---|--:|---|\n"
    for exercise in result.exercises:
        name = _plain(f"{exercise.id} {exercise.title}")
        points, status = exercise_points(exercise), status_text(exercise)
        yield f"| {MARKS[tone(exercise)]} | {name} | {points} | {status} |\n"
    yield f"| | **Total** | **{score_text(result)}** | **{percent_text(result)}** |\n\n"
    if result.manual_points:
        yield f"{open_text(result.manual_points)}\n\n"
    for exercise in result.exercises:
        for one in complaints(exercise.checks):
            names = _plain("; ".join(one.names))
            message = "a hidden check" if one.hidden else printable(one.message, _MESSAGE)
            lines = "<br>".join(map(_plain, message.split("\n")))
            yield f"- **{_plain(exercise.id)}**, {names}: {lines}\n"


def _row(result: Result) -> str:
    if result.status != "graded":
        return f"| {_plain(label(result))} | | | {REFUSAL_SHORT[result.status]} |\n"
    name, score = _plain(label(result)), score_text(result)
    open_ = points_text(result.manual_points) if result.manual_points else ""
    return f"| {name} | {score} | {open_} | {percent_text(result)} |\n"


def _plain(text: str) -> str:
    """Return the text on one line, escaped so that nothing in it is Markdown, HTML or a mention."""
    return _PLAIN.sub(lambda match: f"&#{ord(match[0])};", one_line(text, 300))
