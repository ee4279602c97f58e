"""Validate assignments: the tasks, the processes that run them, and the order of the results.

Everything that starts a kernel is a task for a worker process. Tasks share nothing. Their results
are merged in the assignment's order.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path

from grader.assignment import find_assignments, folder_of, load_assignment
from grader.authoring.published import public_files
from grader.environments import python_of
from grader.errors import AssignmentError, GraderFault
from grader.grading import grade_notebooks
from grader.records import Assignment, Evidence, Notebook, Outcome, Result, Sandbox
from grader.session import Kernels, Session, require_sandbox, start_fork_server
from grader.session.several import ReferenceSessions
from grader.suite import CheckJob, open_suite
from grader.temporary import TemporaryFolder
from grader.verify.calibration import rate_checks, run_seeds
from grader.verify.derivations import verify_written
from grader.verify.explanations import explain, load_explanations
from grader.verify.giving_away import right_sources, too_much_said
from grader.verify.known_table import prepare, table_of
from grader.verify.mutants import functions_that_draw, make_mutants
from grader.verify.mutation_run import run_mutants
from grader.verify.naming import KnownPart, Naming, keep_tables, publish_tables, stale_tables
from grader.verify.pool import ProcessPool
from grader.verify.samples import (
    Sample,
    SampleVerdict,
    check_sample,
    exercises_of,
    find_deviations,
    find_suspects,
    flat,
    load_samples,
)
from grader.verify.tasks import Progress, Steps, Tasks
from grader.verify.verdicts import CheckRate, ExerciseLine, MutantVerdict, VerifyReport, WrittenLine


def verify_assignments(
    ids: Sequence[str] = (),
    *,
    assignments: Path | None = None,
    seeds: int = 50,
    mutants: bool = True,
    jobs: int | None = None,
    sandbox: Sandbox = "auto",
    progress: Progress | None = None,
    write_known: bool = False,
) -> list[VerifyReport]:
    """Return a report for each assignment, in the order of ids; for all if ids is empty.

    assignments : the folder of assignments; None to find it by $GRADE_ASSIGNMENTS or upwards
    seeds : the number of seeds for the calibration of the reference; 0 for none
    jobs : worker processes; None for as many as there are processors; 0 for none
    sandbox : how the notebooks are isolated
    progress : gets a line of text whenever a task is done
    write_known : whether the tables of known mistakes are written into the assignment's folder
    Raises AssignmentError for mistakes in the assignment's files.
    """
    folders = find_assignments(Path.cwd(), assignments, os.environ)
    wanted = {name: folder_of(name, folders) for name in ids or sorted(folders)}
    require_sandbox(sandbox)
    tell = progress or (lambda text: None)
    workers = (os.cpu_count() or 1) if jobs is None else jobs
    with ExitStack() as stack:
        stack.callback(_close_kernels)
        pool: Executor | None = None
        if workers:
            pool = stack.enter_context(ProcessPool(workers))
        steps = Path(stack.enter_context(TemporaryFolder()))
        return [
            _verify(
                _Source(folder, sandbox, steps / name),
                pool=pool,
                shards=max(1, workers),
                seeds=seeds,
                mutants=mutants,
                tell=tell,
                write_known=write_known,
            )
            for name, folder in wanted.items()
        ]


def _verify(
    source: _Source,
    *,
    pool: Executor | None,
    shards: int,
    seeds: int,
    mutants: bool,
    tell: Progress,
    write_known: bool,
) -> VerifyReport:
    started = time.perf_counter()
    assignment = _assignment(source)
    if assignment.public_only:
        raise AssignmentError(f"{source.folder} is a student's copy: verify needs reference/")
    public_files(assignment)  # raises AssignmentError for the same files as `grade stubs`
    with open_suite(assignment):  # an unwritten check is reported before anything runs
        pass
    explained = {
        (notebook, mutant): reason
        for (notebook, mutant), reason in load_explanations(assignment).items()
        if not assignment.lacking(notebook)
    }
    samples = load_samples(assignment)
    tasks = Tasks(pool, assignment.id, tell, source.steps)
    reference = tasks.add("reference", _grade_reference, source)
    benches = [
        tasks.add(
            f"{name}, part {shard + 1} of {shards}",
            _bench,
            source,
            name,
            tuple(range(seeds))[shard::shards],
            shard,
            shards if mutants else 0,
        )
        for name in runnable(assignment)
        if exercises_of(assignment, name) and (seeds or mutants)
        for shard in range(shards)
    ]
    tables = [
        tasks.add(
            f"known mistakes of {name}, part {shard + 1} of {shards}",
            _known,
            source,
            name,
            shard,
            shards,
        )
        for name in runnable(assignment)
        if exercises_of(assignment, name) and mutants
        for shard in range(shards)
    ]
    verdicts = [
        tasks.add(f"sample {sample.name}", _grade_sample, source, n)
        for n, sample in enumerate(samples)
        if not assignment.lacking(sample.notebook)
    ]
    stub = tasks.add("bare stub", _grade_stub, source)
    written = tasks.add("derivations", _follow_written, source, mutants)
    tasks.wait()

    benched = [bench() for bench in benches]
    found = sorted((item for bench in benched for item in bench.mutants), key=lambda item: item[:2])
    tested, stale = explain([verdict for *_, verdict in found], explained, whole=mutants)
    keep_tables(assignment, [table() for table in tables], parts_of=shards)
    if write_known:
        publish_tables(assignment, [table() for table in tables])
    named = Naming(assignment, [table() for table in tables])
    tested = [named.of_mutant(verdict) for verdict in tested]
    of_samples = [named.of_sample(verdict()) for verdict in verdicts]
    return VerifyReport(
        assignment=assignment.id,
        title=assignment.title,
        exercises=tuple(
            ExerciseLine(
                *(e.id, e.title, e.points, e.manual, e.bonus, e.functions, e.notebook),
                checks=reference().checks.get(e.id, 0),
            )
            for e in assignment.exercises
        ),
        reference_score=reference().points,
        max_score=reference().max_points,
        stub_score=stub().points,
        checks=sum(reference().checks.values()),
        hidden_checks=reference().hidden,
        reference_lost=reference().sentences,
        stub_earned=stub().sentences,
        rates=_in_order(assignment, [run for bench in benched for run in bench.runs]),
        seeds=seeds,
        samples=tuple(of_samples),
        mutants=tuple(tested),
        stale=stale,
        left_out=functions_that_draw(assignment) if mutants else (),
        skipped=_skipped(assignment, samples),
        written=written(),
        stale_tables=stale_tables(assignment),
        warnings=tuple(
            dict.fromkeys(
                [
                    *(f"on the reference: {text}" for text in reference().suspects),
                    *(f"on the bare stub: {text}" for text in stub().suspects),
                    *(
                        f"on sample {v.sample.name}: {text}"
                        for v in of_samples
                        for text in v.suspects
                    ),
                    *(f"on mutant {v.mutant.id}: {text}" for v in tested for text in v.suspects),
                ]
            )
        ),
        too_much_said=_too_much_said(assignment, samples),
        seconds=time.perf_counter() - started,
    )


def _too_much_said(assignment: Assignment, samples: Sequence[Sample]) -> tuple[str, ...]:
    found = (
        too_much_said(one, assignment.notebooks[one.notebook], right_sources(samples, one))
        for one in samples
    )
    return tuple(filter(None, found))


def runnable(assignment: Assignment) -> list[str]:
    """Return the notebooks whose packages are all installed here."""
    return [name for name in assignment.notebooks if not assignment.lacking(name)]


def _skipped(assignment: Assignment, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return a sentence for each notebook that can't run here."""
    return tuple(
        f"{lacking} ({sum(sample.notebook == name for sample in samples)} samples not graded)"
        for name in assignment.notebooks
        if (lacking := assignment.lacking(name))
    )


