"""What students start from, made from what the instructor wrote: stubs and public checks.

The reference notebook is the only source. A stub is the reference without what stands between
its markers. The same input always gives the same bytes.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import tomli_w

from grader.authoring.public_checks import public_checks
from grader.errors import AssignmentError, SubmissionError
from grader.notebook import parse_notebook
from grader.notebook.definitions import parseable, parsed
from grader.notebook.regions import markers, paired
from grader.records import Assignment, Cell, Exercise, Limits, Notebook, Rules

SOLUTION_TAG = "solution"
"""A reference's cell with this tag is left out of the stub: a written answer, say."""

_STUB_LINE = re.compile(r"(?P<indent>[ \t]*)# STUB:(?: (?P<text>.*))?$")


# --- stubs ------------------------------------------------------------------------------------


def make_stub(reference: Notebook, *, assignment: str, file: str = "") -> dict[str, object]:
    """Return the stub of a solved notebook, as an nbformat 4.5 document.

    assignment : its id, which the stub's metadata carry with the file's name
    file : the notebook's file name; the reference's own where ""
    Raises AssignmentError, which names the cell and the line, where markers have no partner or
    the stub doesn't parse.
    """
    file = file or reference.name
    slug = re.sub(r"[^A-Za-z0-9]+", "-", Path(file).stem).strip("-")[:40] or "cell"
    cells: list[dict[str, object]] = []
    for cell in reference.cells:
        tags = cell.metadata.get("tags")
        tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        if SOLUTION_TAG in tags:
            continue
        source = stub_source(cell, file) if cell.kind == "code" else cell.source
        document: dict[str, object] = {
            "cell_type": cell.kind,
            "id": f"{slug}-{len(cells):03d}",
            "metadata": {"tags": tags} if tags else {},
            "source": source.splitlines(keepends=True),
        }
        if cell.kind == "code":
            document |= {"execution_count": None, "outputs": []}
        cells.append(document)
    return {
        "cells": cells,
        "metadata": {
            "grade": {"assignment": assignment, "notebook": file},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def stub_text(reference: Notebook, *, assignment: str, file: str = "") -> str:
    """Return the stub as the text of an .ipynb file."""
    document = make_stub(reference, assignment=assignment, file=file)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stub_notebook(reference: Notebook, *, assignment: str, file: str = "") -> Notebook:
    """Return the stub, read as a student's notebook is read."""
    file = file or reference.name
    text = stub_text(reference, assignment=assignment, file=file)
    try:
        return parse_notebook(text.encode("utf-8", "replace"), name=file)
    except SubmissionError as error:
        raise AssignmentError(f"its stub can't be read: {error}") from error


def stub_source(cell: Cell, file: str) -> str:
    """Return a code cell of the reference with its gaps emptied.

    A gap's lines `# STUB: ...` give, in order, what the stub holds there, each at its own
    indentation; without one it holds `pass`.
    """
    where = f"{file}, cell {cell.index}"
    lines = cell.source.split("\n")
    pairs, stray, left_open = paired(markers(cell.source))
    alone = [*stray, *([left_open] if left_open else [])]
    if alone:
        partner = "END" if alone[0].kind == "start" else "START"
        raise AssignmentError(
            f"{where}, line {alone[0].line}: the {alone[0].kind.upper()} marker has no {partner}"
        )
    kept: list[str] = []
    position = 0
    for start, end in pairs:
        if start.inline or end.inline or start.kind == end.kind:
            raise AssignmentError(
                f"{where}, line {start.line}: START and END markers stand on lines of their own"
            )
        kept += _without_stub_lines(lines, position, start.line, where)
        given = [match for line in lines[start.line : end.line - 1] if (match := _stub_line(line))]
        if given:
            kept += [(match["indent"] + (match["text"] or "")).rstrip() for match in given]
        else:
            kept.append(" " * start.indent + "pass")
        position = end.line - 1
    kept += _without_stub_lines(lines, position, len(lines), where)
    source = "\n".join(kept)
    if parsed(parseable(source)) is None:
        line = _line_that_breaks(source)
        raise AssignmentError(
            f"{where}: the stub doesn't parse, near `{line}`: give the gap `# STUB: ` lines"
        )
    return source


def _stub_line(line: str) -> re.Match[str] | None:
    return _STUB_LINE.match(line)


def _without_stub_lines(lines: list[str], start: int, end: int, where: str) -> list[str]:
    for number in range(start, end):
        if _stub_line(lines[number]):
            raise AssignmentError(f"{where}, line {number + 1}: a STUB line outside of any gap")
    return lines[start:end]


def _line_that_breaks(source: str) -> str:
    text = parseable(source)
    try:
        ast.parse(text)
    except SyntaxError as error:
        lines = text.split("\n")
        if error.lineno and error.lineno <= len(lines):
            return lines[error.lineno - 1].strip()
    return ""


# --- templates --------------------------------------------------------------------------------


def write_templates(assignment: Assignment, to: Path) -> list[Path]:
    """Write the stubs and the public checks; return the files that changed.

    to : student_templates/<id>; each file is replaced whole, and what an earlier run wrote and
        this one doesn't is removed
    """
    wanted = _template_files(assignment)
    changed = []
    for name, data in wanted.items():
        path = to / name
        if _read(path) != data:
            _replace(path, data)
            changed.append(path)
    for path in _leftovers(assignment, to, wanted):
        path.unlink()
        changed.append(path)
    return changed


def check_templates(assignment: Assignment, to: Path) -> list[str]:
    """Return a line for each file that `write_templates` would change, [] where all is fine."""
    wanted = _template_files(assignment)
    stale = []
    for name, data in wanted.items():
        found = _read(to / name)
        if found is None:
            stale.append(f"{to / name}: missing")
        elif found != data:
            stale.append(f"{to / name}: out of date")
    stale += [f"{path}: no longer generated" for path in _leftovers(assignment, to, wanted)]
    return stale


def _template_files(assignment: Assignment) -> dict[str, bytes]:
    """Return every file of student_templates/<id>, by its relative name."""
    files: dict[str, bytes] = {}
    for name in assignment.notebook_names:
        text = stub_text(assignment.notebooks[name], assignment=assignment.id, file=name)
        files[name] = files[f"checks/stubs/{name}"] = text.encode()
    files["checks/assignment.toml"] = public_assignment(assignment).encode()
    for path in assignment.check_files:
        text = public_checks(path.read_text(encoding="utf-8"), file=path.name)
        if text:
            files[f"checks/{path.name}"] = text.encode()
    return files


def _leftovers(assignment: Assignment, to: Path, wanted: Mapping[str, bytes]) -> list[Path]:
    """Return the files of an earlier run; a notebook of the user's own is none."""
    known = {to / name for name in wanted}
    old = [*(to / "checks").glob("test_*.py"), *(to / "checks" / "stubs").glob("*.ipynb")]
    for path in to.glob("*.ipynb"):
        if path not in known and _claimed_assignment(path) == assignment.id:
            old.append(path)
    return sorted(path for path in old if path not in known)


def _claimed_assignment(path: Path) -> object:
    try:
        grade = parse_notebook(path.read_bytes(), name=path.name).metadata.get("grade")
    except (OSError, SubmissionError):
        return None
    return grade.get("assignment") if isinstance(grade, dict) else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        # mkstemp makes the file readable by its owner alone; a template is for everyone.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# --- the public part of assignment.toml ---------------------------------------------------------


def public_assignment(assignment: Assignment) -> str:
    """Return the student's copy of assignment.toml; the points are the whole exercise's."""
    document: dict[str, object] = {
        "id": assignment.id,
        "title": assignment.title,
        "public": True,
        "limits": _changed(assignment.limits, Limits()),
        "data": {"datasets": assignment.datasets} if assignment.datasets else {},
        "rules": asdict(assignment.rules) if assignment.rules != Rules() else {},
        "notebooks": [
            _filled_in({"file": name, "requires": assignment.requires.get(name)})
            for name in assignment.notebook_names
        ],
        "exercises": [_exercise(exercise) for exercise in assignment.exercises],
    }
    return "# Made by `grade stubs`; changes here are lost.\n" + tomli_w.dumps(_filled_in(document))


def _exercise(exercise: Exercise) -> dict[str, object]:
    return {"id": exercise.id} | _filled_in(asdict(exercise))


def _changed(record: Limits, default: Limits) -> dict[str, object]:
    before = asdict(default)
    return {key: value for key, value in asdict(record).items() if value != before[key]}


def _filled_in(table: Mapping[str, object]) -> dict[str, object]:
    """Return the table without what is empty, as a default is; points as they are written."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in table.items()
        if value or isinstance(value, float)
    }
