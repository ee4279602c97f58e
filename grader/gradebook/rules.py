"""The course's rules on a graded class: which attempt counts, what lateness costs.

The rules are data ([deadline] in assignment.toml, extra days in class.toml). They are applied to
kept results: a changed rule needs no grading, and never changes a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from grader.gradebook.people import Person, match, themselves
from grader.records import Deadline, Note, Result

Status = Literal["graded", "absent", "unclear", "refused", "grader_fault"]
"""absent: handed in nothing; unclear: work that may be theirs is there, and may be another's"""


@dataclass(frozen=True)
class Grade:
    """One person's line in the gradebook.

    result : the attempt that counts; None if nothing was handed in
    points : after the rules; None if no attempt was graded
    score, max_points : of the automatic checks
    open_points : points that a person has yet to give
    lines : how the points were computed, a line each
    attempts : the number of submissions
    by_name : whether only a file's name links the result to this person
    """

    person: Person
    status: Status
    result: Result | None = None
    points: float | None = None
    score: float | None = None
    max_points: float = 0.0
    open_points: float = 0.0
    lines: tuple[str, ...] = ()
    attempts: int = 0
    by_name: bool = False


@dataclass(frozen=True)
class GradedClass:
    """All grades in the roster's order, and the results of people who are not in it; see Matched"""

    grades: tuple[Grade, ...]
    unmatched: tuple[Result, ...] = ()
    unclear: tuple[str, ...] = ()


NOT_CLEAR = "there is work under this name, and it is not clear whose it is"


def grade_class(
    results: Sequence[Result],
    people: Sequence[Person] = (),
    *,
    assignment: str = "",
    deadline: Deadline | None = None,
) -> GradedClass:
    """Return a grade for each person; without a roster, for each person that the results name.

    A person who handed in nothing has a grade without points. Results are not changed.
    """
    everybody, matched = (people, match(people, results)) if people else themselves(results)
    grades = tuple(
        Grade(person, "unclear", lines=(NOT_CLEAR,))
        if n in matched.claimed
        else _grade(person, matched.results.get(n, ()), assignment, deadline, n in matched.by_name)
        for n, person in enumerate(everybody)
    )
    return GradedClass(grades, matched.unmatched, matched.unclear)


def _grade(
    person: Person,
    results: Sequence[Result],
    assignment: str,
    deadline: Deadline | None,
    by_name: bool,
) -> Grade:
    if not results:
        return Grade(person, "absent", lines=("nothing was handed in",))
    rules = deadline or Deadline()
    graded = [result for result in results if result.status == "graded"]
    settled = [(result, *_settled(result, person, assignment, rules)) for result in graded]
    if not settled:
        last = results[-1]
        return Grade(
            person, _status(last), last, lines=(last.message,), attempts=len(results),
            by_name=by_name,
        )  # fmt: skip
    result, points, lines = _counting(settled, rules.attempts)
    if len(results) > 1:
        lines = (f"{len(results)} hand-ins; the {_WHICH[rules.attempts]} counts", *lines)
    unread = len(results) - len(graded)
    if unread:
        lines = (*lines, f"{unread} of the hand-ins could not be read")
    return Grade(
        person,
        "graded",
        result,
        points,
        result.score,
        result.max_score,
        result.manual_points,
        lines,
        len(results),
        by_name,
    )


_WHICH = {"last": "last", "best": "best", "first": "first"}
_Settled = tuple[Result, float, tuple[str, ...]]


def _counting(settled: Sequence[_Settled], which: str) -> _Settled:
    """Return the attempt that counts. Without times, the order of the input is used."""
    if which == "best":
        return max(settled, key=lambda one: one[1])
    in_time = sorted(settled, key=lambda one: one[0].origin.handed_in)
    return in_time[0] if which == "first" else in_time[-1]


def _status(result: Result) -> Status:
    return "refused" if result.status == "refused" else "grader_fault"


def _settled(
    result: Result, person: Person, assignment: str, rules: Deadline
) -> tuple[float, tuple[str, ...]]:
    """Return the points after the deadline's rules, and how they were computed."""
    points = f"{_text(result.score)} of {_text(result.max_score)}"
    if rules.due is None:
        return result.score, (
            f"{points} (late by the platform's record)" if result.origin.late else points,
        )
    when = _moment(result.origin.handed_in)
    if when is None:
        late = "late by the platform's record; " if result.origin.late else ""
        return result.score, (f"{points} ({late}no time of the hand-in is known: no deduction)",)
    extra = person.extra_days.get(assignment, person.extra_days.get("*", 0.0))
    over = when - _local(rules.due) - timedelta(days=extra)
    if over <= timedelta(0):
        granted = f", {_text(extra)} days more granted" if extra else ""
        return result.score, (f"{points}, in time{granted}",)
    days = math.ceil(over / timedelta(days=1))
    late = f"{days} day{'s' if days > 1 else ''} late"
    if rules.late_days is not None and days > rules.late_days:
        return 0.0, (f"{points}, {late}, and {rules.late_days} are accepted: 0",)
    share = min(_share(days, rules), rules.cap)
    counts = round(result.score * (1 - share), 4)
    return counts, (f"{points}, {late}: -{_text(100 * share)} %, counts {_text(counts)}",)


def _share(days: int, rules: Deadline) -> float:
    """Return the share of the points that so many days of lateness cost, before the cap."""
    reached = [share for from_day, share in rules.steps if days >= from_day]
    return max(reached, default=0.0) if rules.steps else days * rules.penalty_per_day


def _moment(text: str) -> datetime | None:
    try:
        return _local(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None


def _local(moment: datetime) -> datetime:
    """Return the moment in this machine's time zone; exports without a zone use it, too."""
    return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment


def _text(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def with_rules(grade: Grade) -> Result | None:
    """Return the grade's result with a note on how its points were computed, for a page."""
    if grade.result is None:
        return None
    notes = tuple(Note("rules", line) for line in grade.lines if line != grade.result.message)
    return replace(grade.result, notes=(*notes, *grade.result.notes))
