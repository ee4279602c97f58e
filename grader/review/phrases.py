"""Comments that graders keep to use again."""

from __future__ import annotations

from grader.batch.store import Store

SHOWN = 12


def keep(store: Store, assignment: str, exercise: str, words: str) -> None:
    """Keep a comment to use again; a blank one is ignored."""
    words = words.strip()
    if words:
        with store.writing():
            store.connection.execute(
                "INSERT OR IGNORE INTO phrases (assignment, exercise, words) VALUES (?, ?, ?)",
                (assignment, exercise, words[:2000]),
            )


def find(store: Store, assignment: str, exercise: str, text: str = "") -> list[str]:
    """Return the SHOWN latest comments that contain a text, this exercise's first."""
    pattern = "%" + text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    with store.guarded():
        rows = store.connection.execute(
            "SELECT words FROM phrases "
            "WHERE assignment = :assignment AND words LIKE :pattern ESCAPE '\\' "
            "ORDER BY exercise != :exercise, id DESC LIMIT :shown",
            {
                "assignment": assignment,
                "exercise": exercise,
                "pattern": pattern,
                "shown": SHOWN,
            },
        ).fetchall()
    return [words for (words,) in rows]
