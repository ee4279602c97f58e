"""The known wrong solutions of a notebook: mistake samples, and changes of right code.

The right code is the solution, and the right samples, which are other forms of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.diagnosis.known import OF_ANY_VALUE, OTHER_FORM, Mistake
from grader.records import Assignment, Notebook
from grader.suite import Suite
from grader.verify.giving_away import right_sources, words_for_students
from grader.verify.known_changes import known_changes, statement_keys
from grader.verify.mutants import Mutant, region_lines_of, student_functions
from grader.verify.patching import patch_source
from grader.verify.samples import Sample, apply_sample, load_samples


@dataclass(frozen=True)
class Candidate:
    """A mistake, and the statements that replace the solution's function by it."""

    mistake: Mistake
    patch: str


def candidates_of(suite: Suite, notebook: Notebook) -> list[Candidate]:
    """Return every known wrong solution of a notebook's functions; those of samples come first."""
    assignment = suite.assignment
    listed = [f for e in assignment.exercises if e.notebook == notebook.name for f in e.functions]
    functions = student_functions(notebook, listed)
    samples = [s for s in load_samples(assignment) if s.notebook == notebook.name]
    found: list[Candidate] = []
    seen = {name: statement_keys(notebook.definitions[name].source) for name in functions}
    for sample in samples:
        found += _of_sample(sample, notebook, seen, right_sources(samples, sample))
    for name in functions:
        found += candidates_in(notebook, name)
    return found


def candidates_in(notebook: Notebook, function: str) -> list[Candidate]:
    """Return the known mistakes of one function of the solution."""
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
                change.phrase,
                change.text,
                f"{cell}, line {definition.line + change.line - 1}",
            ),
            patch_for(notebook.name, function, change.source),
        )
        for change in changes
    ]


def sample_mistakes(assignment: Assignment, notebook: Notebook) -> list[Candidate]:
    """Return the mistake samples of a notebook's functions."""
    samples = load_samples(assignment)
    return [
        candidate
        for sample in samples
        if sample.notebook == notebook.name and sample.kind == "mistake"
        for candidate in _of_sample(sample, notebook, {}, right_sources(samples, sample))
    ]


def _of_sample(
    sample: Sample, notebook: Notebook, seen: dict[str, set[str]], right: Sequence[str]
) -> Iterator[Candidate]:
    """Yield a mistake sample, or the mutants of a right sample: other forms of the same solution.

    seen : for each function, the statements that were mutated before. The same mistake in the same
        statement gives the same answers, so it is left out. The sample's statements are added
    right : sources of other right answers in its gaps
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
            text = f"as in samples/{sample.name}.toml"
            says = words_for_students(sample, notebook, right)
            mistake = Mistake(name, "sample", "", text, "", sample.title, says)
            yield Candidate(mistake, whole)
            return
    for name in named:
        if name not in seen:
            continue
        definition = changed.definitions[name]
        others = "\n".join(patch for other, patch in patches.items() if other != name)
        changes = known_changes(
            definition.source,
            lines=region_lines_of(changed, definition),
            other_form_of=seen[name],
        )
        seen[name] |= statement_keys(definition.source)
        for change in changes:
            if change.kind in _OWN_TO_A_FORM:
                continue
            mistake = Mistake(
                name,
                change.kind,
                change.phrase,
                f"{change.text}{OTHER_FORM}samples/{sample.name}.toml",
            )
            # Of the many changes of any value, those with vague words are left out.
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
"""Changes whose words make no sense to a student who has not seen this form."""


def _is_function(source: str) -> bool:
    try:
        return isinstance(ast.parse(source).body[0], ast.FunctionDef)
    except (SyntaxError, IndexError):
        return False


def patch_for(notebook: str, function: str, source: str) -> str:
    return patch_source(Mutant("", notebook, function, "", 0, 0, source))


def _arguments(notebook: Notebook) -> dict[str, int]:
    """Return the number of arguments of each top-level function of the notebook."""
    counts = {}
    for name, definition in notebook.definitions.items():
        if "." not in name and _is_function(definition.source):
            function = ast.parse(definition.source).body[0]
            assert isinstance(function, ast.FunctionDef)
            counts[name] = len(function.args.args)
    return counts
