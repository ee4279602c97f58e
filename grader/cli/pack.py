"""`grade pack`: an assignment, its checks and this grader in one file, for another system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import options, output
from grader.cli.options import GRADED

if TYPE_CHECKING:
    from grader.report.gradescope import Visibility


@options.command("pack", short_help="Make the autograder file of another system.")
@click.argument("system", type=click.Choice(["gradescope", "classroom50"]))
@click.argument("assignment", metavar="ASSIGNMENT")
@options.assignments
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: ASSIGNMENT-SYSTEM.zip here.",
)
@click.option(
    "--hidden-results",
    type=click.Choice(["hidden", "after_published"]),
    default="hidden",
    show_default=True,
    help="Gradescope: whether students see the results of hidden checks once grades are "
    "published; never what their code said in them.",
)
def command(
    system: str,
    assignment: str,
    assignments: Path | None,
    out: Path | None,
    hidden_results: Visibility,
) -> int:
    """Write the file that SYSTEM grades ASSIGNMENT with.

    It holds the checks, the solved notebooks and this grader: it is the instructor's, and not for
    students to read.

    \b
    gradescope    a zip with setup.sh and run_autograder: upload it under "Configure Autograder"
    classroom50   a bundle with autograder.py, which writes result.json
    \b
    Examples:
      grade pack gradescope pw02
      grade pack gradescope pw02 --hidden-results after_published --out autograder.zip
    """
    import os

    from grader.assignment import find_assignments, folder_of, load_assignment
    from grader.packing import pack
    from grader.report.wording import points_text

    loaded = load_assignment(
        folder_of(assignment, find_assignments(Path.cwd(), assignments, os.environ))
    )
    target = out or Path(f"{loaded.id}-{system}.zip")
    with output.clear_errors(str(target)):
        pack(system, loaded, target, hidden=hidden_results)
    automatic = sum(e.points for e in loaded.exercises if not e.manual and not e.bonus)
    click.echo(f"{target}")
    if system == "gradescope":
        click.echo(f"next: upload it, and set the autograder points to {points_text(automatic)}")
    else:
        click.echo("next: put its content into the assignment's bundle")
    return GRADED
