"""Copies marks from one file of results to another, when parts of a class are joined.

A mark belongs to an answer, in any file. Rubric items with the same words and points in both files
become one item. If an answer was judged in both files, the later judgement counts.
"""

from __future__ import annotations

from typing import Any

from grader.batch.store import Store

_KEY = "assignment, subject, exercise, answer, round"
_SAME_KEY = "assignment = ? AND subject = ? AND exercise = ? AND answer = ? AND round = ?"


def carry_marks(part: Store, into: Store, assignment: str) -> int:
    """Copy the marks of an assignment; return how many answers got one. A second call copies none.

    part : the file to copy from; into : the file to copy to
    """
    with into.writing():
        items = _items(part, into, assignment)
        for table, columns in (
            ("rubrics", "assignment, exercise, start, twice"),
            ("phrases", "assignment, exercise, words"),
            ("group_names", "assignment, exercise, likeness, name"),
        ):
            _insert(into, table, columns, _rows(part, table, columns, assignment), "OR IGNORE")
        for table, columns in (
            ("overrides", "assignment, exercise, check_name, subject, trace, credit, reason, "
                          "grader, changed, withdrawn, answer, floor"),
            ("history", "changed, grader, assignment, subject, exercise, what, before, after"),
        ):  # fmt: skip
            known = set(_rows(into, table, columns, assignment))
            fresh = [r for r in _rows(part, table, columns, assignment) if r not in known]
            _insert(into, table, columns, fresh)
        return _gradings(part, into, assignment, items)


def _items(part: Store, into: Store, assignment: str) -> dict[int, int]:
    """Add the part's rubric items to the other file; return their ids there, by their ids here."""
    columns = "exercise, words, points, source, retired"
    known = {row[1:]: row[0] for row in _rows(into, "rubric_items", f"id, {columns}", assignment)}
    numbers: dict[int, int] = {}
    ordered = _rows(part, "rubric_items", f"id, {columns}, position", assignment)
    for id_, *same, position in sorted(ordered, key=lambda row: row[-1]):
        key = tuple(same)
        if key not in known:
            made = into.connection.execute(
                f"INSERT INTO rubric_items (assignment, {columns}, position) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (assignment, *key, position),
            ).lastrowid
            assert made is not None
            known[key] = made
        numbers[id_] = known[key]
    return numbers


def _gradings(part: Store, into: Store, assignment: str, items: dict[int, int]) -> int:
    marks: dict[tuple[Any, ...], list[int]] = {}
    for row in _rows(part, "marks", f"{_KEY}, item", assignment):
        marks.setdefault(row[:5], []).append(items[row[5]])
    columns = f"{_KEY}, done, adjustment, reason, comment, grader, changed, version"
    carried = 0
    for row in _rows(part, "gradings", columns, assignment):
        key, changed = row[:5], row[10]
        there = into.connection.execute(
            f"SELECT changed FROM gradings WHERE {_SAME_KEY}", key
        ).fetchone()
        if there is not None and there[0] >= changed:
            continue
        into.connection.execute(f"DELETE FROM marks WHERE {_SAME_KEY}", key)
        _insert(into, "gradings", columns, [row], "OR REPLACE")
        _insert(into, "marks", f"{_KEY}, item", [(*key, item) for item in marks.get(key, ())])
        carried += 1
    return carried


def _rows(store: Store, table: str, columns: str, assignment: str) -> list[tuple[Any, ...]]:
    with store.guarded():
        return store.connection.execute(
            f"SELECT {columns} FROM {table} WHERE assignment = ?", (assignment,)
        ).fetchall()


def _insert(
    store: Store, table: str, columns: str, rows: list[tuple[Any, ...]], how: str = ""
) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    store.connection.executemany(f"INSERT {how} INTO {table} ({columns}) VALUES ({marks})", rows)
