"""The table of known mistakes of a real notebook in a real kernel, and what it says of students."""

from dataclasses import replace

import pytest

from grader.assignment import load_assignment
from grader.batch import known_store
from grader.explaining import Explainer
from grader.grading import grade_notebooks
from grader.notebook import assembled, replace_definition
from grader.session import Kernels, start_fork_server
from grader.suite import open_suite
from grader.verify.known_table import build

from .conftest import write_toy_into

CHECKS = """\
import numpy as np
import pytest

from grader.errors import CheckFailed


@pytest.mark.exercise("a", points=4)
def test_a_value(student, rng):
    '''The mean of the squares.'''
    for _ in range(6):
        p, y = rng.normal(size=(2, 7))
        if abs(student.mean_square(p, y) - np.mean((p - y) ** 2)) > 1e-9:
            raise CheckFailed("the value is wrong")


@pytest.mark.exercise("b", points=2)
def test_b_prediction(student, rng):
    '''A slope and a bias.'''
    x, w = rng.normal(size=(5, 2)), rng.normal(size=(2, 1))
    if not np.allclose(student.Model(w).predict(x), 2 * x @ w + 1):
        raise CheckFailed("the prediction is wrong")
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The assignment, its kernels and the table of its one notebook."""
    folder = write_toy_into(tmp_path_factory.mktemp("known"), checks=CHECKS)
    assignment = load_assignment(folder)
    empty = tmp_path_factory.mktemp("empty")
    with (
        Kernels(assignment, start_fork_server(assignment.sandbox), draw=False) as kernels,
        open_suite(assignment) as suite,
        kernels.open(assignment.notebooks["toy.ipynb"], folder=empty) as session,
    ):
        yield assignment, kernels, build(suite, assignment.notebooks["toy.ipynb"], session)


@pytest.fixture
def said(toy, tmp_path):
    """What the checks say of a student who has this definition: (points, message, known)."""
    assignment, kernels, known = toy

    def grade(name, source, exercise):
        solved = assignment.notebooks["toy.ipynb"]
        cells = [
            replace(cell, source=replace_definition(cell.source, name, source) or cell.source)
            for cell in solved.cells
        ]
        notebook = assembled(cells, name="toy.ipynb", metadata={})
        result = grade_notebooks(kernels, {"toy.ipynb": notebook}, folder=tmp_path)
        explained = Explainer(assignment, {"toy.ipynb": known}.get).explain(result)
        assert explained.score == result.score
        (outcome,) = next(e for e in explained.exercises if e.id == exercise).checks
        return outcome.points, outcome.message, outcome.known

    return grade


def test_a_mistake_is_named_although_it_is_written_in_another_form(said):
    source = "def mean_square(p, y):\n    return sum((a - b) ** 2 for a, b in zip(p, y))\n"
    points, message, known = said("mean_square", source, "a")
    assert points == 0.0
    assert "a sum for the mean" in message  # the instructor's own sample
    assert "mean_square" in known


def test_a_mistake_without_a_sample_is_named_by_what_it_computes(said):
    source = "def mean_square(p, y):\n    return np.mean(np.abs(p - y))\n"
    _, message, known = said("mean_square", source, "a")
    assert "`mean_square` behaves exactly as the solution would" in message
    assert "absolute" in message or "abs" in message
    assert "toy.ipynb, cell 1" in known


def test_a_method_is_named_as_well(said):
    source = "    def predict(self, x):\n        return x @ (2.0 * self.w)\n"
    _, message, known = said("Model.predict", source, "b")
    assert "behaves exactly as the solution would" in message
    assert "Model.predict" in known


def test_right_code_is_not_named(said):
    source = "def mean_square(p, y):\n    return np.dot(p - y, p - y) / len(p)\n"
    points, message, known = said("mean_square", source, "a")
    assert (points, message, known) == (4.0, "", "")


@pytest.mark.parametrize(
    "body",
    [
        "return np.sort(np.abs(np.fft.fft(p + 2j * y)))[0]",
        "return float(np.polyfit(p, y, 2)[1])",
        "return np.std(np.diff(p)) / np.std(np.diff(y))",
        "return 0.0",
        "raise ValueError('not today')",
    ],
)
def test_right_code_for_another_task_is_not_named(said, body):
    points, message, known = said("mean_square", f"def mean_square(p, y):\n    {body}\n", "a")
    assert points == 0.0 and known == ""
    assert "behaves exactly" not in message


def test_a_table_is_written_and_read_again(toy, tmp_path):
    _, _, known = toy
    known_store.save(tmp_path, "toy.ipynb", 0, 1, known)
    again = known_store.load(tmp_path, "toy.ipynb")
    assert again is not None
    assert again.mistakes == known.mistakes and again.traces == known.traces
    assert known_store.is_whole(tmp_path, "toy.ipynb")
    assert known_store.load(tmp_path, "other.ipynb") is None


def test_a_table_that_is_cut_off_is_as_if_it_were_not_there(tmp_path, toy):
    known_store.save(tmp_path, "toy.ipynb", 0, 1, toy[2])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert known_store.load(tmp_path, "toy.ipynb") is None


def test_an_endless_mistake_costs_no_other_its_place(toy):
    told = {mistake.told for mistake in toy[2].mistakes}
    assert "with one result doubled" in told or any("doubled" in text for text in told)
    assert len(told) > 20
