"""Code in few words: names, numbers and statements as an id or a message quotes them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

SHOWN = 64
"""Characters of code that an id quotes: enough to tell statements of one function apart."""


def code_of(node: ast.AST) -> str:
    return ast.unparse(node)


def last_name(node: ast.AST) -> str:
    """Return the last name of a dotted name ("exp" of np.exp), "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_number(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    )


def summands(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the terms of a sum, in their order; of anything else, itself."""
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
