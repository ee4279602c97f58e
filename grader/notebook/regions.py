"""The gaps that students fill: found by their markers, named by the definition around them.

A reference or stub holds `### START YOUR CODE ###` and `### END YOUR CODE ###`. In submissions the
markers are renamed, doubled, swapped, lost, or in two cells. If they can't be paired, the whole
definition is the region, so that nothing of the student's is overlooked.
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from grader.notebook.definitions import (
    broken_spans,
    dedented,
    owner_of,
    parseable,
    spans,
    statements,
)
from grader.records import Cell, Definition, Note, Region

MAX_MARKERS = 200
"""Markers of one cell. Real ones have at most a dozen; a hostile one would take quadratic time."""

_STARTS = frozenset({"start", "starts", "begin", "begins"})
_ENDS = frozenset({"end", "ends", "stop", "stops", "finish"})
END_SOLUTION = re.compile(r"\s*#+\s*END (OF )?(THE |YOUR )?SOLUTION\b", re.IGNORECASE)
"""The end of another kind of gap. Published sheets close an open START with it."""
_BETWEEN = frozenset({"of", "the", "your", "my", "own", "student", "solution"})


@dataclass(frozen=True)
class Marker:
    """A line that opens or closes a gap; lines from 1. `inline` if code stands before it."""

    kind: Literal["start", "end"]
    line: int
    indent: int
    inline: bool = False
    owner: str = ""
    owner_line: int = 0


@dataclass(frozen=True)
class Gap:
    """The place of a region.

    pieces : (cell index, first line, last line), markers included; two where it spans cells
    owner_line : line of the `def` in the first piece's cell, 0 outside any
    clean : False if the markers were damaged, so that it is the whole definition
    """

    name: str
    pieces: tuple[tuple[int, int, int], ...]
    source: str
    owner_line: int = 0
    clean: bool = True
    notes: tuple[Note, ...] = field(default=())

    @property
    def cell(self) -> int:
        return self.pieces[0][0]


def marker_kind(line: str) -> tuple[Literal["start", "end"], bool] | None:
    """Return (kind, inline) of a marker line, None for any other line.

    "### START YOUR CODE ### DONE", "# YOUR CODE (START)", "#begin your code", "x = 1 ### END YOUR
    CODE ###" are markers; "# start with the code of sigmoid" is a comment.
    """
    stripped = line.strip()
    inline = not stripped.startswith("#")
    if inline:
        at = stripped.find("##")
        if at < 0:
            return None
        stripped = stripped[at:]
    if len(stripped) > 300:
        return None
    hashes = len(stripped) - len(stripped.lstrip("#"))
    words = re.findall(r"[a-z]+", stripped.lower())
    if "code" not in words[:6]:
        return None
    at = words.index("code")
    before, after = words[:at], words[at + 1 :]
    addressed = "your" in before or after[:1] == ["here"] or hashes >= 3
    if not addressed:
        return None
    kinds: tuple[tuple[Literal["start", "end"], frozenset[str]], ...] = (
        ("start", _STARTS),
        ("end", _ENDS),
    )
    for kind, names in kinds:
        if before and before[0] in names and _BETWEEN.issuperset(before[1:]):
            return kind, inline
        tail = after[1:] if after[:1] == ["here"] else after
        if before == ["your"] and tail and tail[0] in names:
            return kind, inline
    return None


def _closed_otherwise(lines: Sequence[str], start: int) -> int:
    """Return the line (from 1) of the END SOLUTION that closes the START above; 0 for none.

    start : the START marker's line, from 1; a marker below it that is an END of its own closes it
    """
    closing = 0
    for number, line in enumerate(lines[start:], start=start + 1):
        if (kind := marker_kind(line)) is not None:
            return 0 if kind[0] == "end" else closing
        if not closing and END_SOLUTION.match(line):
            closing = number
    return closing


@functools.lru_cache(maxsize=256)
def markers(source: str) -> tuple[Marker, ...]:
    """Return the cell's markers in order, each with the definition that encloses it."""
    text = parseable(source)
    if "code" not in text.lower():
        return ()
    lines = text.split("\n")
    found: list[Marker] = []
    quoted: frozenset[int] | None = None
    closing = 0
    for number, line in enumerate(lines, start=1):
        match = marker_kind(line) if "#" in line else None
        if match is None and number == closing:
            match = ("end", False)
        if match is None or len(found) >= MAX_MARKERS:
            continue
        if quoted is None:  # parsed only for a cell with such a line: most have none
            several = '"""' in text or "'''" in text
            quoted = _lines_in_strings(source) if several else frozenset()
        if number in quoted:
            continue
        owner, owner_line = owner_of(source, number)
        indent = len(line) - len(line.lstrip())
        found.append(Marker(match[0], number, indent, match[1], owner, owner_line))
        closing = _closed_otherwise(lines, number) if match[0] == "start" else 0
    return tuple(found)


