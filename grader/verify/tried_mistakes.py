"""Name the mistake behind wrong answers without a table of known mistakes.

    tried = TriedMistakes(suite, tracer, notebooks, seed=0)
    result = tried.explain(result)

This serves a single student or a small class. A table replays every mistake in every check. Here
only the mistakes of the failing function are replayed, in one failing check. The few mistakes with
the submission's answers are then replayed in all other checks, at both seeds. That takes a second
or two. Counts limit the work, so that a submission gets the same words on every machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from grader.diagnosis.known import CheckName, Known, Mistake
from grader.diagnosis.traces import LEAST_EVIDENCE, Print, Trace, evidence_in_all, same_trace
from grader.errors import AssignmentError
from grader.explaining import Explainer, traces_in
from grader.records import Notebook, Result
from grader.session import Session
from grader.suite import Suite
from grader.tracing import Asked, Tracer
from grader.verify.known_candidates import Candidate, candidates_in, sample_mistakes
from grader.verify.known_table import Prepared, is_odd, reached_by, table_of
from grader.verify.mutants import student_functions
from grader.verify.replays import Replays, Work

MAX_LINES = 20_000
"""Lines of Python that a check's recording may run; a longer one is not replayed here."""
MAX_SECONDS = 0.5
"""The longest time of the solution in a check: far above the time of MAX_LINES. It excludes
trainings before their lines are counted, which would take longer than the training."""
OF_A_REPLAY = 500
"""Lines that each replay costs beyond its own, since a mistake is put in place and removed."""
WORK = 800_000
"""Lines for all mistakes of one function: a second, on a machine of 2026."""
IN_ALL = 2_000_000
"""Lines for all mistakes of one submission."""
WITHOUT_END = 12
"""After more endless mistakes of one function, the rest is left out: each takes as long as fifty
others."""
LEAST_S = 0.1
FITTING = 24
"""At most so many mistakes of one function are replayed in all other checks."""
_AT_ONCE = 60
_LOST = Print("", "", ())
"""Differs from every answer."""


