"""The grader's side of the student's process: run a notebook, then call what it defines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.session.fork_server import ForkServer, start_fork_server
    from grader.session.kernels import Kernels
    from grader.session.open_files import require_open_files
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
    "require_open_files",
    "require_sandbox",
    "start_fork_server",
]

# A name is imported when it is first used, so that the fork server starts before slow imports.
_MODULES = {
    "ForkServer": "fork_server",
    "Kernels": "kernels",
    "Session": "opened",
    "Stop": "stopping",
    "open_session": "opened",
    "remove_session_leftovers": "scratch",
    "require_open_files": "open_files",
    "require_sandbox": "sandbox_check",
    "start_fork_server": "fork_server",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
