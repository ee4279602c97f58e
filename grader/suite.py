"""Checks are pytest tests: the marker `exercise`, the fixtures, and one outcome a check.

    with open_suite(assignment) as suite:
        outcomes = suite.run(CheckJob(sessions=sessions))

The check files are collected once; `run` is called once a submission. pytest sees no submission:
only our check files, from explicit paths, with plugin autoload off. We drive pytest as its own
`main` does (collection, then the protocol of one item after the other), so that the loop over
submissions is ours and reads straight down.
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
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from _pytest.config import _prepareconfig

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


@contextmanager
def open_suite(assignment: Assignment) -> Iterator[Suite]:
    """Collect the assignment's checks; yield what runs them for one job after the other.

    Raises GraderFault where a check file can't be loaded or disagrees with assignment.toml.
    """
    if not assignment.check_files:
        raise GraderFault(f"{assignment.folder} holds no check file (test_*.py)")
    plugin = _Plugin(assignment)
    # An empty directory of ours as rootdir: no configuration file is found from there.
    with (
        tempfile.TemporaryDirectory(prefix="grade-checks-") as root,
        _quiet_pytest(),
        importable(assignment.folder),
        _collected(_arguments(assignment.check_files, root), plugin) as items,
    ):
        yield Suite(assignment, _checks_of(assignment, items, plugin.unloadable), plugin)


def _arguments(files: Sequence[Path], root: str) -> list[str]:
    arguments = [
        *map(str, files),
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
    return arguments


@contextmanager
def _collected(arguments: list[str], plugin: _Plugin) -> Iterator[Sequence[pytest.Item]]:
    """Yield the collected checks; what pytest set up ends with the block.

    The steps of pytest.main and of `wrap_session` in _pytest/main.py, with the block in the place
    of their loop. What they catch comes out here as it is.
    """
    here = Path.cwd()
    config = _prepareconfig(arguments, [plugin])
    try:
        session = pytest.Session.from_config(config)
        config._do_configure()
        config.hook.pytest_sessionstart(session=session)
        try:
            try:
                config.hook.pytest_collection(session=session)
            except (pytest.UsageError, SystemExit, pytest.exit.Exception) as error:
                reason = str(error) or type(error).__name__
                raise GraderFault(f"the checks can't be collected: {reason}") from error
            yield session.items
        finally:
            os.chdir(here)  # a check may have left it
            config.hook.pytest_sessionfinish(session=session, exitstatus=pytest.ExitCode.OK)
    finally:
        config._ensure_unconfigure()


@contextmanager
def _quiet_pytest() -> Iterator[None]:
    """Keep the user's own pytest settings out, and what pytest sets from staying."""
    kept = {name: os.environ.pop(name, None) for name in ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST")}
    autoload = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Names modules that pytest imports as plugins.
    kept["PYTEST_PLUGINS"] = os.environ.pop("PYTEST_PLUGINS", None)
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


# --- collection ---------------------------------------------------------------------------


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


def _checks_of(
    assignment: Assignment, items: Sequence[pytest.Item], unloadable: Sequence[str]
) -> list[_Check]:
    """Return the checks in their order. Raises GraderFault, which names all that is wrong.

    unloadable : a line for each check file that can't be loaded
    """
    exercises = {exercise.id: exercise for exercise in assignment.exercises}
    problems = [*unloadable]
    checks: list[_Check] = []
    for item in items:
        marker = item.get_closest_marker("exercise")
        hidden = is_hidden(item.path, assignment.folder)
        if marker is None:
            problems.append(f"{item.name} has no @pytest.mark.exercise(id, points=...)")
        elif problem := _problem_of(marker, exercises, hidden=hidden):
            problems.append(f"{item.name}: {problem}")
        else:
            checks.append(
                _Check(
                    item,
                    exercises[marker.args[0]],
                    item.name.removeprefix("test_").replace("_", " "),
                    float(marker.kwargs["points"]),
                    hidden,
                )
            )
    problems += _namesakes(checks)
    # What could not be loaded has no points to count.
    problems = problems or _wrong_sums(assignment, checks)
    if problems:
        raise GraderFault(f"assignment {assignment.id}: " + "; ".join(problems))
    return checks


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


def _namesakes(checks: Sequence[_Check]) -> list[str]:
    """Return a line for each name that two checks of one exercise share.

    They could be told apart nowhere.
    """
    counts = Counter((check.exercise.id, check.item.name) for check in checks)
    return [
        f"{name}: exercise {exercise} has {count} checks of this name"
        for (exercise, name), count in counts.items()
        if count > 1
    ]


def _wrong_sums(assignment: Assignment, checks: Sequence[_Check]) -> list[str]:
    """Return a line for each exercise whose checks don't sum to its points."""
    problems = []
    for exercise in assignment.exercises:
        points = sum(c.points for c in checks if c.exercise.id == exercise.id)
        if exercise.manual:
            if points:
                problems.append(
                    f"exercise {exercise.id}: a person grades it (manual = true), so its "
                    f"checks, of {points:g} points, would count for nothing"
                )
            continue
        # A student's copy holds the public checks alone, which may sum to less.
        more = points > exercise.points + 1e-9
        less = points < exercise.points - 1e-9 and not assignment.public_only
        if more or less:
            problems.append(
                f"exercise {exercise.id}: its checks sum to {points:g} points, "
                f"assignment.toml says {exercise.points:g}"
            )
    return problems


def _breakage(error: BaseException) -> str:
    """Return the line of a check file that can't be loaded, and the error, without pytest's own."""
    error = error.__cause__ or error
    if isinstance(error, SyntaxError):
        file, line, text = error.filename or "", error.lineno, error.text or ""
        what = f"{type(error).__name__}: {error.msg}"
    else:
        # Of all frames the check file's own: the instructor did not write what it imports.
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).name.startswith("test_")]
        file, line, _, text = (own or frames)[-1]
        what = f"{type(error).__name__}: {error}"
    shown = f": `{text.strip()}`" if text and text.strip() else ""
    return f"{Path(file).name}, line {line}: {what}{shown}"


