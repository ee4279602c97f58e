"""Processes that work off tasks, with nothing between them but a pipe each.

    with ProcessPool(4) as pool:
        future = pool.submit(function, argument)

The standard library's pool takes semaphores with names, which lie in shared memory for good when
the program is killed. Here nothing has a name, so nothing is left. A process ends with the program
that started it, however that ended; where the block is left by an exception, Ctrl-C among them,
what runs is called off.
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
"""What a process may take to end its kernels, before it is killed."""


class ProcessPool(Executor):
    """Up to `count` processes, each started when there is work for it."""

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closed = False
        self._called_off = threading.Event()
        self._hands = [_Hand(self._tasks, self._called_off) for _ in range(count)]

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of a call: function, arguments and result are pickled."""
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
        for _ in self._hands:
            self._tasks.put(None)
        if wait:
            for hand in self._hands:
                hand.thread.join()

    def stop(self) -> None:
        """End the processes in any state."""
        self._called_off.set()
        for hand in self._hands:
            hand.stop()

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


class _Hand:
    """A thread that gives tasks to one process, one after the other."""

    def __init__(self, tasks: queue.SimpleQueue[_Task | None], called_off: threading.Event) -> None:
        self._tasks = tasks
        self._called_off = called_off
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()  # over who starts the process, and who ends it
        self.thread = threading.Thread(target=self._work, name="pool", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, *call = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                succeeded, value = self._asked(call)
            except BaseException as error:  # it must not be waited for in vain
                succeeded, value = False, error
            if succeeded:
                future.set_result(value)
            else:
                future.set_exception(value)
        self._end()

    def _asked(self, call: list[Any]) -> tuple[bool, Any]:
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
            if self._called_off.is_set():
                raise BrokenProcessPool("called off")
            if self._connection is None:
                # Spawned, not forked: a fork of a process that has threads may hang.
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
        """Let the process come to its end; return its exit code."""
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
        if code < 0:  # it was killed, and has removed nothing
            remove_session_leftovers()
        return code


def _kill(process: SpawnProcess) -> None:
    with contextlib.suppress(ValueError):  # it is gone
        process.kill()


# --- in the process -------------------------------------------------------------------------


def _serve(connection: Connection) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_with(parent.sentinel)
    signal.signal(signal.SIGTERM, _call_off)
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError), connection:
        while True:
            function, args, kwargs = connection.recv()
            try:
                answer = True, function(*args, **kwargs)
            except Exception as error:  # it is raised when the result is requested
                answer = False, error
            connection.send(answer)


def _call_off(number: int, frame: object) -> NoReturn:
    # As Ctrl-C does, so that every `with` on the way out ends what it began; once is enough.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
