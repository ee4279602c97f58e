"""The Kalman filter, held to the definitions and to the information form."""

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


@pytest.mark.exercise("steps", points=2)
def test_predict(student, rng):
    x, P, A, Q, _, _ = problem(rng)
    got = call_unchanging(student.predict, x, P, A, Q, called="predict(x, P, A, Q)")
    assert_close(got[0], A @ x, called="predict(x, P, A, Q)", noun="the state")
    want = A @ P @ A.T + Q
    assert_close(got[1], want, called="predict(x, P, A, Q)", noun="the covariance")


@pytest.mark.exercise("steps", points=3)
def test_gain(student, rng):
    _, P, _, _, H, R = problem(rng)
    want = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
    assert_close(student.gain(P, H, R), want, called="gain(P, H, R)")


@pytest.mark.exercise("steps", points=3)
def test_update_is_the_information_form(student, rng):
    x, P, _, _, H, R = problem(rng)
    z = rng.normal(size=2)
    cov = np.linalg.inv(np.linalg.inv(P) + H.T @ np.linalg.inv(R) @ H)
    mean = cov @ (np.linalg.inv(P) @ x + H.T @ np.linalg.inv(R) @ z)
    got = call_unchanging(student.update, x, P, z, H, R, called="update(x, P, z, H, R)")
    assert_close(got[0], mean, called="update(x, P, z, H, R)", noun="the state")
    assert_close(got[1], cov, called="update(x, P, z, H, R)", noun="the covariance")


@pytest.mark.exercise("vehicle", points=2)
def test_turn(student, rng):
    angle, speed, dt = rng.uniform(100, 170), rng.uniform(5, 9), 0.3
    want = [speed * dt * np.sin(np.pi * angle / 180), speed * dt * np.cos(np.pi * angle / 180)]
    assert_close(student.turn(angle, speed, dt), want, called="turn(angle, speed, dt)")
    assert_close(student.turn(90, 2, 0.5), [1, 0], called="turn(90, 2, 0.5)", atol=1e-9)


@pytest.mark.exercise("vehicle", points=2)
def test_rmse(student, rng):
    a, b = rng.normal(size=(2, 6, 3))
    want = np.sqrt(((a - b) ** 2).sum() / 6)
    assert_close(student.rmse(a, b), want, called="rmse(states, truth)")
