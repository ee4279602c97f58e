"""Hidden checks of question 1: a multilayer perceptron by hand. Students get none of this file."""

import numpy as np
import pytest
from test_mlp import (
    CONVENTIONS,
    HIDDEN,
    OUTPUT,
    assert_backward,
    assert_forward,
    assert_update,
    error_on,
    train,
)

from grader.checks import as_scalar, assert_close_to_one_of
from grader.errors import CheckFailed


@pytest.mark.exercise("q1-forward", points=2, hidden=True, shares=True)
def test_forward_and_loss_hold_for_other_sizes(student, rng):
    """Wide and narrow layers; the loss of one output and of many."""
    for sizes in [(3, 8, 7, 3), (9, 2, 5, 4)]:
        assert_forward(student, rng, sizes)
    for n in (1, 8):
        y_hat, y = rng.random(n), rng.integers(0, 2, size=n).astype(float)
        conventions = {k: f * np.sum((y_hat - y) ** 2) for k, f in CONVENTIONS.items()}
        got = as_scalar(student.sse(y_hat, y), called="sse(y_hat, y)")
        assert_close_to_one_of(got, conventions, noun="the loss")


@pytest.mark.exercise("q1-output-gradients", points=4, hidden=True, shares=True)
def test_output_gradients_hold_for_other_sizes(student, rng):
    """Other layers and other samples; as many units below as outputs, too."""
    for sizes in [(2, 4, 3, 3), (7, 3, 8, 5)]:
        assert_backward(student, rng, OUTPUT, sizes)


@pytest.mark.exercise("q1-hidden-gradients", points=5, hidden=True, shares=True)
def test_hidden_gradients_hold_for_other_sizes(student, rng):
    """Layers of equal size, where a transposed weight matrix fits, and very different ones."""
    for sizes in [(4, 4, 4, 4), (3, 8, 2, 5)]:
        assert_backward(student, rng, HIDDEN, sizes)


@pytest.mark.exercise("q1-update", points=3, hidden=True, shares=True)
def test_update_holds_for_other_learning_rates_and_sizes(student, rng):
    """Small and large steps."""
    for eta, sizes in [(0.01, (2, 3, 5, 3)), (4.0, (8, 3, 2, 1))]:
        for part in "Wb":
            assert_update(student, rng, part, eta, sizes)


def small_digits(datasets, rng, m):
    """Return x (m, 49) in [0, 1], zeros, ones and twos pooled 4 x 4, and their one-hot y (m, 3)."""
    images, classes = datasets("mnist")
    rows = rng.permutation(np.flatnonzero(classes < 3))[:m]
    x = images[rows].reshape(m, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(m, 49) / 255.0
    return x, np.eye(3)[classes[rows]]


@pytest.mark.exercise("q1-update", points=4, hidden=True)
def test_training_learns_to_tell_three_digits_apart(student, rng, datasets):
    """Guessing the targets' means gives an error of 0.22; both conventions end below 0.08."""
    x, y = small_digits(datasets, rng, 450)
    data = x[:300], y[:300], x[300:], y[300:]
    params, *_ = train(student, data, 15, hidden=(20, 12), eta=0.5)
    error = error_on(student, *data[2:], params)
    if not error < 0.15:
        hint = "Do one step by hand, then print the error after each epoch: it has to fall."
        raise CheckFailed(f"the validation error is still {error:.3f} after 15 epochs", hint=hint)
