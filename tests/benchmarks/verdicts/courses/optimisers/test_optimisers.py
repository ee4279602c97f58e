"""Optimisers: one step each, from random places."""

import numpy as np
import pytest

from grader.checks import as_array, assert_close, call_unchanging


@pytest.mark.exercise("descent", points=2)
def test_sgd_step(student, rng):
    for shape in [(6,), (3, 4)]:
        w, g, lr = rng.normal(size=shape), rng.normal(size=shape), rng.uniform(0.1, 0.7)
        got = call_unchanging(
            student.sgd_step, w, g, lr, called="sgd_step(w, g, lr)", names=("w", "g")
        )
        assert_close(got, w - lr * g, called="sgd_step(w, g, lr)", inputs={"w": w, "g": g})


@pytest.mark.exercise("descent", points=2)
def test_momentum_step(student, rng):
    w, g, v = rng.normal(size=(3, 7))
    lr, mu = rng.uniform(0.1, 0.7), rng.uniform(0.5, 0.95)
    called = "momentum_step(w, g, v, lr, mu)"
    got_w, got_v = student.momentum_step(w, g, v, lr, mu)
    velocity = mu * v - lr * g
    assert_close(got_v, velocity, called=called, noun="v", factors={"lr": lr, "mu": mu})
    assert_close(got_w, w + velocity, called=called, noun="w")


@pytest.mark.exercise("descent", points=2)
def test_decayed_step(student, rng):
    w, g_w = rng.normal(size=(2, 4, 3))
    b, g_b = rng.normal(size=(2, 4))
    lr, decay = rng.uniform(0.1, 0.7), rng.uniform(0.1, 0.4)
    called = "decayed_step(w, b, g_w, g_b, lr, decay)"
    got_w, got_b = student.decayed_step(w, b, g_w, g_b, lr, decay)
    assert_close(got_w, w - lr * (g_w + decay * w), called=called, noun="w")
    assert_close(got_b, b - lr * g_b, called=called, noun="b")


@pytest.mark.exercise("descent", points=2)
def test_momentum_keeps_its_velocity(student, rng):
    w, lr, mu = rng.normal(size=5), rng.uniform(0.1, 0.7), rng.uniform(0.5, 0.95)
    optimiser = student.Momentum(w, lr, mu)
    velocity = np.zeros(5)
    for step in range(3):
        g = rng.normal(size=5)
        velocity = mu * velocity - lr * g
        w = w + velocity
        optimiser.step(g)
        assert_close(as_array(optimiser.w), w, called="step(g)", noun=f"w after step {step + 1}")


@pytest.mark.exercise("adaptive", points=3)
def test_rmsprop_step(student, rng):
    w, g = rng.normal(size=(2, 7))
    s = rng.uniform(0.1, 2.0, size=7)
    lr, rho, eps = rng.uniform(0.1, 0.7), rng.uniform(0.6, 0.95), 1e-3
    called = "rmsprop_step(w, g, s, lr, rho, eps)"
    got_w, got_s = student.rmsprop_step(w, g, s, lr, rho, eps)
    average = rho * s + (1 - rho) * g**2
    assert_close(got_s, average, called=called, noun="s")
    assert_close(got_w, w - lr * g / (np.sqrt(average) + eps), called=called, noun="w")


@pytest.mark.exercise("adaptive", points=3)
def test_adam_step(student, reference, rng):
    w, g, m = rng.normal(size=(3, 7))
    v = rng.uniform(0.1, 2.0, size=7)
    called = "adam_step(w, g, m, v, t, lr, beta1, beta2, eps)"
    for t in (1, 2, 5):
        given = (w, g, m, v, t, 0.3, 0.8, 0.95, 1e-3)
        expected = reference.adam_step(*given)
        for name, mine, theirs in zip("wmv", student.adam_step(*given), expected, strict=True):
            assert_close(mine, theirs, called=called, noun=name)


@pytest.mark.exercise("rates", points=2)
def test_step_schedule(student):
    for epoch, every in [(0, 3), (2, 3), (3, 3), (7, 3), (10, 5)]:
        expected = 0.4 * 0.7 ** (epoch // every)
        called = f"step_schedule(0.4, {epoch}, 0.7, {every})"
        assert_close(student.step_schedule(0.4, epoch, 0.7, every), expected, called=called)


@pytest.mark.exercise("rates", points=2)
def test_clip_by_norm(student, rng):
    for shape in [(5,), (3, 4)]:
        g = rng.normal(size=shape)
        norm = np.linalg.norm(g)
        for limit in (0.4 * norm, 1.7 * norm):
            expected = g * min(1.0, limit / norm)
            got = student.clip_by_norm(g, limit)
            assert_close(got, expected, called="clip_by_norm(g, limit)", factors={"limit": limit})


@pytest.mark.exercise("rates", points=2)
def test_newton_step(student, rng):
    w, g = rng.normal(size=(2, 4))
    half = rng.normal(size=(4, 4))
    H = half @ half.T + np.eye(4)
    got = call_unchanging(
        student.newton_step, w, g, H, called="newton_step(w, g, H)", names=("w", "g", "H")
    )
    assert_close(
        got, w - np.linalg.solve(H, g), called="newton_step(w, g, H)", inputs={"w": w, "g": g}
    )
