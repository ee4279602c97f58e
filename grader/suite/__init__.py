"""Runs checks, which are pytest tests: the marker `exercise`, the fixtures, an outcome for each.

    with open_suite(assignment) as suite:
        outcomes = suite.run(CheckJob(sessions=sessions))

The check files are collected once; `run` is called for each submission. pytest gets no submission,
only the check files, by explicit paths, with plugin autoload off. The suite calls pytest as its
own `main` does (collection, then the protocol of each item), so that the loop over submissions is
ordinary code of the grader.

opening.py        collects the checks with pytest
check.py          one check, and the problems that it may have
running.py        the fixtures; one outcome for each check
room.py           how much memory a check may take
verdict.py        the outcome that an exception means
interrupting.py   ends the command when Ctrl-C comes during a check
"""

from grader.suite.opening import open_suite
from grader.suite.running import CheckedSession, CheckJob, Suite

__all__ = ["CheckJob", "CheckedSession", "Suite", "open_suite"]
