"""New assignments: a folder that `grade stubs` and `grade verify` accept without changes.

write_example(...)     a small assignment to change: linear regression
write_from(...)        an instructor's own solved notebook, its gaps listed as exercises

example           the texts of the small assignment
layout            writes the whole folder, or nothing
from_notebooks    an assignment around solved notebooks of any course
beside            the files that such a notebook opens or imports
names_used        the imports that such a notebook's tests need
gaps              where markers belong in a notebook without markers
"""

from grader.authoring.template.from_notebooks import write_from
from grader.authoring.template.gaps import UnmarkedNotebook
from grader.authoring.template.layout import Written, write_example

__all__ = ["UnmarkedNotebook", "Written", "write_example", "write_from"]