# --- running ------------------------------------------------------------------------------


class Suite:
    """The collected checks of one assignment."""

    def __init__(self, assignment: Assignment, checks: Sequence[_Check], plugin: _Plugin) -> None:
        self.assignment = assignment
        self._checks = checks
        self._plugin = plugin

    def run(self, job: CheckJob) -> list[Outcome]:
        """Return one outcome for each check that the job asks for, in their order."""
        wanted = [
            check
            for check in self._checks
            if not (job.public and check.hidden) and (not job.only or check.exercise.id in job.only)
        ]
        return [self._run(check, job) for check in wanted]

    def _run(self, check: _Check, job: CheckJob) -> Outcome:
        reason = job.skip.get(check.exercise.id)
        if reason is not None:
            return check.outcome("skipped", 0.0, reason, missing=True)
        if lacking := self.assignment.lacking(check.exercise.notebook):
            return check.outcome("skipped", 0.0, lacking)
        started = time.perf_counter()
        verdict, killed = self._plugin.try_out(check, job)
        if killed:  # by itself or by the machine, which deserves another try
            verdict, _ = self._plugin.try_out(check, job)
        return replace(verdict, seconds=time.perf_counter() - started)


class _Plugin:
    """What pytest calls: the marker, the fixtures, and the verdict of the check that runs.

    unloadable : a line for each check file that can't be loaded
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.unloadable: list[str] = []
        # What the reference answered each check, by its id and the seed.
        self.memories: defaultdict[tuple[str, int], ReplayCache] = defaultdict(ReplayCache)
        self.job = CheckJob(sessions={})
        self.check: _Check | None = None
        self.verdict: Outcome | None = None
        self.killed = False

    def try_out(self, check: _Check, job: CheckJob) -> tuple[Outcome, bool]:
        """Run a check; return its outcome, and whether the process that it asked was killed."""
        self.check, self.job, self.verdict, self.killed = check, job, None, False
        item = check.item
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        except pytest.exit.Exception as error:
            # pytest lets this one pass: it is meant to end a run, and must end no batch.
            item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
            self.verdict = _verdict(check, error)
        finally:
            self.check = None
        verdict = self.verdict or check.outcome("error", 0.0, "the check did not run", fault=True)
        return verdict, self.killed

    # --- pytest's hooks ---

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
            self.unloadable.append(f"a check file can't be loaded: {_breakage(call.excinfo.value)}")

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


@contextmanager
def _ours_to_open() -> Iterator[None]:
    """Make a GraderFault of whatever keeps a process from being opened, but for its own faults."""
    try:
        yield
    except (StudentFault, GraderFault):
        raise
    except Exception as error:  # a full disk, no process left: no check's fault, nor a student's
        raise GraderFault(f"no process for the check: {error}") from error


# --- verdicts -----------------------------------------------------------------------------


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
