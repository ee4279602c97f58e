"""A grading process: it receives submissions through a pipe and grades them one after another.

    python -m grader.batch.worker PIPE LIFE [FORK_SERVER]     started by grader/batch/workers.py

or a fork of the command that calls the function which serve_with() returns (forked.py).

The arguments are file descriptors: of the pipe for the messages, of a pipe that closes when the
program ends (in_kernel/lifeline.py), and of a socket to a fork server (session/fork_server.py).

Messages are JSON lists. To the worker:

    ["options", {...}]          records.Options, once, first
    ["grade", {...}]            a Job, after the answer to the previous one; then two messages of
                                bytes: kept replies of its processes, the earlier evidence
    ["end"]

From the worker, about the submission that it got last:

    ["doing", text]
    ["done", unchanged, isolation, sharing]   then three of bytes: packed verdict, packed evidence,
                                replies
    ["broken", text]                 the assignment can't be used for any submission

On SIGTERM, the worker ends its kernels and itself. When the program ends, the worker is killed, and
its kernels end with it.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from grader.batch.collector import Job, Listener
from grader.batch.serialization import Packed, record_of
from grader.errors import AssignmentError
from grader.in_kernel.lifeline import end_with
from grader.records import Assignment, Options, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.grading import Grader
    from grader.session import ForkServer, Kernels
    from grader.suite import Suite

    _Grade = Callable[..., None]

# How much of the second after the parent's end a worker has to end in good order.
_ENDING_S = 0.7


def main(descriptor: int, life: int, *fork_server: int) -> None:
    gc.set_threshold(50_000)  # as in cli/watching.py
    sockets = [socket.socket(fileno=end) for end in fork_server]
    _serve(_Pipe(Connection(descriptor)), life, grade_jobs, *sockets)


def serve_with(
    suite: Suite, assignment: Assignment
) -> Callable[[int, int, socket.socket | None], None]:
    """Return the function that a fork of the command runs as a worker, with collected checks."""

    def serve(descriptor: int, life: int, fork_server: socket.socket | None) -> None:
        def grade(
            options: Options,
            jobs: Iterable[Job],
            listener: Listener,
            *,
            fork_server: ForkServer | None = None,
        ) -> None:
            with _kernels(options, assignment, fork_server) as kernels:
                _grade(suite, kernels, options, jobs, listener)

        sockets = [fork_server] if fork_server is not None else []
        _serve(_Pipe(Connection(descriptor)), life, grade, *sockets)

    return serve


def _serve(pipe: _Pipe, life: int, grade: _Grade, *fork_server: socket.socket) -> None:
    end_with(life)
    signal.signal(signal.SIGTERM, _stop)
    try:
        pipe.serve(grade, *fork_server)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _stop(number: int, frame: object) -> NoReturn:
    # Like Ctrl-C, so that every `with` block cleans up; a second signal must not disturb that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def grade_jobs(
    options: Options,
    jobs: Iterable[Job],
    listener: Listener,
    *,
    fork_server: ForkServer | None = None,
) -> None:
    """Grade jobs as they come; collect the checks only once.

    fork_server : one that has imported what the assignment needs
    Raises AssignmentError before a kernel starts.
    """
    from grader.assignment import load_assignment
    from grader.suite import open_suite

    assignment = replace(load_assignment(Path(options.folder)), sandbox=options.sandbox)
    with _kernels(options, assignment, fork_server) as kernels, open_suite(assignment) as suite:
        _grade(suite, kernels, options, jobs, listener)


def _kernels(options: Options, assignment: Assignment, fork_server: ForkServer | None) -> Kernels:
    from grader.environments import python_of
    from grader.session import Kernels, start_fork_server

    return Kernels(
        assignment,
        fork_server or start_fork_server(options.sandbox, python_of(assignment)),
        preloaded=fork_server is not None,
        draw=options.figures != "none",
        shared=Path(options.shared) if options.shared else None,
        share_cells=options.share_cells,
    )


def _grade(
    suite: Suite, kernels: Kernels, options: Options, jobs: Iterable[Job], listener: Listener
) -> None:
    from grader.grading import grade_each

    with open_grader(suite, kernels, options) as grader:
        grade_each(grader, jobs, listener, {})


def open_grader(suite: Suite, kernels: Kernels, options: Options) -> Grader:
    """Return the Grader of this process; without a table, it tries mistakes by itself."""
    from grader.grading import Grader

    grader = Grader(suite, kernels, options)

    def explain(result: Result) -> Result:
        # Imported here, since right submissions don't need it.
        from grader.verify.tried_mistakes import TriedMistakes

        tried = TriedMistakes(suite, grader.tracer, options.try_mistakes, seed=options.seed)
        grader.explain = tried.explain  # the next submission reuses what was tried
        return tried.explain(result)

    if options.try_mistakes:
        grader.explain = explain
    return grader


class _Pipe:
    """The worker's end of the pipe: yields the jobs, and sends the results."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self.lock = threading.Lock()  # cells report from threads of their own

    def serve(self, grade: _Grade, *fork_server: socket.socket) -> None:
        threading.Thread(target=self._listen, daemon=True, name="pipe").start()
        kind, options = self.inbox.get()
        assert kind == "options"
        # Imported after the thread has started, which notices meanwhile if the parent ends.
        from grader.session import ForkServer

        clone = ForkServer(fork_server[0]) if fork_server else None
        try:
            grade(record_of(Options, options), self._jobs(), self, fork_server=clone)
        except AssignmentError as error:
            self.send("broken", str(error))

    def _jobs(self) -> Iterator[Job]:
        while (message := self.inbox.get())[0] == "grade":
            job, answers, evidence = message[1:]
            kept = Packed(b"", evidence, answers) if answers else None
            yield replace(record_of(Job, job), kept=kept)

    def _listen(self) -> None:
        try:
            while True:
                message = json.loads(self.connection.recv_bytes())
                if message[0] == "grade":
                    message += (self.connection.recv_bytes(), self.connection.recv_bytes())
                self.inbox.put(message)
                if message[0] == "end":
                    return
        except (EOFError, OSError):
            # Sent to the main thread: a signal to another thread would wake it up too late.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            # The signal has no effect if its exception is raised in a destructor or a callback,
            # where Python drops it. The next run deletes the files that are left then.
            time.sleep(_ENDING_S)
            os.kill(os.getpid(), signal.SIGKILL)

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        self.send("doing", text)

    def done(
        self,
        number: int,
        packed: Packed,
        *,
        unchanged: bool,
        isolation: str,
        sharing: Sequence[str] = (),
    ) -> None:
        self.send("done", unchanged, isolation, [*sharing], packed=packed)

    def send(self, *message: Any, packed: Packed | None = None) -> None:
        with self.lock:
            self.connection.send_bytes(json.dumps(message).encode())
            if packed is not None:
                self.connection.send_bytes(packed.verdict)
                self.connection.send_bytes(packed.evidence)
                self.connection.send_bytes(packed.answers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
