"""Results as students may read them: no word of what a student's process said in a hidden check.

A check's inputs go to the student's process, which may send them back in any text: an
exception's class, an attribute, a warning, a figure's label, a value that a message quotes. So a
hidden check's message is only for the instructor. Students read the sentence that the check's
outcome has for them, where no word of the process is in it, or one that says nothing further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from grader.records import CheckStatus, Outcome, Report, Result

_SENTENCES: dict[CheckStatus, str] = {
    "passed": "",
    "failed": "What came back is not right.",
    "error": "The code raised an error, or its process ended.",
    "timeout": "The time limit passed.",
    "skipped": "It was not run.",
}
_FAULT = "a fault of the grader, not of the submission"


def for_students(result: Result) -> Result:
    """Return the result without what its student's process said in hidden checks."""
    exercises = tuple(
        replace(exercise, checks=tuple(map(_for_students, exercise.checks)))
        for exercise in result.exercises
    )
    # A traceback of the grader is not the student's to read, nor is the check that it names.
    notes = tuple(note for note in result.notes if note.kind != "traceback")
    message = _FAULT if result.status == "grader_fault" else result.message
    return replace(result, exercises=exercises, notes=notes, message=message)


def report_for_students(report: Report) -> Report:
    """Return the report with results as students may read them, and without where checks lie."""
    return replace(
        report,
        results=ForStudents(report.results),
        checks_from="",
        parts=tuple(map(report_for_students, report.parts)),
    )


class ForStudents(Sequence[Result]):
    """Results as students may read them, each made when it is looked at."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = results

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> ForStudents: ...

    def __getitem__(self, index: int | slice) -> Result | ForStudents:
        if isinstance(index, slice):
            return ForStudents(self._results[index])
        return for_students(self._results[index])

    def __len__(self) -> int:
        return len(self._results)


def _for_students(check: Outcome) -> Outcome:
    # The change of a known mistake is the solution's text; a trace is made of the answers.
    if not check.hidden:
        return replace(check, known="", trace="") if check.known or check.trace else check
    # How long it took is the student's to choose, as finely as a clock tells.
    message = check.for_students or _SENTENCES[check.outcome]
    return replace(check, known="", trace="", message=message, seconds=0.0)
