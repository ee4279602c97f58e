"""New assignments: a folder that `grade stubs` and `grade verify` accept as it is.

write_example(...)     a small assignment to change: linear regression
write_from(...)        an instructor's own solved notebook, its gaps listed as exercises

example     the texts of the small assignment
layout      writes a folder whole or not at all
from_notebooks    around solved notebooks of any course
beside      the files that such a notebook opens or imports
gaps        where markers belong in a notebook that has none
"""

from grader.authoring.template.from_notebooks import write_from
from grader.authoring.template.gaps import UnmarkedNotebook
from grader.authoring.template.layout import Written, write_example

__all__ = ["UnmarkedNotebook", "Written", "write_example", "write_from"]
