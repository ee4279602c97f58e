"""A grading process: the pipeline at the end of a pipe, for one submission after the other.

    python -m grader.batch.worker PIPE LIFE [FORK_SERVER]     started by grader/batch/workers.py

or a fork of the command that does what serve_with() returns (forked.py).

Numbers of descriptors: of the pipe for the messages, of one that closes with the program
(in_kernel/lifeline.py), and of the way to a process to fork kernels from (session/fork_server.py).

Messages are JSON lists. To the worker:

    ["options", {...}]            records.Options, once, first
    ["grade", {...}]            a Job, when the answer to the one before is there
    ["end"]

From the worker, each about the submission that it was given last:

    ["doing", text]
    ["done", unchanged, isolation]   then two messages of bytes: packed verdict, packed evidence
    ["broken", text]                 the assignment can't be used for any submission

When the program asks by SIGTERM, the worker ends its kernels and itself. When the program is
gone, the worker is killed, and its kernels with it.
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
from collections.abc import Iterable, Iterator
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

# Of the second after the parent's end, what a worker has to end in good order.
_ENDING_S = 0.7


def main(descriptor: int, life: int, *fork_server: int) -> None:
    gc.set_threshold(50_000)  # as in cli.main
    ways = [socket.socket(fileno=end) for end in fork_server]
    _serve(_Pipe(Connection(descriptor)), life, grade_jobs, *ways)


def serve_with(
    suite: Suite, assignment: Assignment
) -> Callable[[int, int, socket.socket | None], None]:
    """Return what a fork of the command does as a worker: it has the checks collected already."""

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

        ways = [fork_server] if fork_server is not None else []
        _serve(_Pipe(Connection(descriptor)), life, grade, *ways)

    return serve


def _serve(pipe: _Pipe, life: int, grade: _Grade, *fork_server: socket.socket) -> None:
    end_with(life)
    signal.signal(signal.SIGTERM, _stop)
    try:
        pipe.serve(grade, *fork_server)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _stop(number: int, frame: object) -> NoReturn:
    # As Ctrl-C does, so that every `with` on the way out ends what it began; once is enough.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def grade_jobs(
    options: Options,
    jobs: Iterable[Job],
    listener: Listener,
    *,
    fork_server: ForkServer | None = None,
) -> None:
    """Grade jobs as they come, over one collection of the checks.

    fork_server : has imported what the assignment needs
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
    """Return what grades in this process; where no table does, it tries which mistakes it sees."""
    from grader.grading import Grader

    grader = Grader(suite, kernels, options)

    def explain(result: Result) -> Result:
        # Imported here: a right submission has no use for it.
        from grader.verify.tried_mistakes import TriedMistakes

        tried = TriedMistakes(suite, grader.tracer, options.try_mistakes, seed=options.seed)
        grader.explain = tried.explain  # what was tried serves the next one, too
        return tried.explain(result)

    if options.try_mistakes:
        grader.explain = explain
    return grader


class _Pipe:
    """The worker's end of the pipe: gives the jobs, receives what becomes of them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self.lock = threading.Lock()  # cells report from threads of their own

    def serve(self, grade: _Grade, *fork_server: socket.socket) -> None:
        threading.Thread(target=self._listen, daemon=True, name="pipe").start()
        kind, options = self.inbox.get()
        assert kind == "options"
        # Only now: that the parent is gone is noticed while this loads.
        from grader.session import ForkServer

        clone = ForkServer(fork_server[0]) if fork_server else None
        try:
            grade(record_of(Options, options), self._jobs(), self, fork_server=clone)
        except AssignmentError as error:
            self.send("broken", str(error))

    def _jobs(self) -> Iterator[Job]:
        while (message := self.inbox.get())[0] == "grade":
            yield record_of(Job, message[1])

    def _listen(self) -> None:
        try:
            while True:
                message = json.loads(self.connection.recv_bytes())
                self.inbox.put(message)
                if message[0] == "end":
                    return
        except (EOFError, OSError):
            # To the main thread itself: a signal that another one gets wakes it up too late.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            # Python drops an exception that is raised in a destructor or a callback: then the
            # signal had no effect. What is left on the disk, the next run deletes.
            time.sleep(_ENDING_S)
            os.kill(os.getpid(), signal.SIGKILL)

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        self.send("doing", text)

    def done(self, number: int, packed: Packed, *, unchanged: bool, isolation: str) -> None:
        self.send("done", unchanged, isolation, packed=packed)

    def send(self, *message: Any, packed: Packed | None = None) -> None:
        with self.lock:
            self.connection.send_bytes(json.dumps(message).encode())
            if packed is not None:
                self.connection.send_bytes(packed.verdict)
                self.connection.send_bytes(packed.evidence)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
