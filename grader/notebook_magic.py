"""The public checks inside a running notebook: `%grade`, or `grader.check()`.

The checks run on what the notebook has run so far. A fork of the kernel answers their calls
(a fork of that fork for each check), so nothing that a check does reaches the notebook; where
there is no fork, the cells run again in a fresh kernel. The verdicts are those of
`grade notebook.ipynb`.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from grader.assignment import find_assignments, load_assignment
from grader.errors import AssignmentError, GradeError
from grader.grading import grade_notebooks
from grader.in_kernel.system import CAN_FORK
from grader.notebook import assembled
from grader.records import Assignment, Cell, Isolation, Limits, Notebook, Result, Run
from grader.report import table
from grader.session import Kernels
from grader.session.server import AgentServer
from grader.session.student import Student
from grader.submission.matching import match_notebooks, recognise_assignment

_RUN_FIRST = "run the cells that define its functions first"


@dataclass(frozen=True)
class Verdicts:
    """The table that a cell shows. `result` has the details."""

    result: Result

    def _repr_html_(self) -> str:
        return table.render_html(self.result)

    def __repr__(self) -> str:
        return table.render_text(self.result)


def check(*exercises: str, seed: int = 0) -> Verdicts:
    """Return the verdicts on the running notebook; see `grader.check`."""
    shell = _shell()
    # The first entry of an input history is a placeholder.
    cells = list(shell.history_manager.input_hist_raw)[1:]
    folders = find_assignments(
        Path.cwd(),
        None,
        os.environ,
        graded=[Path.cwd() / "this.ipynb"],  # under any name: only its folder counts
        copy_first=True,
        advice="keep the notebook in the folder that you were given, beside checks/",
    )
    known = {name: load_assignment(folder) for name, folder in folders.items()}
    notebook = _claimed(
        assembled(
            [Cell(n, "code", source) for n, source in enumerate(cells, start=1)],  # In [n]
            name=_file_name(shell) or "this notebook",
        ),
        known.values(),
    )
    assignment = known[recognise_assignment([notebook], known, advice=_RUN_FIRST)]
    matched = {
        name: replace(found, notes=())  # earlier versions of a cell don't matter
        for name, found in match_notebooks(assignment, [notebook]).items()
    }
    only = _exercises_of(assignment, matched, exercises)
    # It runs in the student's own kernel.
    kernels = Kernels(replace(assignment, environment=None), None)
    if not CAN_FORK:
        result = grade_notebooks(
            kernels, matched, folder=Path.cwd(), seed=seed, only=only, public=True
        )
        return Verdicts(result)
    with _forked(shell, notebook, assignment.limits) as session:
        result = grade_notebooks(
            kernels,
            matched,
            folder=Path.cwd(),
            seed=seed,
            only=only,
            public=True,
            sessions=dict.fromkeys(matched, session),
        )
    return Verdicts(result)


def load(shell: Any) -> None:
    """Register `%grade [EXERCISE...]`, and keep what figures show for the plot checks."""

    def grade(line: str) -> Verdicts | None:
        try:
            return check(*line.split())
        except GradeError as error:  # no traceback for a student's mistake
            print(f"grade: {error}")
            return None

    shell.register_magic_function(grade, magic_kind="line", magic_name="grade")
    _remember_closed_figures()


def _remember_closed_figures() -> None:
    """Read every figure before it closes: the notebook's backend forgets a figure it has shown."""
    from matplotlib._pylab_helpers import Gcf

    from grader.in_kernel import figures

    if getattr(Gcf, "_grade_remembers", False):  # %load_ext twice
        return
    destroy, destroy_all = Gcf.destroy, Gcf.destroy_all

    def remember_all() -> None:
        for manager in Gcf.get_all_fig_managers():
            figures.remember(manager.canvas.figure)

    def destroy_one(number: Any) -> None:
        remember_all()
        destroy(number)

    def destroy_every() -> None:
        remember_all()
        destroy_all()

    # Set by name: matplotlib's annotations don't foresee that anyone listens here.
    for name, listening in (("destroy", destroy_one), ("destroy_all", destroy_every)):
        setattr(Gcf, name, staticmethod(listening))
    setattr(Gcf, "_grade_remembers", True)  # noqa: B010


def _shell() -> Any:
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise GradeError(
            "grader.check() works inside a notebook; for a file, run `grade NOTEBOOK.ipynb`"
        )
    return shell


def _file_name(shell: Any) -> str:
    """Return the notebook's file name if Jupyter or VS Code provides it."""
    told = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or ""
    return Path(str(told)).name


def _cell_number(shell: Any, filename: str) -> int | None:
    """Return the n of the In [n] whose code IPython keeps under this file name, or None."""
    name = getattr(shell.compile, "format_code_name", lambda _: None)(filename)
    found = re.fullmatch(r"In\[(\d+)\]", name[1]) if name else None
    return int(found[1]) if found else None


def _claimed(notebook: Notebook, known: Iterable[Assignment]) -> Notebook:
    """Return the notebook with the assignment's name for it, judged by its functions so far.

    A notebook being worked on has few of its functions yet: too few to recognise it otherwise.
    """
    found = {
        (assignment.id, name): sum(f in notebook.definitions for f in assignment.functions_in(name))
        for assignment in known
        for name in assignment.notebook_names
    }
    best = max(found, key=lambda place: found[place], default=("", ""))
    if not found or not found[best]:
        return notebook
    return replace(notebook, metadata={"grade": {"assignment": best[0], "notebook": best[1]}})


def _exercises_of(
    assignment: Assignment, matched: dict[str, Notebook], wanted: Sequence[str]
) -> tuple[str, ...]:
    """Return the ids to grade: the requested ones, or all of this notebook."""
    here = [e.id for e in assignment.exercises if e.notebook in matched]
    for exercise in wanted:
        if exercise not in here:
            raise AssignmentError(
                f"this notebook has no exercise {exercise!r}; it has: {', '.join(here)}"
            )
    return tuple(wanted) or tuple(here)


@dataclass(frozen=True)
class _LiveSession:
    """A session over a fork of the running kernel; it has run no cell itself."""

    server: AgentServer
    run: Run
    isolation: Isolation

    def student(
        self, *, limit_s: float = 20.0, reply_mib: int | None = None
    ) -> AbstractContextManager[Student]:
        return self.server.student(limit_s, reply_mib=reply_mib)


@contextmanager
def _forked(shell: Any, notebook: Notebook, limits: Limits) -> Iterator[Any]:
    from grader.in_kernel import agent, figures

    with AgentServer(limits=limits, notebook=notebook) as server:
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; this fork touches none of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            agent.serve(
                server.address,
                server.token,
                shell.user_ns,
                figures=figures.records,
                locate=partial(_cell_number, shell),
            )
        try:
            server.wait()
            # A student's own notebook runs without a sandbox.
            yield _LiveSession(server, Run(()), Isolation())
        finally:
            server.close()
            os.waitpid(child, 0)
