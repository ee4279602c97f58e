"""Checks are pytest tests: the marker `exercise`, the fixtures, and one outcome a check.

`run_checks` collects the check files once and runs them for many jobs; a job is one
submission. pytest sees no submission: only our check files, from explicit paths, with
plugin autoload off.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from grader import datasets
from grader.assignment.check_files import HIDDEN, importable, is_hidden, module_names
from grader.errors import (
    CheckFailed,
    GraderFault,
    Missing,
    NotDefined,
    ReferenceFault,
    StudentDied,
    StudentFault,
    StudentTimeout,
)
from grader.records import Assignment, Exercise, Outcome
from grader.session import Session
from grader.session.replay_cache import ReplayCache, replayed
from grader.session.student import Student, as_reference


class CheckedSession(Protocol):
    """What a check needs of a session: a fresh copy of the state the notebook left."""

    def student(self, *, limit_s: float) -> AbstractContextManager[Student]: ...


@dataclass(frozen=True)
class CheckJob:
    """One run over the checks.

    sessions : by the assignment's notebook name; a missing one was not handed in
    skip : exercise id -> why there is nothing to check ("still the template's placeholder")
    reference : opens a session on the solved notebook of that name
    patch : changes a fresh copy before its check (mutants)
    only : exercise ids; empty for all
    """

    sessions: Mapping[str, CheckedSession]
    seed: int = 0
    skip: Mapping[str, str] = field(default_factory=dict)
    only: Collection[str] = ()
    public: bool = False
    reference: Callable[[str], CheckedSession] | None = None
    patch: Callable[[Student], None] | None = None
    key: object = None


def run_checks(
    assignment: Assignment,
    jobs: Iterable[CheckJob],
    done: Callable[[CheckJob, list[Outcome]], None],
) -> None:
    """Run the assignment's checks once a job; `done` gets each job's outcomes.

    Jobs are drawn one by one, when the one before is done, and may be made on the way.
    Raises GraderFault where a check file can't be loaded or disagrees with assignment.toml.
    """
    runner = _Runner(assignment, jobs, done)
    if not assignment.check_files:
        raise GraderFault(f"{assignment.folder} holds no check file (test_*.py)")
    # An empty directory of ours as rootdir: no configuration file is found from there.
    with (
        tempfile.TemporaryDirectory(prefix="grade-checks-") as root,
        _quiet_pytest(),
        importable(assignment.folder),
    ):
        arguments = [
            *(str(path) for path in assignment.check_files),
            f"--rootdir={root}",
            f"--confcutdir={root}",
            f"--config-file={os.devnull}",
            "--noconftest",
            "--import-mode=importlib",
            "--strict-markers",
            "--capture=sys",
        ]
        for plugin in (
            "cacheprovider",
            "terminal",
            "doctest",
            "faulthandler",
            "logging",
            "unraisableexception",
            "threadexception",
            "junitxml",
            "pastebin",
        ):
            arguments += ["-p", f"no:{plugin}"]
        code = pytest.main(arguments, plugins=[runner])
    runner.finish(code)


@contextmanager
def _quiet_pytest() -> Iterator[None]:
    """Keep the user's own pytest settings out, and what pytest sets from staying."""
    kept = {name: os.environ.pop(name, None) for name in ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST")}
    autoload = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = autoload
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@dataclass
class _Check:
    """A collected check: its item, and what its marker and name say."""

    item: pytest.Item
    exercise: Exercise
    name: str
    points: float
    hidden: bool

    def outcome(self, kind: Any, credit: float, message: str, **more: Any) -> Outcome:
        return Outcome(
            exercise=self.exercise.id,
            name=self.name,
            outcome=kind,
            credit=credit,
            max_points=self.points,
            hidden=self.hidden,
            message=message,
            **more,
        )


class _Runner:
    """The plugin: our fixtures, our loop over jobs, our verdicts."""

    def __init__(
        self,
        assignment: Assignment,
        jobs: Iterable[CheckJob],
        done: Callable[[CheckJob, list[Outcome]], None],
    ) -> None:
        self.assignment = assignment
        self.jobs = jobs
        self.done = done
        self.checks: list[_Check] = []
        # What the reference answered each check, by its id and the seed.
        self.memories: defaultdict[tuple[str, int], ReplayCache] = defaultdict(ReplayCache)
        self.problems: list[str] = []
        self.broken: BaseException | None = None
        self.job = CheckJob(sessions={})
        self.check: _Check | None = None
        self.verdict: Outcome | None = None
        self.killed = False  # the process that the check asked: by its code, or by the machine

    # --- collection ---

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers", "exercise(id, *, points, hidden=False): the exercise that a check scores"
        )
        # A bare `assert` of a helper tells both sides, as one of a check does.
        pytest.register_assert_rewrite(*module_names(self.assignment.folder))

    def pytest_exception_interact(
        self, call: pytest.CallInfo[Any], report: pytest.CollectReport | pytest.TestReport
    ) -> None:
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            self.problems.append(f"a check file can't be loaded: {_breakage(call.excinfo.value)}")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        exercises = {exercise.id: exercise for exercise in self.assignment.exercises}
        for item in items:
            marker = item.get_closest_marker("exercise")
            if marker is None:
                self.problems.append(f"{item.name} has no @pytest.mark.exercise(id, points=...)")
                continue
            hidden = is_hidden(item.path, self.assignment.folder)
            if problem := _problem_of(marker, exercises, hidden=hidden):
                self.problems.append(f"{item.name}: {problem}")
                continue
            self.checks.append(
                _Check(
                    item,
                    exercises[marker.args[0]],
                    item.name.removeprefix("test_").replace("_", " "),
                    float(marker.kwargs["points"]),
                    hidden,
                )
            )
        self._refuse_namesakes()
        self._hold_points_together()

    def _refuse_namesakes(self) -> None:
        """Two checks of one name in an exercise could be told apart nowhere."""
        counts = Counter((check.exercise.id, check.item.name) for check in self.checks)
        self.problems += [
            f"{name}: exercise {exercise} has {count} checks of this name"
            for (exercise, name), count in counts.items()
            if count > 1
        ]

    def _hold_points_together(self) -> None:
        if self.problems:
            return  # what could not be loaded has no points to count
        for exercise in self.assignment.exercises:
            points = sum(c.points for c in self.checks if c.exercise.id == exercise.id)
            if exercise.manual:
                if points:
                    self.problems.append(
                        f"exercise {exercise.id}: a person grades it (manual = true), so its "
                        f"checks, of {points:g} points, would count for nothing"
                    )
                continue
            # A student's copy holds the public checks alone, which may sum to less.
            more = points > exercise.points + 1e-9
            less = points < exercise.points - 1e-9 and not self.assignment.public_only
            if more or less:
                self.problems.append(
                    f"exercise {exercise.id}: its checks sum to {points:g} points, "
                    f"assignment.toml says {exercise.points:g}"
                )

    # --- the loop ---

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if self.problems:
            return True
        try:
            for job in self.jobs:
                self.job = job
                self.done(job, [self._run(check) for check in self.checks if self._wanted(check)])
        except BaseException as error:  # carried out of pytest.main, which would swallow it
            self.broken = error
        return True

    def finish(self, code: int | pytest.ExitCode) -> None:
        if self.broken is not None:
            raise self.broken
        if self.problems:
            raise GraderFault(f"assignment {self.assignment.id}: " + "; ".join(self.problems))
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise GraderFault(f"pytest stopped with code {int(code)} over {self.assignment.folder}")

    def _wanted(self, check: _Check) -> bool:
        if self.job.public and check.hidden:
            return False
        return not self.job.only or check.exercise.id in self.job.only

    def _run(self, check: _Check) -> Outcome:
        reason = self.job.skip.get(check.exercise.id)
        if reason is not None:
            return check.outcome("skipped", 0.0, reason, missing=True)
        if lacking := self.assignment.lacking(check.exercise.notebook):
            return check.outcome("skipped", 0.0, lacking)
        self.check = check
        started = time.perf_counter()
        self._try(check)
        if self.killed:
            self._try(check)
        seconds = time.perf_counter() - started
        verdict = self.verdict or check.outcome("error", 0.0, "the check did not run", fault=True)
        return replace(verdict, seconds=seconds)

    def _try(self, check: _Check) -> None:
        self.verdict = None
        self.killed = False
        check.item.ihook.pytest_runtest_protocol(item=check.item, nextitem=None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self.check is None:
            return report
        if call.excinfo is not None:
            error = call.excinfo.value
            self.killed = self.killed or (isinstance(error, StudentDied) and error.killed)
            # The first failure is the verdict; what breaks while tidying up is an echo of it.
            if self.verdict is None or self.verdict.outcome == "passed":
                self.verdict = _verdict(self.check, error)
        elif call.when == "call":
            self.verdict = self.check.outcome("passed", 1.0, "")
        return report

    # --- fixtures ---

    @pytest.fixture
    def student(self) -> Iterator[Student]:
        """The student's functions, in a fresh copy of the state that the notebook left."""
        assert self.check is not None
        with _ours_to_open():
            session = self.job.sessions[self.check.exercise.notebook]
            opened = session.student(limit_s=self.assignment.limits.check_s)
        with opened as student:
            if self.job.patch is not None:
                self.job.patch(student)
            yield student

    @pytest.fixture
    def reference(self) -> Iterator[Student]:
        """The same for the solved notebook; only hidden checks may ask for it."""
        assert self.check is not None
        if self.job.reference is None:
            pytest.skip("this check needs the solved notebook, which is not here")
        try:
            with _ours_to_open():
                session = self.job.reference(self.check.exercise.notebook)
                limit_s = self.assignment.limits.check_s
                if isinstance(session, Session):
                    memory = self.memories[self.check.item.nodeid, self.job.seed]
                    opened: AbstractContextManager[Student] = replayed(
                        session, memory, limit_s=limit_s
                    )
                else:
                    opened = session.student(limit_s=limit_s)
        except StudentFault as fault:
            raise ReferenceFault(f"the solved notebook: {fault}") from fault
        with opened as student:
            yield as_reference(student) if isinstance(student, Student) else student

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """A generator that depends on the seed and the check's name alone."""
        return np.random.default_rng([self.job.seed, zlib.crc32(request.node.name.encode())])

    @pytest.fixture
    def datasets(self) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
        """The small real data sets by name: ("mnist") -> x (n, 784) uint8, y (n,) uint8."""
        return datasets.load


def _breakage(error: BaseException) -> str:
    """Return the line of a check file that can't be loaded, and the error, without pytest's own."""
    error = error.__cause__ or error
    if isinstance(error, SyntaxError):
        file, line, text = error.filename or "", error.lineno, error.text or ""
        what = f"{type(error).__name__}: {error.msg}"
    else:
        # Of all frames the check file's own: what it imports is not read by whom this is told.
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if Path(frame.filename).name.startswith("test_")]
        file, line, _, text = (ours or frames)[-1]
        what = f"{type(error).__name__}: {error}"
    shown = f": `{text.strip()}`" if text and text.strip() else ""
    return f"{Path(file).name}, line {line}: {what}{shown}"


