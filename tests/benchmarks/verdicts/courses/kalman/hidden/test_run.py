"""The whole filter, held to the solved notebook."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


def psd(rng, n):
    M = rng.normal(size=(n, n))
    return M @ M.T + 0.1 * np.eye(n)


def problem(rng, n=3, m=2):
    """Return x, P, A, Q, H, R."""
    return (rng.normal(size=n), psd(rng, n), rng.normal(size=(n, n)), psd(rng, n),
            rng.normal(size=(m, n)), psd(rng, m))  # fmt: skip


@pytest.mark.exercise("filter", points=4)
def test_run(student, reference, rng):
    x, P, A, Q, H, R = problem(rng)
    Z = rng.normal(size=(5, 2))
    called = "run(x, P, Z, A, Q, H, R)"
    got = call_unchanging(student.run, x, P, Z, A, Q, H, R, called=called)
    assert_close(got, reference.run(x, P, Z, A, Q, H, R), called=called)
