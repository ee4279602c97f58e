"""A notebook that has run, in a process that is ready to answer calls.

with open_session(notebook, folder=folder, limits=limits) as session:
    session.run                      what became of every cell
    with session.student() as student:
        student.sigmoid(0.0)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path, PurePosixPath

from grader import records
from grader.closing import Closing
from grader.errors import StudentDied
from grader.in_kernel.system import CAN_FORK
from grader.session.fork_server import ForkServer
from grader.session.given import GivenCells
from grader.session.kept_answers import KeptAnswers, root_of
from grader.session.provisioner import KernelSetup
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
    draw: bool | Collection[int] = True,
    shared: Path | None = None,
    python: Path | None = None,
    on_cell: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> Session:
    """Return a session that has run the whole notebook and answers calls. Close it.

    folder : the submission's; the notebook runs in a copy of it, in its own subfolder
    datasets_dir : where fetch_openml finds data sets
    seed : for the kernel's random generators
    sandbox : "auto" for all layers that the machine offers, "strict" to insist on all, or "none"
    fork_server : forks the kernels; None to start each by itself
    given : processes that have run the cells which the notebook may begin with
    draw : whether the run's outputs contain pictures of figures, or the cells whose figures they
        contain; a check gets the data of all figures
    shared : a folder with the instructor's files, which are placed beside the notebook
        (shared_files.py)
    python : the interpreter, also of the fork server; None for the grader's own
    on_cell : called as on_cell(done, total) after each cell, from another thread
    stop : calls off the opening from another thread; CalledOff is raised then
    Raises only GraderFault: no student code can make it fail.
    """
    options = {
        "seed": seed,
        "draw": draw if isinstance(draw, bool) else sorted(draw),
        "datasets": str(datasets_dir.resolve()) if datasets_dir is not None else None,
        "beside": _folder_within(notebook.name),
    }
    setup = KernelSetup(limits, sandbox, options, fork_server, shared, python)
    runner = Runner(notebook, folder, setup, on_cell, stop or Stop())
    if given is not None:
        runner.forks_first = given.server(
            notebook, folder, options, fork_server=fork_server, shared=shared
        )
    try:
        run_in_thread(runner.run, runner.stop)
        return Session(notebook, runner)
    except BaseException:
        runner.close()
        raise


class Session(Closing):
    """A notebook that has run, in a process that answers calls.

    run : the results of its cells
    notebook : as it was handed in
    isolation : the layers of its sandbox
    answers : collects the replies of its processes to checks; None to keep none
    """

    answers: KeptAnswers | None = None
    missed = False
    """Whether the latest check sent a request without a kept reply; see kept_session.py."""

    def __init__(self, notebook: records.Notebook, runner: Runner) -> None:
        self.notebook = notebook
        self.run: records.Run = runner.record()
        self.isolation = runner.isolation
        self._runner = runner

    def student(self, limit_s: float = 20.0, *, reply_mib: int | None = None) -> Student:
        """Return a Student: a new fork of the state that the notebook left. Close it.

        limit_s : seconds for all its calls together
        reply_mib : the largest reply; None for the assignment's limit
        If the kernel has died meanwhile (a thread of the notebook may end it), another kernel takes
        its place, which has only the notebook's definitions; `run` then says so.
        Raises StudentFault, GraderFault.
        """
        try:
            student = self._runner.open_student(limit_s, reply_mib)
        except StudentDied as death:
            self.answers = None  # the state differs from now on
            self._runner.stop = Stop()  # an earlier one may have been called
            run_in_thread(partial(self._runner.revive, death), self._runner.stop)
            self.run = self._runner.record()
            return self._runner.open_student(limit_s, reply_mib)
        if self.answers is not None and CAN_FORK:
            self.answers.listen(student, root_of(self.notebook.name, reply_mib))
        return student

    def listen_on(self, student: Student, check: str, *, reply_mib: int | None = None) -> None:
        """Collect a process's replies to a further check, which shares it with earlier checks.

        check : its exercise and its name
        """
        if self.answers is not None and CAN_FORK:
            root = root_of(self.notebook.name, reply_mib, check)
            self.answers.began.add(root)
            self.answers.listen(student, root)

    def begin_end(self) -> None:
        """Have the process end, with all that it started. It answers no more; close() it later."""
        self._runner.begin_end()

    def close(self) -> None:
        """End the process and all that it started, and delete its files. May be called twice."""
        self._runner.close()


def _folder_within(name: str) -> str:
    """Return the folder of a path within the submission; "." for a path that leaves it."""
    folder = PurePosixPath(name).parent
    return "." if folder.is_absolute() or ".." in folder.parts else str(folder)
