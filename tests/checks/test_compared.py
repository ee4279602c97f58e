"""A failing assert of a course's own test names the mistake in the values that it compares."""

from types import SimpleNamespace

import numpy as np
import pytest

from grader.checks import run_cell
from grader.errors import CheckFailed

Y = np.array([[0.3, -1.2, 2.5], [0.7, 0.1, -0.4]])
NEGATED = SimpleNamespace(f=lambda y: -np.asarray(y), g=lambda y: 2 * y, y=Y, n=3)


def failure(source, student=NEGATED):
    with pytest.raises(CheckFailed) as caught:
        run_cell(student, source)
    return caught.value


@pytest.mark.parametrize(
    "test",
    [
        "assert np.allclose(f(y), y)",
        "assert np.allclose(y, f(y)), 'my own words'",
        "assert np.isclose(f(y), y, atol=1e-3).all()",
        "assert np.all(np.isclose(f(y), y))",
        "assert np.array_equal(f(y), y)",
        "assert (f(y) == y).all()",
        "assert np.max(np.abs(f(y) - y)) < 1e-6",
        "assert np.linalg.norm(f(y) - y) <= 1e-6",
        "assert np.abs(f(y) - y).max() < 1e-6",
        "assert np.abs(f(y) - y).sum() / 6 < 1e-6",
        "assert n == 3 and np.allclose(f(y), y)",
        "def rel_error(a, b):\n    return np.max(np.abs(a - b))\nassert rel_error(f(y), y) < 1e-6",
        "np.testing.assert_allclose(f(y), y)",
        "np.testing.assert_array_almost_equal(f(y), y)",
        "got = f(y)\nexpected = np.copy(y)\nassert np.allclose(expected, got)",
        "def check(h):\n    want = np.copy(y)\n    assert np.allclose(h(y), want)\ncheck(f)",
        "for row in range(2):\n    assert np.allclose(f(y)[row], y[row])",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertTrue(np.allclose(f(y), y))\nT('test').debug()",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertLess(np.max(np.abs(f(y) - y)), 1e-6)\nT('test').debug()",
    ],
)
def test_a_wrong_sign_is_named_whatever_the_form_of_the_test(test):
    error = failure(test)
    assert error.problem.endswith("doesn't hold: the result has the wrong sign everywhere")
    assert error.hint == "Is a minus sign missing, or one too many?"


def test_arrays_that_numpy_can_not_compare_differ_in_their_shapes():
    student = SimpleNamespace(f=lambda y: np.convolve(y, [0.5, 0.5]), y=Y[0])
    error = failure("assert np.allclose(f(y), y)", student)
    assert error.problem == "a test of this cell doesn't hold: got shape (4,), expected (3,)"


def test_a_value_of_another_kind_is_still_one_that_a_test_can_not_use():
    error = failure("assert f(y) + y", SimpleNamespace(f=lambda y: "text", y=Y[0]))
    assert "can't use a value that it got" in error.problem


@pytest.mark.parametrize(
    "test",
    ["assert np.allclose(f(y), y)", "assert (f(y) == y).all()", "assert all(f(y)[0] == y[0])"],
)
def test_a_comparison_that_is_false_shows_the_two_values(test):
    error = failure(test)
    assert error.expected.startswith("[") and "0.3, -1.2" in error.expected
    assert "-0.3, 1.2" in error.got


@pytest.mark.parametrize(
    "test",
    [
        "assert np.allclose(g(y), y)",
        "assert np.allclose(y, g(y))",
        "ours = np.copy(y)\nr = g(ours)\nassert np.allclose(ours, r)",
        "ours = np.array([1.0, 2.0])\nassert np.allclose(ours, g(ours))",
    ],
)
def test_the_result_is_the_side_that_comes_from_the_student(test):
    student = SimpleNamespace(g=lambda y: 2 * y)
    source = f"y = np.array({Y.tolist()})\n{test}"
    assert "twice as large as it should be" in failure(source, student).problem


def test_the_tests_own_words_stay():
    assert failure("assert np.allclose(f(y), y), 'look at the sign'").where == "look at the sign"


def test_numpys_long_text_gives_way_to_the_worst_place():
    assert failure("np.testing.assert_allclose(f(y), y)").where.startswith("worst at [0, 2]")


def test_the_words_that_a_test_gives_to_numpy_stay():
    error = failure("np.testing.assert_allclose(f(3.0), 3.0, err_msg='look at\\nthe sign')")
    assert error.where == "look at the sign"
    assert (error.expected, error.got) == ("3", "-3")


def test_of_a_single_number_a_hidden_check_tells_nothing():
    error = failure("assert f(3.0) == 3.0")
    assert "sign" in error.where
    assert error.hidden_message() == "a test of this cell doesn't hold"


@pytest.mark.parametrize(
    "test",
    [
        "assert f(y).shape == (3, 2)",
        "assert 'a' == 'b'",
        "assert not np.allclose(y, y)",
        "assert np.allclose(y, y) and n > 3",
        "calls = []\ndef once():\n    calls.append(1)\n    return y if len(calls) < 2 else 1 / 0\n"
        "assert (once() == -y).all()",
        "assert [1, 2] == [1, 3, 4]",
        "assert {'a': 1} == {'a': 2}",
    ],
)
def test_a_test_of_another_kind_still_fails_with_its_statement(test):
    error = failure(test)
    assert error.problem.startswith("a test of this cell doesn't hold")
    assert error.called.startswith("`assert")
