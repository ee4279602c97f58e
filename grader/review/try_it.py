"""Run a grader's code after a student's notebook, in a sandboxed process.

The kept notebook runs again in a sandboxed kernel, with the code as one more cell and with the
assignment's limits. Afterwards the process and its files are removed. Files beside the notebook
are present only if the submission still exists and has not changed.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from grader.environments import python_of
from grader.errors import GradeError, GraderFault, ReviewError
from grader.records import Assignment, Cell, Notebook, Result, Run
from grader.report.html_page import Figure, Gallery
from grader.review.pages.showing import text_of_output
from grader.session import Kernels, require_sandbox, start_fork_server
from grader.submission.incoming import find_incoming
from grader.temporary import TemporaryFolder
from grader.text import printable

MAX_CODE = 20_000
MAX_TEXT = 20_000


@dataclass(frozen=True)
class Tried:
    """What the code gave. notes : warnings about the run"""

    status: str
    text: str = ""
    error: str = ""
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


class Tryout:
    """Runs code after students' notebooks, one at a time. Close it."""

    def __init__(self, assignment: Assignment | None) -> None:
        self.assignment = assignment
        self._lock = threading.Lock()
        self._kernels: Kernels | None = None

    def run(self, result: Result, notebook: str, code: str, *, seed: int = 0) -> Tried:
        """Return what the code printed and drew after a notebook of a result.

        result : with its evidence
        notebook : its name in the assignment
        Raises ReviewError if the code can't be run; SandboxError.
        """
        if not code.strip():
            raise ReviewError("write some code first")
        if len(code) > MAX_CODE:
            raise ReviewError(f"the code has {len(code):,} characters; {MAX_CODE:,} can be tried")
        submitted = result.evidence.notebooks.get(notebook)
        if submitted is None or self.assignment is None:
            raise ReviewError(f"there is no {notebook or 'notebook'} of this submission to run")
        if lacking := self.assignment.lacking(notebook):
            raise ReviewError(lacking)
        # One at a time: the machine may be grading a class beside it.
        with self._lock, ExitStack() as stack:
            folder, note = _beside(result, stack)
            session = stack.enter_context(
                self._opened().open(_with_code(submitted, code), folder=folder, seed=seed)
            )
            return _tried(result, session.run, notes=(note,) if note else ())

    def _opened(self) -> Kernels:
        assert self.assignment is not None
        if self._kernels is None:
            require_sandbox(self.assignment.sandbox)
            server = start_fork_server(self.assignment.sandbox, python_of(self.assignment))
            self._kernels = Kernels(self.assignment, server, draw=True)
        return self._kernels

    def close(self) -> None:
        with self._lock:
            if self._kernels is not None:
                self._kernels.close()
                self._kernels = None


def _with_code(notebook: Notebook, code: str) -> Notebook:
    index = max((cell.index for cell in notebook.cells), default=-1) + 1
    return replace(notebook, cells=(*notebook.cells, Cell(index, "code", code)))


def _beside(result: Result, stack: ExitStack) -> tuple[Path, str]:
    """Return the folder of the unchanged submission; else an empty folder, with a note."""
    empty = stack.enter_context(TemporaryFolder())
    path = Path(result.path)
    if result.work and path.exists():
        try:
            found, _ = find_incoming([path], empty, split=False)
            if len(found) == 1 and found[0].read():
                submission = found[0].submission
                if submission is not None and submission.work == result.work:
                    return submission.folder, ""
        except (GradeError, OSError):
            pass
    note = "the files that were handed in beside the notebook are not there any more"
    return stack.enter_context(TemporaryFolder()), note


def _tried(result: Result, run: Run, *, notes: tuple[str, ...]) -> Tried:
    last = max(run.cells, key=lambda cell: cell.index, default=None)
    if last is None:
        raise GraderFault("the notebook ran without the grader's code")
    gallery = Gallery(replace(result.evidence, runs={}))
    figures, texts = [], []
    for output in last.outputs:
        data = output.get("data")
        if isinstance(data, dict):
            figure = next(
                (gallery.take(data[kind], "", last.index)
                 for kind in ("image/png", "image/jpeg") if kind in data),
                None,
            )  # fmt: skip
            if figure is not None:
                figures.append(figure)
                continue
        texts.append(text_of_output(output))
    broken = [cell for cell in run.cells if cell is not last and cell.status != "ok"]
    more = (f"{len(broken)} cells of the notebook itself did not run to their end",)
    return Tried(
        last.status,
        printable("".join(texts), MAX_TEXT),
        printable(last.error, 2000),
        tuple(figures),
        notes + (more if broken else ()),
    )
