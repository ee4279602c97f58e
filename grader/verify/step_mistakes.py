"""Mistakes in steps that call functions: one left out, in the other order, an old value kept.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterator

from grader.verify.code_words import Function, code_of, first_line, last_name
from grader.verify.value_mistakes import WholeEdit


def step_edits(
    function: Function,
    source: str,
    lines: Collection[int] | None,
    visible: Collection[str],
    functions: Collection[str] = (),
) -> Iterator[WholeEdit]:
    """Yield the mistakes of the function in `source`; lines, visible : see whole_edits

    functions : the notebook's own, which students know
    """
    for body in _bodies(function):
        inside = [one for one in body if lines is None or one.lineno in lines]
        for one in inside:
            yield from _lost_or_stale(one, visible, functions)
        for first, second in itertools.pairwise(inside):
            yield from _exchanged(first, second, source, functions)
        yield from _without_additions(inside, visible)


def _bodies(function: Function) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for name in ("body", "orelse"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                yield body


def _lost_or_stale(
    statement: ast.stmt, visible: Collection[str], functions: Collection[str]
) -> Iterator[WholeEdit]:
    """Yield for x, P = step(x, P): no step, and one that renews only one of the values."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Call(func=func)):
            pass
        case _:
            return
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if len(names) < len(targets):
        return
    text = f"removed `{first_line(statement)}`"
    name = last_name(func)
    known = name in functions
    phrase = f"without the step that calls `{name}`" if known else "without one of its steps"
    yield WholeEdit("lost step", [(statement, "pass")], text, phrase)
    for target, name in zip(targets, names, strict=True):
        phrase = f"with an old `{name}`: a step does not renew it" if name in visible else ""
        yield WholeEdit(
            "old value",
            [(target, "_")],
            f"`{name}` keeps its old value in `{first_line(statement)}`",
            phrase or "with one of its values that a step does not renew",
        )


def _exchanged(
    first: ast.stmt, second: ast.stmt, source: str, functions: Collection[str]
) -> Iterator[WholeEdit]:
    """Yield two steps in the other order, if one of them sets several values or keeps one."""
    a, b = _called(first), _called(second)
    if not a or not b or not (_sets_several(first) or _sets_several(second)):
        return
    if not {a, b} <= {*functions, "append"}:
        phrase = "with two steps in the other order"
    elif a == b:
        phrase = f"with two calls of `{a}` in the other order"
    elif b == "append":
        phrase = f"with a value kept before the step that calls `{a}`, not after it"
    elif a == "append":
        phrase = f"with a value kept after the step that calls `{b}`, not before it"
    else:
        phrase = f"with the step that calls `{b}` before the one that calls `{a}`"
    one, other = (ast.get_source_segment(source, each) or "pass" for each in (first, second))
    places = [(first, other), (second, one)]
    yield WholeEdit("order of statements", places, f"`{b}` called before `{a}`", phrase)


def _sets_several(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple)


def _called(statement: ast.stmt) -> str:
    """Return the function of x, y = f(...) and of f(...); "" for any other statement."""
    match statement:
        case ast.Assign(value=ast.Call(func=func)) | ast.Expr(value=ast.Call(func=func)):
            return last_name(func)
    return ""


def _without_additions(body: list[ast.stmt], visible: Collection[str]) -> Iterator[WholeEdit]:
    """Yield for b[0] += left; b[-1] += right: neither of them."""
    groups: dict[str, list[ast.AugAssign]] = {}
    for one in body:
        if isinstance(one, ast.AugAssign) and isinstance(one.op, ast.Add | ast.Sub):
            target = one.target
            while isinstance(target, ast.Subscript):
                target = target.value  # type: ignore[assignment]
            groups.setdefault(code_of(target), []).append(one)
    for name, several in groups.items():
        if len(several) < 2:
            continue
        used = [n.id for one in several for n in ast.walk(one.value) if isinstance(n, ast.Name)]
        known = [f"`{one}`" for one in dict.fromkeys(used) if one in visible and one != "np"]
        phrase = (
            f"without the steps that add {' and '.join(known[:2])}"
            if known
            else "without the steps that add to one of its values"
        )
        places = [(one, "pass") for one in several]
        yield WholeEdit("lost additions", places, f"nothing is added to `{name}`", phrase)
