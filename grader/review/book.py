"""All marks of an assignment, read at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.batch.store import Store
from grader.review.marking import Grading, read_grading
from grader.review.overrides import Override, overrides_of
from grader.review.rubric import Item, items_of

Key = tuple[str, str, str, int]
"""subject, exercise, answer, round"""


@dataclass(frozen=True)
class Book:
    """The marks of an assignment.

    items : rubric items by exercise, in order; starts : "none" or "full" by exercise
    gradings : by Key; overrides : by exercise and check
    """

    items: Mapping[str, list[Item]] = field(default_factory=dict)
    starts: Mapping[str, str] = field(default_factory=dict)
    gradings: Mapping[Key, Grading] = field(default_factory=dict)
    overrides: Mapping[tuple[str, str], list[Override]] = field(default_factory=dict)

    def grading(self, subject: str, exercise: str, answer: str, round_: int = 1) -> Grading:
        return self.gradings.get((subject, exercise, answer, round_), Grading())


def has_marks(store: Store, assignment: str) -> bool:
    """Return whether people have started to mark this assignment."""
    with store.guarded():
        row = store.connection.execute(
            "SELECT 1 FROM history WHERE assignment = ? LIMIT 1", (assignment,)
        ).fetchone()
    return row is not None


def read_book(store: Store, assignment: str, *, subject: str | None = None) -> Book:
    """Return the current marks.

    subject : only the marks of this student
    """
    items: dict[str, list[Item]] = defaultdict(list)
    for item in items_of(store, assignment):
        items[item.exercise].append(item)
    wanted = {"assignment": assignment, "subject": subject}
    with store.guarded():
        starts = store.connection.execute(
            "SELECT exercise, start FROM rubrics WHERE assignment = ?", (assignment,)
        ).fetchall()
        marks = store.connection.execute(
            "SELECT subject, marks.exercise, answer, round, item FROM marks "
            "JOIN rubric_items ON rubric_items.id = item "
            "WHERE marks.assignment = :assignment AND NOT retired "
            "AND (:subject IS NULL OR subject = :subject)",
            wanted,
        ).fetchall()
        gradings = store.connection.execute(
            "SELECT subject, exercise, answer, round, comment, adjustment, reason, done, grader, "
            "changed, version FROM gradings WHERE assignment = :assignment "
            "AND (:subject IS NULL OR subject = :subject)",
            wanted,
        ).fetchall()
    applying: dict[Key, set[int]] = defaultdict(set)
    for *key, item in marks:
        applying[tuple(key)].add(item)
    return Book(
        dict(items),
        dict(starts),
        {row[:4]: read_grading(row[4:], applying.get(row[:4], ())) for row in gradings},
        overrides_of(store, assignment),
    )
