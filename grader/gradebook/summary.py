"""What a person should know of a graded class, in a few lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from grader.gradebook.people import ids_of, squeezed
from grader.records import Result
from grader.text import one_line

MAX_SHOWN = 5


def lines(results: Sequence[Result], marks: Iterable[str] = ()) -> Iterator[str]:
    """Yield lines on graded and refused submissions, the middle of the class, and exceptions.

    marks : the lines about the class's points; none where a report beside it has them
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
    for what, them in (
        ("without a notebook", without),
        ("unread", unread),
        ("not graded by a fault of the grader", faults),
    ):
        if them:
            parts.append(f"{len(them)} {what} ({_names(them)})")
    return ", ".join(parts)


def _again(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each student who handed in more than once."""
    hands: dict[object, list[Result]] = defaultdict(list)
    for result in results:
        ids = ids_of(result)
        if ids:
            hands[tuple(sorted(ids.items()))].append(result)
        else:
            for name in result.students:
                hands[squeezed(name)].append(result)
    for them in hands.values():
        if len(them) > 1:
            name = them[0].students[0] if them[0].students else them[0].path
            files = ", ".join(one_line(result.path, 80) for result in them[:MAX_SHOWN])
            yield f"{one_line(name)} handed in {len(them)} times: {files}"


def _same_work(graded: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each group whose work is the same byte for byte, and earned something."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in graded:
        if result.work and result.score > 0:
            groups[result.work].append(result)
    for them in groups.values():
        if len(them) > 1:
            yield f"the same work byte for byte: {_names(them)}"


def _names(results: Sequence[Result]) -> str:
    names = [one_line(" · ".join(r.students) or r.path, 60) for r in results]
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return f"{', '.join(names[:MAX_SHOWN])}{more}"
