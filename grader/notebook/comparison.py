"""Holds a notebook against its stub: which regions were filled, what else was changed.

Code is compared as logical lines of tokens, so that comments, blank lines, quotes, line breaks
and a formatter's commas make no difference, and code that doesn't parse can be compared too.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from grader.notebook.definitions import (
    MAX_SOURCE_CHARS,
    Span,
    assigned,
    broken_spans,
    dedented,
    parseable,
    spans,
    syntax_error,
)
from grader.notebook.regions import Gap, find_gaps, living_gaps
from grader.notebook.salvage import salvaged
from grader.records import Note, Notebook, Region, RegionStatus
from grader.text import one_line

MAX_NOTES = 40
"""Of one notebook. More than this says that another notebook was handed in, once and for all."""


@dataclass(frozen=True)
class Line:
    """A logical line: where it starts in its cell, how deep it stands, its tokens."""

    number: int
    level: int
    tokens: tuple[str, ...]


# --- the public functions ----------------------------------------------


def compare_with_stub(
    notebook: Notebook, stub: Notebook, *, functions: Iterable[str] = ()
) -> Notebook:
    """Return the notebook with its regions held against the stub's, and notes on the rest.

    functions : names that get a region besides the stub's own: what the exercises grade
    Regions keep the stub's names, "f#2" for the second one in f; `cell` is the student's.
    filled : the safe answer; whoever doubts runs the checks
    untouched : the dummy is in place, nothing else in its definition differs, and no later code
        binds the name anew
    missing : neither the gap nor a definition of that name is there
    """
    mine, theirs = _Side(notebook), _Side(stub)
    pairs = _aligned_cells(mine, theirs)
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
    notes += _changed_definitions(mine, theirs)
    notes += _changed_cells(mine, theirs, pairs)
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

    A class whose methods have regions is nothing to fill by itself.
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


def _is_old_note(note: Note) -> bool:
    """True for what an earlier comparison, or the reading, said of the markers."""
    return note.kind in ("markers_missing", "changed_outside_region")


# --- one side of the comparison ----------------------------------------------


class _Side:
    """A notebook's code, its gaps masked, by the questions that the comparison asks."""

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
        """Return what stands between the markers, shifted so that the first line has level 0."""
        found: list[Line] = []
        for cell, first, last in gap.pieces:
            found += [line for line in self.lines(cell) if first <= line.number <= last]
        base = found[0].level if found else 0
        return [(line.level - base, line.tokens) for line in found]

    def span(self, name: str) -> tuple[Span, int] | None:
        """Return where the definition that counts stands, and its cell."""
        known = self.notebook.definitions.get(name)
        if known is None:
            return None
        for span in spans(self.by_index[known.cell].source):
            if span.name == name and span.start == known.line:
                return span, known.cell
        return None

    @cached_property
    def broken(self) -> dict[str, tuple[Span, int]]:
        """Where each definition stands that is written but doesn't parse."""
        return {
            span.name: (span, cell.index)
            for cell in self.code
            for span in broken_spans(cell.source)
        }

    @cached_property
    def broken_cells(self) -> frozenset[int]:
        """The cells that don't parse whole: of their other lines nothing can be said."""
        return frozenset(cell.index for cell in self.code if syntax_error(cell.source))

    def rebound(self, name: str) -> tuple[int, str] | None:
        """Return (cell, source) of module-level code that binds the name after its definition.

        Binding a class anew (`Model = BetterModel`) binds all its methods.
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


# --- regions ----------------------------------------------


def _definition_region(
    name: str, gap: Gap, mine: _Side, theirs: _Side, notes: list[Note]
) -> Region:
    """Return the student's region for one that a definition of the stub encloses."""
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
            # Another gap of the same definition is what differs.
            status = "untouched"
        elif _says_nothing(mine.gap_lines(own)) and _same_around(gap.name, mine, theirs):
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


def _same_definition(name: str, mine: _Side, theirs: _Side) -> bool:
    """True where the whole definition is the stub's still."""
    own, other = mine.span(name), theirs.span(name)
    if own is None or other is None:
        return False
    return _shape(mine.lines_of(*own, masked=False)) == _shape(
        theirs.lines_of(*other, masked=False)
    )


def _other_gap_filled(gap: Gap, mine: _Side, theirs: _Side) -> bool:
    """True where the definition has several gaps and differs from the stub's in these alone."""
    several = sum(1 for g in theirs.gaps.values() if g.name == gap.name) > 1
    return several and _same_around(gap.name, mine, theirs)


def _same_around(name: str, mine: _Side, theirs: _Side) -> bool:
    """True where a definition differs from the stub's in its gaps alone."""
    own, other = mine.span(name), theirs.span(name)
    if own is None or other is None:
        return False
    return _shape(mine.lines_of(*own, masked=True)) == _shape(theirs.lines_of(*other, masked=True))


def _is_empty(span: Span, cell: int, side: _Side) -> bool:
    """True for a function of which the head alone is written."""
    lines = side.lines_of(span, cell, masked=False)
    head = next((n for n, line in enumerate(lines) if line.tokens[-1] == ":"), None)
    return span.kind == "function" and head is not None and _says_nothing(_shape(lines[head + 1 :]))


