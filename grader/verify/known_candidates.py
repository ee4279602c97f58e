"""The known wrong solutions of a notebook: mistake samples, changes of the solution, and changes of
the right samples, which are other forms of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from grader.diagnosis.known import OF_ANY_VALUE, OTHER_FORM, Mistake
from grader.records import Assignment, Notebook
from grader.suite import Suite
from grader.verify.known_changes import known_changes, statement_keys
from grader.verify.mutants import Mutant, region_lines_of, student_functions
from grader.verify.patching import patch_source
from grader.verify.samples import Sample, apply_sample, load_samples


@dataclass(frozen=True)
class Candidate:
    """A mistake, and the statements that put it in the place of the solution."""

    mistake: Mistake
    patch: str


def candidates_of(suite: Suite, notebook: Notebook) -> list[Candidate]:
    """Return every known wrong solution of a notebook's functions; the samples' come first."""
    assignment = suite.assignment
    listed = [f for e in assignment.exercises if e.notebook == notebook.name for f in e.functions]
    functions = student_functions(notebook, listed)
    samples = [s for s in load_samples(assignment) if s.notebook == notebook.name]
    found: list[Candidate] = []
    told = {name: statement_keys(notebook.definitions[name].source) for name in functions}
    for sample in samples:
        found += _of_sample(sample, notebook, told)
    for name in functions:
        found += candidates_in(notebook, name)
    return found


def candidates_in(notebook: Notebook, function: str) -> list[Candidate]:
    """Return the known mistakes of one function, as the solution has it."""
    definition = notebook.definitions[function]
    cell = f"{notebook.name}, cell {definition.cell}"
    changes = known_changes(
        definition.source,
        lines=region_lines_of(notebook, definition),
        functions=_arguments(notebook),
    )
    return [
        Candidate(
            Mistake(
                function,
                change.kind,
                change.told,
                change.text,
                f"{cell}, line {definition.line + change.line - 1}",
            ),
            patch_for(notebook.name, function, change.source),
        )
        for change in changes
    ]


def sample_mistakes(assignment: Assignment, notebook: Notebook) -> list[Candidate]:
    """Return the mistake samples of a notebook's functions."""
    return [
        candidate
        for sample in load_samples(assignment)
        if sample.notebook == notebook.name and sample.kind == "mistake"
        for candidate in _of_sample(sample, notebook, {})
    ]


def _of_sample(
    sample: Sample, notebook: Notebook, told: dict[str, set[str]]
) -> Iterator[Candidate]:
    """Yield a mistake sample, or the mutants of a right one: other forms of the same solution.

    told : of each function the statements whose mistakes the solution and earlier samples have
        given: the same mistake in the same statement answers the same. The sample's are added
    """
    changed = apply_sample(sample, notebook)
    named = [
        name
        for name, definition in changed.definitions.items()
        if name in notebook.definitions
        and definition.source != notebook.definitions[name].source
        and _is_function(definition.source)
    ]
    if not named:
        return
    patches = {
        name: patch_for(notebook.name, name, changed.definitions[name].source) for name in named
    }
    whole = "\n".join(patches.values())
    if sample.kind == "mistake":
        for name in named:
            mistake = Mistake(
                name, "sample", "", f"as in samples/{sample.name}.toml", "", sample.title
            )
            yield Candidate(mistake, whole)
            return
    for name in named:
        if name not in told:
            continue
        definition = changed.definitions[name]
        others = "\n".join(patch for other, patch in patches.items() if other != name)
        changes = known_changes(
            definition.source,
            lines=region_lines_of(changed, definition),
            other_form_of=told[name],
        )
        told[name] |= statement_keys(definition.source)
        for change in changes:
            if change.kind in _OWN_TO_A_FORM:
                continue
            mistake = Mistake(
                name,
                change.kind,
                change.told,
                f"{change.text}{OTHER_FORM}samples/{sample.name}.toml",
            )
            # Of the many that any value may suffer, those that say nothing of this form.
            if not (mistake.says_little and change.kind in OF_ANY_VALUE):
                patch = patch_for(notebook.name, name, change.source)
                yield Candidate(mistake, f"{others}\n{patch}")


_OWN_TO_A_FORM = (
    "value for another",
    "values swapped",
    "lost function",
    "removed statement",
    "flipped sign",
    "sigmoid's slope",
)
"""Changes that read badly out of a form which the student has never seen."""


def _is_function(source: str) -> bool:
    try:
        return isinstance(ast.parse(source).body[0], ast.FunctionDef)
    except (SyntaxError, IndexError):
        return False


def patch_for(notebook: str, function: str, source: str) -> str:
    return patch_source(Mutant("", notebook, function, "", 0, 0, source))


def _arguments(notebook: Notebook) -> dict[str, int]:
    """Return the notebook's own functions at top level by their numbers of arguments."""
    counts = {}
    for name, definition in notebook.definitions.items():
        if "." not in name and _is_function(definition.source):
            function = ast.parse(definition.source).body[0]
            assert isinstance(function, ast.FunctionDef)
            counts[name] = len(function.args.args)
    return counts
