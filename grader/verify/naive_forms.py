"""The naive forms of stable formulas, as students write them first: further bases for mistakes.

`1 / (1 - exp(-z))` is one change away from the naive sigmoid, but not from a stable one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.verify.code_words import code_of, last_name


def naive_forms(function: ast.AST) -> Iterator[list[tuple[ast.expr, str]]]:
    """Yield the function's naive forms: lists of replacements of nodes, made together."""
    places: list[tuple[ast.expr, str]] = []
    covered: set[int] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.expr) and id(node) not in covered:
            new = _naive(node)
            if new:
                places.append((node, new))
                covered |= {id(inner) for inner in ast.walk(node)}
    yield from ([place] for place in places)
    if len(places) > 1:
        yield places


def _naive(node: ast.expr) -> str:
    """Return the naive form of an expression; "" if there is none."""
    match node:
        case ast.Call(func=outer, args=[ast.UnaryOp(op=ast.USub(), operand=inner)]) if (
            last_name(outer) == "exp" and (x := _soft(inner)) is not None
        ):
            return f"1 / (1 + np.exp({x}))"  # exp(-log(1 + exp(x)))
        case ast.Call() if (x := _soft(node)) is not None:
            return f"np.log(1 + np.exp({x}))"
        case ast.BinOp(
            left=ast.Call(func=where, args=[ast.Compare(left=z), *_]),
            op=ast.Div(),
            right=ast.BinOp(op=ast.Add()),
        ) if last_name(where) == "where":
            return f"1 / (1 + np.exp(-({code_of(z)})))"
        case ast.Call(func=func, args=[ast.BinOp(left=z, op=ast.Sub(), right=top)]) if last_name(
            func
        ) == "exp" and "max" in code_of(top):
            return f"np.exp({code_of(z)})"
        case ast.BinOp(
            left=ast.Call(func=log, args=[total]), op=ast.Sub(), right=ast.Subscript() as score
        ) if last_name(log) == "log" and "exp" in code_of(total):
            e = f"np.exp({code_of(score.value)})"
            return f"-np.log({e} / np.sum({e}))[{code_of(score.slice)}]"
        case ast.Call(func=mean, args=[ast.BinOp() as inner], keywords=[]) if (
            last_name(mean) == "mean"
        ):
            return f"np.sum({code_of(inner)}) / len({_first_name(inner)})"
    return ""


def _soft(node: ast.expr) -> str | None:
    """Return x of np.logaddexp(0, x); None for anything else."""
    match node:
        case ast.Call(func=func, args=[ast.Constant(value=0 | 0.0), x]) if (
            last_name(func) == "logaddexp"
        ):
            return code_of(x)
    return None


def _first_name(node: ast.expr) -> str:
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id not in ("np", "self")]
    return names[0] if names else "()"
