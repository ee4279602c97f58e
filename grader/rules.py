"""What an exercise forbids, found by syntax tree in its functions and the helpers they call."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from grader.checks import find_forbidden
from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.records import Assignment, Definition, Exercise, Note, Notebook


def find_breaches(
    assignment: Assignment, exercise: Exercise, notebook: Notebook
) -> list[tuple[str, Note]]:
    """Return (exercise id, note) for each forbidden import or call, in the order of the code.

    notebook : the student's; what the template itself brought along is trusted
    """
    rules = exercise.rules or assignment.rules
    if not (rules.forbidden_imports or rules.forbidden_calls):
        return []
    cells = list(_cells_that_parse(notebook))
    context = "\n".join(source for _, source, _ in cells)
    known = {**dict(_named_values(cells)), **notebook.definitions}
    trusted = _unchanged(assignment.stubs.get(exercise.notebook), notebook)
    breaches = []
    for definition in _reachable(exercise.functions, known, trusted - {*exercise.functions}):
        for breach in find_forbidden(
            definition.source,
            imports=rules.forbidden_imports,
            calls=rules.forbidden_calls,
            context=context,
        ):
            message = (
                f"`{breach.name}` is not allowed here: `{definition.name}`, "
                f"line {definition.line + breach.line - 1}: {breach.text.strip()}"
            )
            note = Note("forbidden", message, definition.cell, notebook.name)
            breaches.append((exercise.id, note))
    return breaches


def _cells_that_parse(notebook: Notebook) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield index, source and tree; a cell that doesn't parse would hide the others' imports."""
    for cell in notebook.cells:
        if cell.kind == "code":
            source = parseable(cell.source)
            tree = parsed(source)
            if tree is not None:
                yield cell.index, source, tree


def _named_values(cells: list[tuple[int, str, ast.Module]]) -> Iterator[tuple[str, Definition]]:
    """Yield what is a function without a def: `f = lambda x: ...` and `g = f`."""
    for cell, text, tree in cells:
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Lambda, ast.Name)):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        source = ast.get_source_segment(text, node) or ""
                        yield target.id, Definition(target.id, cell, node.lineno, source)


def _reachable(
    functions: tuple[str, ...], known: Mapping[str, Definition], trusted: Collection[str]
) -> list[Definition]:
    """Return the functions' definitions and those of every helper that they name, in turn."""
    found: dict[str, Definition] = {}
    queue = list(functions)
    while queue:
        name = queue.pop(0)
        if name in found or name not in known or name in trusted:
            continue
        found[name] = known[name]
        # `self.helper` is looked for beside the method that uses it.
        owner = name.rpartition(".")[0]
        for used in _names_used(known[name].source):
            queue += [used, f"{owner}.{used}"] if owner else [used]
    return list(found.values())


def _names_used(source: str) -> Iterator[str]:
    tree = parsed(source)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _unchanged(stub: Notebook | None, notebook: Notebook) -> set[str]:
    """Return the definitions that still read as in the template."""
    if stub is None:
        return set()
    return {
        name
        for name, definition in stub.definitions.items()
        if name in notebook.definitions and notebook.definitions[name].source == definition.source
    }
