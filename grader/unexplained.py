"""Group equal wrong answers of a class that no known mistake explains.

    groups = unexplained(results)
    lines_of(groups)            "3 submissions give the same answers at 3b-grad, unexplained: ..."

The answers are claims of students' processes. So a group never changes points; it shows the
messages to a person, who judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grader.diagnosis.known import CheckName
from grader.diagnosis.traces import Trace, evidence_of, same_trace
from grader.explaining import is_explained, traces_in
from grader.records import Outcome, Result

LEAST = 2
"""Submissions with the same answers; one alone is not a pattern."""
SHOWN = 10


@dataclass
class Group:
    """Submissions whose wrong answers to a check are the same, at every seed.

    outcome : the first one's; paths : of all of them
    otherwise : by path, the messages about other values than the first one's: a submission that
        gives another answer when asked again is seen here
    """

    outcome: Outcome
    traces: Sequence[Trace]
    paths: list[str] = field(default_factory=list)
    otherwise: dict[str, str] = field(default_factory=dict)

    @property
    def check(self) -> CheckName:
        return self.outcome.exercise, self.outcome.name


def unexplained(results: Iterable[Result], *, least: int = LEAST) -> list[Group]:
    """Return the groups of submissions with the same answers, the largest first."""
    groups: dict[CheckName, list[Group]] = {}
    for result in results:
        for exercise in result.exercises:
            for outcome in exercise.checks:
                traces = traces_in(outcome)
                if traces and not is_explained(outcome) and all(map(evidence_of, traces)):
                    _put(
                        groups.setdefault((outcome.exercise, outcome.name), []),
                        outcome,
                        traces,
                        result.path,
                    )
    found = [group for listed in groups.values() for group in listed if len(group.paths) >= least]
    return sorted(found, key=lambda group: (-len(group.paths), group.check))


def _put(listed: list[Group], outcome: Outcome, traces: Sequence[Trace], path: str) -> None:
    for group in listed:
        if len(group.traces) == len(traces) and all(
            same_trace(mine, other, shapes=False)
            for mine, other in zip(group.traces, traces, strict=True)
        ):
            group.paths.append(path)
            if outcome.message != group.outcome.message:
                group.otherwise[path] = outcome.message
            return
    listed.append(Group(outcome, traces, [path]))


def lines_of(groups: Sequence[Group]) -> list[str]:
    """Return a line for each group, a few of them."""
    lines = [
        f"{len(group.paths)} submissions give the same answers at {group.outcome.exercise}, "
        f"unexplained: {group.outcome.name}"
        for group in groups[:SHOWN]
    ]
    if len(groups) > SHOWN:
        lines.append(f"and {len(groups) - SHOWN} more groups")
    return lines
