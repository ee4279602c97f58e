"""Find what an exercise forbids, in the syntax tree of its functions and of their helpers.

A helper may be in the notebook, or in a student's own module that was handed in with it.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath

from grader.checks.forbidden import MAX_STEPS, Search
from grader.notebook import assembled, parseable
from grader.notebook.definitions import assigned, parsed
from grader.records import Assignment, Cell, Definition, Exercise, Note, Notebook, Rules

# A submission holds fewer files; a student's own folder, which `%grade` reads, may hold more.
_FILES_MAX = 10_000
_MODULE_BYTES_MAX = 2**20


class BreachSearch:
    """Searches one notebook of a submission for what its exercises forbid.

    notes : the exercises whose search was not finished; a person has to look
    """

    def __init__(
        self, assignment: Assignment, notebook: Notebook, *, folder: Path | None = None
    ) -> None:
        """notebook : the student's; the template's own code is trusted

        folder : what was handed in with it; modules that the notebook imports from there are
            searched
        """
        self.notes: list[Note] = []
        self._assignment = assignment
        self._notebook = notebook
        beside = PurePosixPath(notebook.name).parent
        given = frozenset(str(beside / name) for name in assignment.files)
        self._modules = _Modules(folder, given)

    @cached_property
    def _code(self) -> _Code:
        return _Code(self._notebook)  # not read if nothing is forbidden

    def breaches(self, exercise: Exercise) -> list[tuple[str, Note]]:
        """Return (exercise id, note) for each forbidden import or call, in the code's order."""
        rules = exercise.rules or self._assignment.rules
        if not (rules.forbidden_imports or rules.forbidden_calls):
            return []
        trusted = _unchanged(self._assignment.stubs.get(exercise.notebook), self._notebook)
        breaches = []
        unfinished = []
        for code, definition in _reachable(
            exercise.functions, self._code, self._modules, trusted - {*exercise.functions}
        ):
            search = code.search(rules)
            for breach in search.breaches(definition.source):
                message = (
                    f"`{breach.name}` is not allowed here: `{definition.name}`, "
                    f"line {definition.line + breach.line - 1}: {breach.text.strip()}"
                )
                cell = None if code.is_module else definition.cell
                breaches.append((exercise.id, Note("forbidden", message, cell, code.name)))
            if search.exhausted:
                unfinished.append(definition.name)
        if unfinished:
            self.notes.append(
                Note(
                    "not_searched",
                    f"exercise {exercise.id}: the search for what is forbidden stopped after "
                    f"{MAX_STEPS:,} steps, from `{unfinished[0]}` on: look at it yourself",
                    notebook=self._notebook.name,
                )
            )
        return breaches


class _Code:
    """The code of a notebook or a module: its definitions and its imports.

    name : the file's
    known : its definitions, and functions without a def: `f = lambda x: ...`, `g = f`
    passed_on : its imports, by the names that they bind
    """

    def __init__(self, notebook: Notebook, *, is_module: bool = False) -> None:
        self.name = notebook.name
        self.is_module = is_module
        self._cells = list(_cells_that_parse(notebook.cells))
        self.known: dict[str, Definition] = {}
        self.passed_on: dict[str, Definition] = {}
        for index, source in self._cells:
            lines = source.split("\n")
            for bound in assigned(source):
                text = "\n".join(lines[bound.line - 1 : bound.end])
                definition = Definition(bound.name, index, bound.line, text)
                if bound.value is None:
                    self.passed_on[bound.name] = definition
                elif isinstance(bound.value, ast.Lambda | ast.Name | ast.Attribute):
                    self.known[bound.name] = definition
        self.known |= notebook.definitions

        self._searches: dict[Rules, Search] = {}
        self._plain: Search | None = None

    def search(self, rules: Rules) -> Search:
        """Return the search by these rules; the names that the code binds are read only once."""
        if rules not in self._searches:
            self._searches[rules] = Search(
                self._context, imports=rules.forbidden_imports, calls=rules.forbidden_calls
            )
        return self._searches[rules]

    def names_meant(self, source: str) -> set[str]:
        """Return the dotted names that a piece of this code means."""
        if self._plain is None:
            self._plain = Search(self._context)
        return self._plain.names_meant(source)

    def for_others(self, name: str) -> Definition | None:
        """Return the meaning of a name for an importer of this module; `import *` may bind it."""
        return self.known.get(name) or self.passed_on.get(name) or self.passed_on.get("*")

    @cached_property
    def _context(self) -> str:
        return "\n".join(source for _, source in self._cells)