def _in_order(
    assignment: Assignment, runs: Sequence[tuple[int, list[Outcome]]]
) -> tuple[CheckRate, ...]:
    order = [exercise.id for exercise in assignment.exercises]
    return tuple(sorted(rate_checks(runs), key=lambda rate: order.index(rate.exercise)))


# --- the tasks, in worker processes -------------------------------------------------------


@dataclass(frozen=True)
class _Graded:
    """Points, and a sentence for each check that gave wrong points."""

    points: float
    max_points: float
    sentences: tuple[str, ...]
    suspects: tuple[str, ...]
    checks: Mapping[str, int] = field(default_factory=dict)  # by exercise
    hidden: int = 0


@dataclass(frozen=True)
class _Benched:
    """One worker's share of a notebook.

    runs : (seed, outcomes); mutants : (number of the notebook, number of the mutant, verdict)
    """

    runs: tuple[tuple[int, list[Outcome]], ...]
    mutants: tuple[tuple[int, int, MutantVerdict], ...]


@dataclass(frozen=True)
class _Source:
    """An assignment's folder, the isolation of its notebooks, and the file for tasks' progress."""

    folder: Path
    sandbox: Sandbox
    progress: Path | None = None

    @property
    def steps(self) -> Steps:
        return Steps(self.progress)


