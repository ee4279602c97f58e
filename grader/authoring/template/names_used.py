"""The imports that a course's tests need in the check file; nose's asserts are replaced."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.authoring.importers import Check
from grader.authoring.template.layout import quoted
from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.records import Cell, Notebook

_NOSE = {
    "assert_equal": "assertEqual",
    "assert_not_equal": "assertNotEqual",
    "assert_almost_equal": "assertAlmostEqual",
    "assert_true": "assertTrue",
    "assert_false": "assertFalse",
    "assert_is_instance": "assertIsInstance",
    "assert_in": "assertIn",
    "assert_raises": "assertRaises",
    "assert_greater": "assertGreater",
    "assert_less": "assertLess",
    "ok_": "assertTrue",
    "eq_": "assertEqual",
}
"""unittest's asserts for those of nose, which no longer exists."""


def names_used(
    checks: Sequence[Check], notebook: Notebook, folder: Path
) -> tuple[list[str], list[str], list[str]]:
    """Return (import lines, entries of NAMES, problems) for a notebook's tests.

    folder : the notebook's folder. Students get a module beside it: the student's process has its
        names
    """
    used = {word for check in checks for word in re.findall(r"\w+", check.source)}
    lines: dict[str, None] = {}
    entries: dict[str, None] = {}
    problems: list[str] = []
    for node in _imports(notebook):
        module = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name in ("np", "numpy", "*") or name not in used:
                if name == "*" and not _is_here(module) and not _is_beside(module, folder):
                    problems.append(
                        f"`from {module} import *`: put {module}.py beside the notebook, and start "
                        "again"
                    )
                continue
            if _is_beside(module, folder) or name in notebook.definitions:
                continue  # the student's process has it
            if isinstance(node, ast.ImportFrom) and module.startswith("nose"):
                if name in _NOSE:
                    lines["from unittest import TestCase"] = None
                    entries[f'"{name}": TestCase().{_NOSE[name]}'] = None
                continue
            module = alias.name if isinstance(node, ast.Import) else module
            if not _is_here(module):
                problems.append(f"tests use {name} of {module}, which isn't installed here")
                continue
            given = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            whole = isinstance(node, ast.Import)
            lines[f"import {given}" if whole else f"from {module} import {given}"] = None
            entries[f'"{name}": {name}'] = None
    return sorted(lines), list(entries), [*problems, *_missing(checks, folder)]


def _missing(checks: Sequence[Check], folder: Path) -> Iterable[str]:
    """Yield a line for each module that tests import themselves, and that is not here."""
    lacking: dict[str, list[str]] = {}
    for check in checks:
        tree = None if check.examples else parsed(parseable(check.source))
        nodes = list(ast.walk(tree)) if tree is not None else []
        modules = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
        modules |= {
            node.module
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
        }
        for module in sorted({module.partition(".")[0] for module in modules}):
            if module != "nose" and not _is_here(module) and not _is_beside(module, folder):
                lacking.setdefault(module, []).append(check.name)
    for module, names in lacking.items():
        tests = ", ".join(names)
        it = "it needs" if len(names) == 1 else "they need"
        yield f"{tests}: {it} {module}, which is not here: install it, or put {module}.py beside"


def given_names(check: Check, notebook: Notebook, has_names: bool) -> str:
    """Return the argument `names` of a check; "" for none.

    In a cell, `sum` is Python's own. If students have to write a function of that name, it is
    theirs.
    """
    words = set(re.findall(r"\w+", check.source))
    own = [name for name in notebook.definitions if name in words and hasattr(builtins, name)]
    if not own:
        return "NAMES" if has_names else ""
    entries = [f"{quoted(name)}: student.value({quoted(name)})" for name in own]
    return f"{{{', '.join((['**NAMES'] if has_names else []) + entries)}}}"


def without_nose(cell: Cell) -> str:
    """Return a code cell's source with unittest's asserts instead of nose's."""
    if cell.kind != "code" or "nose" not in cell.source:
        return cell.source
    lines = []
    for line in cell.source.split("\n"):
        match = re.match(r"(?P<indent>\s*)from nose(\.tools)? import (?P<names>[\w, ]+)$", line)
        names = [name.strip() for name in match["names"].split(",")] if match else []
        if match is None or not _NOSE.keys() >= set(names):
            lines.append(line)
            continue
        lines.append(f"{match['indent']}from unittest import TestCase")
        lines += [f"{match['indent']}{name} = TestCase().{_NOSE[name]}" for name in names]
    return "\n".join(lines)


def _imports(notebook: Notebook) -> Iterable[ast.Import | ast.ImportFrom]:
    for cell in notebook.cells:
        tree = parsed(parseable(cell.source)) if cell.kind == "code" else None
        for node in tree.body if tree is not None else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node


def _is_beside(module: str, folder: Path) -> bool:
    top = folder / module.partition(".")[0]
    return bool(module) and (top.with_suffix(".py").is_file() or top.is_dir())


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
