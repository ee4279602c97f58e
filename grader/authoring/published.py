"""The checks that students get: the public check files, and the modules that these import.

Each file is copied byte for byte. Hidden checks are in the folder `hidden`, from which nothing is
copied. Code that would break this rule, or the students' copy, is refused with its file and line.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from grader.assignment.check_files import HIDDEN, MARKER, is_hidden
from grader.errors import AssignmentError
from grader.notebook.definitions import called_name
from grader.records import Assignment

_IMPORTS_BY_NAME = ("import_module", "__import__", "importorskip")


def public_files(assignment: Assignment) -> dict[str, bytes]:
    """Return the files of the checks for students, by their path relative to assignment.toml.

    Raises AssignmentError for a public file that imports a hidden module, uses `reference` or marks
    a check as hidden; for a hidden file with hidden=False; and for a module whose name another
    module has.
    """
    folder = assignment.folder
    todo = []
    for path in assignment.check_files:
        if is_hidden(path, folder):
            _require_hidden(path)
        else:
            todo.append(path)
    files: dict[str, bytes] = {}
    while todo:
        path = todo.pop(0)
        name = path.relative_to(folder).as_posix()
        if name in files:
            continue
        files[name] = path.read_bytes()
        if path.suffix == ".py":
            tree = _tree(path)
            _require_public(tree, path)
            todo += _imported_files(tree, path, folder)
    return files


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise AssignmentError(f"{path} doesn't parse: {error}") from error


# --- which file holds which checks --------------------------------------------------------------


def _require_public(tree: ast.Module, path: Path) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg == "reference":
            raise AssignmentError(
                f"{path}, line {node.lineno}: a public check asks for `reference`, which students "
                f"don't have: move it to {HIDDEN}/{path.name}"
            )
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "hidden" and _may_hide(keyword.value, node):
                    raise AssignmentError(
                        f"{path}, line {node.lineno}: students get this whole file: move the "
                        f"hidden check to {HIDDEN}/{path.name}"
                    )
                _refuse_unknown(keyword, node, path)


def _require_hidden(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and _marks_an_exercise(node):
            for keyword in node.keywords:
                if keyword.arg == "hidden" and not _is(keyword.value, True):
                    raise AssignmentError(
                        f"{path}, line {node.lineno}: students don't get this file: move the "
                        "public check to the folder above, or remove `hidden`"
                    )


def _refuse_unknown(keyword: ast.keyword, call: ast.Call, path: Path) -> None:
    """Raise AssignmentError for an unknown argument of a marker, such as hiden=True."""
    if _marks_an_exercise(call) and keyword.arg not in MARKER:
        name = repr(keyword.arg) if keyword.arg else "**"
        raise AssignmentError(
            f"{path}, line {call.lineno}: `exercise` takes an id and points=..., not {name}"
        )


def _marks_an_exercise(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "exercise"


def _may_hide(value: ast.expr, call: ast.Call) -> bool:
    """Return whether an argument hides: True in any call, or anything but False in a marker."""
    return _is(value, True) or (_marks_an_exercise(call) and not _is(value, False))


def _is(node: ast.expr, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


# --- what a public file imports -----------------------------------------------------------------


def _imported_files(tree: ast.Module, path: Path, folder: Path) -> Iterator[Path]:
    """Yield the files of the assignment's own modules that this one imports; of a package, all."""
    for name, line in _imported_names(tree):
        where = f"{path}, line {line}"
        if _is_module(folder / HIDDEN, name) or name == HIDDEN:
            if _is_module(folder, name):
                raise AssignmentError(
                    f"{where}: {name} is both in {folder} and in {HIDDEN}/: rename one of them"
                )
            raise AssignmentError(
                f"{where}: a public file can't import {name}, which is in {HIDDEN}/: students "
                "don't have it"
            )
        if _is_module(folder, name):
            _refuse_namesake(name, folder, where)
            if (folder / f"{name}.py").is_file():
                yield folder / f"{name}.py"
            else:
                files = sorted((folder / name).rglob("*"))
                yield from (f for f in files if f.is_file() and "__pycache__" not in f.parts)


def _is_module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _refuse_namesake(name: str, folder: Path, where: str) -> None:
    """Raise AssignmentError if another module of this name would be imported instead."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    origin = Path(found.origin).resolve() if found and found.origin else None
    elsewhere = origin is not None and not origin.is_relative_to(folder.resolve())
    if name in sys.stdlib_module_names or elsewhere:
        raise AssignmentError(
            f"{where}: Python or a package also has a module {name}, which would be imported "
            f"instead: rename {folder / name}.py"
        )


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield (top-level name, line) of every import, those by a string included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno
        elif isinstance(node, ast.Call) and node.args:
            first = node.args[0]
            if called_name(node) in _IMPORTS_BY_NAME and isinstance(first, ast.Constant):
                yield str(first.value).partition(".")[0], node.lineno
