"""Fingerprints of exercises' checks: a different one shows that the checks have changed.

A check counts with its code, without its comments. The rest of its file (constants, helpers,
imports) counts for each exercise that the file checks. Modules beside the check files, the solved
notebooks and the limits count for all exercises.
"""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.assignment.finding import FILE
from grader.records import Assignment, Exercise

_NO_PART = ("samples", "known")
"""Folders of an assignment that only `grade verify` reads, and that it writes."""
_CACHES = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache"}
"""Folders that programs leave behind anywhere; Python does when a check is first imported."""
_NO_PART_FILES = ("survivors.toml",)
_MAX_BYTES = 64 << 20


def check_fingerprints(assignment: Assignment) -> dict[str, str]:
    """Return the fingerprint of each exercise's checks, by its id.

    Raises OSError if a file of the assignment can't be read.
    """
    shared, parts = _read(assignment)
    return {
        exercise.id: _hash(
            shared,
            repr(exercise),
            *(part.text for own in ("", exercise.id) for part in parts[own]),
        )
        for exercise in assignment.exercises
    }


def fingerprints_by_check(assignment: Assignment) -> dict[str, dict[str, str]]:
    """Return the fingerprint of each check, by its exercise and its name, in the checks' order.

    The name "" has all else that the exercise's verdicts depend on. A check with parameters counts
    as one, by its name before them. Raises OSError if a file of the assignment can't be read.
    """
    shared, parts = _read(assignment)
    order = [file.relative_to(assignment.folder).as_posix() for file in assignment.check_files]
    found = {}
    for exercise in assignment.exercises:
        files = [*parts[""], *parts[exercise.id]]
        files.sort(key=lambda part: order.index(part.file))
        beside = [f"{part.file}\n{part.beside}" for part in files]
        found[exercise.id] = {"": _hash(shared, repr(exercise), *beside)} | {
            name: _hash(part.file, code, *part.called_by(code))
            for part in files
            for name, code in part.checks
        }
    return found


def changed_checks(
    before: Mapping[str, str], now: Mapping[str, str], exercise: Exercise
) -> list[str]:
    """Return the checks of one exercise that alone have changed; none if it isn't that simple.

    before, now : their fingerprints. In an exercise of several functions, what is said of one
    failing check depends on the other checks.
    """
    if not before or before.get("") != now.get("") or len(exercise.functions) > 1:
        return []
    return [name for name, value in now.items() if name and before.get(name) != value]


@dataclass(frozen=True)
class _Part:
    """What a check file has for one exercise.

    beside : the code outside the checks; checks : their names, as reports show them, and their code
    """

    file: str
    beside: str
    checks: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        code = [self.beside] if self.beside else []
        return "\n".join([self.file, *code, *(check for _, check in self.checks)])

    def called_by(self, code: str) -> list[str]:
        """Return the code of the checks whose functions a check's code names, its own too."""
        named = ((f"test_{name.replace(' ', '_')}", check) for name, check in self.checks)
        return [check for function, check in named if function in code]


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


def _read(assignment: Assignment) -> tuple[str, dict[str, list[_Part]]]:
    """Return the fingerprint of what counts for all exercises, and the parts of each."""
    shared = hashlib.sha256()
    parts: dict[str, list[_Part]] = defaultdict(list)
    for file in sorted(assignment.folder.rglob("*")):
        place = file.relative_to(assignment.folder)
        name = place.as_posix()
        if not file.is_file() or name in _NO_PART_FILES or place.parts[0] in _NO_PART:
            continue
        if not _CACHES.isdisjoint(place.parts):
            continue
        if file in assignment.check_files:
            for exercise, part in _parts_of(name, file.read_text(encoding="utf-8")).items():
                parts[exercise].append(part)
            continue
        if file.stat().st_size > _MAX_BYTES:
            content = str(file.stat().st_mtime_ns).encode()
        elif name == FILE:
            content = _settings(file).encode()
        else:
            content = file.read_bytes()
        shared.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return shared.hexdigest(), parts


def touched(
    before: Mapping[str, str], now: Mapping[str, str], exercises: Sequence[Exercise]
) -> list[str]:
    """Return the ids of the exercises that changed checks affect, in the assignment's order.

    Exercises with changed or new checks; and those linked to them by `follows`, since a mistake
    that counts in one of them does not count in the other.
    """
    found = {e.id for e in exercises if before.get(e.id) != now.get(e.id)}
    while True:
        more = {e.id for e in exercises if found & set(e.follows)}
        more |= {followed for e in exercises if e.id in found for followed in e.follows}
        if more <= found:
            return [e.id for e in exercises if e.id in found]
        found |= more


def _settings(file: Path) -> str:
    """Return assignment.toml without the exercises' own keys and the rules applied to results."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    for own in ("exercises", "deadline"):
        document.pop(own, None)
    return json.dumps(document, sort_keys=True, default=str)


def _parts_of(name: str, text: str) -> dict[str, _Part]:
    """Return the code of a check file for each exercise; "" for checks of an unknown exercise."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return {"": _Part(name, text, ())}
    beside: list[str] = []
    own: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            shown = node.name.removeprefix("test_").replace("_", " ")
            own[_exercise_of(node)].append((shown, ast.unparse(node)))
        else:
            beside.append(ast.unparse(node))
    code = "\n".join(beside)
    return {exercise: _Part(name, code, tuple(checks)) for exercise, checks in own.items()}


def _exercise_of(check: ast.FunctionDef) -> str:
    for decorator in check.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(attr="exercise"), args=[ast.Constant(value=str(name)), *_]
            ):
                return name
    return ""
