"""`grade stubs`: make the student templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from grader.cli import options
from grader.cli.options import GRADED, UNDER


@options.command("stubs", short_help="Make the student templates from the solved notebooks.")
@click.argument("ids", nargs=-1, metavar="[ASSIGNMENT...]")
@options.assignments
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 when a file is out of date."
)
@click.option(
    "--yes-publish",
    is_flag=True,
    help="Write them although something looks like a solution, after you have looked at it.",
)
def command(ids: Sequence[str], assignments: Path | None, check: bool, yes_publish: bool) -> int:
    """Make student_templates/ from the solved notebooks in reference/.

    Each gap between START and END markers becomes what its stub holds, outputs go, and the
    public checks are copied beside the notebooks. Default: every assignment. Nothing is written
    where a line looks like another tool's marker, an answer in words or a hidden check.

    \b
    Examples:
      grade stubs pw02
      grade stubs --check        in CI: are they up to date?
    """
    from grader.authoring.templates import write_stubs

    files = write_stubs(ids, assignments=assignments, check=check, yes_publish=yes_publish)
    for file in files:
        click.echo(f"out of date: {file}" if check else file)
    if not files:
        click.echo("up to date")
    elif check:
        click.echo("run `grade stubs` and commit what it writes", err=True)
    return UNDER if check and files else GRADED
