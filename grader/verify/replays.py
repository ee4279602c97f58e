"""Asks what checks ask of many wrong solutions, in few forks of the solved notebook's process."""

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
"""A mistake may call a check's functions so many times as often as the solution, and so often more:
a search that never ends would wait for them until its time by the clock is over."""
FOR_WAITING = replaying.FOR_WAITING
AT_ONCE = 60
"""Mistakes that are asked in one fork."""
BUDGET_S = 4.0
"""Of one fork: what is left over goes to the next."""


class Work(NamedTuple):
    """What a recording takes: lines of Python, the same everywhere; seconds of a processor.

    calls : of the check's own functions
    """

    lines: int
    seconds: float
    calls: int = 0


class Replays:
    """Asks many mistakes what a seed's checks asked, in forks of the solved notebook's process.

    work : of each recording, where it is known
    least_s : of a processor, that a recording may take at the least
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
        """Return what each recording takes of the solved notebook.

        Where the process ends meanwhile, nobody knows: it is without end.
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
        """Return, for each patch, its answers that are not the solution's, by recording."""
        found: list[dict[int, dict[int, Print]]] = []
        at_once = AT_ONCE
        while len(found) < len(patches):
            here = slice(len(found), len(found) + at_once)
            told = self._replayed(patches[here], wanted[here])
            if told is None and at_once > 1:
                at_once = 1  # one of them ends the process: which?
                continue
            # None: the mistake itself ends the process, and has no answers.
            told = told or [None]
            for numbers, answers in zip(wanted[here], told, strict=False):
                found.append(self._differing(numbers, answers or []))
            at_once = AT_ONCE if at_once > 1 or len(found) % AT_ONCE == 0 else 1
        return found

    def _replayed(
        self, patches: Sequence[str], wanted: Sequence[Sequence[int]]
    ) -> list[Any] | None:
        """Return what the fork has told, of the first patches; None where it has ended."""
        try:
            with self._begun() as student:
                told = student._grade_replay(list(patches), [list(numbers) for numbers in wanted])
        except (StudentFault, Missing):
            return None
        return told if isinstance(told, list) and told else None

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
        for number, told in zip(numbers, answers, strict=False):
            expected = self.asked[number].expected[self.seed]
            got = [Print(p[0], p[1], tuple(p[2]), p[3], p[4]) for p in told]
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
        main["_grade_work"] = work  # as one of the notebook's new names it was taken away
        return found
    held = []
    main["_grade_begin"] = begin
import __main__
_begin(_sources, vars(__main__))
"""


def _caller(functions: CheckFunctions | None) -> Callable[..., list[Any]] | None:
    """Return what answers the calls of a recording's functions, None where it has none.

    Number -1 says that a request begins.
    """
    if functions is None:
        return None

    def answer(number: Any, kwargs: Any, *args: Any) -> list[Any]:
        if number == -1:
            functions.begin_again()
            return []
        # A mistake may call it where it overflows: that warning must not be shown.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return answer_of(functions, [number, kwargs, *args])
            except codec.MalformedFrame:
                return ["raised", 0, "RuntimeError", []]

    return answer


@cache
def _sources() -> tuple[tuple[str, str], ...]:
    """Return the texts that the fork runs: its closed process imports none of our modules."""
    return tuple(
        (
            f"_grade_{module.__name__.rpartition('.')[2]}",
            Path(module.__file__ or "").read_text("utf-8"),
        )
        for module in (traces, replaying)
    )
