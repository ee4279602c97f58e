"""Run the checks of a notebook's exercises on every mutant of the notebook.

A mutant needs no kernel of its own. The reference runs once. In the fork that a check gets, the
mutant's definition replaces the original before the check starts. Values that the notebook's cells
computed with the original (figures, trained weights) stay.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

from grader.checks import Counted, counted
from grader.errors import GraderFault, Missing, StudentError, StudentFault
from grader.in_kernel.codec import Handle
from grader.records import Outcome
from grader.session import Session
from grader.session.proxies import Function, Remote
from grader.session.student import Student
from grader.suite import CheckedSession, CheckJob, Suite
from grader.verify.mutants import Mutant
from grader.verify.patching import patch_source, raising_source
from grader.verify.perturbations import (
    AS_CALLED,
    NOT_SYMMETRIC,
    PERTURBATIONS,
    first_difference,
    generator_of,
    holds_symmetric,
    is_rounding,
    jittered,
    payload,
    perturb,
)
from grader.verify.samples import exercises_of, flat
from grader.verify.verdicts import MutantStatus, MutantVerdict

PATIENCE = 5.0
"""A check of a mutant may take this many times the seconds of the reference's slowest check."""

LEAST_LIMIT_S = 3.0
"""With a shorter limit, a busy machine would look like an endless loop."""

MAX_REQUESTS = 64
"""How many requests of a check are replayed: enough for every kind of call that it makes."""

PERTURBED = 6
"""In how many recordings the arguments are changed: checks of one function make similar calls."""


def run_mutants(
    suite: Suite,
    notebook: str,
    session: Session,
    mutants: Sequence[Mutant],
    *,
    step: Callable[[], None] = lambda: None,
) -> list[MutantVerdict]:
    """Return the verdict on each mutant, in order.

    session : on the solved notebook; it does not change
    step : called after each mutant
    """
    if not mutants:
        return []
    return _MutationRun(suite, notebook, session).run(mutants, step)


def put_in_place(student: Student, mutant: Mutant) -> None:
    """Replace the original function by a mutant, in one fork of the notebook's process.

    Raises GraderFault if that fails: it must not look like a mutant that was caught.
    """
    source = f"import __main__\nexec({patch_source(mutant)!r}, vars(__main__))\n"
    try:
        student["__builtins__"].exec(source, {})
    except (StudentFault, Missing) as error:
        raise GraderFault(f"mutant {mutant.id!r} can't be put in place: {error}") from error


@dataclass(frozen=True)
class _Named:
    """A function of the notebook that was passed as an argument."""

    path: str


@dataclass
class _Recording:
    """The requests that one check made to the reference.

    reply_mib : the limit of a reply; None for the assignment's limit
    requests : operation and arguments, of the first MAX_REQUESTS
    whole : False if there were more requests
    """

    exercise: str
    reply_mib: int | None = None
    requests: list[tuple[Any, ...]] = field(default_factory=list)
    whole: bool = True


class _Recorder:
    """A session that records the requests to its students."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.recordings: list[_Recording] = []
        self.exercise = ""

    @contextmanager
    def student(self, *, limit_s: float, reply_mib: int | None = None) -> Iterator[Student]:
        recording = _Recording(self.exercise, reply_mib)
        self.recordings.append(recording)
        with self.session.student(limit_s=limit_s, reply_mib=reply_mib) as student:
            wire = student._wire
            ask = wire.ask

            def recorded(called: Callable[[], str], operation: str, *arguments: Any) -> Any:
                if len(recording.requests) < MAX_REQUESTS:
                    recording.requests.append((operation, *_copied(arguments)))
                else:
                    recording.whole = False
                return ask(called, operation, *arguments)

            wire.ask = recorded  # type: ignore[method-assign]
            yield student


def _copied(value: Any) -> Any:
    """Return a copy of an argument; a reference into the process becomes a name or a handle."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        return type(value)(map(_copied, value))
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, np.random.Generator | np.random.RandomState | random.Random):
        return copy.deepcopy(value)
    if isinstance(value, Remote | Function):
        place = value._place
        return _Named(place.path) if place.base is None else Handle(place.base, "")
    return value


def _given(value: Any, student: Student) -> Any:
    """Return a copied argument for another process."""
    if isinstance(value, list | tuple):
        return type(value)(_given(item, student) for item in value)
    if isinstance(value, dict):
        return {key: _given(item, student) for key, item in value.items()}
    if isinstance(value, Counted):  # each replay counts from 0
        return counted(value.function, at_most=value.at_most)
    if isinstance(value, _Named):
        head, *rest = value.path.split(".")
        return reduce(getattr, rest, student[head])
    return value


