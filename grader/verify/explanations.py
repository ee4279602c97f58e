"""Read and write survivors.toml: the reasons why mutants may survive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from grader.errors import AssignmentError
from grader.files import write_whole
from grader.records import Assignment
from grader.toml_files import read_toml
from grader.verify.verdicts import MutantVerdict


def load_explanations(assignment: Assignment) -> dict[tuple[str, str], str]:
    """Return the reasons in survivors.toml by (notebook, mutant id).

        ["sigmoid.ipynb"]
        "sigmoid: `1.0` -> `2.0` in `...`" = "why this mistake loses nothing"

    Raises AssignmentError for a table that is not named after a notebook of the assignment.
    """
    path = assignment.folder / "survivors.toml"
    if not path.exists():
        return {}
    explained = {}
    for notebook, table in read_toml(path, dict[str, dict[str, str]], shown=path.name).items():
        if notebook not in assignment.notebooks:
            raise AssignmentError(
                f"survivors.toml: [{notebook}] is not a notebook; there is: "
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
    """Return the verdicts with their explanations, and the ids of explanations without survivor.

    whole : False if the mutants were not run, so that no explanation counts as stale
    """
    found = [
        replace(verdict, explanation=explained.get(_key(verdict), ""))
        if verdict.survivor
        else verdict
        for verdict in verdicts
    ]
    survivors = {_key(verdict) for verdict in verdicts if verdict.survivor}
    stale = tuple(
        f"{notebook}: {id_}" for notebook, id_ in explained if (notebook, id_) not in survivors
    )
    return found, stale if whole else ()


def _key(verdict: MutantVerdict) -> tuple[str, str]:
    return verdict.mutant.notebook, verdict.mutant.id


def draft_explanations(folder: Path, survivors: Sequence[MutantVerdict]) -> int:
    """Add each survivor without explanation to survivors.toml; return how many were added.

    Each gets an empty text, which `grade verify` refuses: somebody has to explain it, or to write
    a check that catches it. Entries of the file don't change.
    """
    path = folder / "survivors.toml"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known = read_toml(path, dict[str, dict[str, str]], shown=path.name) if text else {}
    added = 0
    for verdict in survivors:
        notebook, mutant = _key(verdict)
        if verdict.explanation or mutant in known.get(notebook, {}):
            continue
        head = f"[{_key_text(notebook)}]\n"
        entry = f'{_key_text(mutant)} = ""\n'
        if head not in text:
            text = f"{text.rstrip()}\n\n{head}".lstrip()
        before, _, after = text.partition(head)
        text = f"{before}{head}{entry}{after}"
        added += 1
    if added:
        write_whole(path, text)
    return added


def _key_text(name: str) -> str:
    """Return a quoted TOML string, which is valid as a key."""
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
