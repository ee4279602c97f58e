"""The small table that a notebook shows under a cell, as HTML and as text."""

from __future__ import annotations

from grader.records import Result
from grader.report.derivation_words import derivation_lines
from grader.report.templates import environment
from grader.report.wording import (
    MARKS,
    REFUSAL_WORDS,
    complaints,
    deducted,
    exercise_points,
    open_text,
    percent_text,
    points_text,
    result_tone,
    score_text,
    share,
    status_text,
    tone,
)
from grader.text import one_line, printable

_MESSAGE_LIMIT = 1000


def render_html(result: Result) -> str:
    """Return an HTML fragment without script or style sheet; student-written text is escaped."""
    return (
        environment()
        .get_template("table.html.j2")
        .render(
            refusal="" if result.status == "graded" else REFUSAL_WORDS[result.status],
            message=printable(result.message, _MESSAGE_LIMIT),
            tone=result_tone(result),
            percent=percent_text(result),
            score=points_text(result.score),
            max_score=points_text(result.max_score),
            open_text=open_text(result.manual_points) if result.manual_points else "",
            exercises=[
                {
                    "id": one_line(exercise.id),
                    "title": one_line(exercise.title),
                    "tone": tone(exercise),
                    "mark": MARKS[tone(exercise)],
                    "status": status_text(exercise),
                    "points": points_text(exercise.points),
                    "max_points": points_text(exercise.max_points),
                    "open": exercise.status in ("manual", "not_gradable"),
                    "share": share(exercise.points, exercise.max_points),
                    "deducted": points_text(deducted(exercise)) if deducted(exercise) else "",
                    "derivation": list(derivation_lines(exercise)),
                    "complaints": [
                        {
                            "names": one_line("; ".join(complaint.names)),
                            "message": printable(complaint.message, _MESSAGE_LIMIT)
                            or complaint.outcome,
                        }
                        for complaint in complaints(exercise.checks)
                    ],
                }
                for exercise in result.exercises
            ],
        )
    )


def render_text(result: Result) -> str:
    """Return the same table as text, for a console or a notebook viewer without HTML."""
    if result.status != "graded":
        return f"{REFUSAL_WORDS[result.status]}: {printable(result.message, _MESSAGE_LIMIT)}"
    lines = []
    width = max((len(one_line(exercise.id)) for exercise in result.exercises), default=0)
    for exercise in result.exercises:
        mark = MARKS[tone(exercise)]
        name = one_line(exercise.id).ljust(width)
        lines.append(f"{mark} {name} {exercise_points(exercise):>9}  {status_text(exercise)}")
        for complaint in complaints(exercise.checks):
            lines.append(f"    {one_line('; '.join(complaint.names))}")
            message = printable(complaint.message, _MESSAGE_LIMIT) or complaint.outcome
            lines += [f"    │ {line}" for line in message.split("\n")]
        lines += [f"    │ {line}" for line in derivation_lines(exercise)]
    lines.append(f"Total {score_text(result)} points ({percent_text(result)})")
    if result.manual_points:
        lines.append(open_text(result.manual_points))
    return "\n".join(lines)
