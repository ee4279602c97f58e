"""Runs the collected checks for each job: the fixtures, and each check's outcome."""

from __future__ import annotations

import math
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from grader import datasets
from grader.assignment.check_files import module_names
from grader.assignment.course_files import root_of
from grader.errors import (
    GraderFault,
    ReferenceFault,
    StudentDied,
    StudentFault,
    StudentTimeout,
)
from grader.records import Assignment, Outcome
from grader.session import Session, guard
from grader.session.claims import Claims, listen
from grader.session.kept_answers import note_used
from grader.session.kept_session import KeptSession
from grader.session.replay_cache import ReplayCache, replayed
from grader.session.student import Student, as_reference, renew, requests_of, used_s_of
from grader.suite.check import Check, breakage
from grader.suite.room import limited_memory, room_of_check
from grader.suite.verdict import verdict_of


class CheckedSession(Protocol):
    """The part of a session that a check uses: a fresh copy of the state that the notebook left."""

    def student(
        self, *, limit_s: float, reply_mib: int | None = None
    ) -> AbstractContextManager[Student]:
        """reply_mib : the largest reply; None for the assignment's limit"""
        ...


@dataclass(frozen=True)
class CheckJob:
    """One run of the checks.

    sessions : by the assignment's notebook name; a notebook that was not handed in has none
    skip : exercise id -> why there is nothing to check ("still the template's placeholder")
    only : exercise ids; empty for all
    checks : (exercise, name) of the checks to run; empty for all
    public : whether to run only public checks
    reference : opens a session on the solved notebook of that name
    patch : changes a fresh copy before its check (for mutants)
    budget_s : seconds that the student's code may compute or sleep in all checks together; after
        that, the remaining checks don't run
    """

    sessions: Mapping[str, CheckedSession]
    seed: int = 0
    skip: Mapping[str, str] = field(default_factory=dict)
    only: Collection[str] = ()
    checks: Collection[tuple[str, str]] = ()
    public: bool = False
    reference: Callable[[str], CheckedSession] | None = None
    patch: Callable[[Student], None] | None = None
    budget_s: float = math.inf


