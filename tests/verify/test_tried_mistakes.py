"""Mistakes that are tried for a lone student, in a real kernel."""

import json
from dataclasses import replace

import pytest

from grader import grade
from grader.assignment import load_assignment
from grader.grading import Grader
from grader.notebook import assembled, replace_definition
from grader.records import Options
from grader.session import Kernels, start_fork_server
from grader.suite import open_suite
from grader.verify import tried_mistakes
from grader.verify.tried_mistakes import TriedMistakes

from .conftest import write_toy_into
from .test_known_table import CHECKS

SUM = "def mean_square(p, y):\n    return np.sum((p - y) ** 2)\n"
ROOT = "def mean_square(p, y):\n    return np.sqrt(np.mean((p - y) ** 2))\n"
CUBE = "def mean_square(p, y):\n    return np.sum(np.abs(p - y) ** 3.3) / len(p) ** 0.3\n"
ANOTHER_TASK = "def mean_square(p, y):\n    return np.max(np.abs(p - y)) + np.median(p * y)\n"
RIGHT = "def mean_square(p, y):\n    d = p - y\n    return d @ d / len(d)\n"


@pytest.fixture(scope="module")
def grader(tmp_path_factory):
    folder = write_toy_into(tmp_path_factory.mktemp("tried"), checks=CHECKS)
    assignment = load_assignment(folder)
    options = Options(str(folder))
    with (
        Kernels(assignment, start_fork_server(assignment.sandbox), draw=False) as kernels,
        open_suite(assignment) as suite,
        Grader(suite, kernels, options) as grader,
    ):
        yield grader


@pytest.fixture
def graded(grader, tmp_path):
    """The result of a student who has this definition, as it is before anything is tried."""
    from grader.grading import Work

    def grade(source):
        solved = grader.assignment.notebooks["toy.ipynb"]
        cells = [
            replace(
                cell, source=replace_definition(cell.source, "mean_square", source) or cell.source
            )
            for cell in solved.cells
        ]
        notebook = assembled(cells, name="toy.ipynb", metadata={})
        return grader.grade_notebooks(Work("", (), tmp_path, {"toy.ipynb": notebook}))

    return grade


@pytest.fixture
def tried(grader):
    return TriedMistakes(grader.suite, grader.tracer, ["toy.ipynb"], seed=0)


def said(result):
    (outcome,) = next(e for e in result.exercises if e.id == "a").checks
    return outcome.message


def test_a_lone_students_mistake_is_named_without_a_table(graded, tried):
    before = graded(ROOT)
    after = tried.explain(before)
    assert "`mean_square` behaves exactly as the solution would with" in said(after)
    assert "behaves exactly" not in said(before)
    assert after.score == before.score == 2.0


def test_the_instructors_own_words_come_first(graded, tried):
    assert "this known mistake does: a sum for the mean" in said(tried.explain(graded(SUM)))


@pytest.mark.parametrize("source", [CUBE, ANOTHER_TASK])
def test_an_answer_of_no_known_mistake_keeps_its_message(graded, tried, source):
    before = graded(source)
    assert tried.explain(before) == before
    assert "the value is wrong" in said(before)


def test_a_right_answer_has_nothing_tried(graded, tried, monkeypatch):
    def none(*_):
        raise AssertionError("a mistake is tried")

    monkeypatch.setattr(tried, "_table", none)
    before = graded(RIGHT)
    assert before.score == 6.0
    assert tried.explain(before) == before


def test_a_notebook_that_has_its_table_is_left_to_it(grader, graded):
    other = TriedMistakes(grader.suite, grader.tracer, ["another.ipynb"], seed=0)
    before = graded(SUM)
    assert other.explain(before) == before


@pytest.fixture
def asked(monkeypatch):
    """How many mistakes are asked at once, each time."""
    numbers = []
    wrong = tried_mistakes.Replays.wrong

    def counted(replays, patches, wanted):
        numbers.append(len(patches))
        return wrong(replays, patches, wanted)

    monkeypatch.setattr(tried_mistakes.Replays, "wrong", counted)
    return numbers


@pytest.mark.parametrize("bound", ["WORK", "IN_ALL"])
def test_what_the_mistakes_of_a_function_and_of_all_cost_is_counted(
    graded, tried, monkeypatch, asked, bound
):
    monkeypatch.setattr(tried_mistakes, bound, 10 * tried_mistakes.OF_A_REPLAY)
    tried.explain(graded(CUBE))
    assert 2 < max(asked) < 10


def test_a_check_that_takes_long_is_not_even_counted(graded, tried, monkeypatch, asked):
    monkeypatch.setattr(tried_mistakes, "MAX_SECONDS", 0.0)
    before = graded(ROOT)
    assert tried.explain(before) == before
    assert tried._work == {}


