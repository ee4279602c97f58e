"""Find what a course's solution calls, and the gaps that hold only what other gaps call."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from grader.notebook import names_called, parseable
from grader.notebook.definitions import parsed
from grader.notebook.regions import Gap, find_gaps
from grader.records import Notebook

_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def outside_gaps(notebook: Notebook) -> list[tuple[Gap, list[ast.stmt]]]:
    """Return each gap outside of functions, with its statements."""
    found = []
    for made in find_gaps(notebook.cells):
        if made.name in notebook.regions and made.name not in notebook.definitions:
            cell, first, last = made.pieces[0]
            tree = parsed(parseable(notebook.cells[cell].source)) or ast.Module([], [])
            body = [n for n in tree.body if n.lineno <= last and (n.end_lineno or 0) >= first]
            found.append((made, body))
    return found


def defined_in(body: Iterable[ast.stmt]) -> list[str]:
    """Return the functions and classes that the statements define."""
    return [node.name for node in body if isinstance(node, _DEFINES)]


def gaps_with_helpers(notebook: Notebook) -> dict[str, str]:
    """Return the gaps that hold only what gaps of functions call, each with a line on it.

    The solution has such a function for itself: students need not write it, or not so. It is
    graded where it is called.
    """
    gaps = [name for name in notebook.regions if name in notebook.definitions]
    bodies: dict[str, list[ast.stmt]] = {}
    for made, body in outside_gaps(notebook):
        bodies.setdefault(made.name.partition("#")[0], []).extend(body)
    found = {}
    for name, body in bodies.items():
        helpers = defined_in(body)
        only = all(isinstance(n, (*_DEFINES, ast.Import, ast.ImportFrom)) for n in body)
        users = [gap for gap in gaps if names_called(notebook, [gap]).intersection(helpers)]
        if helpers and only and names_called(notebook, gaps).issuperset(helpers):
            used = ", ".join(f"`{user}`" for user in users)
            shown = ", ".join(f"`{helper}`" for helper in helpers)
            found[name] = f"{shown} has no exercise of its own: it is graded where {used} calls it"
    return found
