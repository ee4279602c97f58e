"""Tells a mistake of one exercise from its echo in another, which builds on it.

    outcomes = Echoes(suite, references).told(job, outcomes, notebooks)

Where a check fails, and the exercise's functions call one that another exercise scores and that
lost points there, the check runs once more with a stand-in for that function: it answers what the
solved notebook answers. Only values travel: the stand-in tells what it was called with, the
solved notebook is asked in its own process, and the check runs again from the start with one
answer more. Where it then holds, the message says so; where the sheet lets points follow through
(`follows` in assignment.toml), they are given as if the other function were right.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from grader.errors import GraderFault, Missing, StudentFault
from grader.records import Assignment, Exercise, Notebook, Outcome
from grader.session import Session
from grader.session.student import Student
from grader.suite import CheckedSession, CheckJob, Suite

MAX_ROUNDS = 24
"""Of one exercise: each gives the stand-ins the answers to what they were asked last."""
MAX_ASKED = 200
"""Answers of all stand-ins together: a training would ask for thousands."""

QUICK_S = 2.0
"""Of an exercise's checks together."""

FOLLOWED = "points are given as if "
"""Stands in the message of a check whose points follow through."""

_EPSILON = 1e-9


@dataclass(frozen=True)
class BuiltOn:
    """What an exercise's functions call of another one that lost points.

    functions : qualified names; empty : none of the other's gaps is filled in
    """

    exercise: Exercise
    functions: tuple[str, ...]
    empty: bool

    @property
    def text(self) -> str:
        names = " and ".join(f"`{name.rpartition('.')[2]}`" for name in self.functions)
        state = "is not filled in yet" if self.empty else "failed"
        return f"builds on {names} ({self.exercise.id}), which {state}: look there first"


class Echoes:
    """Tells what failed for another exercise's sake, of submissions of one assignment.

    references : sessions on the solved notebooks, by name
    """

    def __init__(self, suite: Suite, references: Mapping[str, Session]) -> None:
        self.suite = suite
        self.assignment: Assignment = suite.assignment
        self.references = references

    def told(
        self, job: CheckJob, outcomes: Sequence[Outcome], notebooks: Mapping[str, Notebook]
    ) -> list[Outcome]:
        """Return the outcomes, those of failing checks with what they build on.

        notebooks : as handed in, by the assignment's own names
        """
        found = [*outcomes]
        for exercise in self.assignment.exercises:
            mine = [n for n, one in enumerate(found) if one.exercise == exercise.id]
            echoes = [n for n in mine if _is_wrong(found[n])]
            notebook = notebooks.get(exercise.notebook)
            if not echoes or notebook is None or exercise.notebook not in job.sessions:
                continue
            built_on = self._built_on(exercise, notebook, outcomes)
            if not built_on:
                continue
            # Where no points hang on it, a check that takes long is not worth a second try.
            declared = all(one.exercise.id in exercise.follows for one in built_on)
            quick = sum(found[number].seconds for number in mine) < QUICK_S
            again = None
            # What draws has drawn when the cells ran: a stand-in comes too late for it.
            if (declared or quick) and not self._draws(exercise):
                again = self._with_stand_ins(job, exercise, built_on)
            for number in echoes:
                found[number] = _told(found[number], exercise, built_on, again)
        return found

    def _draws(self, exercise: Exercise) -> bool:
        solved = self.assignment.notebooks.get(exercise.notebook)
        definitions = {} if solved is None else solved.definitions
        return any(
            "plt." in definitions[name].source for name in exercise.functions if name in definitions
        )

    def _built_on(
        self, exercise: Exercise, notebook: Notebook, outcomes: Sequence[Outcome]
    ) -> list[BuiltOn]:
        """Return the other exercises that lost points, and whose functions this one's call."""
        called = names_called(notebook, exercise.functions) | {*exercise.needs}
        listed = []
        for other in self.assignment.exercises:
            own = set(exercise.functions)
            functions = [f for f in other.functions if f in called and f not in own]
            if other.id == exercise.id or other.notebook != exercise.notebook or not functions:
                continue
            theirs = [o for o in outcomes if o.exercise == other.id]
            if any(_is_wrong(o) or o.missing for o in theirs):
                empty = all(o.missing for o in theirs)
                listed.append(BuiltOn(other, tuple(functions), empty))
        return listed

    def _with_stand_ins(
        self, job: CheckJob, exercise: Exercise, built_on: Sequence[BuiltOn]
    ) -> dict[str, Outcome] | None:
        """Return the outcomes where the others are right, by check; None where that is open."""
        if exercise.notebook not in self.references:
            return None
        names = [name for one in built_on for name in one.functions]
        stand_ins = _StandIns(job.sessions[exercise.notebook], names)
        again = replace(
            job,
            sessions={**_plain(job.sessions), exercise.notebook: stand_ins},
            skip={},
            only=[exercise.id],
        )
        try:
            for _ in range(MAX_ROUNDS):
                stand_ins.asked, stand_ins.lost = [], False
                outcomes = self.suite.run(again)
                if stand_ins.lost or any(outcome.fault for outcome in outcomes):
                    return None
                if not stand_ins.asked:
                    return {outcome.name: outcome for outcome in outcomes}
                if len(stand_ins.answers) + len(stand_ins.asked) > MAX_ASKED:
                    return None
                stand_ins.answers += self._answers(exercise.notebook, stand_ins.asked)
        except (StudentFault, GraderFault, Missing, OSError, ValueError, TypeError, KeyError):
            return None  # what a stand-in was asked can't be asked of the solved notebook
        return None

    def _answers(self, notebook: str, asked: Sequence[Any]) -> list[Any]:
        """Return each call with what the solved notebook answers: a value, and a changed state."""
        limit_s = self.assignment.limits.check_s
        answered = []
        with self.references[notebook].student(limit_s=limit_s) as solved:
            _run(solved, _ASK)
            for call in asked:
                value = solved["_ask_right"](*call)
                if type(value) is not list or len(value) != 2:
                    raise ValueError("no plain value")
                answered.append([*call, *value])
        return answered


