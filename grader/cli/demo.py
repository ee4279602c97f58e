"""`grade demo`: a made-up class of twelve, graded while you watch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import options, output
from grader.cli.options import FAULT, GRADED
from grader.cli.watching import Watching
from grader.text import one_line

if TYPE_CHECKING:
    from grader.records import Sandbox

_ASSIGNMENT = "regression"


@options.command("demo", short_help="Grade a made-up class of twelve.")
@click.argument(
    "folder",
    metavar="[DIR]",
    default="grade-demo",
    type=click.Path(file_okay=False, path_type=Path),
)
@click.option("--browser/--no-browser", default=None, help="Open the page at the end, or not.")
@options.sandbox
def command(folder: Path, browser: bool | None, sandbox: Sandbox) -> int:
    """Grade a made-up class of twelve in DIR (./grade-demo), and show its page.

    It writes an assignment, as `grade new` does, and twelve submissions: right work, typical
    mistakes, a notebook that breaks, one that never ends, one that attacks the grader. Existing
    files are never overwritten.

    \b
    Examples:
      grade demo
      grade demo /tmp/demo --no-browser
    """
    from grader import pipeline
    from grader.authoring import demo_class, template
    from grader.files import write_whole
    from grader.request import Request

    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(
            f"{one_line(str(folder))} already exists: name another folder, or delete it."
        )
    with output.clear_errors(str(folder)):
        written = template.write_example(
            _ASSIGNMENT, folder / "reference", title="Linear regression"
        )
        settings = written.folder / "assignment.toml"
        limits = f"\n[limits]\ncheck_s = {demo_class.CHECK_S}\n"
        write_whole(settings, settings.read_text(encoding="utf-8") + limits)
        members = demo_class.write_class(folder / "submissions", f"{_ASSIGNMENT}.ipynb")
    click.echo(f"A class of {len(members)} hands in, in {folder / 'submissions'}:\n")
    for member in members:
        click.echo(f"  {member.file:<26} {member.what}")
    click.echo()
    pages = folder / "pages"
    with Watching(str(pages)) as watch:
        request = Request(
            assignment=_ASSIGNMENT,
            assignments=folder / "reference",
            sandbox=sandbox,
            jobs=pipeline.cores(),
            evidence=True,
            progress=watch,
        )
        report = pipeline.grade([folder / "submissions"], request)
    if report.isolation:
        output.complain(report.isolation)
    from grader.report import terminal

    watch.write_index(report)
    terminal.show_summary(report, output.console())
    page = pages / "index.html"
    opened = output.has_browser() if browser is None else browser
    opened = opened and _open(page)
    click.echo(f"\nThe class's page{' is open' if opened else ''}: {page}")
    click.echo(f"Its assignment: {written.folder}")
    click.echo(f"One student's: grade {shlex.quote(str(folder / 'submissions/Novak_Petra.zip'))} "
               f"--assignments {shlex.quote(str(folder / 'reference'))}")  # fmt: skip
    click.echo("Now yours: grade new hw1")
    faults = any(result.status == "grader_fault" for result in report.results)
    return FAULT if faults else GRADED


def _open(page: Path) -> bool:
    import webbrowser

    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False
