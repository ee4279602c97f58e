"""Import the sources of other courses: nbgrader's, otter's, and notebooks with markers.

import_notebook(notebook)    a Draft: cells in grade's form, checks from the tests, a report

nbgrader        by the metadata of its cells
otter           by its raw cells
plain_course    by markers in code, asserts, examples in docstrings, "Your Answer:"
marked_code     the markers in code, of all courses
overwritten     values that a test finds at its place, and that later cells overwrite
earlier_tests   the parts of earlier tests that a test needs
imported        the Draft
"""

from grader.authoring.importers.imported import Check, Draft, Item, Line
from grader.authoring.importers.nbgrader import import_nbgrader, is_nbgrader
from grader.authoring.importers.otter import import_otter, is_otter
from grader.authoring.importers.plain_course import import_plain
from grader.records import Notebook

__all__ = ["Check", "Draft", "Item", "Line", "import_notebook"]


def import_notebook(notebook: Notebook) -> Draft:
    """Return the draft of a notebook, by the convention that it follows."""
    if is_nbgrader(notebook):
        return import_nbgrader(notebook)
    if is_otter(notebook):
        return import_otter(notebook)
    return import_plain(notebook)
