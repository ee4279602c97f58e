"""What a student wrote and drew for an exercise in words, for a person to read."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from grader.records import Cell, Notebook


def answer_cells(
    notebook: Notebook, headings: Sequence[str], template: Notebook | None = None
) -> tuple[Cell, ...]:
    """Return the Markdown cells that answer under these headings, in the notebook's order.

    An answer is written into the heading's own cell, or into the Markdown cells below it, up to
    the next heading or the next cell of code. Case and white space of a heading don't matter.
    template : the notebook that the student started from. With it, an answer goes on below the
        student's own code and headings: "As the figure shows, ..." is part of it
    """
    wanted = {_plain(heading) for heading in headings}
    given = {_plain(cell.source) for cell in template.cells} if template else set()
    known = {title for cell in template.cells for title in _titles(cell)} if template else set()
    found: list[Cell] = []
    inside = below_code = False
    for cell in notebook.cells:
        titles = _titles(cell)
        if titles and not (template and inside and known.isdisjoint(titles)):
            inside, below_code = any(title in wanted for title in titles), False
        elif cell.kind == "code":
            inside, below_code = inside and template is not None, True
        if not inside or cell.kind != "markdown" or not (cell.source.strip() or cell.attachments):
            continue
        if not (below_code and _plain(cell.source) in given):
            found.append(cell)
    return tuple(found)


def drawing_cells(
    notebook: Notebook, headings: Sequence[str], regions: Collection[int]
) -> tuple[int, ...]:
    """Return the code cells whose figures belong to an answer, in the notebook's order.

    They are the cells that hold its gaps, with the code right below them, and the code
    under its headings, up to the next heading.
    """
    wanted = {_plain(heading) for heading in headings}
    found: list[int] = []
    inside = after_gap = False
    for cell in notebook.cells:
        if cell.kind != "code":
            titles = _titles(cell)
            after_gap = False
            inside = any(title in wanted for title in titles) if titles else inside
            continue
        after_gap = after_gap or cell.index in regions
        if inside or after_gap:
            found.append(cell.index)
    return tuple(found)


def _titles(cell: Cell) -> list[str]:
    if cell.kind != "markdown":
        return []
    lines = (line.lstrip() for line in cell.source.splitlines())
    return [_plain(line.strip("# ")) for line in lines if line.startswith("#")]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
