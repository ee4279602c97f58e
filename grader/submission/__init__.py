"""Find who handed in what: split by student, unpack, and match with the assignment.

finding.py     the submissions below the paths that a user names
exports.py     the exports of learning platforms, one part for each student
platforms.py   the names that platforms give to files
gradescope.py  Gradescope's list of who handed in what
classes.py     whether several notebooks are those of a class
archive.py     zips, unpacked within limits
intake.py      one submission, opened
students.py    whose work it is
matching.py    its assignment, and which file is which notebook
work.py        which files count as work
"""

from grader.submission.exports import Part, Split, split_folder, split_zip
from grader.submission.finding import Found, find_parts, find_submissions, passed_over
from grader.submission.intake import open_submission
from grader.submission.work import ENVIRONMENTS, SKIPPED_FOLDERS

__all__ = [
    "ENVIRONMENTS",
    "SKIPPED_FOLDERS",
    "Found",
    "Part",
    "Split",
    "find_parts",
    "find_submissions",
    "open_submission",
    "passed_over",
    "split_folder",
    "split_zip",
]
