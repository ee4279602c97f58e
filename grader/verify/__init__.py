"""`grade verify`: validates an assignment.

The reference scores everything, at every seed; the bare stub nothing; each sample what it
declares; and mutants of the reference, a typical mistake each, lose points.

samples      variants of the solution, right or wrong, and what each must score
mistakes     typical ones, at one node of a syntax tree
mutants      a function of the solved notebook with one of them, and its name
mutation_run runs the mutants against the checks
perturbations: does a survivor change a value at all?
calibration  the reference over many seeds
verdicts     the records of all that
report       terminal, Markdown, JSON
"""

from grader.verify.report import as_json, render, render_markdown
from grader.verify.verdicts import VerifyReport
from grader.verify.verification import verify_assignments

__all__ = ["VerifyReport", "as_json", "render", "render_markdown", "verify_assignments"]
