"""Import the sources of other courses: nbgrader's, otter's, and notebooks with markers.

import_notebook(notebook)    a Draft: cells in grade's form, checks from the tests, a report

nbgrader        by the metadata of its cells
otter           by its raw cells
plain_course    by markers in code, asserts, examples in docstrings, "Your Answer:"
marked_code     the markers in code, of all courses
students_copy   a second notebook, without the solutions, that shows where the gaps are
overwritten     values that a test finds at its place, and that later cells overwrite
earlier_tests   the parts of earlier tests that a test needs
test_files      files of tests: each test becomes a check
test_habits     what these tests say to the tool that ran them before
test_helpers    the modules beside them
student_modules what students hand in, as these tests name it
imported        the Draft
"""

from grader.authoring.importers.imported import Check, Draft, Item, Line
from grader.authoring.importers.nbgrader import import_nbgrader, is_nbgrader
from grader.authoring.importers.otter import import_otter, is_otter
from grader.authoring.importers.plain_course import import_plain
from grader.authoring.importers.students_copy import solved_below, solved_over
from grader.records import Notebook

__all__ = ["Check", "Draft", "Item", "Line", "import_notebook"]


def import_notebook(notebook: Notebook, students: Notebook | None = None) -> Draft:
    """Return the draft of a notebook, by the convention that it follows.

    students : the students' copy, which shows where the gaps are, whatever their markers
    """
    if students is None:
        notebook, lines = solved_below(notebook)
    else:
        notebook, lines = solved_over(notebook, students)
    if is_nbgrader(notebook):
        draft = import_nbgrader(notebook, has_gaps=students is not None)
    elif is_otter(notebook):
        draft = import_otter(notebook)
    else:
        draft = import_plain(notebook, has_gaps=students is not None)
    draft.lines += lines
    return draft
