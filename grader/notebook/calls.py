"""Which of a notebook's functions call which, read from their code."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from grader.notebook.definitions import parsed
from grader.records import Notebook

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def names_called(notebook: Notebook, functions: Iterable[str]) -> set[str]:
    """Return the qualified names of the functions and classes that these call, directly or not.

    functions : qualified names; one that the notebook does not define calls nothing
    A name that is only passed on counts as called. `self.name` is the method of the function's own
    class, or of the class that it extends; of any other object's attribute each method of that
    name counts. A function's own variable is no function of the notebook's.
    """
    methods: dict[str, set[str]] = {}
    for name in notebook.definitions:
        owner, _, last = name.rpartition(".")
        if owner:
            methods.setdefault(last, set()).add(name)
    seen: set[str] = set()
    waiting = [*functions]
    while waiting:
        definition = notebook.definitions.get(waiting.pop())
        tree = parsed(definition.source) if definition is not None else None
        if definition is None or tree is None:
            continue
        found: set[str] = set()
        for node in _read_in(tree, frozenset()):
            if isinstance(node, ast.Name):
                found |= {node.id} & notebook.definitions.keys()
                continue
            of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            owner = definition.name.rpartition(".")[0] if of_self else ""
            own = _method_of(notebook, owner, node.attr)
            found |= {own} if own else methods.get(node.attr, set())
        found -= seen | {definition.name}
        seen |= found
        waiting += found
    return seen


def _read_in(node: ast.AST, own: Collection[str]) -> Iterator[ast.Name | ast.Attribute]:
    """Yield each attribute, and each name that is read and is no variable of a function.

    own : the variables of the functions around
    """
    if isinstance(node, _FUNCTIONS):
        own = {*own, *_variables(node)}
    if isinstance(node, ast.Attribute) or (
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own
    ):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _read_in(child, own)


def _variables(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _method_of(notebook: Notebook, owner: str, name: str) -> str:
    """Return the qualified name of a class's own or inherited method, "" if it has none."""
    waiting, seen = [owner], set[str]()
    while waiting:
        one = waiting.pop(0)
        if not one or one in seen:
            continue
        seen.add(one)
        if f"{one}.{name}" in notebook.definitions:
            return f"{one}.{name}"
        if one in notebook.definitions:
            waiting += _bases_in(notebook.definitions[one].source)
    return ""


def _bases_in(source: str) -> list[str]:
    """Return the names of the classes that a class extends, in order."""
    for node in ast.walk(parsed(source) or ast.Module([], [])):
        if isinstance(node, ast.ClassDef):
            return [base.id for base in node.bases if isinstance(base, ast.Name)]
    return []
