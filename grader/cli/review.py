"""`grade review [RUN]`: judge a class in the browser."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import gradebook, options, output
from grader.cli.marks import grader_name
from grader.cli.options import GRADED
from grader.text import one_line

if TYPE_CHECKING:
    from grader.records import RunRecord, Sandbox
    from grader.review.rights import Grader
    from grader.review.server import Review

_NEEDS = ("starlette", "uvicorn")
_MANY = 50
"""Submissions whose reading takes seconds, the first time."""


@options.command("review", short_help="Judge a class in the browser: rubrics, comments, groups.")
@click.argument("run", metavar="[RUN]", default="latest")
@options.assignments
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port on 127.0.0.1. Default: one that is free.",
)
@click.option(
    "--graders",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file of the graders and what each may do; each gets an address. Default: you.",
)
@click.option(
    "--earlier",
    metavar="RUN|PATH",
    multiple=True,
    help="Work of an earlier year, a kept run or a folder, to find work that is alike. Repeatable.",
)
@click.option("--browser/--no-browser", default=None, help="Open the page, or not.")
@options.sandbox
def command(
    run: str,
    assignments: Path | None,
    port: int,
    graders: Path | None,
    earlier: Sequence[str],
    browser: bool | None,
    sandbox: Sandbox,
) -> int:
    """Serve pages on this machine, on which people judge what checks can't.

    Words, figures and derivations of a run, question by question, with a rubric whose items
    everybody shares. Marks are kept in the file of results; `grade results` has them in every
    report. RUN is a number of `grade results`, or "latest", also while it is being graded.

    \b
    Examples:
      grade review
      grade review 12 --graders graders.toml
      grade review --earlier 3 --earlier ~/course/2024/submissions
      grade review --port 8123 --no-browser      then, from elsewhere: ssh -L 8123:127.0.0.1:8123
    """
    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        raise click.UsageError(
            f"The pages need {' and '.join(missing)}: pip install 'numgrade[review]'"
        )
    from dataclasses import replace

    from grader.batch import store
    from grader.review.rights import Grader, read_graders
    from grader.review.server import Review

    file = store.place(os.environ)
    if file is None:
        raise click.UsageError(f"No results are kept: ${store.VARIABLE} is {store.NOWHERE}.")
    with store.open_store(file, create=False) as opened:
        listed = opened.runs()
        chosen = _run(run, listed)
        past = [_earlier(name, listed) for name in earlier]
    assignment = gradebook.find_assignment(chosen.assignment, assignments)
    if assignment is None:
        output.complain(
            f"the assignment {chosen.assignment} is not found from here: no solution is shown, "
            "and no code can be tried (--assignments names its folder)"
        )
    else:
        assignment = replace(assignment, sandbox=sandbox)
    who = read_graders(graders) if graders is not None else (Grader(grader_name()),)
    if chosen.results > _MANY:
        click.echo(f"reading {chosen.results} submissions ...", err=True)
    with Review(
        file, chosen.id, graders=who, assignment=assignment, port=port, earlier=past
    ) as review:
        title = one_line(chosen.title or chosen.assignment)
        count = len(review.room.results)
        click.echo(f"{title}: run {chosen.id}, {count} submission{'s' if count != 1 else ''}")
        _tell(review, who)
        open_it = output.has_browser() if browser is None else browser
        with _door(review, who[0]) if open_it and len(who) == 1 else _nothing():
            _listen_for_enter(review, who)
            with suppress(KeyboardInterrupt):  # the way to stop it
                review.serve()
    click.echo("stopped; all marks are kept", err=True)
    return GRADED


def _run(name: str, listed: list[RunRecord]) -> RunRecord:
    if not listed:
        raise click.UsageError("There is no run yet: grade a class first.")
    if name == "latest":
        return listed[0]
    found = [run for run in listed if str(run.id) == name]
    if not found:
        known = ", ".join(str(run.id) for run in listed[:5])
        raise click.UsageError(f"There is no run {name!r}; there is: latest, {known}.")
    return found[0]


def _earlier(name: str, listed: list[RunRecord]) -> int | Path:
    if any(str(run.id) == name for run in listed):
        return int(name)
    if not Path(name).exists():
        raise click.UsageError(f"--earlier takes a run or a folder; {name!r} is neither.")
    return Path(name)


def _tell(review: Review, who: tuple[Grader, ...]) -> None:
    for grader, address in review.addresses():
        click.echo(f"{f'{grader.name}: ' if len(who) > 1 else ''}{address}")
    click.echo(
        f"Each address opens once, in one browser. Ctrl-C stops; all marks are kept.{_enter_hint()}"
    )


def _enter_hint() -> str:
    return " Enter gives new addresses." if sys.stdin.isatty() else ""


def _listen_for_enter(review: Review, who: tuple[Grader, ...]) -> None:
    """Give new addresses whenever somebody presses Enter at the terminal."""
    if not sys.stdin.isatty():
        return

    def listen() -> None:
        for _ in sys.stdin:
            _tell(review, who)

    threading.Thread(target=listen, name="enter", daemon=True).start()


@contextmanager
def _door(review: Review, grader: Grader) -> Iterator[None]:
    """Open the browser on a file of this user's own, which leads to the address.

    A program's arguments are everybody's to read: the address itself must not be one.
    """
    import webbrowser

    from grader.temporary import TemporaryFolder

    with TemporaryFolder() as folder:
        page = folder / "review.html"
        address = escape(review.address(grader))
        page.touch(mode=0o600)
        page.write_text(
            '<!DOCTYPE html><meta charset="utf-8"><title>grade review</title>'
            f'<meta http-equiv="refresh" content="0;url={address}">'
            f'<p><a href="{address}">Go on</a></p>',
            encoding="utf-8",
        )
        # Not before the server answers: it listens already.
        threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield
