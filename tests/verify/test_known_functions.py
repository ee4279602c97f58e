"""Known mistakes of functions that are handed a function of the check's, in a real kernel."""

import json
from dataclasses import replace

import numpy as np
import pytest

from grader.assignment import load_assignment
from grader.explaining import Explainer
from grader.grading import grade_notebooks
from grader.notebook import assembled, replace_definition
from grader.session import Kernels, start_fork_server
from grader.suite import open_suite
from grader.tracing import record
from grader.verify import known_table, replays
from grader.verify.replays import Replays

TOML = """\
id = "rules"
[[notebooks]]
file = "rules.ipynb"
[[exercises]]
id = "rule"
title = "A rule"
points = 6
notebook = "rules.ipynb"
functions = ["integral", "total"]
"""
SOURCE = """\
def integral(f, a, b, n):
    ### START YOUR CODE ###
    # STUB: return 0.0
    h = (b - a) / n
    total = 0.0
    for k in range(n):
        total = total + (f(a + k * h) + f(a + (k + 1) * h)) / 2
    return total * h
    ### END YOUR CODE ###


def total(n):
    ### START YOUR CODE ###
    # STUB: return 0
    count = 0
    for k in range(n):
        count += k
    return count
    ### END YOUR CODE ###
"""
CHECKS = """\
import numpy as np
import numpy as np
import pytest

from grader.checks import counted
from grader.errors import CheckFailed


@pytest.mark.exercise("rule", points=4)
def test_lines(student, rng):
    '''Exact for lines; each point is asked for twice.'''
    for _ in range(3):
        p, q, a, b = rng.uniform(1, 2, size=4)
        line = counted(lambda x: p + q * x, at_most=8)
        due = p * b + q * ((a + b) ** 2 - a**2) / 2
        if abs(student.integral(line, a, a + b, 4) - due) > 1e-9:
            raise CheckFailed("the value is wrong")


@pytest.mark.exercise("rule", points=2)
def test_long(student):
    '''Of many numbers.'''
    if student.total(60_000) != 1_799_970_000:
        raise CheckFailed("the value is wrong")
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions") / "rules"
    folder.mkdir()
    (folder / "assignment.toml").write_text(TOML)
    (folder / "test_rules.py").write_text(CHECKS)
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
        | {"execution_count": None}
        for source in ("import numpy as np", SOURCE)
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    (folder / "rules.ipynb").write_text(json.dumps(notebook))
    assignment = load_assignment(folder)
    with (
        Kernels(assignment, start_fork_server(assignment.sandbox), draw=False) as kernels,
        open_suite(assignment) as suite,
        kernels.open(assignment.notebooks["rules.ipynb"], folder=folder) as session,
    ):
        prepared = known_table.prepare(suite, assignment.notebooks["rules.ipynb"], session)
        known, _ = known_table.table_of(prepared, suite, session)
        yield assignment, kernels, suite, session, prepared, known


def said(rules, tmp_path, source):
    assignment, kernels, *_, known = rules
    cells = [
        replace(cell, source=replace_definition(cell.source, "integral", source) or cell.source)
        for cell in assignment.notebooks["rules.ipynb"].cells
    ]
    notebook = assembled(cells, name="rules.ipynb", metadata={})
    result = grade_notebooks(kernels, {"rules.ipynb": notebook}, folder=tmp_path)
    explained = Explainer(assignment, {"rules.ipynb": known}.get).explain(result)
    return {c.name: c for c in explained.exercises[0].checks}


@pytest.mark.slow
def test_a_mistake_of_a_function_that_calls_the_checks_function_is_named(rules, tmp_path):
    source = (
        "def integral(g, left, right, m):\n    w = (right - left) / m\n"
        "    return sum(g(left + k * w) * w for k in range(m))\n"
    )
    lines = said(rules, tmp_path, source)["lines"]
    assert lines.points == 0
    assert "the first of two values alone where their mean belongs" in lines.message


@pytest.mark.slow
def test_a_right_solution_of_another_form_is_not_named(rules, tmp_path):
    source = (
        "def integral(f, a, b, n):\n    x = np.linspace(a, b, n + 1)\n"
        "    y = [f(v) for v in x]\n    return (b - a) / n * (sum(y) - (y[0] + y[-1]) / 2)\n"
    )
    lines = said(rules, tmp_path, source)["lines"]
    assert (lines.points, lines.known) == (4, "")


@pytest.mark.slow
def test_what_a_check_takes_is_counted_alike_each_time(rules):
    _, _, suite, session, *_ = rules
    asked = record(suite, "rules.ipynb", session, seed=0, only=["rule"])
    telling = Replays(session, list(asked.values()), 0)
    first, second = telling.work(), telling.work()
    assert [one.lines for one in first] == [one.lines for one in second]
    short, long = (one.lines for one in first)
    # Three calls of it with eight calls of the check's function each, and a few lines.
    assert 2400 < short < 4000 < 100_000 < long


@pytest.mark.slow
def test_a_check_that_runs_too_many_lines_is_left_out_of_the_table(rules):
    assert [name for _, name in rules[4].asked] == ["lines"]


def test_a_function_of_the_checks_that_overflows_for_a_mistake_says_nothing(monkeypatch):
    monkeypatch.setattr(replays, "answer_of", lambda *_: [np.float64(1e308) * np.float64(10)])
    assert replays._caller(object())(0, None) == [np.inf]
