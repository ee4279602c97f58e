"""Tests that call a student's function for what it changes: `sort_rows(A)`, then a look at A.

The call happens in the student's process, with a copy of A. So that the test sees the change, a
statement that is nothing but a call takes its arguments over from there. A call whose result is
used does not: a function could otherwise change the numbers that the test compares it with.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

NAME = "@call"
"""What a rewritten call calls; no cell can have such a name."""
_MOST_BYTES = 8 << 20
"""A larger array is data, and stays as it is: its way back would cost more than the call."""
_OF_THE_CALLER = frozenset(("exec", "eval", "locals", "globals", "vars", "dir"))
_COUNTED = frozenset(("steps", "memory", "operations"))
_CHANGEABLE = (np.ndarray, list, dict, set, bytearray)


class Rewriter(ast.NodeTransformer):
    """Turns each statement `f(a, ...)` into a call of NAME with f as its first argument."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """Rewrite a statement that is a call with a variable, or a part of one, as an argument."""
        call = node.value
        if isinstance(call, ast.Call) and _may_change(call):
            made = ast.Call(ast.Name(NAME, ast.Load()), [call.func, *call.args], call.keywords)
            node.value = ast.fix_missing_locations(ast.copy_location(made, call))
        return node


class Effects:
    """The calls of one cell whose results it doesn't use.

    unchanged : their array arguments that the student's function left as they were
    """

    def __init__(self) -> None:
        self.unchanged: list[Any] = []

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function; what it changes in its arguments over there, change here.

        Returns None for a student's function, else what it returns.
        """
        observe = getattr(type(function), "__observe__", None)
        changeable = any(isinstance(arg, _CHANGEABLE) for arg in args)
        if observe is None or not changeable or _COUNTED & kwargs.keys():
            return function(*args, **kwargs)
        sent = [arg.tobytes() if _is_small(arg) else None for arg in args]
        call = observe(function, args, kwargs, _MOST_BYTES)
        if call.error is not None:
            raise call.error
        for mine, before, theirs in zip(args, sent, call.arguments, strict=True):
            # f(x, x) gets two arrays: the one that it left alone tells nothing.
            if before is None or not isinstance(theirs, np.ndarray) or theirs.tobytes() != before:
                _taken_over(mine, theirs)
            else:
                self.unchanged.append(mine)
        return None


def _is_small(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.nbytes <= _MOST_BYTES


def _may_change(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name) and call.func.id in _OF_THE_CALLER:
        return False
    places = ast.Name | ast.Attribute | ast.Subscript | ast.Starred
    return isinstance(call.func, places) and any(isinstance(arg, places) for arg in call.args)


def _taken_over(mine: Any, theirs: Any) -> Any:
    """Return what stands in the place of `mine` now: itself, changed, where that can be done."""
    if type(mine) is not type(theirs):
        return theirs
    if isinstance(mine, np.ndarray):
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype or not mine.flags.writeable:
            return theirs
        mine[...] = theirs
    elif isinstance(mine, list):
        pairs = zip(mine, theirs, strict=False)
        mine[:] = [*(_taken_over(*pair) for pair in pairs), *theirs[len(mine) :]]
    elif isinstance(mine, dict):
        new = {k: _taken_over(mine[k], v) if k in mine else v for k, v in theirs.items()}
        mine.clear()
        mine.update(new)
    elif isinstance(mine, set):
        mine.clear()
        mine |= theirs
    elif isinstance(mine, bytearray):
        mine[:] = theirs
    else:
        return theirs
    return mine