def names_called(notebook: Notebook, functions: Collection[str]) -> set[str]:
    """Return the qualified names of all that these functions call, and what that calls in turn.

    `self.name` is the method of the function's own class, or of the class that it extends; of
    any other object's attribute each method of that name counts.
    """
    methods: dict[str, set[str]] = {}
    for name in notebook.definitions:
        methods.setdefault(name.rpartition(".")[2], set()).add(name)
    seen: set[str] = set()
    waiting = [*functions]
    while waiting:
        definition = notebook.definitions.get(waiting.pop())
        if definition is None:
            continue
        for name, of_self in _names_in(definition.source):
            own = _method_of(notebook, definition.name.rpartition(".")[0], name) if of_self else ""
            new = ({own} if own else methods.get(name, set())) - seen - {definition.name}
            seen |= new
            waiting += new
    return seen


def _method_of(notebook: Notebook, owner: str, name: str) -> str:
    """Return the qualified name of a class's own or inherited method, "" where it has none."""
    waiting, seen = [owner], set[str]()
    while waiting:
        one = waiting.pop(0)
        if not one or one in seen:
            continue
        seen.add(one)
        if f"{one}.{name}" in notebook.definitions:
            return f"{one}.{name}"
        if one in notebook.definitions:
            waiting += _bases_in(notebook.definitions[one].source)
    return ""


def _bases_in(source: str) -> list[str]:
    """Return the names of the classes that a class extends, in order."""
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.ClassDef):
            return [base.id for base in node.bases if isinstance(base, ast.Name)]
    return []


