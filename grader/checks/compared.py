"""Why an assert of a course's own test fails: the two values that it compares, and their diagnosis.

`assert np.allclose(f(x), y)`, `np.testing.assert_allclose(f(x), y)`, `assert abs(f(x) - y) < 1e-6`
and unittest's `self.assertEqual(f(x), y)` compare two values. assert_close then names the mistake:
a wrong sign, a factor, a transpose.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np

from grader.checks.closeness import assert_close
from grader.errors import CheckFailed, StudentFault

_RTOL, _ATOL = 1e-6, 1e-8
_EQUAL = frozenset(
    ("allclose", "isclose", "array_equal", "array_equiv", "assert_allclose", "assert_equal",
     "assert_array_equal", "assert_array_almost_equal", "assert_almost_equal", "assertEqual",
     "assertAlmostEqual", "assertSequenceEqual", "assertListEqual", "approx_equal")
)  # fmt: skip
_WRAPPERS = frozenset(("all", "bool", "assertTrue", "assert_"))
_SIZES = frozenset(
    ("abs", "absolute", "fabs", "max", "amax", "sum", "mean", "norm", "sqrt", "square", "float")
)
_ENOUGH = 1 << 22
"""Larger values are not compared a second time."""


class Compared:
    """Two values of a failing test.

    got : the student's, as far as the test tells
    diagnosis : how they differ; None if they are no numbers, or are close
    """

    def __init__(self, got: Any, expected: Any) -> None:
        self.got, self.expected = got, expected
        self.diagnosis = self._difference()

    def _difference(self) -> CheckFailed | None:
        try:
            expected = np.asarray(self.expected)
            if expected.dtype.kind not in "fiubc" or expected.size > _ENOUGH:
                return None
            assert_close(self.got, self.expected, rtol=_RTOL, atol=_ATOL)
        except CheckFailed as failure:
            return failure
        except Exception:  # values of any kind, which need not be comparable
            return None
        return None


def compared_in(error: Exception, source: str, file: str) -> Compared | None:
    """Return the values that the failing statement of a cell compares; None if all is well there.

    file : the file name with which the cell was compiled
    Its operands are evaluated once more: a call of the student's function runs a second time.
    """
    frame, line = _place_of(error, file)
    if frame is None:
        return None
    tree = ast.parse(source)
    theirs = _students_names(tree)
    for sides in _operands(_condition(tree, line)):
        try:
            first, second = (_value_of(side, frame) for side in sides)
        except (Exception, StudentFault):  # another state than before
            return None
        if [_is_theirs(side, theirs) for side in sides] == [False, True]:
            first, second = second, first
        compared = Compared(first, second)
        if compared.diagnosis is not None:
            return compared
    return None


def _place_of(error: Exception, file: str) -> tuple[FrameType | None, int]:
    """Return the innermost frame of the cell that the error passed, and its line."""
    found: tuple[FrameType | None, int] = None, 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            found = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    return found


def _condition(tree: ast.Module, line: int) -> ast.expr | None:
    """Return what the innermost statement at a line requires: an assert's test, or a call."""
    found: ast.expr | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert | ast.Expr) and (
            node.lineno <= line <= (node.end_lineno or node.lineno)
        ):
            found = node.test if isinstance(node, ast.Assert) else node.value
    return found


def _operands(node: ast.expr | None) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the two sides that a condition compares, if it is of a known form."""
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            yield from _operands(part)
    elif isinstance(node, ast.Call):
        name = _last_name(node.func)
        if name in _EQUAL and len(node.args) >= 2:
            yield node.args[0], node.args[1]
        elif name in _WRAPPERS and node.args:
            yield from _operands(node.args[0])
        elif name in _WRAPPERS and isinstance(node.func, ast.Attribute):  # (a == b).all()
            yield from _operands(node.func.value)
        elif name in ("assertLess", "assertLessEqual", "assert_array_less") and node.args:
            yield from _difference(node.args[0])
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        if isinstance(node.ops[0], ast.Eq):
            right = node.comparators[0]
            if isinstance(right, ast.Call) and _last_name(right.func) == "approx" and right.args:
                right = right.args[0]  # pytest.approx(2.0)
            yield node.left, right
        elif isinstance(node.ops[0], ast.Lt | ast.LtE):
            yield from _difference(node.left)


def _difference(node: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the sides of a difference inside abs(), np.max() or np.linalg.norm()."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        yield node.left, node.right
    elif isinstance(node, ast.BinOp):
        yield from _difference(node.left)
    elif isinstance(node, ast.Call) and _last_name(node.func) in _SIZES:
        inner = node.args[0] if node.args else None
        if inner is None and isinstance(node.func, ast.Attribute):  # (...).max()
            inner = node.func.value
        if inner is not None:
            yield from _difference(inner)
    elif isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
        yield node.args[0], node.args[1]  # rel_error(dx, dx_num), a function of the test's own


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class _Around(dict[str, Any]):
    """A frame's own names, then those of the cell, which may be the student's."""

    def __init__(self, own: Mapping[str, Any], cell: Mapping[str, Any]) -> None:
        super().__init__(own)
        self._cell = cell

    def __missing__(self, name: str) -> Any:
        return self._cell[name]


def _value_of(node: ast.expr, frame: FrameType) -> Any:
    code = compile(ast.Expression(node), "<side of a test>", "eval", dont_inherit=True)
    return eval(code, frame.f_globals, _Around(frame.f_locals, frame.f_globals))


# --- whose value it is ----------------------------------------------------------------------------


def _students_names(tree: ast.Module) -> frozenset[str]:
    """Return the student's names in a cell, and the variables that come from them."""
    bound = {
        name
        for node in ast.walk(tree)
        for name in (
            [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            else [node.arg] if isinstance(node, ast.arg)
            else [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
            if isinstance(node, ast.Import | ast.ImportFrom)
            else []
        )
    }  # fmt: skip
    theirs = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in bound
    } - {"np", "numpy", *vars(builtins)}
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.Expr)):
        # ast.walk goes level by level: within one block, in the order of the lines.
        if isinstance(node, ast.Assign) and _is_theirs(node.value, frozenset(theirs)):
            theirs |= {
                part.id
                for target in node.targets
                for part in ast.walk(target)
                if isinstance(part, ast.Name)
            }
        elif (call := node.value) and isinstance(call, ast.Call) and _root(call.func) in theirs:
            # step(theta): what it changes is the student's.
            theirs |= {arg.id for arg in call.args if isinstance(arg, ast.Name)}
    return frozenset(theirs)


def _is_theirs(node: ast.AST, theirs: frozenset[str]) -> bool:
    """Return whether a value comes from the student; a lambda inside it is not called by it."""
    if isinstance(node, ast.Lambda):
        return False
    if isinstance(node, ast.Name):
        return node.id in theirs
    return any(_is_theirs(child, theirs) for child in ast.iter_child_nodes(node))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
