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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.verify.report import as_json, render, render_markdown
    from grader.verify.verdicts import VerifyReport
    from grader.verify.verification import verify_assignments

__all__ = ["VerifyReport", "as_json", "render", "render_markdown", "verify_assignments"]

# Imported when asked for: `grade try` needs neither mutants of derivations nor a report.
_PLACES = {
    "as_json": "report",
    "render": "report",
    "render_markdown": "report",
    "VerifyReport": "verdicts",
    "verify_assignments": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
