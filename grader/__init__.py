"""`grade`: an auto-grader for notebooks of numerical computing and deep learning.

    submission   who handed in what, unpacked safely
    notebook     the filled regions, each named by the definition that encloses it
    session      a live, closed process that has run the notebook and answers calls
    checks       one outcome a check, with its evidence
    score        an exercise's points, a total
    report       terminal, JSON, JUnit, HTML

`pipeline.grade` runs the flow; in a notebook, `grader.check()` or `%grade` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.notebook_magic import Verdicts

__all__ = ["__version__", "check", "load_ipython_extension"]
__version__ = "0.2.0"


def check(*exercises: str, seed: int = 0) -> Verdicts:
    """Return the public checks' verdicts on what this notebook has run so far.

    exercises : ids ("3b-cost"); all of this notebook's where none is named
    Shown as a table under the cell. Raises GradeError where no assignment is found.
    """
    # Imported late: `grade --help` and the student's own import stay light.
    from grader.notebook_magic import check as check_live

    return check_live(*exercises, seed=seed)


def load_ipython_extension(shell: object) -> None:
    """Give the notebook the magic `%grade` (`%load_ext grader`)."""
    from grader.notebook_magic import load

    load(shell)
