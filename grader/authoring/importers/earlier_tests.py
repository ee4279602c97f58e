"""Values that one cell of tests sets and a later one uses: in a notebook, cells share names.

Checks run one by one. So the statements of an earlier cell that set a needed name are copied above
a check, without the asserts.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass, field

from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.records import Cell

_SETS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class _Setup:
    """The statements of one cell of tests that set names.

    names : those they set; needs : those they read; source : the statements
    at : how many cells of the new notebook come before them
    """

    names: frozenset[str]
    needs: frozenset[str]
    source: str
    at: int


@dataclass
class EarlierTests:
    """The cells of tests of one notebook, so far."""

    setups: list[_Setup] = field(default_factory=list)
    cells: set[int] = field(default_factory=set)
    """Places of tests in the new notebook."""

    def add(self, source: str, at: int) -> None:
        """Remember a cell of tests. at : how many cells of the new notebook come before it"""
        tree = parsed(parseable(source))
        sets = [node for node in tree.body if isinstance(node, _SETS)] if tree is not None else []
        if sets:
            text = "\n".join(ast.unparse(node) for node in sets)
            names = frozenset(name for node in sets for name in bound_names(node))
            self.setups.append(_Setup(names, needed_names(text), text, at))

    def above(self, source: str, cells: list[Cell]) -> str:
        """Return the source, with the needed statements of earlier tests above it.

        cells : of the new notebook so far. A name that another cell has set since the test comes
            from the student
        """
        used: set[int] = set()
        pending = [(name, len(self.setups)) for name in needed_names(source)]
        while pending:
            name, before = pending.pop()
            for number in reversed(range(before)):
                setup = self.setups[number]
                if name not in setup.names:
                    continue
                if number not in used and not self._set_since(name, setup.at, cells):
                    used.add(number)
                    pending += [(needed, number) for needed in setup.needs]
                break
        return "\n".join([*(self.setups[number].source for number in sorted(used)), source])

    def sets(self, source: str, but: EarlierTests) -> bool:
        """Return whether the source needs a name that these tests set and the others don't."""
        names, others = (
            {name for setup in tests.setups for name in setup.names} for tests in (self, but)
        )
        return not needed_names(source).isdisjoint(names - others)

    def _set_since(self, name: str, at: int, cells: list[Cell]) -> bool:
        for place in range(at, len(cells)):
            cell = cells[place]
            tree = parsed(parseable(cell.source)) if cell.kind == "code" else None
            if place in self.cells or tree is None:
                continue
            if any(name in bound_names(node) for node in tree.body):
                return True
        return False


def bound_names(node: ast.AST) -> set[str]:
    """Return the names that a statement binds in its own scope."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def needed_names(source: str) -> frozenset[str]:
    """Return the names that a cell reads before it has bound them."""
    tree = parsed(parseable(source))
    needed: set[str] = set()
    bound: set[str] = set()
    for node in tree.body if tree is not None else ():
        needed |= _read(node) - bound
        bound |= bound_names(node)
    return frozenset(name for name in needed if not hasattr(builtins, name))


def _read(statement: ast.stmt) -> set[str]:
    """Return the names that a statement reads and does not bind inside itself."""
    read: set[str] = set()
    inner: set[str] = set()
    plain = isinstance(statement, _SETS)
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            read.add(node.id)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read.add(node.target.id)
        elif isinstance(node, ast.Name) and not plain:
            inner.add(node.id)
        elif isinstance(node, ast.comprehension):
            inner |= bound_names(node.target)
        elif isinstance(node, ast.arg):
            inner.add(node.arg)
    return read - inner
