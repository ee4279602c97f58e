"""Short text for code: names, numbers and statements as an id or a message quotes them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

SHOWN = 64
"""Characters of code that an id quotes: enough to distinguish statements of one function."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


code_of = ast.unparse


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name ("exp" of np.exp); "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_number(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    )


def is_docstring(statement: ast.stmt) -> bool:
    """Return whether a statement is a constant by itself."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def touches(node: ast.expr | ast.stmt, lines: Collection[int]) -> bool:
    """Return whether a node stands in any of these lines."""
    return any(n in lines for n in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def assigned_values(function: ast.AST) -> dict[str, ast.expr]:
    """Return the last value that is assigned to each plain name in a function."""
    return {
        node.targets[0].id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def summands(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the terms of a sum in order; for anything else, the node itself."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from summands(left)
            yield from summands(right)
        case _:
            yield node


def in_short(node: ast.AST) -> str:
    """Return a node's code, shortened."""
    return shorten(code_of(node))


def shorten(text: str) -> str:
    """Return the text on one line of at most SHOWN characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[: SHOWN - 1].rstrip()}…"


def first_line(statement: ast.stmt) -> str:
    """Return a statement's first line, shortened."""
    return shorten(code_of(statement).splitlines()[0])
