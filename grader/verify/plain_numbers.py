"""Find the values of a function that are single numbers, from its text alone.

Sorting, flipping or summing an array has no effect on a number, or raises. So such mistakes are
not tried on a number.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator

from grader.verify.code_words import Function, is_number, last_name

_GIVE_NUMBERS = frozenset(("len", "int", "float", "round", "ord"))
_OF_NUMBERS = frozenset(("abs", "sqrt", "exp", "log", "max", "min"))


def number_names(function: Function) -> frozenset[str]:
    """Return the names in a function that always hold a single number.

    A parameter counts if its annotation or its default is a number.
    """
    settings = list(_settings(function))
    seen = Counter(name for name, _ in settings)
    stored = Counter(
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    # A name that is also set in another way (by `with`, from a call's tuple) may be anything.
    known = {name for name in seen if seen[name] == stored[name]}
    arguments = _arguments(function)
    known = (known - set(arguments)) | {
        name
        for name, is_number_given in arguments.items()
        if is_number_given and seen[name] == stored[name]
    }
    while True:
        wrong = {name for name, value in settings if value and not is_plain(value, known)}
        if not known & wrong:
            return frozenset(known)
        known -= wrong


def _settings(function: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield assigned names with their values; None for the numbers of a range."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                if len(names) == len(values):
                    for target, value in zip(names, values, strict=True):
                        if isinstance(target, ast.Name):
                            yield target.id, value
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"))):
                yield name, None


def _arguments(function: Function) -> dict[str, bool]:
    """Return for each parameter whether it is certainly a number."""
    a = function.args
    listed = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(listed) - len(a.defaults)) + list(a.defaults)
    pairs = [*zip(listed, defaults, strict=True), *zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    found = {
        one.arg: (isinstance(one.annotation, ast.Name) and one.annotation.id in ("int", "float"))
        or (default is not None and is_plain(default, ()))
        for one, default in pairs
    }
    return found | {one.arg: False for one in (a.vararg, a.kwarg) if one is not None}


def is_plain(node: ast.expr, names: Collection[str]) -> bool:
    """Return whether an expression is certainly a number. names : names of numbers"""
    match node:
        case ast.Constant():
            return is_number(node)
        case ast.Name(id=name):
            return name in names
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            return is_plain(inner, names)
        case ast.BinOp(left=left, op=op, right=right) if not isinstance(op, ast.MatMult):
            return is_plain(left, names) and is_plain(right, names)
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=index):
            return is_number(index) or isinstance(index, ast.UnaryOp)
        case ast.Attribute(attr="size" | "ndim"):
            return True
        case ast.Call(func=ast.Name(id=name)) if name in _GIVE_NUMBERS:
            return True
        case ast.Call(func=func, args=args) if last_name(func) in _OF_NUMBERS and args:
            return all(is_plain(arg, names) for arg in args)
        case ast.IfExp(body=body, orelse=other):
            return is_plain(body, names) and is_plain(other, names)
    return False
