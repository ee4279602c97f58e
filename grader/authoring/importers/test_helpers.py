"""Modules beside a file of tests: their functions become a part of the tests that call them.

handed_in(paths)                 the modules whose names are the student's
with_helpers(tree, path, theirs) the file with the statements of its helper modules above it
hidden_whole(check, ...)         a hidden test with the modules that only hidden tests import
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from grader.authoring.importers.imported import Check
from grader.authoring.importers.student_modules import Renamed
from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.records import Notebook


def handed_in(paths: Iterable[Path]) -> set[str]:
    """Return the names of the students' modules, and of those beside them that they import.

    If a module is in a package, tests may import its names from there: the package counts, too.
    """
    found = set()
    for path in paths:
        found.add(path.stem)
        if path.with_name("__init__.py").is_file():
            found.add(path.resolve().parent.name)
        text = path.read_text("utf-8", "replace")
        beside = (other.stem for other in path.parent.glob("*.py") if other != path)
        found |= {m for m in beside if re.search(rf"\b(from|import)\s+\.?{re.escape(m)}\b", text)}
    return found


def with_helpers(tree: ast.Module, path: Path, theirs: Collection[str]) -> ast.Module:
    """Return a file's statements below those of the modules beside it that it imports.

    theirs : names of the modules that are the student's
    """
    statements, helpers = _above(tree, path, {*theirs, path.stem})
    if not helpers:
        return tree
    whole = ast.Module([*statements, *tree.body], [])
    return Renamed(helpers).visit(whole)  # type: ignore[no-any-return]


def hidden_whole(check: Check, notebook: Notebook, path: Path) -> Check:
    """Return a hidden test with the modules in it that only hidden tests import.

    Students must not get such a module, `hidden_tests.py` beside the notebook.
    """
    tree = parsed(parseable(check.source)) if check.hidden and not check.examples else None
    if tree is None:
        return check
    cells = [parsed(parseable(cell.source)) for cell in notebook.cells if cell.kind == "code"]
    public = {name for cell in cells if cell is not None for name in _imported(cell)}
    whole = with_helpers(tree, path, public)
    return check if whole is tree else replace(check, source=ast.unparse(whole))


def _above(tree: ast.Module, path: Path, known: set[str]) -> tuple[list[ast.stmt], set[str]]:
    """Return the statements of a file's helper modules, and their names. known : grows"""
    statements: list[ast.stmt] = []
    helpers: set[str] = set()
    for name in _imported(tree):
        file = path.with_name(f"{name}.py")
        if name in known or not file.is_file():
            continue
        known.add(name)
        inner = parsed(parseable(file.read_text("utf-8", "replace")))
        if inner is None:
            continue
        more, others = _above(inner, file, known)
        statements += [*more, *inner.body]
        helpers |= {name, *others}
    return statements, helpers


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the last part of each module that a file imports; modules have no dots in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.rpartition(".")[2] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from filter(None, [(node.module or "").rpartition(".")[2]])
            yield from (alias.name for alias in node.names if not node.module)
