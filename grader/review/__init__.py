"""What people judge: marks by a rubric, beside the machine's verdicts.

answers.py     whose an answer is, and what it says: what a mark belongs to
rubric.py      items with points, shared by all answers
marking.py     what a person says of an answer; each change one transaction, and in the history
overrides.py   a check's verdict that a person has changed
book.py        all of that, read at once
merged.py      results with their marks, for every report
marks_file.py  marks as a CSV file, without a browser
"""
