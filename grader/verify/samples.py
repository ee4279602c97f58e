"""Samples: variants of the solution, right or with a typical mistake, and what each must score.

A sample is a change of one solved notebook, kept as reference/<id>/samples/<name>.toml:

    title = "cross-entropy without its minus sign"
    says = "the cost has the wrong sign"   # what students read; without it, they read the title
    kind = "mistake"            # or "right"
    notebook = "MNIST_binary_classifier_stud.ipynb"
    [regions]                   # replaces the code between a region's markers
    "GradientDescent.cost_funct" = '''...'''
    [definitions]               # replaces a whole definition with its markers
    [append]                    # source = "...": a code cell at the end
    [expect]                    # exercise that loses points = pattern of one of its messages
    "3b-cost" = "minus sign"

An exercise that `expect` does not name keeps all its points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from grader.assignment.schema import Text
from grader.errors import AssignmentError
from grader.notebook import assembled, replace_definition, replace_region
from grader.records import Assignment, Cell, ExerciseScore, Notebook, Result
from grader.session import Kernels
from grader.temporary import TemporaryFolder
from grader.toml_files import read_toml


class _Append(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    source: str = ""


class _SampleFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    title: Text
    kind: Text
    notebook: Text
    says: str = ""
    regions: dict[str, str] = {}
    definitions: dict[str, str] = {}
    append: _Append = _Append()
    expect: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.kind not in ("right", "mistake"):
            raise ValueError(f"`kind` is {self.kind!r}; it may be right or mistake")


KEYS = _SampleFile.__struct_fields__


@dataclass(frozen=True)
class Sample:
    """One sample.

    name : the file's, without .toml; title : what the instructor reads
    says : what students read of the mistake; "" for the title
    expect : the pattern of a message, by exercise id
    """

    name: str
    title: str
    kind: str
    notebook: str
    regions: Mapping[str, str] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    appended: str = ""
    expect: Mapping[str, str] = field(default_factory=dict)
    says: str = ""


@dataclass(frozen=True)
class SampleVerdict:
    """The verdict on a sample.

    deviations : a sentence for each difference from its declaration
    suspects : checks that raised an exception of their own on the sample
    result : without evidence
    named : whether one of its messages names the sample
    """

    sample: Sample
    deviations: tuple[str, ...]
    suspects: tuple[str, ...]
    seconds: float
    result: Result | None = None
    named: bool = False


# --- reading ------------------------------------------------------------------------------


def load_samples(assignment: Assignment) -> tuple[Sample, ...]:
    """Return the assignment's samples in the order of their file names.

    Raises AssignmentError, which names the file and the key.
    """
    return tuple(
        _read_sample(path, assignment)
        for path in sorted((assignment.folder / "samples").glob("*.toml"))
    )


def _read_sample(path: Path, assignment: Assignment) -> Sample:
    where = f"samples/{path.name}"
    file = read_toml(path, _SampleFile, shown=where)
    sample = Sample(
        name=path.stem,
        title=file.title,
        kind=file.kind,
        notebook=file.notebook,
        regions=file.regions,
        definitions=file.definitions,
        appended=file.append.source,
        expect=file.expect,
        says=" ".join(file.says.split()),
    )
    _require_fitting(sample, assignment, where)
    return sample


def _require_fitting(sample: Sample, assignment: Assignment, where: str) -> None:
    """Raise AssignmentError if a sample names something that the assignment doesn't have."""
    reference = assignment.notebooks.get(sample.notebook)
    if reference is None:
        names = ", ".join(assignment.notebooks)
        raise AssignmentError(f"{where}: no notebook {sample.notebook!r}; there is: {names}")
    for key, named, known in (
        ("regions", sample.regions, reference.regions),
        ("definitions", sample.definitions, reference.definitions),
    ):
        for name in named:
            if name not in known:
                raise AssignmentError(
                    f"{where}: [{key}] {sample.notebook} has no {name!r}; "
                    f"it has: {', '.join(known)}"
                )
    gradable = exercises_of(assignment, sample.notebook)
    for exercise, pattern in sample.expect.items():
        if exercise not in gradable:
            raise AssignmentError(
                f"{where}: [expect] {sample.notebook} has no graded exercise {exercise!r}; "
                f"it has: {', '.join(gradable)}"
            )
        try:
            re.compile(pattern)
        except re.error as error:
            raise AssignmentError(f"{where}: [expect] {exercise}: {error}") from error
    if sample.kind == "right" and sample.says:
        raise AssignmentError(f"{where}: nobody reads `says` of a right sample: leave it out")
    if sample.kind == "right" and sample.expect:
        raise AssignmentError(f"{where}: a right sample loses no points: [expect] must be empty")
    if sample.kind == "mistake" and not sample.expect:
        raise AssignmentError(
            f"{where}: [expect] must name the exercises where a mistake loses points"
        )


