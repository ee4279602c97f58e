"""The grader's side of the student's process: run a notebook, then call what it defines."""

from grader.session.fork_server import ForkServer, start_fork_server
from grader.session.kernels import Kernels
from grader.session.opened import Session, open_session
from grader.session.sandbox_check import require_sandbox
from grader.session.scratch import remove_session_leftovers
from grader.session.stopping import Stop

__all__ = [
    "ForkServer",
    "Kernels",
    "Session",
    "Stop",
    "open_session",
    "remove_session_leftovers",
    "require_sandbox",
    "start_fork_server",
]
