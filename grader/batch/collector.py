"""The collector receives results: it keeps them, reports them, and puts them in input order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
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

MAX_REASONS = 8


@dataclass(frozen=True)
class Job:
    """A submission to grade.

    number : its place in the input, from 0
    input_hash : of its content; "" if results are not kept
    kept : the kept replies of its processes from an earlier grading; None if there are none
    """

    number: int
    path: str
    input_hash: str = ""
    kept: Packed | None = None


class Listener(Protocol):
    """Gets the reports of a grading process on its submissions."""

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        """A worker does something for a submission. May be called from any thread."""

    def done(
        self,
        number: int,
        packed: Packed,
        *,
        unchanged: bool,
        isolation: str,
        sharing: Sequence[str] = (),
    ) -> None:
        """A submission is graded.

        unchanged : whether the submission that was read has its job's input hash
        isolation : the layers that its sandbox lacks, in one line
        sharing : for each notebook that ran, why it did not share all the template's first cells
            with others (session/given.py); "" if it did. Empty if cells are not shared
        """


class BatchListener(Listener, Protocol):
    """A listener to several grading processes."""

    def lost(self, number: int, how: str, said: str) -> None:
        """No process could grade this submission.

        how : "its worker process ended twice (killed by SIGKILL)"
        said : the end of its stderr
        """


class Explains(Protocol):
    """Finds the known mistakes behind wrong answers; see explaining.py."""

    def explain(self, result: Result) -> Result:
        """Return the result with the known mistakes of its wrong answers; the same if none."""

    def unnamed(self, result: Result) -> set[str]:
        """Return the notebooks with wrong answers that fit no known mistake."""

    def look_again(self) -> None:
        """Load the tables that have been computed meanwhile."""


class Collector:
    """Receives the results of one run.

    paths : of every submission, in the order of the input, as the report shows them
    run : the run in the file of results; None if results are not kept
    evidence : whether the progress display needs the evidence
    origins : each submission's data from its learning platform
    explainer : adds the known mistakes to a result; points stay the same
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
        """The submissions with wrong answers that fit no known mistake, by notebook."""
        self.origins = origins or [Origin()] * len(paths)
        self.progress = progress or Progress()
        self.run = run
        self.evidence = evidence
        self.isolation = ""
        self._verdicts: list[bytes | None] = [None] * len(paths)
        self._hashes: dict[int, str] = {}
        self._answered: set[int] = set()
        self._sharing: Counter[str] = Counter()
        self.from_answers = 0
        """How many submissions were graded only from kept answers."""

    def without_kept(self, jobs: Sequence[Job], *, regrade: bool) -> list[Job]:
        """Return the jobs without a kept result; collect the kept results of the others.

        regrade : whether to ignore kept results
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

    def kept_answers(self, job: Job) -> Packed | None:
        """Return the replies of a submission's processes to checks in earlier runs, or None."""
        if self.run is None:
            return None
        from grader.batch import answer_store

        try:
            found = answer_store.kept(self.run, job.input_hash)
        except StoreError as error:
            self.progress.warn(str(error))
            return None
        if found is not None:
            self._answered.add(job.number)
        return found

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        self.progress.doing(number, text, worker)

    def done(
        self,
        number: int,
        packed: Packed,
        *,
        unchanged: bool,
        isolation: str,
        sharing: Sequence[str] = (),
    ) -> None:
        self.isolation = self.isolation or isolation
        self._sharing.update(sharing)
        if number in self._answered and not packed.answers:
            self.from_answers += 1
        self._put(number, packed, input_hash=self._hashes.get(number, "") if unchanged else "")

    def put(self, number: int, result: Result) -> None:
        """Collect a result that needs no grading: a refusal."""
        self._put(number, pack(result))

    def lost(self, number: int, how: str, said: str) -> None:
        path = self.paths[number]
        message = f"a fault of the grader, not of the submission: {fault_line(how, said)}"
        notes = (Note("traceback", said),) if said else ()
        students = students_of(Path(path).name)
        self.put(number, Result(path, students, "grader_fault", message, notes=notes))

    @property
    def finished(self) -> int:
        """How many submissions have a result."""
        return sum(verdict is not None for verdict in self._verdicts)

    def end(self) -> None:
        """Note in the file of results that the run has ended."""
        if self.run is not None:
            try:
                self.run.end(self.isolation)
            except StoreError as error:
                self.progress.warn(str(error))

    def explain_again(self) -> None:
        """Explain the unnamed wrong answers again, with the tables that exist now."""
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

    def sharing_lines(self) -> list[str]:
        """Return how many notebooks shared the template's first cells, and why others did not."""
        if not self._sharing:
            return []
        all_ = self._sharing.total()
        lines = [f"--share-cells: {self._sharing['']} of {all_} notebooks shared all first cells"]
        reasons = [(why, count) for why, count in self._sharing.most_common() if why]
        for why, count in reasons[:MAX_REASONS]:
            lines.append(f"--share-cells: {count} of {all_} shared none or not all: {why}")
        if left := sum(count for _, count in reasons[MAX_REASONS:]):
            lines.append(
                f"--share-cells: {left} of {all_} shared none or not all, for other reasons"
            )
        return lines

    def interrupted(self) -> str:
        """Return the line about the results of a stopped run."""
        return f"interrupted: {self.standing()}"

    def standing(self) -> str:
        """Return words about the results of a run that ends early."""
        done, total = self.finished, len(self.paths)
        if self.run is None:
            return f"{done} of {total} were graded, and none of it is kept"
        return f"{done} of {total} are done and kept; the same command goes on"

    def results(self) -> Results:
        """Return the collected results, in the order of the input."""
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
            # It was graded elsewhere, or from another folder or export.
            result = replace(
                result,
                path=self.paths[number],
                origin=origin,
                students=_students_by(origin, result.students),
            )
            packed = replace(packed, verdict=pack(result).verdict)
        if self.explainer is not None:
            explained = self.explainer.explain(result)
            if explained is not result:
                result, packed = explained, replace(packed, verdict=pack(explained).verdict)
            for notebook in self.explainer.unnamed(result):
                self.unnamed.setdefault(notebook, set()).add(number)
        # Kept before it is displayed: the progress display may fail.
        if self.run is not None:
            answers = packed.answers if input_hash else b""
            try:
                # One transaction, since answers belong to a result.
                with self.run.store.writing() if answers else nullcontext():
                    self.run.add(
                        number,
                        result,
                        packed,
                        input_hash=input_hash,
                        kept=kept,
                        another_origin=another_origin,
                    )
                    if answers:
                        # Imported here, since a student's machine does not need it.
                        from grader.batch import answer_store

                        answer_store.keep(self.run, number, answers)
            except StoreError as error:
                # For example a full disk. The run goes on, and its verdicts are reported.
                self.run = None
                self.progress.warn(f"from here on no result is kept: {error}")
        self._verdicts[number] = packed.verdict
        self.progress.done(number, result, kept)


def _students_by(origin: Origin, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the students' names from the platform; for a team of several, from the file name."""
    if origin.students:
        return origin.students
    # Canvas writes a name without blanks and capitals: the file name is better.
    whole = origin.platform in ("moodle", "brightspace") and len(named) <= 1
    return (origin.name,) if origin.name and (whole or not named) else named
