"""Question 2: least squares, its stochastic gradient, and a network of one hidden layer.

A step with the gradient of (y_hat - y)^2 is right, and so is one with half of it. The network's
parameters are found by their sizes: their names and layout are the student's own.
"""

import contextlib

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_close,
    assert_close_to_one_of,
    assert_drawn,
    assert_finite,
    assert_gradient,
    assert_labelled,
    assert_monotone,
    assert_one_of,
    assert_series,
    assert_unchanged,
    find_layers,
    partial_credit,
    read_parameters,
)
from grader.errors import CheckFailed, StudentFault

N, H = 7, 5  # inputs and hidden units, so that a transposed matrix shows
RATE = 0.05


# --- 1. the squared loss ---


def some_pairs(rng):
    return [(rng.normal(size=k), rng.normal(size=k)) for k in (1, 2, 7)]


@pytest.mark.exercise("q2-squared-loss", points=2, shares=True)
def test_squared_loss_matches_its_definition(student, rng):
    """Half the sum of squares, a number."""
    called = "squared_loss(z, y)"
    for z, y in some_pairs(rng):
        d = z - y
        known = {"the root is taken": np.sqrt(d @ d), "the half is of the root": np.sqrt(d @ d) / 2}
        known |= {"the square is lost": d.sum() / 2, "it is the mean over K": d @ d / 2 / len(z)}
        got = as_scalar(student.squared_loss(z, y), called=called)
        assert_close(got, d @ d / 2, called=called, mistakes=known, factors={"K": len(z)})


@pytest.mark.exercise("q2-squared-loss", points=1.5, shares=True)
def test_squared_loss_grad_is_the_gradient_by_z(student, rng):
    """Held to finite differences of the loss."""
    called = "squared_loss_grad(z, y)"
    for z, y in some_pairs(rng):
        assert_gradient(
            lambda t, y=y: np.sum((t - y) ** 2) / 2,
            lambda t, y=y: student.squared_loss_grad(t, y),
            at=z, rng=rng, transposed_ok=True, name="z", called=called, factors={"K": len(z)},
        )  # fmt: skip
        assert_close(student.squared_loss_grad(z, y), z - y, called=called)


@pytest.mark.exercise("q2-squared-loss", points=1.5, shares=True)
def test_squared_loss_hess_is_the_identity(student, rng):
    """I, whatever z and y."""
    called = "squared_loss_hess(z, y)"
    for z, y in some_pairs(rng):
        got = as_array(student.squared_loss_hess(z, y), called=called)
        known = {"every element is 1": np.ones((len(z), len(z)))}
        assert_close(got, np.eye(len(z)), called=called, mistakes=known, noun="the Hessian")


# --- 2a. linear regression ---


def make_houses(rng, n=80):
    """Return X (n, 13), two categories and ones among its columns, of rank 11, and y (n,)."""
    first, second = rng.permutation(np.arange(n) % 5), rng.permutation(np.arange(n) % 4)
    X = np.column_stack([rng.normal(size=(n, 3)), np.eye(5)[first], np.eye(4)[second], np.ones(n)])
    return X, X @ rng.normal(size=13) + 0.3 * rng.normal(size=n)


def ridge(X, y, weight):
    return np.linalg.solve(X.T @ X + weight * np.eye(X.shape[1]), X.T @ y)


@pytest.mark.exercise("q2-analytic", points=2, shares=True)
def test_the_analytic_solution_is_that_of_least_squares(student, rng):
    """For an X of full rank there is one; a tiny ridge moves it by next to nothing."""
    called = "solve_analytically(X, y)"
    for n, d in [(60, 5), (25, 8)]:
        X, y = rng.normal(size=(n, d)), rng.normal(size=n)
        w = ridge(X, y, 0.0)
        known = {"a ridge of 1 is not tiny": ridge(X, y, 1.0), "the inverse is lost": X.T @ y}
        got = student.solve_analytically(X, y)
        assert_close(got, w, rtol=2e-3, atol=2e-3 * np.abs(w).max(), called=called, mistakes=known,
                     names={"n_features": d})  # fmt: skip


@pytest.mark.exercise("q2-analytic", points=2, shares=True)
def test_the_analytic_solution_stands_dependent_columns(student, rng):
    """Any minimiser is right: its predictions are those of least squares."""
    X, y = make_houses(rng)
    called = "solve_analytically(X, y), X of rank 11 with 13 columns"
    w = as_array(student.solve_analytically(X, y), called=called, shape=(13,))
    assert_finite(w, called=called)
    fit = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    if np.linalg.norm(X @ w - fit) > 2e-3 * np.linalg.norm(y):
        hint = "X^T X has no inverse here: use lstsq, pinv, or a tiny ridge such as 1e-6."
        raise CheckFailed("X w is not the least-squares fit", hint=hint, called=called)


