"""Run checks again with stand-ins for wrong functions, to see what still fails.

A stand-in answers what the solved notebook answers. Only values travel: the stand-in reports its
arguments, the solved notebook is called in its own process, and the checks run again from the start
with one more answer. No code of the solution enters the student's process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from grader.errors import GraderFault, Missing, StudentFault
from grader.records import Exercise, Outcome
from grader.session import Session
from grader.session.recordings import CheckName
from grader.session.student import Student, wire_of
from grader.suite import CheckedSession, CheckJob, Suite

MAX_ROUNDS = 24
"""Runs of one exercise: each adds the answers to the last calls."""
MAX_ASKED = 200
"""Answers of all stand-ins together; a training would need thousands."""
MOST_SENT = 10_000
TIMES_SENT = 3
"""Requests and calls back of all runs together: so many, or else this many times what the failed
checks have sent. A check with a numerical gradient sends thousands in each run."""


class StandIns:
    """Runs checks of an assignment with stand-ins.

    references : sessions on the solved notebooks, by name
    """

    def __init__(self, suite: Suite, references: Mapping[str, Session]) -> None:
        self.suite = suite
        self.references = references

    def looks(
        self,
        job: CheckJob,
        exercise: Exercise,
        *,
        failed: Collection[Outcome],
        gives_points: bool = False,
    ) -> Looks:
        """Return the runs of an exercise's failed checks with stand-ins.

        gives_points : whether points depend on the first set of functions: then the requests for
            that set have no limit of their own
        """
        names = [(outcome.exercise, outcome.name) for outcome in failed]
        most = max(MOST_SENT, TIMES_SENT * sum(one.requests + one.calls for one in failed))
        again = replace(job, skip={}, only=[exercise.id], checks=names)
        return Looks(self, again, exercise, most=most, gives_points=gives_points)

    def answers(self, exercise: Exercise, asked: Sequence[Any]) -> list[Any]:
        """Return each call with the solved notebook's answer: value, changed state, arguments."""
        limit_s = self.suite.assignment.limits.check_s
        own = [c.reply_mib for c in self.suite.checks if c.exercise.id == exercise.id]
        reply_mib = max((one for one in own if one is not None), default=None)
        answered = []
        session = self.references[exercise.notebook]
        with session.student(limit_s=limit_s, reply_mib=reply_mib) as solved:
            _run(solved, _ASK)
            for call in asked:
                value = solved["_ask_right"](*call)
                if type(value) is not list or len(value) != 3:
                    raise ValueError("not a plain value")
                answered.append([*call, *value])
        return answered


class Looks:
    """Runs of one exercise's checks with stand-ins, for one set of functions after the other.

    Each set is tried once. The first one may take MAX_ROUNDS, all further ones together as many:
    they start with the answers that are known, and so take about one round each.

    most : requests and calls back in all runs together; gives_points : see StandIns.looks()
    """

    def __init__(
        self,
        stand_ins: StandIns,
        job: CheckJob,
        exercise: Exercise,
        *,
        most: float,
        gives_points: bool = False,
    ) -> None:
        self.stand_ins = stand_ins
        self.job = job
        self.exercise = exercise
        self.most = most
        self._left = math.inf if gives_points else most
        self._answers: list[Any] = []
        self._rounds = MAX_ROUNDS
        self._seen: dict[frozenset[str], dict[str, Outcome] | None] = {}

    def outcomes(self, names: Collection[str]) -> Mapping[str, Outcome] | None:
        """Return the outcomes with these functions right, by check; None if that can't be decided.

        names : qualified names of functions
        """
        key = frozenset(names)
        if key not in self._seen:
            first = not self._seen
            self._seen[key] = self._tried(sorted(key))
            if first:
                self._rounds = MAX_ROUNDS
                self._left = min(self._left, self.most)
        return self._seen[key]

    def _tried(self, names: Sequence[str]) -> dict[str, Outcome] | None:
        notebook, job = self.exercise.notebook, self.job
        if notebook not in self.stand_ins.references:
            return None
        # No answers of a function that the student's own code computes now.
        known = [answer for answer in self._answers if answer[0] in names]
        suite = self.stand_ins.suite
        stand_ins = _StandIns(job.sessions[notebook], names, lambda: suite.running, known)
        again = replace(job, sessions={**_plain(job.sessions), notebook: stand_ins})
        done: dict[str, Outcome] = {}
        try:
            while self._rounds:
                self._rounds -= 1
                stand_ins.begin(self._left)
                outcomes = suite.run(again)
                self._left = stand_ins.left
                if stand_ins.lost or any(outcome.fault for outcome in outcomes):
                    return None
                done |= {outcome.name: outcome for outcome in outcomes}
                if not stand_ins.asked:
                    return done
                # The others would end again as they did.
                again = replace(again, checks=[*stand_ins.asking])
                if len(stand_ins.answers) + len(stand_ins.asked) > MAX_ASKED:
                    return None
                answered = self.stand_ins.answers(self.exercise, stand_ins.asked)
                stand_ins.answers += answered
                self._answers += answered
        except (StudentFault, GraderFault, Missing, OSError, ValueError, TypeError, KeyError):
            return None  # the solved notebook can't answer this call
        return None


