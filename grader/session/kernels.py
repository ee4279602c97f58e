"""Where every session of an assignment begins, for as long as one process grades."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from grader import datasets
from grader.errors import GraderFault
from grader.notebook import imports_of
from grader.records import Assignment, Notebook
from grader.session.fork_server import ForkServer, start_fork_server
from grader.session.runner import Session, Stop, open_session


class Kernels:
    """Opens sessions on notebooks of one assignment: students' and the solved ones.

    fork_server : what to fork them from; None to start each by itself. close() closes it
    preloaded : it has imported what the assignment needs
    draw : whether figures become pictures, for people to look at
    """

    def __init__(
        self,
        assignment: Assignment,
        fork_server: ForkServer | None,
        *,
        preloaded: bool = False,
        draw: bool = True,
    ) -> None:
        self.assignment = assignment
        self.draw = draw
        self.fork_server = fork_server
        self._lock = Lock()
        if not preloaded:
            self._preload()

    def open(
        self,
        notebook: Notebook,
        *,
        folder: Path,
        seed: int = 0,
        on_cell: Callable[[int, int], None] | None = None,
        stop: Stop | None = None,
    ) -> Session:
        """Return a session that has run the notebook. Close it. Called from several threads."""
        with self._lock:
            if self.fork_server is not None and not self.fork_server.alive:
                # One submission was not graded for it; the next ones are.
                self.fork_server.close()
                self.fork_server = start_fork_server(self.assignment.sandbox)
                self._preload()
        return open_session(
            notebook,
            folder=folder,
            limits=self.assignment.limits,
            datasets_dir=datasets.datasets_dir(),
            seed=seed,
            sandbox=self.assignment.sandbox,
            fork_server=self.fork_server,
            draw=self.draw,
            on_cell=on_cell,
            stop=stop,
        )

    def close(self) -> None:
        """End what outlives a session; every session is closed by then."""
        if self.fork_server is not None:
            self.fork_server.close()

    def _preload(self) -> None:
        if self.fork_server is None:
            return
        notebooks = {**self.assignment.stubs, **self.assignment.notebooks}.values()
        with suppress(GraderFault):  # it has ended: open() starts another
            self.fork_server.preload(
                imports_of(notebooks),
                datasets_dir=datasets.datasets_dir(),
                sets=self.assignment.datasets,
            )

    def __enter__(self) -> Kernels:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
