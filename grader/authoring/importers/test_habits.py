"""What files of tests say to the tool that ran them before, in terms of checks.

plain_test(node, tree)   the test without the tool's decorators: their points, hidden or not
without_patches(node)    the test without mocks that only watch calls
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Generic, TypeVar

from grader.notebook.definitions import dotted

Function = ast.FunctionDef | ast.AsyncFunctionDef
_LATER = ("hidden", "after_due_date", "after_published")
"""Gradescope's words for a test that students don't see before they hand in."""
_MOCKS = ("patch", "mock.patch", "unittest.mock.patch")


Decorated = TypeVar("Decorated", ast.FunctionDef, Function, ast.ClassDef)


@dataclass(frozen=True)
class Plain(Generic[Decorated]):
    """A test without decorators of other tools.

    left_out : those that are unknown, in words; refused : why it can't be a check
    """

    node: Decorated
    points: float = 1
    hidden: bool = False
    left_out: tuple[str, ...] = ()
    refused: str = ""


def plain_test(node: Decorated, tree: ast.Module) -> Plain[Decorated]:
    """Return a test, or a class, without decorators of Gradescope's, and of modules not here."""
    origin = {name: module for part in tree.body for name, module in origins_of(part).items()}
    kept, points, hidden, refused = [], 1.0, False, ""
    left_out = []
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = dotted(call.func if call else decorator)
        module = origin.get(name.partition(".")[0], "")
        word = name.rpartition(".")[2]
        if module == "gradescope_utils":
            value = call.args[0] if call and call.args else None
            given = value.value if isinstance(value, ast.Constant) else None
            if word == "weight" and isinstance(given, int | float):
                points = float(given)
            elif word == "partial_credit":
                refused = "its points are set by its own code, with `@partial_credit`"
            elif word == "visibility":
                hidden = given in _LATER
        elif module and not is_there(module):
            left_out.append(f"@{name} of {module}")
        else:
            kept.append(decorator)
    plain = copy.copy(node)
    plain.decorator_list = kept
    return Plain(plain, points, hidden, tuple(left_out), refused)


def origins_of(node: ast.stmt) -> dict[str, str]:
    """Return the top module of each name that an import binds."""
    if isinstance(node, ast.Import):
        return {
            (alias.asname or alias.name).partition(".")[0]: alias.name.partition(".")[0]
            for alias in node.names
        }
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {a.asname or a.name: node.module.partition(".")[0] for a in node.names}
    return {}


def is_there(module: str) -> bool:
    """Return whether a module is installed here."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


# --- mocks ----------------------------------------------------------------------------------------


def without_patches(node: Function) -> tuple[Function, list[str]] | str:
    """Return a test without `with patch(..., wraps=f) as m`, and the functions that it watched.

    A patch doesn't reach the student's process. One that wraps a function only watches its calls:
    the rest of the test stands without it. Otherwise return why the test can't be a check.
    """
    made = _Unwatched()
    plain = copy.deepcopy(node)
    made.generic_visit(plain)
    others = [n for n in ast.walk(plain) if isinstance(n, ast.Call) and _is_patch(n)]
    if others:
        return "it replaces functions by `patch`, which doesn't reach the student's process"
    if made.watched and not _asserts(plain):
        return f"it only watches calls of {made.watched[0]}, by `patch`"
    return plain, list(dict.fromkeys(made.watched))


class _Unwatched(ast.NodeTransformer):
    """Puts the body of a `with patch(f, wraps=f) as m` in its place, without what it does to m."""

    def __init__(self) -> None:
        self.watched: list[str] = []
        self._mocks: set[str] = set()

    def visit_With(self, node: ast.With) -> ast.With | list[ast.stmt]:
        for item in node.items:
            if wrapped := _wrapped(item.context_expr):
                self.watched.append(f"`{wrapped}`")
                if isinstance(item.optional_vars, ast.Name):
                    self._mocks.add(item.optional_vars.id)
        items = [item for item in node.items if not _wrapped(item.context_expr)]
        node.items = items
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node if items else node.body

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt] | None:
        """Leave out a simple statement that uses a mock."""
        simple = isinstance(node, ast.Expr | ast.Assign | ast.Assert | ast.Delete)
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if simple else set()
        if names & self._mocks:
            return None
        found: ast.AST | list[ast.stmt] | None = super().visit(node)
        if isinstance(node, ast.For | ast.While | ast.If) and not node.body:
            return None
        return found


def _is_patch(call: ast.Call) -> bool:
    name = dotted(call.func)
    return any(name == mock or name.startswith(f"{mock}.") for mock in _MOCKS)


def _wrapped(node: ast.expr) -> str:
    """Return the function that a patch wraps; "" for any other expression."""
    if not isinstance(node, ast.Call) or not _is_patch(node):
        return ""
    return next((ast.unparse(k.value) for k in node.keywords if k.arg == "wraps"), "")


def _asserts(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Assert | ast.Raise)
        or (isinstance(part, ast.Call) and "assert" in dotted(part.func).lower())
        for part in ast.walk(node)
    )
