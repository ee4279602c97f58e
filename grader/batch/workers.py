"""Grading processes on this machine, each fed one submission at a time.

    with Workers(options, count=4, fork_server=fork_server) as workers:
        workers.run(jobs, collector)

A process runs worker.py, whose docstring is the protocol. If it ends unexpectedly (out of memory,
killed), its submission loses no points: another process grades it again. After a second such end,
the submission is reported as a fault of the grader.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.batch import forked
from grader.batch.collector import BatchListener, Job
from grader.batch.serialization import Packed, plain_of
from grader.closing import Closing
from grader.errors import AssignmentError, GraderFault
from grader.in_kernel.system import may_fork
from grader.records import Options
from grader.session.ending import how_it_ended
from grader.session.scratch import remove_session_leftovers
from grader.temporary import TemporaryFolder

if TYPE_CHECKING:
    from grader.session import ForkServer

    Serve = Callable[[int, int, socket.socket | None], None]
    """The function that a forked worker runs: serve(pipe, lifeline, socket to a fork server)."""

ATTEMPTS = 2
"""How often a submission is tried if its worker ends. The first end may have another cause: the
system kills any process when memory is short."""
SILENT_ENDS = 6
"""After so many workers in a row that end without a message, the machine is the cause: stop."""
FAILED_STARTS = 10
START_AGAIN_S = 1.0
"""How often, and at which interval, to try again if not even one process can be started: another
program may have used up all processes for a moment."""
MANY = 15
"""From this many submissions on, huge pages are worth their cost of about 50 ms."""
STOP_S = 20.0
"""How long a worker may take to end its kernels before it is killed."""
CALLED_OFF_S = 1.0
"""The same for a worker that is grading: it ends faster, since its pipe is closed."""


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Stopped(Exception):
    """The work was cancelled by stop()."""


class Workers(Closing):
    """Keeps up to `count` processes busy; close() ends them in any state."""

    def __init__(
        self,
        options: Options,
        *,
        count: int,
        fork_server: ForkServer | None = None,
        serve: Serve | None = None,
        kept: Callable[[Job], Packed | None] = lambda job: None,
        many: bool = False,
    ) -> None:
        """fork_server : one that has imported what the assignment needs; each worker gets a clone
        serve : the function of a worker that is forked from this process, if forking is possible
        kept : returns what a submission's processes replied when it was graded before
        many : whether dozens of submissions will come, though each run() has only a few
        """
        self.serve = serve
        self.kept = kept
        self.always_many = self.many = many
        self.options = options
        self.count = count
        self.fork_server = fork_server
        self.started = 0
        self._folder = TemporaryFolder()
        self.scratch = self._folder.path
        # A sandboxed kernel may run as another user, and its folders are in here.
        self.scratch.chmod(0o711)
        self.workers: list[Worker] = []
        self.stopped = False
        self._patience: threading.Timer | None = None

    def run(self, jobs: Iterable[Job], collector: BatchListener) -> None:
        """Grade the jobs; `collector` receives each result at once, in any order.

        Raises AssignmentError if the checks can't be used, Stopped if another thread called stop().
        """
        waiting = deque(jobs)
        self.many = self.always_many or len(waiting) >= MANY
        ends: Counter[int] = Counter()
        silent = 0  # how many workers in a row ended without a message
        failed_starts = 0
        while waiting or any(worker.item for worker in self.workers):
            try:
                while waiting and len(self.workers) < self.count:
                    self._start()
            except OSError as error:  # no process, memory or descriptor is free: use fewer workers
                if not self.workers:
                    failed_starts += 1
                    if failed_starts >= FAILED_STARTS:
                        why = f"no worker process can be started ({error.strerror or error})"
                        for hopeless in waiting:
                            collector.lost(hopeless.number, why, "")
                        return
                    time.sleep(START_AGAIN_S)
                    continue
                self.count = len(self.workers)
            for worker in self.workers:
                if worker.item is None and waiting:
                    given = waiting.popleft()
                    worker.give(given, self.kept(given))
            if self.stopped:  # stop() may not have seen the latest workers
                raise Stopped
            for ready in wait([worker.connection for worker in self.workers]):
                worker = next(w for w in self.workers if w.connection is ready)
                job = worker.item
                try:
                    kind, *values = worker.receive()
                    packed = worker.receive_packed() if kind == "done" else None
                except (EOFError, OSError):
                    if self.stopped:
                        raise Stopped from None
                    self.workers.remove(worker)
                    how = worker.end()
                    silent = 0 if worker.heard else silent + 1
                    if job is None:
                        continue
                    ends[job.number] += 1
                    if silent >= SILENT_ENDS:
                        why = f"worker processes end before they begin ({how})"
                        for hopeless in (job, *waiting):
                            collector.lost(hopeless.number, why, worker.said)
                        waiting.clear()
                    elif ends[job.number] < ATTEMPTS:
                        waiting.appendleft(job)
                    else:
                        why = f"its worker process ended twice ({how})"
                        collector.lost(job.number, why, worker.said)
                    continue
                assert job is not None
                if kind == "broken":
                    # The worker ends. This object stays: a dask worker uses it again.
                    self.workers.remove(worker)
                    worker.end()
                    raise AssignmentError(values[0])
                if packed is None:
                    collector.doing(job.number, values[0], worker.number)
                else:
                    worker.item = None
                    unchanged, isolation, sharing = values
                    collector.done(
                        job.number,
                        packed,
                        unchanged=unchanged,
                        isolation=isolation,
                        sharing=sharing,
                    )

    def _start(self) -> None:
        self.started += 1
        scratch = self.scratch / f"w{self.started}"
        serve = self.serve if self.serve is not None and may_fork() else None
        self.workers.append(Worker(self.options, self.started, scratch, self._clone(), serve))

    def _clone(self) -> socket.socket | None:
        """Return a socket to a copy of the fork server; None if the worker must start its own."""
        with contextlib.suppress(GraderFault):
            if self.fork_server is not None:
                return self.fork_server.clone(many=self.many)
        return None

    def stop(self) -> None:
        """Make run() in another thread raise Stopped."""
        self.stopped = True
        for worker in list(self.workers):
            worker.stop()
        if self._patience is None:
            self._patience = threading.Timer(STOP_S, self._kill)
            self._patience.daemon = True
            self._patience.start()

    def _kill(self) -> None:
        for worker in list(self.workers):
            worker.process.kill()

    def close(self) -> None:
        """End every process, and delete the files that they left."""
        for worker in self.workers:
            worker.stop()
        # All connections close first: from then on each worker ends within a second.
        for worker in self.workers:
            worker.connection.close()
        until = time.monotonic() + CALLED_OFF_S  # for all workers together
        for worker in self.workers:
            left_s = max(0.0, until - time.monotonic())
            worker.end(STOP_S if worker.item is None else left_s)
        self.workers.clear()
        if self._patience is not None:
            self._patience.cancel()
        self._folder.remove()


class Worker:
    """One process, and the submission that it grades.

    fork_server : a socket to a fork server for its kernels
    serve : its function as a fork of this process; None to start a new interpreter
    item : the job that it grades
    heard : whether it has sent any message
    said : the end of its stderr, after end()
    """

    process: subprocess.Popen[bytes] | forked.Forked

    def __init__(
        self,
        options: Options,
        number: int,
        scratch: Path,
        fork_server: socket.socket | None = None,
        serve: Serve | None = None,
    ) -> None:
        self.number = number
        self.item: Job | None = None
        self.scratch = scratch
        self.said = ""
        self.heard = False
        scratch.mkdir()
        scratch.chmod(0o711)
        with contextlib.ExitStack() as passing:
            if fork_server is not None:
                passing.enter_context(fork_server)
            ours, theirs = map(passing.enter_context, socket.socketpair())
            stderr = passing.enter_context((scratch / "stderr").open("wb"))
            life, self._lifeline = os.pipe()
            passing.callback(os.close, life)
            passed = [
                theirs.fileno(),
                life,
                *([fork_server.fileno()] if fork_server is not None else []),
            ]
            temporary = {"TMPDIR": str(scratch)}
            try:
                if serve is not None:
                    self.process = forked.fork(
                        lambda: serve(theirs.fileno(), life, fork_server),
                        passed=passed,
                        stderr=stderr,
                        environment=temporary,
                    )
                else:
                    self.process = subprocess.Popen(
                        # -P: nothing is imported from the current folder, which may be a student's.
                        [sys.executable, "-P", "-m", "grader.batch.worker", *map(str, passed)],
                        pass_fds=passed,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=stderr,
                        env=os.environ | temporary,
                        # Ctrl-C must reach only the parent, which then stops the workers.
                        process_group=0,
                    )
            except BaseException:
                os.close(self._lifeline)
                shutil.rmtree(scratch, ignore_errors=True)
                raise
            self.connection = Connection(ours.detach())
        self._send("options", plain_of(options))

    def give(self, job: Job, kept: Packed | None = None) -> None:
        """Send a job. kept : the kept replies of the submission's processes"""
        self.item = job
        kept = kept or Packed(b"")
        self._send("grade", plain_of(job), more=(kept.answers, kept.evidence))

    def _send(self, *message: Any, more: Sequence[bytes] = ()) -> None:
        # receive() notices that the process has ended.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(json.dumps(message).encode())
            for part in more:
                self.connection.send_bytes(part)

    def receive(self) -> Any:
        """Return the next message. Raises EOFError or OSError if the process has ended."""
        message = json.loads(self.connection.recv_bytes())
        self.heard = True
        return message

    def receive_packed(self) -> Packed:
        verdict, evidence, answers = (self.connection.recv_bytes() for _ in range(3))
        return Packed(verdict, evidence, answers)

    def stop(self) -> None:
        """Ask it to end: at once if it is idle, else after it has ended its kernels."""
        if self.item is None:
            self._send("end")
        elif self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self, patience_s: float = STOP_S) -> str:
        """Wait until the process has ended, or kill it after patience_s; return how it ended."""
        self.connection.close()
        try:
            code = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        os.close(self._lifeline)
        with contextlib.suppress(OSError):
            self.said = (self.scratch / "stderr").read_text("utf-8", "replace")[-4000:].strip()
        shutil.rmtree(self.scratch, ignore_errors=True)
        if code < 0:  # it was killed, so its other folders still exist
            remove_session_leftovers()
        return how_it_ended(code)
