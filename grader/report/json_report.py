"""The report as JSON: schema 1, stable.

    {"schema": 1, "assignment": "pw02", "seed": 0, "checks_from": FOLDER,
     "submissions": [SUBMISSION, ...]}

FOLDER is the folder of the assignment whose checks ran; "" if no assignment was recognised. If
several assignments were handed in, "assignment" names them all ("hw1, pw02"), "checks_from" is "",

    "assignments": [{"assignment", "title", "checks_from", "submissions": HOW MANY}, ...]

follows it, and each SUBMISSION names its assignment in one more key, "assignment".

SUBMISSION, keys in this order:

    path            as the user named it
    students        names, possibly none
    status          "graded", "refused" (it can't be read) or "grader_fault" (no one loses points)
    message         why it was not graded; "" if it was graded
    score           points earned, bonus included: from the checks, and from people so far
                    (`grade review`); null if it was not graded
    max_score       points that can be earned so far, bonus excluded; null if it was not graded
    manual_points   points that a person has yet to give; in neither number above; null if it was
                    not graded
    exercises       [{"id", "title", "points", "max_points", "status", "checks"}, ...]
    notes           [{"kind", "cell", "message"}, ...]; notes cost no points by themselves
    origin          {"platform", "name", "ids", "late", "handed_in"}: the learning platform's
                    record of the student; "platform" is "" if it came from none
    final           true if it was graded and no points are open

An exercise's status is "passed", "partial", "failed", "missing", "error", "timeout", "manual" or
"not_gradable"; each of its checks is

    {"name", "outcome", "points", "max_points", "hidden", "message", "seconds"}

and an exercise with a written derivation has one key more,

    "derivation": {"note", "counts", "steps", "reached", "suggested_points"}

whose steps are {"cell", "line", "left", "sign", "right", "verdict", "why", "remark", ...} with
verdict "follows", "definition", "differs" or "not read"; a person gives its points.

An exercise that a person has marked has the key

    "judgement": {"done", "answered", "items", "adjustment", "reason", "comment"}

whose items are the rubric's, {"words", "points", "applies"}; "answered" is false if the student
left the template's prompt unchanged. A check whose verdict a person has changed has the reason in
"overruled", and the check's own verdict in "machine": {"outcome", "points"}.

A check has the outcome "passed", "failed", "error", "timeout" or "skipped". An exercise can have
fewer points than the sum of its checks: a broken rule (a forbidden import) costs points, and a
check that can't run on this machine does not count for the exercise's max_points.

cell counts the notebook's cells from 0 and is null if a note concerns no cell; the note's message
names the notebook. Points and seconds have at most 4 decimals. Every number is finite. Texts hold
no control characters or terminal escapes. New keys may be added; these stay.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

from grader.records import ExerciseScore, Note, Origin, Outcome, Report, Result
from grader.report.derivation_words import derivation_json
from grader.report.judgement_words import judgement_json
from grader.text import one_line, printable

SCHEMA = 1


def render(report: Report) -> str:
    """Return the report as JSON text that ends in a line break."""
    return "".join(pieces(report))


def pieces(report: Report) -> Iterator[str]:
    """Yield the same text piece by piece: that of a class is too large for memory."""
    head, _, tail = _dumped({**_head(report), "submissions": []}).rpartition("[]")
    yield f"{head}["
    comma = ""
    for submission in _submissions(report):
        yield f"{comma}\n{_dumped(submission)}".replace("\n", "\n    ")
        comma = ","
    yield f"\n  ]{tail}\n" if comma else f"]{tail}\n"


def _dumped(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def as_dict(report: Report) -> dict[str, object]:
    """Return the report as plain dicts, lists, strings and finite numbers."""
    return {**_head(report), "submissions": [*_submissions(report)]}


def _head(report: Report) -> dict[str, object]:
    head: dict[str, object] = {
        "schema": SCHEMA,
        "assignment": report.assignment,
        "seed": report.seed,
        "checks_from": one_line(report.checks_from, 1000),
    }
    if report.parts:
        head["assignments"] = [
            {
                "assignment": part.assignment,
                "title": one_line(part.title),
                "checks_from": one_line(part.checks_from, 1000),
                "submissions": len(part.results),
            }
            for part in report.parts
        ]
    return head


def _submissions(report: Report) -> Iterator[dict[str, object]]:
    for part in report.each:
        own = {"assignment": part.assignment} if report.parts else {}
        for result in part.results:
            yield {**_submission(_sound(result)), **own}


def _sound(result: Result) -> Result:
    # Points that are not finite can only be the grader's mistake: no student loses points, and one
    # submission's nan must not break the report of the others.
    numbers = [result.score, result.max_score, result.manual_points]
    for exercise in result.exercises:
        numbers += [exercise.points, exercise.max_points]
        for check in exercise.checks:
            numbers += [check.points, check.max_points]
    if all(math.isfinite(number) for number in numbers):
        return result
    return replace(
        result,
        status="grader_fault",
        message="the grader computed points that are not a finite number",
        score=0.0,
        max_score=0.0,
        manual_points=0.0,
        exercises=(),
    )


def _submission(result: Result) -> dict[str, object]:
    graded = result.status == "graded"
    return {
        "path": one_line(result.path, 1000),
        "students": [one_line(name) for name in result.students],
        "status": result.status,
        "message": printable(result.message),
        "score": _points(result.score) if graded else None,
        "max_score": _points(result.max_score) if graded else None,
        "manual_points": _points(result.manual_points) if graded else None,
        "exercises": [_exercise(exercise) for exercise in result.exercises],
        "notes": [_note(note) for note in result.notes],
        "origin": _origin(result.origin),
        "final": graded and not result.manual_points,
    }


def _origin(origin: Origin) -> dict[str, object]:
    return {
        "platform": origin.platform,
        "name": one_line(origin.name),
        "ids": {key: one_line(value, 400) for key, value in origin.ids.items()},
        "late": origin.late,
        "handed_in": one_line(origin.handed_in),
    }


def _exercise(exercise: ExerciseScore) -> dict[str, object]:
    derivation = exercise.derivation
    more: dict[str, object] = {}
    if derivation is not None:
        more["derivation"] = derivation_json(derivation)
    if exercise.judgement is not None:
        more["judgement"] = judgement_json(exercise.judgement)
    return {
        "id": exercise.id,
        "title": exercise.title,
        "points": _points(exercise.points),
        "max_points": _points(exercise.max_points),
        "status": exercise.status,
        "checks": [_check(check) for check in exercise.checks],
        **more,
    }


def _check(check: Outcome) -> dict[str, object]:
    more: dict[str, object] = {}
    if check.overruled:
        more["overruled"] = printable(check.overruled, 1000)
        more["machine"] = {
            "outcome": check.machine,
            "points": _points(check.machine_credit * check.max_points - check.penalty),
        }
    return {
        "name": check.name,
        "outcome": check.outcome,
        "points": _points(check.points),
        "max_points": _points(check.max_points),
        "hidden": check.hidden,
        "message": printable(check.message),
        "seconds": round(check.seconds, 4) if math.isfinite(check.seconds) else 0.0,
        **more,
    }


def _note(note: Note) -> dict[str, object]:
    named = note.notebook in note.message
    message = note.message if named else f"{note.notebook}: {note.message}"
    return {"kind": note.kind, "cell": note.cell, "message": printable(message)}


def _points(points: float) -> float:
    # + 0.0 turns -0.0 into 0.0, and an integer into the float that the schema promises.
    return round(float(points), 4) + 0.0
