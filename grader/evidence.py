"""What people look at besides a verdict: the notebooks, their runs, gaps and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.notebook import answer_cells, drawing_cells, region_of, regions_that_set
from grader.records import Assignment, Cell, Evidence, Notebook, Place, Region, Run


def evidence_of(
    assignment: Assignment, notebooks: Mapping[str, Notebook], runs: Mapping[str, Run]
) -> Evidence:
    """Return the evidence for a graded submission.

    notebooks : by the assignment's own notebook names, compared with their stubs
    runs : by the names of the files
    """
    regions = _regions(assignment, notebooks)
    return Evidence(
        notebooks={name: _shown(notebook) for name, notebook in notebooks.items()},
        runs=runs,
        regions=regions,
        answers=_answers(assignment, notebooks),
        drawn=_drawn(assignment, notebooks, regions),
    )


def drawing_cells_of(
    assignment: Assignment, notebooks: Mapping[str, Notebook]
) -> dict[str, set[int]]:
    """Return the cells whose figures a person looks at to grade an answer, by the files' names."""
    cells: dict[str, set[int]] = {notebook.name: set() for notebook in notebooks.values()}
    for places in _drawn(assignment, notebooks, _regions(assignment, notebooks)).values():
        for place in places:
            cells[place.notebook].add(place.cell)
    return cells


def _shown(notebook: Notebook) -> Notebook:
    """Return the notebook without old outputs and metadata, which no page shows."""
    cells = (replace(cell, outputs=(), metadata={}, attachments={}) for cell in notebook.cells)
    return replace(notebook, cells=tuple(cells), metadata={})


def _answers(
    assignment: Assignment, notebooks: Mapping[str, Notebook]
) -> dict[str, tuple[Cell, ...]]:
    return {
        exercise.id: answer_cells(
            notebooks[exercise.notebook],
            exercise.answer_cells,
            assignment.stubs.get(exercise.notebook),
        )
        for exercise in assignment.exercises
        if exercise.answer_cells and exercise.notebook in notebooks
    }


def _drawn(
    assignment: Assignment,
    notebooks: Mapping[str, Notebook],
    regions: Mapping[str, Sequence[Region]],
) -> dict[str, tuple[Place, ...]]:
    """Return the cells whose figures belong to an answer in words, by exercise id."""
    drawn = {}
    for exercise in assignment.exercises:
        notebook = notebooks.get(exercise.notebook)
        if notebook is not None and (exercise.manual or exercise.answer_cells):
            gaps = {r.cell for r in regions[exercise.id] if r.status != "missing"}
            cells = drawing_cells(notebook, exercise.answer_cells, gaps)
            drawn[exercise.id] = tuple(Place(notebook.name, cell) for cell in cells)
    return drawn


def _regions(
    assignment: Assignment, notebooks: Mapping[str, Notebook]
) -> dict[str, tuple[Region, ...]]:
    found = {}
    for exercise in assignment.exercises:
        notebook = notebooks.get(exercise.notebook)
        if notebook is None:
            continue
        given = assignment.given(exercise.notebook)
        of_functions = [r for name in exercise.functions for r in region_of(notebook, name)]
        of_values = [r for name in exercise.values for r in regions_that_set(notebook, given, name)]
        found[exercise.id] = (*of_functions, *of_values)
    return found
