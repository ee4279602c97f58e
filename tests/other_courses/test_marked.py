"""Courses whose notebooks have no grader's metadata: markers of six kinds, and few edits each."""

from dataclasses import dataclass

import pytest

pytestmark = pytest.mark.slow
NUMPY = "import numpy as np"


@dataclass(frozen=True)
class Marked:
    """A course.

    cells : of its solved notebook, in order; a text begins with a Markdown heading
    edits : what an instructor has still to do, (file of the assignment, old, new)
    shown, secret : texts that students' files must hold, and must not hold
    mistake : (old, new) in the solved notebook, and the exercise that loses its points by it
    """

    cells: tuple[str, ...]
    points: dict[str, float]
    shown: tuple[str, ...]
    secret: tuple[str, ...]
    mistake: tuple[str, str, str]
    edits: tuple[tuple[str, str, str], ...] = ()


SIGMOID = '''def basic_sigmoid(x):
    """Return the sigmoid of x, of any shape."""
    # (≈ 2 lines of code)
    ### START CODE HERE ###
    e = np.exp(-x)
    s = 1 / (1 + e)
    ### END CODE HERE ###
    return s'''
NEWTON = '''def newton_step(X, y, theta):
    """Return theta after a step of Newton's method, for logistic regression."""
    # *** START CODE HERE ***
    p = 1 / (1 + np.exp(-X @ theta))
    H = (X.T * (p * (1 - p))) @ X
    theta = theta - np.linalg.solve(H, X.T @ (p - y))
    # *** END CODE HERE ***
    return theta'''
AFFINE = '''def affine_forward(x, w, b):
    """Return x w + b, of the images x flattened."""
    out = None
    # *****START OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****
    out = x.reshape(len(x), -1) @ w + b
    # *****END OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****
    return out'''
LEAST_SQUARES = '''def least_squares(y, tx):
    """Return the weights of least squares.

    >>> tx = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> least_squares(np.array([1.0, 2.0, 4.0]), tx).round(3).tolist()
    [0.833, 1.5]
    """
    ### SOLUTION
    return np.linalg.solve(tx.T @ tx, tx.T @ y)
    ### TEMPLATE
    # # INSERT YOUR CODE HERE
    # raise NotImplementedError
    ### END SOLUTION'''
DISTANCES = '''def distances(P, Q):
    """Return the distance of each row of P from each row of Q."""
    # YOUR CODE HERE
    difference = P[:, None, :] - Q[None, :, :]
    return np.sqrt((difference**2).sum(axis=2))


def nearest(P, Q):
    """Return, for each row of P, the number of the nearest row of Q."""
    # YOUR CODE HERE
    return distances(P, Q).argmin(axis=1)'''
TRAPEZOID = '''def trapezoid(y, h):
    """Return the integral of samples y at a distance h by the trapezoidal rule.

    >>> float(trapezoid(np.array([0.0, 1.0, 4.0]), 0.5))
    1.5
    >>> float(trapezoid(np.array([1.0, 1.0]), 3.0))
    3.0
    """
    raise NotImplementedError("write it yourself")'''

