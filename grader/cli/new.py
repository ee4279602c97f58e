"""`grade new`: write a new assignment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from grader.cli import options
from grader.cli.options import GRADED, WRONG_INPUT
from grader.cli.output import complain
from grader.text import one_line

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@options.command("new", short_help="Write a new assignment.")
@click.argument("assignment_id", metavar="ASSIGNMENT")
@click.argument(
    "more",
    nargs=-1,
    metavar="[FILE...]",
    type=_FILE,
)
@click.option(
    "--from",
    "sources",
    metavar="FILE",
    multiple=True,
    type=_FILE,
    help="A solved notebook of yours, or a script with # %% cells; more may follow. It is copied, "
    "its gaps become the exercises, and its tests become checks.",
)
@click.option(
    "--stub",
    "stubs",
    metavar="FILE",
    multiple=True,
    type=_FILE,
    help="With --from: the notebook as students get it. The gaps are where the two differ, "
    "whatever their markers are. For several notebooks, repeat it in their order.",
)
@click.option(
    "--tests",
    "tests",
    metavar="FILE",
    multiple=True,
    type=_FILE,
    help="With --from: a file of your tests, pytest's or unittest's. Those that use a gap become "
    "its checks; repeatable.",
)
@click.option(
    "--gap",
    "gaps",
    metavar="FUNCTION",
    multiple=True,
    help="With --from: put markers around the body of this function; repeatable.",
)
@click.option("--title", metavar="TEXT", default="", help="Its title. Default: the notebook's.")
@click.option(
    "--assignments",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write it into. Default: $GRADE_ASSIGNMENTS, else the nearest reference/ "
    "upwards, else ./reference.",
)
def command(
    assignment_id: str,
    more: Sequence[Path],
    sources: Sequence[Path],
    stubs: Sequence[Path],
    tests: Sequence[Path],
    gaps: Sequence[str],
    title: str,
    assignments: Path | None,
) -> int:
    """Write a new assignment: solved notebook, checks, samples, assignment.toml.

    Alone it writes a small example to change, which `grade stubs` and `grade verify` accept as
    it is. With --from it takes solved notebooks: nbgrader's and otter's sources, or any with
    markers, such as ### START YOUR CODE ###, ### BEGIN SOLUTION or # YOUR CODE HERE. Their tests
    become checks that run as they are; a gap without a test becomes an exercise with a check that
    fails until you write it. A report says what became of each cell; lines that begin with ! leave
    something to do. Nothing that exists is written over.

    \b
    Examples:
      grade new hw2
      grade new hw2 --from solved.ipynb
      grade new hw2 --from source/*.ipynb
      grade new hw2 --from solution.ipynb --stub exercise.ipynb
      grade new hw2 --from solved.ipynb --gap softmax --gap Model.predict
      grade new hw2 --from layers.py --tests test_layers.py
    """
    from grader.authoring import template

    if gaps and not sources:
        raise click.UsageError("--gap needs --from: the notebook that holds the function.")
    if stubs and not sources:
        raise click.UsageError("--stub needs --from: the solved notebook.")
    if tests and not sources:
        raise click.UsageError("--tests needs --from: the solved notebook, or module.")
    if stubs and gaps:
        raise click.UsageError("--gap and --stub: name the functions, or give the students' copy.")
    if more and not sources:
        raise click.UsageError(f"{more[0]}: put --from before the notebooks to start from.")
    parent = assignments or _assignments_here()
    try:
        if not sources:
            written = template.write_example(assignment_id, parent, title=title)
        else:
            with ExitStack() as stack:
                read = [stack.enter_context(_notebook_of(path)) for path in (*sources, *more)]
                students = [stack.enter_context(_notebook_of(path)) for path in stubs]
                written = template.write_from(
                    assignment_id,
                    parent,
                    read,
                    title=title,
                    gaps=gaps,
                    students=students,
                    tests=tests,
                )
    except template.UnmarkedNotebook as error:
        complain(str(error))
        for place in error.places:
            click.echo(f"  {one_line(place.text())}", err=True)
        return WRONG_INPUT
    for file in written.files:
        click.echo(file)
    for line in written.report:
        click.echo(one_line(line, 300), err=True)
    for note in written.notes:
        click.echo(note, err=True)
    if written.exercises:
        click.echo(
            f"now fill in the points, write the checks of {', '.join(written.exercises)}, then: "
            f"grade verify {assignment_id}",
            err=True,
        )
    elif sources:
        click.echo(f"next: grade verify {assignment_id}", err=True)
    return GRADED


@contextmanager
def _notebook_of(source: Path) -> Iterator[Path]:
    """Yield the solved notebook: the source, or what a plugin makes of it."""
    from grader.plugins import import_notebook

    text = import_notebook(source)
    if text is None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="grade-new-") as folder:
        notebook = Path(folder, f"{source.stem}.ipynb")
        notebook.write_text(text, encoding="utf-8")
        yield notebook


def _assignments_here() -> Path:
    """Return where `grade` looks for assignments from here; ./reference where there are none."""
    from grader.assignment import ENVIRONMENT_VARIABLE

    if configured := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(configured).expanduser()
    here = Path.cwd()
    folders = (folder / "reference" for folder in (here, *here.parents))
    found = next((folder for folder in folders if folder.is_dir()), None)
    return Path("reference") if found is None or found.parent == here else found
