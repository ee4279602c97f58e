"""Ask a submission's process the questions that a failing check asks the solved notebook.

    outcomes = tracer.traced(job, outcomes)

A failing check stops at its first wrong answer. So its whole recording on the solved notebook is
replayed in a fresh process, at two seeds, or at four if it gives only a number or two. The answers
go with the outcome: they name a known mistake, or group submissions with the same answers. They
never change points.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from grader.diagnosis.known import MAX_ANSWERS, CheckName, Expected
from grader.diagnosis.traces import (
    LEAST_EVIDENCE,
    Print,
    differing,
    evidence_in_all,
    print_of,
    text_of,
)
from grader.errors import GraderFault, Missing, StudentFault
from grader.records import Outcome
from grader.session import Session
from grader.session.recordings import Recorder, Recording, replay
from grader.session.student import Student, wire_of
from grader.suite import CheckedSession, CheckJob, Suite

SECOND_SEED = 1_000_003
"""The second seed is the run's seed plus this, the third one plus twice this."""
MORE_SEEDS = 2
"""Further seeds of a check whose answers are too few numbers to name a mistake at two."""
QUICK_S = 0.2
"""A check whose recording takes longer on the solved notebook gets no further seeds."""
LIMIT_S = 3.0
"""Limit of one replay; a submission that takes longer gets no trace."""
BUDGET_S = 20.0
"""Limit of all replays of one submission together, computing or sleeping."""
SLOW_S = 2.0
"""Limit of a check's recording on the solved notebook; a longer one is not replayed."""

_OTHER_DRAWS = """
import random
random.seed(20260)
try:
    import numpy
    numpy.random.seed(20260)
except Exception:
    pass
"""


def second_seed(seed: int) -> int:
    return seed + SECOND_SEED


@dataclass(frozen=True)
class Asked:
    """A check's recording at each seed, and the solved notebook's answers.

    seconds : for which the solved notebook's process computes or sleeps in one replay
    """

    recordings: tuple[Recording, ...]
    expected: tuple[Expected, ...]
    seconds: float


def record(
    suite: Suite, notebook: str, session: Session, *, seed: int, only: Collection[str]
) -> dict[CheckName, Asked]:
    """Return the requests of some exercises' checks, and the solved notebook's answers.

    session : on the solved notebook
    """

    def recorded(one: int, checks: Collection[CheckName] = ()) -> Mapping[CheckName, Recording]:
        recorder = Recorder(session, lambda: suite.running)
        suite.run(
            CheckJob(
                sessions={notebook: recorder},
                seed=one,
                only=only,
                checks=checks,
                reference=lambda name: session,
            )
        )
        return recorder.recordings

    first, second = recorded(seed), recorded(second_seed(seed))
    asked = {
        check: _answered(session, (recording, second[check]))
        for check, recording in first.items()
        if check in second
    }
    few = [check for check, one in asked.items() if _needs_more(one)]
    for number in range(2, 2 + MORE_SEEDS) if few else ():
        for check, recording in recorded(seed + number * SECOND_SEED, few).items():
            one = asked[check]
            if check in few and len(one.recordings) == number:
                more = _answered(session, (recording,))
                asked[check] = Asked(
                    (*one.recordings, *more.recordings),
                    (*one.expected, *more.expected),
                    max(one.seconds, more.seconds),
                )
    return asked


def _answered(session: CheckedSession, recordings: tuple[Recording, ...]) -> Asked:
    expected, seconds = [], []
    for recording in recordings:
        answers, used_s = _answers_in(session, recording, "", limit_s=LIMIT_S)
        seconds.append(used_s)
        again = answers_of(session, recording, _OTHER_DRAWS)
        noisy = frozenset(differing(answers, again))
        expected.append(Expected(tuple(answers), noisy))
    return Asked(recordings, tuple(expected), max(seconds))


def _needs_more(asked: Asked) -> bool:
    """Tell whether further seeds give enough evidence for a name, where two seeds do not."""
    if asked.seconds > QUICK_S:
        return False
    answers = [dict(enumerate(one.answers)) for one in asked.expected]
    evidence = evidence_in_all(answers)
    # Equal answers at both seeds: a check that draws nothing gives the same at any other seed.
    at_one = evidence_in_all(answers[:1])
    grows = evidence - at_one
    return evidence < LEAST_EVIDENCE <= evidence + MORE_SEEDS * grows


