"""One submission, straight down: read, matched, run, checked, scored, with its evidence.

    with open_suite(assignment) as suite, Grader(suite, kernels, options) as grader:
        result = grader.grade(incoming)

A Grader holds what the submissions of one assignment share in one process: the collected checks,
the kernels, the sessions on the solved notebooks, and what is known about the checks themselves.
The pipeline, each worker process, `grade verify` and `%grade` all use `grade_notebooks`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch import cache_key
from grader.batch.collector import Job, Listener
from grader.batch.serialization import Packed, pack, unpack_evidence
from grader.batch.workers import cores
from grader.building_on import FOLLOWED, Echoes
from grader.closing import Closing
from grader.derivation.answers import derivations_of
from grader.errors import GraderFault, SubmissionError
from grader.evidence import drawing_cells_of, evidence_of
from grader.not_filled_in import nothing_to_check, with_template_hint
from grader.notebook import compare_with_stub, why_not_defined
from grader.records import (
    Assignment,
    ExerciseScore,
    Note,
    Notebook,
    Options,
    Outcome,
    Result,
)
from grader.rule_checks import BreachSearch
from grader.score import score_exercises, total
from grader.session import Kernels, Session
from grader.session.kept_answers import KeptAnswers
from grader.session.several import Earlier, ReferenceSessions, SubmissionSessions, earlier_of
from grader.submission import Part
from grader.submission.course_files import changed_files, without_course_files
from grader.submission.incoming import Incoming, fault_result
from grader.submission.matching import match_notebooks, name_instead, other_work
from grader.suite import CheckJob, Suite, open_suite
from grader.temporary import TemporaryFolder
from grader.tracing import Tracer


@dataclass(frozen=True)
class Work:
    """A submission's notebooks, matched with the assignment's and compared with its stubs.

    notebooks : by the assignment's own notebook names; one may stand under several
    folder : what was handed in beside them
    only : ids of the exercises to grade; empty for all
    """

    path: str
    students: tuple[str, ...]
    folder: Path
    notebooks: Mapping[str, Notebook]
    notes: tuple[Note, ...] = ()
    only: frozenset[str] = frozenset()


def _quiet(text: str) -> None:
    pass


class Grader(Closing):
    """Grades submissions of one assignment, one after the other. Close it."""

    def __init__(self, suite: Suite, kernels: Kernels, options: Options) -> None:
        self.suite = suite
        self.kernels = kernels
        self.options = options
        self.assignment = kernels.assignment
        self.references = ReferenceSessions(kernels)
        self.tracer = Tracer(suite, self.references)
        self.echoes = Echoes(suite, self.references)
        self.explain: Callable[[Result], Result] | None = None
        """Tells of a result which known mistakes its wrong answers are; its points stay."""
        self.isolation = ""
        """What student code was not closed in by, in one line; "" where nothing is missing."""
        self.answers = b""
        """What the processes of the latest submission replied; b"" where none was asked."""
        self.sharing: Sequence[str] = ()
        """Of the latest submission: see Listener.done()."""
        # Checks that were run on the solved notebooks, by exercise and name.
        self._broken: set[tuple[str, str]] = set()
        self._sound: set[tuple[str, str]] = set()

    def grade(
        self,
        incoming: Incoming,
        *,
        kept: Packed | None = None,
        on_step: Callable[[str], None] = _quiet,
    ) -> Result:
        """Return the verdict on a submission.

        kept : what its processes replied when it was graded before, with the evidence of then
        on_step : gets a line of text now and then, from any thread
        Raises every error that is not the submission's fault.
        """
        self.answers = b""
        self.sharing = ()
        if not incoming.read():
            assert incoming.refused is not None
            return incoming.refused
        assert incoming.submission is not None
        try:
            written = without_course_files(incoming.notebooks, self.assignment.files)
            matched = match_notebooks(self.assignment, written)
        except SubmissionError as error:
            return incoming.refuse(error)
        others = other_work(self.assignment, written)
        if not matched:
            reason = "; ".join(others) or (
                f"neither its notebooks ({', '.join(self.assignment.notebook_names)}) nor enough "
                "of their functions"
            )
            return incoming.refuse(
                SubmissionError(f"nothing of assignment {self.assignment.id} is in it: {reason}")
            )
        work = Work(
            incoming.path,
            incoming.submission.students,
            incoming.submission.folder,
            matched,
            (
                *incoming.submission.notes,
                *changed_files(self.assignment.files, incoming.submission.folder, matched.values()),
                *(Note("wrong_name", line) for line in others),
            ),
            frozenset(self.options.only),
        )
        if _is_at_work(incoming.path, self.assignment, self.options):
            work = _without_others(work, self.assignment)
        runs = unpack_evidence(kept.evidence).runs if kept else {}
        earlier = earlier_of(kept.answers, runs) if kept else None
        graded = self.grade_notebooks(work, earlier=earlier, on_step=on_step)
        if self.explain is not None and any(o.trace for e in graded.exercises for o in e.checks):
            on_step("wrong answers: which known mistakes?")
            graded = self.explain(graded)
        return replace(graded, work=incoming.submission.work)

    def grade_notebooks(
        self,
        work: Work,
        *,
        opened: Mapping[str, Session] | None = None,
        earlier: Earlier | None = None,
        on_step: Callable[[str], None] = _quiet,
    ) -> Result:
        """Return the verdict on notebooks that are already read.

        opened : open sessions by notebook name, used where given and left open
        earlier : what their processes replied when they were graded before
        """
        options, assignment = self.options, self.assignment
        answers = KeptAnswers() if options.keep_answers else None
        can_run = {name: n for name, n in work.notebooks.items() if not assignment.lacking(name)}
        with SubmissionSessions(
            self.kernels,
            can_run,
            folder=work.folder,
            seed=options.seed,
            opened=opened or {},
            draw=drawing_cells_of(assignment, can_run) if options.figures == "answers" else None,
            at_once=options.kernels,
            on_step=on_step,
            earlier=earlier,
            answers=answers,
        ) as sessions:
            job = CheckJob(
                sessions=sessions,
                seed=options.seed,
                skip=nothing_to_check(assignment, work.notebooks),
                only=work.only,
                checks=self.suite.named(options.checks),
                public=options.public,
                budget_s=assignment.limits.checks_s,
                reference=self.references.__getitem__ if assignment.notebooks else None,
            )
            outcomes = self.suite.run(job)
            time_line = self.suite.time_line(job)
            outcomes = self._without_suspects(job, outcomes)
            outcomes = [with_template_hint(o, assignment, work.notebooks) for o in outcomes]
            outcomes = self.echoes.explained(job, outcomes, work.notebooks)
            outcomes = self.tracer.traced(job, outcomes)
            runs = sessions.runs()
            self.isolation = self.isolation or sessions.isolation_line()
            if self.kernels.given is not None:
                self.sharing = self.kernels.given.outcomes()
            if answers is not None and sessions.have_run:
                self.answers = answers.packed()
        fault = next((outcome for outcome in outcomes if outcome.fault), None)
        if fault is not None:
            error = GraderFault(f"check {fault.name!r}: {fault.message}")
            return fault_result(work.path, error, work.students)
        outcomes = [_with_own_name(outcome, assignment, work) for outcome in outcomes]
        breaches, not_searched = _breaches(assignment, work)
        exercises = score_exercises(assignment, outcomes, only=work.only, breaches=breaches)
        exercises = self._with_derivations(exercises, work)
        points = total(exercises)
        notes = [*work.notes]
        if time_line:
            notes.append(Note("time_budget", time_line))
        for notebook in {n.name: n for n in work.notebooks.values()}.values():
            notes += notebook.notes
            if notebook.name in runs:
                notes += runs[notebook.name].notes
        notes += [note for _, note in breaches]
        notes += not_searched
        notes += _followed(exercises)
        notes += _hidden_note(assignment, options, exercises)
        return Result(
            work.path,
            work.students,
            "graded",
            score=points.score,
            max_score=points.max_score,
            manual_points=points.manual_points,
            exercises=exercises,
            notes=tuple(dict.fromkeys(notes)),
            evidence=evidence_of(assignment, work.notebooks, runs),
        )

    def _with_derivations(
        self, exercises: tuple[ExerciseScore, ...], work: Work
    ) -> tuple[ExerciseScore, ...]:
        """Return the exercises, with remarks on those that are written derivations."""
        found = derivations_of(
            self.assignment,
            work.notebooks,
            work.folder,
            only=work.only,
            rendered=self.options.evidence,
        )
        return tuple(replace(e, derivation=found.get(e.id)) for e in exercises)

    def _without_suspects(self, job: CheckJob, outcomes: list[Outcome]) -> list[Outcome]:
        """Tell a check that raised because of the student's value from a broken check.

        A check that also raises on the solved notebook, or misses a name there, is broken: its
        outcome is a fault. A check that accepts the solved notebook met a value that it could not
        use, or a name that is really missing.
        """
        known = self._broken | self._sound
        doubted = {o.exercise for o in outcomes if o.suspect and (o.exercise, o.name) not in known}
        if doubted and job.reference is not None:
            for outcome in self.suite.run(
                replace(job, sessions=self.references, skip={}, only=doubted, budget_s=math.inf)
            ):
                refused = outcome.outcome in ("failed", "error", "timeout")
                kind = self._broken if refused else self._sound
                kind.add((outcome.exercise, outcome.name))
        return [
            _cleared(outcome, broken=(outcome.exercise, outcome.name) in self._broken)
            for outcome in outcomes
        ]

    def close(self) -> None:
        self.references.close()


def grade_each(
    grader: Grader, jobs: Iterable[Job], listener: Listener, read: Mapping[int, Incoming]
) -> None:
    """Grade jobs as they come; the listener gets each result before the next job is taken.

    An error in one submission stays in its result.

    read : submissions that are already open, by their numbers
    """
    # One folder around all: what Ctrl-C leaves of another one, at an unlucky moment,
    # goes with it.
    with TemporaryFolder() as root:
        for job in jobs:

            def on_step(text: str, number: int = job.number) -> None:
                listener.doing(number, text)

            on_step("reading")
            students: tuple[str, ...] = ()
            unchanged = True
            try:
                with tempfile.TemporaryDirectory(dir=root) as scratch:
                    incoming = read.get(job.number) or Incoming(
                        Part(Path(job.path), job.path), Path(scratch, str(job.number))
                    )
                    incoming.read()
                    students = incoming.students
                    if job.input_hash:
                        unchanged = job.input_hash == cache_key.input_hash(Path(job.path))
                    result = grader.grade(incoming, kept=job.kept, on_step=on_step)
            except Exception as error:  # any error of the grader: only this submission stops
                result = fault_result(job.path, error, students)
            if result.status == "grader_fault":
                # A failure may have ended the solved notebooks' sessions, too.
                grader.references.close()
            packed = pack(result, evidence=grader.options.evidence)
            if result.status == "graded":
                packed = replace(packed, answers=grader.answers)
            listener.done(
                job.number,
                packed,
                unchanged=unchanged,
                isolation=grader.isolation,
                sharing=grader.sharing,
            )


def grade_notebooks(
    kernels: Kernels,
    notebooks: Mapping[str, Notebook],
    *,
    folder: Path,
    seed: int = 0,
    only: Collection[str] = (),
    public: bool = False,
    sessions: Mapping[str, Session] | None = None,
) -> Result:
    """Return the verdict on notebooks that were not handed in: a sample, or one being worked on.

    kernels : the assignment's; left open
    notebooks : by the assignment's own notebook names; one may stand under several
    folder : what lies beside them
    sessions : open sessions by notebook name, used where given and left open
    """
    assignment = kernels.assignment
    options = Options(
        str(assignment.folder), tuple(only), public, seed, assignment.sandbox, kernels=cores()
    )
    matched = {
        name: compare_with_stub(
            notebook, assignment.stubs[name], functions=assignment.functions_in(name)
        )
        for name, notebook in notebooks.items()
    }
    with open_suite(assignment) as suite, Grader(suite, kernels, options) as grader:
        work = Work("", (), folder, matched, only=frozenset(only))
        return grader.grade_notebooks(work, opened=sessions)


# --- what is graded -----------------------------------------------------------------------


def _is_at_work(path: str, assignment: Assignment, options: Options) -> bool:
    """Tell a student who is still working on one notebook from one who hands in only that one."""
    trying = assignment.public_only or (options.public and options.alone)
    file = Path(path)
    one_file = file.suffix.lower() in (".ipynb", ".py") and file.is_file()
    return trying and not options.only and one_file


def _without_others(work: Work, assignment: Assignment) -> Work:
    """Leave out the exercises of notebooks that are missing, and say so."""
    here = frozenset(e.id for e in assignment.exercises if e.notebook in work.notebooks)
    others = [name for name in assignment.notebook_names if name not in work.notebooks]
    if not others:
        return work
    note = Note(
        "other_notebooks",
        f"not graded now: {', '.join(others)}; give `grade` their folder for all",
    )
    return replace(work, notes=(*work.notes, note), only=here)


# --- outcomes and notes -------------------------------------------------------------------


def _cleared(outcome: Outcome, *, broken: bool) -> Outcome:
    """Return the verdict on a suspect outcome; any other outcome unchanged.

    broken : the check also refuses the solved notebook
    """
    if not outcome.suspect:
        return outcome
    if broken:
        too = ", in the solved notebook neither" if outcome.missing else ""
        return replace(outcome, fault=True, message=f"{outcome.message}{too}")
    if outcome.missing:
        return replace(outcome, suspect=False)
    words = (
        "your code calls a function of the check with arguments that it can't take"
        if outcome.called_back
        else "the check could not use the returned value"
    )
    detail = "" if outcome.hidden else f"\n{outcome.message}"
    return replace(outcome, outcome="failed", message=f"{words}{detail}", for_students=words)


def _with_own_name(outcome: Outcome, assignment: Assignment, work: Work) -> Outcome:
    """Return the outcome; if a name is missing, with the likely name instead."""
    place = next(e.notebook for e in assignment.exercises if e.id == outcome.exercise)
    if not outcome.not_defined or place not in work.notebooks:
        return outcome
    own = name_instead(outcome.not_defined, work.notebooks[place], assignment.stubs[place])
    hint = f"\nIs it `{own}`? The checks call it by the template's name." if own else ""
    # If a cell doesn't compile, the parts that compile ran by themselves.
    why = why_not_defined(work.notebooks[place], outcome.not_defined)
    because = f": {why}" if why else ""
    told = f"{outcome.for_students}{because}{hint}" if outcome.for_students else ""
    return replace(outcome, message=f"{outcome.message}{because}{hint}", for_students=told)


def _breaches(assignment: Assignment, work: Work) -> tuple[list[tuple[str, Note]], list[Note]]:
    """Return (exercise id, note) for each broken rule, and notes on what was not searched."""
    searches = {
        name: BreachSearch(assignment, notebook, folder=work.folder)
        for name, notebook in work.notebooks.items()
    }
    found = [
        breach
        for exercise in assignment.exercises
        if exercise.notebook in searches
        for breach in searches[exercise.notebook].breaches(exercise)
    ]
    return found, [note for search in searches.values() for note in search.notes]


def _followed(exercises: Sequence[ExerciseScore]) -> list[Note]:
    """Return a note for each exercise with points given as if another one were right."""
    lines = {
        (exercise.id, outcome.message.splitlines()[0])
        for exercise in exercises
        for outcome in exercise.checks
        if FOLLOWED in outcome.message
    }
    return [Note("follow_through", f"{name} {line}") for name, line in sorted(lines)]


def _hidden_note(
    assignment: Assignment, options: Options, exercises: Sequence[ExerciseScore]
) -> list[Note]:
    """Return a note on the points of the hidden checks, if they are not run."""
    whole = {e.id: e.points for e in assignment.exercises}
    counted = [e for e in exercises if e.status != "manual" and not e.bonus]
    hidden = sum(whole[e.id] - e.max_points for e in counted)
    if hidden < 1e-6 or not (options.public or assignment.public_only):
        return []
    more = f"{hidden:.4g} more point{'s' if hidden != 1 else ''}"
    return [Note("public", f"hidden checks give {more}: your instructor runs them")]
