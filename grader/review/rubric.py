"""A rubric: items with points, plus or minus, shared by all answers to an exercise.

A changed item changes the points and words of all its answers. A new item changes no answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.review.history import note
from grader.text import printable

Start = Literal["none", "full"]
MAX_WORDS = 500
MAX_POINTS = 10_000.0


@dataclass(frozen=True)
class Item:
    """A line of a rubric.

    points : plus or minus
    source : what the item was made from ("target 1" of a derivation); "" if a person wrote it
    retired : no longer offered; it counts for no answer
    version : counts the changes, so that two people don't overwrite each other
    """

    id: int
    exercise: str
    position: int
    words: str
    points: float
    source: str = ""
    retired: bool = False
    version: int = 1


_COLUMNS = "id, exercise, position, words, points, source, retired, version"


def items_of(store: Store, assignment: str, exercise: str | None = None) -> list[Item]:
    """Return the rubric in order, without retired items. exercise : only this one's"""
    with store.guarded():
        rows = store.connection.execute(
            f"SELECT {_COLUMNS} FROM rubric_items WHERE assignment = :assignment AND NOT retired "
            "AND (:exercise IS NULL OR exercise = :exercise) ORDER BY exercise, position, id",
            {"assignment": assignment, "exercise": exercise},
        ).fetchall()
    return [Item(*row) for row in rows]


def item_of(store: Store, assignment: str, item: int) -> Item:
    """Return one item, retired or not. Raises ReviewError if there is none."""
    with store.guarded():
        row = store.connection.execute(
            f"SELECT {_COLUMNS} FROM rubric_items WHERE assignment = ? AND id = ?",
            (assignment, item),
        ).fetchone()
    if row is None:
        raise ReviewError("there is no such item in the rubric: load the page again")
    return Item(*row)


def add_item(
    store: Store,
    assignment: str,
    exercise: str,
    words: str,
    points: float,
    *,
    grader: str,
    source: str = "",
) -> int:
    """Add an item at the end; return its id. It applies to no answer yet."""
    words, points = _checked(words, points)
    with store.writing():
        (position,) = store.connection.execute(
            "SELECT coalesce(max(position), 0) + 1 FROM rubric_items "
            "WHERE assignment = ? AND exercise = ?",
            (assignment, exercise),
        ).fetchone()
        made = store.connection.execute(
            "INSERT INTO rubric_items (assignment, exercise, position, words, points, source) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (assignment, exercise, position, words, points, source),
        ).lastrowid
        note(store, grader, assignment, "rubric: new item", exercise=exercise,
             after=f"{words} ({points:+g})")  # fmt: skip
    assert made is not None
    return made


def edit_item(
    store: Store,
    assignment: str,
    item: int,
    *,
    grader: str,
    version: int,
    words: str,
    points: float,
) -> Item:
    """Change an item for everybody. Raises ReviewError if somebody else has changed it."""
    words, points = _checked(words, points)
    before = _locked(store, assignment, item, version)
    with store.writing():
        _write(store, before, "words = ?, points = ?", (words, points))
        note(store, grader, assignment, "rubric: item changed", exercise=before.exercise,
             before=f"{before.words} ({before.points:+g})",
             after=f"{words} ({points:+g})")  # fmt: skip
    return item_of(store, assignment, item)


def retire_item(store: Store, assignment: str, item: int, *, grader: str, version: int) -> None:
    """Take an item out of the rubric: it no longer counts for any answer."""
    before = _locked(store, assignment, item, version)
    with store.writing():
        _write(store, before, "retired = 1", ())
        note(store, grader, assignment, "rubric: item removed", exercise=before.exercise,
             before=f"{before.words} ({before.points:+g})")  # fmt: skip


def move_item(store: Store, assignment: str, item: int, *, grader: str, version: int) -> None:
    """Move an item one place up."""
    before = _locked(store, assignment, item, version)
    listed = items_of(store, assignment, before.exercise)
    order = [one.id for one in listed]
    place = order.index(item)
    if place == 0:
        return
    order[place - 1], order[place] = order[place], order[place - 1]
    with store.writing():
        for position, id_ in enumerate(order, start=1):
            store.connection.execute(
                "UPDATE rubric_items SET position = ? WHERE id = ?", (position, id_)
            )
        note(store, grader, assignment, "rubric: item moved up", exercise=before.exercise,
             after=before.words)  # fmt: skip


def start_of(store: Store, assignment: str, exercise: str) -> Start:
    """Return where the points of an exercise begin: "none" (0) or "full" (its maximum)."""
    with store.guarded():
        row = store.connection.execute(
            "SELECT start FROM rubrics WHERE assignment = ? AND exercise = ?",
            (assignment, exercise),
        ).fetchone()
    return row[0] if row else "none"


def set_start(store: Store, assignment: str, exercise: str, start: str, *, grader: str) -> None:
    """Set where the points of an exercise begin. Everybody's points are computed again."""
    if start not in ("none", "full"):
        raise ReviewError(f"points start at 'none' or 'full', not at {start!r}")
    before = start_of(store, assignment, exercise)
    with store.writing():
        store.connection.execute(
            "INSERT INTO rubrics (assignment, exercise, start) VALUES (?, ?, ?) "
            "ON CONFLICT (assignment, exercise) DO UPDATE SET start = excluded.start",
            (assignment, exercise, start),
        )
        note(store, grader, assignment, "rubric: where points start", exercise=exercise,
             before=before, after=start)  # fmt: skip


def _locked(store: Store, assignment: str, item: int, version: int) -> Item:
    """Return an item of this version. Raises ReviewError if it has changed since."""
    before = item_of(store, assignment, item)
    if before.version != version or before.retired:
        raise ReviewError(
            f"somebody else has changed the item {before.words!r}: look at it, and change it again"
        )
    return before


def _write(store: Store, before: Item, columns: str, values: tuple[object, ...]) -> None:
    done = store.connection.execute(
        f"UPDATE rubric_items SET {columns}, version = version + 1 WHERE id = ? AND version = ?",
        (*values, before.id, before.version),
    )
    if done.rowcount != 1:
        raise ReviewError("somebody else has changed this item: load the page again")


def _checked(words: str, points: float) -> tuple[str, float]:
    words = " ".join(printable(words, MAX_WORDS).split())
    if not words:
        raise ReviewError("an item of a rubric needs words")
    return words, checked_points(points)


def checked_points(points: float) -> float:
    """Return the points. Raises ReviewError unless they lie within -MAX_POINTS and MAX_POINTS."""
    if not math.isfinite(points) or abs(points) > MAX_POINTS:
        raise ReviewError(f"points are at most {MAX_POINTS:,.0f}, plus or minus, not {points:g}")
    return points
