"""Grids and signals, held to polynomials, exact solutions and numpy's own functions."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


@pytest.mark.exercise("differences", points=2)
def test_second_difference(student, rng):
    u, h = rng.normal(size=9), 0.2
    want = np.diff(u, 2) / h**2
    called = "second_difference(u, 0.2)"
    assert_close(call_unchanging(student.second_difference, u, h, called=called), want,
                 called=called)  # fmt: skip


@pytest.mark.exercise("heat", points=3)
def test_heat(student, rng):
    u = rng.normal(size=8)
    want = u.copy()
    for i in range(1, 7):
        want[i] += 0.3 * (u[i - 1] - 2 * u[i] + u[i + 1])
    got = call_unchanging(student.heat_step, u, 0.3, called="heat_step(u, 0.3)")
    assert_close(got, want, called="heat_step(u, 0.3)")


@pytest.mark.exercise("signals", points=3)
def test_convolution(student, rng):
    for a, b in ((8, 3), (5, 5), (7, 2)):
        x, k = rng.normal(size=a), rng.normal(size=b)
        got = student.fft_convolve(x, k)
        assert_close(got, np.convolve(x, k), called="fft_convolve(x, k)", atol=1e-9)


@pytest.mark.exercise("signals", points=3)
def test_amplitude(student, rng):
    for n, rate, freq in ((200, 100, 12), (64, 32, 5)):
        t = np.arange(n) / rate
        size = rng.uniform(1, 4)
        x = size * np.sin(2 * np.pi * freq * t + rng.uniform(0, 3)) + 2.5
        got = student.amplitude_at(x, rate, freq)
        assert_close(got, size, called=f"amplitude_at(x, {rate}, {freq})", factors={"n": n})


@pytest.mark.exercise("sampling", points=2)
def test_importance(student, rng):
    values, log_p, log_q = rng.normal(size=(3, 9))
    want = np.average(values, weights=np.exp(log_p - log_q))
    called = "importance_mean(values, log_p, log_q)"
    got = call_unchanging(student.importance_mean, values, log_p, log_q, called=called)
    assert_close(got, want, called=called)


@pytest.mark.exercise("sampling", points=1)
def test_importance_far_out(student, rng):
    values, log_p, log_q = rng.normal(size=(3, 9))
    want = np.average(values, weights=np.exp(log_p - log_q))
    got = student.importance_mean(values, log_p - 3000, log_q)
    assert_close(got, want, called="importance_mean(values, log_p - 3000, log_q)")
