"""`import grader`: light, typed, and the same verdicts as the command."""

import json
import subprocess
import sys
from importlib.resources import files

import pytest

import grader
from grader.errors import AssignmentError, SubmissionError

HEAVY = (
    "numpy", "pytest", "pluggy", "IPython", "nbclient", "jupyter_client", "matplotlib", "click",
    "rich", "msgspec", "grader.pipeline", "grader.records", "grader.session", "asyncio",
)  # fmt: skip
TOML = """\
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "a"
title = "A"
points = 2
notebook = "toy.ipynb"
functions = ["f"]
"""
CHECKS = """\
import pytest

@pytest.mark.exercise("a", points=2)
def test_f(student):
    assert student.f(3) == 6
"""


def notebook(factor):
    lines = ("def f(x):", "    ### START YOUR CODE ###", f"    return {factor} * x")
    code = "\n".join([*lines, "    ### END YOUR CODE ###"])
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": None, "outputs": []}
    cell["source"] = code
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path, monkeypatch):
    toy = tmp_path / "reference" / "toy"
    toy.mkdir(parents=True)
    (toy / "assignment.toml").write_text(TOML)
    (toy / "toy.ipynb").write_text(notebook(2))
    (toy / "test_toy.py").write_text(CHECKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    return tmp_path


def test_the_import_brings_nothing_that_is_heavy():
    code = f"import sys, grader; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_submissions_are_graded_by_their_paths_as_text(course):
    handed_in = course / "handed in"
    handed_in.mkdir()
    (handed_in / "Meier_Ann.ipynb").write_text(notebook(2))
    (handed_in / "Roe_Bob.ipynb").write_text(notebook(3))
    names = ["handed in/Meier_Ann.ipynb", "handed in/Roe_Bob.ipynb"]
    report = grader.grade(names, assignment="toy")
    assert isinstance(report, grader.Report)
    assert [result.score for result in report.results] == [2.0, 0.0]


def test_one_path_is_one_submission_not_its_letters(course):
    (course / "toy.ipynb").write_text(notebook(2))
    (result,) = grader.grade("toy.ipynb", assignments="reference").results
    assert (result.score, result.max_score) == (2.0, 2.0)


def test_a_path_that_leads_nowhere_is_said(course):
    with pytest.raises(SubmissionError, match=r"there is no missing\.zip"):
        grader.grade(["missing.zip"])


def test_an_assignment_is_loaded_by_its_id_or_its_folder(course):
    by_id = grader.load_assignment("toy")
    assert by_id == grader.load_assignment(course / "reference" / "toy")
    assert by_id.exercises[0].points == 2.0
    with pytest.raises(AssignmentError, match="there is no assignment 'hw1'; there is: toy"):
        grader.load_assignment("hw1", assignments="reference")


def test_what_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'grade_all'"):
        grader.grade_all  # noqa: B018


def test_the_package_says_that_it_is_typed():
    assert files("grader").joinpath("py.typed").is_file()
