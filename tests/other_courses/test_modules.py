"""A course whose students hand in a module, with tests of pytest's in a file beside it."""

import pytest

pytestmark = pytest.mark.slow
MODULE = '''import numpy as np


def softmax(z):
    """Return the softmax of each row."""
    ### BEGIN YOUR SOLUTION
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
    ### END YOUR SOLUTION


def descend(X, y, theta, lr=1.0):
    """Change theta by one step; returns nothing."""
    ### BEGIN YOUR SOLUTION
    P = softmax(X @ theta)
    P[np.arange(len(y)), y] -= 1
    theta -= lr * X.T @ P / len(y)
    ### END YOUR SOLUTION
'''
TESTS = """import sys
import numpy as np
sys.path.append("src")
from softmax_regression import *


def test_softmax():
    np.testing.assert_allclose(softmax(np.zeros((2, 4))), 0.25)
    np.testing.assert_allclose(softmax(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]])


def test_descend():
    X, y, theta = np.eye(2), np.array([0, 1]), np.zeros((2, 2))
    descend(X, y, theta, lr=4.0)
    np.testing.assert_allclose(theta, [[1.0, -1.0], [-1.0, 1.0]])
"""


def test_a_module_and_its_tests_come_in_and_are_graded(course):
    (course.folder / "src").mkdir()
    (course.folder / "src/softmax_regression.py").write_text(MODULE)
    (course.folder / "test_it.py").write_text(TESTS)
    told = course.grade("new", "hw", "--from", "src/softmax_regression.py", "--tests", "test_it.py")
    assert "!" not in told, told
    handed = course.folder / "Ada/softmax_regression.py"
    handed.parent.mkdir()
    for old, new, points in (
        ("e.sum(", "e.sum(", {"softmax": 1, "descend": 1}),
        ("theta -= ", "theta = theta - ", {"softmax": 1, "descend": 0}),
        (" / len(y)", "", {"softmax": 1, "descend": 0}),
        # descend's test fails because of softmax, whose own test has taken the point.
        ("e.sum(axis=1, keepdims=True)", "e.sum()", {"softmax": 0, "descend": 1}),
    ):
        assert old in MODULE
        handed.write_text(MODULE.replace(old, new))
        assert course.points(handed) == points
