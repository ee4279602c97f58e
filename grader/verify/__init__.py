"""`grade verify`: validates an assignment.

The reference must get all points at every seed, the bare stub none, and each sample what it
declares. Mutants of the reference, with one typical mistake each, must lose points.

samples        variants of the solution, right or wrong, and what each must score
mistakes       typical mistakes at one node of a syntax tree
mutants        functions of the solved notebook with one mistake each
mutation_run   runs the checks on the mutants
perturbations  decides whether a survivor changes a value
calibration    runs the reference over many seeds
verdicts       the records of the results
report         the results for the terminal, as Markdown and as JSON
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.verify.report import as_json, render, render_markdown
    from grader.verify.verdicts import VerifyReport
    from grader.verify.verification import verify_assignments

__all__ = ["VerifyReport", "as_json", "render", "render_markdown", "verify_assignments"]

# Imported on access: `grade try` needs neither mutants of derivations nor a report.
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
