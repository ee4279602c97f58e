"""Name the known mistake that gives the same wrong answers as a result.

It changes only messages and the instructor's line, never points. A kept result can be explained
again when a table is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from grader.batch import known_store
from grader.diagnosis.known import CheckName, Known, Mistake, Named, name_mistakes
from grader.diagnosis.said_already import says_already
from grader.diagnosis.traces import Trace, seen_of, traces_of
from grader.diagnosis.wording import TRY_BY_HAND
from grader.errors import StoreError
from grader.records import Assignment, Outcome, Result

LIKE_THE_SOLUTION = " behaves exactly as the solution would "
LIKE_A_MISTAKE = "It answers exactly as this known mistake does: "


class Explainer:
    """Explains results of one assignment.

    table : returns what is known of a notebook; None for nothing
    has_table : tells whether all is known of it
    """

    def __init__(
        self,
        assignment: Assignment,
        table: Callable[[str], Known | None],
        *,
        has_table: Callable[[str], bool] = lambda notebook: False,
    ) -> None:
        self.notebooks = {e.id: e.notebook for e in assignment.exercises}
        self.owners: dict[str, set[str]] = {}
        for exercise in assignment.exercises:
            for function in exercise.functions:
                self.owners.setdefault(function, set()).add(exercise.id)
        self.table = table
        self.has_table = has_table
        self._tables: dict[str, Known] = {}

    def explain(self, result: Result) -> Result:
        """Return the result with the known mistakes that its wrong answers name."""
        failing: dict[str, dict[CheckName, list[Trace]]] = {}
        seen: dict[CheckName, int] = {}
        passed = {
            (outcome.exercise, outcome.name)
            for exercise in result.exercises
            for outcome in exercise.checks
            if outcome.outcome == "passed"
        }
        for exercise in result.exercises:
            for outcome in exercise.checks:
                traces = traces_in(outcome)
                if traces:
                    notebook = self.notebooks.get(outcome.exercise, "")
                    failing.setdefault(notebook, {})[outcome.exercise, outcome.name] = traces
                    seen[outcome.exercise, outcome.name] = seen_of(outcome.trace)
        named: dict[CheckName, Named] = {}
        for notebook, traces_by_check in failing.items():
            known = self._table(notebook)
            if known is not None:
                named |= name_mistakes(
                    known, traces_by_check, owners=self.owners, passed=passed, seen=seen
                )
        if not named:
            return result
        told = self._checks_that_tell(result, named)
        return replace(
            result,
            exercises=tuple(
                replace(
                    exercise,
                    checks=tuple(
                        with_mistake(
                            outcome,
                            named.get((outcome.exercise, outcome.name)),
                            tell=(outcome.exercise, outcome.name) in told,
                        )
                        for outcome in exercise.checks
                    ),
                )
                for exercise in result.exercises
            ),
        )

    def _checks_that_tell(self, result: Result, named: Mapping[CheckName, Named]) -> set[CheckName]:
        """Return the checks whose messages name a mistake to the student: one for each function.

        It is the first one of the function's own exercises, or else the first one. There is none
        if a message says the same already.
        """
        listed: dict[str, list[tuple[bool, Outcome, Mistake]]] = {}
        for exercise in result.exercises:
            for outcome in exercise.checks:
                one = named.get((outcome.exercise, outcome.name))
                if one is not None and one.told is not None and not outcome.hidden:
                    mistake = one.told
                    elsewhere = outcome.exercise not in self.owners.get(mistake.function, ())
                    listed.setdefault(mistake.function, []).append((elsewhere, outcome, mistake))
        told = set()
        for found in listed.values():
            if not any(says_already(_before(o), m.says or m.phrase) for _, o, m in found):
                _, first, _ = min(found, key=lambda one: one[0])
                told.add((first.exercise, first.name))
        return told

    def unnamed(self, result: Result) -> set[str]:
        """Return the notebooks of the result whose wrong answers fit no known mistake."""
        return {
            self.notebooks.get(outcome.exercise, "")
            for exercise in result.exercises
            for outcome in exercise.checks
            if outcome.trace and not outcome.known
        } - {""}

    def look_again(self) -> None:
        """Read the tables again: they may have grown."""
        self._tables.clear()

    def _table(self, notebook: str) -> Known | None:
        if notebook not in self._tables:
            known = self.table(notebook)
            if known is None:
                return None
            self._tables[notebook] = known
        return self._tables[notebook]


def explainer_of(
    assignment: Assignment, *, seed: int, environment: str, environ: Mapping[str, str]
) -> tuple[Explainer | None, Path | None]:
    """Return the explainer of the assignment's results at a seed, and the place of its tables.

    The tables in the assignment's own folder are used first. If they are complete, none need be
    computed, and the place is None. Returns None and None without tables, or without a solution
    to compare with.
    environment : in which it is graded, by cache_key.environment()
    """
    if assignment.public_only or not assignment.notebooks:
        return None, None
    folder, published = None, None
    with suppress(OSError, StoreError):
        published = known_store.published(assignment, seed)
    with suppress(OSError, StoreError):
        folder = known_store.folder_of(environ, known_store.key_of(assignment, seed, environment))
    if published is None:
        if folder is None:
            return None, None
        whole = partial(known_store.is_whole, folder)
        return Explainer(assignment, partial(known_store.load, folder), has_table=whole), folder

    def table(notebook: str) -> Known | None:
        known = published.load(notebook)
        return known if known is not None or folder is None else known_store.load(folder, notebook)

    def has_table(notebook: str) -> bool:
        kept = folder is not None and known_store.is_whole(folder, notebook)
        return kept or published.holds(notebook)

    explainer = Explainer(assignment, table, has_table=has_table)
    return explainer, None if published.serves(assignment) else folder


def notebooks_without_table(assignment: Assignment, explainer: Explainer | None) -> tuple[str, ...]:
    """Return the notebooks of whose mistakes no whole table is there; none without a solution."""
    if assignment.public_only:
        return ()
    return tuple(
        name
        for name in assignment.notebooks
        if not assignment.lacking(name) and not (explainer and explainer.has_table(name))
    )


def traces_in(outcome: Outcome) -> list[Trace]:
    """Return the wrong answers of an outcome, one trace for each seed."""
    if not outcome.trace:
        return []
    try:
        return [*traces_of(outcome.trace)]
    except ValueError:
        return []  # an older version wrote it


def is_explained(outcome: Outcome) -> bool:
    """Return whether the outcome names a known mistake."""
    return bool(outcome.known)


def with_mistake(outcome: Outcome, named: Named | None, *, tell: bool = True) -> Outcome:
    """Return the outcome with the mistake for the instructor, and in its message if it tells it.

    Only the instructor reads it for a hidden check, or if its words would say little to a student,
    or too much.
    """
    if named is None:
        return outcome
    mistake = named.mistake
    where = f" ({mistake.place})" if mistake.place else ""
    known = f"{mistake.function}: {mistake.title or mistake.text}{where}"
    if outcome.hidden or named.told is None:
        return replace(outcome, known=known)
    kept = _before(outcome)
    if not tell:
        return replace(outcome, message=kept, known=known)
    # What is known of the mistake says more than the general advice.
    lines = [text for text in kept.splitlines() if text != TRY_BY_HAND]
    return replace(outcome, message="\n".join([*lines, _line_of(named, named.told)]), known=known)


def _line_of(named: Named, told: Mistake) -> str:
    """Return the sentence that names a mistake to a student."""
    if told.title:
        also = f" It may also be the solution {named.also.phrase}." if named.also else ""
        return f"{LIKE_A_MISTAKE}{told.says}.{also}"
    also = f", or {named.also.phrase}: both give the same here" if named.also else ""
    return f"`{told.function.rpartition('.')[2]}`{LIKE_THE_SOLUTION}{told.phrase}{also}."


def _before(outcome: Outcome) -> str:
    """Return the message without a sentence of an earlier explanation."""
    return "\n".join(
        text
        for text in outcome.message.splitlines()
        if LIKE_THE_SOLUTION not in text and not text.startswith(LIKE_A_MISTAKE)
    )