COURSES = {
    "deeplearning.ai": Marked(
        cells=(
            "# Week 2: the sigmoid",
            NUMPY,
            SIGMOID,
            "t = np.array([1.0, 2.0, 3.0])\n"
            "out = basic_sigmoid(t)\n"
            "assert isinstance(out, np.ndarray)\n"
            "assert np.allclose(out, [0.73105858, 0.88079708, 0.95257413])",
        ),
        points={"basic-sigmoid": 1},
        shown=("e = None\n    s = None", "assert np.allclose(out"),
        secret=("np.exp(-x)", "1 / (1 + e)"),
        mistake=("np.exp(-x)", "np.exp(x)", "basic-sigmoid"),
    ),
    "CS229": Marked(
        cells=(
            "# Problem set 1: logistic regression",
            NUMPY,
            NEWTON,
            "X = np.array([[1.0, 0.2], [1.0, -1.1], [1.0, 0.7], [1.0, 1.9]])\n"
            "y = np.array([0, 0, 1, 1])\n"
            "one = newton_step(X, y, np.zeros(2))\n"
            "assert np.allclose(one, [-0.642896, 1.512696], atol=1e-5)\n"
            "two = newton_step(X, y, np.array([0.3, -0.2]))\n"
            "assert np.allclose(two, [-0.715033, 1.573909], atol=1e-5)",
        ),
        points={"newton-step": 1},
        shown=("theta = None\n    ### END YOUR CODE ###",),
        secret=("np.linalg.solve", "1 - p"),
        mistake=("X.T @ (p - y)", "X.T @ (y - p)", "newton-step"),
    ),
    "CS231n": Marked(
        cells=(
            "# Assignment 2: fully connected nets",
            NUMPY,
            AFFINE,
            "rng = np.random.default_rng(1)\n"
            "x, w, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(12, 5)), rng.normal(size=5)\n"
            "expected = np.einsum('nij,ijk->nk', x, w.reshape(3, 4, 5)) + b\n"
            "assert np.allclose(affine_forward(x, w, b), expected)",
            "**Inline Question 1:**\n\nWhy are the images flattened?\n\n"
            "$\\color{blue}{\\textit Your Answer:}$ the hidden reason is that w is a matrix",
        ),
        points={"affine-forward": 1},
        shown=("Why are the images flattened?", "*Write your answer here.*"),
        secret=("reshape(len(x)", "hidden reason"),
        mistake=(" @ w + b", " @ w - b", "affine-forward"),
    ),
    "EPFL": Marked(
        cells=("# Lab 3: least squares", NUMPY, LEAST_SQUARES),
        points={"least-squares": 1},
        shown=("# INSERT YOUR CODE HERE\n    raise NotImplementedError",),
        secret=("np.linalg.solve", "TEMPLATE", "SOLUTION"),
        mistake=("tx.T @ tx, tx.T @ y", "tx.T @ tx, -tx.T @ y", "least-squares"),
    ),
    "bare YOUR CODE HERE": Marked(
        cells=(
            "# Exercise 5: neighbours",
            NUMPY,
            DISTANCES,
            "P, Q = np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([[3.0, 4.0], [0.5, 0.0]])\n"
            "assert np.allclose(distances(P, Q), [[5, 0.5], [3, 7.25**0.5]])\n"
            "assert distances(P, Q[:1]).shape == (2, 1)",
            "P, Q = np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([[3.0, 4.0], [0.5, 0.0]])\n"
            "assert nearest(P, Q).tolist() == [1, 1]\n"
            "assert nearest(2 * P, Q).tolist() == [1, 0]",
        ),
        points={"distances": 1, "nearest": 1},
        shown=("# YOUR CODE HERE\n    raise NotImplementedError",),
        secret=("difference", "argmin"),
        mistake=(".argmin(axis=1)", ".argmax(axis=1)", "nearest"),
    ),
    "raise NotImplementedError": Marked(
        cells=("# Sheet 4: quadrature", NUMPY, TRAPEZOID),
        points={"trapezoid": 2},
        shown=("raise NotImplementedError", ">>> float(trapezoid"),
        secret=("y[1:]",),
        mistake=("y[1:] + y[:-1]", "y[1:] - y[:-1]", "trapezoid"),
        edits=(
            (
                "sheet.ipynb",
                'raise NotImplementedError(\\"write it yourself\\")',
                "return h * np.sum(y[1:] + y[:-1]) / 2",
            ),
            ("assignment.toml", "points = 1", "points = 2"),
            ("test_sheet.py", "points=1", "points=2"),
        ),
    ),
}
MOST_EDITS = 5


def prepared(course, told):
    """Import the course's notebook, make the edits that it needs; return the command's report."""
    cells = [
        (course.text if cell.startswith(("# ", "**")) and "\n    " not in cell else course.code)(
            cell
        )
        for cell in told.cells
    ]
    report = course.grade("new", "sheet", "--from", course.write("sheet.ipynb", *cells))
    for file, old, new in told.edits:
        course.edit(f"reference/sheet/{file}", old, new)
    return report


@pytest.mark.parametrize("name", COURSES)
def test_a_course_is_verified_handed_out_and_graded(course, name):
    told = COURSES[name]
    assert len(told.edits) <= MOST_EDITS
    report = prepared(course, told)
    assert report.count("\n! ") == bool(told.edits)
    assert ": holds" in course.grade("verify", "sheet", "--seeds", 2)
    course.grade("stubs", "sheet")
    shown, files = course.stub("sheet", "sheet.ipynb")
    for text in told.shown:
        assert text in shown
    everything = "\n".join(files.values())
    for secret in told.secret:
        assert secret not in everything
    old, new, lost = told.mistake
    assert course.points(course.solved("sheet", "sheet.ipynb")) == told.points
    wrong = course.solved("sheet", "sheet.ipynb", mistake=(old, new))
    assert course.points(wrong) == told.points | {lost: 0}
