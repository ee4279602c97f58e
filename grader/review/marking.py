"""The marks of an answer: rubric items, a comment, points beside the rubric, done or not.

Each change is one transaction, with its line in the history. A change names the version that it was
made on. If somebody else has changed the answer since, Conflict is raised and nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.review import rubric
from grader.review.answers import Answer
from grader.review.history import note
from grader.text import printable

MAX_COMMENT = 20_000
MAX_REASON = 1_000


@dataclass(frozen=True)
class Grading:
    """The current marks of an answer.

    items : ids of the rubric's items that apply
    adjustment, reason : points beside the rubric, and why
    done : a person has finished the answer
    version : counts the changes; 0 without marks
    """

    items: frozenset[int] = field(default_factory=frozenset)
    comment: str = ""
    adjustment: float = 0.0
    reason: str = ""
    done: bool = False
    grader: str = ""
    changed: float = 0.0
    version: int = 0


class Conflict(ReviewError):
    """Another grader has changed the same answer. stands : the current marks"""

    def __init__(self, stands: Grading) -> None:
        super().__init__(f"{stands.grader} has changed this answer: look at both, and choose")
        self.stands = stands


def grading_of(store: Store, answer: Answer) -> Grading:
    """Return the current marks of an answer; empty ones if nobody has judged it."""
    with store.guarded():
        row = store.connection.execute(
            "SELECT comment, adjustment, reason, done, grader, changed, version FROM gradings "
            "WHERE assignment = ? AND subject = ? AND exercise = ? AND answer = ? AND round = ?",
            answer.key,
        ).fetchone()
        items = store.connection.execute(
            "SELECT item FROM marks JOIN rubric_items ON rubric_items.id = item "
            "WHERE marks.assignment = ? AND subject = ? AND marks.exercise = ? AND answer = ? "
            "AND round = ? AND NOT retired",
            answer.key,
        ).fetchall()
    if row is None:
        return Grading()
    return read_grading(row, (item for (item,) in items))


def read_grading(row: Sequence[Any], items: Iterable[int]) -> Grading:
    """Return a Grading. row : comment, adjustment, reason, done, grader, changed, version"""
    comment, adjustment, reason, done, grader, changed, version = row
    return Grading(
        frozenset(items), comment, adjustment, reason, bool(done), grader, changed, version
    )


def toggle(
    store: Store, answer: Answer, item: int, *, grader: str, version: int | None = None
) -> Grading:
    """Switch an item on or off for an answer; the answer is done while any item applies.

    Return the new marks. Raises Conflict, ReviewError.
    """
    with store.writing():
        before = grading_of(store, answer)
        items = before.items ^ {item}
        if version is not None and version != before.version:
            raise Conflict(before)
        return change(store, answer, grader=grader, items=items, done=bool(items))


def change(
    store: Store,
    answer: Answer,
    *,
    grader: str,
    version: int | None = None,
    items: Iterable[int] | None = None,
    comment: str | None = None,
    adjustment: float | None = None,
    reason: str | None = None,
    done: bool | None = None,
) -> Grading:
    """Change the marks of an answer; None leaves a part unchanged. Return the new marks.

    version : the version that the grader saw; None for any
    Raises Conflict, ReviewError.
    """
    with store.writing():
        before = grading_of(store, answer)
        after = before
        if items is not None:
            after = replace(after, items=frozenset(items))
        if comment is not None:
            after = replace(after, comment=_text(comment, MAX_COMMENT, "a comment"))
        if adjustment is not None:
            after = replace(after, adjustment=rubric.checked_points(adjustment))
        if reason is not None:
            after = replace(after, reason=_text(reason, MAX_REASON, "a reason"))
        if done is not None:
            after = replace(after, done=done)
        if after.adjustment and not after.reason:
            raise ReviewError("points beside the rubric need a reason")
        if not after.adjustment and after.reason:
            after = replace(after, reason="")
        if after == before:
            return before
        if version is not None and version != before.version:
            raise Conflict(before)
        after = replace(after, grader=grader, changed=time.time(), version=before.version + 1)
        _write(store, answer, after, before)
        return after


def _write(store: Store, answer: Answer, after: Grading, before: Grading) -> None:
    words = {i.id: i.words for i in rubric.items_of(store, answer.assignment, answer.exercise)}
    for item in after.items - before.items:
        if item not in words:
            raise ReviewError("this item is no longer in the rubric: load the page again")
        store.connection.execute(
            "INSERT OR IGNORE INTO marks (assignment, subject, exercise, answer, round, item) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (*answer.key, item),
        )
    for item in before.items - after.items:
        store.connection.execute(
            "DELETE FROM marks WHERE assignment = ? AND subject = ? AND exercise = ? "
            "AND answer = ? AND round = ? AND item = ?",
            (*answer.key, item),
        )
    store.connection.execute(
        "INSERT INTO gradings (assignment, subject, exercise, answer, round, comment, adjustment, "
        "reason, done, grader, changed, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET comment = excluded.comment, adjustment = excluded.adjustment, "
        "reason = excluded.reason, done = excluded.done, grader = excluded.grader, "
        "changed = excluded.changed, version = excluded.version",
        (
            *answer.key,
            *(after.comment, after.adjustment, after.reason, int(after.done)),
            *(after.grader, after.changed, after.version),
        ),
    )
    note(
        store, after.grader, answer.assignment,
        "marked" if answer.round == 1 else "marked, second grader",
        subject=answer.subject, exercise=answer.exercise,
        before=grading_line(before, words), after=grading_line(after, words),
    )  # fmt: skip


def grading_line(grading: Grading, words: dict[int, str]) -> str:
    """Return a grading in one line, for the history."""
    parts = [words[item] for item in sorted(grading.items) if item in words]
    if grading.adjustment:
        parts.append(f"{grading.adjustment:+g} ({grading.reason})")
    if grading.comment:
        parts.append(f"“{' '.join(grading.comment.split())}”")
    if not grading.done:
        parts.append("open")
    return "; ".join(parts) or "done"


def _text(text: str, most: int, what: str) -> str:
    if len(text) > most:
        raise ReviewError(f"{what} has at most {most:,} characters; this one has {len(text):,}")
    return printable(text.replace("\r\n", "\n"), most).strip()
