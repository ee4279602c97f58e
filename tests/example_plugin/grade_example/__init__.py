"""An example plugin: one hook of each kind. See grader.plugins for what each takes and gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from grade_example import fixtures
from grader import Report
from grader.plugins import Handed, Reporter, hookimpl
from grader.records import Origin


def as_lines(report: Report) -> Iterator[str]:
    """Yield "Ann Meier: 6 of 6", a line a submission."""
    for result in report.results:
        yield f"{', '.join(result.students)}: {result.score:g} of {result.max_score:g}\n"


@hookimpl
def grade_reporters() -> Sequence[Reporter]:
    return [Reporter("lines", as_lines)]


@hookimpl
def grade_export(path: Path, into: Path) -> Sequence[Handed] | None:
    """Take a .box apart: JSON, {"Ann Meier": the text of a notebook}."""
    if path.suffix != ".box":
        return None
    found = []
    for number, (student, text) in enumerate(json.loads(path.read_text("utf-8")).items()):
        # Numbered: a name may hold anything, and is only shown.
        folder = into / str(number)
        folder.mkdir(parents=True)
        notebook = folder / "work.ipynb"
        notebook.write_text(text, "utf-8")
        origin = Origin(platform="box", name=student, students=(student,))
        found.append(Handed(notebook, f"{path}: {student}", origin))
    return found


@hookimpl
def grade_import(path: Path) -> str | None:
    """Make a notebook of a .cells: the text of its code cells, between lines of dashes."""
    if path.suffix != ".cells":
        return None
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source}
        for n, source in enumerate(path.read_text("utf-8").split("\n---\n"))
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@hookimpl
def grade_check_helpers() -> Sequence[object]:
    return [fixtures]
