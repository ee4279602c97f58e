"""What `grade` shows and writes while a batch goes on."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.batch.progress import Progress
from grader.cli.output import clear_errors, complain, console, in_github_actions

if TYPE_CHECKING:
    from grader.records import Report, Result
    from grader.report.github import Annotations
    from grader.report.html_page import Pages
    from grader.report.progress_lines import ProgressLines


def folder_name(assignment: str) -> str:
    """Return the name of the folder that holds an assignment's pages, where there are several."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", assignment) or "assignment"


class Watching(Progress):
    """Shows how a batch goes on, and writes each page as soon as its result is there."""

    def __init__(self, html_folder: str | None, *, for_students: bool = False) -> None:
        self.html_folder = html_folder
        self.for_students = for_students
        self.head = "", "", 0
        self.checks_from = ""
        self.paths: Sequence[str] = ()
        self.parts: Sequence[str] = ()
        self.pages: list[Pages] = []
        self.problem: OSError | None = None
        self.shown: ProgressLines | None = None
        self.annotations: Annotations | None = None

    def several(self, assignments: Sequence[str]) -> None:
        self.parts = assignments

    def begin(
        self,
        assignment: str,
        title: str,
        seed: int,
        paths: Sequence[str],
        checks_from: str = "",
    ) -> None:
        # What is loaded stays. From here on, the garbage of a check may hold large arrays.
        gc.freeze()
        gc.set_threshold(50_000)
        if self.shown is not None:
            self.shown.close()
        if self.parts:
            click.echo(f"{assignment}: {len(paths)} of the submissions", err=True)
        self.head = assignment, title, seed
        # Where the instructor's files lie is not for students.
        self.checks_from = "" if self.for_students else checks_from
        self.paths = paths
        if sys.stderr.isatty():
            from grader.report.live_table import LiveTable

            self.shown = LiveTable(console(stderr=True))
        else:
            from grader.report.progress_lines import ProgressLines

            self.shown = ProgressLines(lambda line: click.echo(line, err=True))
        self.shown.begin(assignment, title, seed, paths, checks_from)

    def doing(self, number: int, text: str, worker: int) -> None:
        if self.shown is not None:
            self.shown.doing(number, text, worker)

    def done(self, number: int, result: Result, kept: bool) -> None:
        if self.for_students:
            from grader.gradebook.for_students import for_students

            result = for_students(result)
        if self.html_folder is not None and self.problem is None:
            try:
                self._pages(Path(self.html_folder)).write(number, result)
            except OSError as error:  # told at the end: the verdicts are worth more
                self.problem = error
        if in_github_actions():
            self._annotate(result)
        if self.shown is not None:
            self.shown.done(number, result, kept)
        # It is needed at the end; other processes are at work now.
        from grader.report import terminal  # noqa: F401

    def explained(self, number: int, result: Result) -> None:
        if self.html_folder is None or self.problem is not None:
            return
        if self.for_students:
            from grader.gradebook.for_students import for_students

            result = for_students(result)
        try:
            self._pages(Path(self.html_folder)).write(number, result)
        except OSError as error:
            self.problem = error

    def _annotate(self, result: Result) -> None:
        if self.annotations is None:
            from grader.report.github import Annotations

            self.annotations = Annotations()
        self.annotations.add(result)

    def _pages(self, folder: Path) -> Pages:
        if not self.pages or self.pages[-1].report.assignment != self.head[0]:
            # Not before the kernels have started: what makes the pages takes time to load.
            from grader.records import Report
            from grader.report import html_page

            # The pages of several assignments are in a folder each.
            inner = folder / folder_name(self.head[0]) if self.parts else folder
            head = Report(*self.head, (), checks_from=self.checks_from)
            self.pages.append(html_page.Pages(inner, head, self.paths))
        return self.pages[-1]

    def warn(self, text: str) -> None:
        if self.shown is None:
            complain(text)
        else:
            self.shown.warn(text)

    def write_index(self, report: Report) -> None:
        if self.pages:
            from grader.report import html_page

            with clear_errors(str(self.html_folder)):
                if self.problem is not None:
                    raise self.problem
                for pages, part in zip(self.pages, report.each, strict=True):
                    pages.write_index(part)
                if self.parts:
                    html_page.write_contents(Path(str(self.html_folder)), report, self.pages)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.shown is not None:
            self.shown.close()
