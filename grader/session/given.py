"""Runs the template's first cells once, for all notebooks that start with them unchanged.

All notebooks of a class begin alike: they import modules and load data. If a notebook's first code
cells equal the template's byte for byte, its kernel is forked from a process that has run them
(grader/in_kernel/given.py). The first cell that differs or has a gap runs in the student's own
process, and so do all cells after it. Only the instructor's code is shared.

The cells must not depend on one student. This module refuses cells that name or might import
submitted files, or that ask where they run. The process itself checks that the cells leave nothing
behind that must not be shared.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from grader import records
from grader.errors import GraderFault
from grader.session import sandbox
from grader.session.code_cells import code_cells
from grader.session.fork_server import ForkServer
from grader.session.kernel import cell_share
from grader.session.messages import EXECUTE
from grader.session.scratch import NEVER_COPIED, Scratch, kernel_environment
from grader.session.shared_files import place_files

Cells = tuple[tuple[int, str], ...]

VARIANTS = 3
"""How many processes with different first cells are kept: each needs memory of its own."""
SEEN = 2
"""Cells run in advance when they come for the second time; for one notebook it gains nothing."""
SHARE = 4
"""The cells may take one fourth of a notebook's time limits; no submission pays for it."""
# Names in code that depends on its folder, on files there, or on the process.
_ASKS_WHERE = frozenset(
    re.findall(
        r"\w+",
        """
        abspath absolute access cwd cwdb environ exists expanduser fork fstat getcwd getcwdb getenv
        getpid getppid gettempdir glob home iglob is_dir is_file isdir isfile iterdir listdir lstat
        memmap mkdtemp mkstemp mmap mmap_mode open_memmap realpath resolve rglob scandir stat walk
        tempfile TemporaryFile NamedTemporaryFile TemporaryDirectory shared_memory SharedMemory
        __file__ get_ipython
        """,
    )
)


class GivenCells:
    """Processes that have run the first cells of an assignment's notebooks. Close it after use.

    server() may be called from several threads.
    draw : whether the figures of these cells become pictures
    """

    def __init__(self, assignment: records.Assignment, *, draw: bool) -> None:
        self._assignment = assignment
        self._draw = draw
        self._lock = Lock()
        self._seen: dict[tuple[object, ...], int] = {}
        self._ready: dict[tuple[object, ...], ForkServer | None] = {}
        self.unfit: list[str] = []
        """The reasons why cells did not run in advance, for tests and for debugging."""

    def server(
        self,
        notebook: records.Notebook,
        folder: Path | None,
        options: Mapping[str, Any],
        *,
        fork_server: ForkServer,
        shared: Path | None,
    ) -> ForkServer | None:
        """Return a fork server that has run the notebook's first cells; None if there is none.

        options : of in_kernel/launch.py
        shared : the folder with the instructor's files
        """
        cells = self._beginning(notebook)
        if not cells or not self._sees_nothing_of(folder, cells):
            return None
        # Which figures are looked at differs from student to student.
        options = {**options, "draw": self._draw}
        key = (cells, *(str(options[name]) for name in sorted(options)))
        with self._lock:
            self._seen[key] = self._seen.get(key, 0) + 1
            if key not in self._ready and self._seen[key] >= SEEN and len(self._ready) < VARIANTS:
                self._ready[key] = self._run(cells, options, fork_server, shared)
            server = self._ready.get(key)
            if server is not None and not server.alive:
                server.close()
                server = self._ready[key] = None
        return server

    def _beginning(self, notebook: records.Notebook) -> Cells:
        """Return the notebook's first code cells that equal a template's; () if none do."""
        own = [(cell.index, cell.source) for cell in code_cells(notebook)]
        found: Cells = ()
        for stub in self._assignment.stubs.values():
            given = _given_cells(stub)
            count, at = 0, 0
            while at < len(own) and count < len(given):
                if own[at][1] == given[count]:
                    count += 1
                elif not _does_nothing(own[at][1]):
                    break
                at += 1
            if count > len(found):
                # A cell without effect that the template does not have need not run in advance.
                found = tuple(cell for cell in own[:at] if cell[1] in given)
        return found if not any(map(_asks_where, (source for _, source in found))) else ()

    def _sees_nothing_of(self, folder: Path | None, cells: Cells) -> bool:
        """Return whether the cells find the same files for every student."""
        text = "\n".join(source for _, source in cells)
        for place, folders, names in os.walk(folder) if folder is not None else ():
            folders[:] = [name for name in folders if name not in NEVER_COPIED]
            for name in [*names, *folders]:
                inside = Path(place, name).relative_to(folder or "").as_posix()
                known = self._assignment.files
                if inside in known or any(n.startswith(f"{inside}/") for n in known):
                    continue  # the instructor's file replaces it when the notebook runs
                if name.endswith((".py", ".so", ".pth")):  # it could be imported
                    return False
                # Code names a notebook in full; other file names may be composed from a stem.
                word = name if name.endswith(".ipynb") else name.partition(".")[0]
                if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text):
                    return False
        return True

    def _run(
        self,
        cells: Cells,
        options: Mapping[str, Any],
        fork_server: ForkServer,
        shared: Path | None,
    ) -> ForkServer | None:
        limits = self._assignment.limits
        beside = options["beside"]

        def lay_files(work: Path) -> None:
            place = work / beside
            place.mkdir(parents=True, exist_ok=True)
            if shared is not None:
                place_files(shared, place, sandbox=self._assignment.sandbox)

        server = None
        scratch = Scratch(None, lay_files)
        try:
            plan = None
            if self._assignment.sandbox != "none":
                seen = [Path(path) for path in (options["datasets"], shared) if path]
                plan = sandbox.plan(scratch.folders(), limits, "auto", seen=seen, apart=False)
            request = {
                "cells": cells,
                "content": EXECUTE,
                "options": {**options, "output_bytes": cell_share(limits)},
                "plan": plan,
                "environment": kernel_environment(scratch),
                "folder": str(scratch.work),
                "seconds": min(limits.cell_s, limits.notebook_s) / SHARE,
            }
            server = ForkServer(fork_server.clone())
            why = server.run_given(request)
        except (GraderFault, OSError) as error:
            why = str(error)
        finally:
            scratch.remove()
        if not why:
            return server
        self.unfit.append(why)
        if server is not None:
            server.close()
        return None

    def close(self) -> None:
        for server in self._ready.values():
            if server is not None:
                server.close()
        self._ready.clear()
        self._seen.clear()


def _given_cells(stub: records.Notebook) -> list[str]:
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


def _asks_where(source: str) -> bool:
    """Return whether code may depend on its process or folder, or does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return True
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
        if not _ASKS_WHERE.isdisjoint(names):
            return True
    return False
