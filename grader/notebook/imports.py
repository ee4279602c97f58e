"""The modules that notebooks import."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from grader.notebook.plain import normalise, parsed
from grader.records import Notebook


def imports_of(notebooks: Iterable[Notebook]) -> tuple[str, ...]:
    """Return the names of all modules that the notebooks' cells import, each once, in order.

    For `from a import b`, both a and a.b, since b may be a module.
    """
    names: dict[str, None] = {}
    for notebook in notebooks:
        for cell in notebook.cells:
            tree = parsed(normalise(cell.source).source) if cell.kind == "code" else None
            for node in ast.walk(tree) if tree is not None else ():
                names.update(dict.fromkeys(_named(node)))
    return tuple(names)


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{a.name}" for a in node.names if a.name != "*")]
    return []