def _problem_of(marker: pytest.Mark, exercises: Collection[str], *, hidden: bool) -> str:
    """Return why a check can't be scored by its marker, "" where it can.

    hidden : whether it stands in the folder of hidden checks
    """
    if not marker.args or marker.args[0] not in tuple(exercises):
        named = marker.args[0] if marker.args else None
        return f"assignment.toml has no exercise {named}; it has: {', '.join(exercises)}"
    unknown = [repr(value) for value in marker.args[1:]]
    unknown += [name for name in marker.kwargs if name not in ("points", "hidden")]
    if unknown:
        return f"its marker takes points=... and hidden=..., not {unknown[0]}"
    points: Any = marker.kwargs.get("points")
    said = marker.kwargs.get("hidden", hidden)
    if type(points) not in (int, float) or not 0 <= points < math.inf:
        return f"its marker must say points=..., a number from 0 on, not {points!r}"
    if type(said) is not bool:
        return f"`hidden` must be True or False, not {said!r}"
    if said is hidden:
        return ""
    if said:
        return f"it says hidden=True, but students get its file: move it to the folder {HIDDEN}/"
    return f"it says hidden=False, but stands in {HIDDEN}/: move it to the folder above"


@contextmanager
def _ours_to_open() -> Iterator[None]:
    """Make a GraderFault of whatever keeps a process from being opened, but for its own faults."""
    try:
        yield
    except (StudentFault, GraderFault):
        raise
    except Exception as error:  # a full disk, no process left: no check's fault, nor a student's
        raise GraderFault(f"no process for the check: {error}") from error


