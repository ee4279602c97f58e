"""A few lines about a graded class, for the instructor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from grader.gradebook.names import squeezed
from grader.gradebook.people import ids_of
from grader.records import Result
from grader.text import one_line

MAX_SHOWN = 5


def lines(results: Sequence[Result], marks: Iterable[str] = ()) -> Iterator[str]:
    """Yield lines on graded and refused submissions, on the points, and on exceptions.

    marks : the lines about the class's points; none if a report beside it has them
    """
    if len(results) < 2:
        return
    yield _counts(results)
    yield from marks
    late = [result for result in results if result.origin.late]
    if late:
        yield f"{len(late)} late by the platform's record: {_names(late)}"
    yield from _again(results)
    yield from _same_work([result for result in results if result.status == "graded"])


def _counts(results: Sequence[Result]) -> str:
    refused = [result for result in results if result.status == "refused"]
    without = [r for r in refused if any(note.kind == "no_work" for note in r.notes)]
    unread = [r for r in refused if r not in without]
    faults = [result for result in results if result.status == "grader_fault"]
    parts = [f"{len(results)} submissions"]
    for what, group in (
        ("without a notebook", without),
        ("unread", unread),
        ("not graded by a fault of the grader", faults),
    ):
        if group:
            parts.append(f"{len(group)} {what} ({_names(group)})")
    return ", ".join(parts)


def _again(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each student who handed in more than once."""
    by_student: dict[object, list[Result]] = defaultdict(list)
    for result in results:
        ids = ids_of(result)
        if ids:
            by_student[tuple(sorted(ids.items()))].append(result)
        else:
            for name in result.students:
                by_student[squeezed(name)].append(result)
    for own in by_student.values():
        if len(own) > 1:
            name = own[0].students[0] if own[0].students else own[0].path
            files = ", ".join(one_line(result.path, 80) for result in own[:MAX_SHOWN])
            yield f"{one_line(name)} handed in {len(own)} times: {files}"


def _same_work(graded: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each group whose work is equal byte for byte and has points."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in graded:
        if result.work and result.score > 0:
            groups[result.work].append(result)
    for group in groups.values():
        if len(group) > 1:
            yield f"the same work byte for byte: {_names(group)}"


def _names(results: Sequence[Result]) -> str:
    names = [one_line(" · ".join(r.students) or r.path, 60) for r in results]
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return f"{', '.join(names[:MAX_SHOWN])}{more}"
