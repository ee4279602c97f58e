"""Where reports go, and what is shown while a command works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from grader.plugins import Reporter
    from grader.records import Report
    from grader.report.github import Annotations


def complain(text: str) -> None:
    click.echo(f"grade: {one_line(text, 600)}", err=True)


def check_targets(json_file: str | None, junit_file: str | None, html: str | None) -> None:
    """Fail now, not after an hour of grading, where a report can't be written."""
    from grader import files

    if "" in (json_file, junit_file, html):
        raise click.UsageError("A report needs a name, not ''.")
    if json_file == junit_file == "-":
        raise click.UsageError("Two reports can't both go to standard output.")
    if json_file and junit_file and Path(json_file).resolve() == Path(junit_file).resolve():
        raise click.UsageError(f"Two reports can't both go to {one_line(json_file)}.")
    if html == "-":
        raise click.UsageError("--html takes a folder: it writes one page a submission.")
    for file in (json_file, junit_file):
        if file not in (None, "-"):
            with clear_errors(str(file)):
                files.check_writable(Path(str(file)))
    if html is not None:
        with clear_errors(html):
            files.check_folder_writable(Path(html))


def no_data_folder(configured: str) -> str:
    return f"$GRADE_DATA names {configured}, which is not a folder: the small data sets are used"


def check_data() -> None:
    """Fail now where a full data set can't be read; say so where none was found."""
    configured = os.environ.get("GRADE_DATA", "")
    if not configured:
        return
    folder = Path(configured).expanduser()
    if not folder.is_dir():
        complain(no_data_folder(configured))
        return
    from zipfile import is_zipfile

    from grader.datasets import NAMES

    for file in (folder / f"{name}.npz" for name in NAMES):
        if file.is_file() and not is_zipfile(file):
            raise click.UsageError(
                f"{one_line(str(file))} is damaged, or no npz file: import it again "
                "(grade data import), or move it away."
            )


def write_reports(report: Report, json_file: str | None, junit_file: str | None) -> None:
    if json_file is not None:
        from grader.report import json_report

        write(json_file, json_report.pieces(report))
    if junit_file is not None:
        from grader.report import junit

        write(junit_file, junit.pieces(report))


def plugin_reports(wanted: Sequence[str]) -> list[tuple[Reporter, str]]:
    """Return the reporter and the file of each --report, so that a mistake is said at once."""
    if not wanted:
        return []
    from grader import files
    from grader.plugins import reporters

    known, found = {**_harnesses(), **reporters()}, []
    for text in wanted:
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise click.UsageError(f"--report takes NAME=FILE, not {one_line(text)!r}.")
        if name not in known:
            raise click.UsageError(
                f"There is no report {one_line(name)!r}; there is {', '.join(known)}."
            )
        if file != "-":
            with clear_errors(file):
                files.check_writable(Path(file))
        found.append((known[name], file))
    return found


def _harnesses() -> dict[str, Reporter]:
    """Return the formats that other systems' harnesses read, by name: no plugin is needed."""
    from functools import partial

    from grader.plugins import Reporter
    from grader.report import classroom50, gradescope

    later = partial(gradescope.pieces, hidden="after_published")
    return {
        "gradescope": Reporter("gradescope", gradescope.pieces),
        "gradescope-after-published": Reporter("gradescope-after-published", later),
        "classroom50": Reporter("classroom50", classroom50.pieces),
    }


def write_plugin_reports(report: Report, wanted: Sequence[tuple[Reporter, str]]) -> None:
    from grader.errors import PluginError

    for reporter, file in wanted:
        try:
            # Whole, before anything is written: a plugin may fail half way.
            text = "".join(reporter.pieces(report))
        except Exception as error:
            raise PluginError(
                f"the report {reporter.name!r} failed ({type(error).__name__}: {error}): the "
                "plugin that brings it must be mended; nothing of it was written"
            ) from error
        write(file, text)


def has_browser() -> bool:
    """Return whether somebody looks at this terminal who has a screen for a browser."""
    if not sys.stdout.isatty():
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def in_github_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def write_for_github(report: Report, annotations: Annotations, *, stderr: bool) -> None:
    """Write annotations and the job summary of a step of GitHub Actions.

    A summary that can't be written costs no report: it is only told.
    """
    from grader.report import github

    for command in annotations.commands():
        click.echo(command, err=stderr)
    if file := os.environ.get("GITHUB_STEP_SUMMARY", ""):
        try:
            with Path(file).open("a", encoding="utf-8") as stream:
                stream.write(github.summary(report))
        except OSError as error:
            complain(f"the job summary can't be written: {error.strerror or error}")


def write(file: str, text: str | Iterable[str]) -> None:
    if file == "-":
        for piece in [text] if isinstance(text, str) else text:
            click.echo(piece, nl=False)
        return
    from grader import files

    with clear_errors(file):
        files.write_whole(Path(file), text)


@contextmanager
def clear_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.UsageError(f"Can't write {one_line(path)}: {reason}.") from error


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    # A terminal that doesn't know its width says 0, and rich would print nothing.
    width = 80 if os.environ.get("COLUMNS") == "0" else None
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from grader.report import terminal

    with terminal.progress_line(console(stderr=True)) as tell:
        yield tell
