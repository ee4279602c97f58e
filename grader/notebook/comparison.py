"""Compare a notebook with its stub: which regions were filled, what else was changed.

Code is compared as logical lines of tokens, so that comments, blank lines, quotes, line breaks
and a formatter's commas make no difference, and code that doesn't parse can be compared too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from grader.notebook.alignment import aligned_cells
from grader.notebook.changes import changed_cells, changed_definitions
from grader.notebook.code_side import Side
from grader.notebook.definitions import (
    Span,
    assigned,
    parseable,
)
from grader.notebook.logical_lines import shape_of
from grader.notebook.regions import Gap
from grader.records import Note, Notebook, Region, RegionStatus

MAX_NOTES = 40
"""Notes on one notebook. With more, it is simply another notebook."""


def compare_with_stub(
    notebook: Notebook, stub: Notebook, *, functions: Iterable[str] = ()
) -> Notebook:
    """Return the notebook with its regions compared with the stub's, and notes on the rest.

    functions : further names that get a region: the functions that the exercises grade
    Regions keep the stub's names, "f#2" for the second one in f; `cell` is the student's.
    filled : the answer if in doubt; the checks then decide
    untouched : the dummy is in place, nothing else in its definition differs, and no later code
        binds the name again
    missing : neither the gap nor a definition of that name is there
    """
    mine, theirs = Side(notebook), Side(stub)
    pairs = aligned_cells(mine, theirs)
    notes: list[Note] = []
    regions: dict[str, Region] = {}
    for name, gap in theirs.gaps.items():
        if gap.owner_line:
            regions[name] = _definition_region(name, gap, mine, theirs, notes)
        else:
            regions[name] = _cell_region(name, gap, mine, theirs, pairs, notes)
    for name in functions:
        if name not in regions:
            regions[name] = _function_region(name, mine, theirs, regions)
    notes += changed_definitions(mine, theirs)
    notes += changed_cells(mine, theirs, pairs)
    extra = {gap.cell for name, gap in mine.gaps.items() if name not in regions}
    kept = [note for note in notebook.notes if not _is_old_note(note)]
    marker_notes = [note for note in notebook.notes if note.kind == "markers_missing"]
    told = {note.cell for note in notes if note.kind == "markers_missing"}
    kept += [note for note in marker_notes if note.cell not in told or note.cell in extra]
    if len(notes) > MAX_NOTES:
        left = len(notes) - MAX_NOTES
        more = Note("changed_outside_region", f"and {left} more differences from the template")
        notes = [*notes[:MAX_NOTES], more]
    fresh = [replace(note, notebook=notebook.name) for note in notes]
    return replace(notebook, regions=regions, notes=tuple(dict.fromkeys((*kept, *fresh))))


def region_of(notebook: Notebook, function: str) -> tuple[Region, ...]:
    """Return all regions of a function ("f", "f#2"); for a class its methods' as well.

    A class whose methods have regions has no region of its own.
    """
    inside = [
        region
        for name, region in notebook.regions.items()
        if name.startswith((f"{function}#", f"{function}."))
    ]
    own = notebook.regions.get(function)
    members = any(region.name.startswith(f"{function}.") for region in inside)
    if own is not None and not (members and own.status == "filled"):
        return (own, *inside)
    return tuple(inside)


def gaps_that_set(given: Notebook, name: str) -> tuple[str, ...]:
    """Return the names of the gaps outside functions in the cells that set `name`.

    given : the stub, or the solved notebook
    """
    setting = {
        cell.index
        for cell in given.cells
        if cell.kind == "code" and any(one.name == name for one in assigned(cell.source))
    }
    return tuple(
        gap
        for gap, region in given.regions.items()
        if gap.startswith("cell ") and region.cell in setting
    )


def regions_that_set(notebook: Notebook, given: Notebook | None, name: str) -> tuple[Region, ...]:
    """Return a notebook's regions in the gaps that set a name; given : see gaps_that_set"""
    gaps = gaps_that_set(given, name) if given is not None else ()
    return tuple(notebook.regions[gap] for gap in gaps if gap in notebook.regions)


def _is_old_note(note: Note) -> bool:
    """Tell whether a note on markers is from an earlier comparison, or from reading."""
    return note.kind in ("markers_missing", "changed_outside_region")


# --- regions ------------------------------------------------------------------------------


