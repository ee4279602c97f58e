"""What a class's results say together: how many, how well, and what fails most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean, median

from grader.records import Result
from grader.report.wording import REFUSAL_SHORT, label, percent
from grader.text import one_line

# So many that were not graded are named; the others are counted.
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

    open : how many of the graded ones have points that a person still gives
    not_graded : (who handed in, "refused: the zip is cut off") of each that has no score
    mean_percent, median_percent : of the automatic points of the graded ones; None where none is
    fails_most : the check that fails in most submissions; None where none fails. What a student
        did not write at all is not a failure of a check.
    """

    submissions: int
    graded: int
    open: int
    not_graded: tuple[tuple[str, str], ...]
    mean_percent: float | None
    median_percent: float | None
    fails_most: FailingCheck | None

    def lines(self, *, names: bool = True) -> list[str]:
        """Return the summary in words, a line a fact.

        names : False where each submission that was not graded is named elsewhere
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
        """Yield the middle of the class, and the check that fails most often, a line each."""
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
    """Return the summary of these results; each is looked at once and let go."""
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
                # 0 is counted, too: of several that fail as often, the first one is named.
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
