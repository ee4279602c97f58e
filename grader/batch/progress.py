"""The events of a batch, for a progress display. Imports no slow module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.records import Result


class Progress:
    """Gets each event of a batch: a live table or a log. This base class ignores all events."""

    def several(self, assignments: Sequence[str]) -> None:
        """More than one assignment was handed in; begin() follows for each."""

    def begin(
        self,
        assignment: str,
        title: str,
        seed: int,
        paths: Sequence[str],
        checks_from: str = "",
    ) -> None:
        """The submissions are found, and their assignment is known.

        checks_from : the folder whose checks run; "" if no checks run
        """

    def doing(self, number: int, text: str, worker: int) -> None:
        """A worker does something for a submission. May be called from any thread."""

    def done(self, number: int, result: Result, kept: bool) -> None:
        """A submission has its result. kept : the result is from an earlier run"""

    def explained(self, number: int, result: Result) -> None:
        """A result got explanations of its mistakes; its points stay the same."""

    def warn(self, text: str) -> None:
        """A problem occurred that changes no verdict."""
