"""Find the gaps of a solved notebook by its students' copy: what differs is the solution.

Many courses keep two notebooks, `ex3.ipynb` and `ex3-solution.ipynb`, and their markers, if they
have any, may be in any language. Each place where the two differ becomes a gap, whose `# STUB:`
lines are the students' own. Other courses keep both in one notebook: the exercise's cell, and below
it a cell that begins with `# to_remove solution`.

solved_over(solution, students)    the solved notebook with gaps, a report
solved_below(notebook)             the same where the solved cells stand below the students'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise

from grader.authoring.importers.differing_lines import HEAD, code_lines, with_gaps, without_markers
from grader.authoring.importers.imported import Line
from grader.authoring.stubs import SOLUTION_TAG
from grader.records import Cell, Notebook

_SOLVED = re.compile(r"\s*#+\s*(to_remove[ _]+)?solutions?\s*[#:.]*\s*$", re.IGNORECASE)
_EXPLAINED = re.compile(r"\s*#+\s*to_remove[ _]+(explanation|answer)\w*\s*$", re.IGNORECASE)
_SAYS_SOLUTION = re.compile(r"^[>#*_\s]*sol(ution)?s?\b[*_\s]*:?[*_\s]*", re.IGNORECASE)
ANSWER_WORD = "**Answer:**"
"""Put above an answer in words, so that it becomes an exercise for a person."""
_LEAST_LIKE = 0.3
"""Cells that share less than this do not belong together, unless one is empty."""
_EMPTY_LIKE = 0.35
"""An empty cell of the students' copy, and any cell of the solution."""
_SAME_TEXT = 0.8
"""Two lines of text that are this similar say the same: a misprint was corrected."""


def solved_over(solution: Notebook, students: Notebook) -> tuple[Notebook, list[Line]]:
    """Return the solved notebook with gaps where the students' copy differs, and a report."""
    cells: list[Cell] = []
    lines: list[Line] = []
    partner = _partners(students.cells, solution.cells)
    for cell in solution.cells:
        given = partner.get(cell.index)
        source, said = _merged(cell, given)
        tags = cell.metadata
        if given is None and cell.kind == "code" and cell.source.strip():
            tags = {**tags, "tags": [*_tags(cell), SOLUTION_TAG]}
        cells.append(replace(cell, source=source, metadata=tags))
        lines += [Line(cell.index, text, todo) for text, todo in said]
    used = {id(cell) for cell in partner.values()}
    for cell in students.cells:
        if id(cell) not in used and cell.source.strip():
            text = f"`{_shown(cell.source)}` of the students' copy has no place in the solution"
            lines.append(Line(cell.index, text, todo=True))
    return replace(solution, cells=tuple(cells)), lines


def solved_below(notebook: Notebook) -> tuple[Notebook, list[Line]]:
    """Return the notebook with each solved cell merged with the students' cell above it.

    A solved cell begins with the line `# Solution` or `# to_remove solution`. An explanation after
    `# to_remove explanation` becomes an answer in words.
    """
    cells: list[Cell] = []
    lines: list[Line] = []
    for cell in notebook.cells:
        first, _, rest = cell.source.lstrip().partition("\n")
        above = cells[-1] if cells and cells[-1].kind == "code" else None
        if cell.kind == "code" and _EXPLAINED.match(first):
            words = rest.strip().rstrip(";").strip("\"' \n")
            cells.append(replace(cell, kind="markdown", source=f"{ANSWER_WORD}\n\n{words}"))
        elif cell.kind != "code" or not rest.strip() or not _SOLVED.match(first):
            cells.append(cell)
        elif above is not None and _likeness(above, replace(cell, source=rest)):
            cells[-1] = replace(cell, source=with_gaps(rest.strip("\n"), above.source)[0])
        elif first.strip("# :.").lower() != "solution":
            cells.append(replace(cell, metadata={"tags": [*_tags(cell), SOLUTION_TAG]}))
            lines.append(Line(cell.index, "students don't get this solution: no cell above is its"))
        else:
            cells.append(cell)
    return replace(notebook, cells=tuple(cells)), lines


def _merged(cell: Cell, given: Cell | None) -> tuple[str, list[tuple[str, bool]]]:
    """Return a cell's source with gaps, and lines for the report, each with whether it is to do."""
    if given is not None and given.source == cell.source and cell.kind == "code":
        return "\n".join(without_markers(cell.source.split("\n"))), []
    if not cell.source.strip() or (given is not None and given.source == cell.source):
        return cell.source, []
    if cell.kind == "markdown":
        return _answered(cell, given)
    if cell.kind != "code":
        return cell.source, []
    if given is None:
        return cell.source, [("students don't get this cell: their copy doesn't have it", False)]
    if _is_test(given):
        return given.source, []
    return with_gaps(cell.source, given.source)[0], []