def _definition_region(name: str, gap: Gap, mine: Side, theirs: Side, notes: list[Note]) -> Region:
    """Return the student's region for a stub's region inside a definition."""
    own = mine.gaps.get(name)
    if own is not None and not own.clean:
        notes += own.notes
    rebound = mine.rebound(gap.name)
    if rebound is not None:
        return Region(name=name, cell=rebound[0], source=rebound[1], status="filled")
    place = mine.span(gap.name)
    if own is not None and own.clean and (place is None or own.owner_line == place[0].line):
        status: RegionStatus = "filled"
        if place is not None and _same_definition(gap.name, mine, theirs):
            status = "untouched"
        elif mine.gap_lines(own) == theirs.gap_lines(gap) and _other_gap_filled(gap, mine, theirs):
            # Only another gap of the same definition differs.
            status = "untouched"
        elif _says_nothing(mine.gap_lines(own)) and _same_definition(
            gap.name, mine, theirs, masked=True
        ):
            status = "untouched"
        elif place is None and mine.gap_lines(own) == theirs.gap_lines(gap):
            status = "untouched" if mine.broken.get(gap.name) is None else "filled"
        return Region(name=name, cell=own.cell, source=own.source, status=status)
    if place is not None:
        span, cell = place
        if own is None and name == gap.name:
            notes.append(_markers_gone(gap.name, cell))
        same = _same_definition(gap.name, mine, theirs)
        return Region(
            name=name,
            cell=cell,
            source=mine.text_of(span, cell),
            status="untouched" if same or _is_empty(span, cell, mine) else "filled",
        )
    broken = mine.broken.get(gap.name)
    if broken is not None:
        span, cell = broken
        return Region(name=name, cell=cell, source=mine.text_of(span, cell), status="filled")
    if gap.name in mine.notebook.definitions:
        known = mine.notebook.definitions[gap.name]
        return Region(name=name, cell=known.cell, source=known.source, status="filled")
    return Region(name=name, cell=gap.cell, source="", status="missing")


def _markers_gone(name: str, cell: int) -> Note:
    return Note(
        kind="markers_missing",
        message=f"cell {cell}: `{name}` has lost its markers; its whole definition is the region",
        cell=cell,
    )


def _same_definition(name: str, mine: Side, theirs: Side, *, masked: bool = False) -> bool:
    """Tell whether a definition is the stub's: all of it, or, masked, all but its gaps."""
    own, other = mine.span(name), theirs.span(name)
    if own is None or other is None:
        return False
    return shape_of(mine.lines_of(*own, masked=masked)) == shape_of(
        theirs.lines_of(*other, masked=masked)
    )


def _other_gap_filled(gap: Gap, mine: Side, theirs: Side) -> bool:
    """Tell whether the definition has several gaps and differs from the stub only in them."""
    several = sum(1 for g in theirs.gaps.values() if g.name == gap.name) > 1
    return several and _same_definition(gap.name, mine, theirs, masked=True)


def _is_empty(span: Span, cell: int, side: Side) -> bool:
    """Tell whether only the head of a function is written."""
    lines = side.lines_of(span, cell, masked=False)
    head = next((n for n, line in enumerate(lines) if line.tokens[-1] == ":"), None)
    return (
        span.kind == "function" and head is not None and _says_nothing(shape_of(lines[head + 1 :]))
    )


def _says_nothing(lines: Sequence[tuple[int, tuple[str, ...]]]) -> bool:
    """Tell whether the lines are only a placeholder: pass, ..., raise NotImplementedError."""
    return all(
        tokens in (("pass",), ("...",)) or tokens[:2] == ("raise", "NotImplementedError")
        for _, tokens in lines
    )


def _cell_region(
    name: str,
    gap: Gap,
    mine: Side,
    theirs: Side,
    pairs: Mapping[int, int],
    notes: list[Note],
) -> Region:
    """Return the student's region for a stub's region outside any definition."""
    cell = pairs.get(gap.cell)
    if cell is None:
        return Region(name=name, cell=gap.cell, source="", status="missing")
    number = name.partition("#")[2]
    own = mine.gaps.get(f"cell {cell}" + (f"#{number}" if number else ""))
    if own is None or not own.clean:
        if own is None:
            notes.append(
                Note(
                    kind="markers_missing",
                    message=f"cell {cell} has lost its markers; the whole cell is the region",
                    cell=cell,
                )
            )
        else:
            notes += own.notes
        same = shape_of(mine.lines(cell)) == shape_of(theirs.lines(gap.cell))
        source = own.source if own is not None else parseable(mine.by_index[cell].source)
        return Region(name=name, cell=cell, source=source, status="untouched" if same else "filled")
    same = mine.gap_lines(own) == theirs.gap_lines(gap)
    return Region(name=name, cell=cell, source=own.source, status="untouched" if same else "filled")


def _function_region(name: str, mine: Side, theirs: Side, regions: Mapping[str, Region]) -> Region:
    """Return a region for a function without a gap in the stub."""
    rebound = mine.rebound(name)
    if rebound is not None:
        return Region(name=name, cell=rebound[0], source=rebound[1], status="filled")
    place = mine.span(name) or mine.broken.get(name)
    if place is None:
        known = mine.notebook.definitions.get(name)
        if known is not None:
            return Region(name=name, cell=known.cell, source=known.source, status="filled")
        return Region(name=name, cell=0, source="", status="missing")
    span, cell = place
    status: RegionStatus = "filled"
    inside = [region.status for key, region in regions.items() if key.startswith(f"{name}.")]
    if inside:
        same = all(state != "filled" for state in inside) and "untouched" in inside
        status = "untouched" if same and _same_definition(name, mine, theirs) else "filled"
    else:
        given = theirs.span(name)
        in_gap = given is not None and given[0].start in theirs.masked.get(given[1], set())
        if in_gap and (_same_definition(name, mine, theirs) or _is_empty(span, cell, mine)):
            status = "untouched"
    return Region(name=name, cell=cell, source=mine.text_of(span, cell), status=status)