def _lines_in_strings(source: str) -> frozenset[int]:
    """Return the lines inside a string: a marker quoted in a docstring does not count."""
    inside: set[int] = set()
    for statement in statements(source):
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                if isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes):
                    continue
                inside.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return frozenset(inside)


# --- pairing ----------------------------------------------------------------------------------


def find_gaps(cells: Sequence[Cell]) -> tuple[Gap, ...]:
    """Return the notebook's gaps in order; those of one definition share its name."""
    code = [cell for cell in cells if cell.kind == "code"]
    found: list[Gap] = []
    carried: tuple[Cell, Marker] | None = None
    for cell in code:
        pairs, stray, left_open = paired(markers(cell.source))
        if carried is not None:
            opened_in, opening = carried
            # Opened in one cell and closed in the next: its END comes first there.
            first_pair = min((pair[0].line for pair in pairs), default=None)
            closing = next(
                (
                    marker
                    for marker in stray
                    if marker.kind == "end"
                    and not marker.owner
                    and (first_pair is None or marker.line < first_pair)
                ),
                None,
            )
            if closing is not None:
                stray.remove(closing)
                found.append(_gap_over_cells(opened_in, opening, cell, closing))
            else:
                found.append(_damaged(opened_in, opening))
            carried = None
        damaged = [_damaged(cell, marker) for marker in stray]
        whole = {(gap.name, gap.owner_line) for gap in damaged if gap.owner_line}
        for start, end in pairs:
            if (start.owner, start.owner_line) not in whole:
                found.append(_gap(cell, start, end))
        found += {(gap.name, gap.owner_line): gap for gap in damaged}.values()
        if left_open is not None:
            carried = (cell, left_open)
    if carried is not None:
        found.append(_damaged(*carried))
    return tuple(sorted(found, key=lambda gap: gap.pieces[0][:2]))


def paired(
    found: Sequence[Marker],
) -> tuple[list[tuple[Marker, Marker]], list[Marker], Marker | None]:
    """Return (pairs, markers without a partner, the START that is open at the cell's end)."""
    pairs: list[tuple[Marker, Marker]] = []
    stray: list[Marker] = []
    opening: Marker | None = None
    for number, marker in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        if opening is None:
            if marker.kind == "start":
                opening = marker
            else:
                stray.append(marker)
        elif marker.kind == "end":
            if _closes(marker, opening):
                pairs.append((opening, marker))
            else:
                stray += [opening, marker]
            opening = None
        elif (marker.owner, marker.owner_line) == (opening.owner, opening.owner_line):
            # START instead of END, unless the END still comes.
            if following is None or following.kind == "start" or not _closes(following, opening):
                pairs.append((opening, marker))
                opening = None
        else:
            stray.append(opening)
            opening = marker
    return pairs, stray, opening


def _closes(end: Marker, start: Marker) -> bool:
    """Tell whether both are in one definition, or one of them slid out of it."""
    if (end.owner, end.owner_line) == (start.owner, start.owner_line):
        return True
    slid_out = not end.owner or start.owner.startswith(f"{end.owner}.")
    inside = not start.owner or end.owner.startswith(f"{start.owner}.")
    around = inside and end.owner_line > start.line
    return slid_out or around


def _gap(cell: Cell, start: Marker, end: Marker) -> Gap:
    lines = parseable(cell.source).split("\n")
    body = lines[start.line : end.line - 1]
    if start.inline:
        body = [_before_comment(lines[start.line - 1]), *body]
    if end.inline:
        body = [*body, _before_comment(lines[end.line - 1])]
    return Gap(
        name=start.owner or f"cell {cell.index}",
        pieces=((cell.index, start.line, end.line),),
        source=textwrap.dedent("\n".join(body)).strip("\n"),
        owner_line=start.owner_line,
    )


def _before_comment(line: str) -> str:
    return line[: line.find("##")].rstrip()


def _gap_over_cells(cell: Cell, start: Marker, following: Cell, end: Marker) -> Gap:
    first = parseable(cell.source).split("\n")
    second = parseable(following.source).split("\n")
    head = textwrap.dedent("\n".join(first[start.line :]))
    tail = textwrap.dedent("\n".join(second[: end.line - 1]))
    return Gap(
        name=start.owner or f"cell {cell.index}",
        pieces=((cell.index, start.line, len(first)), (following.index, 1, end.line)),
        source="\n".join(part for part in (head.strip("\n"), tail.strip("\n")) if part),
        owner_line=start.owner_line,
    )


