"""The report as Gradescope's results.json: points, messages, visibility.

Each exercise is one test with its public checks, and one with its hidden checks if it has any.
Gradescope does not show the latter to students. `score` is the submission's score: with deductions,
bonus and rounding it may differ from the sum of the tests. Manual exercises have no score here.
Source: Gradescope, "Autograder Specifications".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from grader.records import ExerciseScore, Outcome, Report, Result
from grader.report.wording import REFUSAL_WORDS, open_text
from grader.text import printable

Visibility = Literal["hidden", "after_due_date", "after_published", "visible"]
_MESSAGE = 4000


def pieces(report: Report, *, hidden: Visibility = "hidden") -> Iterator[str]:
    """Yield the JSON text of the report's one submission: a harness grades one student at a time.

    hidden : who sees the tests of hidden checks. Where students see them, they read only the
        sentences that hidden checks have for them
    """
    if len(report.results) == 1:
        yield _text(_results(report, report.results[0], hidden))
        return
    found = f"{len(report.results)} submissions were found where one was expected"
    yield _text(failure(f"nothing was graded: {found}"))


def failure(message: str) -> dict[str, object]:
    """Return the result of a submission that was not graded, with 0 points."""
    return {
        "score": 0.0,
        "output": printable(message, _MESSAGE),
        "output_format": "text",
        "stdout_visibility": "hidden",
    }


def _text(results: dict[str, object]) -> str:
    return json.dumps(results, ensure_ascii=False, indent=1) + "\n"


def _results(report: Report, result: Result, hidden: Visibility) -> dict[str, object]:
    if result.status != "graded":
        message = f"{REFUSAL_WORDS[result.status]}: {result.message}"
        return failure(message)
    lines = [printable(note.message, _MESSAGE) for note in result.notes]
    if result.manual_points:
        lines.append(open_text(result.manual_points))
    tests = [test for exercise in result.exercises for test in _tests(exercise, hidden)]
    return {
        "score": round(result.score or 0.0, 4),
        "output": "\n\n".join(map(_fenced, lines)),
        "output_format": "md",
        "test_output_format": "md",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [{**test, "number": str(n)} for n, test in enumerate(tests, start=1)],
        "extra_data": {
            "assignment": report.assignment,
            "seed": report.seed,
            "max_score": round(result.max_score or 0.0, 4),
            "manual_points": result.manual_points,
            "isolation": report.isolation,
        },
    }


def _tests(exercise: ExerciseScore, hidden: Visibility) -> Iterator[dict[str, object]]:
    name = f"{exercise.id}: {exercise.title}"
    if exercise.status in ("manual", "not_gradable"):
        why = open_text(exercise.max_points) if exercise.status == "manual" else "not gradable here"
        yield {"name": name, "output": why, "status": "passed", "visibility": "visible"}
        return
    public_checks = [check for check in exercise.checks if not check.hidden]
    hidden_checks = [check for check in exercise.checks if check.hidden]
    if public_checks:
        yield _test(name, public_checks, "visible")
    if hidden_checks:
        yield _test(f"{name} (hidden checks)", hidden_checks, hidden)


def _test(name: str, checks: Sequence[Outcome], visibility: Visibility) -> dict[str, object]:
    texts = [check.message for check in checks]
    if visibility != "hidden":
        texts = [check.for_students if check.hidden else check.message for check in checks]
    points = sum(check.points for check in checks)
    wrong = [check for check in checks if check.outcome != "passed" or check.penalty]
    parts = [
        f"**{_plain(check.name)}**\n\n{_fenced(printable(text, _MESSAGE))}"
        for check, text in zip(checks, texts, strict=True)
        if text and (check in wrong or check.missing)
    ]
    return {
        "name": name,
        "score": round(max(0.0, points), 4),
        "max_score": round(sum(check.max_points for check in checks), 4),
        "status": "failed" if wrong else "passed",
        "output": "\n\n".join(parts),
        "visibility": visibility,
    }


def _fenced(text: str) -> str:
    """Return a Markdown code block that shows any text literally."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}" if text else ""


def _plain(text: str) -> str:
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>()#+-.!|" else c for c in printable(text, 200))
