"""Grades for a class: the roster, the course's rules, and the files of learning platforms.

roster.py      the class list: class.toml, or a file of the platform
people.py      matches results to people, by the platform's ids and then by name
names.py       compares names, in the spellings that files and lists have
rules.py       the deadline and the attempts, applied to the results
sheet.py       a CSV file whose cells are filled while every other byte stays unchanged
worksheets.py  the files of Moodle, Canvas, Blackboard and Brightspace
feedback.py    the pages for students, as a zip or a folder
table.py       a table for a spreadsheet
summary.py     a few lines about the class, for the instructor
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
