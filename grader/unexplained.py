"""Group equal wrong answers of a class that no known mistake explains.

    groups = unexplained(results)
    lines_of(groups)            "3 submissions give the same answers at 3b-grad, unexplained: ..."
    sample_text(...)            one of them as a sample file, which an instructor has named

The answers are claims of students' processes. So a group never changes points; it shows the
messages to a person, who judges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.diagnosis.known import CheckName
from grader.diagnosis.traces import Trace, evidence_of, same_trace
from grader.errors import AssignmentError
from grader.explaining import is_explained, traces_in
from grader.files import write_whole
from grader.records import Assignment, Outcome, Region, Result

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


def write_sample(
    assignment: Assignment, group: Group, regions: Sequence[Region], *, name: str, title: str
) -> Path:
    """Write one of the group's submissions as a sample of the assignment; return its file.

    name : the file's, without .toml; title : what the mistake is, in words
    Raises AssignmentError if it can't be a sample, and OSError.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise AssignmentError("a sample's name has only letters, digits, - and _")
    if not title.strip():
        raise AssignmentError("a sample needs a title: what the mistake is, in your words")
    notebook = next(
        (e.notebook for e in assignment.exercises if e.id == group.outcome.exercise), ""
    )
    if notebook not in assignment.notebooks:
        raise AssignmentError(
            f"{assignment.folder} is a student's copy: samples need reference/"
            if assignment.public_only
            else f"{group.outcome.exercise} has no solved notebook: it can have no sample"
        )
    file = assignment.folder / "samples" / f"{name}.toml"
    if file.exists():
        raise AssignmentError(f"{file} is there already: give another name")
    known = assignment.notebooks[notebook].regions
    write_whole(file, sample_text(group, regions, title=title, notebook=notebook, known=known))
    return file


def sample_text(
    group: Group, regions: Sequence[Region], *, title: str, notebook: str, known: Iterable[str]
) -> str:
    """Return a sample file of one of the group's submissions, under the title.

    regions : its regions of the exercise
    known : names of the solved notebook's regions
    Raises AssignmentError if its gaps can't be in a sample.
    """
    names = set(known)
    kept = [r for r in regions if r.status == "filled" and r.name in names]
    if not kept:
        raise AssignmentError(
            f"nothing of {group.outcome.exercise} can be made a sample: its gaps have lost their "
            "markers; write one by hand"
        )
    lines = [
        f"title = {_text(title)}",
        'kind = "mistake"',
        f"notebook = {_text(notebook)}",
        "",
        "[regions]",
        *(f"{_text(region.name)} = {_text(region.source)}" for region in kept),
        "",
        "[expect]",
        # The exercise loses points; the instructor may add what its message must say.
        f"{_text(group.outcome.exercise)} = {_text(_pattern(group.outcome))}",
    ]
    return "\n".join(lines) + "\n"


def _pattern(outcome: Outcome) -> str:
    words = re.findall(r"[A-Za-z]{4,}", outcome.message)
    return words[0] if words else "."


def _text(text: str) -> str:
    # A JSON text is a TOML text, except for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
