"""What an exercise forbids, found by syntax tree in its functions and the helpers they call."""

from __future__ import annotations

import ast

from grader.checks import find_forbidden
from grader.records import Assignment, Definition, Exercise, Note, Notebook


def find_breaches(
    assignment: Assignment, exercise: Exercise, notebook: Notebook
) -> list[tuple[str, Note]]:
    """Return (exercise id, note) for each forbidden import or call, in the order of the code."""
    rules = exercise.rules or assignment.rules
    if not (rules.forbidden_imports or rules.forbidden_calls):
        return []
    context = "\n".join(cell.source for cell in notebook.cells if cell.kind == "code")
    breaches = []
    for definition in _reachable(exercise.functions, notebook):
        for breach in find_forbidden(
            definition.source,
            imports=rules.forbidden_imports,
            calls=rules.forbidden_calls,
            context=context,
        ):
            message = (
                f"`{breach.name}` is not allowed here: `{definition.name}`, "
                f"line {definition.line + breach.line - 1}: {breach.text}"
            )
            note = Note("forbidden", message, definition.cell, notebook.name)
            breaches.append((exercise.id, note))
    return breaches


def _reachable(functions: tuple[str, ...], notebook: Notebook) -> list[Definition]:
    """Return the functions' definitions and those of every helper that they name, in turn.

    A method stands for itself: a class that is named brings all its methods, as its
    constructor may call any of them.
    """
    found: dict[str, Definition] = {}
    queue = [name for name in functions if name in notebook.definitions]
    while queue:
        name = queue.pop(0)
        if name in found:
            continue
        definition = notebook.definitions[name]
        found[name] = definition
        owner = name.rpartition(".")[0]
        for used in _names_used(definition.source):
            for candidate in (used, f"{owner}.{used}" if owner else used):
                if candidate in notebook.definitions and candidate not in found:
                    queue.append(candidate)
    return list(found.values())


def _names_used(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.append(node.id)
        elif isinstance(node, ast.Attribute):
            names.append(node.attr)
    return names
