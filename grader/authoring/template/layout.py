"""Writes the folder of a new assignment, whole or not at all, and never over another one."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from grader.assignment import load_assignment
from grader.authoring.stubs import SOLUTION_TAG
from grader.authoring.template import example
from grader.errors import AssignmentError
from grader.records import Cell

# A folder's name, a word on the command line, a key of TOML: what needs no quotes anywhere.
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Written:
    """The files of a new assignment, and what its author should know.

    exercises : ids of those whose checks are still to be written
    notes : a sentence each
    report : the findings, a line for each cell; a line with "! " leaves something to do
    """

    folder: Path
    files: tuple[Path, ...]
    exercises: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    report: tuple[str, ...] = ()


def write_example(assignment_id: str, parent: Path, *, title: str = "") -> Written:
    """Write parent/<id>/ with an exercise or two that can be changed; return its files.

    Raises AssignmentError for an id that can't be one, and where the folder is there already.
    """
    require_free(assignment_id, parent)
    title = title or f"{assignment_id}: linear regression"
    notebook = f"{assignment_id}.ipynb"
    words = {"id": quoted(assignment_id), "title": quoted(title), "file": quoted(notebook)}
    cells = [
        Cell(
            number,
            "markdown" if kind == "solution" else kind,  # type: ignore[arg-type]
            text.replace("{title}", title),
            metadata={"tags": [SOLUTION_TAG]} if kind == "solution" else {},
        )
        for number, (kind, text) in enumerate(example.CELLS)
    ]
    files = {
        "assignment.toml": _filled(example.ASSIGNMENT, words),
        notebook: notebook_text(cells, notebook),
        "test_regression.py": example.CHECKS,
        "hidden/test_regression.py": example.HIDDEN_CHECKS,
    }
    for name, text in example.SAMPLES.items():
        files[f"samples/{name}"] = _filled(text, words)
    return write_files(assignment_id, parent, files)


# --- what is written ------------------------------------------------------------------------


def notebook_text(cells: Sequence[Cell], file: str) -> str:
    """Return an nbformat 4.5 document without outputs."""
    make: dict[str, Callable[..., Any]] = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
        "raw": nbformat.v4.new_raw_cell,
    }
    slug = re.sub(r"[^A-Za-z0-9]+", "-", Path(file).stem).strip("-")[:40] or "cell"
    document = nbformat.v4.new_notebook(
        cells=[
            make[cell.kind](cell.source, id=f"{slug}-{cell.index:03d}", metadata=_kept(cell))
            for cell in cells
        ],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    document.nbformat_minor = 5
    text: str = nbformat.writes(document)
    return f"{text}\n"


def _kept(cell: Cell) -> dict[str, object]:
    """Return the tags; what editors keep besides (collapsed, scrolled) goes."""
    tags = cell.metadata.get("tags")
    tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {"tags": tags} if tags else {}


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text


def quoted(text: str) -> str:
    """Return a string of TOML, which is one of Python, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")


# --- writing ----------------------------------------------------------------------------------


def require_free(assignment_id: str, parent: Path) -> None:
    if not _ID.fullmatch(assignment_id):
        raise AssignmentError(
            f"{assignment_id!r} can't be an assignment's id: small letters, digits, - and _ make "
            "one, 40 of them at most"
        )
    folder = parent / assignment_id
    if folder.exists() or folder.is_symlink():
        raise AssignmentError(f"{folder} is there already; nothing is written over it")


def write_files(assignment_id: str, parent: Path, files: Mapping[str, str | bytes]) -> Written:
    """Write the files beside the place, read them as an assignment, and only then move them."""
    folder = parent / assignment_id
    beside = parent / f".new-{secrets.token_hex(6)}" / assignment_id
    made = not parent.exists()
    try:
        for name, text in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        try:
            load_assignment(beside)
        except AssignmentError as error:
            raise AssignmentError(str(error).replace(str(beside), str(folder))) from error
        beside.rename(folder)
    except OSError as error:
        raise AssignmentError(f"{folder} can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside.parent, ignore_errors=True)
        if made and not folder.exists() and parent.is_dir():
            shutil.rmtree(parent, ignore_errors=True)
    return Written(folder, tuple(folder / name for name in files))
