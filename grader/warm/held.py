"""An assignment's checks and its fork server, kept for several runs."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from grader import datasets, environments
from grader.assignment import environment_in, load_assignment
from grader.closing import Closing
from grader.environments import python_of
from grader.errors import AssignmentError, NotHeld
from grader.records import Assignment, Sandbox
from grader.session import ForkServer, Kernels, start_fork_server
from grader.suite import Suite, open_suite
from grader.warm import fingerprint


class Held(Closing):
    """The collected checks of one assignment, and a fork server. Close it after use.

    folder : the assignment's
    sandbox : how its kernels will be sandboxed
    Raises AssignmentError, GraderFault.
    """

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder.resolve()
        self.sandbox = sandbox
        self._was = self._now()  # taken first, so that later changes are noticed
        self._stack = ExitStack()
        assignment = replace(load_assignment(self.folder), sandbox=sandbox)
        try:
            # The fork server imports what the notebooks use, while the checks are collected here.
            self._kernels = self._stack.enter_context(
                Kernels(assignment, start_fork_server(sandbox, python_of(assignment)))
            )
            self.suite: Suite = self._stack.enter_context(open_suite(assignment))
        except BaseException:
            self._stack.close()
            raise

    def require(self, chosen: Assignment, sandbox: Sandbox) -> None:
        """Raise NotHeld if another assignment is requested, or this one has changed."""
        if chosen.folder.resolve() != self.folder or sandbox != self.sandbox:
            raise NotHeld("another assignment, or another sandbox, is requested")
        if self._now() != self._was:
            raise NotHeld("the assignment has changed")

    def fork_server(self) -> ForkServer | None:
        """Return a copy of the fork server, for one run that closes it; None if there is none.

        Raises GraderFault.
        """
        server = self._kernels.fork_server
        if server is None:
            return None
        return ForkServer(server.clone())

    @property
    def alive(self) -> bool:
        """Whether the fork server lives, or there has never been one."""
        return self._kernels.fork_server is None or self._kernels.fork_server.alive

    def _now(self) -> tuple[str, str, str]:
        """Return fingerprints of all that is loaded from the assignment's and the data's files."""
        environment = ""
        with suppress(AssignmentError):  # loading the assignment reports the error
            environment = environments.fingerprint(environment_in(self.folder), self.folder)
        data = dict.fromkeys((datasets.datasets_dir(), datasets.SHIPPED))
        return fingerprint.of_folder(self.folder), environment, fingerprint.of_data(*data)

    def close(self) -> None:
        self._stack.close()
