"""Import nbgrader's source notebooks: their metadata describe each cell.

A cell of tests becomes a check with its points; its source runs unchanged. If it holds hidden
tests, the whole cell is a hidden check, and its public part is a public check without points.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from grader.authoring.importers.imported import Check, Draft, Item, gap
from grader.authoring.importers.marked_code import NOT_WRITTEN, converted, made_already
from grader.records import Cell, Notebook

_HIDDEN = ("BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
_AUTOTEST = re.compile(r"(?P<indent>\s*)#+\s*(HASHED\s+)?AUTOTEST\s+(?P<code>.+)")
_SCHEME = ("BEGIN MARK SCHEME", "END MARK SCHEME")


def is_nbgrader(notebook: Notebook) -> bool:
    """Return whether any cell has nbgrader's metadata."""
    return any(_metadata(cell) for cell in notebook.cells)


def import_nbgrader(notebook: Notebook, *, has_gaps: bool = False) -> Draft:
    """Return the draft of an nbgrader source.

    has_gaps : whether its gaps are made already, so that other markers count for nothing
    """
    draft = Draft("nbgrader source")
    for cell in notebook.cells:
        metadata = _metadata(cell)
        grade, solution = bool(metadata.get("grade")), bool(metadata.get("solution"))
        if metadata.get("task"):
            _task(draft, cell, metadata)
        elif solution and cell.kind == "markdown":
            _written_answer(draft, cell, metadata, graded=grade)
        elif solution:
            _solution(draft, cell, metadata, graded=grade, has_gaps=has_gaps)
        elif grade and cell.kind == "code":
            _tests(draft, cell, metadata)
        elif grade:
            draft.keep(cell)
            draft.say(cell, "graded text without a solution: make it an exercise", todo=True)
        elif cell.kind == "code":
            source, found = made_already(cell.source) if has_gaps else converted(cell.source)
            draft.keep(cell, source)
            if found:
                draft.say(cell, f"a gap (`{found[0].words}`)")
        else:
            draft.keep(cell)
    return draft


def _metadata(cell: Cell) -> dict[str, Any]:
    found = cell.metadata.get("nbgrader")
    return found if isinstance(found, dict) else {}


def _points(metadata: dict[str, Any]) -> float:
    points = metadata.get("points")
    return float(points) if isinstance(points, int | float) else 0.0


def _name(metadata: dict[str, Any], cell: Cell) -> str:
    return re.sub(r"[^\w.-]+", "-", str(metadata.get("grade_id") or f"cell-{cell.index}")).strip(
        "-"
    )


def _solution(
    draft: Draft, cell: Cell, metadata: dict[str, Any], *, graded: bool, has_gaps: bool
) -> None:
    source, found = made_already(cell.source) if has_gaps else converted(cell.source)
    if has_gaps and not found:
        source, found = converted(cell.source)
        draft.say(cell, "the solution is the same as the students' copy", todo=True)
    if not found:
        # nbgrader clears the whole solution cell if no part of it is marked.
        source = "\n".join(gap(cell.source.split("\n"), NOT_WRITTEN))
    draft.keep(cell, source)
    draft.say(cell, "a gap" + (f" (`{found[0].words}`)" if found else ", the whole cell"))
    if graded:
        item = Item(
            draft.item_named(_name(metadata, cell), cell),
            draft.heading or "Code",
            _points(metadata) or 1,
            manual=True,
        )
        draft.items.append(item)
        draft.say(cell, f"exercise {item.id}, {item.points:g} points, graded by a person")


def _written_answer(draft: Draft, cell: Cell, metadata: dict[str, Any], *, graded: bool) -> None:
    name = draft.item_named(_name(metadata, cell), cell)
    text = _without(cell.source, _SCHEME)[0]
    item = Item(
        name, draft.heading or name, _points(metadata) or 1, manual=True, heading=f"Answer {name}"
    )
    draft.answer(item, [Cell(0, "markdown", text)])
    draft.say(cell, f"exercise {name}: an answer in words, {item.points:g} points")
    if not graded:
        draft.say(cell, "it had no points: it counts 1 now", todo=True)


