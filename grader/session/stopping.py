"""Coroutines that run to their end in a thread of their own, and can be called off."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """Calls off the opening of sessions, from another thread than those that open them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._called = False
        self._cancels: list[Callable[[], None]] = []

    def __call__(self) -> None:
        """End the sessions that are being opened, and refuse new ones."""
        with self._lock:
            self._called = True
            cancels = [*self._cancels]
        for cancel in cancels:
            cancel()

    @contextlib.contextmanager
    def may(self, cancel: Callable[[], None]) -> Iterator[None]:
        """For the time of the block, `cancel` is called where all is called off."""
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
    """Run a coroutine to its end in an event loop of its own, in a thread of its own.

    The caller's thread may have a loop that runs already, as it has in Jupyter.
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
        with stop.may(cancel):
            thread.join()
    except BaseException:  # Ctrl-C: end the kernel before anything else
        cancel()
        thread.join()
        raise
    if failure:
        raise failure[0]
    return result[0]
