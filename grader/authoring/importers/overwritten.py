"""Values that a test finds at its place in the notebook, and that later cells overwrite.

A check runs when all cells have run. So the statements that gave such names their values are
copied above the test.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from grader.authoring.importers.earlier_tests import bound_names, needed_names
from grader.authoring.importers.imported import Check
from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.notebook.regions import find_gaps
from grader.records import Notebook

MAX_STATEMENTS = 30
"""A test that needs more of the notebook than this stays as it is."""


@dataclass(frozen=True)
class _Statement:
    """A statement of the notebook outside of functions.

    copied : whether it may be run again: an assignment that is no part of a gap
    in_gap : whether it is, or is part of, what students write
    """

    cell: int
    source: str
    names: frozenset[str]
    needs: frozenset[str]
    adds: bool
    copied: bool
    in_gap: bool


def with_its_values(check: Check, notebook: Notebook) -> tuple[str, tuple[str, ...]]:
    """Return a test's source with the needed statements above it, and the names that they set.

    A name whose value comes from a gap, a loop or another compound statement stays as it is.
    """
    source, at = check.source, check.at
    if check.examples:
        return source, ()
    statements = _statements(notebook)
    before = [one for one in statements if one.cell < at]
    own = at < len(notebook.cells) and notebook.cells[at].source == source
    later = {name for one in statements if one.cell >= at + own for name in one.names}
    used: set[int] = set()
    names: list[str] = []
    for name in sorted(needed_names(source) & later):
        needed = _values_of(name, before, later)
        if needed:
            names.append(name)
            used |= needed
    if not used or len(used) > MAX_STATEMENTS:
        return source, ()
    return "\n".join([*(before[number].source for number in sorted(used)), source]), tuple(names)


def lost_values(checks: Sequence[Check], notebook: Notebook) -> list[str]:
    """Return a line for each name that a gap sets above a test, and later cells set again.

    The test then finds the last value, not the one at its place.
    """
    statements = _statements(notebook)
    lost: dict[str, list[str]] = {}
    for check in checks:
        own = check.at < len(notebook.cells) and notebook.cells[check.at].source == check.source
        later = {name for one in statements if one.cell >= check.at + own for name in one.names}
        before = [one for one in statements if one.cell < check.at and not check.examples]
        for name in sorted(needed_names(check.source) & later):
            last = next((one for one in reversed(before) if name in one.names), None)
            if last is not None and last.in_gap:
                lost.setdefault(name, []).append(check.name)
    return [
        f"`{name}` of a gap is set again by later cells, and {', '.join(names)} would find the "
        "last value: give one of the two another name"
        for name, names in lost.items()
    ]


def _values_of(name: str, before: list[_Statement], later: set[str]) -> set[int]:
    """Return which statements give a name its value; none if one of them can't be copied."""
    used: set[int] = set()
    pending = [(name, len(before))]
    while pending:
        wanted, end = pending.pop()
        number = next((n for n in reversed(range(end)) if wanted in before[n].names), None)
        if number is None or number in used:
            continue
        if not before[number].copied:
            return set()
        used.add(number)
        pending += [(other, number) for other in before[number].needs & later]
        if before[number].adds:
            pending.append((wanted, number))
    return used


def _statements(notebook: Notebook) -> list[_Statement]:
    inside: dict[int, list[tuple[int, int]]] = {}
    for gap in find_gaps(notebook.cells):
        for index, first, last in gap.pieces:
            inside.setdefault(index, []).append((first, last))
    found: list[_Statement] = []
    for cell in notebook.cells:
        text = parseable(cell.source) if cell.kind == "code" else ""
        tree = parsed(text)
        for node in tree.body if tree is not None else ():
            end = node.end_lineno or node.lineno
            in_gap = any(node.lineno <= b and end >= a for a, b in inside.get(cell.index, ()))
            plain = isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
            line = ast.unparse(node) if plain else ""
            found.append(
                _Statement(
                    cell.index,
                    line,
                    frozenset(bound_names(node)),
                    needed_names(line),
                    isinstance(node, ast.AugAssign),
                    plain and not in_gap,
                    in_gap,
                )
            )
    return found
