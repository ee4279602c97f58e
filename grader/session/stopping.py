"""Runs coroutines in a thread of their own, where another thread can cancel them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """Cancels the opening of sessions. Call it from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._called = False
        self._cancels: list[Callable[[], None]] = []

    def __call__(self) -> None:
        """Cancel the sessions that are being opened, and any that begin later."""
        with self._lock:
            self._called = True
            cancels = [*self._cancels]
        for cancel in cancels:
            cancel()

    @contextlib.contextmanager
    def cancelling(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Within the block, a stop calls `cancel`."""
        with self._lock:
            self._cancels.append(cancel)
            called = self._called
        if called:
            cancel()
        try:
            yield
        finally:
            with self._lock:
                self._cancels.remove(cancel)


def run_in_thread(main: Coroutine[Any, Any, T], stop: Stop) -> T:
    """Run a coroutine in a thread and event loop of its own; return its result.

    The caller's thread may have a running loop already, as in Jupyter.
    """
    result: list[T] = []
    failure: list[BaseException] = []
    started = threading.Event()
    handle: dict[str, Any] = {}

    async def supervised() -> T:
        handle["task"] = asyncio.current_task()
        handle["loop"] = asyncio.get_running_loop()
        started.set()
        return await main

    def target() -> None:
        try:
            result.append(asyncio.run(supervised()))
        except BaseException as error:
            failure.append(error)
        finally:
            started.set()

    def cancel() -> None:
        started.wait()
        with contextlib.suppress(RuntimeError, KeyError):
            handle["loop"].call_soon_threadsafe(handle["task"].cancel)

    thread = threading.Thread(target=target, name="grade-session", daemon=True)
    thread.start()
    try:
        with stop.cancelling(cancel):
            thread.join()
    except BaseException:  # Ctrl-C: end the kernel before anything else
        cancel()
        thread.join()
        raise
    if failure:
        raise failure[0]
    return result[0]
