"""Marks that people give by a rubric, beside the machine's verdicts.

answers.py     the student and the fingerprint of an answer: a mark belongs to both
rubric.py      items with points, shared by all answers
marking.py     the marks of an answer; each change is one transaction, with a line in the history
overrides.py   a check's verdict that a person has changed
book.py        all of that, read at once
merged.py      results with their marks, for every report
marks_file.py  marks as a CSV file, without a browser
"""
