"""A summary of a class's results: how many were graded, the mean, the check that fails most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean, median

from grader.records import Result
from grader.report.wording import REFUSAL_SHORT, label, percent
from grader.text import one_line

# At most so many submissions that were not graded are named; the others are counted.
_NAMED = 10


@dataclass(frozen=True)
class FailingCheck:
    """A check, and how many of the submissions that it ran on failed it."""

    exercise: str
    name: str
    hidden: bool
    failed: int
    ran: int


@dataclass(frozen=True)
class ClassSummary:
    """The numbers under the list of submissions.

    open : how many graded submissions have points that a person has yet to give
    not_graded : (student, "refused: the zip is cut off") of each submission without a score
    mean_percent, median_percent : of the graded submissions' automatic points; None without any
    fails_most : the check that fails in most submissions; None if none fails. A missing answer
        is not a failure of a check.
    """

    submissions: int
    graded: int
    open: int
    not_graded: tuple[tuple[str, str], ...]
    mean_percent: float | None
    median_percent: float | None
    fails_most: FailingCheck | None

    def lines(self, *, names: bool = True) -> list[str]:
        """Return the summary in words, a line for each fact.

        names : False if submissions that were not graded are named elsewhere
        """
        return [line for line in self._lines() if names or not line.startswith("- ")]

    def _lines(self) -> Iterator[str]:
        what = "submission" if self.submissions == 1 else "submissions"
        open_ = f", {self.open} open" if self.open else ""
        yield f"{self.graded} of {self.submissions} {what} graded{open_}"
        if self.not_graded:
            yield f"not graded: {len(self.not_graded)}"
            for who, why in self.not_graded[:_NAMED]:
                yield f"- {who}: {why}"
            if len(self.not_graded) > _NAMED:
                yield f"- and {len(self.not_graded) - _NAMED} more"
        yield from self.marks()

    def marks(self) -> Iterator[str]:
        """Yield a line with the mean and median, and one with the check that fails most often."""
        if self.mean_percent is not None and self.median_percent is not None:
            yield (
                f"mean {self.mean_percent:.0f} %, median {self.median_percent:.0f} % "
                "of the automatic points"
            )
        if self.fails_most is not None:
            check = self.fails_most
            hidden = " (hidden)" if check.hidden else ""
            yield (
                f"fails most often: {check.exercise}, {check.name}{hidden}, "
                f"in {check.failed} of {check.ran}"
            )


def summarise(results: Iterable[Result]) -> ClassSummary:
    """Return the summary of these results. They are read one by one, and not kept in memory."""
    submissions = open_ = 0
    percents: list[float] = []
    not_graded: list[tuple[str, str]] = []
    ran: Counter[tuple[str, str, bool]] = Counter()
    failed: Counter[tuple[str, str, bool]] = Counter()
    for result in results:
        submissions += 1
        if result.status != "graded":
            why = f"{REFUSAL_SHORT[result.status]}: {result.message}"
            not_graded.append((one_line(label(result)), one_line(why)))
            continue
        percents.append(percent(result))
        open_ += result.manual_points > 0
        for exercise in result.exercises:
            for check in exercise.checks:
                if check.outcome == "skipped" or check.missing:
                    continue
                key = (one_line(exercise.id), one_line(check.name), check.hidden)
                ran[key] += 1
                # Adding 0 keeps the order: of checks that fail equally often, the first is named.
                failed[key] += check.outcome != "passed"
    ((worst, times),) = failed.most_common(1) or [(("", "", False), 0)]
    return ClassSummary(
        submissions=submissions,
        graded=len(percents),
        open=open_,
        not_graded=tuple(not_graded),
        mean_percent=fmean(percents) if percents else None,
        median_percent=median(percents) if percents else None,
        fails_most=FailingCheck(*worst, failed=times, ran=ran[worst]) if times else None,
    )