def _task(draft: Draft, cell: Cell, metadata: dict[str, Any]) -> None:
    name = draft.item_named(_name(metadata, cell), cell)
    text, scheme = _without(cell.source, _SCHEME)
    item = Item(
        name, draft.heading or name, _points(metadata) or 1, manual=True, heading=f"Answer {name}"
    )
    draft.answer(item, [Cell(0, "markdown", scheme)] if scheme else [], question=text)
    draft.say(cell, f"exercise {name}: a task, {item.points:g} points, graded by a person")


def _tests(draft: Draft, cell: Cell, metadata: dict[str, Any]) -> None:
    points = _points(metadata)
    shown, hidden = _without(cell.source, _HIDDEN)
    if shown.strip() and not (points and any(map(_AUTOTEST.match, cell.source.split("\n")))):
        draft.keep(cell, shown)
        draft.earlier.cells.add(len(draft.cells) - 1)
    if not points:
        draft.say(cell, "tests without points: students see them, they grade nothing")
        return
    name = draft.item_named(_name(metadata, cell), cell)
    draft.items.append(Item(name, draft.heading or name, points))
    whole = "\n".join(
        line for line in cell.source.split("\n") if not any(word in line for word in _HIDDEN)
    )
    at = len(draft.cells)
    # Students must not get a statement from the hidden part of an earlier cell.
    secret = bool(hidden) or draft.earlier.sets(whole, but=draft.earlier_shown)
    run = (draft.earlier if secret else draft.earlier_shown).above(whole, draft.cells)
    seen = draft.earlier_shown.above(shown, draft.cells)
    draft.earlier.add(whole, at)
    draft.earlier_shown.add(shown, at)
    draft.earlier_shown.cells = draft.earlier.cells
    run, compared = _autotests(draft, cell, _with_helpers(draft, run))
    secret = secret or compared  # the expected values come from the solution
    draft.checks.append(Check(name, name, run, points, at, hidden=secret, compared=compared))
    if hidden and shown.strip() and not compared:
        draft.checks.append(Check(name, f"{name}-shown", seen, 0, at))
    if compared:
        draft.say(
            cell,
            "### AUTOTEST: a hidden check compares the values with your solution's; students don't "
            "get this cell",
        )
    more = f", {len(hidden.split(chr(10)))} lines of it hidden" if hidden else ""
    draft.say(cell, f"exercise {name}: tests that run unchanged, {points:g} points{more}")


def _with_helpers(draft: Draft, source: str) -> str:
    """Return a cell of tests, with the functions of earlier tests that it calls above it.

    The functions then run in the same process as the tests, and catch the same exceptions.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return source
    own = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    wanted = [name for name in draft.helpers if name not in own]
    words = set(re.findall(r"\w+", source))
    used: list[str] = []
    for name in reversed(wanted):  # a helper may call one that was defined before it
        if name in words:
            used.insert(0, name)
            words |= set(re.findall(r"\w+", draft.helpers[name]))
    for name, node in own.items():
        draft.helpers.pop(name, None)
        draft.helpers[name] = ast.get_source_segment(source, node) or ""
    return "\n\n".join([*(draft.helpers[name] for name in used), source])


def _autotests(draft: Draft, cell: Cell, source: str) -> tuple[str, bool]:
    """Return the source with its AUTOTEST lines as calls, and whether there are any."""
    lines, found = [], False
    for line in source.split("\n"):
        match = _AUTOTEST.match(line)
        if match is None:
            lines.append(line)
            continue
        try:
            body = ast.parse(match["code"]).body
        except SyntaxError:
            body = []
        values = [ast.unparse(part.value) for part in body if isinstance(part, ast.Expr)]
        if not values or len(values) < len(body):
            draft.say(cell, f"`{line.strip()}` is not understood: write an assert", todo=True)
            continue
        lines.append(f"{match['indent']}autotest({', '.join(values)})")
        found = True
    return "\n".join(lines), found


def _without(source: str, words: tuple[str, str]) -> tuple[str, str]:
    """Return the lines outside and inside the parts between two markers."""
    outside: list[str] = []
    inside: list[str] = []
    within = False
    for line in source.split("\n"):
        if words[0] in line:
            within = True
        elif words[1] in line:
            within = False
        else:
            (inside if within else outside).append(line)
    return "\n".join(outside).strip("\n"), "\n".join(inside).strip("\n")
