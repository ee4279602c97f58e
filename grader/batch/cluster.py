"""The same work on a dask.distributed cluster: assignment and submissions travel as bytes.

    with Cluster("tcp://scheduler:8786") as cluster:
        cluster.run(options, jobs, collector)

A dask worker needs this package and what notebooks import, no files. It grades through processes
of batch/worker.py, as a single machine does, and keeps them for the submissions that follow. A
dask worker that ends takes nothing with it: the scheduler gives its submissions to another one.
A scheduler that ends takes what was not graded yet: that is said, and the same command goes on.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.assignment import load_assignment
from grader.batch import cache_key
from grader.batch.archive import Archive, TooLarge, extract_archive, make_archive
from grader.batch.collector import Collector, Job
from grader.batch.serialization import Packed, pack, unpack
from grader.batch.workers import Stopped, Workers
from grader.errors import AssignmentError, ClusterError, GradeError
from grader.records import Options
from grader.session import Kernels, start_fork_server

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 20
LOOK_S = 5.0
"""After so long without a result, the scheduler is asked whether there is a worker."""
WORKER_S = 15 * 60.0
"""How long a cluster may have no worker. Machines come and go; some take minutes to start."""
IDLE_S = 60.0
"""How long a dask worker keeps grading processes that have nothing to do."""
AHEAD = 4
"""Submissions that wait at the scheduler for each thread of the cluster: none is ever idle, and
a class of thousands does not lie in its memory."""


_NOTHING = Packed(b"")


@dataclass(frozen=True)
class Answer:
    """What a dask worker says of a submission.

    kind : "done", "broken", "lost", or "other" where it has another version of grade
    environment : the fingerprint of what it runs
    how, said : of one that is lost, as BatchListener.lost has them; said : what is wrong with
        the assignment, of "broken"
    """

    kind: str
    environment: str
    packed: Packed = _NOTHING
    isolation: str = ""
    how: str = ""
    said: str = ""


class Cluster:
    """A connection to a cluster's scheduler. Close it."""

    def __init__(self, address: str) -> None:
        """Connect. address : "tcp://host:8786", or the path of a scheduler file

        Raises ClusterError, which says what to do.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise ClusterError(
                "--dask needs the package distributed: pip install distributed"
            ) from error
        self.address = address
        file = Path(address).is_file()
        if not file and not re.search(r":\d+/?$", address):
            raise ClusterError(
                f"{address} is neither the address of a dask scheduler (tcp://host:8786) "
                "nor a scheduler file"
            )
        where: dict[str, Any] = {"scheduler_file" if file else "address": address}
        try:
            self.client: Client = Client(**where, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(
                f"no dask scheduler answers at {address} ({_one_line(error)})"
            ) from error
        self.environment = ""
        self.mixed = False
        # Two who grade on one cluster have each their own processes there, and end their own.
        self.token = secrets.token_hex(8)

    def find_environment(self, warn: Callable[[str], None]) -> None:
        """Find what the cluster's workers run; waits for a first worker.

        warn : hears that there is none yet
        Raises ClusterError where that is another grader than this one.
        """
        arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._submit("what_runs_here").add_done_callback(arrived.put)
        future = self._next(arrived, warn)
        try:
            code, self.environment = future.result()
        except Exception as error:
            raise ClusterError(
                f"the workers at {self.address} can't grade ({_one_line(error)}): this version of "
                "grade must be installed there"
            ) from error
        if code != cache_key.code():
            raise self._other_version()

    def run(self, options: Options, jobs: Sequence[Job], collector: Collector) -> None:
        """Grade each; `collector` receives the results as they come. Raises ClusterError."""
        try:
            assignment = make_archive(Path(options.folder), left_out=cache_key.NO_PART_OF_CHECKS)
        except TooLarge as error:
            raise ClusterError(
                f"{options.folder} is too large to travel: keep data sets elsewhere"
            ) from error
        # Not scattered: what is scattered is lost with the worker that holds it.
        there = self.client.submit(bytes, pickle.dumps(assignment), pure=False)
        run = pickle.dumps(ClusterRun(self.token, cache_key.code(), replace(options, folder="")))
        at_home: list[Job] = []
        waiting = self._archives(jobs, at_home)
        sent: dict[Future, Job] = {}
        arrived: queue.SimpleQueue[Future] = queue.SimpleQueue()

        def send_more() -> None:
            room = AHEAD * max(8, self._threads())
            while len(sent) < room and (found := next(waiting, None)) is not None:
                job, archive = found
                future = self._submit(
                    "grade_there", run=run, assignment=there, submission=pickle.dumps(archive)
                )
                sent[future] = job
                future.add_done_callback(arrived.put)

        try:
            send_more()
            while sent:
                future = self._next(arrived, collector.progress.warn)
                answer = self._answer(future)
                job = sent.pop(future)
                if answer.kind == "other":
                    raise self._other_version()
                if answer.kind == "broken":
                    raise AssignmentError(answer.said)
                if answer.kind == "lost":
                    collector.lost(job.number, answer.how, answer.said)
                else:
                    if answer.environment != self.environment and not self.mixed:
                        self.mixed = True
                        collector.progress.warn(
                            "the dask workers differ in Python, packages or data sets: what some "
                            "of them grade is reported and not kept"
                        )
                    self._hand_over(job, answer, collector)
                send_more()
        except ClusterError as error:
            raise ClusterError(f"{error}; {collector.standing()}") from error
        finally:
            if self.client.status == "running":
                self.client.cancel(list(sent))
        if at_home:
            if self.environment != cache_key.environment():
                at_home = [replace(job, input_hash="changed") for job in at_home]
            with Workers(options, count=1) as workers:
                workers.run(at_home, collector)

    def _submit(self, name: str, **given: bytes | Future) -> Future:
        """Have a dask worker call a function of this module.

        As text and bytes: then the scheduler need not have this package, and a dask worker that
        has not says so. One that can't import what it is sent ends without a word.
        """
        call = f"__import__({__name__!r}, fromlist=[{name!r}]).{name}({', '.join(given)})"
        return self.client.submit(eval, call, given, pure=False)

    def _next(self, arrived: queue.SimpleQueue[Future], warn: Callable[[str], None]) -> Future:
        """Return a future that is done; see to it meanwhile that there is a worker.

        Raises ClusterError where there is none for long.
        """
        alone_since = 0.0
        while True:
            with contextlib.suppress(queue.Empty):
                return arrived.get(timeout=LOOK_S)
            now = time.monotonic()
            if self._threads():
                alone_since = 0.0
            elif not alone_since:
                alone_since = now
                warn(f"no dask worker is at {self.address}: waiting for one")
            elif now - alone_since > WORKER_S:
                raise ClusterError(
                    f"no dask worker came to {self.address} in {WORKER_S / 60:.0f} minutes"
                )

    def _threads(self) -> int:
        """Return how many submissions the cluster can grade at a time."""
        try:
            return sum(self.client.nthreads().values())
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> ClusterError:
        return ClusterError(f"the dask scheduler at {self.address} has ended, or gave the work up")

    def _other_version(self) -> ClusterError:
        return ClusterError(
            f"a worker at {self.address} has another version of grade: install this one for all "
            "of them, so that verdicts are the same everywhere"
        )

    def _archives(self, jobs: Sequence[Job], at_home: list[Job]) -> Iterator[tuple[Job, Archive]]:
        """Yield what can travel; the rest, unreadable mostly, goes to `at_home`."""
        for job in jobs:
            try:
                archive = make_archive(Path(job.path))
            except (OSError, TooLarge):
                at_home.append(job)
                continue
            if job.input_hash and job.input_hash != cache_key.input_hash(Path(job.path)):
                job = replace(job, input_hash="changed")
            yield job, archive

    def _answer(self, future: Future) -> Answer:
        from distributed import KilledWorker

        try:
            answer = future.result()
        except CancelledError as error:
            raise self._gone() from error
        except KilledWorker as error:
            return Answer("lost", "", how="each dask worker that took it ended", said=str(error))
        except Exception as error:
            how = f"the cluster failed on it ({type(error).__name__})"
            return Answer("lost", "", how=how, said=str(error))
        assert isinstance(answer, Answer)
        return answer

    def _hand_over(self, job: Job, answer: Answer, collector: Collector) -> None:
        result = replace(unpack(Packed(answer.packed.verdict)), path=job.path)
        unchanged = job.input_hash != "changed" and answer.environment == self.environment
        collector.done(
            job.number,
            Packed(pack(result).verdict, answer.packed.evidence),
            unchanged=unchanged,
            isolation=answer.isolation,
        )

    def close(self) -> None:
        """End the grading processes of the cluster's workers, and the connection."""
        if self.client.status == "running":
            with contextlib.suppress(Exception):
                self.client.run(end_grading_here, self.token)
        self.client.close(timeout=CONNECT_S)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# --- on a dask worker ---------------------------------------------------------------------


