"""`grade`: an auto-grader for notebooks of numerical computing and deep learning.

    import grader

    report = grader.grade(["submission.zip"], assignment="pw02")
    for result in report.results:
        print(result.students, result.score, result.max_score)

    assignment = grader.load_assignment("pw02")
    grader.check()            # in a notebook: the public checks, as `%grade` does

The stages, in order, each a folder or a file:

    submission   who handed in what, unpacked safely
    assignment   what is asked
    notebook     the filled regions, each named by the definition that encloses it
    session      a live, sandboxed process that has run the notebook and answers calls
    checks       the assertions that instructors write with
    suite        the checks, collected by pytest, one outcome each
    grading      one submission, straight down
    score        an exercise's points, a total
    report       terminal, JSON, JUnit, HTML

pipeline.py holds them in order. Other packages add to it by plugins.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Nothing is imported here, so that `import grader` stays light, for students too.
if TYPE_CHECKING:
    from grader.notebook_magic import Verdicts
    from grader.records import Assignment, Report, Sandbox

__all__ = ["Report", "__version__", "check", "grade", "load_assignment", "load_ipython_extension"]
__version__ = "0.2.0"


def grade(
    paths: Sequence[str | os.PathLike[str]],
    *,
    assignment: str | None = None,
    assignments: str | os.PathLike[str] | None = None,
    only: Sequence[str] = (),
    public: bool = False,
    seed: int = 0,
    sandbox: Sandbox = "auto",
    jobs: int = 1,
) -> Report:
    """Return the verdict on every submission found in paths, in order; nothing is kept or printed.

    paths : zips, notebooks, scripts, folders, exports of learning platforms
    assignment : its id; None to recognise it from the first readable submission
    assignments : folder of assignments; $GRADE_ASSIGNMENTS, or reference/ here or above where None
    only : ids of exercises; empty for all
    public : run the public checks alone
    seed : of every random input
    sandbox : how student code is isolated: "auto", "strict", "none"
    jobs : grading processes
    Raises GradeError (grader.errors), whose text is one line that says what to do.
    """
    from grader import pipeline
    from grader.request import Request

    request = Request(
        assignment=assignment,
        assignments=Path(assignments) if assignments is not None else None,
        only=only,
        public=public,
        seed=seed,
        sandbox=sandbox,
        jobs=jobs,
    )
    return pipeline.grade(_paths(paths), request)


def load_assignment(
    assignment: str | os.PathLike[str],
    *,
    assignments: str | os.PathLike[str] | None = None,
) -> Assignment:
    """Return an assignment: its exercises, solved notebooks and stubs.

    assignment : its id, or the path of its folder
    assignments : folder of assignments; None to find it as `grade` does
    Raises AssignmentError.
    """
    from grader.assignment import FILE, find_assignments, folder_of
    from grader.assignment import load_assignment as load

    if isinstance(assignment, os.PathLike) or Path(assignment, FILE).is_file():
        return load(Path(assignment))
    explicit = Path(assignments) if assignments is not None else None
    return load(folder_of(assignment, find_assignments(Path.cwd(), explicit, os.environ)))


def check(*exercises: str, seed: int = 0) -> Verdicts:
    """Return the verdicts of the public checks on what this notebook has run so far.

    exercises : ids ("3b-cost"); none for all of this notebook
    The notebook shows them as a table. Raises GradeError if no assignment is found.
    """
    # Imported late: `grade --help` and the student's own import stay light.
    from grader.notebook_magic import check as check_live

    return check_live(*exercises, seed=seed)


def load_ipython_extension(shell: object) -> None:
    """Give the notebook the magic `%grade` (`%load_ext grader`)."""
    from grader.notebook_magic import load

    load(shell)


def _paths(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the paths. Raises SubmissionError for one that does not exist."""
    from grader.errors import SubmissionError

    if isinstance(paths, str | os.PathLike):  # a string is a sequence of its letters
        paths = [paths]
    for path in paths:
        if not Path(path).exists():
            raise SubmissionError(f"there is no {path}")
    return [Path(path) for path in paths]


def __getattr__(name: str) -> Any:
    if name == "Report":
        from grader.records import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
