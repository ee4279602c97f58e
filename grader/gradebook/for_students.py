"""Results as students may read them: without any text that a hidden check's message quotes.

A check's inputs go to the student's process. The process can send them back in any text: an
exception's class, an attribute, a warning, a figure's label, a value that a message quotes. So
only the instructor reads a hidden check's message. Students read the check's own sentence for
them, which holds no text of the process, or a general sentence for the outcome.
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
    """Return the result without the messages of hidden checks and without the grader's errors."""
    exercises = tuple(
        replace(exercise, checks=tuple(map(_for_students, exercise.checks)))
        for exercise in result.exercises
    )
    # A traceback of the grader is not for students: it may name a hidden check.
    notes = tuple(note for note in result.notes if note.kind != "traceback")
    message = _FAULT if result.status == "grader_fault" else result.message
    return replace(result, exercises=exercises, notes=notes, message=message)


def report_for_students(report: Report) -> Report:
    """Return the report as students may read it: also without the folder of the checks."""
    return replace(
        report,
        results=ForStudents(report.results),
        checks_from="",
        parts=tuple(map(report_for_students, report.parts)),
    )


class ForStudents(Sequence[Result]):
    """Results as students may read them, each made on access."""

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
    # A known mistake quotes the solution, and a trace is computed from the answers.
    if not check.hidden:
        return replace(check, known="", trace="") if check.known or check.trace else check
    # The time is 0: the student's process can choose it, to send out a hidden check's input.
    message = check.for_students or _SENTENCES[check.outcome]
    return replace(check, known="", trace="", message=message, seconds=0.0)
