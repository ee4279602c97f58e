"""Opens all sessions of an assignment for one grading process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from grader import datasets
from grader.closing import Closing
from grader.environments import python_of
from grader.errors import GraderFault
from grader.notebook import imports_of
from grader.records import Assignment, Notebook
from grader.session.fork_server import ForkServer, start_fork_server
from grader.session.given import GivenCells
from grader.session.opened import Session, open_session
from grader.session.shared_files import SharedFiles
from grader.session.stopping import Stop


class Kernels(Closing):
    """Opens sessions on notebooks of one assignment: students' and the solved ones.

    python : the interpreter of the assignment's environment; None for the grader's own
    fork_server : forks the kernels, with that interpreter; None to start each kernel by itself.
        close() closes it
    preloaded : whether the fork server has imported what the assignment needs
    draw : whether figures may become pictures, for people to look at
    shared : a folder with read-only copies of the assignment's files; None to make one
    share_cells : whether to run cells that all notebooks have in common only once (given.py)
    """

    def __init__(
        self,
        assignment: Assignment,
        fork_server: ForkServer | None,
        *,
        preloaded: bool = False,
        draw: bool = True,
        shared: Path | None = None,
        share_cells: bool = False,
    ) -> None:
        self.given = GivenCells(assignment, draw=draw) if share_cells else None
        self._shared = shared
        self._made: SharedFiles | None = None
        self.assignment = assignment
        self.draw = draw
        self.fork_server = fork_server
        self._lock = Lock()
        self._left: list[Session] = []
        self.python = python_of(assignment)
        if not preloaded:
            self._preload()

    def open(
        self,
        notebook: Notebook,
        *,
        folder: Path,
        seed: int = 0,
        draw: bool | Collection[int] = True,
        on_cell: Callable[[int, int], None] | None = None,
        stop: Stop | None = None,
    ) -> Session:
        """Return a session that has run the notebook. Close it. Called from several threads.

        draw : as open_session() has it, where figures may become pictures at all
        """
        with self._lock:
            if self.fork_server is not None and not self.fork_server.alive:
                # One submission fails when a fork server ends; the next ones get a new one.
                self.fork_server.close()
                self.fork_server = start_fork_server(self.assignment.sandbox, self.python)
                self._preload()
                if self.given is not None:
                    self.given.close()
        return open_session(
            notebook,
            folder=folder,
            limits=self.assignment.limits,
            datasets_dir=datasets.datasets_dir(),
            seed=seed,
            sandbox=self.assignment.sandbox,
            fork_server=self.fork_server,
            given=self.given,
            draw=self.draw and draw,
            shared=self.shared,
            python=self.python,
            on_cell=on_cell,
            stop=stop,
        )

    def leave(self, sessions: Sequence[Session]) -> None:
        """End sessions beside what follows: the next call of leave() or close() closes them.

        The end of a process with all its memory and its namespaces takes some milliseconds, in
        which nothing else would be done.
        """
        for session in sessions:
            session.begin_end()
        with self._lock:
            earlier, self._left = self._left, [*sessions]
        for session in earlier:
            session.close()

    @property
    def shared(self) -> Path | None:
        """The folder of the assignment's files, made at first use; None if it has no files."""
        if self._shared is not None or not self.assignment.files:
            return self._shared
        with self._lock:
            if self._made is None:
                self._made = SharedFiles(self.assignment.files)
        return self._made.path

    def close(self) -> None:
        """End the processes and delete the files that sessions share.

        Close or leave all sessions first.
        """
        self.leave([])
        if self._made is not None:
            self._made.remove()
            self._made = None
        if self.given is not None:
            self.given.close()
        if self.fork_server is not None:
            self.fork_server.close()

    def _preload(self) -> None:
        if self.fork_server is None:
            return
        notebooks = {**self.assignment.stubs, **self.assignment.notebooks}.values()
        # A file beside the notebook hides an installed package of the same name.
        own = {name.partition("/")[0].removesuffix(".py") for name in self.assignment.files}
        with suppress(GraderFault):  # the fork server has ended: open() starts another
            self.fork_server.preload(
                [name for name in imports_of(notebooks) if name.partition(".")[0] not in own],
                datasets_dir=datasets.datasets_dir(),
                sets=self.assignment.datasets,
                draw=self.draw,
            )
