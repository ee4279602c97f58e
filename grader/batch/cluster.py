"""Grades on a dask.distributed cluster: assignment and submissions are sent as bytes.

    with Cluster("tcp://scheduler:8786") as cluster:
        cluster.run(options, jobs, collector)

A dask worker needs this package and the packages that notebooks import, but no files. It grades in
processes of batch/worker.py, as a single machine does, and keeps them for later submissions. If a
dask worker ends, the scheduler gives its submissions to another one. If the scheduler ends, the
command reports it; the same command then grades the rest.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.batch import cache_key, cluster_worker
from grader.batch.answer_store import MAX_ANSWER_BYTES
from grader.batch.archive import Archive, TooLarge, make_archive
from grader.batch.cluster_worker import Answer, ClusterRun, end_grading_here
from grader.batch.collector import Collector, Job
from grader.batch.serialization import Packed, pack, unpack
from grader.batch.workers import Workers
from grader.closing import Closing
from grader.errors import AssignmentError, ClusterError
from grader.records import Options

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 20
LOOK_S = 5.0
"""After so long without a result, ask the scheduler whether there is a worker."""
WORKER_S = 15 * 60.0
"""How long a cluster may have no worker. Machines come and go; some take minutes to start."""
ASSIGNMENT_BYTES = 1 << 30
"""An assignment is sent only once to each machine, so it may be larger than a submission."""
PIECE_BYTES = 4 << 20
NOTEBOOKS_MAX = 1000
"""Of one submission; an answer that speaks of more is not a worker's."""
AHEAD = 4
"""How many submissions wait at the scheduler for each thread of the cluster: enough that no thread
is idle, and few enough for the scheduler's memory."""


