"""A pool of processes for tasks; each process is connected only by a pipe.

    with ProcessPool(4) as pool:
        future = pool.submit(function, argument)

The standard library's pool uses named semaphores, which stay in shared memory if the program is
killed. This pool has no named objects, so it leaves nothing behind. A process ends with the program
that started it, even if that is killed. If an exception (also Ctrl-C) leaves the block, running
tasks are stopped.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from grader.in_kernel.lifeline import end_with
from grader.session.ending import how_it_ended
from grader.session.scratch import remove_session_leftovers

P = ParamSpec("P")
T = TypeVar("T")

_STOP_S = 1.0
"""The time that a process has to end its kernels before it is killed."""


class ProcessPool(Executor):
    """Up to `count` processes, each started when there is work for it."""

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closed = False
        self._stopped = threading.Event()
        self._workers = [_Worker(self._tasks, self._stopped) for _ in range(count)]

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of a call; function, arguments and result are pickled."""
        if self._closed:
            raise RuntimeError("the pool is shut down")
        future: Future[T] = Future()
        self._tasks.put((future, function, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._closed = True
        if cancel_futures:
            with contextlib.suppress(queue.Empty):
                while True:
                    task = self._tasks.get_nowait()
                    if task is not None:
                        task[0].cancel()
        for _ in self._workers:
            self._tasks.put(None)
        if wait:
            for worker in self._workers:
                worker.thread.join()

    def stop(self) -> None:
        """Stop the processes, whatever they do."""
        self._stopped.set()
        for worker in self._workers:
            worker.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.stop()
        self.shutdown(cancel_futures=kind is not None)


_Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class _Worker:
    """A thread that gives tasks to one process, one after the other."""

    def __init__(self, tasks: queue.SimpleQueue[_Task | None], stopped: threading.Event) -> None:
        self._tasks = tasks
        self._stopped = stopped
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()  # protects the start and the end of the process
        self.thread = threading.Thread(target=self._work, name="pool", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, *call = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                succeeded, value = self._run(call)
            except BaseException as error:  # else somebody would wait for the future forever
                succeeded, value = False, error
            if succeeded:
                future.set_result(value)
            else:
                future.set_exception(value)
        self._end()

    def _run(self, call: list[Any]) -> tuple[bool, Any]:
        """Return whether the call succeeded, and its result or its exception."""
        connection = self._started()
        try:
            connection.send(call)
            answer: tuple[bool, Any] = connection.recv()
        except (EOFError, OSError) as error:
            code = self._end()
            raise BrokenProcessPool(how_it_ended(code)) from error
        return answer

    def _started(self) -> Connection:
        with self._lock:
            if self._stopped.is_set():
                raise BrokenProcessPool("stopped")
            if self._connection is None:
                # Spawned, not forked: a fork of a process with threads may hang.
                context = multiprocessing.get_context("spawn")
                self._connection, theirs = context.Pipe()
                with theirs:
                    self._process = context.Process(target=_serve, args=(theirs,), daemon=False)
                    self._process.start()
            return self._connection

    def stop(self) -> None:
        with self._lock:
            if self._process is None:
                return
            self._process.terminate()
            timer = threading.Timer(_STOP_S, _kill, [self._process])
            timer.daemon = True
            timer.start()

    def _end(self) -> int:
        """Wait for the end of the process; return its exit code."""
        with self._lock:
            process, self._process = self._process, None
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is None:
            return 0
        process.join()
        code = process.exitcode or 0
        process.close()
        if code < 0:  # it was killed, and could not remove its files
            remove_session_leftovers()
        return code


def _kill(process: SpawnProcess) -> None:
    with contextlib.suppress(ValueError):  # the process has ended
        process.kill()


# --- in the process -------------------------------------------------------------------------


def _serve(connection: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_with(parent.sentinel)
    signal.signal(signal.SIGTERM, _interrupt)
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError), connection:
        while True:
            function, args, kwargs = connection.recv()
            try:
                answer = True, function(*args, **kwargs)
            except Exception as error:  # the future raises it
                answer = False, error
            connection.send(answer)


def _interrupt(number: int, frame: object) -> NoReturn:
    # Like Ctrl-C, so that every `with` block cleans up. Later signals must not interrupt that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
