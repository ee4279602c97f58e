"""The assignment that `grade new` writes: small, complete, and made to be changed.

Its checks need no solved notebook: they compare the student's value with a formula, or the gradient
with finite differences of the cost.
"""

from __future__ import annotations

CELLS = (
    (
        "markdown",
        "# {title}\n\nWrite your code between the markers. Do not change names and markers.",
    ),
    ("code", "import numpy as np"),
    (
        "markdown",
        "## Exercise 1\n\n"
        "The rows of $X$ are samples, $y$ holds their targets. Write the cost\n"
        "$J(w) = \\frac{1}{2m} \\sum_i (x_i \\cdot w - y_i)^2$ and its gradient.",
    ),
    (
        "code",
        '''\
def cost(w, X, y):
    """Return J(w), a number; w (n,), X (m, n), y (m,)."""
    ### START YOUR CODE ###
    # STUB: return 0.0
    return np.mean((X @ w - y) ** 2) / 2
    ### END YOUR CODE ###


def gradient(w, X, y):
    """Return the gradient of J at w, shape (n,)."""
    ### START YOUR CODE ###
    # STUB: return np.zeros_like(w)
    return X.T @ (X @ w - y) / len(y)
    ### END YOUR CODE ###''',
    ),
    (
        "markdown",
        "#### Answer 2\n\nWhy may a large learning rate make the cost grow?\n\n"
        "*Write your answer here.*",
    ),
    (
        "solution",
        "A step goes along the slope at one point. If the step is longer than the valley is wide, "
        "it ends\nhigher up on the other side. The slope is steeper there, so the next step is "
        "even longer.",
    ),
)

ASSIGNMENT = """\
id = {id}
title = {title}

# Limits of a notebook; these are the defaults, in seconds and MiB.
# [limits]
# cell_s = 60
# notebook_s = 240
# check_s = 20
# memory_mib = 2048

# What the gaps must not use, and the share of the exercise's points that it costs.
[rules]
forbidden_imports = ["sklearn", "torch"]
forbidden_calls = ["np.linalg.lstsq"]
deduction = 1.0

[[notebooks]]
file = {file}

# One table for each exercise. The student fills in `functions`; a method is "Class.method".
# The points of its checks in test_*.py and hidden/test_*.py must sum to `points`.

[[exercises]]
id = "1-cost"
title = "Cost of a linear regression"
points = 4
notebook = {file}
functions = ["cost"]

[[exercises]]
id = "1-gradient"
title = "Gradient of the cost"
points = 6
notebook = {file}
functions = ["gradient"]

# A person grades it: the text under the heading is shown, the points stay open.
# `bonus = true` would add its points to the score, not to the maximum.
[[exercises]]
id = "2-rate"
title = "Large learning rates"
points = 2
manual = true
notebook = {file}
answer_cells = ["Answer 2"]
"""

CHECKS = '''\
"""Exercise 1: linear regression. Each check draws its own data from the seed."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_gradient

M, N = 12, 5  # samples and features: different numbers, so that a wrong count is found


def some_data(rng, m=M):
    """Return w (N,), X (m, N), y (m,)."""
    return rng.normal(size=N), rng.normal(size=(m, N)), rng.normal(size=m)


def squared_error(w, X, y):
    return np.mean((X @ w - y) ** 2) / 2


@pytest.mark.exercise("1-cost", points=4)
def test_cost_is_half_the_mean_squared_error(student, rng):
    """The cost of random data; the message names a lost 1/2 or 1/m."""
    w, X, y = some_data(rng)
    expected = squared_error(w, X, y)
    assert_close(student.cost(w, X, y), expected, called="cost(w, X, y)", factors={"m": M})


@pytest.mark.exercise("1-gradient", points=4)
def test_gradient_agrees_with_finite_differences(student, rng):
    """This check needs no solution: differences of the cost give the gradient."""
    w, X, y = some_data(rng)
    assert_gradient(
        lambda v: squared_error(v, X, y),
        lambda v: student.gradient(v, X, y),
        at=w,
        rng=rng,
        name="w",
        called="gradient(w, X, y)",
        factors={"m": M},
    )
'''

HIDDEN_CHECKS = '''\
"""Hidden checks of exercise 1: students get neither this folder nor its checks' inputs."""

import pytest
from test_regression import some_data

from grader.checks import assert_close


@pytest.mark.exercise("1-gradient", points=2)
def test_gradient_holds_for_other_numbers_of_samples(student, rng):
    """The mean is over the number of given samples."""
    for m in (1, 7, 40):
        w, X, y = some_data(rng, m)
        expected = X.T @ (X @ w - y) / m
        assert_close(student.gradient(w, X, y), expected, factors={"m": m})
'''

SAMPLES = {
    "right-by-loops.toml": """\
# Another right answer: it must get all points.
title = "a loop over the samples instead of products"
kind = "right"
notebook = {file}

[regions]
gradient = '''
total = np.zeros_like(w)
for x_i, y_i in zip(X, y):
    total += (x_i @ w - y_i) * x_i
return total / len(y)
'''
""",
    "mistake-no-mean.toml": """\
# A typical mistake: the exercise that must lose points, and a pattern for one of its messages.
title = "the gradient without 1/m"
kind = "mistake"
notebook = {file}

[regions]
gradient = "return X.T @ (X @ w - y)"

[expect]
1-gradient = "mean"
""",
}
