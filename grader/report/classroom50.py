"""The report as Classroom 50's result.json. Scores there are integers: our points times 100.

Environment variables name the submission: classroom, commit, addresses.
Source: Classroom 50, schema "classroom50/result/v1".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from grader.records import Report
from grader.text import printable

FACTOR = 100
_KEYS = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


def pieces(
    report: Report, *, environ: Mapping[str, str] = os.environ, now: datetime | None = None
) -> Iterator[str]:
    """Yield the JSON text: one test for each exercise of the report's first submission."""
    counted = [
        exercise
        for result in report.results[:1]
        for exercise in result.exercises
        if exercise.status not in ("manual", "not_gradable")
    ]
    tests = [
        {
            "test-name": f"{exercise.id}: {exercise.title}",
            "passed": exercise.status == "passed",
            "score": _whole(exercise.points),
            "max-score": _whole(exercise.max_points),
            "messages": [
                printable(check.message, 2000)
                for check in exercise.checks
                if check.message and not check.hidden
            ],
        }
        for exercise in counted
    ]
    first = report.results[0] if report.results else None
    found = {
        **failure(first.message if first else "nothing was handed in", environ=environ, now=now),
        "score": _whole(first.score or 0.0) if first else 0,
        "max-score": _whole(first.max_score or 0.0) if first else 0,
        "tests": tests,
    }
    yield json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def failure(
    message: str, *, environ: Mapping[str, str] = os.environ, now: datetime | None = None
) -> dict[str, object]:
    """Return the result of a submission that was not graded."""
    return {
        "schema": "classroom50/result/v1",
        **{key: environ.get(name, "") for key, name in _KEYS.items()},
        "datetime": (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": 0,
        "max-score": 0,
        "tests": [],
        "message": printable(message, 2000),
    }


def failure_text(message: str) -> str:
    """Return the text of result.json for a submission that was not graded."""
    return json.dumps(failure(message), ensure_ascii=False)


def _whole(points: float) -> int:
    return round(points * FACTOR)
