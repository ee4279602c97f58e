"""Replays the requests of checks to many wrong solutions, in one fork of the solved notebook.

A fork for each mistake would cost more than all its calls. So each mistake replaces the solution
here, answers the requests, and is undone: names, the notebook's classes and the global random
generators are as before. A mistake that changes an array of the notebook is detected; then this
fork stops, and the grader continues in a new one.

This file's text is sent only to the solved notebook's process, never to a student's.
"""

from __future__ import annotations

import math
import random
import signal
import sys
from collections.abc import Callable, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np

from grader.in_kernel import codec
from grader.in_kernel.functions import Functions
from grader.in_kernel.operations import Check, State

CALL_LINES = 100
FOR_WAITING = 4
"""On the wall clock, a recording may take this many times its limit of processor time."""
TIMES_CUT_OFF = 2
"""After this many recordings of one mistake were cut off, it gets no more of them."""
_WATCHED = 200_000
"""Arrays of up to this many elements are compared after each mistake."""


class _TooLong(BaseException):
    pass


class Replayer:
    """Sends the requests that checks sent to the solved notebook to changed notebooks.

    namespace : the notebook's
    recordings : for each check its requests, as frames
    callers : for each check a function that answers calls of its functions; None if it has none
    fingerprints : called as fingerprints(operation, reply); returns plain values that differ for
        different answers
    limit_s : processor time of one recording; budget_s : wall-clock time of one call of `replay`
    most_calls : for each recording, how often it may call the check's functions
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        recordings: Sequence[Sequence[Any]],
        callers: Sequence[Callable[..., Any] | None],
        fingerprints: Callable[[str, Any], Any],
        limit_s: float,
        budget_s: float,
        most_calls: Sequence[float],
    ) -> None:
        self.namespace = namespace
        self.recordings = [
            [bytes(bytearray(frame)) for frame in recording] for recording in recordings
        ]
        self.callers = callers
        self.most_calls = most_calls
        self.calls = 0  # of the check's functions, in the current recording
        self.was_cut_off = False  # whether the last recording exceeded its limit
        self.away = False  # whether a check's function is being called
        self.fingerprints = fingerprints
        self.limit_s = limit_s
        self.budget_s = budget_s
        self.names = dict(namespace)
        self.classes = [
            (value, dict(vars(value)))
            for value in self.names.values()
            if isinstance(value, type) and value.__module__ == "__main__"
        ]
        self.objects = [
            (value, dict(vars(value)))
            for value in self.names.values()
            if type(value).__module__ == "__main__" and hasattr(value, "__dict__")
        ]
        self.arrays = list(self._arrays())
        self.sums = [_sum(array) for array in self.arrays]
        self.numpy_state = np.random.get_state()
        self.python_state = random.getstate()

    def replay(self, patches: Sequence[str], wanted: Sequence[Sequence[int]]) -> list[Any]:
        """Return, for each patch in turn, the fingerprints of each wanted recording's answers.

        None stands for a patch that raises. The list is shorter than `patches` if the time is over
        or a patch has changed an array.
        """
        began = perf_counter()
        answers: list[Any] = []
        for patch, numbers in zip(patches, wanted, strict=True):
            answers.append(self._replay_one(patch, numbers))
            self._restore()
            if perf_counter() - began > self.budget_s or self._is_changed():
                break
        return answers

    def _replay_one(self, patch: str, numbers: Sequence[int]) -> list[Any] | None:
        answers: list[Any] = []
        cut_off = 0
        try:
            code = compile(patch, "<mistake>", "exec")
        except (SyntaxError, ValueError):
            return None
        for number in numbers:
            self._restore()
            try:
                exec(code, self.namespace)
            except Exception:
                return None
            answers.append(self._ask(number))
            cut_off += self.was_cut_off
            if cut_off == TIMES_CUT_OFF:
                break
        return answers

    def work(self, number: int) -> list[Any]:
        """Return a recording's executed lines of Python, its processor time in seconds, its calls.

        A call of a check's function counts as CALL_LINES lines: it goes to another process.
        """
        self._ask(number)  # imports and caches come first
        self._restore()
        began = process_time()
        self._ask(number)
        seconds = process_time() - began
        self._restore()
        lines = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal lines
            if event == "line":
                lines += 1
            ours = str(frame.f_globals.get("__name__")).startswith(("grader.", "_grade_"))
            return None if ours else trace

        sys.settrace(trace)
        try:
            self._ask(number, 1000.0)
        finally:
            sys.settrace(None)
        self._restore()
        return [lines + CALL_LINES * self.calls, seconds, self.calls]

    def _ask(self, number: int, times: float = 1.0) -> list[Any]:
        """Replay one recording; return the fingerprints. times : a factor of its time limit"""
        check = Check(None, State(self.namespace, None, None), 64 << 20)  # type: ignore[arg-type]
        prints = []
        self.was_cut_off = False
        self.calls = 0
        limit_s = self.limit_s * times
        deadline = process_time() + limit_s
        caller = self.callers[number]
        if caller is not None:
            most = self.most_calls[number]
            check._functions = Functions(lambda call: self._called(caller, call, deadline, most))
        old = [signal.signal(one, self._late) for one in (signal.SIGPROF, signal.SIGALRM)]
        try:
            signal.setitimer(signal.ITIMER_PROF, limit_s, 0.05)
            signal.setitimer(signal.ITIMER_REAL, FOR_WAITING * limit_s, 0.05)
            for frame in self.recordings[number]:
                if caller is not None:
                    self._called(caller, [-1, None], deadline, math.inf)
                index, operation, *arguments = codec.decode_bytes(frame, handle=check._object)
                try:
                    check._functions.begin()
                    pieces = check._answer(index, operation, arguments)
                    reply = codec.decode_bytes(b"".join(pieces), handle=_object)[1:]
                except _TooLong:
                    reply = ["ended", "StudentTimeout"]
                except Exception:
                    reply = ["raised", ["Exception"]]
                finally:
                    check._functions.end()
                if process_time() > deadline:
                    reply = ["ended", "StudentTimeout"]
                prints.append(self.fingerprints(operation, reply))
                if reply[0] == "ended":
                    self.was_cut_off = True
                    break
        except _TooLong:
            self.was_cut_off = True
            prints.append(self.fingerprints("", ["ended", "StudentTimeout"]))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            for one, handler in zip((signal.SIGPROF, signal.SIGALRM), old, strict=True):
                signal.signal(one, handler)
        return prints

    def _called(
        self, caller: Callable[..., Any], call: Sequence[Any], deadline: float, most: float
    ) -> Any:
        """Have the grader call a function of the check; never cut off its answer.

        Calls are counted, since this process uses no processor time while it waits.
        """
        self.away = True
        self.calls += call[0] != -1
        try:
            answer = caller(*call)
        finally:
            self.away = False
        if process_time() > deadline or self.calls > most:
            raise _TooLong
        return answer

    def _late(self, *_: object) -> None:
        if not self.away:
            raise _TooLong

    def _restore(self) -> None:
        for name in [name for name in self.namespace if name not in self.names]:
            del self.namespace[name]
        self.namespace.update(self.names)
        for owner, members in (*self.classes, *self.objects):
            for name in [name for name in vars(owner) if name not in members]:
                delattr(owner, name)
            for name, value in members.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)
        np.random.set_state(self.numpy_state)
        random.setstate(self.python_state)

    def _arrays(self) -> Any:
        for value in self.names.values():
            inside = [value]
            if isinstance(value, list | tuple):
                inside = list(value)
            elif isinstance(value, dict):
                inside = list(value.values())
            elif any(value is one for one, _ in self.objects):
                inside = list(vars(value).values())
            for one in inside:
                if (
                    isinstance(one, np.ndarray)
                    and one.size <= _WATCHED
                    and one.dtype.kind in "fiub"
                ):
                    yield one

    def _is_changed(self) -> bool:
        return any(_sum(a) != before for a, before in zip(self.arrays, self.sums, strict=True))


def _sum(array: Any) -> tuple[Any, float]:
    with np.errstate(all="ignore"):
        return array.shape, float(np.sum(array, dtype=float))


def _object(handle: codec.Handle | codec.Function) -> Any:
    if isinstance(handle, codec.Function):
        return ("function", handle.name)
    return ("object", handle.type_name)
