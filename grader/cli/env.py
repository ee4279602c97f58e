"""`grade env`: the Python environments that assignments ask for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import options, output
from grader.cli.options import GRADED, WRONG_INPUT
from grader.cli.output import complain

if TYPE_CHECKING:
    from grader.records import Assignment


@options.group("env", short_help="Build, list or remove assignments' environments.")
def command() -> None:
    """Build, list or remove the Python environments that assignments ask for.

    An assignment with a table [environment] runs its notebooks in a Python of their own, with the
    packages of that table; the checks run in grade's own Python. An environment is built once and
    kept in the user's cache (or in $GRADE_ENVIRONMENTS). Assignments with equal tables share it.
    """


@options.subcommand(command, "build")
@click.argument("ids", nargs=-1, metavar="[ASSIGNMENT...]")
@options.assignments
@click.option(
    "--again",
    is_flag=True,
    help="Build it again, with the newest packages that the requirements allow.",
)
def build(ids: Sequence[str], assignments: Path | None, again: bool) -> int:
    """Build the environments of these assignments; by default, of all that ask for one.

    uv builds them, or Python's venv and pip if uv is missing. Installed are the packages of
    assignment.toml, and ipykernel and numpy, which every kernel needs.

    \b
    Examples:
      grade env build pw02
      grade env build --again pw02      newer packages, where the requirements allow them
    """
    from grader import environments

    asked = [a for a in _loaded(ids, assignments) if a.environment is not None or ids]
    if not asked:
        complain("no assignment asks for an environment: see [environment] in the documentation")
    for assignment in asked:
        if assignment.environment is None:
            click.echo(f"{assignment.id}: asks for none: its notebooks run in grade's own")
            continue
        before = environments.find(assignment.environment, assignment.folder)
        with output.progress() as tell:
            built = environments.build(
                assignment.environment, assignment.folder, assignment.id, tell=tell, again=again
            )
        how = "was built already" if before is not None and not again else "built"
        click.echo(f"{assignment.id}: {how}: {_line(built)}")
    return GRADED


@options.subcommand(command, "list")
@options.assignments
def show(assignments: Path | None) -> int:
    """List the built environments, and the assignments that lack theirs."""
    from grader import environments
    from grader.errors import GradeError

    there = environments.all_built()
    for built in there:
        click.echo(f"{built.digest[:12]}  {', '.join(built.assignments)}: {_line(built)}")
    try:
        known = _loaded((), assignments)
    except GradeError:
        known = []
    for assignment in known:
        if assignment.environment is None:
            continue
        if environments.find(assignment.environment, assignment.folder) is None:
            click.echo(f"{assignment.id}: not built: grade env build {assignment.id}")
    if not there:
        complain("no environment is built")
    return GRADED


@options.subcommand(command, "remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: Sequence[str]) -> int:
    """Remove environments: those of an assignment, or one by its key in `grade env list`."""
    from grader import environments

    there = environments.all_built()
    code = GRADED
    for name in names:
        meant = [
            built
            for built in there
            if name in built.assignments or (len(name) >= 6 and built.digest.startswith(name))
        ]
        if not meant:
            complain(f"there is no environment {name}: `grade env list` shows them")
            code = WRONG_INPUT
        for built in meant:
            if built.folder.exists():
                environments.remove(built.digest)
                click.echo(f"removed {built.digest[:12]} ({', '.join(built.assignments)})")
    return code


def _loaded(ids: Sequence[str], folder: Path | None) -> list[Assignment]:
    from grader.assignment import find_assignments, folder_of, load_assignment
    from grader.choosing import load_sound

    found = find_assignments(Path.cwd(), folder, os.environ)
    if not ids:
        return [*load_sound(dict(sorted(found.items())), complain).values()]
    return [load_assignment(folder_of(name, found)) for name in ids]


def _line(built: object) -> str:
    from grader.environments import Built
    from grader.environments.recipe import OURS

    assert isinstance(built, Built)
    named = ("numpy", "torch", "pandas", "scipy", "matplotlib", *OURS)
    shown = [p for p in built.packages if p.partition(" ")[0].lower() in dict.fromkeys(named)]
    size = built.bytes / 2**20
    count = len(built.packages)
    return f"Python {built.python}, {count} packages ({', '.join(shown)}), {size:.0f} MiB"
