"""Where results arrive: they are kept, reported, and put into the order of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from grader.batch.progress import Progress
from grader.batch.serialization import Packed, Results, pack, unpack
from grader.errors import StoreError, fault_line
from grader.records import Note, Origin, Result
from grader.submission.students import students_of

if TYPE_CHECKING:
    from grader.batch.store import KeptRun


@dataclass(frozen=True)
class Job:
    """A submission to grade.

    number : its place in the input
    input_hash : of what it holds; "" where results are not kept
    """

    number: int
    path: str
    input_hash: str = ""


class Listener(Protocol):
    """Gets the reports of a grading process on its submissions."""

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        """A worker is at something; called from any thread."""

    def done(self, number: int, packed: Packed, *, unchanged: bool, isolation: str) -> None:
        """A submission is through.

        unchanged : what was read is what its job's content says
        isolation : the layers that its sandbox lacks, in one line
        """


class BatchListener(Listener, Protocol):
    """A listener to several grading processes."""

    def lost(self, number: int, how: str, said: str) -> None:
        """No process could grade this submission.

        how : "its worker process ended twice (killed by SIGKILL)"
        said : the last of what it wrote
        """


class Explains(Protocol):
    """Tells which known mistake a result's wrong answers are those of; explaining.py."""

    def explain(self, result: Result) -> Result:
        """Return the result with the mistakes that its wrong answers name."""

    def unnamed(self, result: Result) -> set[str]:
        """Return the notebooks of the wrong answers that name none."""

    def look_again(self) -> None:
        """Take notice of what has become known since."""


class Collector:
    """Receives the results of one run.

    paths : of every submission, in the order of the input, as the report shows them
    run : where results are kept; None for nowhere
    evidence : the progress display wants to see it
    origins : the learning platform's keys of each submission
    explainer : tells which known mistakes a result's answers name; points stay as they are
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        progress: Progress | None = None,
        run: KeptRun | None = None,
        evidence: bool = False,
        origins: Sequence[Origin] = (),
        explainer: Explains | None = None,
    ) -> None:
        self.paths = paths
        self.explainer = explainer
        self.unnamed: dict[str, set[int]] = {}
        """Submissions with wrong answers that fit no known mistake, by notebook."""
        self.origins = origins or [Origin()] * len(paths)
        self.progress = progress or Progress()
        self.run = run
        self.evidence = evidence
        self.isolation = ""
        self._verdicts: list[bytes | None] = [None] * len(paths)
        self._hashes: dict[int, str] = {}

    def without_kept(self, jobs: Sequence[Job], *, regrade: bool) -> list[Job]:
        """Return the jobs that are still to be graded; the others have their results at once.

        regrade : look at nothing that was kept
        """
        if self.run is None:
            return list(jobs)
        left = []
        for job in jobs:
            self._hashes[job.number] = job.input_hash
            packed = None if regrade else self.run.kept(job.input_hash)
            if packed is None:
                left.append(job)
                continue
            self._put(job.number, packed, input_hash=job.input_hash, kept=True)
        return left

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        self.progress.doing(number, text, worker)

    def done(self, number: int, packed: Packed, *, unchanged: bool, isolation: str) -> None:
        self.isolation = self.isolation or isolation
        self._put(number, packed, input_hash=self._hashes.get(number, "") if unchanged else "")

    def put(self, number: int, result: Result) -> None:
        """Take a result that needs no grading: a refusal."""
        self._put(number, pack(result))

    def lost(self, number: int, how: str, said: str) -> None:
        path = self.paths[number]
        message = f"a fault of the grader, not of the submission: {fault_line(how, said)}"
        notes = (Note("traceback", said),) if said else ()
        self.put(number, Result(path, _students(path), "grader_fault", message, notes=notes))

    @property
    def finished(self) -> int:
        """How many submissions have a result."""
        return sum(verdict is not None for verdict in self._verdicts)

    def end(self) -> None:
        """Say that every submission is through."""
        if self.run is not None:
            try:
                self.run.end(self.isolation)
            except StoreError as error:
                self.progress.warn(str(error))

    def explain_again(self) -> None:
        """Explain what nothing was known of once more: more is known by now."""
        if self.explainer is None:
            return
        self.explainer.look_again()
        for number in sorted(set().union(*self.unnamed.values())):
            verdict = self._verdicts[number]
            assert verdict is not None
            result = unpack(Packed(verdict))
            explained = self.explainer.explain(result)
            if explained is result:
                continue
            packed = Packed(pack(explained).verdict)
            self._verdicts[number] = packed.verdict
            if self.run is not None:
                try:
                    packed = self.run.explain(number, packed)
                except StoreError as error:
                    self.progress.warn(str(error))
                    continue
                if self.evidence:
                    explained = unpack(packed)
            self.progress.explained(number, explained)

    def interrupted(self) -> str:
        """Return the line that says what a stopped run has done."""
        return f"interrupted: {self.standing()}"

    def standing(self) -> str:
        """Return the words that say what there is, of a run that does not come to its end."""
        done, total = self.finished, len(self.paths)
        if self.run is None:
            return f"{done} of {total} were graded, and none of it is kept"
        return f"{done} of {total} are done and kept; the same command goes on"

    def results(self) -> Results:
        """Return the results that are there, in the order of the input."""
        return Results([verdict for verdict in self._verdicts if verdict is not None])

    def _put(
        self, number: int, packed: Packed, *, input_hash: str = "", kept: bool = False
    ) -> None:
        if self._verdicts[number] is not None:
            return
        result = unpack(packed if self.evidence else Packed(packed.verdict))
        origin = self.origins[number]
        another_origin = result.origin != origin
        if result.path != self.paths[number] or another_origin:
            # It was read elsewhere, or was in another folder or export then.
            result = replace(
                result,
                path=self.paths[number],
                origin=origin,
                students=_students_by(origin, result.students),
            )
            packed = Packed(pack(result).verdict, packed.evidence)
        if self.explainer is not None:
            explained = self.explainer.explain(result)
            if explained is not result:
                result, packed = explained, Packed(pack(explained).verdict, packed.evidence)
            for notebook in self.explainer.unnamed(result):
                self.unnamed.setdefault(notebook, set()).add(number)
        # A result is kept first: the progress display may fail.
        if self.run is not None:
            try:
                self.run.add(
                    number,
                    result,
                    packed,
                    input_hash=input_hash,
                    kept=kept,
                    another_origin=another_origin,
                )
            except StoreError as error:
                # A full disk, say. The verdicts are there all the same.
                self.run = None
                self.progress.warn(f"from here on no result is kept: {error}")
        self._verdicts[number] = packed.verdict
        self.progress.done(number, result, kept)


def _students_by(origin: Origin, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the students as the platform writes them; a team of several as the file names it."""
    if origin.students:
        return origin.students
    # Canvas writes a name without blanks and capitals: the file's own says more.
    whole = origin.platform in ("moodle", "brightspace") and len(named) <= 1
    return (origin.name,) if origin.name and (whole or not named) else named


def _students(path: str) -> tuple[str, ...]:
    return students_of(Path(path).name)
