"""Replay the requests of checks on many wrong solutions, in few forks of the solved notebook."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from grader.diagnosis import traces
from grader.diagnosis.known import MAX_ANSWERS
from grader.diagnosis.traces import Print, differing
from grader.errors import Missing, StudentFault
from grader.in_kernel import codec, replaying
from grader.session import Session
from grader.session.callbacks import CheckFunctions
from grader.session.recordings import answer_of
from grader.session.student import Student
from grader.tracing import Asked

LEAST_S = 0.5
PATIENCE = 5.0
"""A mistake may take this many times the seconds of the solution's slowest recording."""
CALLS = 20
MORE_CALLS = 500
"""A mistake may call a check's functions CALLS times as often as the solution, plus MORE_CALLS:
otherwise an endless search would wait for their results until the wall-clock limit."""
FOR_WAITING = replaying.FOR_WAITING
AT_ONCE = 60
"""Mistakes that are replayed in one fork."""
BUDGET_S = 4.0
"""Seconds for one fork; the remaining mistakes go to the next."""


class Work(NamedTuple):
    """The cost of a recording.

    lines : of Python, the same on every machine; seconds : processor time
    calls : of the check's own functions
    """

    lines: int
    seconds: float
    calls: int = 0


class Replays:
    """Replays the recordings of one seed on many mistakes, in forks of the solved notebook.

    work : the cost of each recording, if it is known
    least_s : the limit of a recording's processor time is at least this
    """

    def __init__(
        self,
        session: Session,
        asked: Sequence[Asked],
        seed: int,
        work: Sequence[Work] | None = None,
        *,
        least_s: float = LEAST_S,
    ) -> None:
        self.session = session
        self.asked = asked
        self.seed = seed
        self.frames = [
            [np.frombuffer(request, np.uint8) for request in one.recordings[seed].requests]
            for one in asked
        ]
        self.callers = [_caller(one.recordings[seed].functions) for one in asked]
        slowest = max((one.seconds for one in (work or asked)), default=0.0)
        self.limit_s = max(least_s, PATIENCE * slowest)
        self.most_calls = (
            [sys.maxsize] * len(asked)
            if work is None
            else [CALLS * one.calls + MORE_CALLS for one in work]
        )

    def work(self) -> list[Work]:
        """Return the cost of each recording on the solved notebook.

        It is infinite if the process ends during the recording.
        """
        found: list[Work] = []
        while len(found) < len(self.asked):
            try:
                with self._begun() as student:
                    for number in range(len(found), len(self.asked)):
                        found.append(Work(*student._grade_work(number)))
            except (StudentFault, Missing):
                found.append(Work(sys.maxsize, math.inf))
        return found

    def wrong(
        self, patches: Sequence[str], wanted: Sequence[Sequence[int]]
    ) -> list[dict[int, dict[int, Print]]]:
        """Return each patch's answers that differ from the solution's, by recording."""
        found: list[dict[int, dict[int, Print]]] = []
        at_once = AT_ONCE
        while len(found) < len(patches):
            here = slice(len(found), len(found) + at_once)
            replies = self._replayed(patches[here], wanted[here])
            if replies is None and at_once > 1:
                at_once = 1  # one of them ends the process: find out which
                continue
            # None: this mistake ends the process, and has no answers.
            for numbers, answers in zip(wanted[here], replies or [None], strict=False):
                found.append(self._differing(numbers, answers or []))
            at_once = AT_ONCE if at_once > 1 or len(found) % AT_ONCE == 0 else 1
        return found

    def _replayed(
        self, patches: Sequence[str], wanted: Sequence[Sequence[int]]
    ) -> list[Any] | None:
        """Return the replies of the fork for the first patches; None if it has ended."""
        try:
            with self._begun() as student:
                numbers = [list(one) for one in wanted]
                replies = student._grade_replay(list(patches), numbers)
        except (StudentFault, Missing):
            return None
        return replies if isinstance(replies, list) and replies else None

    @contextmanager
    def _begun(self) -> Iterator[Student]:
        with self.session.student(limit_s=BUDGET_S + 2 * FOR_WAITING * self.limit_s + 10) as one:
            one["__builtins__"].exec(_BEGIN, {"_sources": list(_sources())})
            one._grade_begin(self.frames, self.callers, self.limit_s, BUDGET_S, self.most_calls)
            yield one

    def _differing(
        self, numbers: Sequence[int], answers: Sequence[Any]
    ) -> dict[int, dict[int, Print]]:
        found = {}
        for number, prints in zip(numbers, answers, strict=False):
            expected = self.asked[number].expected[self.seed]
            got = [Print(p[0], p[1], tuple(p[2]), p[3], p[4]) for p in prints]
            wrong = differing(expected.answers, got, noisy=expected.noisy)
            if wrong:
                found[number] = dict(sorted(wrong.items())[:MAX_ANSWERS])
        return found


_BEGIN = """
def _begin(sources, main):
    import sys, types
    for name, source in sources:
        module = types.ModuleType(name)
        sys.modules[name] = module
        exec(compile(source, name, "exec"), vars(module))
    traces, replaying = (sys.modules[name] for name, _ in sources)
    def fingerprints(operation, reply):
        p = traces.print_of(operation, reply)
        return [p.form, p.shapes, list(p.sums), p.single, p.weight]
    def begin(recordings, callers, limit_s, budget_s, most_calls):
        del main["_grade_begin"]
        limits = limit_s, budget_s, most_calls
        held.append(replaying.Replayer(main, recordings, callers, fingerprints, *limits))
        main["_grade_replay"], main["_grade_work"] = replay, work
    def replay(patches, wanted):
        del main["_grade_replay"], main["_grade_work"]
        return held[0].replay(patches, wanted)
    def work(number):
        found = held[0].work(number)
        main["_grade_work"] = work  # it was removed with the new names of the notebook
        return found
    held = []
    main["_grade_begin"] = begin
import __main__
_begin(_sources, vars(__main__))
"""


def _caller(functions: CheckFunctions | None) -> Callable[..., list[Any]] | None:
    """Return a function that answers calls of a recording's functions; None if it has none.

    The number -1 means that a request begins.
    """
    if functions is None:
        return None

    def answer(number: Any, kwargs: Any, *args: Any) -> list[Any]:
        if number == -1:
            functions.begin_again()
            return []
        # A mistake may call it with arguments that overflow: that warning must not be shown.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return answer_of(functions, [number, kwargs, *args])
            except codec.MalformedFrame:
                return ["raised", 0, "RuntimeError", []]

    return answer


@cache
def _sources() -> tuple[tuple[str, str], ...]:
    """Return the modules' texts that the fork executes: the sandbox can't import our modules."""
    return tuple(
        (
            f"_grade_{module.__name__.rpartition('.')[2]}",
            Path(module.__file__ or "").read_text("utf-8"),
        )
        for module in (traces, replaying)
    )
