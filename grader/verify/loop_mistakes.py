"""Mistakes around a loop: what comes after it takes a value from before the loop's last step.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from grader.verify.code_words import Function
from grader.verify.value_mistakes import WholeEdit

_OLD = "value_before_the_last_step"


def stale_results(
    function: Function, source: str, lines: Collection[int] | None, visible: Collection[str]
) -> Iterator[WholeEdit]:
    """Yield a loss at the weights from before the last step: it was taken within the loop.

    lines, visible : see whole_edits
    """
    for number, loop in enumerate(function.body):
        if not isinstance(loop, ast.For | ast.While):
            continue
        after = function.body[number + 1 :]
        if lines is not None and not {loop.lineno, *(one.lineno for one in after)} & {*lines}:
            continue
        for step in loop.body:
            name = _renewed(step)
            places = _uses(name, after) if name else []
            if not places:
                continue
            segment = ast.get_source_segment(source, step) or ""
            kept = f"{_OLD} = {name} + 0\n{' ' * step.col_offset}{segment}"
            shown = f"`{name}`" if name in visible else "a value"
            yield WholeEdit(
                "stale result",
                [(step, kept), *((place, _OLD) for place in places)],
                f"after the loop, `{name}` from before its last step",
                f"with {shown} from before the last step of a loop, where the last one belongs",
            )


def _renewed(step: ast.stmt) -> str:
    """Return the name in w = w - lr * g, w -= lr * g; "" for any other statement."""
    match step:
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            names = {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
            return name if name in names else ""
    return ""


def _uses(name: str, statements: list[ast.stmt]) -> list[ast.Name]:
    """Return the places that compute with a name, up to the next change of it.

    A result that is the name itself is no such place: the last value is returned.
    """
    found = []
    for statement in statements:
        results = statement.value if isinstance(statement, ast.Return | ast.Assign) else None
        alone = list(results.elts) if isinstance(results, ast.Tuple) else [results]
        found += [
            part
            for part in ast.walk(statement)
            if isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
            if part not in alone
        ]
        if any(
            isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store)
            for part in ast.walk(statement)
        ):
            return []
    return found
