"""Question 3: the sigmoid as an output unit. The truth is -log sigma((2y - 1) z), written out."""

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_close,
    assert_derivative,
    call_unchanging,
    partial_credit,
)
from grader.errors import CheckFailed

# The sheet's answers: the slope goes to 0 where z and y agree.
CASES = {(1, 1): True, (1, 0): False, (-1, 1): False, (-1, 0): True}


def sigma(z):
    return 1.0 / (1.0 + np.exp(-z))


def cost(z, y):
    return np.log1p(np.exp(-(2 * y - 1) * z))


def some_arguments(rng, shape):
    return np.asarray(rng.normal(size=shape) * 2), np.asarray(rng.integers(0, 2, size=shape))


@pytest.mark.exercise("q3-nll", points=3, shares=True)
def test_nll_is_the_negative_log_likelihood(student, rng):
    """-log sigma((2y - 1) z), for numbers and for arrays."""
    called = "nll(z, y)"
    for shape in [(9,), (4, 3), ()]:  # one number fits too many mistakes
        z, y = some_arguments(rng, shape)
        known = {
            "the minus sign is lost": -cost(z, y),
            "the labels are swapped": cost(z, 1 - y),
            "the labels 0 and 1 are used as signs": np.log1p(np.exp(-y * z)),
            "the logarithm is lost": sigma((2 * y - 1) * z),
            "the logarithm is base 10": cost(z, y) / np.log(10),
        }
        got = call_unchanging(student.nll, z, y, called=called, names=("z", "y"))
        assert_close(got, cost(z, y), called=called, noun="the cost", mistakes=known, dummy=0.0)


@pytest.mark.exercise("q3-nll-prime", points=4, shares=True)
def test_nll_prime_is_the_derivative_by_z(student, rng):
    """-(2y - 1) (1 - sigma((2y - 1) z)), as central differences of the cost find it."""
    called = "nll_prime(z, y)"
    for shape in [(9,), (4, 3), ()]:  # one number fits too many mistakes
        z, y = some_arguments(rng, shape)
        sign = 2 * y - 1
        known = {
            "the inner derivative is lost": sigma(sign * z) - 1,
            "the right label's likelihood stands where the other one's belongs": -sign
            * sigma(sign * z),
            "1/sigma is lost": -sign * sigma(z) * (1 - sigma(z)),
            "the labels are swapped": sigma(z) - (1 - y),
            "the derivative of sigma alone is taken": sigma(z) * (1 - sigma(z)),
        }
        got = call_unchanging(student.nll_prime, z, y, called=called, names=("z", "y"))
        assert_close(got, sigma(z) - y, called=called, noun="the slope", mistakes=known, dummy=0.0)
    z, y = some_arguments(rng, 12)
    assert_derivative(lambda t: cost(t, y), lambda t: student.nll_prime(t, y), at=z, called=called)


@pytest.mark.exercise("q3-vanishes", points=4, shares=True)
def test_the_gradient_vanishes_in_the_right_cases(student):
    """z -> +infinity with y = 1, and z -> -infinity with y = 0; nowhere else."""
    wrong = []
    for (sign, y), right in CASES.items():
        called = f"vanishes({sign}, {y})"
        answer = as_array(student.vanishes(sign, y), called=called, dtype_kind="biuf")
        got = as_scalar(answer.astype(float), called=called)
        if got not in (0.0, 1.0):
            raise CheckFailed("it should return True or False", called=called)
        if bool(got) != right:
            wrong.append(called)
    hint = "Let z grow in the slope that you derived: is the prediction right or wrong there?"
    if len(wrong) == 1:
        partial_credit(0.5, "one of the four cases is wrong", hint, called=wrong[0])
    if wrong:
        raise CheckFailed(f"{len(wrong)} of the four cases are wrong", hint=hint)
