"""Typical mistakes in a whole statement: a wrong result, a statement left out."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from grader.verify.code_words import code_of, first_line, in_short, is_number, last_name, shorten
from grader.verify.mistakes import Edit


def wrong_results(node: ast.stmt, returned: Collection[str]) -> Iterator[tuple[ast.expr, Edit]]:
    """Yield a returned or kept value negated, doubled or set to zero, and None returned.

    returned : names of variables that the function returns; the template's `return` may stand
        behind the region
    """
    if isinstance(node, ast.Return) and node.value is not None:
        results = [("returned", value) for value in _elements(node.value)]
        yield (
            node.value,
            ("returned nothing", "None", f"returned None for `{in_short(node.value)}`"),
        )
        if len(results) == 2:
            first, second = _elements(node.value)
            yield node.value, ("swapped results", f"({code_of(second)}, {code_of(first)})", "")
    elif isinstance(node, ast.Assign) and _keeps(node.targets[0], returned):
        target = node.targets[0]
        targets, values = _elements(target), _elements(node.value)
        if len(targets) != len(values):
            targets, values = [target], [node.value]
        results = [
            (f"kept `{in_short(kept)}` =", value)
            for kept, value in zip(targets, values, strict=True)
        ]
    else:
        return
    for place, result in results:
        if _is_not_numeric(result) or last_name(getattr(result, "func", result)).startswith(
            "zeros"
        ):
            continue
        text, shown = code_of(result), in_short(result)
        if not isinstance(result, ast.UnaryOp) and not is_number(result):
            yield result, ("flipped sign", f"-({text})", f"{place} -`{shown}`")
        yield result, ("factor 2", f"2 * ({text})", f"{place} 2 * `{shown}`")
        yield result, ("constant result", f"0 * ({text})", f"{place} 0 * `{shown}`")


def _is_not_numeric(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return not is_number(node)
    return isinstance(
        node, ast.Compare | ast.BoolOp | ast.Dict | ast.List | ast.JoinedStr | ast.Lambda
    )


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _keeps(target: ast.expr, returned: Collection[str]) -> bool:
    """Return whether an assigned target is visible after the function returns."""
    if isinstance(target, ast.Tuple):
        return all(_keeps(element, returned) for element in target.elts)
    return isinstance(target, ast.Attribute | ast.Subscript) or last_name(target) in returned


def returned_names(function: ast.AST) -> set[str]:
    returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    values = [value for whole in returns if whole is not None for value in _elements(whole)]
    return {value.id for value in values if isinstance(value, ast.Name)}


def wrong_statements(
    node: ast.stmt, known: Collection[str], in_loop: bool
) -> Iterator[tuple[str, str, str]]:
    """Yield a statement left out, a branch never taken, a change made in place.

    known : names with a value before the statement: without it, the code still runs
    """
    whole = f"`{first_line(node)}`"
    removed = ("removed statement", "pass", f"removed {whole}")
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            if name in known:
                yield removed
            match value:
                case ast.BinOp(left=ast.Name(id=left), op=op, right=right) if left == name:
                    sign = _operator_sign(op)
                    yield "in place", f"{name} {sign}= {code_of(right)}", f"in place: {whole}"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield removed
        case ast.AugAssign(target=target, op=op, value=value):
            yield removed
            other = {"+": "-", "-": "+", "*": "/", "/": "*"}.get(_operator_sign(op))
            place, amount = code_of(target), code_of(value)
            if other:
                yield "flipped sign", f"{place} {other}= {amount}", ""
            yield "lost accumulation", f"{place} = {amount}", ""
            yield "factor 2", f"{place} {_operator_sign(op)}= 2 * ({amount})", ""
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield removed
        case ast.If(test=test, orelse=orelse):
            first = code_of(test)
            if not orelse:
                yield "removed statement", "pass", f"removed `if {shorten(first)}: ...`"
        case ast.Break() | ast.Continue():
            yield removed
        case ast.Return(value=None):
            yield removed
    if in_loop and isinstance(node, ast.AugAssign):
        yield "early end", f"{code_of(node)}; break", f"loop ends after the first {whole}"


def _operator_sign(op: ast.operator) -> str:
    return code_of(ast.BinOp(ast.Name("a"), op, ast.Name("b")))[2:-2]
