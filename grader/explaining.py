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
from grader.diagnosis.known import CheckName, Known, Named, name_mistakes
from grader.diagnosis.traces import Trace, traces_of
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
        named: dict[CheckName, Named] = {}
        for notebook, traces_by_check in failing.items():
            known = self._table(notebook)
            if known is not None:
                named |= name_mistakes(known, traces_by_check, owners=self.owners, passed=passed)
        if not named:
            return result
        return replace(
            result,
            exercises=tuple(
                replace(
                    exercise,
                    checks=tuple(
                        with_mistake(outcome, named.get((outcome.exercise, outcome.name)))
                        for outcome in exercise.checks
                    ),
                )
                for exercise in result.exercises
            ),
        )

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


def with_mistake(outcome: Outcome, named: Named | None) -> Outcome:
    """Return the outcome with the mistake in its message.

    Only the instructor reads it for a hidden check, or if its words would say little to a student.
    """
    if named is None:
        return outcome
    mistake = named.mistake
    if mistake.title:
        also = f" The same here: {named.also.phrase}." if named.also else ""
        line = f"{LIKE_A_MISTAKE}{mistake.title}.{also}"
    else:
        name = mistake.function.rpartition(".")[2]
        also = f", or (the same here) {named.also.phrase}" if named.also else ""
        line = f"`{name}`{LIKE_THE_SOLUTION}{mistake.phrase}{also}."
    where = f" ({mistake.place})" if mistake.place else ""
    known = f"{mistake.function}: {mistake.title or mistake.text}{where}"
    if outcome.hidden or mistake.says_little:
        return replace(outcome, known=known)
    kept = [
        text
        for text in outcome.message.splitlines()
        if LIKE_THE_SOLUTION not in text and not text.startswith(LIKE_A_MISTAKE)
    ]
    return replace(outcome, message="\n".join([*kept, line]), known=known)