def _names_in(source: str) -> Iterator[tuple[str, bool]]:
    """Give each name that is read, and each attribute; whether it is one of `self`."""
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, False
        elif isinstance(node, ast.Attribute):
            yield node.attr, isinstance(node.value, ast.Name) and node.value.id == "self"


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _told(
    outcome: Outcome,
    exercise: Exercise,
    built_on: Sequence[BuiltOn],
    again: Mapping[str, Outcome] | None,
) -> Outcome:
    """Return the outcome with what it builds on; with the points that follow through."""
    line = "; ".join(one.text for one in built_on)
    if again is None:
        return _with(outcome, line, outcome)
    better = again.get(outcome.name)
    if better is None:
        return outcome
    if better.credit <= outcome.credit + _EPSILON:
        # It is wrong by itself, too: what is said of that where the other is right is clearer.
        if better.outcome != outcome.outcome or better.message == outcome.message:
            return outcome
        return _with(outcome, f"{line}\nWith a right one:", better)
    if any(one.exercise.id not in exercise.follows for one in built_on):
        return _with(outcome, line, outcome)
    names = ", ".join(one.exercise.id for one in built_on)
    # The answers that are wrong are the other exercise's.
    given = replace(outcome, outcome=better.outcome, credit=better.credit, trace="")
    return _with(given, f"{line}; {FOLLOWED}{names} were right", better)


def _with(outcome: Outcome, line: str, said: Outcome) -> Outcome:
    """Return the outcome with a line and what another one says; that one may have passed."""
    return replace(
        outcome,
        message=f"{line}\n{said.message}".rstrip(),
        # What the solved notebook answers is nothing that a student's code has said.
        for_students=f"{line}\n{said.for_students}".rstrip(),
    )


def _is_wrong(outcome: Outcome) -> bool:
    lost = outcome.credit < 1.0 - _EPSILON and outcome.max_points > 0
    judged = outcome.outcome in ("failed", "error")
    return judged and lost and not (outcome.missing or outcome.fault or outcome.suspect)


def _plain(sessions: Mapping[str, CheckedSession]) -> dict[str, CheckedSession]:
    return {name: sessions[name] for name in sessions}


# --- stand-ins: the student's process has them in place of its own functions ---------------


@dataclass
class _StandIns:
    """A session whose students have stand-ins for some functions.

    answers : [name, state, args, kwargs, value, new state] of what is known
    asked : calls without an answer, [name, state, args, kwargs]; lost : one could not be told
    """

    session: CheckedSession
    names: Sequence[str]
    answers: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    lost: bool = False

    @contextmanager
    def student(self, *, limit_s: float, reply_mib: int | None = None) -> Iterator[Student]:
        with self.session.student(limit_s=limit_s, reply_mib=reply_mib) as student:
            student["_right_answers"] = self.answers
            student["_stood_in"] = [*self.names]
            _run(student, _STAND_IN)
            try:
                yield student
            finally:
                self._listen(student)

    def _listen(self, student: Student) -> None:
        """Take up what the stand-ins were asked; a student's claims, of which few are believed."""
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
"""

_STAND_IN = (
    _PLAIN
    + """
import copy as _copy
import functools as _functools

_asked_for = []

class _NotAnswered(BaseException):
    pass

def _stand_in(name, known, asked):
    method = "." in name
    def answer(*args, **kwargs):
        me = args[0] if method else None
        state = _state_of(me) if method else None
        given = [*(args[1:] if method else args)]
        for other, before, theirs, named, value, after in known:
            if other == name and _is_same([state, given, kwargs], [before, theirs, named]):
                for key, changed in (after or {}).items():
                    setattr(me, key, _copy.deepcopy(changed))
                return _copy.deepcopy(value)
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
    owner, _, last = name.rpartition(".")
    if not owner:
        value, changed = globals()[last](*args, **kwargs), None
    else:
        holder = globals()[owner]
        me = object.__new__(holder)
        vars(me).update(state)
        import copy
        before = copy.deepcopy(state)
        value = getattr(me, last)(*args, **kwargs)
        after = _state_of(me)
        changed = {k: v for k, v in after.items() if not (k in before and _is_same(before[k], v))}
    if not _is_plain(value):
        return None
    return [value, changed]
"""
)