def _plain(sessions: Mapping[str, CheckedSession]) -> dict[str, CheckedSession]:
    return {name: sessions[name] for name in sessions}


# --- stand-ins: they replace functions in the student's process ---------------------------


@dataclass
class _StandIns:
    """A session whose students have stand-ins for some functions.

    answers : known answers, [name, state, args, kwargs, value, new state, changed arguments]
    running : returns the check that runs
    left : how many more requests and calls back there may be
    asked : calls without an answer, [name, state, args, kwargs]; asking : the checks that made them
    lost : one could not be reported, or a check did not end before it had sent all that it may
    """

    session: CheckedSession
    names: Sequence[str]
    running: Callable[[], CheckName | None]
    answers: list[Any] = field(default_factory=list)
    left: float = math.inf
    asked: list[Any] = field(default_factory=list)
    asking: set[CheckName] = field(default_factory=set)
    lost: bool = False

    def begin(self, left: float) -> None:
        """Begin another round."""
        self.left, self.asked, self.asking, self.lost = left, [], set(), False

    @property
    def missed(self) -> bool:
        """Whether the check has to run again: session/kept_session.py."""
        return getattr(self.session, "missed", False)

    @contextmanager
    def student(self, *, limit_s: float, reply_mib: int | None = None) -> Iterator[Student]:
        with self.session.student(limit_s=limit_s, reply_mib=reply_mib) as student:
            student["_right_answers"] = self.answers
            student["_stood_in"] = [*self.names]
            _run(student, _STAND_IN)
            wire = wire_of(student)
            begun = wire.requests
            wire.most_requests = begun + max(0, self.left)
            try:
                yield student
            finally:
                self.left -= wire.requests - begun + wire.calls
                self.lost = self.lost or wire.was_refused
                wire.most_requests = math.inf
                self._listen(student)

    def _listen(self, student: Student) -> None:
        """Collect the calls of the stand-ins: claims of the student's process, so few count."""
        try:
            told = student.value("_asked_for")
        except (StudentFault, Missing, GraderFault):
            return  # the process has ended, and its check has failed by itself
        if type(told) is not list:
            self.lost = True
            return
        for call in told[:MAX_ASKED]:
            if _is_call(call, self.names):
                self.asked.append(call)
                self.asking |= {self.running() or ("", "")}
            else:
                self.lost = True


def _is_call(call: Any, names: Sequence[str]) -> bool:
    return (
        type(call) is list
        and len(call) == 4
        and call[0] in names
        and (call[1] is None or _is_keyed(call[1]))
        and type(call[2]) is list
        and _is_keyed(call[3])
    )


def _is_keyed(value: Any) -> bool:
    return type(value) is dict and all(type(k) is str and k.isidentifier() for k in value)


def _run(student: Student, source: str) -> None:
    student["__builtins__"].exec(f"import __main__\nexec({source!r}, vars(__main__))\n", {})


