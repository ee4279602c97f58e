"""Several sessions at once: one for each notebook of a submission, or for each solved notebook."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread

from grader.closing import Closing
from grader.records import Notebook, Run
from grader.session.kept_answers import KeptAnswers, unpacked
from grader.session.kept_session import KeptSession
from grader.session.kernels import Kernels
from grader.session.opened import Session
from grader.session.stopping import Stop
from grader.temporary import TemporaryFolder


@dataclass(frozen=True)
class Earlier:
    """The replies of a submission's processes in an earlier grading.

    runs : of its notebooks, by the names of their files
    """

    answers: KeptAnswers = field(default_factory=KeptAnswers)
    runs: Mapping[str, Run] = field(default_factory=dict)


def earlier_of(answers: bytes, runs: Mapping[str, Run]) -> Earlier | None:
    """Return the replies of an earlier grading; None if they can't be read.

    answers : packed by kept_answers.py; runs : of the notebooks, by the names of their files
    """
    found = unpacked(answers) if answers else None
    return None if found is None else Earlier(found, runs)


class SubmissionSessions(Mapping[str, Session]):
    """The sessions of one submission's notebooks. They start together; each is awaited when used.

    The keys are the assignment's notebook names. A submitted notebook that stands for two of them
    runs once.

    folder : the submission's
    opened : sessions that are open already, with the same keys; they stay open afterwards
    draw : the cells whose figures become pictures, by the names of the files; None for all
    at_once : how many notebooks run at the same time
    on_step : gets a line of text after each cell, from another thread
    earlier : kept replies, which answer the checks if they can; a notebook then runs only if needed
    answers : collects the replies of the processes to the checks; None to keep none
    """

    def __init__(
        self,
        kernels: Kernels,
        notebooks: Mapping[str, Notebook],
        *,
        folder: Path,
        seed: int,
        opened: Mapping[str, Session],
        draw: Mapping[str, Collection[int]] | None = None,
        at_once: int,
        on_step: Callable[[str], None],
        earlier: Earlier | None = None,
        answers: KeptAnswers | None = None,
    ) -> None:
        self.kernels = kernels
        self.notebooks = notebooks
        self.answers = answers
        self.kept = self._kept(earlier) if earlier is not None else {}
        self.folder = folder
        self.seed = seed
        self.opened = {name: opened[name] for name in opened if name in notebooks}
        self.draw = draw
        self.at_once = at_once
        self.on_step = on_step
        self.started: dict[str, Future[Session]] = {}
        self.waiting: deque[tuple[Notebook, Future[Session]]] = deque()
        self.stop = Stop()

    def __enter__(self) -> SubmissionSessions:
        # The longest notebook comes first, so that no other thread waits for it at the end.
        for name, notebook in sorted(self.notebooks.items(), key=lambda item: -_code_size(item[1])):
            known = name in self.opened or notebook.name in self.kept
            if not known and notebook.name not in self.started:
                self.started[notebook.name] = Future()
                self.waiting.append((notebook, self.started[notebook.name]))
        try:
            for _ in range(min(self.at_once, len(self.waiting))):
                # Not a ThreadPoolExecutor: when Ctrl-C comes while it starts a thread, that thread
                # never ends, and the process neither.
                Thread(target=self._open_waiting, name="session", daemon=True).start()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def _kept(self, earlier: Earlier) -> dict[str, KeptSession]:
        """Return the sessions that answer from kept replies, by the names of the files."""
        return {
            notebook.name: KeptSession(
                notebook,
                earlier.runs[notebook.name],
                earlier.answers,
                partial(self._open, notebook),
                limits=self.kernels.assignment.limits,
            )
            for notebook in self.notebooks.values()
            if notebook.name in earlier.runs
        }

    @property
    def have_run(self) -> bool:
        """Whether any notebook had to run."""
        return bool(self.started) or any(session.has_run for session in self.kept.values())

    def _open_waiting(self) -> None:
        while self.waiting:
            try:
                notebook, future = self.waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._open(notebook))
                except BaseException as error:
                    future.set_exception(error)

    def _open(self, notebook: Notebook) -> Session:
        session = self.kernels.open(
            notebook,
            folder=self.folder,
            seed=self.seed,
            draw=True if self.draw is None else self.draw[notebook.name],
            on_cell=lambda done, cells: self.on_step(f"{notebook.name}: cell {done}/{cells}"),
            stop=self.stop,
        )
        session.answers = self.answers
        return session

    def __getitem__(self, name: str) -> Session:
        if name in self.opened:
            return self.opened[name]
        file = self.notebooks[name].name
        return self.kept[file] if file in self.kept else self.started[file].result()

    def __iter__(self) -> Iterator[str]:
        return iter(self.notebooks)

    def __len__(self) -> int:
        return len(self.notebooks)

    def runs(self) -> dict[str, Run]:
        """Return the run of each notebook, by its file name."""
        return {self.notebooks[name].name: self[name].run for name in self}

    def isolation_line(self) -> str:
        """Return one line that names the layers which the first session's sandbox lacks, or ""."""
        return next((self[name].isolation.line() for name in self), "")

    def __exit__(self, kind: object, *exc: object) -> None:
        running = [future for future in self.started.values() if not future.cancel()]
        if kind is not None:  # Ctrl-C must not wait for a cell that hangs
            self.stop()
        self.kernels.leave([f.result() for f in running if f.exception() is None])
        for session in self.kept.values():
            session.close()


class ReferenceSessions(Mapping[str, Session], Closing):
    """Sessions on the solved notebooks, by file name. Each opens when first used. Close them."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.notebooks = kernels.assignment.notebooks
        self.sessions: dict[str, Session] = {}
        self.empty: TemporaryFolder | None = None

    def __getitem__(self, name: str) -> Session:
        if name not in self.notebooks:
            raise KeyError(name)
        if name not in self.sessions:
            if self.empty is None:
                self.empty = TemporaryFolder()
            self.sessions[name] = self.kernels.open(
                self.notebooks[name], folder=self.empty.path, draw=False
            )
        return self.sessions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.notebooks)

    def __len__(self) -> int:
        return len(self.notebooks)

    def close(self) -> None:
        """Close all sessions; one that is used afterwards opens again."""
        for session in self.sessions.values():
            session.close()
        self.sessions.clear()
        if self.empty is not None:
            self.empty.remove()
            self.empty = None


def _code_size(notebook: Notebook) -> int:
    return sum(len(cell.source) for cell in notebook.cells if cell.kind == "code")
