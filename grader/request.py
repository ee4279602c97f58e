"""The settings of one `grade` command, the same for each assignment in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.batch import cache_key
from grader.batch.progress import Progress
from grader.batch.workers import cores
from grader.choosing import require_exercises, require_known_course, require_students_machine
from grader.records import Assignment, Options, Sandbox
from grader.submission.incoming import Incoming


@dataclass(frozen=True, kw_only=True)
class Request:
    """The settings of one `grade` command.

    assignment : its id; None to recognise it for each submission
    assignments : folder of assignments; None to find it from $GRADE_ASSIGNMENTS or upwards
    only : ids of exercises; empty for all
    checks : exercises with the names of the checks to run, without parameters; empty for all
    public : run only the public checks
    sandbox : how student code is isolated
    jobs : grading processes; 1 grades in this process; a single submission always does
    dask : address of a dask scheduler; its workers grade instead
    keep : keep results, and reuse those of earlier runs; batch/store.py says where
    regrade : reuse no results
    part_of : the number of the run that some exercises are graded again for
    from_answers : let answers that earlier runs have kept stand for students' processes
    evidence : give it to `progress` with each result; the report holds only verdicts
    progress : is notified of each event
    split : whether a path holds a class or one submission; None to decide by its names
    apart : whether each path was named in a command of its own, and may be an export
    shard : (3, 16) for the third of 16 parts of the class; None for all of it
    share_cells : run the template's first cells once for all submissions that have them unchanged
    """

    assignment: str | None = None
    assignments: Path | None = None
    only: Sequence[str] = ()
    checks: Sequence[tuple[str, str]] = ()
    public: bool = False
    seed: int = 0
    sandbox: Sandbox = "auto"
    jobs: int = 1
    dask: str | None = None
    keep: bool = False
    regrade: bool = False
    part_of: int | None = None
    from_answers: bool = False
    evidence: bool = False
    progress: Progress = field(default_factory=Progress)
    split: bool | None = None
    apart: bool = False
    shard: tuple[int, int] | None = None
    share_cells: bool = False

    def require(self, chosen: Assignment) -> None:
        """Raise AssignmentError if that assignment can't be graded with these settings."""
        require_exercises(chosen, self.only)
        if chosen.public_only and self.assignments is None:
            require_students_machine(chosen, self.progress.warn)
        elif self.keep and not chosen.public_only:
            require_known_course(chosen, self.assignments, self.progress.warn)

    def options(self, chosen: Assignment, *, alone: bool) -> Options:
        """Return the settings of each grading process.

        alone : whether it is a single submission, not a class
        """
        # A page shows all of them; a person who grades an answer in words wants to see its own.
        read = any(e.manual or e.answer_cells for e in chosen.exercises)
        return Options(
            str(chosen.folder.resolve()),
            tuple(self.only),
            self.public,
            self.seed,
            self.sandbox,
            evidence=self.evidence or self.keep,
            figures="all" if self.evidence else "answers" if read else "none",
            kernels=cores(),
            alone=alone,
            share_cells=self.share_cells and not alone,
            keep_answers=self.keep and not chosen.public_only,
            checks=tuple(self.checks),
        )

    def kept_assignments(
        self, known: Mapping[str, Assignment], submissions: Sequence[Incoming]
    ) -> Mapping[int, str]:
        """Return the assignments of the submissions that an earlier run has graded, by index."""
        if not self.keep or self.dask is not None:
            return {}
        # Imported here: a student's machine does not need it.
        from grader.batch.keeping import kept_assignments

        alone = len(submissions) == 1
        return kept_assignments(
            {name: self.options(one, alone=alone) for name, one in known.items()},
            [cache_key.input_hash(Path(i.path)) if not i.refused else "" for i in submissions],
        )
