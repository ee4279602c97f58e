"""The words that a student wrote where the sheet asks for words: for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from grader.records import Cell, Notebook


def answer_cells(notebook: Notebook, headings: Sequence[str]) -> tuple[Cell, ...]:
    """Return the Markdown cells that answer under these headings, in the notebook's order.

    An answer is written into the heading's own cell, or into the Markdown cells below it, up to
    the next heading or the next cell of code. Case and white space of a heading don't matter.
    """
    wanted = {_plain(heading) for heading in headings}
    found: list[Cell] = []
    inside = False
    for cell in notebook.cells:
        titles = _headings(cell) if cell.kind == "markdown" else []
        if titles or cell.kind == "code":
            inside = any(title in wanted for title in titles)
        if inside and cell.kind == "markdown" and cell.source.strip():
            found.append(cell)
    return tuple(found)


def _headings(cell: Cell) -> list[str]:
    lines = (line.lstrip() for line in cell.source.splitlines())
    return [_plain(line.strip("# ")) for line in lines if line.startswith("#")]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
