"""The pages of `grade review`, one file each.

visit.py      a request of a grader, and how its page is made
whole.py      the class: a row for each student, a column for each exercise
question.py   one exercise, student after student, with its rubric
showing.py    what a student wrote, made harmless
alike.py      groups of similar answers
teaching.py   statistics of the class
likeness.py   pairs worth a look
people.py     graders, their tasks, the history
"""
