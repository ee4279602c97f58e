"""The boundary value problem, held to the solved notebook."""

import numpy as np
import pytest

from grader.checks import assert_close


@pytest.mark.exercise("differences", points=4)
def test_boundary_value_problem(student, reference):
    def f(x):
        return np.exp(x) + 3 * x

    for n in (6, 11):
        got = student.solve_bvp(f, 0.7, -1.3, n)
        want = reference.solve_bvp(f, 0.7, -1.3, n)
        assert_close(got, want, called=f"solve_bvp(f, 0.7, -1.3, {n})")
