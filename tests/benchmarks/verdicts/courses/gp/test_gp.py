"""Gaussian processes, held to loops, to identities and to the solved notebook."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_psd, call_unchanging


def kernel(A, B, length, scale):
    d2 = ((A[:, None, :] - B[None, :, :]) ** 2).sum(axis=2)
    return scale**2 * np.exp(-d2 / (2 * length**2))


def data(rng, n=6, m=4, d=2):
    """Return X (n, d), y (n,), Xs (m, d)."""
    return rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=(m, d))


@pytest.mark.exercise("kernel", points=3)
def test_the_kernel_matches_its_definition(student, rng):
    A, _, B = data(rng)
    want = np.array([[2.25 * np.exp(-((a - b) @ (a - b)) / (2 * 0.8**2)) for b in B] for a in A])
    got = call_unchanging(student.rbf, A, B, 0.8, 1.5, called="rbf(A, B, 0.8, 1.5)")
    assert_close(got, want, called="rbf(A, B, 0.8, 1.5)")


@pytest.mark.exercise("kernel", points=1)
def test_the_kernel_matrix_is_positive_semidefinite(student, rng):
    A = rng.normal(size=(5, 3))
    K = student.rbf(A, A, 1.3, 0.7)
    assert_psd(K, called="rbf(A, A, 1.3, 0.7)")
    assert_close(np.diag(K), np.full(5, 0.49), called="rbf(A, A, 1.3, 0.7)", noun="the diagonal")


@pytest.mark.exercise("posterior", points=3)
def test_the_mean(student, rng):
    X, y, Xs = data(rng)
    K = kernel(X, X, 0.9, 1.4) + 0.09 * np.eye(6)
    want = kernel(Xs, X, 0.9, 1.4) @ np.linalg.inv(K) @ y
    called = "posterior_mean(X, y, Xs, length, scale, noise)"
    got = call_unchanging(student.posterior_mean, X, y, Xs, 0.9, 1.4, 0.3, called=called)
    assert_close(got, want, called=called)


@pytest.mark.exercise("posterior", points=3)
def test_the_variance(student, rng):
    X, _, Xs = data(rng)
    K = kernel(X, X, 0.9, 1.4) + 0.09 * np.eye(6)
    Ks = kernel(Xs, X, 0.9, 1.4)
    got = student.posterior_variance(X, Xs, 0.9, 1.4, 0.3)
    want = np.diag(kernel(Xs, Xs, 0.9, 1.4) - Ks @ np.linalg.inv(K) @ Ks.T)
    assert_close(got, want, called="posterior_variance(X, Xs, length, scale, noise)")


@pytest.mark.exercise("evidence", points=2)
def test_the_log_likelihood(student, rng):
    for n in (5, 8):
        X, y, _ = data(rng, n=n)
        got = student.log_likelihood(X, y, 0.7, 1.2, 0.4)
        K = kernel(X, X, 0.7, 1.2) + 0.16 * np.eye(n)
        logdet = np.linalg.slogdet(K)[1]
        want = -(y @ np.linalg.inv(K) @ y + logdet + n * np.log(2 * np.pi)) / 2
        assert_close(got, want, called="log_likelihood(X, y, length, scale, noise)")


@pytest.mark.exercise("evidence", points=1)
def test_the_log_likelihood_of_many_points_is_finite(student, rng):
    X, y, _ = data(rng, n=400)
    got = student.log_likelihood(X, y, 0.1, 0.05, 0.05)
    assert np.isfinite(got) and got != 0, "log|K| underflows"


@pytest.mark.exercise("evidence", points=2)
def test_improvement(student, rng):
    mean, sd = rng.normal(size=5), rng.uniform(0.5, 2, size=5)
    sd[2] = 0
    want = np.array([0 if s == 0 else (m - 0.3) / s for m, s in zip(mean, sd, strict=True)])
    called = "expected_improvement_z(mean, sd, 0.3)"
    got = call_unchanging(student.expected_improvement_z, mean, sd, 0.3, called=called)
    assert_close(got, want, called=called)
