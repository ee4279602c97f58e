"""Mixtures of Gaussians, held to their definitions."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_probabilities, call_unchanging

N, D, K = 7, 2, 3


def some_mixture(rng):
    """Return X (N, D), weights (K,), means (K, D), variances (K, D)."""
    weights = rng.uniform(1, 3, size=K)
    return (
        rng.normal(size=(N, D)),
        weights / weights.sum(),
        rng.normal(size=(K, D)),
        rng.uniform(0.5, 2, size=(K, D)),
    )


@pytest.mark.exercise("e-step", points=3)
def test_log_densities(student, rng):
    X, _, means, variances = some_mixture(rng)
    want = np.zeros((N, K))
    for i in range(N):
        for j in range(K):
            for f in range(D):
                want[i, j] += -((X[i, f] - means[j, f]) ** 2) / (2 * variances[j, f])
                want[i, j] -= np.log(2 * np.pi * variances[j, f]) / 2
    called = "log_densities(X, means, variances)"
    assert_close(call_unchanging(student.log_densities, X, means, variances, called=called), want,
                 called=called)  # fmt: skip


@pytest.mark.exercise("e-step", points=2)
def test_responsibilities(student, rng):
    L, weights = rng.normal(size=(N, K)), np.array([0.5, 0.3, 0.2])
    want = weights * np.exp(L)
    want /= want.sum(axis=1)[:, None]
    called = "responsibilities(L, weights)"
    got = call_unchanging(student.responsibilities, L, weights, called=called)
    assert_close(got, want, called=called)


@pytest.mark.exercise("e-step", points=1)
def test_responsibilities_far_out(student, rng):
    L = rng.normal(size=(N, K)) - 5000
    assert_probabilities(student.responsibilities(L, np.full(K, 1 / K)), axis=1)


def some_r(rng):
    R = rng.uniform(0.1, 1, size=(N, K))
    return R / R.sum(axis=1, keepdims=True)


@pytest.mark.exercise("m-step", points=2)
def test_new_weights(student, rng):
    X, R = rng.normal(size=(N, D)), some_r(rng)
    weights = student.m_step(X, R, 0.01)[0]
    assert_close(weights, R.mean(axis=0), called="m_step(X, R, 0.01)", noun="weights")


@pytest.mark.exercise("m-step", points=2)
def test_new_means(student, rng):
    X, R = rng.normal(size=(N, D)), some_r(rng)
    got = call_unchanging(student.m_step, X, R, 0.01, called="m_step(X, R, 0.01)")[1]
    want = [sum(R[i, j] * X[i] for i in range(N)) / R[:, j].sum() for j in range(K)]
    assert_close(got, np.array(want), called="m_step(X, R, 0.01)", noun="means")


@pytest.mark.exercise("m-step", points=2)
def test_new_variances(student, rng):
    X, R = rng.normal(size=(N, D)), some_r(rng)
    got = student.m_step(X, R, 0.01)[2]
    want = np.zeros((K, D))
    for j in range(K):
        mean = np.average(X, axis=0, weights=R[:, j])
        want[j] = np.average((X - mean) ** 2, axis=0, weights=R[:, j]) + 0.01
    assert_close(got, want, called="m_step(X, R, 0.01)", noun="variances")


@pytest.mark.exercise("score", points=2)
def test_likelihood(student, rng):
    L, weights = rng.normal(size=(N, K)), np.array([0.5, 0.3, 0.2])
    want = np.log((np.exp(L) * weights).sum(axis=1)).sum()
    called = "total_log_likelihood(L, weights)"
    assert_close(student.total_log_likelihood(L, weights), want, called=called)
    far = student.total_log_likelihood(L - 5000, weights)
    assert_close(far, want - 5000 * N, called="total_log_likelihood(L - 5000, weights)")


@pytest.mark.exercise("score", points=2)
def test_bic(student, rng):
    for n, d, k in ((50, 2, 3), (80, 4, 5), (31, 1, 2)):
        ll = -rng.uniform(100, 300)
        want = (2 * k * d + k - 1) * np.log(n) - 2 * ll
        assert_close(student.bic(ll, n, d, k), want, called=f"bic(ll, {n}, {d}, {k})")
