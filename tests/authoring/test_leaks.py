"""`grade stubs` writes nothing where students might find a solution, an answer, a hidden check."""

import json

import pytest

from grader import cli

TOML = """\
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "f"
title = "F"
points = 2
notebook = "toy.ipynb"
functions = ["f"]
"""
GAP = "def f(x):\n    ### START YOUR CODE ###\n    return 2 * x\n    ### END YOUR CODE ###"
PUBLIC = """\
import pytest


@pytest.mark.exercise("f", points=1)
def test_f(student):
    assert student.f(1) == 2
"""
HIDDEN = """\
import pytest


@pytest.mark.exercise("f", points=1)
def test_f_at_secret_points(student):
    secret = [17.0, -4.5, 1e6]
    for x in secret:
        assert student.f(x) == 2 * x
"""


@pytest.fixture
def stubs(tmp_path, monkeypatch, capsys):
    """Run `grade stubs` over a notebook of these further cells; return (code, what it said)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)

    def run(*cells, public=PUBLIC, hidden=HIDDEN, options=()):
        toy = tmp_path / "reference" / "toy"
        (toy / "hidden").mkdir(parents=True)
        (toy / "assignment.toml").write_text(TOML)
        (toy / "test_toy.py").write_text(public)
        (toy / "hidden" / "test_toy.py").write_text(hidden)
        entries = [{"cell_type": "code", "source": GAP, "metadata": {}, "outputs": []}]
        entries += [
            {"cell_type": kind, "source": source, "metadata": {}, "outputs": []}
            for kind, source in cells
        ]
        (toy / "toy.ipynb").write_text(json.dumps({"cells": entries, "metadata": {}}))
        code = cli.run(["stubs", *options])
        told = capsys.readouterr()
        assert (tmp_path / "student_templates").exists() == (code == 0), told.err
        return code, told.err

    return run


@pytest.mark.parametrize(
    "line",
    [
        "### BEGIN SOLUTION",
        "# END SOLUTION",
        "### BEGIN HIDDEN TESTS",
        "x = 3  # SOLUTION",
        "y = 4 # SOLUTION NO PROMPT",
        "### SOLUTION",
        "### TEMPLATE",
        "# HIDDEN",
    ],
)
def test_a_marker_of_another_tool_stops_it_with_its_line(stubs, line):
    code, told = stubs(("code", f"import math\n{line}"))
    assert code == 2
    assert "toy.ipynb, cell 1, line 2: `" in told
    assert "looks like a marker of another tool" in told


@pytest.mark.parametrize(
    "text",
    [
        "**Solution:** the gradient is zero there",
        "Why?\n\n*Your Answer:* because of Jensen",
        "Answer: 42",
    ],
)
def test_an_answer_in_words_stops_it(stubs, text):
    code, told = stubs(("markdown", text))
    assert code == 2
    assert "looks like an answer: give its cell the tag `solution`" in told


def test_lines_of_a_hidden_check_stop_it_in_a_cell_and_in_a_public_check(stubs):
    body = HIDDEN.split("(student):\n")[1]
    code, told = stubs(("code", "if True:\n" + body))
    assert code == 2
    assert "toy.ipynb holds lines of the hidden check `test_f_at_secret_points`" in told


def test_a_hidden_check_that_goes_on_after_all_of_a_public_one_is_no_leak(stubs):
    shown = """\
    values = [1.5, 2.0, 4.0]
    for x in values:
        assert student.f(x) == 2 * x
"""
    public = PUBLIC.replace("    assert student.f(1) == 2\n", shown)
    hidden = HIDDEN.replace("    secret", f"{shown}    secret")
    assert stubs(public=public, hidden=hidden)[0] == 0


def test_a_public_check_that_goes_on_after_all_of_a_hidden_one_is_a_leak(stubs):
    body = HIDDEN.split("(student):\n")[1]
    code, told = stubs(public=PUBLIC + body)
    assert code == 2
    assert "test_toy.py holds lines of the hidden check `test_f_at_secret_points`" in told


LOOP = """\
import pytest


@pytest.mark.exercise("f", points=1)
def test_{name}(student):
    values = [{values}]
    more = [{values}, {values}]
    for x in values + more:
        got = student.f(x)
        assert got == x + x
        assert type(got) is float
"""


def test_a_loop_that_public_and_hidden_checks_have_in_common_is_no_leak(stubs):
    public, hidden = (
        LOOP.format(name=name, values=values) for name, values in (("f", "1.0"), ("g", "17.5"))
    )
    short = hidden.replace("        assert type(got) is float\n", "        assert got != 17\n")
    assert stubs(public=public, hidden=short)[0] == 0


def test_a_hidden_check_of_which_most_lines_are_public_is_one(stubs):
    public, hidden = (
        LOOP.format(name=name, values=values) for name, values in (("f", "1.0"), ("g", "17.5"))
    )
    hidden = hidden.replace("    more = [17.5, 17.5]\n", "    more = [1.0, 1.0]\n")
    code, told = stubs(public=public, hidden=hidden)
    assert code != 0
    assert "holds lines of the hidden check `test_g`" in told


@pytest.mark.parametrize(
    "cell",
    [
        ("markdown", "## Solution of linear systems\n\nYour Answer: *write it here*"),
        ("markdown", "Answer:"),
        ("code", "solution = 3  # the solution of x = 3\n# begin with the tests"),
        ("code", "hidden = 4  # units"),
    ],
)
def test_what_only_sounds_like_it_is_published(stubs, cell):
    code, told = stubs(cell)
    assert code == 0, told


def test_somebody_who_has_looked_publishes_it(stubs):
    code, _ = stubs(("markdown", "Answer: 42 is the answer"), options=["--yes-publish"])
    assert code == 0


RUN = '''\
import pytest
from grader.checks import run_cell


@pytest.mark.exercise("f", points=1)
def test_{}(student):
    run_cell(student, """
x = f(1)
assert x == 2
assert f(x) == 4
{}""", names={{"f": 1}})
'''


def test_a_hidden_test_that_goes_on_where_a_public_one_ends_is_no_leak(stubs):
    hidden = RUN.format("more", "assert f(17.0) == 34.0\nassert f(1e6) == 2e6\n")
    assert (
        stubs(public=RUN.format("some", ""), hidden=hidden.replace(', names={"f": 1}', ""))[0] == 0
    )


def test_code_of_python_2_is_named_as_such(stubs):
    code, told = stubs(("code", "print 'x: ', f(2)"))
    assert code == 2
    assert "toy.ipynb, cell 1: `print 'x: ', f(2)` is Python 2" in told
