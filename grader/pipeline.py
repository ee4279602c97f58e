"""The stages in order: submission -> notebook -> session -> checks -> score -> report.

`grade` takes paths and gives a Report; what goes wrong with one submission stays inside
its Result. Whose fault it was decides: the student's code costs the exercises it breaks,
the submission's form refuses it, ours stops its grading and costs nothing.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections import deque
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

from grader.assignment import ENVIRONMENT_VARIABLE, find_assignments, load_assignment
from grader.batch import cache_key
from grader.batch.collector import Desk, Item, NoWatch, Receiver, Watch
from grader.batch.serialization import pack
from grader.batch.workers import Workers
from grader.errors import AssignmentError, GraderFault, Interrupted, StoreError, SubmissionError
from grader.notebook import (
    answer_cells,
    compare_with_stub,
    drawing_cells,
    read_notebook,
    region_of,
    what_breaks,
)
from grader.records import (
    Assignment,
    Cell,
    Evidence,
    ExerciseScore,
    Note,
    Notebook,
    Order,
    Outcome,
    Place,
    Region,
    RegionStatus,
    Report,
    Result,
    Run,
    Sandbox,
    Submission,
)
from grader.rule_checks import find_breaches
from grader.score import score_exercises, total
from grader.session import ForkServer, Kernels, Session, Stop, require_sandbox, start_fork_server
from grader.submission import (
    Part,
    find_submissions,
    open_submission,
    passed_over,
    unpack_export,
)
from grader.submission.matching import match_notebooks, name_instead, recognise_assignment

if TYPE_CHECKING:
    from grader.batch.cluster import Cluster
    from grader.batch.store import KeptRun
    from grader.suite import CheckJob

_Jobs: TypeAlias = "Generator[CheckJob, None, None]"
_Grading: TypeAlias = "Generator[CheckJob, None, Result]"
_Clearing: TypeAlias = "Generator[CheckJob, None, list[Outcome]]"


def grade(
    paths: Sequence[Path],
    *,
    assignment: str | None = None,
    assignments: Path | None = None,
    only: Sequence[str] = (),
    public: bool = False,
    seed: int = 0,
    sandbox: Sandbox = "auto",
    jobs: int = 1,
    dask: str | None = None,
    keep: bool = False,
    regrade: bool = False,
    evidence: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Return the verdict on every submission found in paths, in order.

    assignment : its id; recognised from the first readable submission where None
    assignments : folder of assignments; found from $GRADE_ASSIGNMENTS or upwards where None
    only : ids of exercises; empty for all
    public : run the public checks alone
    sandbox : how student code is closed in
    jobs : grading processes; 1 grades in this one, as a single submission is graded always
    dask : address of a dask scheduler; its workers grade instead
    keep : keep results, and take up those of earlier runs, where batch/store.py says
    regrade : take up none
    evidence : give it to `watch` with each result; the report holds verdicts alone
    watch : hears how it goes on
    Raises AssignmentError and SubmissionError for what the user must put right first:
    no such path, no such assignment or exercise, no such sandbox. Raises ClusterError,
    Interrupted.
    """
    require_sandbox(sandbox)
    folders = find_assignments(Path.cwd(), assignments, os.environ, graded=paths)
    watch = watch or NoWatch()
    with ExitStack() as stack:
        # It warms up while submissions are read, checks are loaded and pytest is imported.
        warm = start_fork_server(sandbox) if dask is None else None
        if warm is not None:
            stack.callback(warm.close)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grade-")))
        handed = [
            _Handed(part, scratch / str(n)) for n, part in enumerate(_find_parts(paths, scratch))
        ]
        found = [one.shown for one in handed]
        if len(found) > 1:
            for line in _passed_over(paths, found):
                watch.warn(line)
        chosen = _choose(assignment, folders, handed)
        if chosen is None:
            refused = [replace(h.refused, path=h.shown) for h in handed if h.refused]
            watch.begin("", "", seed, found)
            for number, result in enumerate(refused):
                watch.done(number, result, False)
            return Report("", "", seed, tuple(refused))
        _require_exercises(chosen, only)
        if chosen.public_only and assignments is None:
            _require_students_machine(chosen, watch)
        order = Order(
            str(chosen.folder.resolve()),
            tuple(only),
            public,
            seed,
            sandbox,
            evidence=evidence or keep,
            # A page shows them, and whoever grades by hand wants them beside the words.
            figures=evidence or any(e.manual or e.answer_cells for e in chosen.exercises),
            kernels=cores(),
            alone=len(handed) == 1,
        )
        cluster = _connect(stack, dask, watch) if dask is not None else None
        environment = cluster.environment if cluster else cache_key.environment()
        run = _begin_run(stack, chosen, order, len(found), environment, watch) if keep else None
        desk = Desk(found, watch=watch, run=run, evidence=evidence)
        watch.begin(chosen.id, chosen.title, seed, found)
        try:
            kernels = stack.enter_context(
                Kernels(replace(chosen, sandbox=sandbox), warm, draw=order.figures)
            )
            _grade_at(desk, order, kernels, handed, jobs=jobs, cluster=cluster, regrade=regrade)
        except KeyboardInterrupt as stop:
            raise Interrupted(desk.interrupted()) from stop
        desk.end()
        return Report(
            chosen.id,
            chosen.title,
            seed,
            desk.results(),
            desk.isolation,
            checks_from=str(chosen.folder.resolve()),
        )


