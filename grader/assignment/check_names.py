"""The names of an assignment's checks, read from its files: nothing is imported.

id = assignment_of_check("test_gradient", {"pw02": folder, ...})
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path

from grader.assignment.finding import FILE
from grader.errors import AssignmentError

_CHECK = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test_\w+)[ \t]*\(", re.MULTILINE)
_NEAR = 0.7


def assignment_of_check(wanted: str, folders: Mapping[str, Path]) -> str:
    """Return the id of the assignment that has this check.

    wanted : a check's name, with or without test_, an exercise's id, or a part of a check's name
    folders : where each assignment lies, by its id
    Raises AssignmentError if no assignment has such a check, or several have.
    """
    name = wanted.removeprefix("test_").replace(" ", "_")
    checks = {known: check_names(folder) for known, folder in folders.items()}
    for found in (
        [known for known, names in checks.items() if f"test_{name}" in names],
        [known for known, folder in folders.items() if wanted in _exercise_ids(folder)],
        [known for known, names in checks.items() if any(name in check[5:] for check in names)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise AssignmentError(
                f"{wanted!r} may be of {', '.join(sorted(found))}: grade try {wanted} ASSIGNMENT"
            )
    homes = {check: known for known in sorted(checks) for check in checks[known]}
    near = near_checks(name, homes)
    known_ids = ", ".join(sorted(folders))
    hint = (
        f"did you mean {' or '.join(f'{check} ({homes[check]})' for check in near)}?"
        if near
        else f"grade try {wanted} ASSIGNMENT lists the exercises of one: {known_ids}"
    )
    raise AssignmentError(
        f"no assignment has a check {wanted!r}, nor an exercise of that id; {hint}"
    )


def check_names(folder: Path) -> list[str]:
    """Return the names of the check functions in an assignment's folder, read from its files."""
    texts = (file.read_text("utf-8", "replace") for file in sorted(folder.rglob("test_*.py")))
    return [name for text in texts for name in _CHECK.findall(text)]


def near_checks(name: str, checks: Iterable[str]) -> list[str]:
    """Return up to three checks whose names, or a few words of them, look like `name`."""
    name = name.removeprefix("test_")
    length = name.count("_") + 1
    nearest: dict[str, float] = {}
    for check in checks:
        words = check.removeprefix("test_").split("_")
        parts = {"_".join(words[n : n + length]) for n in range(len(words))}
        nearest[check] = max(SequenceMatcher(None, part, name).ratio() for part in parts)
    found = [check for check in nearest if nearest[check] >= _NEAR]
    return sorted(found, key=lambda check: -nearest[check])[:3]


def _exercise_ids(folder: Path) -> list[str]:
    # A file that can't be read is reported when the assignment is loaded.
    with suppress(OSError, ValueError):
        file = tomllib.loads((folder / FILE).read_text("utf-8"))
        exercises = file.get("exercises")
        if isinstance(exercises, list):
            return [entry["id"] for entry in exercises if isinstance(entry, dict) and "id" in entry]
    return []
