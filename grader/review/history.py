"""Who changed what, when: a row for each change, written in the same transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass

from grader.batch.store import Store


@dataclass(frozen=True)
class Change:
    """A line of the history. changed : seconds since 1970"""

    id: int
    changed: float
    grader: str
    subject: str
    exercise: str
    what: str
    before: str
    after: str


def note(
    store: Store,
    grader: str,
    assignment: str,
    what: str,
    *,
    subject: str = "",
    exercise: str = "",
    before: str = "",
    after: str = "",
) -> None:
    """Write a line, within the transaction of its change."""
    store.connection.execute(
        "INSERT INTO history (changed, grader, assignment, subject, exercise, what, before, after) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (time.time(), grader, assignment, subject, exercise, what, before[:2000], after[:2000]),
    )


def changes(
    store: Store,
    assignment: str,
    *,
    exercise: str | None = None,
    after: int = 0,
    limit: int = 500,
) -> list[Change]:
    """Return the changes, the latest first. after : only changes with a larger id"""
    with store.guarded():
        rows = store.connection.execute(
            "SELECT id, changed, grader, subject, exercise, what, before, after FROM history "
            "WHERE assignment = :assignment AND id > :after "
            "AND (:exercise IS NULL OR exercise = :exercise) ORDER BY id DESC LIMIT :limit",
            {"assignment": assignment, "after": after, "exercise": exercise, "limit": limit},
        ).fetchall()
    return [Change(*row) for row in rows]


def latest(store: Store, assignment: str) -> int:
    """Return the number of the last change; 0 where there was none."""
    with store.guarded():
        (last,) = store.connection.execute(
            "SELECT coalesce(max(id), 0) FROM history WHERE assignment = ?", (assignment,)
        ).fetchone()
    return int(last)
