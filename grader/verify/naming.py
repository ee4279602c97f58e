"""Decide which mutants and samples are named by the message that they get."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch import cache_key, known_store
from grader.diagnosis.known import CheckName, Known
from grader.errors import StoreError
from grader.explaining import Explainer
from grader.records import Assignment
from grader.verify.known_candidates import patch_for
from grader.verify.samples import SampleVerdict
from grader.verify.verdicts import MutantVerdict


@dataclass(frozen=True)
class KnownPart:
    """A part of a notebook's table. checks : see known_table.table_of"""

    notebook: str
    part: int
    table: Known
    checks: Mapping[str, frozenset[CheckName]]


def keep_tables(assignment: Assignment, parts: Sequence[KnownPart], *, parts_of: int) -> None:
    """Store the tables of seed 0 beside the results, for later gradings."""
    if not parts:
        return
    with suppress(StoreError, OSError):  # there is no place for tables, or it can't be written
        key = known_store.key_of(assignment, 0, cache_key.environment())
        folder = known_store.folder_of(os.environ, key)
        if folder is not None:
            for one in parts:
                known_store.save(folder, one.notebook, one.part, parts_of, one.table)


def publish_tables(assignment: Assignment, parts: Sequence[KnownPart]) -> Path:
    """Write the tables of seed 0 into the assignment's folder; return their folder.

    Raises OSError.
    """
    return known_store.publish(assignment, 0, _whole(parts))


def stale_tables(assignment: Assignment) -> tuple[str, ...]:
    """Return the notebooks whose tables in the assignment's folder are out of date."""
    published = known_store.published(assignment, 0)
    return published.stale() if published is not None else ()


def _whole(parts: Sequence[KnownPart]) -> dict[str, Known]:
    """Return the table of each notebook, merged from its parts."""
    tables: dict[str, Known] = {}
    for one in parts:
        before = tables.get(one.notebook)
        tables[one.notebook] = one.table if before is None else before.merged([one.table])
    return tables


class Naming:
    """Decides whether the messages of mutants and samples name them.

    parts : of the tables of all notebooks
    """

    def __init__(self, assignment: Assignment, parts: Sequence[KnownPart]) -> None:
        self.checks: dict[str, frozenset[CheckName]] = {}
        for one in parts:
            self.checks |= one.checks
        self.explainer = Explainer(assignment, _whole(parts).get)
        self.has_tables = bool(parts)

    def of_mutant(self, verdict: MutantVerdict) -> MutantVerdict:
        """Return the verdict with `named`: whether the check that caught the mutant names it."""
        mutant = verdict.mutant
        checks = self.checks.get(patch_for(mutant.notebook, mutant.function, mutant.source), ())
        return replace(verdict, named=any(f"{e}, {name}" == verdict.by for e, name in checks))

    def of_sample(self, verdict: SampleVerdict) -> SampleVerdict:
        """Return the verdict with `named`: whether a message names the sample."""
        if not self.has_tables or verdict.result is None:
            return verdict
        named = any(verdict.sample.title in text for text in self._known_in(verdict))
        return replace(verdict, named=named)

    def _known_in(self, verdict: SampleVerdict) -> Iterator[str]:
        assert verdict.result is not None
        for exercise in self.explainer.explain(verdict.result).exercises:
            for outcome in exercise.checks:
                yield outcome.known
                yield outcome.message