def _require_students_machine(copy: Assignment, watch: Watch) -> None:
    """Say whose checks run, where they are those beside the notebook.

    Raises AssignmentError where solutions were graded with: there the notebook is a student's,
    and so may be the checks beside it, which would run with the instructor's rights.
    """
    # Imported here, as the store is: a folder that the user names needs no such question.
    from grader.batch.store import graded_with_solutions

    if os.environ.get(ENVIRONMENT_VARIABLE):
        return
    if graded_with_solutions(os.environ):
        raise AssignmentError(
            f"{copy.folder} lies beside what is graded, and may be a student's; this machine has "
            "graded with solutions, so its checks are not used: name the course's folder with "
            "--assignments"
        )
    watch.warn(f"graded by the public checks beside the notebook, in {copy.folder}")


def _grade_at(
    desk: Desk,
    order: Order,
    kernels: Kernels,
    handed: Sequence[_Handed],
    *,
    jobs: int,
    cluster: Cluster | None,
    regrade: bool,
) -> None:
    """Grade what has no result yet, here, by workers or on a cluster; all goes to the desk."""
    for number, one in enumerate(handed):
        if one.refused is not None:
            desk.put(number, one.refused)
    items = desk.without_kept(
        [
            Item(number, one.path, cache_key.content(Path(one.path)) if desk.run else "")
            for number, one in enumerate(handed)
            if one.refused is None
        ],
        regrade=regrade,
    )
    count = min(jobs, len(items))
    if cluster is not None and items:
        cluster.run(order, items, desk)
    elif count > 1:
        order = replace(order, kernels=max(1, cores() // count))
        with Workers(order, count=count, warm=kernels.fork_server) as workers:
            workers.run(items, desk)
    elif items:
        batch = _Batch(kernels, order, desk)
        batch.grade(items, {number: one for number, one in enumerate(handed) if one.submission})


def grade_stream(
    order: Order, items: Iterable[Item], receiver: Receiver, *, warm: ForkServer | None = None
) -> None:
    """Grade items as they come, over one collection of the checks: what a worker process does.

    warm : has imported what the assignment needs
    """
    assignment = replace(load_assignment(Path(order.folder)), sandbox=order.sandbox)
    warmed = warm or start_fork_server(order.sandbox)
    with Kernels(assignment, warmed, preloaded=warm is not None, draw=order.figures) as kernels:
        _Batch(kernels, order, receiver).grade(items, {})


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _connect(stack: ExitStack, address: str, watch: Watch) -> Cluster:
    # Imported here: it is an extra, and takes half a second to load.
    from grader.batch.cluster import Cluster

    cluster = stack.enter_context(Cluster(address))
    cluster.find_environment(watch.warn)
    return cluster


def _begin_run(
    stack: ExitStack,
    assignment: Assignment,
    order: Order,
    submissions: int,
    environment: str,
    watch: Watch,
) -> KeptRun | None:
    """Return a run in the file of results; None where nothing is to be kept, or can be."""
    # Imported here: a student's machine has no use for it.
    from grader.batch.store import open_store, place

    try:
        file = place(os.environ, student=assignment.public_only)
        if file is None:
            return None
        return stack.enter_context(open_store(file)).begin(
            assignment=assignment.id,
            title=assignment.title,
            submissions=submissions,
            settings={
                "seed": order.seed,
                "only": order.only,
                "public": order.public or assignment.public_only,
                "sandbox": order.sandbox,
            },
            circumstances=cache_key.circumstances(order, environment),
            # Figures more than are asked for do no harm.
            will_do=[cache_key.circumstances(replace(order, figures=True), environment)],
        )
    except (StoreError, OSError) as error:
        watch.warn(f"no result is kept: {error}")
        return None


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
    """Return the verdict on notebooks of an assignment that were read already.

    kernels : the assignment's; left open
    notebooks : by the assignment's own notebook names; one may stand under several
    folder : what was handed in beside them
    sessions : open sessions by notebook name, used where given and left open
    """
    assignment = kernels.assignment
    order = Order(str(assignment.folder), tuple(only), public, seed, assignment.sandbox, True)
    batch = _Batch(kernels, replace(order, kernels=cores()))
    return batch.grade_notebooks(notebooks, folder, sessions or {})


def write_stubs(ids: Sequence[str], *, assignments: Path | None, check: bool) -> list[str]:
    """Write student_templates/ beside reference/; return the files written.

    check : write nothing; return the files that are out of date
    """
    from grader.authoring.templates import check_templates, write_templates

    folders = find_assignments(Path.cwd(), assignments, os.environ)
    touched: list[str] = []
    for assignment_id in ids or sorted(folders):
        loaded = load_assignment(_folder_of(assignment_id, folders))
        if loaded.public_only:
            raise AssignmentError(
                f"{loaded.folder} is a student's copy: stubs are made from reference/{loaded.id}, "
                "name its folder with --assignments"
            )
        to = loaded.folder.parent.parent / "student_templates" / loaded.id
        if check:
            touched += check_templates(loaded, to)
        else:
            touched += [str(path) for path in write_templates(loaded, to)]
    return touched


def _find_parts(paths: Sequence[Path], scratch: Path) -> list[Part]:
    """Return every submission; an export that the user names holds one a student."""
    parts: list[Part] = []
    for number, path in enumerate(find_submissions(paths)):
        students = unpack_export(path, scratch / "exports" / str(number)) if path in paths else []
        parts += students or [Part(path, str(path))]
    return parts


def _passed_over(paths: Sequence[Path], found: Sequence[str]) -> Iterator[str]:
    """Yield a line for each folder of a class in which more lies than is graded."""
    for folder in paths:
        names = [name for name in passed_over(folder) if str(folder / name) not in found]
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            yield f"no submission, and passed over in {folder}: {', '.join(names[:5])}{more}"


# --- choosing -----------------------------------------------------------------------------


class _Handed:
    """A submission on its way in: opened and read, or refused."""

    def __init__(self, part: Part, into: Path) -> None:
        self.path = str(part.path)
        self.shown = part.shown
        self.into = into
        self.submission: Submission | None = None
        self.notebooks: list[Notebook] = []
        self.refused: Result | None = None
        if part.problem:
            self.refuse(SubmissionError(part.problem))

    def read(self) -> bool:
        """Open and read it once; False where it is refused."""
        if self.submission is None and self.refused is None:
            try:
                self.into.mkdir(parents=True)
                self.submission = open_submission(Path(self.path), self.into)
                self.notebooks, notes = _read_notebooks(self.submission)
                self.submission = replace(self.submission, notes=(*self.submission.notes, *notes))
            except SubmissionError as error:
                self.refuse(error)
        return self.refused is None

    @property
    def students(self) -> tuple[str, ...]:
        return self.submission.students if self.submission else ()

    def refuse(self, error: SubmissionError) -> None:
        # Where nothing was recognised, what doesn't parse may be the reason.
        broken = next(filter(None, map(what_breaks, self.notebooks)), "")
        text = f"{error}; {broken}" if broken else str(error)
        self.refused = Result(self.path, self.students, "refused", text)


def _is_one_file(path: str) -> bool:
    return Path(path).suffix.lower() in (".ipynb", ".py") and Path(path).is_file()


def _read_notebooks(submission: Submission) -> tuple[list[Notebook], list[Note]]:
    """Read every file that can be read; one that can't is noted, unless it is the only one."""
    notebooks, notes = [], []
    problem: SubmissionError | None = None
    for file in submission.files:
        try:
            notebooks.append(read_notebook(submission.folder / file, name=file.as_posix()))
        except SubmissionError as error:
            problem = error
            notes.append(Note("unreadable", str(error), notebook=file.as_posix()))
    if problem is not None and not notebooks:
        raise problem
    return notebooks, notes


def _choose(
    assignment_id: str | None, folders: Mapping[str, Path], handed: Sequence[_Handed]
) -> Assignment | None:
    """Return the assignment named, or the first submission's that is recognised."""
    if assignment_id is not None:
        return load_assignment(_folder_of(assignment_id, folders))
    known = {name: load_assignment(folder) for name, folder in folders.items()}
    for submission in handed:
        if not submission.read():
            continue
        try:
            return known[recognise_assignment(submission.notebooks, known)]
        except SubmissionError as error:
            submission.refuse(error)
    return None


def _folder_of(assignment_id: str, folders: Mapping[str, Path]) -> Path:
    if assignment_id not in folders:
        raise AssignmentError(
            f"there is no assignment {assignment_id!r}; there is: {', '.join(sorted(folders))}"
        )
    return folders[assignment_id]


def _require_exercises(assignment: Assignment, only: Sequence[str]) -> None:
    ids = [exercise.id for exercise in assignment.exercises]
    for wanted in only:
        if wanted not in ids:
            raise AssignmentError(
                f"{assignment.id} has no exercise {wanted!r}; it has: {', '.join(ids)}"
            )


# --- grading ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """A submission's notebooks, matched with the assignment's and compared with its stubs.

    only : ids of the exercises to grade; empty for all
    """

    path: str
    students: tuple[str, ...]
    folder: Path
    matched: Mapping[str, Notebook]
    notes: tuple[Note, ...]
    only: frozenset[str]


class _Batch:
    """Grades submissions of one assignment over one collection of its checks.

    The flow is turned inside out: `run_checks` draws a job a submission from our
    generator, and the generator goes on with the outcomes when the job is done.
    """

    def __init__(self, kernels: Kernels, order: Order, receiver: Receiver | None = None) -> None:
        self.assignment = kernels.assignment
        self.order = order
        self.receiver = receiver
        self.only = frozenset(order.only)
        self.number = 0
        self.isolation = ""
        self.outcomes: list[Outcome] = []
        self.kernels = kernels
        self.references = _References(self.assignment, self.kernels)
        # By exercise and name, the checks that were held against the solved notebooks.
        self._broken: set[tuple[str, str]] = set()
        self._sound: set[tuple[str, str]] = set()

    def grade(self, items: Iterable[Item], opened: Mapping[int, _Handed]) -> None:
        """Grade each item; the receiver hears of it before the next one is drawn.

        opened : those that were read already, by their numbers
        """
        assert self.receiver is not None
        try:
            self._run(self._grade_each(items, opened, self.receiver))
        except GraderFault as fault:  # a check file that can't be loaded stops them all
            self.receiver.broken(pack(_fault("", fault)))

    def tell(self, text: str) -> None:
        if self.receiver is not None:
            self.receiver.doing(self.number, text)

    def grade_notebooks(
        self, matched: Mapping[str, Notebook], folder: Path, opened: Mapping[str, Session]
    ) -> Result:
        results: list[Result] = []

        def jobs() -> _Jobs:
            compared = {
                name: compare_with_stub(
                    notebook,
                    self.assignment.stubs[name],
                    functions=self.assignment.functions_in(name),
                )
                for name, notebook in matched.items()
            }
            read = _Read("", (), folder, compared, (), self.only)
            results.append((yield from self._grade_read(read, opened)))

        self._run(jobs())
        return results[0]

    def _run(self, jobs: _Jobs) -> None:
        try:
            # The first job starts the kernels; pytest is imported while they start.
            first = next(jobs, None)
            if first is None:
                return
            from grader.suite import run_checks

            run_checks(self.assignment, chain([first], jobs), self._done)
        finally:
            jobs.close()
            self.references.close()

    def _done(self, job: CheckJob, outcomes: list[Outcome]) -> None:
        self.outcomes = outcomes

    def _grade_each(
        self, items: Iterable[Item], opened: Mapping[int, _Handed], receiver: Receiver
    ) -> _Jobs:
        # One folder around all: what Ctrl-C leaves of another one, at a moment that is unlucky,
        # goes with it.
        with tempfile.TemporaryDirectory(prefix="grade-") as root:
            for item in items:
                self.number = item.number
                self.tell("reading")
                students: tuple[str, ...] = ()
                unchanged = True
                try:
                    with tempfile.TemporaryDirectory(dir=root) as scratch:
                        handed = opened.get(item.number) or _Handed(
                            Part(Path(item.path), item.path), Path(scratch, str(item.number))
                        )
                        handed.read()
                        students = handed.students
                        if item.content:
                            unchanged = item.content == cache_key.content(Path(item.path))
                        result = yield from self._grade_handed(handed)
                except Exception as error:  # ours, whatever it is: this submission alone stops
                    result = _fault(item.path, error, students)
                if result.status == "grader_fault":
                    # What has ended may have taken the solved notebooks' sessions with it.
                    self.references.close()
                packed = pack(result, evidence=self.order.evidence)
                receiver.done(item.number, packed, unchanged=unchanged, isolation=self.isolation)

    def _grade_handed(self, handed: _Handed) -> _Grading:
        if not handed.read() or handed.submission is None:
            assert handed.refused is not None
            return handed.refused
        submission = handed.submission
        matched = match_notebooks(self.assignment, handed.notebooks)
        if not matched:
            handed.refuse(
                SubmissionError(
                    f"nothing of assignment {self.assignment.id} is in it: neither its notebooks "
                    f"({', '.join(self.assignment.notebook_names)}) nor enough of their functions"
                )
            )
            assert handed.refused is not None
            return handed.refused
        read = _Read(
            handed.path,
            submission.students,
            submission.folder,
            matched,
            submission.notes,
            self.only,
        )
        if self._is_at_work(handed):
            read = self._without_others(read)
        return (yield from self._grade_read(read, {}))

    def _is_at_work(self, handed: _Handed) -> bool:
        """Tell a student who tries one notebook from one who hands in no other."""
        trying = self.assignment.public_only or (self.order.public and self.order.alone)
        return trying and not self.only and _is_one_file(handed.path)

    def _without_others(self, read: _Read) -> _Read:
        """Leave out the exercises of the notebooks that are not there, and say so."""
        here = frozenset(e.id for e in self.assignment.exercises if e.notebook in read.matched)
        others = [name for name in self.assignment.notebook_names if name not in read.matched]
        if not others:
            return read
        note = Note(
            "other_notebooks",
            f"not graded now: {', '.join(others)}; give `grade` their folder for all",
        )
        return replace(read, notes=(*read.notes, note), only=here)

    def _grade_read(self, read: _Read, opened: Mapping[str, Session]) -> _Grading:
        can_run = {n: m for n, m in read.matched.items() if not self.assignment.lacking(n)}
        started = replace(read, matched=can_run)
        with _Sessions(self.kernels, started, opened, self.order, self.tell) as sessions:
            # Imported here: pytest loads while the kernels start in processes of their own.
            from grader.suite import CheckJob

            job = CheckJob(
                sessions=sessions,
                seed=self.order.seed,
                skip=self._nothing_to_check(read),
                only=read.only,
                public=self.order.public,
                reference=self.references.__getitem__ if self.assignment.notebooks else None,
            )
            yield job
            outcomes = self.outcomes
            if any(o.suspect for o in outcomes):
                outcomes = yield from self._clear_suspects(job, outcomes)
            runs = sessions.runs()
            self.isolation = self.isolation or sessions.isolation_line()
        faults = [o for o in outcomes if o.fault]
        if faults:
            return _fault(
                read.path,
                GraderFault(f"check {faults[0].name!r}: {faults[0].message}"),
                read.students,
            )
        outcomes = [self._ask_for_another_name(outcome, read) for outcome in outcomes]
        return self._score(read, outcomes, runs)

    def _ask_for_another_name(self, outcome: Outcome, read: _Read) -> Outcome:
        """Return the outcome; where a name is missing, with the name that it may have instead."""
        place = next(e.notebook for e in self.assignment.exercises if e.id == outcome.exercise)
        missing = outcome.missing and outcome.message.endswith("` is not defined")
        if not missing or place not in read.matched:
            return outcome
        name = outcome.message.split("`")[1]
        own = name_instead(name, read.matched[place], self.assignment.stubs[place])
        hint = f"\nIs it `{own}`? The checks call it by the template's name." if own else ""
        return replace(outcome, message=f"{outcome.message}{hint}")

    def _clear_suspects(self, job: CheckJob, outcomes: list[Outcome]) -> _Clearing:
        """Tell a check that broke on the student's value from one that is broken.

        A check that raises on the solved notebook too, or misses a name there, is ours to mend:
        its outcome is a fault. One that accepts the solved notebook met a value that it could not
        use, or a name that is indeed missing.
        """
        known = self._broken | self._sound
        doubted = {o.exercise for o in outcomes if o.suspect and (o.exercise, o.name) not in known}
        if doubted and job.reference is not None:
            yield replace(job, sessions=self.references, skip={}, only=doubted)
            for outcome in self.outcomes:
                refused = outcome.outcome in ("failed", "error", "timeout")
                kind = self._broken if refused else self._sound
                kind.add((outcome.exercise, outcome.name))
        cleared = []
        for outcome in outcomes:
            if not outcome.suspect:
                cleared.append(outcome)
            elif (outcome.exercise, outcome.name) in self._broken:
                too = ", in the solved notebook neither" if outcome.missing else ""
                cleared.append(replace(outcome, fault=True, message=f"{outcome.message}{too}"))
            elif outcome.missing:
                cleared.append(replace(outcome, suspect=False))
            else:
                detail = "" if outcome.hidden else f"\n{outcome.message}"
                cleared.append(
                    replace(
                        outcome,
                        outcome="failed",
                        message=f"the check could not use what came back{detail}",
                    )
                )
        return cleared

    def _nothing_to_check(self, read: _Read) -> dict[str, str]:
        """Return why, by exercise id, for each exercise of which nothing was filled in."""
        reasons = {}
        for exercise in self.assignment.exercises:
            if exercise.manual:
                continue
            notebook = read.matched.get(exercise.notebook)
            if notebook is None:
                reasons[exercise.id] = f"{exercise.notebook} was not handed in"
                continue
            states = {
                name: _state(region_of(notebook, name))
                for name in (*exercise.functions, *exercise.needs)
            }
            # Where nothing of that name exists the checks decide: a plot may be right without
            # the helper that the template asks for.
            if "untouched" in states.values() and "filled" not in states.values():
                reasons[exercise.id] = _still_the_template(states)
        return reasons

    def _score(self, read: _Read, outcomes: list[Outcome], runs: Mapping[str, Run]) -> Result:
        breaches = [
            breach
            for exercise in self.assignment.exercises
            if exercise.notebook in read.matched
            for breach in find_breaches(
                self.assignment,
                exercise,
                read.matched[exercise.notebook],
                folder=read.folder,
            )
        ]
        exercises = score_exercises(self.assignment, outcomes, only=read.only, breaches=breaches)
        points = total(exercises)
        notes = [*read.notes]
        for notebook in {n.name: n for n in read.matched.values()}.values():
            notes += notebook.notes
            if notebook.name in runs:
                notes += runs[notebook.name].notes
        notes += [note for _, note in breaches]
        notes += self._hidden_note(exercises)
        return Result(
            read.path,
            read.students,
            "graded",
            score=points.score,
            max_score=points.max_score,
            manual_points=points.manual_points,
            exercises=exercises,
            notes=tuple(dict.fromkeys(notes)),
            evidence=Evidence(
                notebooks={name: _shown(notebook) for name, notebook in read.matched.items()},
                runs=runs,
                regions=(regions := self._regions(read.matched)),
                answers=self._answers(read.matched),
                drawn=self._drawn(read.matched, regions),
            ),
        )

    def _hidden_note(self, exercises: Sequence[ExerciseScore]) -> list[Note]:
        """Return a note of the points that hidden checks give, where they are not run."""
        whole = {e.id: e.points for e in self.assignment.exercises}
        counted = [e for e in exercises if e.status != "manual" and not e.bonus]
        hidden = sum(whole[e.id] - e.max_points for e in counted)
        if hidden < 1e-6 or not (self.order.public or self.assignment.public_only):
            return []
        more = f"{hidden:.4g} more point{'s' if hidden != 1 else ''}"
        return [Note("public", f"hidden checks give {more}: your instructor runs them")]

    def _answers(self, matched: Mapping[str, Notebook]) -> dict[str, tuple[Cell, ...]]:
        return {
            exercise.id: answer_cells(
                matched[exercise.notebook],
                exercise.answer_cells,
                self.assignment.stubs.get(exercise.notebook),
            )
            for exercise in self.assignment.exercises
            if exercise.answer_cells and exercise.notebook in matched
        }

    def _drawn(
        self, matched: Mapping[str, Notebook], regions: Mapping[str, Sequence[Region]]
    ) -> dict[str, tuple[Place, ...]]:
        """Return the cells whose figures a person wants beside the words, by exercise id."""
        drawn = {}
        for exercise in self.assignment.exercises:
            notebook = matched.get(exercise.notebook)
            if notebook is not None and (exercise.manual or exercise.answer_cells):
                gaps = {r.cell for r in regions[exercise.id] if r.status != "missing"}
                cells = drawing_cells(notebook, exercise.answer_cells, gaps)
                drawn[exercise.id] = tuple(Place(notebook.name, cell) for cell in cells)
        return drawn

    def _regions(self, matched: Mapping[str, Notebook]) -> dict[str, tuple[Region, ...]]:
        return {
            exercise.id: tuple(
                region
                for name in exercise.functions
                for region in region_of(matched[exercise.notebook], name)
            )
            for exercise in self.assignment.exercises
            if exercise.notebook in matched
        }


class _Sessions(Mapping[str, "Session"]):
    """The sessions of one submission's notebooks, started together, waited for one by one.

    By the assignment's notebook names; a notebook that plays two parts runs once.
    """

    def __init__(
        self,
        kernels: Kernels,
        read: _Read,
        opened: Mapping[str, Session],
        order: Order,
        tell: Callable[[str], None],
    ) -> None:
        self.kernels = kernels
        self.read = read
        self.order = order
        self.tell = tell
        self.opened = {name: opened[name] for name in opened if name in read.matched}
        self.started: dict[str, Future[Session]] = {}
        self.waiting: deque[tuple[Notebook, Future[Session]]] = deque()
        self.stop = Stop()

    def __enter__(self) -> _Sessions:
        # The longest notebook first: it would else start last, and run alone.
        for name, notebook in sorted(
            self.read.matched.items(), key=lambda item: -_code_size(item[1])
        ):
            if name not in self.opened and notebook.name not in self.started:
                self.started[notebook.name] = Future()
                self.waiting.append((notebook, self.started[notebook.name]))
        try:
            for _ in range(min(self.order.kernels, len(self.waiting))):
                # No ThreadPoolExecutor: Ctrl-C while it starts a thread leaves one that never
                # ends, and the process with it.
                Thread(target=self._open_waiting, name="session", daemon=True).start()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def _open_waiting(self) -> None:
        while self.waiting:
            try:
                notebook, future = self.waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._open(notebook))
                except BaseException as error:
                    future.set_exception(error)

    def _open(self, notebook: Notebook) -> Session:
        return self.kernels.open(
            notebook,
            folder=self.read.folder,
            seed=self.order.seed,
            on_cell=lambda done, cells: self.tell(f"{notebook.name}: cell {done}/{cells}"),
            stop=self.stop,
        )

    def __getitem__(self, name: str) -> Session:
        if name in self.opened:
            return self.opened[name]
        return self.started[self.read.matched[name].name].result()

    def __iter__(self) -> Iterator[str]:
        return iter(self.read.matched)

    def __len__(self) -> int:
        return len(self.read.matched)

    def runs(self) -> dict[str, Run]:
        """Return what became of each notebook, by the name of its file."""
        return {self.read.matched[name].name: self[name].run for name in self}

    def isolation_line(self) -> str:
        """Return what the first of them is not closed in by, in one line; "" for nothing."""
        return next((self[name].isolation.line() for name in self), "")

    def __exit__(self, kind: object, *exc: object) -> None:
        running = [future for future in self.started.values() if not future.cancel()]
        if kind is not None:  # Ctrl-C must not wait for a cell that hangs
            self.stop()
        for future in running:
            if future.exception() is None:
                future.result().close()


class _References(Mapping[str, "Session"]):
    """Sessions on the solved notebooks, opened when first asked for."""

    def __init__(self, assignment: Assignment, kernels: Kernels) -> None:
        self.assignment = assignment
        self.kernels = kernels
        self.sessions: dict[str, Session] = {}
        self.empty: tempfile.TemporaryDirectory[str] | None = None

    def __getitem__(self, name: str) -> Session:
        if name not in self.assignment.notebooks:
            raise KeyError(name)
        if name not in self.sessions:
            if self.empty is None:
                self.empty = tempfile.TemporaryDirectory(prefix="grade-reference-")
            self.sessions[name] = self.kernels.open(
                self.assignment.notebooks[name], folder=Path(self.empty.name)
            )
        return self.sessions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.assignment.notebooks)

    def __len__(self) -> int:
        return len(self.assignment.notebooks)

    def close(self) -> None:
        for session in self.sessions.values():
            session.close()
        self.sessions.clear()
        if self.empty is not None:
            self.empty.cleanup()
            self.empty = None


def _shown(notebook: Notebook) -> Notebook:
    """Return the notebook without what no page shows: old outputs, and metadata."""
    cells = (replace(cell, outputs=(), metadata={}, attachments={}) for cell in notebook.cells)
    return replace(notebook, cells=tuple(cells), metadata={})


def _code_size(notebook: Notebook) -> int:
    return sum(len(cell.source) for cell in notebook.cells if cell.kind == "code")


def _still_the_template(states: Mapping[str, RegionStatus]) -> str:
    """Return the line that says so: which functions hold the placeholder, which are absent."""
    untouched = [f"`{name}`" for name, state in states.items() if state == "untouched"]
    missing = [f"`{name}`" for name, state in states.items() if state == "missing"]
    text = f"not filled in yet: {', '.join(untouched)}"
    return text + (f"; not defined: {', '.join(missing)}" if missing else "")


def _state(regions: Sequence[Region]) -> RegionStatus:
    """Return what stands in a function's gaps, taken together: one that is filled counts."""
    states = {region.status for region in regions}
    if "filled" in states:
        return "filled"
    return "untouched" if "untouched" in states else "missing"


def _fault(path: str, error: Exception, students: tuple[str, ...] = ()) -> Result:
    """Return a Result that says it was ours, with what a maintainer needs."""
    trace = "".join(traceback.format_exception(error)).strip()
    return Result(
        path,
        students,
        "grader_fault",
        f"a fault of the grader, not of the submission: {error or type(error).__name__}",
        notes=(Note("traceback", trace),),
    )
