"""The events of a batch, for a display of its progress. It imports nothing that loads slowly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.records import Result


class Progress:
    """Is notified of each event of a batch: a live table or a log. This one ignores them all."""

    def several(self, assignments: Sequence[str]) -> None:
        """More than one assignment was handed in; each begins by itself. Called before that."""

    def begin(
        self,
        assignment: str,
        title: str,
        seed: int,
        paths: Sequence[str],
        checks_from: str = "",
    ) -> None:
        """The submissions are found, and their assignment is known.

        checks_from : the folder whose checks run; "" where none do
        """

    def doing(self, number: int, text: str, worker: int) -> None:
        """A worker is at something; called from any thread."""

    def done(self, number: int, result: Result, kept: bool) -> None:
        """A submission is through. kept : its result is of an earlier run."""

    def explained(self, number: int, result: Result) -> None:
        """More is said of a submission that is through: its points stay."""

    def warn(self, text: str) -> None:
        """Something is wrong that no verdict depends on."""
