"""`grade results --marks FILE`: what people judge, as a file and in every report."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from grader.cli import gradebook, output
from grader.text import one_line

if TYPE_CHECKING:
    from grader.batch.store import Store
    from grader.records import Result, RunRecord

_Function = TypeVar("_Function", bound=Callable[..., Any])


def options(function: _Function) -> _Function:
    """Add --marks and --insight to a command: `marks_file` and `insight_file`."""
    function = click.option(
        "--insight",
        "insight_file",
        metavar="FILE",
        help="Write what the results say about the class, as Markdown (.md) or CSV; - is standard "
        "output.",
    )(function)
    return click.option(
        "--marks",
        "marks_file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read a person's marks from a CSV file, for every report. Where there is none, "
        "write one to fill in.",
    )(function)


def judged(
    opened: Store, run: RunRecord, marks_file: Path | None, assignments: Path | None
) -> Sequence[Result]:
    """Return a run's results with what people said of them.

    marks_file : is read where it is there; else it is written, to be filled in
    """
    from grader.review.book import has_marks

    if marks_file is None and not has_marks(opened, run.assignment):
        return opened.results_in_place(run.id)
    from grader.review.answers import index_run
    from grader.review.marks_file import render_marks
    from grader.review.merged import judged_results

    assignment = gradebook.find_assignment(run.assignment, assignments)
    index_run(opened, run.id, assignment)
    if marks_file is not None and marks_file.exists():
        _read(opened, run, marks_file)
    elif marks_file is not None:
        text = render_marks(opened, run, opened.results(run.id))
        output.write(str(marks_file), text)
        click.echo(f"{marks_file}: fill in points and comments, and run this again", err=True)
    return judged_results(opened, run, assignment)


def with_means(
    opened: Store, runs: Sequence[RunRecord], assignments: Path | None
) -> list[RunRecord]:
    """Return the runs with the means of the points that students have."""
    from grader.review.means import with_judged_means

    return with_judged_means(
        opened, runs, lambda name: gradebook.find_assignment(name, assignments)
    )


def keep_points(
    opened: Store, before: RunRecord, after: RunRecord, reason: str, assignments: Path | None
) -> None:
    """Let nobody have fewer points than in the run before, and say what was kept."""
    from grader.review.only_up import keep_points as keep

    assignment = gradebook.find_assignment(after.assignment, assignments)
    found = keep(opened, before, after, assignment, grader=grader_name(), reason=reason)
    students = len({names for names, _ in found.kept})
    checks = f"{len(found.kept)} verdict{'s' if len(found.kept) != 1 else ''}"
    click.echo(
        f"{checks} of {students} student{'s' if students != 1 else ''} kept, as in run {before.id}",
        err=True,
    )
    if found.other_work:
        gradebook.tell("lost points with other work than before", map(_named, found.other_work))
    for exercise, name in found.gone:
        output.complain(
            f"{exercise}, {name}: this check no longer exists, and neither do its points"
        )


def _named(students: tuple[str, ...]) -> str:
    return one_line(", ".join(students)) or "somebody without a name"


def check_insight(file: str | None) -> None:
    """Fail now where the insight can't be written."""
    if file in (None, "-"):
        return
    if Path(str(file)).suffix.lower() not in (".md", ".csv"):
        raise click.UsageError(f"--insight takes a file .md or .csv, or -, not {file!r}.")
    from grader import files

    with output.clear_errors(str(file)):
        files.check_writable(Path(str(file)))


def write_insight(results: Sequence[Result], title: str, file: str) -> None:
    """Write what the class teaches."""
    from grader.review.insight import as_csv, as_markdown, insight_of

    listed = list(results)
    insight = insight_of(listed)
    csv = file != "-" and Path(file).suffix.lower() == ".csv"
    output.write(file, as_csv(insight) if csv else as_markdown(insight, title, listed))


def _read(opened: Store, run: RunRecord, marks_file: Path) -> None:
    from grader.errors import ReviewError
    from grader.review.marks_file import MAX_BYTES, read_marks

    name = one_line(str(marks_file))
    try:
        if marks_file.stat().st_size > MAX_BYTES:
            raise ReviewError(f"{name} has more than 32 MiB: it holds no marks")
        text = marks_file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ReviewError(f"{name} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ReviewError(
            f"{name} is not UTF-8 (byte {error.start}): save it as CSV in UTF-8"
        ) from error
    count = read_marks(opened, run, opened.results(run.id), text, grader=grader_name())
    click.echo(f"{name}: marks of {count} answer{'s' if count != 1 else ''} are kept", err=True)


def grader_name() -> str:
    """Return who marks: the user of this machine."""
    try:
        return one_line(getpass.getuser(), 60)
    except (KeyError, OSError):  # a container's user may have no name
        return "grader"


def before_forgetting(opened: Store, run: RunRecord) -> None:
    """Write down whose answers the runs hold: marks of who is in another run stay."""
    from grader.review.answers import index_all
    from grader.review.book import has_marks

    if has_marks(opened, run.assignment):
        index_all(opened, run.assignment)
