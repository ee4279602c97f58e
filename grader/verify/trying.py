"""Run checks quickly while they are written: on the solution, the stub and the samples.

One kernel runs the solved notebook and one the stub, at the same time. A sample that changes only
functions replaces them in a fork of the solved notebook, like a mutant. Values that the notebook's
cells computed with the original functions stay. A sample that changes more runs as a whole
notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grader.environments import python_of
from grader.records import Assignment, Exercise, Notebook, Outcome
from grader.session import Kernels, Session, start_fork_server
from grader.session.student import Student
from grader.suite import CheckJob, open_suite
from grader.temporary import TemporaryFolder
from grader.verify.mutants import Mutant
from grader.verify.mutation_run import put_in_place
from grader.verify.samples import Sample, apply_sample, load_samples

Part = Literal["solution", "stub", "right", "mistake"]


@dataclass(frozen=True)
class Tried:
    """The outcome of a check on one notebook.

    name : "solution", "stub" or the sample's name
    wrong : the problem, if the solution is refused, the stub earns points, ...; else ""
    """

    part: Part
    name: str
    outcome: Outcome
    wrong: str = ""


def try_checks(assignment: Assignment, wanted: str, *, samples: bool = True) -> Iterator[Tried]:
    """Yield the outcomes of the wanted checks on the solution, the stub and each sample.

    wanted : a check's name, with or without test_, or an exercise's id
    Points need not add up, and other checks need not be written.
    Raises AssignmentError if no check has this name, or it can't be loaded.
    """
    with ExitStack() as stack:
        # The server imports the notebooks' packages while this process imports pytest.
        fork_server = start_fork_server(assignment.sandbox, python_of(assignment))
        kernels = stack.enter_context(Kernels(assignment, fork_server, draw=False))
        empty = Path(stack.enter_context(TemporaryFolder()))
        suite = stack.enter_context(open_suite(assignment, wanted=wanted))
        names = list(dict.fromkeys(check.exercise.notebook for check in suite.checks))
        names = [name for name in names if not assignment.lacking(name)]
        exercises = {check.exercise.id: check.exercise for check in suite.checks}
        pool = stack.enter_context(ThreadPoolExecutor(2))
        opened = _Opened(kernels, empty, pool, stack)
        solved = {name: opened.start(assignment.notebooks[name]) for name in names}
        stubs = {name: opened.start(assignment.stubs[name]) for name in names}
        chosen = [
            sample
            for sample in load_samples(assignment)
            if samples
            and sample.notebook in names
            and any(_concerns(sample, e) for e in exercises.values())
        ]
        whole = {
            sample.name: opened.start(apply_sample(sample, assignment.notebooks[sample.notebook]))
            for sample in chosen
            if not _changes_functions(sample, assignment.notebooks[sample.notebook])
        }

        def run(
            sessions: dict[str, Future[Session]],
            patch: Callable[[Student], None] | None = None,
            only: Collection[str] = (),
        ) -> list[Outcome]:
            return suite.run(
                CheckJob(
                    sessions={name: future.result() for name, future in sessions.items()},
                    reference=lambda name: solved[name].result(),
                    patch=patch,
                    only=only,
                )
            )

        for outcome in run(solved):
            refused = outcome.outcome not in ("passed", "skipped")
            yield Tried("solution", "solution", outcome, "it must pass" if refused else "")
        for outcome in run(stubs):
            earns = outcome.points > 1e-9
            yield Tried("stub", "stub", outcome, "it must earn nothing" if earns else "")
        for sample in chosen:
            # Only its own notebook has the functions that it changes.
            only = [e.id for e in exercises.values() if e.notebook == sample.notebook]
            if sample.name in whole:
                outcomes = run(solved | {sample.notebook: whole[sample.name]}, only=only)
            else:
                patch = _patched(sample, assignment.notebooks[sample.notebook])
                outcomes = run(solved, patch, only)
            for outcome in outcomes:
                yield _of_sample(sample, outcome)


class _Opened:
    """Opens sessions in the background, and closes them at the end."""

    def __init__(
        self, kernels: Kernels, folder: Path, pool: ThreadPoolExecutor, stack: ExitStack
    ) -> None:
        self.kernels, self.folder, self.pool, self.stack = kernels, folder, pool, stack

    def start(self, notebook: Notebook) -> Future[Session]:
        future = self.pool.submit(self.kernels.open, notebook, folder=self.folder)
        self.stack.callback(self._close, future)
        return future

    @staticmethod
    def _close(future: Future[Session]) -> None:
        if not future.cancel() and future.exception() is None:
            future.result().close()


def _of_sample(sample: Sample, outcome: Outcome) -> Tried:
    wrong = ""
    lost = outcome.points < outcome.max_points - 1e-9
    if lost and sample.kind == "right":
        wrong = "a right variant must pass"
    elif lost and outcome.exercise not in sample.expect and outcome.outcome != "skipped":
        wrong = f"it declares no loss at {outcome.exercise}"
    part: Part = "right" if sample.kind == "right" else "mistake"
    return Tried(part, sample.name, outcome, wrong)


def _concerns(sample: Sample, exercise: Exercise) -> bool:
    """Return whether a sample changes a function of an exercise, or expects a loss there."""
    if exercise.notebook != sample.notebook:
        return False
    functions = {*exercise.functions, *exercise.needs}
    return exercise.id in sample.expect or not functions.isdisjoint(_changed_names(sample))


def _changed_names(sample: Sample) -> set[str]:
    return {name.partition("#")[0] for name in sample.regions} | set(sample.definitions)


def _changes_functions(sample: Sample, solved: Notebook) -> bool:
    """Return whether a sample changes only functions and methods."""
    return not sample.appended and all(
        name in solved.definitions and not solved.definitions[name].source.startswith("class ")
        for name in _changed_names(sample)
    )


def _patched(sample: Sample, solved: Notebook) -> Callable[[Student], None]:
    changed = apply_sample(sample, solved)
    patches = [
        Mutant("", sample.notebook, name, "sample", 0, 0, changed.definitions[name].source)
        for name in sorted(_changed_names(sample))
    ]

    def patch(student: Student) -> None:
        for one in patches:
            put_in_place(student, one)

    return patch
