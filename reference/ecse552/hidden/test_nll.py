"""Hidden checks of question 3: the sigmoid as an output unit. Students get none of this file."""

import numpy as np
import pytest

from grader.checks import assert_in_range, assert_stable


@pytest.mark.exercise("q3-nll", points=2, hidden=True, shares=True)
def test_nll_is_finite_and_exact_for_large_arguments(student):
    """|z| on the wrong side, 0 on the right one."""
    z, y = np.array([-1e4, -1000.0, -800.0, 800.0, 1000.0, 1e4]), np.array([1, 0, 1, 0, 1, 0])
    wrong = np.where((2 * y - 1) * z < 0, np.abs(z), 0.0)
    assert_stable(student.nll(z, y), at=z, limits=wrong, called="nll(z, y)")


@pytest.mark.exercise("q3-nll-prime", points=2, hidden=True, shares=True)
def test_the_slope_never_exceeds_1_and_meets_its_limits(student, rng):
    """-1, 0, 0 and 1 far out; within [-1, 1] everywhere."""
    z, y = rng.normal(size=200) * 50, rng.integers(0, 2, size=200)
    assert_in_range(student.nll_prime(z, y), -1.0, 1.0, noun="the slope")
    z, y = np.array([-1e4, -1000.0, -800.0, 800.0, 1000.0, 1e4]), np.array([1, 0, 1, 0, 1, 0])
    limits = np.where((2 * y - 1) * z < 0, 1 - 2 * y, 0)
    assert_stable(student.nll_prime(z, y), at=z, limits=limits)