@dataclass(frozen=True)
class ClusterRun:
    """What a command asks of every dask worker.

    token : of the command
    code : the fingerprint of its grader
    """

    token: str
    code: str
    options: Options


def what_runs_here() -> tuple[str, str]:
    return cache_key.code(), cache_key.environment()


def grade_there(run: bytes, assignment: bytes, submission: bytes) -> Answer:
    """Return what becomes of a submission; runs on a dask worker, in any of its threads.

    run : a ClusterRun; assignment, submission : Archives; all pickled by the command that asks
    """
    return _grade(pickle.loads(run), assignment, pickle.loads(submission))


def _grade(run: ClusterRun, assignment: bytes, submission: Archive) -> Answer:
    global _caretaker
    if run.code != cache_key.code():
        return Answer("other", "")
    with _sites_lock:
        if run.token in _ended:  # a task that was on its way when its command ended
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
    """End every process of this dask worker that grades for that command."""
    with _sites_lock:
        _ended.add(token)
        site = _sites.pop(token, None)
    if site is not None:
        site.end()


class _Site:
    """An assignment unpacked on a dask worker, and grading processes that have loaded it.

    users : how many threads are at it, under _sites_lock
    """

    def __init__(self, options: Options, assignment: Archive) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grade-"))
        # A closed kernel has a user number of its own, and reads nothing here.
        folder = extract_archive(assignment, self.folder)
        self.options = replace(options, folder=str(folder), kernels=1)
        self.kernels = self._warm_up(folder)
        self.users = 0
        self.idle: list[tuple[float, Workers]] = []
        self.busy: list[Workers] = []
        self.lock = threading.Lock()

    def _warm_up(self, folder: Path) -> Kernels | None:
        """Return what all kernels here are forked from; without it, each process has its own."""
        with contextlib.suppress(GradeError):
            assignment = replace(load_assignment(folder), sandbox=self.options.sandbox)
            return Kernels(assignment, start_fork_server(self.options.sandbox))
        return None

    def grade(self, submission: Archive) -> Answer:
        with self.lock:
            warm = self.kernels.fork_server if self.kernels is not None else None
            workers = self.idle.pop()[1] if self.idle else Workers(self.options, count=1, warm=warm)
            self.busy.append(workers)
        heard = _Heard()
        try:
            with tempfile.TemporaryDirectory(prefix="grade-") as scratch:
                path = extract_archive(submission, Path(scratch))
                workers.run([Job(0, str(path))], heard)
        except AssignmentError as error:
            heard.answer = Answer("broken", "", said=str(error))
        except BaseException:
            with self.lock:
                self.busy.remove(workers)
            workers.close()
            raise
        with self.lock:
            self.busy.remove(workers)
            self.idle.append((time.monotonic(), workers))
        return replace(heard.answer, environment=cache_key.environment())

    def end(self) -> None:
        """End the processes: what is graded is given up."""
        with self.lock:
            for workers in self.busy:
                workers.stop()
        self.close_idle(0.0)
        if self.kernels is not None:
            self.kernels.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close_idle(self, seconds: float) -> bool:
        """End processes that were idle for so long; True where none is left."""
        with self.lock:
            old = [w for since, w in self.idle if time.monotonic() - since >= seconds]
            self.idle = [(since, w) for since, w in self.idle if w not in old]
            left = bool(self.idle or self.busy)
        for workers in old:
            workers.close()
        return not left


class _Heard:
    """Hears of one submission."""

    answer = Answer("lost", "", how="no answer")

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        """A dask worker tells nobody what it is at."""

    def done(self, number: int, packed: Packed, *, unchanged: bool, isolation: str) -> None:
        self.answer = Answer("done", "", packed, isolation)

    def lost(self, number: int, how: str, said: str) -> None:
        self.answer = Answer("lost", "", how=how, said=said)


_sites: dict[str, _Site] = {}
_sites_lock = threading.Lock()
_ended: set[str] = set()
_caretaker: threading.Thread | None = None


def _take_care() -> None:
    """End what a command has left that was killed before it could say so."""
    while True:
        time.sleep(IDLE_S / 4)
        with _sites_lock:
            for token, site in [*_sites.items()]:
                if site.close_idle(IDLE_S) and not site.users:
                    _sites.pop(token).end()


def _one_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, ClusterError) else f"{type(error).__name__}: {text}"
