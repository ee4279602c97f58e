"""Pairs of similar work, and their answers side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from grader.notebook import answer_cells
from grader.records import Assignment, Evidence, Result
from grader.report.code_colours import highlighted
from grader.review.answers import result_of
from grader.review.classroom import Classroom
from grader.review.earlier import earlier_texts
from grader.review.pages.visit import Page, Visit, render
from grader.review.similar import Pair, pairs_of
from grader.text import printable

MAX_TEXT = 6_000


class Comparison:
    """The pairs of a run; computed once, and again when more submissions have arrived.

    earlier : runs and folders of earlier years: what they hold is not rare
    """

    def __init__(self, earlier: Sequence[int | Path] = ()) -> None:
        self._earlier = earlier
        self._lock = threading.Lock()
        self._of: tuple[int, ...] = ()
        self._pairs: list[Pair] = []

    def pairs(self, visit: Visit) -> list[Pair]:
        room = visit.room
        with self._lock:
            numbers = tuple(n for n, r in room.results.items() if r.status == "graded")
            if numbers != self._of:
                known = chain(
                    known_texts(room.assignment), earlier_texts(visit.store, self._earlier)
                )
                self._pairs = pairs_of(_Works(visit, numbers), known)
                self._of = numbers
            return self._pairs


class _Works(dict[int, tuple[Result, Evidence]]):
    """The compared submissions; only their gaps and text cells stay in memory."""

    def __init__(self, visit: Visit, numbers: tuple[int, ...]) -> None:
        super().__init__()
        for number in numbers:
            whole = result_of(visit.store, visit.room.run_id, number)
            evidence = whole.evidence
            compared = Evidence(regions=evidence.regions, answers=evidence.answers)
            self[number] = (visit.room.results[number], compared)


def known_texts(assignment: Assignment | None) -> Iterator[str]:
    """Yield the texts that everybody may have: the template, the solution, right samples."""
    if assignment is None:
        return
    for notebook in (*assignment.stubs.values(), *assignment.notebooks.values()):
        for cell in notebook.cells:
            yield cell.source
        for region in notebook.regions.values():
            yield region.source
        for exercise in assignment.exercises:
            for cell in answer_cells(notebook, exercise.answer_cells):
                yield cell.source
    folder = assignment.folder / "samples"
    for file in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
        try:
            import msgspec

            sample = msgspec.toml.decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue  # `grade verify` says what is wrong with it
        if isinstance(sample, dict) and sample.get("kind") != "mistake":
            regions = sample.get("regions")
            for source in regions.values() if isinstance(regions, dict) else ():
                if isinstance(source, str):
                    yield source


def show_likeness(visit: Visit, comparison: Comparison) -> Page:
    room = visit.room
    pairs = comparison.pairs(visit)
    chosen = visit.query.get("pair", "")
    shown: list[dict[str, Any]] = []
    for place, pair in enumerate(pairs):
        sides = []
        if chosen == str(place):
            for number in (pair.one, pair.other):
                sides.append(_side(visit, room, number, pair))
        shown.append(
            {
                "place": place,
                "pair": pair,
                "who": [room.label(n, names=visit.names) for n in (pair.one, pair.other)],
                "sides": sides,
            }
        )
    return render(visit, "likeness.html.j2", pairs=shown, chosen=chosen)


def _side(visit: Visit, room: Classroom, number: int, pair: Pair) -> dict[str, Any]:
    evidence = result_of(visit.store, room.run_id, number).evidence
    exercises = dict.fromkeys(rarity.exercise for rarity in pair.shared)
    return {
        "who": room.label(number, names=visit.names),
        "parts": [
            {
                "exercise": exercise,
                "codes": [
                    highlighted(region.source) for region in evidence.regions.get(exercise, ())
                ],
                "words": [
                    printable(cell.source, MAX_TEXT) for cell in evidence.answers.get(exercise, ())
                ],
            }
            for exercise in exercises
        ],
    }
