"""The words for points, statuses and places in reports: the same in every format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.records import (
    CheckStatus,
    ExerciseScore,
    ExerciseStatus,
    Note,
    Outcome,
    Report,
    Result,
    SubmissionStatus,
)
from grader.text import one_line

# A status in words; a tone is a colour in the terminal and a class in HTML.
STATUS_WORDS: dict[ExerciseStatus, str] = {
    "passed": "passed",
    "partial": "partial",
    "failed": "failed",
    "missing": "missing",
    "error": "error",
    "timeout": "timed out",
    "manual": "open",
    "not_gradable": "not gradable",
}
STATUS_TONES: dict[ExerciseStatus, str] = {
    "passed": "good",
    "partial": "part",
    "failed": "bad",
    "missing": "bad",
    "error": "bad",
    "timeout": "bad",
    "manual": "open",
    "not_gradable": "open",
}
MARKS = {"good": "✓", "part": "◐", "bad": "✗", "open": "○"}
OUTCOME_WORDS: dict[CheckStatus, str] = {
    "passed": "passed",
    "failed": "failed",
    "error": "error",
    "timeout": "timed out",
    "skipped": "skipped",
}
_EVIDENCE = ("expected ", "got ", "where: ", "With a right one:")
"""How lines of a message begin that are no advice."""

REFUSAL_WORDS: dict[SubmissionStatus, str] = {
    "graded": "graded",
    "refused": "refused",
    # The message says whose fault it is.
    "grader_fault": "not graded",
}
# For the narrow column of a summary.
REFUSAL_SHORT: dict[SubmissionStatus, str] = {**REFUSAL_WORDS, "grader_fault": "grader fault"}

# Jupyter does not show this number: a reader who looks for the cell has to count.
_COUNTED = ", counted from 0, text cells too"
_NOTE_TITLES = {
    "changed_outside_region": "Changed outside the gaps",
    "markers_missing": "Markers missing",
    "extracted": "Definitions graded on their own",
    "cell_error": f"Cells that raised an error{_COUNTED}",
    "cell_timeout": f"Cells that ran out of time{_COUNTED}",
    "cell_crash": f"Cells that ended the kernel{_COUNTED}",
    "time_budget": "Out of time",
    "forbidden": "Forbidden here",
    "not_searched": "Not searched to the end",
    "wrong_name": "Names and files",
    "other_notebooks": "Other notebooks",
    "public": "Only public checks",
    "follow_through": "Points that follow through",
}
# Above the rounding error of sums such as 0.1 + 0.2, and below any points that a check gives.
_NO_POINTS = 1e-6


def checks_from(report: Report) -> str:
    """Return the line that names the checks' folder, "checks of reference/pw02"; "" if unknown.

    The folder is relative to the user's working folder if it is inside, and absolute otherwise.
    """
    if not report.checks_from:
        return ""
    folder = Path(report.checks_from)
    shown = str(folder)
    try:
        here = Path.cwd()
        near = Path(*folder.parts[-2:])
        if folder.is_relative_to(here.resolve()):
            shown = str(folder.relative_to(here.resolve()))
        elif (here / near).resolve() == folder:  # through a link
            shown = str(near)
    except OSError:  # the working folder was deleted
        pass
    return f"checks of {one_line(shown, 300)}"


@dataclass(frozen=True)
class Complaint:
    """One message of an exercise, with every check that gave it.

    lost : points that these checks did not give
    outcome : the worst outcome ("skipped" < "failed" < "timeout" < "error")
    """

    names: tuple[str, ...]
    message: str
    lost: float
    outcome: CheckStatus
    hidden: bool


def points_text(points: float) -> str:
    """Return points as people write them: 4, 4.5, 3.33."""
    text = f"{points:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def score_text(result: Result) -> str:
    """Return "4.5 / 8", the automatic score and its maximum."""
    return f"{points_text(result.score)} / {points_text(result.max_score)}"


def exercise_points(exercise: ExerciseScore) -> str:
    """Return "4.5 / 8", or "– / 8" if the checks give no points."""
    earned = "–" if exercise.status in ("manual", "not_gradable") else points_text(exercise.points)
    return f"{earned} / {points_text(exercise.max_points)}"


def open_text(points: float) -> str:
    """Return the sentence on points that a person gives: they are open, not lost."""
    if points == 1:
        return "1 point is open: a person grades it"
    return f"{points_text(points)} points are open: a person grades them"


def share(points: float, max_points: float) -> float:
    """Return points / max_points in [0, 1]; 1.0 if max_points is 0."""
    if max_points <= 0:
        return 1.0
    return min(1.0, max(0.0, points / max_points))


def percent(result: Result) -> float:
    """Return the automatic score in percent; more than 100 with bonus points.

    100.0 if nothing is graded automatically.
    """
    return 100.0 if result.max_score <= 0 else 100.0 * result.score / result.max_score


def percent_text(result: Result) -> str:
    """Return "41 %"; "100 %" only for a full score."""
    value = percent(result)
    rounded = round(value)
    if rounded == 100 and value < 100 - _NO_POINTS:
        return "99 %"
    return f"{rounded} %"


def status_text(exercise: ExerciseScore) -> str:
    return STATUS_WORDS.get(exercise.status, exercise.status)


def tone(exercise: ExerciseScore) -> str:
    return STATUS_TONES.get(exercise.status, "bad")


def result_tone(result: Result) -> str:
    """Return the tone of a whole submission: good, part or bad."""
    if result.status != "graded":
        return "bad"
    value = percent(result)
    return "good" if value >= 100 - _NO_POINTS else "part" if value >= 50 else "bad"


def deducted(exercise: ExerciseScore) -> float:
    """Return the points that a broken rule cost; 0.0 if there is none."""
    if exercise.judgement is not None:  # a person's points replace the sum of the checks
        return 0.0
    taken = sum(check.points for check in exercise.checks) - exercise.points
    return taken if taken > _NO_POINTS else 0.0


def complaints(checks: Sequence[Outcome]) -> list[Complaint]:
    """Return the messages of the checks that did not pass; checks with one message share it.

    Advice that stands in an earlier message of these checks is not repeated.
    """
    severity: dict[CheckStatus, int] = {"skipped": 0, "failed": 1, "timeout": 2, "error": 3}
    by_message: dict[str, list[Outcome]] = {}
    for check in checks:
        if check.outcome != "passed":
            by_message.setdefault(check.message.strip(), []).append(check)
    said: set[str] = set()
    return [
        Complaint(
            names=tuple(check.name for check in same),
            message=_without_repeated(message, said),
            # Points of a check that could not run here are not lost.
            lost=sum(c.max_points - c.points for c in same if c.outcome != "skipped"),
            outcome=max((check.outcome for check in same), key=lambda o: severity.get(o, 1)),
            hidden=all(check.hidden for check in same),
        )
        for message, same in by_message.items()
    ]


def _without_repeated(message: str, said: set[str]) -> str:
    """Return a message without the advice at its end that is said already; add its lines."""
    lines = message.splitlines()
    kept = [*lines]
    while len(kept) > 1 and kept[-1] in said and not kept[-1].startswith(_EVIDENCE):
        kept.pop()
    said.update(lines[1:])
    return "\n".join(kept)


def placed(note: Note) -> tuple[str, str]:
    """Return a note's place ("sigmoid.ipynb, cell 4", or "") and its text.

    A message that already names the place does not repeat it.
    """
    notebook, cell, text = note.notebook, "", note.message
    if note.cell is not None:
        cell = cell_text(note.cell)
        text = text.removeprefix(f"{cell}: ")
        if re.search(rf"\b{cell}\b", text):
            cell = ""
    if notebook in text:
        notebook = ""
    return ", ".join(part for part in (notebook, cell) if part), text


def cell_text(index: int) -> str:
    return f"cell {index}"


def notes_by_title(notes: Iterable[Note]) -> dict[str, list[Note]]:
    """Return the notes by their kind's title, in the order in which the kinds come."""
    grouped: dict[str, list[Note]] = {}
    for note in notes:
        title = _NOTE_TITLES.get(note.kind) or note.kind.replace("_", " ").capitalize() or "Notes"
        grouped.setdefault(title, []).append(note)
    return grouped


def label(result: Result) -> str:
    """Return a submission's label: the students' names, else the path."""
    return ", ".join(result.students) or result.path
