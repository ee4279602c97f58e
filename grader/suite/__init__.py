"""Checks are pytest tests: the marker `exercise`, the fixtures, and one outcome a check.

    with open_suite(assignment) as suite:
        outcomes = suite.run(CheckJob(sessions=sessions))

The check files are collected once; `run` is called once a submission. pytest sees no submission:
only our check files, from explicit paths, with plugin autoload off. We drive pytest as its own
`main` does (collection, then the protocol of one item after the other), so that the loop over
submissions is grade's own and reads straight down.

opening.py   has pytest collect
check.py     one check, and what may be wrong with it
running.py   the fixtures; one outcome a check
verdict.py   the outcome of an exception
"""

from grader.suite.opening import open_suite
from grader.suite.running import CheckedSession, CheckJob, Suite

__all__ = ["CheckJob", "CheckedSession", "Suite", "open_suite"]