def step_gradient(student, rng, rate):
    """Return what one step of the student's linear model moved w by, over -rate, with x, y, w.

    rate : None for the default of 0.001
    """
    x, y, w = rng.normal(size=N), float(rng.normal()), rng.normal(size=N)
    model = student.LinearRegression(N)
    model.w = w
    model.update_weight(x, y, **({} if rate is None else {"learning_rate": rate}))
    after = as_array(model.w, called="w after update_weight(x_i, y_i)", shape=(N,))
    if np.array_equal(after, w):
        raise CheckFailed("update_weight leaves w as it was", hint="Assign to self.w.")
    return (w - after) / (rate or 0.001), x, y, w


def assert_step(student, rng, rate):
    got, x, y, w = step_gradient(student, rng, rate)
    error = x @ w - y
    right = error * x
    known = {"the factor x is lost": np.full(N, error), "the error is lost": x}
    known |= {"y is lost": (x @ w) * x, "the error is squared": error**2 * x}
    known |= {"the learning rate is lost": right / (rate or 0.001)}
    assert_close_to_one_of(
        got, {"(w x - y) x": right, "2 (w x - y) x": 2 * right}, rtol=1e-6, mistakes=known,
        called="update_weight(x_i, y_i, learning_rate)", noun="the step over the learning rate",
    )  # fmt: skip


@pytest.mark.exercise("q2-sgd-step", points=2)
def test_a_step_goes_down_the_gradient_of_one_example(student, rng):
    """w moves by -learning_rate (w x - y) x, or twice that."""
    for _ in range(3):
        assert_step(student, rng, RATE)


@pytest.mark.exercise("q2-sgd-step", points=1)
def test_the_distance_from_the_analytic_solution_falls(student, rng):
    """Over 150 epochs the steps lead towards the least-squares solution."""
    X, y = rng.normal(size=(60, 4)), rng.normal(size=60)
    y = y + X @ np.array([2.0, -1.0, 1.0, -2.0])
    model, analytic = student.LinearRegression(4), ridge(X, y, 0.0)
    weights = [np.zeros(4)]
    for _ in range(150):
        model.train_epoch(X, y, learning_rate=0.001)
        weights.append(as_array(model.w, called="w after an epoch", shape=(4,)))
    far = [float(np.linalg.norm(w - analytic)) for w in weights]
    assert_monotone(far, share=0.7, noun="the distance from the analytic solution")
    if far[-1] > 0.3 * far[0]:
        raise CheckFailed("after 150 epochs most of the distance is still there")


@pytest.mark.exercise("q2-distance", points=1, shares=True)
def test_distance_is_the_euclidean_one(student, rng):
    """The root of the sum of squares, a number."""
    called = "distance(analytic_solution, model_params)"
    for d in (3, 20):
        a, b = rng.normal(size=(2, d))
        right = np.linalg.norm(a - b)
        known = {"the root is lost": right**2, "it is the mean": right / np.sqrt(d)}
        known |= {"absolute values are summed": np.abs(a - b).sum()}
        got = as_scalar(student.distance(a, b), called=called)
        assert_close(got, right, called=called, mistakes=known, factors={"d": d})


def falling(rng, n=30):
    """Return epochs 1 ... n and a falling series of n values."""
    return np.arange(1, n + 1), np.sort(rng.uniform(0.1, 2.0, size=n))[::-1].tolist()


@pytest.mark.exercise("q2-distance", points=1)
def test_a_figure_shows_the_distance_over_the_epochs(student, rng):
    """One curve of the values that it is given, with named axes."""
    epochs, dist = falling(rng)
    student.plot_dist_from_analytic(epochs, dist)
    curve = assert_series(student.figures, dist, name="the distance", min_share=0.9)
    try:
        assert_labelled(curve)
    except CheckFailed as failure:
        partial_credit(0.5, failure.problem, failure.hint)


@pytest.mark.exercise("q2-curves", points=1)
def test_a_figure_shows_both_losses_over_the_epochs(student, rng):
    """A curve for the training set and one for the test set, with named axes."""
    (epochs, train), (_, test) = falling(rng), falling(rng)
    student.plot(epochs, train, test)
    curve = assert_series(student.figures, train, name="the training loss", min_share=0.9)
    assert_series(student.figures, test, name="the test loss", min_share=0.9)
    try:
        assert_labelled(curve)
    except CheckFailed as failure:
        partial_credit(0.5, failure.problem, failure.hint)


# --- 2b. a hidden layer ---


def make_network(student, n=N, h=H):
    """Return the student's network after a step of no length: a bias of 0 is an array by then."""
    model = student.NeuralRegression(n, h)
    with contextlib.suppress(StudentFault):  # a step that fails has its own check
        model.update_weight(np.ones(n), 0.5, learning_rate=0.0)
    return model


def some_weights(rng):
    """Return W1 (H, N), b1 (H,), W2 (1, H), b2 (1,); some of the hidden units are off."""
    W1, b1 = 0.4 * rng.normal(size=(H, N)), 0.5 * rng.normal(size=H)
    return W1, b1, rng.normal(size=(1, H)), rng.normal(size=1)


