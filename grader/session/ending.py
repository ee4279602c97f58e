"""Words for how a process ended: one wording for kernels, checks and workers."""

from __future__ import annotations

import signal

from grader.session.processes import KILL


def how_it_ended(code: int) -> str:
    """Return "killed by SIGSEGV" or "exit code 3".

    code : as subprocess returns it; negative for a signal
    """
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


KILLED = how_it_ended(-KILL)
"""The machine may have done this, not the code: it kills processes when memory runs out."""
