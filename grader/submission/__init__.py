"""Who handed in what: found, split by student, unpacked, matched with the assignment.

finding.py     the submissions below the paths that a user names
exports.py     the exports of learning platforms, one part a student
platforms.py   what platforms write into the names of files
gradescope.py  Gradescope's list of who handed in what
classes.py     whether a heap of notebooks is a class's
archive.py     zips, unpacked within limits
intake.py      one submission, opened
students.py    whose work it is
matching.py    which assignment it answers, and which file plays which notebook
work.py        which files are work at all
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
