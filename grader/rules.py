"""What an exercise forbids, found by syntax tree in its functions and the helpers they call."""

from __future__ import annotations

from grader.checks import find_forbidden
from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.records import Assignment, Exercise, Note, Notebook


def find_breaches(
    assignment: Assignment, exercise: Exercise, notebook: Notebook
) -> list[tuple[str, Note]]:
    """Return (exercise id, note) for each forbidden import or call, in the order of the code.

    notebook : the student's; what the template itself brought along is trusted
    """
    rules = exercise.rules or assignment.rules
    if not (rules.forbidden_imports or rules.forbidden_calls):
        return []
    context = _code(notebook)
    trusted = _unchanged(assignment.stubs.get(exercise.notebook), notebook)
    breaches = []
    for name in exercise.functions:
        definition = notebook.definitions.get(name)
        if definition is None:
            continue
        for breach in find_forbidden(
            definition.source,
            imports=rules.forbidden_imports,
            calls=rules.forbidden_calls,
            context=context,
            trusted=trusted,
        ):
            way = f", by way of `{breach.via}`" if breach.via else ""
            message = (
                f"`{breach.name}` is not allowed here: `{name}`, "
                f"line {definition.line + breach.line - 1}{way}: {breach.text.strip()}"
            )
            note = Note("forbidden", message, definition.cell, notebook.name)
            breaches.append((exercise.id, note))
    return breaches


def _code(notebook: Notebook) -> str:
    """Return the code of all cells that parse; one that doesn't would hide the others' imports."""
    cells = (parseable(cell.source) for cell in notebook.cells if cell.kind == "code")
    return "\n".join(source for source in cells if parsed(source) is not None)


def _unchanged(stub: Notebook | None, notebook: Notebook) -> set[str]:
    """Return the plain names of the definitions that still read as in the template."""
    if stub is None:
        return set()
    return {
        name.rpartition(".")[2]
        for name, definition in stub.definitions.items()
        if name in notebook.definitions and notebook.definitions[name].source == definition.source
    }