def _says_nothing(lines: Sequence[tuple[int, tuple[str, ...]]]) -> bool:
    """True for what stands where nothing is written yet: pass, ..., raise NotImplementedError."""
    return all(
        tokens in (("pass",), ("...",)) or tokens[:2] == ("raise", "NotImplementedError")
        for _, tokens in lines
    )


def _shape(lines: Sequence[Line]) -> list[tuple[int, tuple[str, ...]]]:
    return [(line.level, line.tokens) for line in lines]


def _cell_region(
    name: str,
    gap: Gap,
    mine: _Side,
    theirs: _Side,
    pairs: Mapping[int, int],
    notes: list[Note],
) -> Region:
    """Return the student's region for one that stands outside any definition."""
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
        same = _shape(mine.lines(cell)) == _shape(theirs.lines(gap.cell))
        source = own.source if own is not None else parseable(mine.by_index[cell].source)
        return Region(name=name, cell=cell, source=source, status="untouched" if same else "filled")
    same = mine.gap_lines(own) == theirs.gap_lines(gap)
    return Region(name=name, cell=cell, source=own.source, status="untouched" if same else "filled")


def _function_region(
    name: str, mine: _Side, theirs: _Side, regions: Mapping[str, Region]
) -> Region:
    """Return a region for a function that the stub gives no gap of its own."""
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


# --- what was changed outside the regions ----------------------------------------------


def _changed_definitions(mine: _Side, theirs: _Side) -> list[Note]:
    """Return a note for each definition of the stub whose given code differs."""
    notes = []
    for name in theirs.notebook.definitions:
        given = theirs.span(name)
        if given is None or given[0].parent == "function":
            continue
        span, cell = given
        if span.start in theirs.masked.get(cell, set()):
            continue  # the definition itself is what a gap holds
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
        if _shape(wanted) == _shape(found):
            rebound = mine.rebound(name)
            if rebound is not None and name not in theirs.gaps and theirs.rebound(name) is None:
                notes.append(_changed(f"`{name}` of the template is replaced", rebound[0]))
            continue
        has_gap = any(gap.name == name for gap in theirs.gaps.values())
        kept_markers = any(gap.name == name and gap.clean for gap in mine.gaps.values())
        if has_gap and not kept_markers and _is_subsequence(_shape(wanted), _shape(found)):
            continue  # markers are lost, the given code is all there
        first = _first_difference(found, wanted)
        at = f", first at `{first}`" if first else ""
        notes.append(_changed(f"`{name}` differs from the template{at}", own_cell))
    return notes


def _gone_or_rebound(name: str, mine: _Side, theirs: _Side, span: Span) -> Note | None:
    owner = name.rpartition(".")[0]
    if owner and owner not in mine.notebook.definitions:
        return None  # the class is gone, and that is said once
    if any(gap.name == name for gap in theirs.gaps.values()):
        return None  # its region says "missing"
    if (broken := mine.broken.get(name)) is not None:
        same = mine.text_of(*broken) == theirs.text_of(span, theirs.notebook.definitions[name].cell)
        return None if same else _changed(f"`{name}` of the template no longer parses", broken[1])
    known = mine.notebook.definitions.get(name)
    if known is not None:
        return _changed(f"`{name}` of the template is replaced", known.cell)
    if mine.broken_cells:
        return None  # it may stand in one of them
    return Note("changed_outside_region", f"`{name}` of the template is gone")


def _changed(what: str, cell: int) -> Note:
    return Note("changed_outside_region", f"cell {cell}: {what}", cell=cell)


def _without_members(lines: list[Line], side: _Side, span: Span, cell: int) -> list[Line]:
    """Return a class's own lines: its head and attributes, not its methods."""
    members = [
        other
        for other in spans(side.by_index[cell].source)
        if other.name.startswith(f"{span.name}.") and other.start >= span.start
    ]
    return [line for line in lines if not any(line.number in member for member in members)]


def _first_difference(found: Sequence[Line], wanted: Sequence[Line]) -> str:
    """Return the first line of `found` that `wanted` hasn't there, shortened; "" at its end."""
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


def _changed_cells(mine: _Side, theirs: _Side, pairs: Mapping[int, int]) -> list[Note]:
    """Return at most one note a cell for the stub's code outside definitions and gaps."""
    everywhere = Counter(
        line.tokens for cell in mine.code for line in _loose_lines(mine, cell.index)
    )
    notes = []
    for cell in theirs.code:
        wanted = _loose_lines(theirs, cell.index)
        if not wanted:
            continue
        own = pairs.get(cell.index)
        if own is not None and _is_subsequence(_shape(wanted), _shape(_loose_lines(mine, own))):
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


