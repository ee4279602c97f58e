"""The grader's side of the student's process: run a notebook, then call what it defines."""

from grader.session.probing import require_sandbox
from grader.session.runner import Session, open_session

__all__ = ["Session", "open_session", "require_sandbox"]
