"""Grades out: who is in the class, what the rules make of a score, and the platform's own files.

roster.py      who is in the class: class.toml, or a file of the platform
people.py      whose result it is, by the platform's keys and then by name
rules.py       the deadline and the attempts, applied to what was graded
sheet.py       a CSV file whose cells are filled, every other byte as it was
worksheets.py  the files of Moodle, Canvas and Blackboard
feedback.py    the pages for students, as a zip or a folder
table.py       a table for a spreadsheet
summary.py     what a person should know of the class
"""

from grader.gradebook.people import Person
from grader.gradebook.roster import read_roster
from grader.gradebook.rules import Grade, grade_class
from grader.gradebook.worksheets import Filled, fill_worksheet, read_worksheet

__all__ = [
    "Filled",
    "Grade",
    "Person",
    "fill_worksheet",
    "grade_class",
    "read_roster",
    "read_worksheet",
]
