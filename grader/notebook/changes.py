"""What was changed outside the regions: notes on the template's own code, cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from grader.notebook.code_side import Side
from grader.notebook.definitions import (
    Span,
    spans,
)
from grader.notebook.logical_lines import Line, shape_of
from grader.records import Note
from grader.text import one_line


def changed_definitions(mine: Side, theirs: Side) -> list[Note]:
    """Return a note for each definition of the stub whose given code differs."""
    notes = []
    for name in theirs.notebook.definitions:
        given = theirs.span(name)
        if given is None or given[0].parent == "function":
            continue
        span, cell = given
        if span.start in theirs.masked.get(cell, set()):
            continue  # the whole definition is in a gap
        own = mine.span(name)
        if own is None:
            note = _gone_or_rebound(name, mine, theirs, span)
            notes += [note] if note else []
            continue
        own_span, own_cell = own
        wanted = theirs.lines_of(span, cell, masked=True)
        found = mine.lines_of(own_span, own_cell, masked=True)
        if span.kind == "class":
            wanted = _without_members(wanted, theirs, span, cell)
            found = _without_members(found, mine, own_span, own_cell)
        if shape_of(wanted) == shape_of(found):
            rebound = mine.rebound(name)
            if rebound is not None and name not in theirs.gaps and theirs.rebound(name) is None:
                notes.append(_changed(f"`{name}` of the template is replaced", rebound[0]))
            continue
        has_gap = any(gap.name == name for gap in theirs.gaps.values())
        kept_markers = any(gap.name == name and gap.clean for gap in mine.gaps.values())
        if has_gap and not kept_markers and _is_subsequence(shape_of(wanted), shape_of(found)):
            continue  # the markers are lost, but the given code is complete
        first = _first_difference(found, wanted)
        at = f", first at `{first}`" if first else ""
        notes.append(_changed(f"`{name}` differs from the template{at}", own_cell))
    return notes


def _gone_or_rebound(name: str, mine: Side, theirs: Side, span: Span) -> Note | None:
    owner = name.rpartition(".")[0]
    if owner and owner not in mine.notebook.definitions:
        return None  # the class is gone, and one note about it is enough
    if any(gap.name == name for gap in theirs.gaps.values()):
        return None  # its region says "missing"
    if (broken := mine.broken.get(name)) is not None:
        same = mine.text_of(*broken) == theirs.text_of(span, theirs.notebook.definitions[name].cell)
        return None if same else _changed(f"`{name}` of the template no longer parses", broken[1])
    known = mine.notebook.definitions.get(name)
    if known is not None:
        return _changed(f"`{name}` of the template is replaced", known.cell)
    if mine.broken_cells:
        return None  # it may be in one of them
    return Note("changed_outside_region", f"`{name}` of the template is gone")


def _changed(what: str, cell: int) -> Note:
    return Note("changed_outside_region", f"cell {cell}: {what}", cell=cell)


def _without_members(lines: list[Line], side: Side, span: Span, cell: int) -> list[Line]:
    """Return a class's own lines: its head and attributes, not its methods."""
    members = [
        other
        for other in spans(side.by_index[cell].source)
        if other.name.startswith(f"{span.name}.") and other.start >= span.start
    ]
    return [line for line in lines if not any(line.number in member for member in members)]


def _first_difference(found: Sequence[Line], wanted: Sequence[Line]) -> str:
    """Return the first line of `found` that differs from `wanted`, shortened; "" at its end."""
    for n, line in enumerate(found):
        if n >= len(wanted) or (line.level, line.tokens) != (wanted[n].level, wanted[n].tokens):
            return _shown(line.tokens)
    return ""


def _shown(tokens: Sequence[str]) -> str:
    """Return a line's tokens as readable code, at most 60 characters."""
    text = ""
    for token in tokens:
        glued = not text or token in set(".,:)]}([") or text[-1] in ".([{"
        text += token if glued else f" {token}"
        if len(text) > 60:
            break
    return one_line(text, 60)


def _is_subsequence(wanted: Sequence[object], found: Sequence[object]) -> bool:
    rest = iter(found)
    return all(any(item == other for other in rest) for item in wanted)


def changed_cells(mine: Side, theirs: Side, pairs: Mapping[int, int]) -> list[Note]:
    """Return notes on the stub's code outside definitions and gaps, at most one for each cell."""
    everywhere = Counter(
        line.tokens for cell in mine.code for line in _loose_lines(mine, cell.index)
    )
    notes = []
    for cell in theirs.code:
        wanted = _loose_lines(theirs, cell.index)
        if not wanted:
            continue
        own = pairs.get(cell.index)
        if own is not None and _is_subsequence(shape_of(wanted), shape_of(_loose_lines(mine, own))):
            continue
        gone = [line for line in wanted if not everywhere[line.tokens]]
        if not gone or own in mine.broken_cells or (own is None and mine.broken_cells):
            continue
        first = _shown(gone[0].tokens)
        more = f" and {len(gone) - 1} more lines" if len(gone) > 1 else ""
        if own is None:
            message = f"the template's cell {cell.index} is gone: `{first}`{more}"
            notes.append(Note("changed_outside_region", message))
        else:
            notes.append(_changed(f"the template's `{first}`{more} was changed", own))
    return notes


def _loose_lines(side: Side, cell: int) -> list[Line]:
    """Return a cell's lines outside definitions and gaps, without magics that became `pass`."""
    inside = set(side.masked.get(cell, ()))
    for span in spans(side.by_index[cell].source):
        if not span.parent:
            inside.update(range(span.start, span.end + 1))
    return [
        line for line in side.lines(cell) if line.number not in inside and line.tokens != ("pass",)
    ]
