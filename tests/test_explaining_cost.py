"""What follows a failed check costs a bounded number of requests, however many the check sends."""

import json
from collections import Counter

import numpy as np
import pytest

from grader import grade, stand_ins
from grader.session import student as student_module
from grader.session.wire import Wire
from grader.suite.running import Suite

TOML = """\
id = "many"
[[notebooks]]
file = "many.ipynb"
[[exercises]]
id = "half"
title = "Half"
points = 1
notebook = "many.ipynb"
functions = ["half"]
[[exercises]]
id = "slope"
title = "Slope"
points = 3
notebook = "many.ipynb"
functions = ["slope"]
"""
SOURCE = """\
import numpy as np

def half(x):
    ### START YOUR CODE ###
    value = x / 2
    ### END YOUR CODE ###
    return value

def slope(x):
    ### START YOUR CODE ###
    value = half(x) * (1 - half(x))
    ### END YOUR CODE ###
    return value

turn = 0
def tick():
    global turn
    turn += 1
    return turn
"""
CHECKS = '''\
import numpy as np
import pytest

from grader.checks import run_cell

@pytest.mark.exercise("half", points=1)
def test_half(student):
    run_cell(student, """
for i in range(600):
    assert half(i) == i / 2
""")

@pytest.mark.exercise("slope", points=1)
def test_slope(student):
    run_cell(student, """
for i in range(300):
    assert tick() == i + 1
assert slope(3.0) == -0.75
""")

@pytest.mark.exercise("slope", points=1)
def test_slope_at_0(student):
    assert student.slope(0.0) == 0.0

@pytest.mark.exercise("slope", points=1)
def test_slope_at_4(student):
    assert student.slope(4.0) == -2.0
'''
TWICE = ("value = x / 2", "value = x / 2 * (1 + (x > 2))")
"""Wrong from 3 on: each check sends requests before it fails."""
RECORDINGS = 2
"""Runs of each check of a failed exercise on the solution, one for each seed."""


@pytest.fixture
def graded(tmp_path, monkeypatch):
    """graded(changes, ...): the result, the requests by their kind, the runs of each check."""

    def grade_one(*changes, toml=TOML, checks=CHECKS):
        folder = tmp_path / "many"
        folder.mkdir(exist_ok=True)
        (folder / "assignment.toml").write_text(toml)
        (folder / "many.ipynb").write_text(notebook(SOURCE))
        (folder / "test_many.py").write_text(checks)
        text = SOURCE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        handed_in = tmp_path / "handed in"
        handed_in.mkdir(exist_ok=True)
        (handed_in / "many.ipynb").write_text(notebook(text))
        sent, runs = Counter(), Counter()
        ask, run = Wire._request, Suite._run

        def counted(wire, operation, arguments):
            sent[operation] += 1
            return ask(wire, operation, arguments)

        def counted_run(suite, check, job):
            runs[check.name] += 1
            return run(suite, check, job)

        with monkeypatch.context() as patched:
            patched.setattr(Wire, "_request", counted)
            patched.setattr(Suite, "_run", counted_run)
            (result,) = grade([handed_in], assignment="many", assignments=tmp_path).results
        assert result.status == "graded", result.message
        return result, sent, runs

    return grade_one


def notebook(source):
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
    cells = [cell | {"execution_count": None}]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def said(result, exercise):
    (found,) = (e for e in result.exercises if e.id == exercise)
    return "\n".join(check.message for check in found.checks), found.points


def test_a_failed_check_of_many_calls_is_not_sent_to_the_solution_as_a_whole(graded):
    _, right, _ = graded()
    result, wrong, runs = graded(("value = x / 2", "value = x / 2 + (x > 590)"))
    assert said(result, "half")[1] == 0
    # The failed check itself, and the recording's first 240 requests at each of the two seeds.
    assert runs["half"] == 1 + RECORDINGS
    recorded = wrong["call"] - (right["call"] - 9)
    assert recorded <= 2 * 240 + 5
    assert recorded > 2 * 220  # it looks names up, too


def test_with_stand_ins_only_failed_checks_run_again(graded):
    result, _, runs = graded(TWICE)
    text, points = said(result, "slope")
    assert "builds on `half` (half), which failed: look there first" in text
    assert points == 1  # at 0 it is right
    assert runs["slope at 0"] == 1 + RECORDINGS
    assert runs["slope"] > 1 + RECORDINGS


def test_a_check_that_asks_a_stand_in_nothing_more_does_not_run_again(graded):
    result, _, runs = graded(TWICE, ("turn += 1", "turn += 2"))
    assert runs["slope"] == 1 + RECORDINGS + 1  # it fails before it calls `half`
    assert runs["slope at 4"] > 1 + RECORDINGS + 1
    assert said(result, "slope")[1] == 1


def test_a_check_that_would_take_too_many_requests_names_no_function_it_builds_on(
    graded, monkeypatch
):
    monkeypatch.setattr(stand_ins, "MOST_SENT", 100)
    monkeypatch.setattr(stand_ins, "TIMES_SENT", 0.5)
    several = TOML.replace('["half"]', '["half", "tick"]')
    text, points = said(graded(TWICE, toml=several)[0], "slope")
    assert "builds on half, which failed: look there first\n" in text
    assert "slope(3.0) == -0.75" in text
    assert points == 1


@pytest.mark.parametrize(("most", "times"), [(100, 3), (10_000, 0)])
def test_the_limit_is_a_number_or_grows_with_the_requests_of_the_check(
    graded, monkeypatch, most, times
):
    monkeypatch.setattr(stand_ins, "MOST_SENT", most)
    monkeypatch.setattr(stand_ins, "TIMES_SENT", times)
    assert "builds on `half` (half)" in said(graded(TWICE)[0], "slope")[0]


def test_points_that_follow_through_do_not_hang_on_the_limit(graded, monkeypatch):
    monkeypatch.setattr(stand_ins, "MOST_SENT", 0)
    monkeypatch.setattr(stand_ins, "TIMES_SENT", 0)
    text, points = said(graded(TWICE, toml=TOML + 'follows = ["half"]\n')[0], "slope")
    assert "points are given as if" in text
    assert points == 3


def test_a_test_that_never_ends_when_it_is_asked_again_is_told_without_the_difference(
    graded, monkeypatch
):
    monkeypatch.setattr(student_module, "LEAST_REPEATED", 5)
    _, right, _ = graded()
    endless = CHECKS.replace(
        "for i in range(600):\n    assert half(i) == i / 2",
        "def until_3():\n    while tick() != 3:\n        pass\n    return half(np.ones(3))\n"
        "assert np.allclose(until_3(), np.ones(3) / 2)",
    )
    assert endless != CHECKS
    result, wrong, _ = graded(("value = x / 2", "value = -x / 2"), checks=endless)
    text, points = said(result, "half")
    assert "a test of this cell doesn't hold" in text
    assert points == 0
    assert np.allclose(wrong["call"], right["call"], atol=600)