class TriedMistakes:
    """Finds the mistake of one function that a result's answers match; caches what it has tried.

    notebooks : those without a table
    """

    def __init__(
        self, suite: Suite, tracer: Tracer, notebooks: Collection[str], *, seed: int
    ) -> None:
        self.suite = suite
        self.assignment = suite.assignment
        self.tracer = tracer
        self.notebooks = notebooks
        self.seed = seed
        self._samples: dict[str, list[Candidate]] = {}
        self._work: dict[CheckName, Work] = {}
        self._reach: dict[CheckName, Collection[str]] = {}
        self._tried: dict[tuple[str, CheckName, int], list[tuple[Candidate, Trace]]] = {}
        self._all: dict[tuple[str, str], list[Candidate]] = {}
        self._left = 0

    def explain(self, result: Result) -> Result:
        """Return the result with the mistakes that its wrong answers match.

        An error in here never changes a verdict.
        """
        names = {e.id: e.notebook for e in self.assignment.exercises}
        failing: dict[str, dict[CheckName, list[Trace]]] = {}
        for exercise in result.exercises:
            for outcome in exercise.checks:
                traces = traces_in(outcome)
                if traces and names.get(outcome.exercise) in self.notebooks:
                    check = (outcome.exercise, outcome.name)
                    failing.setdefault(names[outcome.exercise], {})[check] = traces
        passed = {
            (o.exercise, o.name)
            for e in result.exercises
            for o in e.checks
            if o.outcome == "passed"
        }
        tables = {}
        self._left = IN_ALL
        for name, by_check in failing.items():
            if _evidence(by_check.values()) < LEAST_EVIDENCE:
                continue  # too little evidence for a name
            with suppress(Exception):  # one name is missing; the verdict does not change
                tables[name] = self._table(self.assignment.notebooks[name], by_check, passed)
        return Explainer(self.assignment, tables.get).explain(result) if tables else result

    def _table(
        self,
        notebook: Notebook,
        failing: Mapping[CheckName, Sequence[Trace]],
        passed: Collection[CheckName],
    ) -> Known:
        """Return the mistakes with the submission's answers, and all their answers."""
        session = self.tracer.references[notebook.name]
        asked = self._asked(notebook, session, {exercise for exercise, _ in failing})
        fitting: list[Candidate] = []
        functions = self._functions(notebook, {exercise for exercise, _ in failing})
        # The work is limited: functions that are surely wrong come first, and those last that a
        # passed check uses.
        reach = {check: self._reach[check] for check in asked}
        functions.sort(
            key=lambda function: (
                not any(reach.get(check) == {function} for check in failing),
                any(function in reach.get(check, ()) for check in passed),
            )
        )
        for function in functions:
            check = self._best_check(function, failing, asked)
            if check is not None:
                of_each = OF_A_REPLAY + self._work[check].lines
                several = self._candidates(notebook, function)[: min(WORK, self._left) // of_each]
                # Also for cached answers, so that the choice depends only on the submission.
                self._left -= len(several) * of_each
                tried = self._answers(session, check, asked[check], several)
                mine = failing[check][0]
                found = [one for one, trace in tried if same_trace(mine, trace)] or [
                    one for one, trace in tried if same_trace(mine, trace, shapes=False)
                ]
                fitting += found[:FITTING]
        known, _ = table_of(
            Prepared(notebook, asked, self._work, fitting, reach), self.suite, session
        )
        return _of_all_answers(known, failing)

    def _asked(
        self, notebook: Notebook, session: Session, exercises: Collection[str]
    ) -> dict[CheckName, Asked]:
        """Return the recordings of the exercises' quick checks; find their cost and reach."""
        found: dict[CheckName, Asked] = {}
        for exercise in sorted(exercises):
            found |= {
                check: one
                for check, one in self.tracer.asked(self.seed, notebook.name, exercise).items()
                if "figures" not in one.recordings[0].operations and one.seconds <= MAX_SECONDS
            }
        new = {check: one for check, one in found.items() if check not in self._work}
        self._work |= zip(new, Replays(session, list(new.values()), 0).work(), strict=True)
        quick = {c: one for c, one in found.items() if self._work[c].lines <= MAX_LINES}
        new = {check: one for check, one in quick.items() if check in new}
        functions = self._functions(notebook, {e.id for e in self.assignment.exercises})
        self._reach |= reached_by(session, notebook.name, new, functions)
        return quick

    def _functions(self, notebook: Notebook, exercises: Collection[str]) -> list[str]:
        listed = [
            function
            for exercise in self.assignment.exercises
            if exercise.id in exercises and exercise.notebook == notebook.name
            for function in exercise.functions
        ]
        return student_functions(notebook, listed)

    def _best_check(
        self,
        function: str,
        failing: Mapping[CheckName, Sequence[Trace]],
        asked: Mapping[CheckName, Asked],
    ) -> CheckName | None:
        """Return the quickest failing check that calls the function and has evidence.

        None if the exercises that score the function pass: then another function is wrong.
        """
        owners = {e.id for e in self.assignment.exercises if function in e.functions}
        if owners and not owners & {exercise for exercise, _ in failing}:
            return None
        fit = [
            check
            for check, traces in failing.items()
            if check in asked and traces[0] and function in self._reach[check]
        ]
        return min(
            fit,
            key=lambda check: (
                _evidence([failing[check]]) < LEAST_EVIDENCE,
                self._work[check].lines,
            ),
            default=None,
        )

    def _answers(
        self, session: Session, check: CheckName, asked: Asked, candidates: Sequence[Candidate]
    ) -> list[tuple[Candidate, Trace]]:
        """Return the mistakes of one function with wrong answers in a check, and the answers."""
        if not candidates:
            return []
        key = candidates[-1].mistake.function, check, len(candidates)
        if key in self._tried:
            return self._tried[key]
        tried: list[tuple[Candidate, Trace]] = []
        replays = Replays(session, [asked], 0, [self._work[check]], least_s=LEAST_S)
        without_end = 0
        for begin in range(0, len(candidates), _AT_ONCE):
            several = candidates[begin : begin + _AT_ONCE]
            wrong = replays.wrong([one.patch for one in several], [[0]] * len(several))
            traces = [found.get(0, {}) for found in wrong]
            tried += [(one, t) for one, t in zip(several, traces, strict=True) if t]
            without_end += sum(any(p.form == "ended:" for p in t.values()) for t in traces)
            if without_end > WITHOUT_END:
                break
        self._tried[key] = tried
        return tried

    def _candidates(self, notebook: Notebook, function: str) -> list[Candidate]:
        """Return the function's mistakes, the most precise words first."""
        key = notebook.name, function
        if key not in self._all:
            if notebook.name not in self._samples:
                self._samples[notebook.name] = []
                with suppress(AssignmentError):  # `grade verify` reports a sample that doesn't fit
                    self._samples[notebook.name] = sample_mistakes(self.assignment, notebook)
            samples = [s for s in self._samples[notebook.name] if s.mistake.function == function]
            changes = candidates_in(notebook, function)
            changes.sort(key=lambda one: (one.mistake.says_little, is_odd(one.mistake)))
            self._all[key] = samples + changes
        return self._all[key]


def _evidence(traces: Collection[Sequence[Trace]]) -> float:
    return sum(evidence_in_all(one) for one in traces)


def _of_all_answers(known: Known, failing: Mapping[CheckName, Sequence[Trace]]) -> Known:
    """Return the table with a nameless mistake that changes every wrong answer of the submission.

    A whole table ignores answers that none of a thousand mistakes changes. A few mistakes are not
    enough to ignore an answer: here they must match each wrong answer.
    """
    lost = {
        check: [dict.fromkeys(trace, _LOST) for trace in traces]
        for check, traces in failing.items()
    }
    unknown = Mistake("", "", "", "")
    return Known((*known.mistakes, unknown), (*known.traces, lost), known.reach)
