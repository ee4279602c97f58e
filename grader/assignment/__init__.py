"""An assignment: reference/<id>/, or the checks/ folder of a student's copy.

reference/pw02/assignment.toml, *.ipynb (solved), test_*.py, hidden/     stubs are made in memory
student_templates/pw02/checks/assignment.toml, stubs/*.ipynb, test_*.py      `public = true`

finding.py        finds the folders of assignments
schema.py         what assignment.toml may hold
course_files.py   the data, modules and packages that lie beside the notebooks
check_files.py    finds the check files: which are hidden, what they can import
check_names.py    the names of its checks, read from the files alone
loading.py        reads the file, its notebooks and their stubs
"""

from grader.assignment.finding import (
    ENVIRONMENT_VARIABLE,
    FILE,
    find_assignments,
    folder_of,
)
from grader.assignment.loading import environment_in, load_assignment

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "FILE",
    "environment_in",
    "find_assignments",
    "folder_of",
    "load_assignment",
]
