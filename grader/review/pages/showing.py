"""What a student wrote, drew and printed for one exercise, made safe to show."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from grader.notebook import answer_cells
from grader.records import Assignment, Cell, Evidence, ExerciseScore, Notebook, Region, Result
from grader.report import markdown
from grader.report.code_colours import highlighted, highlighted_lines
from grader.report.html_page import Gallery, exercise_parts
from grader.report.wording import cell_text
from grader.review.formulas import rendered_formula
from grader.text import one_line, printable

MAX_OUTPUT = 6_000
MAX_OUTPUTS = 20
MAX_CODE = 20_000
_DIFFERENCE = 400


def shown_answer(
    result: Result, exercise: ExerciseScore, *, assignment: Assignment | None
) -> dict[str, Any]:
    """Return what the page of an exercise shows of one student's answer.

    result : with its evidence
    exercise : its score, merged with the marks
    """
    gallery = Gallery(result.evidence, formula=rendered_formula)
    parts = exercise_parts(exercise, result, gallery)
    regions = result.evidence.regions.get(exercise.id, ())
    for shown, region in zip(parts["regions"], regions, strict=True):
        shown["whole"] = code_around(region, _source(result, region, exercise.id, assignment))
    parts["outputs"] = list(_outputs(result.evidence, exercise.id, regions))
    parts["compared"] = compared(result.evidence, exercise.id, assignment)
    for shown, check in zip(parts["checks"], exercise.checks, strict=True):
        shown["raw"] = check
    return parts


def _source(result: Result, region: Region, exercise: str, assignment: Assignment | None) -> str:
    """Return the source of the cell that holds a region; "" if it is unknown."""
    notebooks = result.evidence.notebooks
    name = ""
    if assignment is not None:
        name = next((e.notebook for e in assignment.exercises if e.id == exercise), "")
    found = [notebooks[name]] if name in notebooks else list(notebooks.values())
    for notebook in found:
        for cell in notebook.cells:
            if cell.index == region.cell:
                return cell.source
    return ""


def code_around(region: Region, source: str) -> Markup | None:
    """Return the whole cell with the region's lines marked; None if the region is all of it."""
    if not source or source.strip() == region.source.strip():
        return None
    shown = printable(source, MAX_CODE)
    lines, wanted = shown.split("\n"), printable(region.source, MAX_CODE).strip("\n").split("\n")
    marked: list[int] = []
    for start in range(len(lines) - len(wanted) + 1):
        here = lines[start : start + len(wanted)]
        if all(a.strip() == b.strip() for a, b in zip(here, wanted, strict=True)):
            marked = list(range(start + 1, start + 1 + len(wanted)))
            break
    return highlighted_lines(shown, marked)


def _outputs(
    evidence: Evidence, exercise: str, regions: tuple[Region, ...]
) -> Iterator[dict[str, str]]:
    """Yield what the cells of an answer printed, as text."""
    wanted = {region.cell for region in regions if region.status != "missing"}
    places = {(p.notebook, p.cell) for p in evidence.drawn.get(exercise, ())}
    count = 0
    for name, run in evidence.runs.items():
        for cell in run.cells:
            if cell.index not in wanted and (name, cell.index) not in places:
                continue
            for output in cell.outputs:
                text = text_of_output(output)
                if text and count < MAX_OUTPUTS:
                    count += 1
                    yield {"where": f"{one_line(name)}, {cell_text(cell.index)}",
                           "text": printable(text, MAX_OUTPUT)}  # fmt: skip
            if cell.error:
                yield {"where": f"{one_line(name)}, {cell_text(cell.index)}",
                       "text": printable(cell.error, MAX_OUTPUT)}  # fmt: skip


def text_of_output(output: Any) -> str:
    """Return a notebook output's plain text; "" if it has none. HTML is never shown."""
    text = output.get("text")
    if text is None and isinstance(output.get("data"), dict):
        text = output["data"].get("text/plain")
    if isinstance(text, list):
        text = "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""


# --- the solution and the template ----------------------------------------------------------------


def compared(
    evidence: Evidence, exercise: str, assignment: Assignment | None
) -> dict[str, Any] | None:
    """Return the solution, the template, and the student's difference from the solution.

    None if the assignment does not have this exercise. A gap without solution is compared with
    the template.
    """
    if assignment is None:
        return None
    known = next((e for e in assignment.exercises if e.id == exercise), None)
    if known is None:
        return None
    solved = assignment.notebooks.get(known.notebook)
    stub = assignment.stubs.get(known.notebook)
    mine = {region.name: region.source for region in evidence.regions.get(exercise, ())}
    gaps = []
    for name in known.functions:
        right, given = _region(solved, name), _region(stub, name)
        gaps.append(
            {
                "name": one_line(name),
                "solution": highlighted(right) if right else "",
                "template": highlighted(given) if given else "",
                "difference": list(difference(right or given, mine.get(name, ""))),
            }
        )
    return {
        "gaps": gaps,
        "solution": [_words(c) for c in _cells(solved, known.answer_cells)],
        "template": [_words(c) for c in _cells(stub, known.answer_cells)],
    }


def _region(notebook: Notebook | None, name: str) -> str:
    if notebook is None or name not in notebook.regions:
        return ""
    return notebook.regions[name].source


def _cells(notebook: Notebook | None, headings: tuple[str, ...]) -> tuple[Cell, ...]:
    return answer_cells(notebook, headings) if notebook is not None and headings else ()


def _words(cell: Cell) -> Markup:
    return markdown.rendered(replace(cell, attachments={}).source, formula=rendered_formula)


def difference(right: str, mine: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, line) from the right code to the student's: "same", "less" or "more"."""
    kinds = {"  ": "same", "- ": "less", "+ ": "more"}
    one, other = (printable(text, MAX_CODE).splitlines()[:_DIFFERENCE] for text in (right, mine))
    for line in difflib.ndiff(one, other):
        if line[:2] in kinds:
            yield kinds[line[:2]], line[2:]
