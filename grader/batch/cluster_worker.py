"""The code that runs on a dask worker: it unpacks an assignment and grades in other processes.

cluster.py has dask call what_runs_here, grade_there and end_grading_here.
"""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.assignment import load_assignment
from grader.batch import cache_key
from grader.batch.archive import Archive, extract_archive
from grader.batch.collector import Job
from grader.batch.serialization import Packed
from grader.batch.workers import Stopped, Workers
from grader.environments import python_of
from grader.errors import AssignmentError, GradeError
from grader.records import Options
from grader.session import Kernels, start_fork_server
from grader.temporary import TemporaryFolder

IDLE_S = 60.0
"""How long a dask worker keeps idle grading processes."""

_NOTHING = Packed(b"")


@dataclass(frozen=True)
class Answer:
    """A dask worker's answer about a submission.

    kind : "done", "broken", "lost", or "other" if it has another version of grade
    environment : the fingerprint of its environment
    how, said : for "lost", the arguments of BatchListener.lost
    said : for "broken", what is wrong with the assignment
    """

    kind: str
    environment: str
    packed: Packed = _NOTHING
    isolation: str = ""
    sharing: tuple[str, ...] = ()
    how: str = ""
    said: str = ""


@dataclass(frozen=True)
class ClusterRun:
    """A command's settings for every dask worker.

    token : identifies the command
    code : the fingerprint of its grader
    """

    token: str
    code: str
    options: Options


def what_runs_here() -> tuple[str, str]:
    """Return the fingerprints of this machine's grader and of its environment."""
    return cache_key.code(), cache_key.environment()


def grade_there(run: bytes, assignment: bytes, submission: bytes) -> Answer:
    """Grade a submission on a dask worker, in any of its threads; return the answer.

    run : a ClusterRun; assignment, submission : Archives; the command has pickled all three
    """
    return _grade(pickle.loads(run), assignment, pickle.loads(submission))


def _grade(run: ClusterRun, assignment: bytes, submission: Archive) -> Answer:
    global _caretaker
    if run.code != cache_key.code():
        return Answer("other", "")
    with _sites_lock:
        if run.token in _ended:  # the command ended before this task began
            raise Stopped
        if _caretaker is None:
            _caretaker = threading.Thread(target=_take_care, daemon=True, name="grade-idle")
            _caretaker.start()
        if run.token not in _sites:
            _sites[run.token] = _Site(run.options, pickle.loads(assignment))
        site = _sites[run.token]
        site.users += 1
    try:
        return site.grade(submission)
    finally:
        with _sites_lock:
            site.users -= 1


def end_grading_here(token: str) -> None:
    """End every process of this dask worker that grades for the command with that token."""
    with _sites_lock:
        _ended.add(token)
        site = _sites.pop(token, None)
    if site is not None:
        site.end()


class _Site:
    """An assignment unpacked on a dask worker, and grading processes that have loaded it.

    users : how many threads use it; guarded by _sites_lock
    """

    def __init__(self, options: Options, assignment: Archive) -> None:
        self._made = TemporaryFolder()
        self.folder = self._made.path
        # A sandboxed kernel runs as another user, and can't read this folder.
        folder = extract_archive(assignment, self.folder)
        self.options = replace(options, folder=str(folder), kernels=1)
        self.kernels = self._preload(folder)
        if self.kernels is not None:
            self.options = replace(self.options, shared=str(self.kernels.shared or ""))
        self.users = 0
        self.idle: list[tuple[float, Workers]] = []
        self.busy: list[Workers] = []
        self.lock = threading.Lock()

    def _preload(self, folder: Path) -> Kernels | None:
        """Return Kernels with the common fork server; None if each process must start its own."""
        with contextlib.suppress(GradeError):
            assignment = replace(load_assignment(folder), sandbox=self.options.sandbox)
            return Kernels(
                assignment, start_fork_server(self.options.sandbox, python_of(assignment))
            )
        return None

    def grade(self, submission: Archive) -> Answer:
        with self.lock:
            fork_server = self.kernels.fork_server if self.kernels is not None else None
            workers = (
                self.idle.pop()[1]
                if self.idle
                else Workers(self.options, count=1, fork_server=fork_server, many=True)
            )
            self.busy.append(workers)
        listener = _OneResult()
        try:
            with TemporaryFolder() as scratch:
                path = extract_archive(submission, Path(scratch))
                workers.run([Job(0, str(path))], listener)
        except AssignmentError as error:
            listener.answer = Answer("broken", "", said=str(error))
        except BaseException:
            with self.lock:
                self.busy.remove(workers)
            workers.close()
            raise
        with self.lock:
            self.busy.remove(workers)
            self.idle.append((time.monotonic(), workers))
        here = cache_key.environment_with(cache_key.environment(), Path(self.options.folder))
        return replace(listener.answer, environment=here)

    def end(self) -> None:
        """End all processes, also those that grade, and delete the files."""
        with self.lock:
            for workers in self.busy:
                workers.stop()
        self.close_idle(0.0)
        if self.kernels is not None:
            self.kernels.close()
        self._made.remove()

    def close_idle(self, seconds: float) -> bool:
        """End processes that were idle for so long; return whether none is left."""
        with self.lock:
            old = [w for since, w in self.idle if time.monotonic() - since >= seconds]
            self.idle = [(since, w) for since, w in self.idle if w not in old]
            left = bool(self.idle or self.busy)
        for workers in old:
            workers.close()
        return not left


class _OneResult:
    """A listener that keeps the answer about one submission."""

    answer = Answer("lost", "", how="no answer")

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        """Do nothing: a dask worker does not report progress."""

    def done(
        self,
        number: int,
        packed: Packed,
        *,
        unchanged: bool,
        isolation: str,
        sharing: Sequence[str] = (),
    ) -> None:
        self.answer = Answer("done", "", packed, isolation, tuple(sharing))

    def lost(self, number: int, how: str, said: str) -> None:
        self.answer = Answer("lost", "", how=how, said=said)


_sites: dict[str, _Site] = {}
_sites_lock = threading.Lock()
_ended: set[str] = set()
_caretaker: threading.Thread | None = None


def _take_care() -> None:
    """End idle processes, which a killed command may have left."""
    while True:
        time.sleep(IDLE_S / 4)
        with _sites_lock:
            for token, site in [*_sites.items()]:
                if site.close_idle(IDLE_S) and not site.users:
                    _sites.pop(token).end()
