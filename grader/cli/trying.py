"""`grade try`: run one check while it is written."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import options, output
from grader.cli.options import GRADED, UNDER
from grader.session.guard import standing_by

if TYPE_CHECKING:
    from rich.console import Console

    from grader.records import Assignment
    from grader.verify.trying import Tried


@options.command("try", short_help="Run one check on the solution, the stub and the samples.")
@click.argument("check", metavar="CHECK")
@click.argument("assignment_id", metavar="[ASSIGNMENT]", required=False)
@options.assignments
@click.option("--samples/--no-samples", default=True, help="Try the samples too, or not.")
@options.sandbox
def command(
    check: str, assignment_id: str | None, assignments: Path | None, samples: bool, sandbox: str
) -> int:
    """Run one check on the solution, the stub and the samples: what does it say?

    CHECK is the name of a check, with or without test_, a part of it, or an exercise's id. The
    points need not add up yet, and other checks need not be written. The solution must pass, the
    stub must earn nothing, a right variant must pass. `grade verify` validates the whole.

    \b
    Examples:
      grade try test_gradient
      grade try 3b-grad pw02
    """
    click.get_current_context().with_resource(standing_by())
    from dataclasses import replace

    from grader.verify.trying import try_checks

    began = time.perf_counter()
    assignment = replace(_assignment_of(check, assignment_id, assignments), sandbox=sandbox)  # type: ignore[arg-type]
    console = output.console()
    wrong = 0
    shown, passed = "", 0
    for tried in try_checks(assignment, check, samples=samples):
        if (
            tried.part in ("right", "mistake")
            and not tried.wrong
            and (tried.outcome.outcome == "passed")
        ):
            passed += 1
            continue
        if tried.name != shown:
            shown = tried.name
            _show_name(tried, console)
        _show(tried, console)
        wrong += bool(tried.wrong)
    if passed:
        console.print(f"samples passed {passed} times more")
    seconds = time.perf_counter() - began
    console.print()
    told = f"{wrong} marked ✗ can't be right" if wrong else "as it must be"
    console.print(f"{told} ({seconds:.1f} s)")
    return UNDER if wrong else GRADED


def _assignment_of(check: str, assignment_id: str | None, folder: Path | None) -> Assignment:
    """Return the assignment; without an id, the one whose check files name the check."""
    from grader.assignment import find_assignments, folder_of, load_assignment
    from grader.assignment.check_names import assignment_of_check
    from grader.errors import AssignmentError

    found = find_assignments(Path.cwd(), folder, os.environ)
    if assignment_id is None and len(found) > 1:
        here = Path.cwd().resolve()
        inside = [name for name, place in found.items() if here.is_relative_to(place.resolve())]
        if len(inside) == 1:
            assignment_id = inside[0]
        else:
            assignment_id = assignment_of_check(
                check, {name: found[name] for name in inside or found}
            )
    assignment = load_assignment(
        folder_of(assignment_id, found) if assignment_id else next(iter(found.values()))
    )
    if assignment.public_only:
        raise AssignmentError(f"{assignment.folder} is a student's copy: try needs reference/")
    return assignment


def _show_name(tried: Tried, console: Console) -> None:
    from rich.text import Text

    words = {"solution": "", "stub": "", "right": "a right variant", "mistake": "a mistake"}
    console.print(Text.assemble((tried.name, "bold"), "  ", (words[tried.part], "dim")))


def _show(tried: Tried, console: Console) -> None:
    """Print the check's name and what it says; what can't be is marked."""
    from rich.text import Text

    outcome = tried.outcome
    mark, style = ("✗", "bold red") if tried.wrong else ("✓", "green")
    points = f"{outcome.points:g} of {outcome.max_points:g}"
    why = f": {tried.wrong}" if tried.wrong else ""
    head = f"{outcome.outcome}, {points}, {outcome.seconds:.2f} s{why}"
    console.print(Text.assemble("  ", (mark, style), f" {outcome.name}  ", (head, "dim")))
    if outcome.outcome != "passed":
        for line in outcome.message.splitlines()[:12]:
            console.print(Text(f"      │ {line}"))
