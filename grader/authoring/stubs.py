"""Make the stub of a solved notebook: the notebook without the code between its markers.

The same input always gives the same bytes.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from grader.authoring.percent import percent_script
from grader.authoring.text_gaps import without_answers
from grader.errors import AssignmentError, SubmissionError
from grader.notebook import parse_notebook
from grader.notebook.definitions import parseable, parsed, within_brackets
from grader.notebook.regions import markers, paired
from grader.records import Cell, Notebook

SOLUTION_TAG = "solution"
"""The stub leaves out cells of the reference with this tag, for example a written answer."""

_PRINT = re.compile(r"(print|exec)\s+[^\s(=.,]")
_STUB_LINE = re.compile(r"(?P<indent>[ \t]*)# STUB:(?: (?P<text>.*))?$")


def make_stub(
    reference: Notebook, *, assignment: str, file: str = "", first: str = ""
) -> dict[str, object]:
    """Return the stub of a solved notebook, as an nbformat 4.5 document.

    assignment : its id; the stub's metadata hold it with the file's name
    first : source of a code cell in front of all others; "" for none
    file : the notebook's file name; "" for the reference's own
    Raises AssignmentError, which names the cell and the line, if markers have no partner or the
    stub doesn't parse.
    """
    file = file or reference.name
    slug = re.sub(r"[^A-Za-z0-9]+", "-", Path(file).stem).strip("-")[:40] or "cell"
    cells: list[dict[str, object]] = []
    n_front = 1 if first else 0
    for cell in _stub_cells(reference, file, first):
        number = len(cells) - n_front
        document: dict[str, object] = {
            "cell_type": cell.kind,
            "id": f"{slug}-{number:03d}" if number >= 0 else f"{slug}-first",
            "metadata": dict(cell.metadata),
            "source": cell.source.splitlines(keepends=True),
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


def stub_text(reference: Notebook, *, assignment: str, file: str = "", first: str = "") -> str:
    """Return the stub as the text of its file; the arguments are those of make_stub.

    The stub of a script (.py) is a script with the same `# %%` lines.
    """
    if is_script(file or reference.name):
        return percent_script(_stub_cells(reference, file or reference.name, first))
    document = make_stub(reference, assignment=assignment, file=file, first=first)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stub_notebook(reference: Notebook, *, assignment: str, file: str = "") -> Notebook:
    """Return the stub, parsed like a student's notebook."""
    file = file or reference.name
    text = stub_text(reference, assignment=assignment, file=file)
    try:
        return parse_notebook(text.encode("utf-8", "replace"), name=file)
    except SubmissionError as error:
        raise AssignmentError(f"its stub can't be read: {error}") from error


def is_script(file: str) -> bool:
    """Return whether a notebook's file is a script."""
    return file.lower().endswith(".py")


def stub_source(cell: Cell, file: str) -> str:
    """Return the source of a reference's code cell with empty gaps.

    A gap's lines `# STUB: ...` become the stub's lines, each with its own indentation. A gap
    without such lines gets `pass`, or stays empty inside a list or a call.
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
        matches = filter(None, map(_STUB_LINE.match, lines[start.line : end.line - 1]))
        stub = [(match["indent"] + (match["text"] or "")).rstrip() for match in matches]
        if not stub and not within_brackets(cell.source, start.line, end.line):
            stub = [" " * start.indent + "pass"]
        kept += stub
        position = end.line - 1
    kept += _without_stub_lines(lines, position, len(lines), where)
    source = "\n".join(kept)
    if parsed(parseable(source)) is None:
        line = _line_that_breaks(source)
        if parsed(parseable(cell.source)) is None:
            old = _PRINT.match(line)
            why = "is Python 2: convert the notebook with 2to3" if old else "is not Python"
            raise AssignmentError(f"{where}: `{line}` {why}")
        raise AssignmentError(
            f"{where}: the stub doesn't parse, near `{line}`: give the gap `# STUB: ` lines"
        )
    return source


def _stub_cells(reference: Notebook, file: str, first: str) -> list[Cell]:
    """Return the stub's cells, with their tags and nothing else of their metadata."""
    cells = [Cell(-1, "code", first)] if first else []
    for cell in reference.cells:
        if is_solution(cell):
            continue
        source = stub_source(cell, file) if cell.kind == "code" else cell.source
        if cell.kind == "markdown":
            source = without_answers(source, f"{file}, cell {cell.index}")
        cells.append(Cell(cell.index, cell.kind, source, metadata=tags_of(cell)))
    return cells


def tags_of(cell: Cell) -> dict[str, object]:
    """Return a cell's metadata with nothing but its tags: {"tags": [...]}, or {}."""
    tags = cell.metadata.get("tags")
    tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {"tags": tags} if tags else {}


def is_solution(cell: Cell) -> bool:
    """Return whether a cell has the tag SOLUTION_TAG."""
    tags = cell.metadata.get("tags")
    return isinstance(tags, list) and SOLUTION_TAG in tags


def _without_stub_lines(lines: list[str], start: int, end: int, where: str) -> list[str]:
    for number in range(start, end):
        if _STUB_LINE.match(lines[number]):
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
