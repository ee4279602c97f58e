"""Hidden checks of question 3: perceptron. Students get none of this file."""

import numpy as np
import pytest
from test_q3 import (
    RATE,
    H,
    K,
    N,
    assert_logistic_step,
    assert_network_step,
    classes_of_a_step,
    known_steps,
    layers_of,
    make_mlp,
    network,
    scores,
    soft,
    some_weights,
)

from grader.checks import as_array, assert_accuracy, assert_close, assert_unchanged
from grader.errors import CheckFailed, StudentError


def clothes(rng, datasets, m=1200):
    """Return m images of 14 x 14 pixels and their classes to train on, and 500 to test with."""
    images, labels = datasets("fashion-mnist")
    rows = rng.permutation(len(labels))[: m + 500]
    X = images[rows].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196) / 256
    X, y = np.column_stack([X, np.ones(len(X))]), labels[rows].astype(int)
    return X[:m], y[:m], X[m:], y[m:]


def trained_accuracy(model, data, epochs=4, **rate):
    """Return the best accuracy on the test images after the last three epochs, from W alone.

    A perceptron's accuracy goes up and down from epoch to epoch.
    """
    X, y, X_test, y_test = data
    found = []
    for epoch in range(1, epochs + 1):
        model.train_epoch(X, y, **rate)
        W = as_array(model.W, called=f"W after {epoch} epochs", shape=(10, X.shape[1]))
        found.append(np.mean(np.argmax(X_test @ W.T, axis=1) == y_test))
    return max(found[-3:])


@pytest.mark.exercise("q3-perceptron", points=1, hidden=True)
def test_the_perceptron_learns_to_tell_clothes(student, rng, datasets):
    """After 6 epochs over 1200 images: 52 to 82 % in 300 seeds; with argmin 8 to 51 %."""
    accuracy = trained_accuracy(student.Perceptron(10, 197), clothes(rng, datasets), epochs=6)
    called = "the test accuracy after 6 epochs"
    assert_accuracy(accuracy, at_least=0.51, classes=10, called=called)


@pytest.mark.exercise("q3-logistic", points=1, hidden=True)
def test_a_logistic_step_holds_for_other_sizes_and_rates(student, rng):
    """Two classes, one feature, the default learning rate of 0.001."""
    for k, n, rate in [(2, 3, 0.4), (10, 20, 0.01), (3, 1, None)]:
        try:
            assert_logistic_step(student, rng, k=k, n=n, rate=rate)
        except StudentError as error:
            if error.kind not in ("ValueError", "IndexError") or classes_of_a_step(student) == K:
                raise
            raise CheckFailed(
                f"a step for {k} classes stops with {error.kind}, where one for ten does not",
                hint="Is 10 written as a number? self.W has a row for each class.",
                called="update_weight(x_i, y_i)",
            ) from error


@pytest.mark.exercise("q3-logistic", points=2, hidden=True)
def test_logistic_regression_learns_to_tell_clothes(student, rng, datasets):
    """After 6 epochs over 1200 images: 70 to 83 % in 300 seeds; with two softmaxes at most 67.6."""
    model, data = student.LogisticRegression(10, 197), clothes(rng, datasets)
    accuracy = trained_accuracy(model, data, epochs=6, learning_rate=0.01)
    called = "the test accuracy after 6 epochs"
    assert_accuracy(accuracy, at_least=0.68, classes=10, called=called)


@pytest.mark.exercise("q3-mlp", points=0.5, hidden=True)
def test_a_step_stands_large_scores(student, rng):
    """Scores near 1000, as the first ones of a wide network are: a step and no nan."""
    model, layers, size = network(student, 10)
    weights = some_weights(rng, size)
    x, y, called = rng.normal(size=size[0]), 2, "train_epoch(X, y), scores near 1000"
    weights[3] = np.linspace(-1000.0, 970.0, 10)
    weights[3][:3] = 980.0, 1000.0, 995.0
    weights[2] *= 0.1
    layers.write(*weights)
    model.train_epoch(x[None, :], np.array([y]), learning_rate=RATE)
    step = (weights[3] - layers.read()[3]) / RATE
    if not np.isfinite(step).all():
        hint = "Subtract the largest score before exp."
        raise CheckFailed("b2's step is not finite", hint=hint, called=called)
    due = soft(scores(x, *weights)) - np.eye(10)[y]
    known = {words: steps[3] for words, steps in known_steps(x, y, weights).items()}
    assert_close(step, due, rtol=1e-6, atol=1e-8, called=called, noun="b2's step", mistakes=known)


@pytest.mark.exercise("q3-mlp", points=0.5, hidden=True)
def test_a_step_holds_for_another_number_of_classes(student, rng):
    """Four classes, where the sheet's own data has ten."""
    model = make_mlp(student)
    try:
        model.train_epoch(rng.normal(size=(3, N)), np.arange(3), learning_rate=RATE)
        layers = layers_of(model)
        assert_network_step(model, layers, rng, (N, H, K), shown=False)
    except StudentError as error:
        if error.kind not in ("ValueError", "IndexError"):
            raise
        raise CheckFailed(
            f"a step for {K} classes stops with {error.kind}, where one for ten classes may not",
            hint="Is 10 written as a number? The constructor is given n_classes.",
            called="train_epoch(X, y)",
        ) from error


@pytest.mark.exercise("q3-mlp", points=0.5, hidden=True)
def test_an_epoch_makes_one_step_for_each_example(student, rng):
    """Two examples in one call do what two calls with one of them do, in either order."""
    model, layers, size = network(student, 10)
    weights = some_weights(rng, size)
    X, y = rng.normal(size=(2, size[0])), np.array([0, 2])

    def after(*epochs):
        layers.write(*weights)
        for rows in epochs:
            model.train_epoch(X[rows], y[rows], learning_rate=RATE)
        return np.concatenate([array.ravel() for array in layers.read()])

    got = after([0, 1])
    if not any(np.allclose(got, after(*order)) for order in [([0], [1]), ([1], [0])]):
        raise CheckFailed("an epoch is not one step for each example, one after the other")
    X_before = X.copy()
    seen = model.train_epoch.observe(X, y, learning_rate=RATE)
    assert_unchanged((X_before, y), seen.arguments, called="train_epoch(X, y)")


@pytest.mark.exercise("q3-mlp", points=1, hidden=True)
def test_the_network_learns_to_tell_clothes(student, rng, datasets):
    """After 4 epochs over 1200 images: right ones reach 66 to 79 %, W2 alone mostly below 62 %."""
    X, y, X_test, y_test = clothes(rng, datasets)
    model = make_mlp(student, 10, 196, 50)
    for _ in range(4):
        model.train_epoch(X[:, :-1], y, learning_rate=0.01)
    labels = as_array(model.predict(X_test[:, :-1]), called="predict(X)", shape=(500,))
    called = "the accuracy after 4 epochs"
    assert_accuracy(np.mean(labels == y_test), at_least=0.62, classes=10, called=called)
