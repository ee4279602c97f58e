"""One side of a comparison: a notebook's code, with its gaps masked."""

from __future__ import annotations

from functools import cached_property

from grader.notebook.definitions import (
    Span,
    assigned,
    broken_spans,
    dedented,
    parseable,
    spans,
    syntax_error,
)
from grader.notebook.logical_lines import Line, logical_lines
from grader.notebook.regions import Gap, find_gaps, living_gaps
from grader.records import Notebook


class Side:
    """A notebook's code, with its gaps masked, as the comparison needs it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.code = [cell for cell in notebook.cells if cell.kind == "code"]
        self.by_index = {cell.index: cell for cell in self.code}
        gaps = find_gaps(self.code)
        self.gaps = living_gaps(gaps, notebook.definitions, self.code)
        self.masked: dict[int, set[int]] = {}
        for gap in gaps:
            if gap.clean:
                for cell, first, last in gap.pieces:
                    self.masked.setdefault(cell, set()).update(range(first, last + 1))
        self.bound = {
            (bound.name, cell.index, bound.line): bound
            for cell in self.code
            for bound in assigned(cell.source)
        }

        self._lines: dict[int, tuple[Line, ...]] = {}

    def lines(self, cell: int) -> tuple[Line, ...]:
        if cell not in self._lines:
            self._lines[cell] = logical_lines(self.by_index[cell].source)
        return self._lines[cell]

    def lines_of(self, span: Span, cell: int, *, masked: bool) -> list[Line]:
        """Return a definition's lines, shifted to level 0; without its gaps where `masked`."""
        hidden = self.masked.get(cell, set()) if masked else set()
        inside = [line for line in self.lines(cell) if span.start <= line.number <= span.end]
        base = inside[0].level if inside else 0
        return [
            Line(line.number, line.level - base, line.tokens)
            for line in inside
            if line.number not in hidden
        ]

    def gap_lines(self, gap: Gap) -> list[tuple[int, tuple[str, ...]]]:
        """Return the lines between the markers, shifted so that the first line has level 0."""
        found: list[Line] = []
        for cell, first, last in gap.pieces:
            found += [line for line in self.lines(cell) if first <= line.number <= last]
        base = found[0].level if found else 0
        return [(line.level - base, line.tokens) for line in found]

    def span(self, name: str) -> tuple[Span, int] | None:
        """Return the place of the definition that counts, and its cell."""
        known = self.notebook.definitions.get(name)
        if known is None:
            return None
        for span in spans(self.by_index[known.cell].source):
            if span.name == name and span.start == known.line:
                return span, known.cell
        return None

    @cached_property
    def broken(self) -> dict[str, tuple[Span, int]]:
        """Return the place of each definition that is written but doesn't parse."""
        return {
            span.name: (span, cell.index)
            for cell in self.code
            for span in broken_spans(cell.source)
        }

    @cached_property
    def broken_cells(self) -> frozenset[int]:
        """Return the cells that don't parse: nothing can be said of their other lines."""
        return frozenset(cell.index for cell in self.code if syntax_error(cell.source))

    def rebound(self, name: str) -> tuple[int, str] | None:
        """Return (cell, source) of module-level code that binds the name after its definition.

        Binding a class again (`Model = BetterModel`) binds all its methods.
        """
        owners = {name}
        while "." in name:
            name = name.rpartition(".")[0]
            owners.add(name)
        known = [self.notebook.definitions[o] for o in owners if o in self.notebook.definitions]
        last = max(((d.cell, d.line) for d in known), default=(-1, 0))
        found = [
            (cell, line, bound.end)
            for (bound_name, cell, line), bound in self.bound.items()
            if bound_name in owners and (cell, line) >= last
        ]
        if not found:
            return None
        cell, first, end = max(found)
        lines = parseable(self.by_index[cell].source).split("\n")
        return cell, dedented(lines[first - 1 : end])

    def text_of(self, span: Span, cell: int) -> str:
        lines = parseable(self.by_index[cell].source).split("\n")
        return dedented(lines[span.start - 1 : span.end])
