"""A person's marks in reports: the same words at a terminal, on a page, in JSON."""

from __future__ import annotations

from collections.abc import Iterator

from grader.records import ExerciseScore, Judgement
from grader.report.wording import points_text
from grader.text import one_line, printable

_COMMENT = 4000


def judgement_lines(exercise: ExerciseScore) -> Iterator[str]:
    """Yield lines on a person's marks: the items that apply, points beside them, the comment."""
    judgement = exercise.judgement
    if judgement is None:
        return
    if not judgement.answered and not judgement.done:
        yield "not answered: the prompt is unchanged"
    for mark in judgement.marks:
        if mark.applies:
            yield f"{signed(mark.points)}  {one_line(mark.words, 500)}"
    if judgement.adjustment:
        yield f"{signed(judgement.adjustment)}  {one_line(judgement.reason, 500)}"
    if judgement.comment:
        yield printable(judgement.comment, _COMMENT)


def missed(judgement: Judgement) -> list[str]:
    """Return the words of the items that give points and don't apply."""
    return [one_line(m.words, 500) for m in judgement.marks if m.points > 0 and not m.applies]


def signed(points: float) -> str:
    """Return points with their sign: "+2", "−0.5", "0"."""
    text = points_text(abs(points))
    return "0" if text == "0" else f"+{text}" if points > 0 else f"−{text}"


def judgement_json(judgement: Judgement) -> dict[str, object]:
    """Return a person's marks for JSON, with printable texts."""
    return {
        "done": judgement.done,
        "answered": judgement.answered,
        "items": [
            {
                "words": one_line(mark.words, 500),
                "points": round(mark.points, 4),
                "applies": mark.applies,
            }
            for mark in judgement.marks
        ],
        "adjustment": round(judgement.adjustment, 4),
        "reason": printable(judgement.reason, 1000),
        "comment": printable(judgement.comment, _COMMENT),
    }
