"""Hidden checks of question 1: students get none of this file."""

import numpy as np
import pytest
from test_q1_functions import (
    assert_takes_numbers_and_lists,
    log_sigma,
    sigma,
    sigma_prime,
    tanh_prime,
    zeros_and_signs,
)

from grader.checks import assert_close, call_quietly

LARGE = np.array([-1e4, -1000.0, -750.0, 1.0, 750.0, 1000.0, 1e4])  # and one that is not


def assert_limits(function, truth, limits, called):
    """Hold the function to its limits at LARGE; refuse a numerical warning on the way."""
    got = call_quietly(function, LARGE, called=called)
    assert_close(got, np.where(LARGE == 1.0, truth(1.0), limits), called=called)


@pytest.mark.exercise("q1-sigmoid-tanh", points=1, hidden=True, shares=True)
def test_sigmoid_from_tanh_stands_large_inputs(student):
    """0 and 1 at -1000 and 1000, and no overflow on the way."""
    called = "sigmoid_from_tanh(x) for large |x|"
    assert_limits(student.sigmoid_from_tanh, sigma, 1.0 * (LARGE > 0), called)


@pytest.mark.exercise("q1-log-sigmoid", points=2, hidden=True, shares=True)
def test_log_sigmoid_stands_large_inputs(student):
    """x far to the left, 0 far to the right; never the logarithm of 0."""
    called = "log_sigmoid(x) for large |x|"
    assert_limits(student.log_sigmoid, log_sigma, np.minimum(LARGE, 0.0), called)


@pytest.mark.exercise("q1-dsigmoid", points=1, hidden=True, shares=True)
def test_dsigmoid_stands_large_inputs(student):
    """0 on both sides, and no overflow on the way."""
    assert_limits(student.dsigmoid, sigma_prime, 0.0, "dsigmoid(x) for large |x|")


@pytest.mark.exercise("q1-dtanh", points=1, hidden=True, shares=True)
def test_dtanh_stands_large_inputs(student):
    """0 on both sides, and no overflow on the way."""
    assert_limits(student.dtanh, tanh_prime, 0.0, "dtanh(x) for large |x|")


@pytest.mark.exercise("q1-sign", points=1, hidden=True, shares=True)
def test_sign_holds_for_tiny_and_large_numbers_and_integers(student):
    """Whatever is more than 0 is positive; plain numbers and lists are inputs, too."""
    x = np.array([-1e300, -1000.0, -1e-300, -0.0, 0.0, 1e-300, 1000.0, 1e300])
    assert_close(student.sign(x), np.sign(x), called="sign(x)")
    assert_takes_numbers_and_lists(student.sign, np.sign, "sign")


@pytest.mark.exercise("q1-grad-l1", points=1, hidden=True, shares=True)
def test_grad_l1_is_zero_where_x_is_zero(student, rng):
    """The kink of |x| takes the value in the middle."""
    x = zeros_and_signs(rng, 8)
    assert_close(student.grad_l1(x), np.sign(x), called="grad_l1(x) with zeros in x")
