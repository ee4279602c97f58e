"""The pages of `grade review`, one file each.

visit.py      a request: who asks, what for, what is open; and how a page is made
whole.py      the class: a row a student, a column an exercise
question.py   one exercise, student after student, with its rubric
showing.py    what a student wrote, made harmless
alike.py      like answers together
teaching.py   what the class teaches
likeness.py   pairs worth a look
people.py     graders, their tasks, the history
"""