def _verdict(check: _Check, error: BaseException) -> Outcome:
    """Return the outcome that an exception stands for. Only a CheckFailed judges values."""
    if isinstance(error, CheckFailed):
        message = error.hidden_message() if check.hidden else error.message()
        return check.outcome(
            "failed",
            error.credit,
            message,
            missing=isinstance(error, Missing),
            suspect=isinstance(error, NotDefined),
        )
    if isinstance(error, StudentTimeout):
        return check.outcome("timeout", 0.0, _withheld(check, error, "the time limit passed"))
    if isinstance(error, StudentFault):
        return check.outcome("error", 0.0, _withheld(check, error, "the code raised an error"))
    # pytest.raises and pytest.fail, which end in no Exception
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return check.outcome("failed", 0.0, _withheld(check, error, "the value is not right"))
    if isinstance(error, pytest.skip.Exception):
        return check.outcome("skipped", 0.0, str(error))
    if isinstance(error, GraderFault):
        return check.outcome("error", 0.0, str(error), fault=True)
    if isinstance(error, pytest.FixtureLookupError):
        text = f"it asks for {error.argname!r}; there are student, reference, rng and datasets"
        return check.outcome("error", 0.0, text, fault=True)
    # A check that calls sys.exit() must not end the batch, least of all with success.
    if isinstance(error, Exception | SystemExit):
        text = f"{type(error).__name__}: {error}"
        return check.outcome("error", 0.0, text, suspect=True)
    raise error


def _withheld(check: _Check, error: BaseException, summary: str) -> str:
    """Return the error's text; for a hidden check, whose inputs it may show, the summary."""
    if not check.hidden:
        return str(error) or summary
    kind = getattr(error, "kind", "")
    where = getattr(error, "where", "")
    detail = f" ({kind})" if kind else ""
    return f"{summary}{detail}" + (f"\nwhere: {where}" if where else "")
