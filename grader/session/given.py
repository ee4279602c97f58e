"""Runs the template's first cells once, for all notebooks that start with them unchanged.

All notebooks of a class begin alike: they import modules and load data. If a notebook's first code
cells equal the template's (beginning.py), its kernel is forked from a process that has run them
(grader/in_kernel/given.py). The first cell that differs or has a gap runs in the student's own
process, and so do all cells after it. Only the instructor's code is shared.

That process checks after each cell that it leaves nothing behind which must not be shared. A cell
that does, and the cells after it, are left to each notebook; those before it run once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from grader import records
from grader.errors import GraderFault
from grader.session import sandbox
from grader.session.beginning import Beginning, beginning_of
from grader.session.fork_server import ForkServer
from grader.session.kernel import cell_share
from grader.session.messages import EXECUTE
from grader.session.scratch import Scratch, kernel_environment
from grader.session.shared_files import place_files

VARIANTS = 3
"""How many processes with different first cells are kept, besides one for each template: each
needs memory of its own."""
SEEN = 2
"""Cells run in advance when they come for the second time, unless they are all of a template's:
those come again."""
SHARE = 4
"""The cells may take one fourth of a notebook's time limits; no submission pays for it."""

_Key = tuple[object, ...]


class GivenCells:
    """Processes that have run the first cells of an assignment's notebooks. Close it after use.

    server() may be called from several threads.
    draw : whether the figures of these cells may become pictures
    """

    def __init__(self, assignment: records.Assignment, *, draw: bool) -> None:
        self._assignment = assignment
        self._draw = draw
        self._lock = Lock()
        self._seen: dict[_Key, int] = {}
        self._ready: dict[_Key, ForkServer] = {}
        self._unfit: dict[_Key, str] = {}
        self._outcomes: list[str] = []

    @property
    def unfit(self) -> list[str]:
        """The reasons why cells could not run in advance."""
        return [*self._unfit.values()]

    def outcomes(self) -> list[str]:
        """Return, for each submitted notebook since the last call, why not all given cells ran
        in advance; "" if all did."""
        with self._lock:
            found, self._outcomes = self._outcomes, []
        return found

    def server(
        self,
        notebook: records.Notebook,
        folder: Path | None,
        options: Mapping[str, Any],
        *,
        fork_server: ForkServer | None,
        shared: Path | None,
    ) -> ForkServer | None:
        """Return a fork server that has run the notebook's first cells; None if there is none.

        options : of in_kernel/launch.py
        fork_server : the one that all kernels are forked from; None if each starts by itself
        shared : the folder with the instructor's files
        """
        assignment = self._assignment
        found = beginning_of(notebook, assignment.stubs.values(), folder, assignment.files)
        draw = options["draw"] if self._draw else False
        if not isinstance(draw, bool):
            draw = sorted({index for index, _ in found.cells}.intersection(draw))
        options = {**options, "draw": draw or []}
        with self._lock:
            solved = any(notebook is one for one in assignment.notebooks.values())
            server, why = None, "kernels are not forked on this machine"
            if fork_server is not None:
                server, why = self._server(found, options, fork_server, shared, solved=solved)
            if not solved:
                self._outcomes.append(why and f"{found.of}: {why}")
        return server

    def _server(
        self,
        found: Beginning,
        options: Mapping[str, Any],
        fork_server: ForkServer,
        shared: Path | None,
        *,
        solved: bool,
    ) -> tuple[ForkServer | None, str]:
        """Return the process, and why it has not run all the cells that the template gives."""
        other = tuple(str(options[name]) for name in sorted(options))
        usual = found.usual and not solved
        while True:
            for count in range(len(found.cells)):
                if why := self._unfit.get((found.cells[: count + 1], *other)):
                    found = found.cut(count, why)
                    break
            if not found.cells:
                return None, found.why_not_more
            key = (found.cells, *other)
            self._seen[key] = self._seen.get(key, 0) + 1
            server = self._ready.get(key)
            if server is not None and server.alive:
                return server, found.why_not_more
            if server is not None:
                server.close()
                del self._ready[key]
                self._unfit[found.cells[:1], *other] = "the process that ran the cells has ended"
                continue
            if not usual and self._seen[key] < SEEN:
                return None, found.why_not_more or "no other notebook began with these cells yet"
            if len(self._ready) >= VARIANTS + len(self._assignment.stubs):
                return None, "too many notebooks begin in ways of their own"
            server, ran, why = self._run(found, options, fork_server, shared)
            if server is None:
                self._unfit[found.cells[: ran + 1], *other] = why
            else:
                self._ready[key] = server

    def _run(
        self,
        found: Beginning,
        options: Mapping[str, Any],
        fork_server: ForkServer,
        shared: Path | None,
    ) -> tuple[ForkServer | None, int, str]:
        """Run cells in a new process; return it, or how many cells ran, and why not the next."""
        limits = self._assignment.limits
        beside = options["beside"]

        def lay_files(work: Path) -> None:
            place = work / beside
            place.mkdir(parents=True, exist_ok=True)
            if shared is not None:
                place_files(shared, place, sandbox=self._assignment.sandbox)

        seconds = min(limits.cell_s, limits.notebook_s) / SHARE
        server = None
        ran = 0

        def on_cell(count: int) -> None:
            nonlocal ran
            ran = count

        scratch = Scratch(None, lay_files)
        try:
            plan = None
            if self._assignment.sandbox != "none":
                seen = [Path(path) for path in (options["datasets"], shared) if path]
                plan = sandbox.plan(scratch.folders(), limits, "auto", seen=seen, apart=False)
            request = {
                "cells": found.cells,
                "content": EXECUTE,
                "options": {**options, "output_bytes": cell_share(limits)},
                "plan": plan,
                "environment": kernel_environment(scratch),
                "folder": str(scratch.work),
                "seconds": seconds,
            }
            server = ForkServer(fork_server.clone())
            why = server.run_given(request, on_cell)
        except (GraderFault, OSError) as error:
            why = str(error)
            if server is not None and not server.alive:
                cell = found.cells[min(ran, len(found.cells) - 1)][0]
                why = f"cell {cell} ended its process, or the cells took over {seconds:g} s"
        finally:
            scratch.remove()
        if not why:
            return server, ran, ""
        if server is not None:
            server.close()
        return None, min(ran, len(found.cells) - 1), why

    def close(self) -> None:
        for server in self._ready.values():
            server.close()
        self._ready.clear()
        self._seen.clear()
