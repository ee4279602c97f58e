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
from pathlib import Path

from grader.assignment.finding import FILE
from grader.records import Assignment, Exercise

_NO_PART = ("samples", "__pycache__")
"""Folders of an assignment that only `grade verify` and Python read."""
_NO_PART_FILES = ("survivors.toml",)
_MAX_BYTES = 64 << 20


def check_fingerprints(assignment: Assignment) -> dict[str, str]:
    """Return the fingerprint of each exercise's checks, by its id.

    Raises OSError if a file of the assignment can't be read.
    """
    shared = hashlib.sha256()
    parts: dict[str, list[str]] = defaultdict(list)
    for file in sorted(assignment.folder.rglob("*")):
        name = file.relative_to(assignment.folder).as_posix()
        if not file.is_file() or name in _NO_PART_FILES or name.split("/")[0] in _NO_PART:
            continue
        if file in assignment.check_files:
            for exercise, text in _parts_of(file.read_text(encoding="utf-8")).items():
                parts[exercise].append(f"{name}\n{text}")
            continue
        if file.stat().st_size > _MAX_BYTES:
            content = str(file.stat().st_mtime_ns).encode()
        elif name == FILE:
            content = _settings(file).encode()
        else:
            content = file.read_bytes()
        shared.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return {
        exercise.id: hashlib.sha256(
            "\0".join(
                [shared.hexdigest(), repr(exercise), *parts[""], *parts[exercise.id]]
            ).encode()
        ).hexdigest()[:24]
        for exercise in assignment.exercises
    }


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


def _parts_of(text: str) -> dict[str, str]:
    """Return the code of a check file for each exercise; "" for checks of an unknown exercise."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return {"": text}
    beside: list[str] = []
    own: dict[str, list[str]] = defaultdict(list)
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own[_exercise_of(node)].append(ast.unparse(node))
        else:
            beside.append(ast.unparse(node))
    return {exercise: "\n".join([*beside, *checks]) for exercise, checks in own.items()}


def _exercise_of(check: ast.FunctionDef) -> str:
    for decorator in check.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(attr="exercise"), args=[ast.Constant(value=str(name)), *_]
            ):
                return name
    return ""
