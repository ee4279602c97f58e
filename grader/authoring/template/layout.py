"""Write the folder of a new assignment: all of it or nothing, and never over another one."""

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
from grader.authoring.stubs import SOLUTION_TAG, tags_of
from grader.authoring.template import example
from grader.errors import AssignmentError
from grader.records import Cell

# Needs no quotes as a folder's name, as a word on the command line, or as a key of TOML.
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Written:
    """The files of a new assignment, and notes for the instructor.

    exercises : ids of exercises whose checks are still to be written
    notes : a sentence each
    report : the findings, a line for each cell; "! " begins a line with something to do
    """

    folder: Path
    files: tuple[Path, ...]
    exercises: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    report: tuple[str, ...] = ()


def write_example(assignment_id: str, parent: Path, *, title: str = "") -> Written:
    """Write parent/<id>/ with a small example; return its files.

    Raises AssignmentError for a wrong id, or if the folder exists already.
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
            make[cell.kind](cell.source, id=f"{slug}-{cell.index:03d}", metadata=tags_of(cell))
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


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text


def quoted(text: str) -> str:
    """Return a string literal that is valid in TOML and in Python."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- writing ----------------------------------------------------------------------------------


def require_free(assignment_id: str, parent: Path) -> None:
    """Raise AssignmentError for a wrong id, or if the folder exists already."""
    if not _ID.fullmatch(assignment_id):
        raise AssignmentError(
            f"{assignment_id!r} can't be an assignment's id: use small letters, digits, - and _, "
            "at most 40 in all"
        )
    folder = parent / assignment_id
    if folder.exists() or folder.is_symlink():
        raise AssignmentError(f"{folder} exists already, and is not overwritten")


def write_files(assignment_id: str, parent: Path, files: Mapping[str, str | bytes]) -> Written:
    """Write the files into a new folder, load it as an assignment, and only then rename it."""
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
