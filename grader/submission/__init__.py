"""Who handed in what: found, split by student, unpacked, matched with the assignment.

finding.py    the submissions below the paths that a user names
exports.py    the exports of learning platforms, one part a student
archive.py    zips, unpacked within limits
intake.py     one submission, opened
students.py   whose work it is
matching.py   which assignment it answers, and which file plays which notebook
work.py       which files are work at all
"""

from grader.submission.exports import Part, unpack_export
from grader.submission.finding import find_submissions, passed_over
from grader.submission.intake import open_submission
from grader.submission.work import ENVIRONMENTS, SKIPPED_FOLDERS

__all__ = [
    "ENVIRONMENTS",
    "SKIPPED_FOLDERS",
    "Part",
    "find_submissions",
    "open_submission",
    "passed_over",
    "unpack_export",
]
