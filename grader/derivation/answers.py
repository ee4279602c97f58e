"""The derivations of a submission: find each text, and return the verdicts on its steps.

All texts of a submission are followed in one separate process, which then ends.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from grader.notebook import answer_cells
from grader.records import (
    Assignment,
    Derivation,
    DerivationReached,
    DerivationStep,
    DerivationTarget,
    Exercise,
    Notebook,
)
from grader.temporary import TemporaryFolder

WAIT_S = 90
"""Seconds; more than the process's own limit of processor time, for a busy machine."""
LONGEST_FILE = 2**20


@dataclass(frozen=True)
class Text:
    """The text of a derivation. starts : (first line, cell) of each of its cells"""

    text: str
    starts: tuple[tuple[int, int], ...] = ()

    def placed(self, line: int) -> tuple[int, int | None]:
        """Return the line within its cell, and the cell; for a file's text, the line and None."""
        here = [(first, cell) for first, cell in self.starts if first <= line]
        if not here:
            return line, None
        first, cell = here[-1]
        return line - first + 1, cell


@dataclass(frozen=True)
class Job:
    """One text to follow."""

    text: str
    sheet: Mapping[str, object]
    targets: tuple[DerivationTarget, ...] = ()
    rendered: bool = True


def derivations_of(
    assignment: Assignment,
    notebooks: Mapping[str, Notebook],
    folder: Path,
    *,
    only: Collection[str] = (),
    rendered: bool = True,
) -> dict[str, Derivation]:
    """Return the verdicts on each derivation of a submission, by exercise id.

    notebooks : by the assignment's notebook names; folder : the submission's folder
    rendered : whether formulas are converted to MathML, for a page
    """
    wanted = [
        e for e in assignment.exercises if e.derivation is not None and (not only or e.id in only)
    ]
    texts = {e.id: text_of(e, assignment, notebooks, folder) for e in wanted}
    given = [e for e in wanted if texts[e.id].text.strip()]
    jobs = [
        Job(texts[e.id].text, e.derivation.sheet, e.derivation.targets, rendered)
        for e in given
        if e.derivation is not None
    ]
    found = dict(zip([e.id for e in given], followed_in_process(jobs), strict=True))
    nothing = Derivation(note="nothing is written where it is asked for")
    return {
        e.id: _placed(found[e.id], texts[e.id])
        if e.id in found
        else replace(nothing, reached=_open(e))
        for e in wanted
    }


def _open(exercise: Exercise) -> tuple[DerivationReached, ...]:
    """Return the targets of an exercise without an answer."""
    assert exercise.derivation is not None
    return tuple(
        DerivationReached(
            f"{target.of} = {target.last}" if target.of else target.last,
            target.points,
            found=False,
            why="nothing is written",
        )
        for target in exercise.derivation.targets
    )


def _placed(derivation: Derivation, text: Text) -> Derivation:
    """Return the derivation with lines that count from the beginning of their cell."""
    steps = []
    for step in derivation.steps:
        line, cell = text.placed(step.line)
        steps.append(replace(step, line=line, cell=cell))
    reached = []
    for one in derivation.reached:
        line, cell = text.placed(one.line) if one.line else (0, None)
        reached.append(replace(one, line=line, cell=cell))
    return replace(derivation, steps=tuple(steps), reached=tuple(reached))


# --- the text of a derivation


def text_of(
    exercise: Exercise,
    assignment: Assignment,
    notebooks: Mapping[str, Notebook],
    folder: Path,
) -> Text:
    """Return a derivation's text: from a file, or from the cells under its headings or tag."""
    task = exercise.derivation
    assert task is not None
    if task.file:
        content = _file_text(folder, task.file)
        return Text(_sections(content, exercise.answer_cells) if exercise.answer_cells else content)
    notebook = notebooks.get(exercise.notebook)
    if notebook is None:
        return Text("")
    stub = assignment.stubs.get(exercise.notebook)
    given = {_plain(cell.source) for cell in stub.cells} if stub is not None else set()
    if task.tag:
        cells = [
            cell
            for cell in notebook.cells
            if cell.kind == "markdown" and task.tag in _tags(cell.metadata)
        ]
    else:
        cells = list(answer_cells(notebook, exercise.answer_cells, stub))
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    for cell in cells:
        if _plain(cell.source) in given:
            continue  # text of the template
        starts.append((len(lines) + 1, cell.index))
        lines += [*cell.source.split("\n"), ""]
    return Text("\n".join(lines), tuple(starts))


def _tags(metadata: Mapping[str, object]) -> list[object]:
    tags = metadata.get("tags")
    return tags if isinstance(tags, list) else []


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _file_text(folder: Path, name: str) -> str:
    """Return the text of the file with this name, anywhere in the submission; "" if none."""
    for path in sorted(folder.rglob("*")):
        if path.name.casefold() == name.casefold() and path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                return file.read(LONGEST_FILE).decode("utf-8", "replace")
    return ""


_HEADING = re.compile(
    r"^\s*(?:#+\s*(?P<md>.*?)\s*#*|\\(?:sub)*(?:section|paragraph)\*?\{(?P<tex>.*)\})\s*$"
)


def _sections(content: str, headings: Sequence[str]) -> str:
    """Return the sections of a file under these headings; other lines become empty.

    The lines keep their numbers. A section includes headings of a lower level.
    """
    wanted = {_plain(heading) for heading in headings}
    lines: list[str] = []
    level = 0
    for line in content.split("\n"):
        heading = _HEADING.match(line)
        if heading is not None:
            here = _level(line)
            if _plain(heading["md"] or heading["tex"] or "") in wanted:
                level = here
            elif level and here <= level:
                level = 0
        lines.append(line if level else "")
    return "\n".join(lines)


def _level(line: str) -> int:
    stripped = line.lstrip()
    if stripped.startswith("#"):
        return len(stripped) - len(stripped.lstrip("#"))
    return 1 + stripped.count("sub", 0, stripped.index("{"))


# --- the separate process


def followed_in_process(jobs: Sequence[Job]) -> list[Derivation]:
    """Return the verdicts on each text, followed in a separate process.

    If that process ends early, the remaining texts only have a note that says so.
    """
    if not jobs:
        return []
    ended = "the process that follows it was stopped"
    with TemporaryFolder() as empty:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "grader.derivation.worker"],
                input=json.dumps([asdict(job) for job in jobs]).encode(),
                capture_output=True,
                timeout=WAIT_S,
                cwd=empty,
                check=False,
            )
            output = done.stdout
        except subprocess.TimeoutExpired as error:
            output, ended = error.stdout or b"", "it took too long to follow"
    found = [_derivation(line) for line in output.split(b"\n")[:-1]]
    found = found[: len(jobs)]
    return [*found, *(Derivation(note=ended) for _ in jobs[len(found) :])]


def _derivation(line: bytes) -> Derivation:
    data: dict[str, Any] = json.loads(line)
    steps = (
        DerivationStep(**{**step, "at": tuple((a, b) for a, b in step["at"])})
        for step in data["steps"]
    )
    reached = (DerivationReached(**one) for one in data["reached"])
    return Derivation(tuple(steps), tuple(reached), data["note"])