def answers_of(
    session: CheckedSession, recording: Recording, patch: str, *, limit_s: float = LIMIT_S
) -> list[Print]:
    """Return the fingerprints of a process's answers to a recording.

    patch : statements that run first, in a fresh copy of the notebook's state
    Raises GraderFault if they fail.
    """
    return _answers_in(session, recording, patch, limit_s=limit_s)[0]


def _answers_in(
    session: CheckedSession, recording: Recording, patch: str, *, limit_s: float
) -> tuple[list[Print], float]:
    """Return the answers, and the seconds that the process computed or slept."""
    answers, used_s = _answers_once(session, recording, patch, limit_s)
    if getattr(session, "missed", False):  # it was not asked before: a process answers
        answers, used_s = _answers_once(session, recording, patch, limit_s)
    return answers, used_s


def _answers_once(
    session: CheckedSession, recording: Recording, patch: str, limit_s: float
) -> tuple[list[Print], float]:
    with session.student(limit_s=limit_s, reply_mib=recording.reply_mib) as student:
        if patch:
            put_in_place(student, patch)
        # One after the other, so as not to hold a hundred large answers at once.
        replies = replay(student, recording)
        answers = [
            print_of(operation, reply)
            for operation, reply in zip(recording.operations, replies, strict=False)
        ]
        return answers, wire_of(student).deadline.used_s()


def put_in_place(student: Student, patch: str) -> None:
    source = f"import __main__\nexec({patch!r}, vars(__main__))\n"
    try:
        student["__builtins__"].exec(source, {})
    except (StudentFault, Missing) as error:
        raise GraderFault(f"a known mistake can't be put in place: {error}") from error


class Tracer:
    """The requests of an assignment's checks at one seed, recorded when the first check fails.

    references : sessions on the solved notebooks, by name
    """

    def __init__(self, suite: Suite, references: Mapping[str, Session]) -> None:
        self.suite = suite
        self.references = references
        self._asked: dict[tuple[int, str], dict[CheckName, Asked]] = {}

    def traced(self, job: CheckJob, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return the outcomes, failing ones with their wrong answers where there is a solution.

        An error here never changes a verdict.
        """
        left_s = BUDGET_S
        found = []
        for outcome in outcomes:
            trace = ""
            if job.reference is not None and _is_wrong(outcome) and left_s > 0:
                try:
                    trace, used_s = self._trace(job, outcome)
                    left_s -= used_s
                except (GraderFault, StudentFault, Missing, OSError, KeyError):
                    left_s -= LIMIT_S
            found.append(replace(outcome, trace=trace or outcome.trace, requests=0, calls=0))
        return found

    def _trace(self, job: CheckJob, outcome: Outcome) -> tuple[str, float]:
        """Return the wrong answers as a text, and the seconds that the replay took."""
        exercises = {e.id: e for e in self.suite.assignment.exercises}
        notebook = exercises[outcome.exercise].notebook
        session = job.sessions[notebook]
        one = self.asked(job.seed, notebook, outcome.exercise).get((outcome.exercise, outcome.name))
        if one is None or one.seconds > SLOW_S:
            return "", 0.0
        traces, used_s = [], 0.0
        for recording, expected in zip(one.recordings, one.expected, strict=True):
            limit_s = LIMIT_S + 5 * one.seconds
            got, seconds = _answers_in(session, recording, "", limit_s=limit_s)
            used_s += seconds
            wrong = differing(expected.answers, got, noisy=expected.noisy)
            traces.append(dict(sorted(wrong.items())[:MAX_ANSWERS]))
        return text_of(traces, seen=outcome.requests) if any(traces) else "", used_s

    def asked(self, seed: int, notebook: str, exercise: str) -> Mapping[CheckName, Asked]:
        """Return what an exercise's checks ask, and what the solved notebook answers."""
        key = seed, exercise
        if key not in self._asked:
            self._asked[key] = record(
                self.suite, notebook, self.references[notebook], seed=seed, only=[exercise]
            )
        return self._asked[key]


def _is_wrong(outcome: Outcome) -> bool:
    """Tell whether a check refused an answer, or the student's code raised in it."""
    judged = outcome.outcome in ("failed", "error")
    return judged and not (outcome.missing or outcome.fault or outcome.suspect)