def exercises_of(assignment: Assignment, notebook: str) -> list[str]:
    """Return the ids of the exercises that are graded in a notebook."""
    return [e.id for e in assignment.exercises if e.notebook == notebook and not e.manual]


# --- the changed notebook -----------------------------------------------------------------


def apply_sample(sample: Sample, reference: Notebook) -> Notebook:
    """Return the solved notebook with the sample's changes, parsed like a submission."""
    where = f"samples/{sample.name}.toml"
    sources = {cell.index: cell.source for cell in reference.cells}
    changes = [
        ("regions", name, reference.regions[name].cell, replace_region, body)
        for name, body in sample.regions.items()
    ] + [
        ("definitions", name, reference.definitions[name].cell, replace_definition, body)
        for name, body in sample.definitions.items()
    ]
    for key, name, cell, put, body in changes:
        changed = put(sources[cell], name, body)
        if changed is None:
            raise AssignmentError(f"{where}: [{key}] {name!r} can't be found in cell {cell}")
        sources[cell] = changed
    cells = [replace(cell, source=sources[cell.index], outputs=()) for cell in reference.cells]
    if sample.appended:
        cells.append(Cell(len(cells), "code", sample.appended))
    return assembled(cells, name=reference.name, metadata=reference.metadata)


# --- the verdict --------------------------------------------------------------------------


def check_sample(sample: Sample, kernels: Kernels, *, seed: int = 0) -> Result:
    """Return the sample's result: its notebook's exercises, graded in a kernel of its own."""
    # Imported late: `grade try` reads samples, and grades no whole notebook.
    from grader.grading import grade_notebooks

    assignment = kernels.assignment
    notebook = apply_sample(sample, assignment.notebooks[sample.notebook])
    with TemporaryFolder() as folder:
        return grade_notebooks(
            kernels,
            {sample.notebook: notebook},
            folder=Path(folder),
            seed=seed,
            only=exercises_of(assignment, sample.notebook),
        )


def find_deviations(sample: Sample, result: Result) -> list[str]:
    """Return a sentence for each difference between the result and the sample's declaration."""
    if result.status != "graded":
        return [f"was not graded ({result.status}): {result.message}"]
    deviations = []
    for exercise in result.exercises:
        if exercise.status == "manual":
            continue
        lost = exercise.max_points - exercise.points
        pattern = sample.expect.get(exercise.id)
        if pattern is None:
            if lost > 1e-9:
                deviations.append(
                    f"{exercise.id} lost {lost:g} of {exercise.max_points:g} points but must keep "
                    f"them: {_messages(exercise)}"
                )
        elif lost <= 1e-9:
            deviations.append(f"{exercise.id} kept all its points but must lose some")
        elif not any(re.search(pattern, text, re.IGNORECASE) for text in _refusals(exercise)):
            deviations.append(
                f"{exercise.id} lost {lost:g} points as it must, but no message matches "
                f"{pattern!r}: {_messages(exercise)}"
            )
    graded = {exercise.id for exercise in result.exercises}
    deviations += [f"{name} was not graded" for name in sample.expect if name not in graded]
    return deviations


def find_suspects(exercises: Iterable[ExerciseScore]) -> list[str]:
    """Return a line for each check that raised an exception of its own."""
    return [
        f"{outcome.exercise}, {outcome.name}: {flat(outcome.message)}"
        for exercise in exercises
        for outcome in exercise.checks
        if outcome.suspect or outcome.fault
    ]


def _refusals(exercise: ExerciseScore) -> list[str]:
    return [check.message for check in exercise.checks if check.outcome != "passed"]


def _messages(exercise: ExerciseScore) -> str:
    return "; ".join(
        f"{check.name}: {flat(check.message) or check.outcome}"
        for check in exercise.checks
        if check.outcome != "passed"
    )


def flat(text: str) -> str:
    """Return the text on one line."""
    return " | ".join(line.strip() for line in text.splitlines() if line.strip())