@lru_cache(maxsize=4)
def _assignment(source: _Source) -> Assignment:
    return replace(load_assignment(source.folder), sandbox=source.sandbox)


_open_kernels: dict[_Source, Kernels] = {}


def _kernels(source: _Source) -> Kernels:
    """Return this process's Kernels for the assignment; all its tasks share them."""
    if source not in _open_kernels:
        _close_kernels()
        _open_kernels[source] = Kernels(
            _assignment(source),
            start_fork_server(source.sandbox, python_of(_assignment(source))),
            draw=False,
        )
    return _open_kernels[source]


def _close_kernels() -> None:
    while _open_kernels:
        _open_kernels.popitem()[1].close()


# Not by atexit: processes of a pool end without it.
Finalize(None, _close_kernels, exitpriority=1)


def _grade_reference(source: _Source) -> _Graded:
    """Grade the solved notebooks like a submission, with its rules."""
    assignment = _assignment(source)
    with TemporaryFolder() as empty:
        result = grade_notebooks(_kernels(source), assignment.notebooks, folder=Path(empty))
    if result.status != "graded":
        return _Graded(0.0, 0.0, _all_faults(source) or (flat(result.message),), ())
    sentences = [
        f"{outcome.exercise}, {outcome.name}: {flat(outcome.message) or outcome.outcome}"
        for exercise in result.exercises
        for outcome in exercise.checks
        if outcome.outcome != "passed" and exercise.status != "not_gradable"
    ]
    faults = [
        f"{note.notebook}, cell {note.cell}: {flat(note.message)}"
        for note in result.notes
        if note.kind in ("cell_error", "cell_timeout", "cell_crash", "extracted")
    ]
    bonus = sum(e.max_points for e in result.exercises if e.bonus)
    points = sum(e.points for e in result.exercises if not e.bonus)
    if sum(e.points for e in result.exercises if e.bonus) < bonus - 1e-9 and not sentences:
        sentences.append("a bonus exercise is not at its maximum")
    checks = [outcome for exercise in result.exercises for outcome in exercise.checks]
    return _Graded(
        points,
        result.max_score,
        (*sentences, *faults),
        tuple(find_suspects(result.exercises)),
        checks=Counter(outcome.exercise for outcome in checks),
        hidden=sum(outcome.hidden for outcome in checks),
    )


