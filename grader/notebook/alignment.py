"""Match a notebook's cells with its stub's: students add, split, move and delete cells."""

from __future__ import annotations

from collections import Counter

from grader.notebook.code_side import Side


def aligned_cells(mine: Side, theirs: Side) -> dict[int, int]:
    """Return the student's cell for each of the stub's, by the lines that they share.

    Cells may be moved, inserted, deleted or joined. A stub's cell with nothing but a gap shares no
    line: it is matched with the student's cell at the same place between the neighbours.
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


def _align_gaps_by_place(mine: Side, theirs: Side, pairs: dict[int, int], taken: set[int]) -> None:
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
        # A marked cell at the place, else a moved one, else any cell at the place.
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
