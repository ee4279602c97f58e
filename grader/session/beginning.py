"""Finds the cells with which a notebook begins like the template, and which may run only once.

They must not depend on one student. Cells are left to each notebook from the first that differs
from the template's, that asks where or when it runs, or that may read a file of the student's.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from grader.records import Notebook
from grader.session.code_cells import code_cells
from grader.session.scratch import NEVER_COPIED

Cells = tuple[tuple[int, str], ...]

NO_CELL = "the template has no cell before its first gap"
# Names in code that depends on its folder, on files there, on its process, or on its event loop.
_ASKS_WHERE = frozenset(
    re.findall(
        r"\w+",
        """
        abspath absolute access cwd cwdb environ exists expanduser fork fstat getcwd getcwdb getenv
        getpid getppid gettempdir glob home iglob is_dir is_file isdir isfile iterdir listdir lstat
        memmap mkdtemp mkstemp mmap mmap_mode open_memmap realpath resolve rglob scandir stat walk
        tempfile TemporaryFile NamedTemporaryFile TemporaryDirectory shared_memory SharedMemory
        __file__ get_ipython
        alarm setitimer process_time process_time_ns thread_time thread_time_ns clock_gettime
        getrusage get_event_loop get_running_loop new_event_loop
        """,
    )
)


@dataclass(frozen=True)
class Beginning:
    """The first cells of a notebook that may run in advance.

    of : the name of the template's notebook, or of the student's if it begins like none
    cells : (index, code)
    why_not_more : why the template's next cell may not; "" if these are all
    usual : whether a notebook that fills in the template's gaps alone begins so, too
    """

    of: str
    cells: Cells
    why_not_more: str
    usual: bool

    def cut(self, count: int, why: str) -> Beginning:
        """Return only the first cells."""
        return replace(self, cells=self.cells[:count], why_not_more=why)


def beginning_of(
    notebook: Notebook,
    stubs: Collection[Notebook],
    folder: Path | None,
    files: Collection[str],
) -> Beginning:
    """Return the cells that a notebook and a template begin with, as far as they may be shared.

    stubs : the templates; the one with the longest common beginning counts
    folder : what the student handed in
    files : the instructor's own files, relative to the folder
    """
    found = max(
        (_common(notebook, stub) for stub in stubs),
        key=lambda beginning: (len(beginning.cells), not beginning.why_not_more),
        default=Beginning(notebook.name, (), NO_CELL, usual=True),
    )
    if not found.cells:
        return replace(found, of=notebook.name)
    for count, (index, source) in enumerate(found.cells):
        if name := _asks_where(source):
            found = found.cut(count, f"cell {index} uses `{name}`")
            break
    return _before_own_files(found, folder, files)


def _common(notebook: Notebook, stub: Notebook) -> Beginning:
    """Return the notebook's first code cells that equal the template's."""
    given = _given_cells(stub)
    own = [(cell.index, cell.source) for cell in code_cells(notebook)]
    if not given:
        return Beginning(stub.name, (), NO_CELL, usual=True)
    cells: list[tuple[int, str]] = []
    for index, source in own:
        if len(cells) == len(given):
            break
        if source == given[len(cells)]:
            cells.append((index, source))
        elif not _does_nothing(source):  # a cell without effect need not run in advance
            return Beginning(
                stub.name, tuple(cells), f"cell {index} differs from the template's", usual=False
            )
    if len(cells) < len(given):
        return Beginning(
            stub.name, tuple(cells), "the template's next cell is missing", usual=False
        )
    return Beginning(stub.name, tuple(cells), "", usual=True)


def _given_cells(stub: Notebook) -> list[str]:
    """Return the code of the stub's first cells, up to the first that has a gap."""
    gaps = {region.cell for region in stub.regions.values()}
    given = []
    for cell in code_cells(stub):
        if cell.index in gaps:
            break
        given.append(cell.source)
    return given


def _does_nothing(source: str) -> bool:
    """Return whether code has no effect: comments, or the cell that loads `%grade`."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    for statement in statements:
        inner = [statement]
        if isinstance(statement, ast.Try) and not (statement.orelse or statement.finalbody):
            inner = statement.body
        if not all(isinstance(one, ast.Pass) for one in inner):
            return False
    return True


# --- code that depends on its place -------------------------------------------------------------


@lru_cache(maxsize=256)
def _asks_where(source: str) -> str:
    """Return the name by which code may depend on its process or folder; "" if there is none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        # A top-level `await` parses here as well; what doesn't is left to each notebook.
        return "what is not Python"
    only_set = {id(node) for node in _set_by_constants(tree)}
    for node in ast.walk(tree):
        names: Sequence[str | None] = ()
        if isinstance(node, ast.Name):
            names = (node.id,)
        elif isinstance(node, ast.Attribute):
            names = (node.attr,)
        elif isinstance(node, ast.alias):
            names = (*node.name.split("."),)
        elif isinstance(node, ast.keyword):
            names = (node.arg,)
        for name in names:
            if name in _ASKS_WHERE and id(node) not in only_set:
                return str(name)
    return ""


def _set_by_constants(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield each `os.environ` that only gets a constant: `os.environ["MODE"] = "3"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    yield target.value


# --- code that may read a student's file ----------------------------------------------------------


def _before_own_files(found: Beginning, folder: Path | None, files: Collection[str]) -> Beginning:
    """Return the cells before the first that may find a file of the student's."""
    for inside in _own_files(folder, files) if found.cells else ():
        names = [inside.name, *inside.parts[:-1]]
        importable = all(part.partition(".")[0].isidentifier() for part in inside.parts)
        if inside.suffix in (".py", ".so", ".pyd") and importable:
            why = f"the cells could import {inside.name}, which was handed in"
            return replace(found.cut(0, why), usual=False)
        for count, (index, source) in enumerate(found.cells):
            if any(_may_name(source, name) for name in names):
                why = f"cell {index} may read {inside}, which was handed in"
                found = replace(found.cut(count, why), usual=False)
                break
    return found


def _own_files(folder: Path | None, files: Collection[str]) -> Iterator[Path]:
    """Yield the files that a student handed in, without those that the instructor replaces."""
    for place, folders, names in os.walk(folder) if folder is not None else ():
        folders[:] = sorted(name for name in folders if name not in NEVER_COPIED)
        for name in sorted(names):
            inside = Path(place, name).relative_to(folder or "")
            if inside.as_posix() not in files:
                yield inside


def _may_name(source: str, name: str) -> bool:
    """Return whether strings in code may name a file or folder: whole, or from a stem and a number.

    Code names a notebook in full.
    """
    if name.endswith(".ipynb"):
        return any(name in text for text in _strings(source))
    stem, _, suffix = name.partition(".")
    letters = re.match(r"[^\W\d_]*", stem)
    piece = letters[0] if letters is not None and letters[0] else f".{suffix}"
    return any(piece in text for text in _strings(source))


@lru_cache(maxsize=256)
def _strings(source: str) -> tuple[str, ...]:
    """Return the strings and bytes in code, which parses."""
    values = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
    return tuple(text for text in texts if isinstance(text, str))