def _loose_lines(side: _Side, cell: int) -> list[Line]:
    """Return a cell's lines outside definitions and gaps; a magic that became `pass` is none."""
    inside = set(side.masked.get(cell, ()))
    for span in spans(side.by_index[cell].source):
        if not span.parent:
            inside.update(range(span.start, span.end + 1))
    return [
        line for line in side.lines(cell) if line.number not in inside and line.tokens != ("pass",)
    ]


# --- which cell is which ----------------------------------------------


def _aligned_cells(mine: _Side, theirs: _Side) -> dict[int, int]:
    """Return the student's cell for each of the stub's, by the lines that they share.

    Robust to cells that were moved, inserted, deleted or joined. A stub's cell that is nothing but
    a gap shares no line: it goes to the student's cell at its place between its neighbours.
    """
    where: dict[tuple[str, ...], list[int]] = {}
    sizes: dict[int, int] = {}
    for cell in mine.code:
        distinct = {line.tokens for line in mine.lines(cell.index)}
        sizes[cell.index] = len(distinct)
        for tokens in distinct:
            where.setdefault(tokens, []).append(cell.index)
    scores: list[tuple[float, int, int, int]] = []
    for cell in theirs.code:
        masked = theirs.masked.get(cell.index, set())
        outside = {line.tokens for line in theirs.lines(cell.index) if line.number not in masked}
        shared = Counter(
            index
            for tokens in outside
            if len(where.get(tokens, ())) < 50
            for index in where.get(tokens, ())
        )
        for index, count in shared.items():
            score = count / len(outside) + 0.1 * count / sizes[index]
            if score > 0.3:
                scores.append((-score, abs(index - cell.index), cell.index, index))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, stub_cell, own in sorted(scores):
        if stub_cell not in pairs and own not in taken:
            pairs[stub_cell] = own
            taken.add(own)
    _align_gaps_by_place(mine, theirs, pairs, taken)
    return pairs


def _align_gaps_by_place(
    mine: _Side, theirs: _Side, pairs: dict[int, int], taken: set[int]
) -> None:
    marked = {gap.cell for gap in mine.gaps.values() if not gap.owner_line}
    for gap in theirs.gaps.values():
        if gap.owner_line or gap.cell in pairs:
            continue
        before = [(stub, own) for stub, own in pairs.items() if stub < gap.cell]
        after = [own for stub, own in pairs.items() if stub > gap.cell]
        stub_before, low = max(before, default=(-1, -1))
        high = min((own for own in after if own > low), default=1 << 30)
        free = [cell.index for cell in mine.code if cell.index not in taken]
        between = [index for index in free if low < index < high]
        expected = low + gap.cell - stub_before
        # A marked cell at the place, else one that was moved, else whatever stands at the place.
        choices = (
            [index for index in between if index in marked],
            [index for index in free if index in marked],
            between,
        )
        nearest = next((choice for choice in choices if choice), [])
        chosen = min(nearest, key=lambda index: abs(index - expected), default=None)
        if chosen is not None:
            pairs[gap.cell] = chosen
            taken.add(chosen)


# --- logical lines ----------------------------------------------

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@lru_cache(maxsize=128)
def logical_lines(source: str) -> tuple[Line, ...]:
    """Return the cell's logical lines, without comments and docstrings, quotes made equal.

    Of source that Python can't cut into tokens, what is left of it once its broken blocks are
    comments; where even that fails, its lines as text.
    """
    text = parseable(source)
    if len(text) > MAX_SOURCE_CHARS:
        return tuple(_plain_lines(text))
    # Of a cell that doesn't parse, what does: its lines can be compared, and nothing is claimed
    # of the others.
    for reading in (text, salvaged(text)):
        try:
            return tuple(_token_lines(reading))
        except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
            continue
    return tuple(_plain_lines(text))


def _token_lines(text: str) -> Iterable[Line]:
    level = 0
    tokens: list[str] = []
    kinds: set[int] = set()
    start = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.ERRORTOKEN and token.string.strip():
            raise tokenize.TokenError("no Python")
        if token.type == tokenize.INDENT:
            level += 1
        elif token.type == tokenize.DEDENT:
            level -= 1
        elif token.type == tokenize.NEWLINE:
            if tokens and kinds != {tokenize.STRING}:
                yield Line(start, level, _canonical(tokens))
            tokens, kinds = [], set()
        elif token.type not in _LAYOUT and token.string.strip():
            if not tokens:
                start = token.start[0]
            is_string = token.type == tokenize.STRING
            tokens.append(_canonical_string(token.string) if is_string else token.string)
            kinds.add(token.type)


def _canonical(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the tokens without the commas before a closing bracket, which formatters add."""
    kept = [
        token
        for n, token in enumerate(tokens)
        if not (token == "," and n + 1 < len(tokens) and tokens[n + 1] in ")]}")
        or (n >= 2 and tokens[n - 2] == "(")  # (x,) is a tuple
    ]
    return tuple(kept)


def _canonical_string(text: str) -> str:
    if len(text) > 10_000:
        return text
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain_lines(text: str) -> Iterable[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if words and not words[0].startswith("#"):
            width = len(line) - len(line.lstrip())
            yield Line(number, width // 4, tuple(words))
