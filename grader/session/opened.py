"""A notebook that has run, in a process that is ready to answer calls.

with open_session(notebook, folder=folder, limits=limits) as session:
    session.run                      what became of every cell
    with session.student() as student:
        student.sigmoid(0.0)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from grader import records
from grader.errors import StudentDied
from grader.session.fork_server import ForkServer
from grader.session.given import GivenCells
from grader.session.runner import Runner
from grader.session.stopping import Stop, run_in_thread
from grader.session.student import Student


def open_session(
    notebook: records.Notebook,
    *,
    folder: Path | None,
    limits: records.Limits,
    datasets_dir: Path | None = None,
    seed: int = 0,
    sandbox: records.Sandbox = "auto",
    fork_server: ForkServer | None = None,
    given: GivenCells | None = None,
    draw: bool = True,
    shared: Path | None = None,
    python: Path | None = None,
    on_cell: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> Session:
    """Return a session that has run the whole notebook and answers calls. Close it.

    folder : the submission's; the notebook runs at its place in a copy of it
    datasets_dir : the data sets that fetch_openml finds
    seed : of the kernel's random generators
    sandbox : how the process is sandboxed: by what the machine offers, by all, not at all
    fork_server : forks the kernels; where None, each starts by itself
    given : processes that have run the cells which the notebook may begin with
    draw : whether figures become pictures in the run's outputs; their data are there anyway
    shared : the instructor's files, which are laid beside the notebook (shared_files.py)
    python : the interpreter, of the fork server too; the grader's own where None
    on_cell : on_cell(done, total) after each cell, from another thread
    stop : calls it off, from another thread; CancelledError is raised then
    Raises only GraderFault: no student code can make it fail.
    """
    options = {
        "seed": seed,
        "draw": draw,
        "datasets": str(datasets_dir.resolve()) if datasets_dir is not None else None,
        "beside": _folder_within(notebook.name),
    }
    runner = Runner(
        notebook, folder, limits, options, sandbox, fork_server, shared, python, on_cell
    )
    if given is not None and fork_server is not None:
        runner.forks_first = given.server(
            notebook, folder, options, fork_server=fork_server, shared=shared
        )
    try:
        run_in_thread(runner.run(), stop or Stop())
        return Session(notebook, runner)
    except BaseException:
        runner.close()
        raise


class Session:
    """A notebook that has run, in a process that answers calls.

    run : what became of its cells
    notebook : as it was handed in
    isolation : what closed its process in
    """

    def __init__(self, notebook: records.Notebook, runner: Runner) -> None:
        self.notebook = notebook
        self.run: records.Run = runner.record()
        self.isolation = runner.isolation
        self._runner = runner

    def student(self, limit_s: float = 20.0, *, reply_mib: int | None = None) -> Student:
        """Return a context manager: a fresh fork of the state that the notebook left.

        A kernel that has died since (a thread that the notebook left behind may end it) is
        replaced by one that holds the notebook's definitions; `run` then says so.
        Raises StudentFault, GraderFault.
        """
        try:
            return self._runner.open_student(limit_s, reply_mib)
        except StudentDied as death:
            run_in_thread(self._runner.revive(death), Stop())
            self.run = self._runner.record()
            return self._runner.open_student(limit_s, reply_mib)

    def close(self) -> None:
        """End the process and all that it started, and delete its files. May be called twice."""
        self._runner.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _folder_within(name: str) -> str:
    """Return the folder of a file within the submission; "." for any other path."""
    folder = PurePosixPath(name).parent
    return "." if folder.is_absolute() or ".." in folder.parts else str(folder)