_PLAIN = """
import numpy as _numpy

def _is_plain(value, depth=0):
    if value is None or type(value) in (bool, int, float, str):
        return True
    if isinstance(value, (_numpy.ndarray, _numpy.generic)):
        return value.dtype.kind in "biufc"
    if type(value) in (list, tuple):
        return depth < 4 and all(_is_plain(one, depth + 1) for one in value)
    if type(value) is dict:
        keys = all(type(key) is str for key in value)
        return depth < 4 and keys and all(_is_plain(one, depth + 1) for one in value.values())
    return False

def _is_same(a, b):
    if isinstance(a, (_numpy.ndarray, _numpy.generic)):
        if not isinstance(b, (_numpy.ndarray, _numpy.generic)) or a.shape != b.shape:
            return False
        if a.dtype != b.dtype:
            return False
        return bool(_numpy.all((a == b) | ((a != a) & (b != b))))
    if type(a) is not type(b):
        return False
    if type(a) in (list, tuple):
        return len(a) == len(b) and all(_is_same(x, y) for x, y in zip(a, b))
    if type(a) is dict:
        return a.keys() == b.keys() and all(_is_same(a[key], b[key]) for key in a)
    return a == b

def _state_of(one):
    return {name: value for name, value in vars(one).items() if _is_plain(value)}

def _unlike(before, after):
    same = {key for key in before if key in after and _is_same(before[key], after[key])}
    return {key: value for key, value in after.items() if key not in same}
"""

_STAND_IN = (
    _PLAIN
    + """
import copy as _copy
import functools as _functools

_asked_for = []

class _NotAnswered(BaseException):
    pass

def _become(one, after):
    # Give an argument another value in place, as the function does; return whether that can be.
    if isinstance(one, _numpy.ndarray):
        fits = isinstance(after, _numpy.ndarray) and one.shape == after.shape
        if fits:
            one[...] = after
        return fits
    if type(one) is not type(after) or type(one) not in (list, dict, tuple):
        return False
    if type(one) is tuple:
        return all([_become(x, y) or _is_same(x, y) for x, y in zip(one, after)])
    if type(one) is list and len(one) != len(after):
        one[:] = _copy.deepcopy(after)
        return True
    for key in [key for key in one if key not in after] if type(one) is dict else ():
        del one[key]
    for key, value in after.items() if type(one) is dict else enumerate(after):
        if not (type(one) is list or key in one) or not _become(one[key], value):
            one[key] = _copy.deepcopy(value)
    return True

def _stand_in(name, known, asked):
    method = "." in name
    def answer(*args, **kwargs):
        me = args[0] if method else None
        state = _state_of(me) if method else None
        given = [*(args[1:] if method else args)]
        for other, before, theirs, named, value, after, passed in known:
            if other == name and _is_same([state, given, kwargs], [before, theirs, named]):
                for key, changed in (after or {}).items():
                    setattr(me, key, _copy.deepcopy(changed))
                called = {**{str(n): one for n, one in enumerate(given)}, **kwargs}
                if all([_become(called[key], one) for key, one in passed.items()]):
                    return _copy.deepcopy(value)
                asked.append(None)
                raise _NotAnswered(name)
        if _is_plain(given) and _is_plain(kwargs):
            asked.append(_copy.deepcopy([name, state, given, kwargs]))
        else:
            asked.append(None)
        raise _NotAnswered(name)
    return answer

def _put_stand_ins():
    for name in _stood_in:
        owner, _, last = name.rpartition(".")
        place = globals()
        if owner:
            holder = globals().get(owner)
            if isinstance(holder, type):
                setattr(holder, last, _stand_in(name, _right_answers, _asked_for))
        else:
            place[last] = _stand_in(name, _right_answers, _asked_for)

_put_stand_ins()
"""
)

_ASK = (
    _PLAIN
    + """
def _ask_right(name, state, args, kwargs):
    import copy
    owner, _, last = name.rpartition(".")
    called = {**{str(n): one for n, one in enumerate(args)}, **kwargs}
    before = copy.deepcopy([state, called])
    if not owner:
        value, changed = globals()[last](*args, **kwargs), None
    else:
        holder = globals()[owner]
        me = object.__new__(holder)
        vars(me).update(state)
        value = getattr(me, last)(*args, **kwargs)
        changed = _unlike(before[0], _state_of(me))
    passed = _unlike(before[1], called)
    if not _is_plain([value, passed]):
        return None
    return [value, changed, passed]
"""
)
