"""The table of known mistakes of a real notebook in a real kernel, and what it says of students."""

import shutil
import zlib
from dataclasses import replace

import pytest

from grader.assignment import load_assignment
from grader.batch import known_store
from grader.diagnosis.known import Known
from grader.explaining import Explainer, explainer_of
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
    told = {mistake.phrase for mistake in toy[2].mistakes}
    assert "with one result doubled" in told or any("doubled" in text for text in told)
    assert len(told) > 20


# --- in the assignment's folder -------------------------------------------------------------


def explained(assignment, notebook, kernels, folder, environ):
    """A submission of one, explained with what is kept and what the assignment's folder holds."""
    explainer, place = explainer_of(assignment, seed=0, environment="here", environ=environ)
    result = grade_notebooks(kernels, {"toy.ipynb": notebook}, folder=folder)
    said = result if explainer is None else explainer.explain(result)
    (outcome,) = next(e for e in said.exercises if e.id == "a").checks
    return outcome.message, place


@pytest.fixture
def wrong(toy):
    source = "def mean_square(p, y):\n    return np.mean(np.abs(p - y))\n"
    solved = toy[0].notebooks["toy.ipynb"]
    cells = [
        replace(cell, source=replace_definition(cell.source, "mean_square", source) or cell.source)
        for cell in solved.cells
    ]
    return assembled(cells, name="toy.ipynb", metadata={})


def test_a_table_in_the_assignments_folder_names_the_mistake_of_a_single_submission(
    toy, wrong, tmp_path
):
    assignment, kernels, known = toy
    nowhere, kept = {"GRADE_RESULTS": "none"}, {"GRADE_RESULTS": str(tmp_path / "results.sqlite")}
    assert "behaves exactly" not in explained(assignment, wrong, kernels, tmp_path, nowhere)[0]
    assert explained(assignment, wrong, kernels, tmp_path, kept)[1] is not None
    known_store.publish(assignment, 0, {"toy.ipynb": known})
    try:
        # Nothing is to be computed any more, for a class of any size.
        for environ in (nowhere, kept):
            message, place = explained(assignment, wrong, kernels, tmp_path, environ)
            assert "`mean_square` behaves exactly as the solution would" in message
            assert place is None
        explainer, _ = explainer_of(assignment, seed=1, environment="", environ=nowhere)
        assert explainer is None or explainer.table("toy.ipynb") is None  # of another seed
    finally:
        shutil.rmtree(assignment.folder / "known")


def test_a_table_of_an_earlier_state_of_the_assignment_names_nothing(toy, tmp_path):
    assignment, _, known = toy
    folder = tmp_path / "toy"
    shutil.copytree(assignment.folder, folder)
    moved = load_assignment(folder)
    known_store.publish(moved, 0, {"toy.ipynb": known})
    published = known_store.published(moved, 0)
    assert published.load("toy.ipynb") is not None
    assert published.stale() == ()
    with (folder / "test_toy.py").open("a") as file:
        file.write("# changed\n")
    published = known_store.published(load_assignment(folder), 0)
    assert published.load("toy.ipynb") is None
    assert published.stale() == ("toy.ipynb",)
    assert not published.serves(moved)


def test_a_table_that_cannot_be_read_is_as_if_it_were_not_there(toy, tmp_path):
    assignment, _, _ = toy
    folder = tmp_path / "toy"
    shutil.copytree(assignment.folder, folder)
    known_store.publish(load_assignment(folder), 0, {"toy.ipynb": Known()})
    file = folder / "known" / "toy.ipynb.json.z"
    key = file.read_bytes()[:32]
    assert known_store.published(load_assignment(folder), 0).load("toy.ipynb") == Known()
    for content in (b"", b"no table", key, key + zlib.compress(b"[]"), key + b"no table"):
        file.write_bytes(content)
        assert known_store.published(load_assignment(folder), 0).load("toy.ipynb") is None
