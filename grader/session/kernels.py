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
from grader.session.fork_server import WarmParent, warm_up
from grader.session.runner import Session, Stop, open_session


class Kernels:
    """Opens sessions on notebooks of one assignment: students' and the solved ones.

    warm : what to fork them from; None to start each by itself. close() closes it
    taught : it has learnt what the assignment needs
    draw : whether figures become pictures, for people to look at
    """

    def __init__(
        self,
        assignment: Assignment,
        warm: WarmParent | None,
        *,
        taught: bool = False,
        draw: bool = True,
    ) -> None:
        self.assignment = assignment
        self.draw = draw
        self.warm = warm
        self._lock = Lock()
        if not taught:
            self._teach()

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
            if self.warm is not None and not self.warm.alive:  # it cost one submission its grading
                self.warm.close()
                self.warm = warm_up(self.assignment.sandbox)
                self._teach()
        return open_session(
            notebook,
            folder=folder,
            limits=self.assignment.limits,
            datasets_dir=datasets.datasets_dir(),
            seed=seed,
            sandbox=self.assignment.sandbox,
            warm=self.warm,
            draw=self.draw,
            on_cell=on_cell,
            stop=stop,
        )

    def close(self) -> None:
        """End what outlives a session; every session is closed by then."""
        if self.warm is not None:
            self.warm.close()

    def _teach(self) -> None:
        if self.warm is None:
            return
        notebooks = {**self.assignment.stubs, **self.assignment.notebooks}.values()
        with suppress(GraderFault):  # it has ended: open() starts another
            self.warm.learn(
                imports_of(notebooks),
                datasets_dir=datasets.datasets_dir(),
                sets=self.assignment.datasets,
            )

    def __enter__(self) -> Kernels:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
