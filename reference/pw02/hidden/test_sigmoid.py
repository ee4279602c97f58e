"""Hidden checks of exercise 2: the sigmoid function. Students get none of this file."""

import numpy as np
import pytest
from test_sigmoid import at_cases

from grader.checks import assert_close, call_quietly


@pytest.mark.exercise("2ab-sigmoid", points=2, hidden=True, shares=True)
def test_sigmoid_stands_large_inputs(student):
    """0 and 1 at -1000 and 1000, and no overflow on the way."""
    z = np.array([-1e4, -1000.0, -750.0, 750.0, 1000.0, 1e4])
    s = call_quietly(student.sigmoid, z, called="sigmoid(z) for large |z|")
    assert_close(s, 1.0 * (z > 0), called="sigmoid(z) for large |z|")
    ds = call_quietly(student.sigmoid_prime, z, called="sigmoid_prime(z) for large |z|")
    assert_close(ds, 0.0 * z, called="sigmoid_prime(z) for large |z|")


@pytest.mark.exercise("2c-softplus", points=2, hidden=True, shares=True)
def test_softplus_meets_its_asymptotes(student):
    """0 far to the left, z far to the right, finite at 1000 and beyond."""
    z = np.array([-1e4, -1000.0, -50.0, 50.0, 1000.0, 1e4])
    value = call_quietly(student.softplus, z, called="softplus(z) for large |z|")
    assert_close(value, np.maximum(z, 0.0), called="softplus(z) for large |z|")
    slope = student.softplus_prime(z)
    assert_close(slope, 1.0 * (z > 0), called="softplus_prime(z) for large |z|")
    assert_close(student.softplus_second(z), 0.0 * z, called="softplus_second(z) for large |z|")


@pytest.mark.exercise("2f-nonconvex", points=1, hidden=True, shares=True)
def test_c1_inflection_is_where_the_second_derivative_changes_sign(student):
    """A number; c1'' is negative to its left and positive to its right."""
    value = student.value("c1_inflection")
    value = value() if callable(value) else value  # a function of that name will do
    known = {"the sign is lost": np.log(2.0), "it is sigma at the point": 1 / 3}
    assert_close(value, -np.log(2.0), rtol=1e-3, called="c1_inflection", mistakes=known)


@pytest.mark.exercise("2g-convex", points=2, hidden=True, shares=True)
def test_c2_stays_finite_for_large_arguments(student):
    """|w x| = 1000 costs 1000 on the wrong side and 0 on the right one."""
    cases = [(500.0, 2.0, 1), (500.0, 2.0, 0), (500.0, -2.0, 1), (-500.0, 2.0, 0)]
    called = "c2 for large |w x|"
    assert_close(at_cases(student.c2, cases, called), [0, 1000, 1000, 0], called=called)
    grad = at_cases(student.c2_grad, cases, called)
    assert_close(grad, [0, 2, 2, 0], called="c2_grad for large |w x|")
    assert_close(at_cases(student.c2_hess, cases, called), [0, 0, 0, 0], called=called)