@dataclass(frozen=True)
class _Bounded:
    """A session whose checks have a shorter time limit than the assignment's."""

    session: Session
    limit_s: float

    def student(self, *, limit_s: float, reply_mib: int | None = None) -> Any:
        return self.session.student(limit_s=min(limit_s, self.limit_s), reply_mib=reply_mib)


class _MutationRun:
    """Tries the mutants of one notebook, with what is known about its checks."""

    def __init__(self, suite: Suite, notebook: str, session: Session) -> None:
        assignment = suite.assignment
        self.suite = suite
        self.notebook = notebook
        self.session = session
        self.exercises = exercises_of(assignment, notebook)
        self.listing = {
            exercise.id: exercise.functions
            for exercise in assignment.exercises
            if exercise.id in self.exercises
        }
        self.limit_s = assignment.limits.check_s
        self.costs: dict[str, float] = {}
        self.accepted: set[tuple[str, str]] = set()
        self.recordings: list[_Recording] = []
        self.reaching: dict[str, list[int]] = {}
        self.expected: dict[tuple[int, str], list[Any]] = {}

    def run(self, mutants: Sequence[Mutant], step: Callable[[], None]) -> list[MutantVerdict]:
        """Run the checks on the reference, then on each mutant."""
        recorder = _Recorder(self.session)
        outcomes: list[Outcome] = []
        for exercise in self.exercises:
            recorder.exercise = exercise
            outcomes += self._run_checks(recorder, exercise, None)
        self.recordings = [recording for recording in recorder.recordings if recording.requests]
        self.costs = {
            exercise: sum(o.seconds for o in outcomes if o.exercise == exercise)
            for exercise in self.exercises
        }
        slowest = max((o.seconds for o in outcomes), default=0.0)
        self.limit_s = min(self.limit_s, max(LEAST_LIMIT_S, PATIENCE * slowest))
        # A check that refuses the reference itself catches nothing.
        self.accepted = {(o.exercise, o.name) for o in outcomes if o.outcome == "passed"}
        verdicts = []
        for mutant in mutants:
            verdicts.append(self._try(mutant))
            step()
        return verdicts

    def _run_checks(
        self, session: CheckedSession, exercise: str, patch: Callable[[Student], None] | None
    ) -> list[Outcome]:
        return self.suite.run(
            CheckJob(
                sessions={self.notebook: session},
                only=[exercise],
                patch=patch,
                reference=lambda name: self.session,
            )
        )

    def _try(self, mutant: Mutant) -> MutantVerdict:
        """Run the checks of the function's exercises, then the others that call it."""
        started = time.perf_counter()
        suspects: list[str] = []
        status: MutantStatus
        own = [e for e in self.exercises if mutant.function in self.listing[e]]
        lost = self._check(mutant, own, suspects)
        if not lost:
            lost = self._check(mutant, self._others(mutant, own), suspects)
        if lost:
            status = "timeout" if all(o.outcome == "timeout" for o in lost) else "caught"
            by, detail = f"{lost[0].exercise}, {lost[0].name}", flat(lost[0].message)
        else:
            by = ""
            status, detail = self._probe(mutant)
        seconds = time.perf_counter() - started
        return MutantVerdict(mutant, status, by, detail, suspects=tuple(suspects), seconds=seconds)

    def _check(
        self, mutant: Mutant, exercises: Sequence[str], suspects: list[str]
    ) -> list[Outcome]:
        """Return the outcomes that lost credit, of the first exercise with any; add suspects."""
        bounded = _Bounded(self.session, self.limit_s)
        for exercise in exercises:
            outcomes = self._run_checks(
                bounded, exercise, lambda student: put_in_place(student, mutant)
            )
            # A check that is broken on the solution as well is reported there.
            fault = next(
                (o for o in outcomes if o.fault and (o.exercise, o.name) in self.accepted), None
            )
            if fault is not None:
                raise GraderFault(f"{fault.exercise}, {fault.name}: {flat(fault.message)}")
            suspects += [
                f"{o.exercise}, {o.name}: {flat(o.message)}"
                for o in outcomes
                if o.suspect
                and (o.exercise, o.name) in self.accepted
                and not o.missing  # a mutant may lack a name that the solution has
            ]
            lost = [
                o
                for o in outcomes
                if o.points < o.max_points - 1e-9 and (o.exercise, o.name) in self.accepted
            ]
            if lost:
                return lost
        return []

    def _others(self, mutant: Mutant, own: Collection[str]) -> list[str]:
        """Return the other exercises whose checks call the function, the quick ones first."""
        reached = {
            self.recordings[number].exercise for number in self._recordings_that_reach(mutant)
        }
        reached |= {recording.exercise for recording in self.recordings if not recording.whole}
        return sorted(reached - {*own}, key=lambda exercise: self.costs[exercise])

    # --- survivors: does a mutant change a value? ---

    def _probe(self, mutant: Mutant) -> tuple[MutantStatus, str]:
        reaching = self._recordings_that_reach(mutant)
        if not reaching:
            return "unreached", "no check calls this function"
        probes = 0
        for variant in PERTURBATIONS:
            for number in reaching if variant == AS_CALLED else reaching[:PERTURBED]:
                if variant == NOT_SYMMETRIC and not self._sends_symmetric(number):
                    continue
                expected = self._expected(number, variant)
                got = self._replay(number, variant, mutant)
                probes += len(expected)
                index = first_difference(expected, got)
                if index is not None and not self._is_rounding(number, variant, index, got):
                    called = _shown(self.recordings[number].requests[index])
                    return "survived", f"differs at {called} {variant}"
        return "equivalent", f"{probes} probes"

    def _is_rounding(self, number: int, variant: str, index: int, got: list[Any]) -> bool:
        """Tell whether changed arguments amplify the last digits as far as the mutant does."""
        expected = self._expected(number, variant)
        if variant == AS_CALLED or index >= min(len(expected), len(got)):
            return False
        other = self._replay(number, variant, None, jitter=True)
        return index < len(other) and is_rounding(expected[index], got[index], other[index])

    def _sends_symmetric(self, number: int) -> bool:
        return any(holds_symmetric([*one]) for one in self.recordings[number].requests)

    def _recordings_that_reach(self, mutant: Mutant) -> list[int]:
        """Return the numbers of the recordings whose replies change if the function raises.

        Those with small arguments come first.
        """
        if mutant.function not in self.reaching:
            lost = _lost(mutant)
            reached = [
                number
                for number in range(len(self.recordings))
                if first_difference(
                    self._expected(number, AS_CALLED), self._replay(number, AS_CALLED, lost)
                )
                is not None
            ]
            self.reaching[mutant.function] = sorted(
                reached, key=lambda number: payload(self.recordings[number].requests)
            )
        return self.reaching[mutant.function]

    def _expected(self, number: int, variant: str) -> list[Any]:
        """Return the reference's replies to a variant of a recording."""
        key = number, variant
        if key not in self.expected:
            self.expected[key] = self._replay(number, variant, None)
        return self.expected[key]

    def _replay(
        self, number: int, variant: str, mutant: Mutant | None, *, jitter: bool = False
    ) -> list[Any]:
        """Return the replies to a recording's requests, up to the end of the process."""
        change, rng = PERTURBATIONS[variant], generator_of(variant)
        if jitter:
            change = jittered(change)
        replies: list[Any] = []
        recording = self.recordings[number]
        with self.session.student(limit_s=self.limit_s, reply_mib=recording.reply_mib) as student:
            if mutant is not None:
                put_in_place(student, mutant)
            for operation, *arguments in recording.requests:
                changed = _given(perturb(arguments, change, rng), student)
                try:
                    reply = student._wire.ask(lambda: "a probe", operation, *changed)
                    replies.append(_essence(operation, reply))
                except StudentError as error:
                    replies.append(("raised", error.kind))
                except Missing as error:
                    replies.append(("missing", error.problem))
                except StudentFault as error:
                    replies.append(("fault", type(error).__name__))
                    break
                except Exception as error:  # raised by a check's function that it called
                    replies.append(("raised by the check", type(error).__name__))
        return replies


def _lost(mutant: Mutant) -> Mutant:
    """Return a mutant whose function only raises, or whose variable is undefined."""
    source = raising_source(mutant.function)
    if "def " not in mutant.source:  # a variable
        source = f"globals().pop({mutant.function!r}, None)\n"
    return replace(mutant, id="", source=source)


def _essence(operation: str, reply: Any) -> Any:
    """Return a reply without the parts that differ from run to run."""
    if operation == "observe" and isinstance(reply, dict):
        stable = {key: reply[key] for key in ("value", "arguments", "warnings") if key in reply}
        error = reply.get("error")
        return _plain(stable) | {"error": error[0] if error else None}
    return _plain(reply)


def _plain(value: Any) -> Any:
    """Return a reply that can be compared: an object becomes its class."""
    if isinstance(value, Remote):
        return ("object", value.type_name)
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _shown(request: Sequence[Any]) -> str:
    """Return a request as a call without its arguments."""
    operation, *rest = request
    path = next((part for part in rest if isinstance(part, str)), "")
    if operation in ("call", "map", "observe"):
        return f"{path}(...)" if path else "a method's call"
    return f"{operation} {path}".rstrip()
