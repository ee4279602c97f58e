"""Read an assignment: its file, its notebooks and the stubs made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from grader.assignment.check_files import find_check_files
from grader.assignment.course_files import find_course_files
from grader.assignment.finding import FILE
from grader.assignment.schema import AssignmentFile
from grader.authoring.stubs import stub_notebook
from grader.errors import AssignmentError, SubmissionError
from grader.notebook import gaps_that_set, read_notebook
from grader.records import Assignment, Environment, Exercise, Notebook, Rules
from grader.toml_files import read_toml


def load_assignment(folder: Path) -> Assignment:
    """Return the assignment in `folder`, its notebooks and stubs read.

    Raises AssignmentError, which names the file, the key and what to do.
    """
    path = folder / FILE
    file = read_toml(path, AssignmentFile, shown=str(path))
    names = tuple(entry.file for entry in file.notebooks)
    _refuse_duplicates(names, f"{path}: [[notebooks]] file")
    _require_datasets(file.data.datasets, path)
    rules = file.rules.record(Rules())
    exercises = tuple(entry.record(rules) for entry in file.exercises)
    _refuse_duplicates([exercise.id for exercise in exercises], f"{path}: [[exercises]] id")
    notebooks, stubs = _notebooks(folder, names, file.id, public=file.public)
    _require_followed(exercises, path)
    for exercise in exercises:
        _hold_against(exercise, stubs if file.public else notebooks, path, public=file.public)
    check_files = find_check_files(folder, public=file.public, beside=file.files)
    if not check_files and not file.public and any(not exercise.manual for exercise in exercises):
        raise AssignmentError(f"{folder}: it has no check file; add test_<topic>.py")
    files = find_course_files(folder, file.files, names, public=file.public, where=str(path))
    return Assignment(
        id=file.id,
        title=file.title or file.id,
        folder=folder,
        exercises=exercises,
        notebook_names=names,
        check_files=check_files,
        limits=file.limits.record(),
        rules=rules,
        datasets=file.data.datasets,
        notebooks=notebooks,
        stubs=stubs,
        requires={entry.file: entry.requires for entry in file.notebooks if entry.requires},
        public_only=file.public,
        deadline=file.deadline.record(),
        environment=file.environment.record() if file.environment else None,
        files=files,
    )


def environment_in(folder: Path) -> Environment | None:
    """Return the environment that an assignment's file asks for. Raises AssignmentError."""
    path = folder / FILE
    file = read_toml(path, AssignmentFile, shown=str(path))
    return file.environment.record() if file.environment else None


def _notebooks(
    folder: Path, names: tuple[str, ...], assignment_id: str, *, public: bool
) -> tuple[dict[str, Notebook], dict[str, Notebook]]:
    """Return (solved notebooks, stubs) by file name; a student's copy has no solved ones."""
    notebooks: dict[str, Notebook] = {}
    stubs: dict[str, Notebook] = {}
    for name in names:
        path = folder / "stubs" / name if public else folder / name
        try:
            notebook = read_notebook(path, name=name)
        except SubmissionError as error:
            raise AssignmentError(f"{path.parent}: {error}") from error
        if public:
            stubs[name] = notebook
            continue
        notebooks[name] = notebook
        try:
            stubs[name] = stub_notebook(notebook, assignment=assignment_id, file=name)
        except AssignmentError as error:
            raise AssignmentError(f"{path.parent}: {error}") from error
    return notebooks, stubs


def _hold_against(
    exercise: Exercise, notebooks: Mapping[str, Notebook], path: Path, *, public: bool
) -> None:
    """Raise AssignmentError if the exercise names something that isn't there."""
    where = f"{path}: exercise {exercise.id!r}"
    if not exercise.notebook:
        if exercise.manual and not exercise.functions:
            return
        raise AssignmentError(f"{where} names no `notebook`; it may be {_listed(notebooks)}")
    if exercise.notebook not in notebooks:
        raise AssignmentError(
            f"{where}: there is no [[notebooks]] file {exercise.notebook!r}; "
            f"it may be {_listed(notebooks)}"
        )
    if public:
        return  # a stub lacks a definition that is entirely in a gap
    notebook = notebooks[exercise.notebook]
    for name in (*exercise.functions, *exercise.needs):
        if name not in notebook.definitions:
            raise AssignmentError(
                f"{where}: {exercise.notebook} defines no {name!r}; "
                f"it defines {_listed(notebook.definitions)}"
            )
    for name in exercise.values:
        if not gaps_that_set(notebook, name):
            raise AssignmentError(
                f"{where}: no cell of {exercise.notebook} that sets {name!r} holds a gap outside "
                "any function: `values` names what such a cell sets"
            )
    headings = {
        line.lstrip("#").strip()
        for cell in notebook.cells
        if cell.kind == "markdown"
        for line in cell.source.split("\n")
        if line.startswith("#")
    }
    for heading in exercise.answer_cells:
        if heading not in headings:
            raise AssignmentError(
                f"{where}: {exercise.notebook} has no Markdown heading {heading!r}"
            )


def _require_followed(exercises: Sequence[Exercise], path: Path) -> None:
    """Raise AssignmentError if `follows` names no exercise of the same notebook."""
    notebooks = {exercise.id: exercise.notebook for exercise in exercises}
    for exercise in exercises:
        for other in exercise.follows:
            where = f"{path}: exercise {exercise.id!r}: `follows`"
            if other not in notebooks:
                raise AssignmentError(f"{where}: there is no exercise {other!r}")
            if notebooks[other] != exercise.notebook:
                raise AssignmentError(f"{where}: {other!r} is in another notebook")


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "nothing"


def _refuse_duplicates(values: Sequence[str], where: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise AssignmentError(f"{where} {value!r} comes twice")


def _require_datasets(names: Sequence[str], path: Path) -> None:
    if not names:
        return
    # Imported here: it brings numpy, and most assignments name no data set.
    from grader.datasets import NAMES

    for name in names:
        if name not in NAMES:
            near = get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NAMES)}"
            raise AssignmentError(f"{path}: [data] `datasets`: no data set {name!r}; {hint}")
