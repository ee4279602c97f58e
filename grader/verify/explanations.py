"""Why a mutant may survive: survivors.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.errors import AssignmentError
from grader.records import Assignment
from grader.toml_files import read_toml
from grader.verify.verdicts import MutantVerdict


def load_explanations(assignment: Assignment) -> dict[tuple[str, str], str]:
    """Return (notebook, mutant id) -> why it may survive, from survivors.toml.

        ["sigmoid.ipynb"]
        "sigmoid: `1.0` -> `2.0` in `...`" = "why this mistake loses nothing"

    Raises AssignmentError for a table that is no notebook of the assignment.
    """
    path = assignment.folder / "survivors.toml"
    if not path.exists():
        return {}
    explained = {}
    for notebook, table in read_toml(path, dict[str, dict[str, str]], shown=path.name).items():
        if notebook not in assignment.notebooks:
            raise AssignmentError(
                f"survivors.toml: [{notebook}] is no notebook; there is: "
                f"{', '.join(assignment.notebooks)}"
            )
        for mutant, reason in table.items():
            if not reason.strip():
                raise AssignmentError(f"survivors.toml: {mutant!r} needs a text that explains it")
            explained[notebook, mutant] = reason
    return explained


def explain(
    verdicts: Sequence[MutantVerdict], explained: Mapping[tuple[str, str], str], *, whole: bool
) -> tuple[list[MutantVerdict], tuple[str, ...]]:
    """Return the verdicts with their explanations, and the ids explained for nothing.

    whole : False where the mutants were not run, so that nothing is known to be stale
    """
    found = [
        replace(verdict, explanation=explained.get(_key(verdict), ""))
        if verdict.survivor
        else verdict
        for verdict in verdicts
    ]
    living = {_key(verdict) for verdict in verdicts if verdict.survivor}
    stale = tuple(
        f"{notebook}: {id_}" for notebook, id_ in explained if (notebook, id_) not in living
    )
    return found, stale if whole else ()


def _key(verdict: MutantVerdict) -> tuple[str, str]:
    return verdict.mutant.notebook, verdict.mutant.id
