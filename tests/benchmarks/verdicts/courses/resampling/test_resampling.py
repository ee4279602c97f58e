"""Estimates and resampling, held to numpy and to the definitions."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


@pytest.mark.exercise("describe", points=2)
def test_standard_error(student, rng):
    for n in (5, 9, 20):
        x = rng.normal(size=n) * 3 + 1
        want = np.std(x, ddof=1) / np.sqrt(n)
        assert_close(student.standard_error(x), want, called="standard_error(x)", factors={"n": n})


@pytest.mark.exercise("describe", points=2)
def test_z_scores(student, rng):
    for shape in [(7, 3), (5, 5), (4, 6)]:
        X = rng.normal(size=shape) * rng.uniform(0.5, 3, size=shape[1]) + 2
        got = call_unchanging(student.z_scores, X, called="z_scores(X)", names=("X",))
        want = (X - X.mean(axis=0)) / X.std(axis=0)
        assert_close(got, want, called="z_scores(X)", inputs={"X": X})


@pytest.mark.exercise("describe", points=2)
def test_weighted_mean(student, rng):
    for n in (4, 7, 10, 3):
        x, w = rng.normal(size=n), rng.uniform(0.2, 3, size=n)
        got = student.weighted_mean(x, w)
        assert_close(got, np.average(x, weights=w), called="weighted_mean(x, w)")


@pytest.mark.exercise("describe", points=2)
def test_correlation(student, rng):
    for n in (6, 12, 30, 8):
        x = rng.normal(size=n) + 3
        y = 0.5 * x + rng.normal(size=n)
        assert_close(student.correlation(x, y), np.corrcoef(x, y)[0, 1], called="correlation(x, y)")


@pytest.mark.exercise("repeat", points=2)
def test_jackknife(student, rng):
    x = rng.normal(size=8)
    for statistic in (np.median, lambda v: np.sum(v**2)):
        want = [statistic(np.concatenate([x[:i], x[i + 1 :]])) for i in range(8)]
        assert_close(student.jackknife(x, statistic), want, called="jackknife(x, statistic)")


@pytest.mark.exercise("repeat", points=2)
def test_bootstrap_means(student, rng):
    for n, b in ((6, 9), (5, 5)):
        x, draws = rng.normal(size=n), rng.integers(0, n, size=(b, n))
        want = np.array([x[row].mean() for row in draws])
        assert_close(student.bootstrap_means(x, draws), want, called="bootstrap_means(x, draws)")


@pytest.mark.exercise("repeat", points=2)
def test_permutation_p(student, rng):
    for size in (19, 99, 40, 73):
        permuted = rng.normal(size=size)
        for observed in (-0.8, 1.1, permuted[3]):
            want = (1 + sum(abs(v) >= abs(observed) for v in permuted)) / (1 + size)
            got = student.permutation_p(observed, permuted)
            assert_close(got, want, called="permutation_p(observed, permuted)")


@pytest.mark.exercise("series", points=2)
def test_moving_average(student, rng):
    for n, k in ((9, 3), (8, 4), (5, 1)):
        x = rng.normal(size=n)
        want = [x[i : i + k].mean() for i in range(n - k + 1)]
        got = call_unchanging(student.moving_average, x, k, called=f"moving_average(x, {k})")
        assert_close(got, want, called=f"moving_average(x, {k})", factors={"k": k})


@pytest.mark.exercise("series", points=2)
def test_exponential_smoothing(student, reference, rng):
    for alpha in (0.3, 0.8):
        x = rng.normal(size=8)
        called = f"exponential_smoothing(x, {alpha})"
        got = call_unchanging(student.exponential_smoothing, x, alpha, called=called)
        assert_close(got, reference.exponential_smoothing(x, alpha), called=called)


@pytest.mark.exercise("series", points=2)
def test_autocorrelation(student, rng):
    for lag in (1, 2, 5):
        x = rng.normal(size=15).cumsum()
        d = x - np.mean(x)
        want = sum(d[t] * d[t + lag] for t in range(15 - lag)) / sum(d**2)
        got = student.autocorrelation(x, lag)
        assert_close(got, want, called=f"autocorrelation(x, {lag})")