class _Modules:
    """The student's own modules, read when they are first needed."""

    def __init__(self, folder: Path | None, given: frozenset[str] = frozenset()) -> None:
        """given : names of the instructor's own files, which are trusted"""
        self.folder = folder
        self.given = given
        self._read: dict[Path, _Code | None] = {}

    def find(self, dotted: str) -> Iterator[tuple[_Code, Definition]]:
        """Yield the meaning of a dotted name in each module that its first parts may name."""
        parts = dotted.split(".")
        if parts[0] in sys.stdlib_module_names:
            return
        for length in range(1, len(parts)):
            for path in self.paths.get(tuple(parts[:length]), ()):
                code = self._code(path)
                # Of "mine.Class.method", the class.
                definition = code.for_others(parts[length]) if code is not None else None
                if code is not None and definition is not None:
                    yield code, definition

    @cached_property
    def paths(self) -> dict[tuple[str, ...], list[Path]]:
        """Return the files by their possible module names: lib/mine.py as lib.mine, and as mine."""
        found: dict[tuple[str, ...], list[Path]] = {}
        if self.folder is None:
            return found
        files = (Path(place, name) for place, _, names in os.walk(self.folder) for name in names)
        for path in islice(files, _FILES_MAX):
            relative = path.relative_to(self.folder)
            if path.suffix == ".py" and relative.as_posix() not in self.given:
                parts = relative.with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                for start in range(len(parts)):
                    found.setdefault(parts[start:], []).append(path)
        return found

    def _code(self, path: Path) -> _Code | None:
        if path not in self._read:
            assert self.folder is not None
            self._read[path] = _module(path, path.relative_to(self.folder).as_posix())
        return self._read[path]


def _module(path: Path, name: str) -> _Code | None:
    """Return the code of a file; None if it can't be read, since Python can't import it either."""
    try:
        if not path.is_file() or path.stat().st_size > _MODULE_BYTES_MAX:
            return None
        text = path.read_text("utf-8", "replace")
    except OSError:
        return None
    return _Code(assembled([Cell(0, "code", text)], name=name), is_module=True)


def _cells_that_parse(cells: Sequence[Cell]) -> Iterator[tuple[int, str]]:
    """Yield index and source of the cells that parse; others would hide their imports."""
    for cell in cells:
        if cell.kind == "code":
            source = parseable(cell.source)
            if parsed(source) is not None:
                yield cell.index, source


def _reachable(
    functions: Sequence[str], notebook: _Code, modules: _Modules, trusted: Collection[str]
) -> list[tuple[_Code, Definition]]:
    """Return the definitions of the functions and of all helpers that they use, directly or not."""
    found: dict[tuple[str, str], tuple[_Code, Definition]] = {}
    queue = deque((notebook, notebook.known[name]) for name in functions if name in notebook.known)
    while queue:
        code, definition = queue.popleft()
        name = definition.name
        if (code.name, name) in found or (code is notebook and name in trusted):
            continue
        found[code.name, name] = code, definition
        # `self.helper` is looked for beside the method that uses it.
        owner = name.rpartition(".")[0]
        for used in _names_used(definition.source):
            for helper in (used, f"{owner}.{used}"):
                if helper in code.known:
                    queue.append((code, code.known[helper]))
        if modules.paths:
            for dotted in sorted(code.names_meant(definition.source)):
                queue += modules.find(dotted)
    return list(found.values())


@lru_cache(maxsize=64)
def _names_used(source: str) -> tuple[str, ...]:
    """Return each name and attribute that the source reads, once; kept for the next exercise."""
    tree = parsed(source)
    used: list[str] = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used.append(node.id)
        elif isinstance(node, ast.Attribute):
            used.append(node.attr)
    return tuple(dict.fromkeys(used))


def _unchanged(stub: Notebook | None, notebook: Notebook) -> set[str]:
    """Return the definitions that are unchanged from the template."""
    if stub is None:
        return set()
    return {
        name
        for name, definition in stub.definitions.items()
        if name in notebook.definitions and notebook.definitions[name].source == definition.source
    }