def _answered(cell: Cell, given: Cell | None) -> tuple[str, list[tuple[str, bool]]]:
    """Return a text cell as students have it, with the words that only the solution has below."""
    theirs = given.source.split("\n") if given is not None else []
    known = {line.strip() for line in theirs}
    new = [line for line in cell.source.split("\n") if line.strip() not in known]
    lost = [line for line in theirs if line.strip() not in set(cell.source.split("\n"))]
    answer = [line for line in new if not any(_alike(line, old) > _SAME_TEXT for old in lost)]
    question = "\n".join(theirs)
    if not any(re.search(r"\w", line) for line in answer):
        return question or cell.source, []
    words = _SAYS_SOLUTION.sub("", "\n".join(answer).strip())
    return f"{question}\n\n{ANSWER_WORD}\n\n{words}".strip(), []


def _is_test(cell: Cell) -> bool:
    """Return whether nbgrader's metadata call this a cell of tests: the published ones count."""
    said = cell.metadata.get("nbgrader")
    return isinstance(said, dict) and bool(said.get("grade")) and not said.get("solution")


def _partners(students: Sequence[Cell], solution: Sequence[Cell]) -> dict[int, Cell]:
    """Return the students' cell for each of the solution's, by its index; the order is kept."""
    best = [[0.0] * (len(solution) + 1) for _ in range(len(students) + 1)]
    likeness = [[_likeness(a, b) for b in solution] for a in students]
    for i in reversed(range(len(students))):
        for j in reversed(range(len(solution))):
            both = likeness[i][j] + best[i + 1][j + 1] if likeness[i][j] else 0.0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    pairs = []
    i = j = 0
    while i < len(students) and j < len(solution):
        if likeness[i][j] and best[i][j] == likeness[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    found = {solution[j].index: students[i] for i, j in pairs}
    for (i, j), (i_next, j_next) in pairwise([(-1, -1), *pairs, (len(students), len(solution))]):
        found |= _left_between(students[i + 1 : i_next], solution[j + 1 : j_next])
    return found


def _left_between(students: Sequence[Cell], solution: Sequence[Cell]) -> dict[int, Cell]:
    """Return pairs of cells that are unlike, and alone at the same place between others.

    A solution may share nothing with `nodes = # your code here`.
    """
    theirs = [cell for cell in students if cell.source.strip()]
    solved = [cell for cell in solution if cell.source.strip()]
    named = any(isinstance(cell.metadata.get("nbgrader"), dict) for cell in (*theirs, *solved))
    if named or [cell.kind for cell in theirs] != [cell.kind for cell in solved]:
        return {}
    return {one.index: other for one, other in zip(solved, theirs, strict=True)}


def _likeness(theirs: Cell, solved: Cell) -> float:
    """Return how well two cells belong together, from 0 to 2; 0 if they don't."""
    if theirs.kind != solved.kind:
        return 0.0
    if theirs.source == solved.source:
        return 2.0
    identity = theirs.metadata.get("nbgrader")
    other = solved.metadata.get("nbgrader")
    if isinstance(identity, dict) and isinstance(other, dict):
        return 2.0 if identity.get("grade_id") == other.get("grade_id") else 0.0
    if (
        solved.kind == "code"
        and solved.source.strip()
        and not code_lines(theirs.source.split("\n"))
    ):
        return _EMPTY_LIKE
    shared = _heads(theirs.source) & _heads(solved.source)
    lines = [line.strip() for line in code_lines(theirs.source.split("\n"))]
    kept = {line.strip() for line in solved.source.split("\n")}.intersection(lines)
    like = max(_alike(theirs.source, solved.source), len(kept) / max(len(lines), 1))
    return like + bool(shared) if like > _LEAST_LIKE or shared else 0.0


def _heads(source: str) -> set[str]:
    """Return the names that a cell defines, by its lines: a students' cell need not parse."""
    return {match["name"] for line in source.split("\n") if (match := HEAD.match(line))}


def _alike(one: str, other: str) -> float:
    mine, theirs = (re.findall(r"\w+|[^\w\s]", text) for text in (one, other))
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() > _LEAST_LIKE else 0.0


def _tags(cell: Cell) -> list[object]:
    tags = cell.metadata.get("tags")
    return list(tags) if isinstance(tags, list) else []


def _shown(source: str) -> str:
    return next((line.strip() for line in source.split("\n") if line.strip()), "")[:50]