def _all_faults(source: _Source) -> tuple[str, ...]:
    """Return a sentence for each check that refuses the solved notebooks."""
    assignment = _assignment(source)
    kernels = _kernels(source)
    with ReferenceSessions(kernels) as sessions, open_suite(assignment) as suite:
        here = {name: sessions[name] for name in runnable(assignment)}
        outcomes = suite.run(CheckJob(sessions=here, reference=here.__getitem__))
    return tuple(
        f"{outcome.exercise}, {outcome.name}: {flat(outcome.message) or outcome.outcome}"
        for outcome in outcomes
        if outcome.outcome not in ("passed", "skipped")
    )


def _grade_stub(source: _Source) -> _Graded:
    """Run every check on the bare stubs, also checks that a grading would skip."""
    assignment = _assignment(source)
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(_opened(source, assignment.stubs[name]))
            for name in runnable(assignment)
        }
        references = stack.enter_context(ReferenceSessions(_kernels(source)))
        suite = stack.enter_context(open_suite(assignment))
        outcomes = suite.run(CheckJob(sessions=sessions, reference=references.__getitem__))
    return _Graded(
        sum(o.points for o in outcomes),
        sum(o.max_points for o in outcomes),
        tuple(
            f"{o.exercise}, {o.name}: {o.points:g} of {o.max_points:g}"
            for o in outcomes
            if o.points > 1e-9
        ),
        tuple(f"{o.exercise}, {o.name}: {flat(o.message)}" for o in outcomes if o.suspect),
    )


def _grade_sample(source: _Source, number: int) -> SampleVerdict:
    assignment = _assignment(source)
    sample = load_samples(assignment)[number]
    started = time.perf_counter()
    try:
        result = check_sample(sample, _kernels(source))
    except GraderFault as fault:  # the other samples are still graded
        result = Result("", (), "grader_fault", str(fault))
    return SampleVerdict(
        sample,
        tuple(find_deviations(sample, result)),
        tuple(find_suspects(result.exercises)),
        time.perf_counter() - started,
        result=replace(result, evidence=Evidence()),
    )


def _follow_written(source: _Source, mutants: bool) -> tuple[WrittenLine, ...]:
    return verify_written(_assignment(source), mutants=mutants)


def _bench(source: _Source, name: str, seeds: Collection[int], shard: int, shards: int) -> _Benched:
    """Run a share of the seeds and a share of the mutants, in one session.

    shards : the number of parts of the mutants; 0 for no mutants
    """
    assignment = _assignment(source)
    notebook = assignment.notebooks[name]
    only = exercises_of(assignment, name)
    number = list(assignment.notebooks).index(name)
    share = []
    if shards:
        listed = [f for e in assignment.exercises if e.notebook == name for f in e.functions]
        share = list(enumerate(make_mutants(notebook, listed)))[shard::shards]
    with open_suite(assignment) as suite, _opened(source, notebook) as session:
        step = source.steps.begin("seeds", len(seeds))
        runs = run_seeds(suite, {name: session}, seeds=seeds, only=only, step=step)
        step = source.steps.begin("mutants", len(share))
        verdicts = run_mutants(suite, name, session, [mutant for _, mutant in share], step=step)
    return _Benched(
        tuple(runs),
        tuple((number, n, verdict) for (n, _), verdict in zip(share, verdicts, strict=True)),
    )


def _known(source: _Source, name: str, shard: int, shards: int) -> KnownPart:
    """Compute a share of the table of a notebook's known mistakes."""
    assignment = _assignment(source)
    notebook = assignment.notebooks[name]
    with open_suite(assignment) as suite, _opened(source, notebook) as session:
        prepared = prepare(suite, notebook, session)
        table, checks = table_of(prepared, suite, session, part=shard, of=shards)
    return KnownPart(name, shard, table, checks)


@contextmanager
def _opened(source: _Source, notebook: Notebook) -> Iterator[Session]:
    """Yield a session on a notebook of the assignment, which ran in an empty folder."""
    with TemporaryFolder() as empty:
        session = _kernels(source).open(notebook, folder=Path(empty))
        try:
            yield session
        finally:
            session.close()
