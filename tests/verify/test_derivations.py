"""Derivations of the shipped assignments, held against themselves; and an assignment that fails."""

from dataclasses import replace
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.derivation.mutants import count_mutants
from grader.derivation.sheet import read_context
from grader.errors import AssignmentError
from grader.records import DerivationTarget
from grader.verify.derivations import load_written_samples, verify_written

REFERENCE = Path(__file__).parents[2] / "reference"
SHIPPED = ["ecse552", "hw1", "ift6390", "pw02"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_solution_is_not_flagged_and_its_samples_are_as_declared(name):
    lines = verify_written(load_assignment(REFERENCE / name), mutants=False)

    assert lines
    assert [problem for line in lines for problem in line.problems] == []
    assert sum(line.samples for line in lines) >= 4


@pytest.mark.parametrize("name", ["ecse552", "hw1", "pw02"])
def test_no_mistake_in_a_shipped_solution_passes(name):
    lines = verify_written(load_assignment(REFERENCE / name))

    assert sum(line.passing for line in lines) == 0
    assert sum(line.differ for line in lines) >= 40


def changed(name, exercise_id, **changes):
    """Return the assignment with something else declared for one derivation."""
    loaded = load_assignment(REFERENCE / name)
    exercises = tuple(
        replace(e, derivation=replace(e.derivation, **changes)) if e.id == exercise_id else e
        for e in loaded.exercises
        if e.derivation is not None
    )
    return replace(loaded, exercises=exercises)


def test_a_solution_that_differs_from_the_sheet_is_a_problem():
    sheet = {"symbols": {"z": "real"}, "given": [r"\sigma(z) = \frac{1}{1 + e^{z}}"]}
    lines = verify_written(changed("pw02", "2ab-derivation", sheet=sheet), mutants=False)

    assert any("is flagged" in problem for problem in lines[0].problems)


def test_a_target_that_the_solution_does_not_reach_is_a_problem():
    target = DerivationTarget(r"\sigma(z)", of=r"\sigma'(z)")
    lines = verify_written(changed("pw02", "2ab-derivation", targets=(target,)), mutants=False)

    assert any("does not reach" in problem for problem in lines[0].problems)


def test_a_declaration_that_cannot_be_read_names_the_exercise():
    with pytest.raises(AssignmentError, match=r"2ab-derivation.*imaginary"):
        verify_written(changed("pw02", "2ab-derivation", sheet={"symbols": {"z": "imaginary"}}))


def test_a_sample_of_an_unknown_exercise_is_refused(tmp_path):
    folder = tmp_path / "samples" / "derivations"
    folder.mkdir(parents=True)
    (folder / "right-x.toml").write_text(
        'title = "x"\nkind = "right"\nexercise = "9z"\ntext = "x"\n', encoding="utf-8"
    )
    with pytest.raises(AssignmentError, match="9z"):
        load_written_samples(replace(load_assignment(REFERENCE / "pw02"), folder=tmp_path))


def test_mutants_that_change_no_value_are_not_counted():
    context = read_context({"symbols": {"x": "real"}})

    counted = count_mutants(r"$$x \cdot 0 = 0 \cdot x$$", context)

    assert counted.passing == ()