def forward(X, W1, b1, W2, b2):
    """Return the network's outputs, (m,), for X (m, N)."""
    return (np.maximum(X @ W1.T + b1, 0) @ W2.T + b2)[..., 0]


@pytest.mark.exercise("q2-neural", points=2)
def test_weights_are_drawn_from_their_distribution_and_biases_are_zero(student):
    """Mean 0.1 and standard deviation 0.1."""
    model = make_network(student, 40, 150)
    called = "NeuralRegression(n_features, hidden)"
    W1, b1, W2, b2 = find_layers(model, (40, 150, 1), called=called)[0].read()
    if np.any(b1) or np.any(b2):
        raise CheckFailed("the biases do not start at 0", called=called)
    assert_drawn(W1, mean=0.1, std=0.1, called=called, noun="the hidden layer's weights")
    assert_drawn(W2, mean=0.1, std=0.1, called=called, noun="the output's weights")


@pytest.mark.exercise("q2-neural", points=2)
def test_predict_is_the_output_of_the_hidden_layer(student, rng):
    """w2 . relu(W1 x + b1) + b2 for each row, shape (n_points,)."""
    model = make_network(student)
    ways = find_layers(model, (N, H, 1), called="NeuralRegression(n_features, hidden)")

    def check(layers):
        for m in (12, 1):
            X, (W1, b1, W2, b2) = rng.normal(size=(m, N)), some_weights(rng)
            layers.write(W1, b1, W2, b2)
            known = {"relu is lost": X @ W1.T @ W2[0] + b1 @ W2[0] + b2}
            known |= {
                "b1 is lost": forward(X, W1, 0, W2, b2),
                "b2 is lost": forward(X, W1, b1, W2, 0),
            }
            known |= {"relu is taken of the output": np.maximum(forward(X, W1, b1, W2, b2), 0)}
            seen = model.predict.observe(X)
            if seen.error is not None:
                raise seen.error
            assert_close(seen.value, forward(X, W1, b1, W2, b2), called="predict(X)",
                         mistakes=known, names={"n_points": m})  # fmt: skip
            assert_unchanged(X, seen.arguments[0], called="predict(X)")

    assert_one_of(ways, check)


LATE = "w2 is the one after its step; the gradient takes the values before the step"


def gradients_after_the_step(x, y, weights, rate, convention):
    """Return the gradients of W1 and b1 that come of a w2 which has been changed already."""
    W1, b1, w2, _ = weights
    z, delta = W1 @ x + b1, 2 * convention * (forward(x, *weights) - y)
    moved = w2[0] - rate * delta * np.maximum(z, 0)
    below = delta * moved * (z > 0)
    return {"W1": np.outer(below, x), "b1": below}


def assert_network_step(model, layers, rng, rate, convention):
    """Hold each parameter's step to finite differences of convention (y_hat - y)^2."""
    x, y, weights = rng.normal(size=N), float(rng.normal()), some_weights(rng)
    late = gradients_after_the_step(x, y, weights, rate, convention)

    def loss_with(number, at):
        y_hat = forward(
            x, *weights[:number], at.reshape(weights[number].shape), *weights[number + 1 :]
        )
        return convention * (y_hat - y) ** 2

    def step_with(number, at):
        now = [*weights[:number], at.reshape(weights[number].shape), *weights[number + 1 :]]
        layers.write(*now)
        model.update_weight(x, y, learning_rate=rate)
        return (now[number] - layers.read()[number]) / rate

    for number, name in enumerate(["W1", "b1", "w2", "b2"]):
        assert_gradient(
            lambda at, k=number: loss_with(k, at), lambda at, k=number: step_with(k, at),
            at=weights[number], rng=rng,
            transposed_ok=True, name=name, called="update_weight(x_i, y_i)",
            mistakes={LATE: late[name]} if name in late else None,
            hint="With the values before the step: w2 is also part of the gradient of W1.",
        )  # fmt: skip


@pytest.mark.exercise("q2-neural", points=3)
def test_a_step_of_the_network_goes_down_the_gradient(student, rng):
    """Weights and biases of both layers, held to finite differences of the squared error."""
    model = make_network(student)
    ways = find_layers(model, (N, H, 1), called="NeuralRegression(n_features, hidden)")
    before = read_parameters(model)
    model.update_weight(rng.normal(size=N), 50.0, learning_rate=RATE)
    if all(np.array_equal(before[name], now) for name, now in read_parameters(model).items()):
        raise CheckFailed("update_weight leaves the parameters as they were")
    pairs = [(layers, convention) for layers in ways for convention in (0.5, 1.0)]

    def check(pair):
        for _ in range(3):
            assert_network_step(model, pair[0], rng, RATE, pair[1])

    assert_one_of(pairs, check)
