"""Find the files that a solved notebook opens or imports: students get them with the notebook."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.assignment.check_files import holds_checks
from grader.authoring.importers.marked_code import converted
from grader.notebook.definitions import called_name, parsed
from grader.notebook.plain import normalise
from grader.records import Notebook

# Functions whose first argument is the name of a file.
_OPEN = frozenset(
    {
        *("open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "imread", "loadmat"),
        *("read_csv", "read_table", "read_excel", "read_json", "read_parquet", "read_pickle"),
        *("read_text", "read_bytes", "File", "imshow", "Image"),
    }
)
_LONGEST = 200
_MANY = 12
"""If a folder has more files, the folder is named instead."""
_MAX_BYTES = 512 << 20
_SECRET = ("solution", "answer", "hidden", "corrige", "loesung")


@dataclass
class Beside:
    """The files that were found.

    files : by the name relative to the notebook
    report : a line for each file or problem; "! " begins a line with something to do
    """

    files: dict[str, Path] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)

    def patterns(self) -> list[str]:
        """Return the entries of `files` in assignment.toml."""
        tops: dict[str, list[str]] = {}
        for name in sorted(self.files):
            top = name.partition("/")[0] + "/" if "/" in name else name
            tops.setdefault(top, []).append(name)
        found: list[str] = []
        for top, names in tops.items():
            found += [top] if len(names) > _MANY or f"{top}__init__.py" in names else names
        return found


def find_beside(
    folder: Path,
    notebook: Notebook,
    *,
    apart: frozenset[str],
    also: Mapping[str, int] | None = None,
) -> Beside:
    """Return the files in `folder` that the notebook's cells open or import, also indirectly.

    folder : the notebook's folder
    apart : names of the notebooks themselves, which do not count
    also : names of files that the notebook says it needs, with the cell that says so
    """
    search = _Search(folder.resolve(), apart)
    for name, number in (also or {}).items():
        where = f"{notebook.name}, cell {number}"
        if not search.named(name, where):
            search.tell(f"! {where}: it needs {name}, which is not beside the notebook")
    for cell in notebook.cells:
        if cell.kind == "code" and (tree := parsed(normalise(cell.source).source)) is not None:
            search.read(tree, f"{notebook.name}, cell {cell.index}")
    return search.found


def modules_with_gaps(path: Path, notebook: Notebook) -> str:
    """Return a sentence on the modules beside a notebook that have gaps; "" if none has."""
    beside = find_beside(path.parent, notebook, apart=frozenset()).files
    holding = [
        str(path.parent / name)
        for name, file in sorted(beside.items())
        if file.suffix == ".py" and converted(file.read_text("utf-8", "replace"))[1]
    ]
    if not holding:
        return ""
    return (
        f". Modules that it imports have gaps: {', '.join(holding)}. Begin with these files "
        "instead of the notebook, or move their functions into it"
    )


class _Search:
    def __init__(self, folder: Path, apart: frozenset[str]) -> None:
        self.folder = folder
        self.apart = apart
        self.found = Beside()
        self.reported: set[str] = set()
        self.bytes = 0

    def read(self, tree: ast.Module, where: str, package: PurePosixPath | None = None) -> None:
        """Look through code. package : the folder of a module, for its relative imports"""
        for node in ast.walk(tree):
            for path in _imported(node, package):
                self._module(path, where)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.named(node.value, where, package)
            if isinstance(node, ast.Call) and (name := _opened(node)):
                self._missing(name, where, package)

    def _module(self, path: PurePosixPath, where: str) -> None:
        module = path.with_suffix(".py") if path.name else path
        for name in (module, path / "__init__.py"):
            if (self.folder / name).is_file():
                # Of a package, all modules: it is unknown which of them are imported later.
                files = (
                    sorted((self.folder / path).rglob("*.py"))
                    if name.name == "__init__.py"
                    else [self.folder / name]
                )
                for file in files:
                    self._take(file, where, imported=True)
                return

    def named(self, text: str, where: str, package: PurePosixPath | None = None) -> bool:
        """Take the file or the folder of this name; return whether it exists."""
        if not 0 < len(text) < _LONGEST or "\n" in text or "\0" in text:
            return False
        there = False
        for base in dict.fromkeys((PurePosixPath(), package or PurePosixPath())):
            path = self.folder / base / text
            try:
                there = there or path.exists()
                if path.is_file():
                    self._take(path, where)
                elif path.is_dir() and path.resolve() not in (self.folder, *self.folder.parents):
                    inside = [file for file in sorted(path.rglob("*")) if file.is_file()]
                    before = len(self.found.files)
                    for file in inside:
                        self._take(file, where, quiet=len(inside) > _MANY)
                    if len(inside) > _MANY and (taken := len(self.found.files) - before):
                        self.tell(
                            f"  {where}: students get {taken} files of {text} with the notebook"
                        )
            except OSError:
                continue
        return there or self._from_above(text, where)

    def _from_above(self, text: str, where: str) -> bool:
        """Take "src/iris.csv" of a module in src/, which runs in the folder above it."""
        inside = text.removeprefix(f"{self.folder.name}/")
        try:
            path = (self.folder / inside).resolve()
            if inside == text or not (path.is_file() and path.is_relative_to(self.folder)):
                return False
        except OSError:
            return False
        if text not in self.found.files:
            self.found.files[text] = path
            self.tell(f"  {where}: students get {text} with the notebook")
        return True

    def _take(self, file: Path, where: str, *, imported: bool = False, quiet: bool = False) -> None:
        """Take a file, and what it opens and imports. quiet : it is one of many of a folder"""
        real = file.resolve()
        if not real.is_relative_to(self.folder):
            # A folder of another sheet may hold a hundred files.
            place = os.path.relpath(file if imported else file.parent, self.folder)
            self.tell(
                f"! {where}: {place} lies outside of the notebook's folder: put the needed files "
                "beside the notebook, and name them in `files`"
            )
            return
        name = real.relative_to(self.folder).as_posix()
        parts = PurePosixPath(name).parts
        unseen = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if name in self.found.files or name in self.apart or unseen or name.endswith(".ipynb"):
            return
        if any(word in name.lower() for word in _SECRET):
            self.tell(f"! {where}: {name} may hold answers: name it in `files` if it doesn't")
            return
        if len(parts) == 1 and holds_checks(real):
            self.tell(f"! {where}: {name} holds checks: rename it, and name it in `files`")
            return
        self.bytes += real.stat().st_size
        if self.bytes > _MAX_BYTES:
            self.tell(f"! {where}: {name} is large: copy it yourself, and name it in `files`")
            return
        self.found.files[name] = real
        if not quiet:
            self.tell(f"  {where}: students get {name} with the notebook")
        if real.suffix == ".py":
            text = real.read_text("utf-8", "replace")
            gaps = [gap for gap in converted(text)[1] if gap.words != "raise NotImplementedError"]
            if gaps and not any(gap.solved for gap in gaps):
                self.tell(
                    f"! {name} has gaps, which nobody grades: give {name} to --from, too, if "
                    "students hand it in"
                )
            if any(gap.solved for gap in gaps):
                self.tell(
                    f"! {name} holds solutions, and students get it unchanged: use the students' "
                    "copy of it, or move its functions into the notebook"
                )
            tree = parsed(text)
            if tree is not None:
                self.read(tree, name, PurePosixPath(name).parent)

    def _missing(self, name: str, where: str, package: PurePosixPath | None) -> None:
        if (
            len(name) < _LONGEST
            and PurePosixPath(name).suffix
            and "://" not in name
            and not any(
                (self.folder / base / name).exists()
                for base in (PurePosixPath(), package or PurePosixPath())
            )
            and not self._from_above(name, where)
        ):
            self.tell(f"! {where}: it opens {name}, which is not beside the notebook")

    def tell(self, line: str) -> None:
        """Add a line to the report, once."""
        if line not in self.reported:
            self.reported.add(line)
            self.found.report.append(line)


def _imported(node: ast.AST, package: PurePosixPath | None) -> Iterator[PurePosixPath]:
    """Yield the paths of modules that an import may load, without their suffix."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _places(alias.name)
    elif isinstance(node, ast.ImportFrom):
        if node.level and package is not None:
            base = package
            for _ in range(node.level - 1):
                base = base.parent
            base = base / PurePosixPath(*(node.module or "").split("."))
            yield base
            yield from (base / alias.name for alias in node.names)
        elif node.module and not node.level:
            yield from _places(node.module)
            path = PurePosixPath(*node.module.split("."))
            if path.parts[0] not in sys.stdlib_module_names:
                yield from (path / alias.name for alias in node.names if alias.name != "*")


def _places(dotted: str) -> Iterator[PurePosixPath]:
    parts = dotted.split(".")
    if parts[0] not in sys.stdlib_module_names:
        yield from (PurePosixPath(*parts[:length]) for length in range(1, len(parts) + 1))


def _opened(call: ast.Call) -> str:
    """Return the name of the file that a call reads, if it is a literal; else ""."""
    if called_name(call) not in _OPEN or not call.args:
        return ""
    writes = any(
        isinstance(a, ast.Constant) and isinstance(a.value, str) and a.value[:1] in "wax"
        for a in call.args[1:2]
    )
    first = call.args[0]
    known = first.value if isinstance(first, ast.Constant) else None
    return known if isinstance(known, str) and not writes else ""
