"""The progress of a batch in a log: a line for each submission that is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grader.records import Result
from grader.report.wording import REFUSAL_WORDS, label, percent_text, score_text
from grader.text import one_line


class ProgressLines:
    """Writes the progress of a batch; nothing for a single submission, whose report follows.

    write : is called with each line of text
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.total = 0
        self.finished = 0

    def begin(
        self,
        assignment: str,
        title: str,
        seed: int,
        paths: Sequence[str],
        checks_from: str = "",
    ) -> None:
        self.total = len(paths)

    def doing(self, number: int, text: str, worker: int) -> None:
        """Write nothing: a log needs no animation."""

    def done(self, number: int, result: Result, kept: bool) -> None:
        self.finished += 1
        if self.total > 1:
            # The count in front keeps a line from starting with what a student wrote: CI
            # services obey lines that begin with "::".
            line = f"{self.finished}/{self.total} {result_line(result)}"
            self.write(line + (", kept from an earlier run" if kept else ""))

    def warn(self, text: str) -> None:
        self.write(f"grade: {one_line(text, 600)}")

    def close(self) -> None:
        """Do nothing: there is nothing to tidy up."""


def result_line(result: Result) -> str:
    """Return one line: the students, and their points or the reason for none."""
    if result.status != "graded":
        text = f"{label(result)} {REFUSAL_WORDS[result.status]}: {result.message}"
    else:
        text = f"{label(result)} {score_text(result)} ({percent_text(result)})"
    return one_line(text, 300)