def test_what_was_tried_for_one_student_serves_the_next(graded, tried, asked):
    tried.explain(graded(CUBE))
    before = sum(asked)
    assert before > 50
    assert "behaves exactly" in said(tried.explain(graded(ROOT)))
    assert sum(asked) < before + 30


def test_a_fault_while_mistakes_are_tried_costs_a_name_and_nothing_else(graded, tried, monkeypatch):
    def broken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr(tried, "_table", broken)
    before = graded(SUM)
    assert tried.explain(before) == before


NET = """\
import numpy as np

class Net:
    def __init__(self):
        self.b = np.linspace(0.1, 0.7, 6)

    def shifted(self, b):
        ### START YOUR CODE ###
        new = b + b**2 / 2
        ### END YOUR CODE ###
        return new

    def start(self):
        ### START YOUR CODE ###
        self.b = self.shifted(self.b)
        return np.random.normal(size=3)
        ### END YOUR CODE ###
"""
NET_TOML = """\
id = "net"
[[notebooks]]
file = "net.ipynb"
[[exercises]]
id = "start"
title = "Start"
points = 1
notebook = "net.ipynb"
functions = ["Net.start", "Net.shifted"]
"""
NET_CHECKS = """\
import numpy as np
import pytest

from grader.checks import run_cell

@pytest.mark.exercise("start", points=1)
def test_start(student):
    run_cell(student, '''
net = Net()
drawn = net.start()
REQUIRED
b = np.linspace(0.1, 0.7, 6)
assert np.allclose(net.b, b + b ** 2 / 2)
''')
"""


def message_of(tmp_path, *, required):
    """What is said of a `start` that returns None and leaves the bias; its `shifted` is right."""
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "assignment.toml").write_text(NET_TOML)
    (folder / "net.ipynb").write_text(notebook_of(NET))
    (folder / "test_net.py").write_text(NET_CHECKS.replace("REQUIRED", required))
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()
    wrong = NET.replace("        self.b = self.sh", "        new = self.sh")
    wrong = wrong.replace("        return np.random.normal(size=3)\n", "")
    (handed_in / "net.ipynb").write_text(notebook_of(wrong))
    result = grade([handed_in], assignment="net", assignments=tmp_path).results[0]
    (outcome,) = result.exercises[0].checks
    assert outcome.outcome == "failed"
    return outcome.message


def notebook_of(source):
    cells = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": []}]
    cells[0]["execution_count"] = None
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def test_a_test_that_stops_at_none_names_no_mistake_of_another_function(tmp_path):
    """The bias, which it would look at next, is as if `shifted` added nothing."""
    text = message_of(tmp_path, required="assert drawn.shape == (3,)")
    assert "A value is None: does a function lack its return?" in text
    assert "behaves exactly" not in text


def test_a_test_that_gets_to_a_wrong_value_names_its_mistake(tmp_path):
    assert "behaves exactly" in message_of(tmp_path, required="")


TWO = """\
import numpy as np

def first(x):
    ### START YOUR CODE ###
    y = 3.0 * x + x**2 - np.sum(x)
    ### END YOUR CODE ###
    return y

def second(x):
    ### START YOUR CODE ###
    z = first(x) + np.mean(x)
    ### END YOUR CODE ###
    return z
"""
TWO_TOML = """\
id = "two"
[[notebooks]]
file = "two.ipynb"
[[exercises]]
id = "both"
title = "Both"
points = 2
notebook = "two.ipynb"
functions = ["first", "second"]
"""
TWO_CHECKS = """\
import numpy as np
import pytest

from grader.checks import assert_close

@pytest.mark.exercise("both", points=1)
def test_first(student, rng):
    x = rng.normal(size=6)
    assert_close(student.first(x), 3 * x + x**2 - x.sum())

@pytest.mark.exercise("both", points=1)
def test_second(student, rng):
    x = rng.normal(size=6)
    assert_close(student.second(x), 3 * x + x**2 - x.sum() + x.mean())
"""


def test_a_function_that_a_passed_check_uses_is_searched_last(tmp_path, monkeypatch):
    """The work is limited: here to the mistakes of one function."""
    monkeypatch.setattr(tried_mistakes, "IN_ALL", 200 * tried_mistakes.OF_A_REPLAY)
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "assignment.toml").write_text(TWO_TOML)
    (folder / "two.ipynb").write_text(notebook_of(TWO))
    (folder / "test_two.py").write_text(TWO_CHECKS)
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()
    wrong = TWO.replace("first(x) + np.mean(x)", "first(x) - np.mean(x)")
    (handed_in / "two.ipynb").write_text(notebook_of(wrong))
    result = grade([handed_in], assignment="two", assignments=tmp_path).results[0]
    message = result.exercises[0].checks[1].message
    assert "`second` behaves exactly as the solution would" in message
