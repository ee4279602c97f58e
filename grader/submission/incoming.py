"""Turn the paths that a user names into submissions that are opened and read, or refused."""

from __future__ import annotations

import hashlib
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grader.errors import NoWork, SubmissionError, fault_line
from grader.notebook import read_notebook, what_breaks
from grader.records import Note, Notebook, Result, Submission
from grader.submission import Part, find_parts, open_submission
from grader.submission.finding import Unpacker
from grader.submission.students import has_students_name, is_students_folder, students_of


class Incoming:
    """A submission that is opened and read once, or refused.

    path : its place; shown : its name in the report
    into : a folder to unpack into, which does not exist yet
    """

    def __init__(self, part: Part, into: Path) -> None:
        self.path = str(part.path)
        self.shown = part.shown
        self.origin = part.origin
        self.into = into
        self.submission: Submission | None = None
        self.notebooks: list[Notebook] = []
        self.refused: Result | None = None
        self.failed: Exception | None = None
        if part.problem:
            self.refuse(SubmissionError(part.problem))

    def read(self) -> bool:
        """Open and read it once; return False if it is refused.

        An error that is not the submission's fault is raised at each call.
        """
        if self.failed is not None:
            raise self.failed
        if self.submission is None and self.refused is None:
            try:
                self.into.mkdir(parents=True)
                self.submission = open_submission(Path(self.path), self.into)
                self.notebooks, notes = _read_notebooks(self.submission)
                self.submission = replace(self.submission, notes=(*self.submission.notes, *notes))
            except SubmissionError as error:
                self.refuse(error)
            except Exception as error:
                self.failed = error
                raise
        return self.refused is None

    @property
    def was_opened(self) -> bool:
        return self.submission is not None or self.failed is not None

    def let_go(self) -> None:
        """Forget the content until it is read again, since a class's notebooks take much memory."""
        self.submission, self.notebooks = None, []
        shutil.rmtree(self.into, ignore_errors=True)

    def result(self) -> Result:
        """Return the result of a submission that is not graded: refused, or failed."""
        if self.failed is not None:
            return fault_result(self.path, self.failed, self.students)
        assert self.refused is not None
        return self.refused

    @property
    def students(self) -> tuple[str, ...]:
        """Return who handed it in; for one that can't be opened, by its name."""
        if self.submission is not None:
            return self.submission.students
        path = Path(self.path)
        bears = is_students_folder if path.is_dir() else has_students_name
        return students_of(path.name) if bears(path.name) else ()

    def refuse(self, error: SubmissionError) -> Result:
        """Return the result of a submission that can't be graded; it is kept in `refused`."""
        # If nothing was recognised, a cell that doesn't parse may be the reason.
        broken = next(filter(None, map(what_breaks, self.notebooks)), "")
        text = f"{error}; {broken}" if broken else str(error)
        notes = (Note("no_work", text),) if isinstance(error, NoWork) else ()
        work = self.submission.work if self.submission else ""
        self.refused = Result(self.path, self.students, "refused", text, notes=notes, work=work)
        return self.refused


def fault_result(path: str, error: Exception, students: tuple[str, ...] = ()) -> Result:
    """Return a Result that says that the grader is at fault, with details for a maintainer."""
    trace = "".join(traceback.format_exception(error)).strip()
    return Result(
        path,
        students,
        "grader_fault",
        "a fault of the grader, not of the submission: "
        + fault_line(str(error) or type(error).__name__),
        notes=(Note("traceback", trace),),
    )


def _read_notebooks(submission: Submission) -> tuple[list[Notebook], list[Note]]:
    """Read every file that can be read; note the others, unless there is only one file."""
    notebooks, notes = [], []
    problem: SubmissionError | None = None
    for file in submission.files:
        try:
            notebooks.append(read_notebook(submission.folder / file, name=file.as_posix()))
        except SubmissionError as error:
            problem = error
            if file.name == "__init__.py":  # a package's, empty on purpose
                continue
            notes.append(Note("unreadable", str(error), notebook=file.as_posix()))
    if problem is not None and not notebooks:
        raise problem
    return notebooks, notes


def find_incoming(
    paths: Sequence[Path],
    scratch: Path,
    *,
    split: bool | None = None,
    apart: bool = False,
    shard: tuple[int, int] | None = None,
    unpacker: Unpacker | None = None,
) -> tuple[list[Incoming], tuple[str, ...]]:
    """Return every submission found in paths, in order, and a line on each exception.

    scratch : a temporary folder to unpack into
    split, apart, unpacker : see finding.find_parts
    shard : (part from 1, parts): only those of this part, the same on every machine
    Raises SubmissionError for a folder that can't be read.
    """
    found = find_parts(paths, scratch, split=split, apart=apart, unpacker=unpacker)
    parts = [part for part in found.parts if shard is None or _is_in(part, *shard)]
    incoming = [Incoming(part, scratch / str(n)) for n, part in enumerate(parts)]
    return incoming, found.remarks


def _is_in(part: Part, number: int, of: int) -> bool:
    """Return whether a submission belongs to that shard, by its names, independent of its place."""
    names = (part.path.name, *(f"{k}={v}" for k, v in sorted(part.origin.ids.items())))
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % of == number - 1
