"""Validate written derivations: the solution's, samples of others, and mutants.

A sample is kept as reference/<id>/samples/derivations/<name>.toml:

    title = "the sign of the inner derivative is lost"
    kind = "mistake"                # or "right"
    exercise = "2c-derivation"
    text = '''...'''                # Markdown or LaTeX, as a student writes it
    expect = "line 3.*sign"         # of a mistake: a pattern of one of its remarks

A right sample must get no remark, and reach the targets that the solution reaches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.assignment.schema import Text
from grader.derivation.answers import text_of
from grader.derivation.context import Context, ContextError
from grader.derivation.following import follow
from grader.derivation.mutants import count_mutants
from grader.derivation.sheet import read_context
from grader.errors import AssignmentError
from grader.records import Assignment, Derivation, Exercise
from grader.toml_files import read_toml
from grader.verify.verdicts import WrittenLine


class _SampleFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    title: Text
    kind: Text
    exercise: Text
    text: Text
    expect: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("right", "mistake"):
            raise ValueError(f"`kind` is {self.kind!r}; it may be right or mistake")
        if (self.kind == "mistake") != bool(self.expect):
            raise ValueError("a mistake needs a pattern in `expect`; a right sample has none")


@dataclass(frozen=True)
class WrittenSample:
    """One sample of a derivation; `name` is the file's, without .toml."""

    name: str
    title: str
    kind: str
    exercise: str
    text: str
    expect: str


def load_written_samples(assignment: Assignment) -> tuple[WrittenSample, ...]:
    """Return the samples in the order of their file names. Raises AssignmentError."""
    known = {e.id for e in assignment.exercises if e.derivation is not None}
    found = []
    for path in sorted((assignment.folder / "samples" / "derivations").glob("*.toml")):
        where = f"samples/derivations/{path.name}"
        file = read_toml(path, _SampleFile, shown=where)
        if file.exercise not in known:
            raise AssignmentError(
                f"{where}: there is no derivation exercise {file.exercise!r}; "
                f"there is: {', '.join(sorted(known))}"
            )
        try:
            re.compile(file.expect)
        except re.error as error:
            raise AssignmentError(f"{where}: expect: {error}") from error
        found.append(
            WrittenSample(path.stem, file.title, file.kind, file.exercise, file.text, file.expect)
        )
    return tuple(found)


def verify_written(assignment: Assignment, *, mutants: bool = True) -> tuple[WrittenLine, ...]:
    """Return a line for each derivation exercise; AssignmentError if one is declared wrongly."""
    samples = load_written_samples(assignment)
    return tuple(
        _line(exercise, assignment, [s for s in samples if s.exercise == exercise.id], mutants)
        for exercise in assignment.exercises
        if exercise.derivation is not None
    )


def _line(
    exercise: Exercise, assignment: Assignment, samples: list[WrittenSample], mutants: bool
) -> WrittenLine:
    task = exercise.derivation
    assert task is not None
    try:
        context = read_context(task.sheet)
    except ContextError as error:
        raise AssignmentError(
            f"exercise {exercise.id!r}: [exercises.derivation] {error}"
        ) from error
    text = text_of(exercise, assignment, assignment.notebooks, Path(assignment.folder)).text
    solution = follow(text, context, task.targets, rendered=False)
    problems = _problems_of_solution(exercise, solution)
    deviations = {sample.name: _deviations(sample, exercise, context) for sample in samples}
    problems += [
        f"samples/derivations/{n}.toml: {text}" for n, found in deviations.items() for text in found
    ]
    counted = count_mutants(text, context) if mutants else None
    passing = counted.passing if counted else ()
    problems += [f"{exercise.id}: a mistake in the solution passes: {text}" for text in passing]
    return WrittenLine(
        exercise.id,
        steps=len(solution.steps),
        not_read=solution.count("not read"),
        samples=len(samples),
        as_declared=sum(not found for found in deviations.values()),
        differ=counted.differ if counted else 0,
        unread=counted.not_read if counted else 0,
        passing=len(passing),
        problems=tuple(problems),
    )


def _problems_of_solution(exercise: Exercise, solution: Derivation) -> list[str]:
    problems = [
        f"{exercise.id}: the solution's line {step.line} is flagged: {step.remark}"
        for step in solution.remarks
    ]
    if not solution.steps:
        problems.append(f"{exercise.id}: the solution holds no step that could be read")
    problems += [
        f"{exercise.id}: the solution does not reach {one.target}: {one.why}"
        for one in solution.reached
        if not one.found
    ]
    return problems


def _deviations(sample: WrittenSample, exercise: Exercise, context: Context) -> list[str]:
    """Return a sentence for each difference between a sample's verdict and its declaration."""
    task = exercise.derivation
    assert task is not None
    found = follow(sample.text, context, task.targets, rendered=False)
    remarks = [f"line {step.line}: {step.remark}" for step in found.remarks]
    if sample.kind == "mistake":
        if any(re.search(sample.expect, text) for text in remarks):
            return []
        return [f"no remark matches {sample.expect!r}: {'; '.join(remarks) or 'there is none'}"]
    deviations = [f"a right variant is flagged: {text}" for text in remarks]
    deviations += [
        f"a right variant does not reach {one.target}: {one.why}"
        for one in found.reached
        if not one.found
    ]
    return deviations