class Suite:
    """The collected checks of one assignment."""

    def __init__(self, assignment: Assignment, checks: Sequence[Check], plugin: Plugin) -> None:
        self.assignment = assignment
        self._checks = checks
        self._plugin = plugin

    def run(self, job: CheckJob) -> list[Outcome]:
        """Return one outcome for each check of the job, in their order."""
        wanted = [
            check
            for check in self._checks
            if not (job.public and check.hidden)
            and (not job.only or check.exercise.id in job.only)
            and (not job.checks or (check.exercise.id, check.name) in job.checks)
        ]
        self._plugin.used_s.clear()
        # Public checks run first: students read their messages, so they must not see a file that
        # the process of a hidden check has written.
        try:
            outcomes = {id(check): self._run(check, job) for check in _public_first(wanted)}
        finally:
            self._plugin.end_shared()
        return [outcomes[id(check)] for check in wanted]

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(self._checks)

    def named(self, names: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the checks with these (exercise, name), one for each set of parameters."""
        known = [(check.exercise.id, check.name) for check in self._checks]
        return [
            (exercise, name)
            for exercise, name in known
            if (exercise, name.partition("[")[0]) in names
        ]

    @property
    def running(self) -> tuple[str, str] | None:
        """The exercise and the name of the check that runs; None between checks."""
        check = self._plugin.check
        return None if check is None else (check.exercise.id, check.name)

    def time_line(self, job: CheckJob) -> str:
        """Return a line if the latest run used up its time; it names the slowest check. Else ""."""
        used_s = self._plugin.used_s
        if sum(used_s.values()) < job.budget_s:
            return ""
        most = max(used_s, key=lambda name: used_s[name])
        return (
            "the time budget is used up: all checks of a submission together may take "
            f"{job.budget_s:g} s, and {most!r} took most of it. Look for what makes your functions "
            "slow: a shape such as (m, 1) that meets (m,), or a loop in a loop."
        )

    def _run(self, check: Check, job: CheckJob) -> Outcome:
        reason = job.skip.get(check.exercise.id)
        # Checked first, so that all students on this machine have the same maximum.
        if lacking := self.assignment.lacking(check.exercise.notebook):
            text = f"{lacking}\n{reason}" if reason else lacking
            return check.outcome("skipped", 0.0, text, for_students=text)
        if reason is not None:
            return check.outcome("skipped", 0.0, reason, missing=True, for_students=reason)
        if sum(self._plugin.used_s.values()) >= job.budget_s:
            text = f"not run: {self.time_line(job)}"
            return check.outcome("timeout", 0.0, text, for_students=text)
        started = time.perf_counter()
        before_s = self._plugin.used_s[check.name]
        verdict, killed = self._try_out(check, job)
        if killed:  # by itself or by the machine: try again
            verdict, _ = self._plugin.try_out(check, job)
        elif self._plugin.inherited and verdict.outcome != "passed":
            # The calls of an earlier check may be the cause: a fresh copy decides.
            self._plugin.end_shared()
            self._plugin.used_s[check.name] = before_s
            verdict, _ = self._try_out(check, job)
        used_s = self._plugin.used_s[check.name] - before_s
        requests, calls = self._plugin.sent
        return replace(
            verdict,
            seconds=time.perf_counter() - started,
            used_s=used_s,
            requests=requests,
            calls=calls,
        )

    def _try_out(self, check: Check, job: CheckJob) -> tuple[Outcome, bool]:
        """Run a check, again as long as a kept reply was missing; return as try_out().

        It was missing in a used copy, then in a fresh one, then there is a process.
        """
        before_s = self._plugin.used_s[check.name]
        verdict, killed = self._plugin.try_out(check, job)
        while getattr(job.sessions.get(check.exercise.notebook), "missed", False):
            self._plugin.used_s[check.name] = before_s
            verdict, killed = self._plugin.try_out(check, job)
        return verdict, killed


def _public_first(checks: Sequence[Check]) -> list[Check]:
    return sorted(checks, key=lambda check: check.hidden)


class Plugin:
    """A pytest plugin: the marker, the fixtures, and the verdict of the check that runs.

    unloadable : a line for each check file that can't be loaded
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.unloadable: list[str] = []
        # The reference's replies to each check, by the check's id and the seed.
        self.replay_caches: defaultdict[tuple[str, int], ReplayCache] = defaultdict(ReplayCache)
        self.job = CheckJob(sessions={})
        self.check: Check | None = None
        self.verdict: Outcome | None = None
        self.failure: BaseException | None = None  # the check's first exception
        self.killed = False
        self.inherited = False  # whether the check uses an earlier check's process
        self.claims: Claims | None = None  # from the student's process, in a hidden check
        self.sent = 0, 0  # requests of the check to the student's process, and calls back
        # Seconds that the student's code worked in each check of this job, by the check's name.
        self.used_s: defaultdict[str, float] = defaultdict(float)
        # The processes that checks share, by session and reply_mib, and those of them that a
        # hidden check has used.
        self._shared_students: dict[tuple[int, int | None], Student] = {}
        self._used_hidden: set[Student] = set()

    def try_out(self, check: Check, job: CheckJob) -> tuple[Outcome, bool]:
        """Run a check; return its outcome, and whether its process was killed."""
        self.check, self.job, self.verdict, self.killed = check, job, None, False
        self.inherited = False
        self.failure = self.claims = None
        self.sent = 0, 0
        item = check.item
        try:
            with guard.checking():
                item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        except pytest.exit.Exception as error:
            # pytest passes this one on, since it should end a run; it must not end a batch.
            item.ihook.pytest_runtest_teardown(item=item, nextitem=None)
            self.verdict = verdict_of(check, error, self.claims)
        finally:
            self.check = None
        verdict = self.verdict or check.outcome("error", 0.0, "the check did not run", fault=True)
        return verdict, self.killed

    # --- pytest's hooks ---

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None]:
        assert self.check is not None
        limits = self.assignment.limits
        reply_mib = self.check.reply_mib or limits.reply_mib
        with limited_memory(room_of_check(limits.memory_mib, reply_mib)):
            return (yield)

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers",
            "exercise(id, *, points, hidden=False, reply_mib=..., shares=False): what a check "
            "scores",
        )
        # A bare `assert` in a course's own module then shows both sides, as in a check.
        pytest.register_assert_rewrite(*module_names(self.assignment.folder))

    def pytest_exception_interact(
        self, call: pytest.CallInfo[Any], report: pytest.CollectReport | pytest.TestReport
    ) -> None:
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            self.unloadable.append(f"a check file can't be loaded: {breakage(call.excinfo.value)}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self.check is None:
            return report
        if call.excinfo is not None:
            error = call.excinfo.value
            self.failure = self.failure or error
            self.killed = self.killed or (isinstance(error, StudentDied) and error.killed)
            # The first failure is the verdict; later ones, in the teardown, follow from it.
            if self.verdict is None or self.verdict.outcome == "passed":
                self.verdict = verdict_of(self.check, error, self.claims)
        elif call.when == "call":
            self.verdict = self.check.outcome("passed", 1.0, "")
        return report

    # --- fixtures ---

    @pytest.fixture
    def student(self) -> Iterator[Student]:
        """The student's functions, in a fresh copy of the state that the notebook left."""
        assert self.check is not None
        with _opening_a_process():
            session = self.job.sessions[self.check.exercise.notebook]
            opened = self._shared(session) or session.student(
                limit_s=self.assignment.limits.check_s, reply_mib=self.check.reply_mib
            )
        with opened as student:
            if self.job.patch is not None:
                self.job.patch(student)
            if self.check.hidden and isinstance(student, Student):
                self.claims = listen(student)
            with self._counted(student):
                try:
                    yield student
                finally:
                    if isinstance(student, Student):
                        self.sent = requests_of(student)

    def _shared(self, session: CheckedSession) -> AbstractContextManager[Student] | None:
        """Return a process for several checks if this check may share one; else None.

        A public check never gets one that a hidden check has used: students read the messages of
        public checks. Public checks run first, so hidden ones take over their process.
        """
        check = self.check
        assert check is not None
        if not check.shares or self.job.patch is not None or not isinstance(session, Session):
            return None
        limit_s = self.assignment.limits.check_s
        name = f"{check.exercise.id} {check.name}"
        if isinstance(session, KeptSession):
            answering = session.inherited(name, limit_s, reply_mib=check.reply_mib)
            self.inherited = answering is not None
            return answering
        key = (id(session), check.reply_mib)
        student = self._shared_students.get(key)
        if student in self._used_hidden and not check.hidden:
            self.end_shared()
            student = None
        self.inherited = student is not None and renew(student, limit_s)
        if student is None or not self.inherited:
            student = self._shared_students[key] = session.student(
                limit_s=limit_s, reply_mib=check.reply_mib
            )
        else:
            session.listen_on(student, name, reply_mib=check.reply_mib)
        if check.hidden:
            self._used_hidden.add(student)
        return nullcontext(student)

    def end_shared(self) -> None:
        """End the processes that checks share."""
        while self._shared_students:
            _, student = self._shared_students.popitem()
            student.close()
        self._used_hidden.clear()

    @contextmanager
    def _counted(self, student: Student) -> Iterator[None]:
        """Add the seconds that the student's code works in the block to `used_s`."""
        if not isinstance(student, Student) or self.job.budget_s == math.inf:
            yield
            return
        assert self.check is not None
        name = self.check.name
        try:
            yield
        finally:
            used_s = used_s_of(student)
            if isinstance(self.failure, StudentTimeout):
                # Its process is gone with its counters; it has used the limit at least.
                used_s = max(used_s, self.assignment.limits.check_s)
            note_used(student, used_s)
            self.used_s[name] += used_s

    @pytest.fixture
    def reference(self) -> Iterator[Student]:
        """The same for the solved notebook; only hidden checks may use it."""
        assert self.check is not None
        if self.job.reference is None:
            pytest.skip("this check needs the solved notebook, which is not here")
        try:
            with _opening_a_process():
                session = self.job.reference(self.check.exercise.notebook)
                limit_s = self.assignment.limits.check_s
                if isinstance(session, Session):
                    cache = self.replay_caches[self.check.item.nodeid, self.job.seed]
                    opened: AbstractContextManager[Student] = replayed(
                        session, cache, limit_s=limit_s, reply_mib=self.check.reply_mib
                    )
                else:
                    opened = session.student(limit_s=limit_s, reply_mib=self.check.reply_mib)
        except StudentFault as fault:
            raise ReferenceFault(f"the solved notebook: {fault}") from fault
        with opened as student:
            yield as_reference(student) if isinstance(student, Student) else student

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """A generator that depends only on the seed and the check's name."""
        return np.random.default_rng([self.job.seed, zlib.crc32(request.node.name.encode())])

    @pytest.fixture
    def files(self) -> Path:
        """The folder of the assignment's `files`: `files / "data/table.csv"`."""
        return root_of(self.assignment.folder, public=self.assignment.public_only)

    @pytest.fixture
    def datasets(self) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
        """Loads a small data set: datasets("mnist") -> x (n, 784) and y (n,), both uint8."""
        return datasets.load


@contextmanager
def _opening_a_process() -> Iterator[None]:
    """Raise GraderFault for any error in the block, except the student's process's own faults."""
    try:
        yield
    except (StudentFault, GraderFault):
        raise
    except Exception as error:  # a full disk, too many processes: not the fault of a check
        raise GraderFault(f"no process for the check: {error}") from error