class Cluster(Closing):
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
        # Two commands on one cluster have separate processes there, and each ends its own.
        self.token = secrets.token_hex(8)

    def find_environment(self, warn: Callable[[str], None]) -> None:
        """Find the environment of the cluster's workers; wait for the first worker.

        warn : called if there is no worker yet
        Raises ClusterError if the workers have another version of the grader.
        """
        arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
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
        """Grade the jobs; `collector` receives each result at once. Raises ClusterError."""
        try:
            assignment = make_archive(
                Path(options.folder),
                left_out=cache_key.NO_PART_OF_CHECKS,
                max_bytes=ASSIGNMENT_BYTES,
            )
        except TooLarge as error:
            raise ClusterError(
                f"{options.folder} is too large to be sent: keep data sets elsewhere"
            ) from error
        # The assignment's own Python there must be the same as here.
        expected = cache_key.environment_with(self.environment, Path(options.folder))
        sent_assignment = self._send_once(pickle.dumps(assignment))
        run = pickle.dumps(ClusterRun(self.token, cache_key.code(), replace(options, folder="")))
        local_jobs: list[Job] = []
        waiting = self._archives(jobs, local_jobs)
        sent: dict[Future[Any], Job] = {}
        arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

        def send_more() -> None:
            room = AHEAD * max(8, self._threads())
            while len(sent) < room and (found := next(waiting, None)) is not None:
                job, archive = found
                future = self._submit(
                    "grade_there",
                    run=run,
                    assignment=sent_assignment,
                    submission=pickle.dumps(archive),
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
                    if answer.environment != expected and not self.mixed:
                        self.mixed = True
                        collector.progress.warn(
                            "the dask workers differ in Python, packages or data sets: what some "
                            "of them grade is reported and not kept"
                        )
                    self._hand_over(job, answer, collector, expected)
                send_more()
        except ClusterError as error:
            raise ClusterError(f"{error}; {collector.standing()}") from error
        finally:
            if self.client.status == "running":
                self.client.cancel(list(sent))
        if local_jobs:
            if self.environment != cache_key.environment():
                local_jobs = [replace(job, input_hash="changed") for job in local_jobs]
            with Workers(options, count=1) as workers:
                workers.run(local_jobs, collector)

    def _send_once(self, data: bytes) -> Future[Any]:
        """Send bytes to the cluster, which passes them to each worker once; return their future.

        Not by scatter(): scattered data are lost with the worker that holds them. In pieces, since
        dask warns of calls with large arguments.
        """
        pieces = [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)]
        sent = [self.client.submit(bytes, piece, pure=False) for piece in pieces]
        return self.client.submit(b"".join, sent, pure=False)

    def _submit(self, name: str, **given: bytes | Future[Any]) -> Future[Any]:
        """Have a dask worker call a function of cluster_worker.py.

        The call is sent as text and bytes, so that the scheduler need not have this package, and a
        dask worker without it raises an error. A worker that can't import a pickled function would
        end without a message.
        """
        module = f"__import__({cluster_worker.__name__!r}, fromlist=[{name!r}])"
        call = f"{module}.{name}({', '.join(given)})"
        return self.client.submit(eval, call, given, pure=False)

    def _next(
        self, arrived: queue.SimpleQueue[Future[Any]], warn: Callable[[str], None]
    ) -> Future[Any]:
        """Return a future that is done; warn meanwhile if there is no worker.

        Raises ClusterError if there is none for WORKER_S.
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
        """Return how many submissions the cluster can grade at the same time."""
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

    def _archives(
        self, jobs: Sequence[Job], local_jobs: list[Job]
    ) -> Iterator[tuple[Job, Archive]]:
        """Yield the jobs that can be sent; add the others, often unreadable, to local_jobs."""
        for job in jobs:
            try:
                archive = make_archive(Path(job.path))
            except (OSError, TooLarge):
                local_jobs.append(job)
                continue
            if job.input_hash and job.input_hash != cache_key.input_hash(Path(job.path)):
                job = replace(job, input_hash="changed")
            yield job, archive

    def _answer(self, future: Future[Any]) -> Answer:
        from distributed import KilledWorker

        try:
            answer: Answer = future.result()
        except CancelledError as error:
            raise self._gone() from error
        except KilledWorker as error:
            return Answer("lost", "", how="each dask worker that took it ended", said=str(error))
        except Exception as error:
            how = f"the cluster failed on it ({type(error).__name__})"
            return Answer("lost", "", how=how, said=str(error))
        if problem := _problem_of(answer):
            return Answer("lost", "", how=f"the cluster sent an invalid answer ({problem})")
        return answer

    def _hand_over(self, job: Job, answer: Answer, collector: Collector, expected: str) -> None:
        result = replace(unpack(Packed(answer.packed.verdict)), path=job.path)
        unchanged = job.input_hash != "changed" and answer.environment == expected
        collector.done(
            job.number,
            Packed(pack(result).verdict, answer.packed.evidence, _kept_of(answer.packed)),
            unchanged=unchanged,
            isolation=answer.isolation,
            sharing=answer.sharing,
        )

    def close(self) -> None:
        """End the grading processes of the cluster's workers, and the connection."""
        if self.client.status == "running":
            with contextlib.suppress(Exception):
                self.client.run(end_grading_here, self.token)
        self.client.close(timeout=CONNECT_S)


def _kept_of(packed: Packed) -> bytes:
    """Return the replies of a submission's processes, if they are no more than a submission's.

    They stay bytes here: only the codec reads them, when checks are graded again.
    """
    return packed.answers if len(packed.answers) <= MAX_ANSWER_BYTES else b""


def _problem_of(answer: object) -> str:
    """Return why an object from the cluster is not a valid Answer, or "".

    It comes over the network, from machines that may run anything.
    """
    if not isinstance(answer, Answer):
        return type(answer).__name__
    if type(answer.sharing) is not tuple or len(answer.sharing) > NOTEBOOKS_MAX:
        return "not a notebook's sharing"
    texts = (
        *(answer.kind, answer.environment, answer.isolation, answer.how, answer.said),
        *answer.sharing,
    )
    if not all(isinstance(text, str) for text in texts):
        return "a field is not text"
    if answer.kind not in ("done", "broken", "lost", "other"):
        return f"kind {answer.kind[:20]!r}"
    if answer.kind == "done":
        if not isinstance(getattr(answer.packed, "answers", None), bytes):
            return "kept replies that are not bytes"
        try:
            unpack(answer.packed)
        except Exception as error:  # any error that its bytes cause in the parser
            return f"no result: {type(error).__name__}"
    return ""


def _one_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, ClusterError) else f"{type(error).__name__}: {text}"
