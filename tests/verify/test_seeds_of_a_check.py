"""How many seeds a check's requests are recorded at: more where its answers are few numbers."""

from dataclasses import replace

import pytest

from grader import tracing
from grader.assignment import load_assignment
from grader.grading import Grader, Work
from grader.notebook import assembled, replace_definition
from grader.records import Options
from grader.session import Kernels, start_fork_server
from grader.suite import open_suite
from grader.verify.known_table import build
from grader.verify.tried_mistakes import TriedMistakes

from .conftest import write_toy_into

CHECKS = """\
import numpy as np
import pytest

from grader.errors import CheckFailed


@pytest.mark.exercise("a", points=2)
def test_a_number(student, rng):
    '''One number of a random input.'''
    p, y = rng.normal(size=(2, 7))
    if abs(student.mean_square(p, y) - np.mean((p - y) ** 2)) > 1e-9:
        raise CheckFailed("the value is wrong")


@pytest.mark.exercise("a", points=1)
def test_a_fixed_number(student):
    '''The same at each seed.'''
    if abs(student.mean_square(np.array([1.0, 5.5]), np.zeros(2)) - 15.625) > 1e-9:
        raise CheckFailed("the value is wrong")


@pytest.mark.exercise("a", points=1)
def test_many_numbers(student, rng):
    '''Six numbers.'''
    for _ in range(6):
        p, y = rng.normal(size=(2, 7))
        if abs(student.mean_square(p, y) - np.mean((p - y) ** 2)) > 1e-9:
            raise CheckFailed("the value is wrong")


@pytest.mark.exercise("b", points=2)
def test_b(student):
    pass
"""
ROOT = "def mean_square(p, y):\n    return np.sqrt(np.mean((p - y) ** 2))\n"


@pytest.fixture(scope="module")
def grader(tmp_path_factory):
    folder = write_toy_into(tmp_path_factory.mktemp("seeds"), checks=CHECKS)
    assignment = load_assignment(folder)
    with (
        Kernels(assignment, start_fork_server(assignment.sandbox), draw=False) as kernels,
        open_suite(assignment) as suite,
        Grader(suite, kernels, Options(str(folder))) as grader,
    ):
        yield grader


def asked(grader):
    solved = grader.assignment.notebooks["toy.ipynb"]
    session = grader.tracer.references["toy.ipynb"]
    return tracing.record(grader.suite, solved.name, session, seed=0, only=["a"])


def graded(grader, folder, source):
    solved = grader.assignment.notebooks["toy.ipynb"]
    cells = [
        replace(cell, source=replace_definition(cell.source, "mean_square", source) or cell.source)
        for cell in solved.cells
    ]
    notebook = assembled(cells, name="toy.ipynb", metadata={})
    return grader.grade_notebooks(Work("", (), folder, {"toy.ipynb": notebook}))


def seeds(grader):
    return {name: len(one.recordings) for (_, name), one in asked(grader).items()}


def test_a_check_of_one_number_is_recorded_at_four_seeds_and_others_at_two(grader, tmp_path):
    graded(grader, tmp_path, ROOT)  # opens the solved notebook
    assert seeds(grader) == {"a number": 4, "a fixed number": 2, "many numbers": 2}


def test_every_recording_of_a_check_has_its_own_numbers(grader, tmp_path):
    graded(grader, tmp_path, ROOT)
    one = asked(grader)["a", "a number"]
    assert len({expected.answers[0].sums for expected in one.expected}) == 4


def test_a_slow_check_gets_no_further_seeds(grader, tmp_path, monkeypatch):
    graded(grader, tmp_path, ROOT)
    monkeypatch.setattr(tracing, "QUICK_S", 0.0)
    assert set(seeds(grader).values()) == {2}


def told(result):
    outcomes = next(e for e in result.exercises if e.id == "a").checks
    return {o.name: o.message for o in outcomes}


def test_a_mistake_is_named_by_a_check_of_one_number(grader, tmp_path, monkeypatch):
    monkeypatch.setattr(grader.tracer, "_asked", {})
    monkeypatch.setattr(tracing, "MORE_SEEDS", 2)
    result = only_a_number(graded(grader, tmp_path, ROOT))
    tried = TriedMistakes(grader.suite, grader.tracer, ["toy.ipynb"], seed=0)
    assert "behaves exactly" in told(tried.explain(result))["a number"]


def test_the_same_check_at_two_seeds_names_none(grader, tmp_path, monkeypatch):
    monkeypatch.setattr(grader.tracer, "_asked", {})
    monkeypatch.setattr(tracing, "MORE_SEEDS", 0)
    result = only_a_number(graded(grader, tmp_path, ROOT))
    tried = TriedMistakes(grader.suite, grader.tracer, ["toy.ipynb"], seed=0)
    assert "behaves exactly" not in told(tried.explain(result))["a number"]


def only_a_number(result):
    """Return the result as if its exercise had only the check of one number."""
    exercises = tuple(
        replace(e, checks=tuple(o for o in e.checks if o.name == "a number"))
        for e in result.exercises
    )
    return replace(result, exercises=exercises)


def test_the_table_holds_as_many_answers_as_the_check_has_seeds(grader, tmp_path):
    graded(grader, tmp_path, ROOT)
    session = grader.tracer.references["toy.ipynb"]
    known = build(grader.suite, grader.assignment.notebooks["toy.ipynb"], session)
    lengths = {
        name: {
            len(by_check[check]) for by_check in known.traces if (check := ("a", name)) in by_check
        }
        for name in ("a number", "many numbers")
    }
    assert lengths == {"a number": {4}, "many numbers": {2}}