def _damaged(cell: Cell, marker: Marker) -> Gap:
    """Return the marker's whole definition as a gap; outside any, the cell after or before it."""
    lines = parseable(cell.source).split("\n")
    first, last = 1, len(lines)
    if marker.owner:
        everything = (*spans(cell.source), *broken_spans(cell.source))
        span = next((s for s in everything if s.line == marker.owner_line), None)
        if span is not None:
            first, last = span.start, max(span.end, marker.line)
    elif marker.kind == "start":
        first = marker.line
    else:
        last = marker.line
    name = marker.owner or f"cell {cell.index}"
    partner = "END" if marker.kind == "start" else "START"
    place = f"`{marker.owner}`: " if marker.owner else ""
    extent = "whole definition" if marker.owner else "rest of the cell"
    note = Note(
        kind="markers_missing",
        message=f"cell {cell.index}, line {marker.line}: {place}the {marker.kind.upper()} marker "
        f"has no {partner}; the {extent} is read as the region",
        cell=cell.index,
    )
    return Gap(
        name=name,
        pieces=((cell.index, first, last),),
        source=dedented(lines[first - 1 : last]).strip("\n"),
        owner_line=marker.owner_line,
        clean=False,
        notes=(note,),
    )


# --- regions ----------------------------------------------------------------------------------


def living_gaps(
    gaps: Iterable[Gap], definitions: Mapping[str, Definition], cells: Sequence[Cell]
) -> dict[str, Gap]:
    """Return the gaps by name: "f", then "f#2" for the second one of the same definition.

    A gap in a definition that a later one replaces is left out.
    """
    by_index = {cell.index: cell for cell in cells}
    alive: dict[str, list[Gap]] = {}
    for gap in gaps:
        known = definitions.get(gap.name)
        if gap.owner_line and known is not None:
            span = next(
                (s for s in spans(by_index[known.cell].source) if s.start == known.line), None
            )
            line = span.line if span else known.line
            if (gap.cell, gap.owner_line) != (known.cell, line):
                continue
        same = alive.setdefault(gap.name, [])
        if same and (same[0].cell, same[0].owner_line) != (gap.cell, gap.owner_line):
            same.clear()
        same.append(gap)
    named: dict[str, Gap] = {}
    for name, group in alive.items():
        for number, gap in enumerate(group, start=1):
            named[name if number == 1 else f"{name}#{number}"] = gap
    return named


def find_regions(
    cells: Sequence[Cell], definitions: Mapping[str, Definition]
) -> tuple[dict[str, Region], tuple[Note, ...]]:
    """Return the regions by name, and notes; all are "filled" until compared with a stub."""
    gaps = living_gaps(find_gaps(cells), definitions, cells)
    regions = {
        name: Region(name=name, cell=gap.cell, source=gap.source, status="filled")
        for name, gap in gaps.items()
    }
    notes = {note: None for gap in gaps.values() for note in gap.notes}
    return regions, tuple(notes)


def replace_region(source: str, name: str, body: str, *, cell: int = 0) -> str | None:
    """Return a code cell's source with another body between the markers; None without them.

    name : the region's qualified name; "cell 5" for one outside any definition, with "#2"
        for the second one of a name
    body : dedented; its first line gets the START marker's indentation, since it may be deeper
        than an `else` that follows in the gap
    cell : the cell's index, which is in the name of a region outside any definition
    """
    qualified, _, number = name.partition("#")
    if qualified == f"cell {cell}":
        qualified = ""
    elif not qualified or qualified.startswith("cell "):
        return None
    pairs, _, _ = paired(markers(source))
    matching = [pair for pair in pairs if pair[0].owner == qualified]
    index = int(number or 1) - 1
    if not 0 <= index < len(matching):
        return None
    start, end = matching[index]
    lines = source.split("\n")
    inner = textwrap.dedent(body).strip("\n").split("\n")
    first = next((line for line in inner if line.strip()), "")
    shift = start.indent - (len(first) - len(first.lstrip()))
    lines[start.line : end.line - 1] = [_shifted(line, shift) for line in inner]
    return "\n".join(lines)


def replace_definition(source: str, name: str, body: str) -> str | None:
    """Return a code cell's source with a whole definition replaced; None if it has none.

    body : dedented; it gets the old definition's indentation
    """
    span = next((span for span in reversed(spans(source)) if span.name == name), None)
    if span is None:
        return None
    lines = source.split("\n")
    indent = len(lines[span.start - 1]) - len(lines[span.start - 1].lstrip())
    # Comments after the body (an END marker) belong to it.
    end = span.end
    while end < len(lines) and (
        lines[end].lstrip().startswith("#") and len(lines[end]) - len(lines[end].lstrip()) > indent
    ):
        end += 1
    inner = textwrap.dedent(body).strip("\n").split("\n")
    lines[span.start - 1 : end] = [_shifted(line, indent) for line in inner]
    return "\n".join(lines)


def _shifted(line: str, by: int) -> str:
    if not line.strip():
        return ""
    if by >= 0:
        return " " * by + line
    return line[min(-by, len(line) - len(line.lstrip())) :]
