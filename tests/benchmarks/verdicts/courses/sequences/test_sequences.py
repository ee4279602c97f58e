"""Layers for sequences, held to their formulas, to identities and to finite differences."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


@pytest.mark.exercise("norm", points=2)
def test_layer_norm(student, rng):
    for shape in [(4, 6), (5, 5)]:
        x, eps = rng.normal(size=shape) * 2 + 1, 0.1
        gamma, beta = rng.normal(size=(2, shape[1]))
        want = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps)
        called = "layer_norm(x, gamma, beta, eps)"
        got = call_unchanging(student.layer_norm, x, gamma, beta, eps, called=called)
        assert_close(got, want * gamma + beta, called=called, terms={"beta": beta})


@pytest.mark.exercise("norm", points=2)
def test_rms_norm(student, rng):
    for shape in [(4, 6), (3, 3)]:
        x, gamma = rng.normal(size=shape), rng.uniform(0.5, 2, size=shape[1])
        want = x / np.sqrt((x**2).mean(axis=1))[:, None] * gamma
        assert_close(student.rms_norm(x, gamma), want, called="rms_norm(x, gamma)")


@pytest.mark.exercise("norm", points=2)
def test_dropout(student, rng):
    for p in (0.2, 0.7):
        x, u = rng.normal(size=(5, 4)), rng.uniform(size=(5, 4))
        want = np.where(u < p, 0.0, x / (1 - p))
        got = call_unchanging(student.dropout, x, u, p, called="dropout(x, u, p)")
        assert_close(
            got, want, called="dropout(x, u, p)", inputs={"x": x}, factors={"1 - p": 1 - p}
        )


@pytest.mark.exercise("attention", points=1)
def test_causal_mask(student):
    for T in (1, 4, 6):
        got = student.causal_mask(T)
        assert_close(got, np.tril(np.ones((T, T))), called=f"causal_mask({T})")


@pytest.mark.exercise("attention", points=3)
def test_attention_weights(student, reference, rng):
    for tq, d in ((4, 3), (5, 5)):
        Q, K = rng.normal(size=(2, tq, d))
        got = student.attention_weights(Q, K)
        want = reference.attention_weights(Q, K)
        assert_close(got, want, called="attention_weights(Q, K)", atol=1e-8)


@pytest.mark.exercise("attention", points=2)
def test_attend(student, reference, rng):
    Q, K = rng.normal(size=(2, 4, 3))
    V = rng.normal(size=(4, 5))
    want = reference.attend(Q, K, V)
    assert_close(student.attend(Q, K, V), want, called="attend(Q, K, V)", atol=1e-8)


@pytest.mark.exercise("attention", points=2)
def test_positions(student, rng):
    for T, d in ((5, 4), (3, 8)):
        want = np.array(
            [[(np.sin, np.cos)[j % 2](t / 10000 ** ((j - j % 2) / d)) for j in range(d)]
             for t in range(T)]
        )  # fmt: skip
        assert_close(student.positions(T, d), want, called=f"positions({T}, {d})")


def cell(student, rng, n=3, d=2):
    W, U, b = rng.normal(size=(n, n)), rng.normal(size=(n, d)), rng.normal(size=n)
    return student.RNN(W, U, b), (W, U, b)


@pytest.mark.exercise("rnn", points=3)
def test_rnn_forward(student, rng):
    rnn, (W, U, b) = cell(student, rng)
    x = rng.normal(size=(4, 2))
    h, want = np.zeros(3), []
    for row in x:
        h = np.tanh(W @ h + U @ row + b)
        want.append(h)
    assert_close(rnn.forward(x), np.array(want), called="forward(x)")


@pytest.mark.exercise("rnn", points=3)
def test_rnn_gradient(student, reference, rng):
    rnn, parts = cell(student, rng)
    x, target = rng.normal(size=(3, 2)), rng.normal(size=3)
    right = reference.RNN(*parts).loss_gradient(x, target)
    got = rnn.loss_gradient(x, target)
    for name, mine, theirs in zip(("dL/dW", "dL/db"), got, right, strict=True):
        assert_close(mine, theirs, called="loss_gradient(x, target)", noun=name)
