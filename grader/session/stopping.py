"""Opens sessions where another thread can call them off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class CalledOff(BaseException):
    """The opening of a session was called off. No handler of the grader's faults may catch it."""


class Stop:
    """Calls off the opening of sessions. Call it from another thread.

    Whoever opens a session waits only for moments, and calls check() after each.
    """

    def __init__(self) -> None:
        self._called = False

    def __call__(self) -> None:
        """Call off the sessions that are being opened, and any that begin later."""
        self._called = True

    def check(self) -> None:
        """Raise CalledOff if they are called off."""
        if self._called:
            raise CalledOff


def run_in_thread(work: Callable[[], T], stop: Stop) -> T:
    """Call work() where Ctrl-C can't interrupt it; return its result.

    Ctrl-C reaches only the main thread. There it calls the work off, which then ends in good order:
    in the middle of a request to the fork server it would leave a kernel that nobody knows.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    result: list[T] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=target, name="grade-session", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C: end the kernel before anything else
        stop()
        thread.join()
        raise
    if failure:
        raise failure[0]
    return result[0]
