"""Question 4: PyTorch models held to numpy's numbers.

The parameters are found in the model's state_dict by their sizes: how the layers are named, and
whether they stand in a list or in nn.Sequential, is the student's own.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_accuracy,
    assert_close,
    assert_one_of,
    assert_shape,
    find_layers,
)
from grader.errors import CheckFailed

N, H, K = 7, 5, 4  # inputs, hidden units, classes: no two alike, so that a transpose shows
RATE = 0.1
SINGLE = {"rtol": 1e-4, "atol": 1e-5}  # float32, through a few layers


def log_soft(z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def some_points(rng, m=12, n=N):
    """Return X (m, n), m labels, and both as tensors that the student's functions take."""
    X, y = rng.normal(size=(m, n)).astype(np.float32), rng.integers(K, size=m)
    return X, y


class Parameters:
    """A model's parameters as arrays: `layers` are the ways to see them as dense layers."""

    def __init__(self, student, model, sizes, called):
        self.student, self.model = student, model
        self.state = SimpleNamespace(values=model.state_dict())
        self.layers = find_layers(self.state, sizes, called=called)

    def draw(self, layers, rng):
        """Draw new parameters, put them into the model, and return them: W1, b1, ..."""
        drawn = [0.5 * rng.normal(size=array.shape) for array in layers.read()]
        layers.write(*drawn)
        self.put()
        return drawn

    def put(self):
        """Make the model's parameters those of `state`."""
        values = {
            name: self.student.tensor(
                value.astype(np.float32) if value.dtype.kind == "f" else value
            )
            for name, value in self.state.values.items()
        }
        self.model.load_state_dict(values)


def assert_scores(student, model, X, right, *, mistakes, called):
    """Accept the scores, also shifted by a constant in each row: the loss takes no notice."""
    got = as_array(model(student.tensor(X)), called=called)
    assert_shape(got, right.shape, called=called)
    probabilities = np.exp(log_soft(right))
    known = {"softmax is taken, which the loss takes again": log_soft(probabilities)}
    known |= {name: log_soft(z) for name, z in mistakes.items()}
    assert_close(log_soft(got.astype(float)), log_soft(right), **SINGLE, called=called,
                 mistakes=known, noun="log softmax of the scores")  # fmt: skip


# --- 1. logistic regression ---


@pytest.mark.exercise("q4-logistic", points=4)
def test_logistic_regression_scores_are_linear(student, rng):
    """W x + b for each row, without softmax."""
    model = student.LogisticRegression(K, N)
    parameters = Parameters(student, model, (N, K), "LogisticRegression(n_classes, n_features)")
    for m in (12, 1):
        W, b = parameters.draw(parameters.layers[0], rng)
        X, _ = some_points(rng, m)
        z = X @ W.T + b
        known = {"the bias is lost": X @ W.T, "relu is taken": np.maximum(z, 0)}
        known |= {"a sigmoid is taken": 1 / (1 + np.exp(-z)), "the sign is lost": -z}
        assert_scores(student, model, X, z, mistakes=known, called="model(X)")


# --- the step ---


def linear_model(student, rng):
    """Return torch's own linear layer, W (K, N) and b (K,) in it, and an optimizer of SGD."""
    W, b = rng.normal(size=(K, N)), rng.normal(size=K)
    model = student.torch.nn.Linear(N, K)
    values = {"weight": W, "bias": b}
    model.load_state_dict({k: student.tensor(v.astype(np.float32)) for k, v in values.items()})
    return model, W, b, student.torch.optim.SGD(model.parameters(), lr=RATE)


def loss_and_gradient(X, y, W, b):
    """Return the mean cross-entropy of the scores X W^T + b, and its gradients by W and b."""
    z = X @ W.T + b
    delta = (np.exp(log_soft(z)) - np.eye(K)[y]) / len(X)
    return -log_soft(z)[np.arange(len(X)), y].mean(), delta.T @ X, delta.sum(axis=0)


def step(student, model, optimizer, X, y, **criterion):
    """Return what one train_batch of the student's returns."""
    loss = student.torch.nn.CrossEntropyLoss(**criterion)
    return student.train_batch(student.tensor(X), student.tensor(y), model, optimizer, loss)


@pytest.mark.exercise("q4-step", points=3)
def test_train_batch_makes_one_step_down_the_gradient(student, rng):
    """The parameters move by -learning_rate times the gradient of the batch's loss."""
    called = "train_batch(X, y, model, optimizer, criterion)"
    for m in (12, 3):
        model, W, b, optimizer = linear_model(student, rng)
        X, y = some_points(rng, m)
        step(student, model, optimizer, X, y)
        _, dW, db = loss_and_gradient(X, y, W, b)
        after = model.state_dict()
        for name, before, gradient in (("weight", W, dW), ("bias", b, db)):
            moved = (before - after[name]) / RATE
            known = {"it climbs": -gradient, "two steps are made": 2 * gradient}
            assert_close(moved, gradient, rtol=1e-3, atol=1e-4, called=called, mistakes=known,
                         dummy=0 * gradient, factors={"m": m},
                         noun=f"the {name}'s step over the learning rate")  # fmt: skip


@pytest.mark.exercise("q4-step", points=1.5)
def test_train_batch_returns_the_loss_of_the_batch(student, rng):
    """As a number, of the parameters before the step."""
    called = "train_batch(X, y, model, optimizer, criterion)"
    model, W, b, optimizer = linear_model(student, rng)
    X, y = some_points(rng)
    loss, dW, db = loss_and_gradient(X, y, W, b)
    after, _, _ = loss_and_gradient(X, y, W - RATE * dW, b - RATE * db)
    known = {"it is the loss after the step": after, "the losses are summed": loss * len(X)}
    got = as_scalar(step(student, model, optimizer, X, y), called=called)
    assert_close(got, loss, **SINGLE, called=called, mistakes=known, noun="the loss")


# --- 2. a feed-forward network ---

GIVEN = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}


def make_network(student, layers, activation, *, dropout=0.0, h=H, n=N):
    """Return the student's network, as it stands after training: dropout is off."""
    student.torch.manual_seed(0)
    model = student.FeedforwardNetwork(K, n, h, layers, activation, dropout)
    model.eval()
    return model


def network_scores(X, weights, activation):
    """Return the scores of the layers W1, b1, ..., WL, bL."""
    for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        X = activation(X @ W.T + b)
    return X @ weights[-2].T + weights[-1]


def assert_network(student, rng, layers, activation):
    model = make_network(student, layers, activation)
    called = f"FeedforwardNetwork(..., layers={layers}, activation_type={activation!r})"
    parameters = Parameters(student, model, (N, *[H] * layers, K), called)

    def check(way):
        weights, (X, _) = parameters.draw(way, rng), some_points(rng)
        other = GIVEN["tanh" if activation == "relu" else "relu"]
        known = {"the other activation is taken": network_scores(X, weights, other)}
        known |= {"the activation is lost": network_scores(X, weights, lambda a: a)}
        z = network_scores(X, weights, GIVEN[activation])
        known |= {"the scores pass the activation, too": GIVEN[activation](z)}
        assert_scores(student, model, X, z, mistakes=known, called=f"{called}(X)")

    assert_one_of(parameters.layers, check)


@pytest.mark.exercise("q4-network", points=3)
def test_one_hidden_layer_with_relu(student, rng):
    """W2 relu(W1 x + b1) + b2 for each row, without softmax."""
    assert_network(student, rng, 1, "relu")


@pytest.mark.exercise("q4-network", points=2)
def test_one_hidden_layer_with_tanh(student, rng):
    """W2 tanh(W1 x + b1) + b2 for each row, without softmax."""
    assert_network(student, rng, 1, "tanh")


@pytest.mark.exercise("q4-network", points=2)
def test_as_many_hidden_layers_as_are_asked_for(student, rng):
    """Two of them, by their values; of three, the number of parameters."""
    for activation in GIVEN:
        assert_network(student, rng, 2, activation)
    state = make_network(student, 3, "relu").state_dict()
    count = sum(value.size for value in state.values() if value.dtype.kind == "f")
    due = (N + 1) * H + 2 * (H + 1) * H + (H + 1) * K
    if count != due:
        problem = "a network of 3 hidden layers has another number of parameters"
        raise CheckFailed(problem, expected=f"{due}", got=f"{count}")


@pytest.mark.exercise("q4-network", points=1)
def test_dropout_is_on_in_training_and_off_in_evaluation(student, rng):
    """Two passes over the same rows differ in training, and are one in evaluation."""
    X = student.tensor(some_points(rng)[0])
    model = make_network(student, 1, "relu", dropout=0.5, h=40)
    if not np.array_equal(model(X), model(X)):
        hint = "nn.Dropout knows; F.dropout needs training=self.training."
        raise CheckFailed("dropout still acts after model.eval()", hint=hint, called="model(X)")
    model.train()
    if np.array_equal(model(X), model(X)):
        raise CheckFailed("dropout does nothing while the model trains", called="model(X)")
    model = make_network(student, 1, "relu", dropout=0.0)
    model.train()
    if not np.array_equal(model(X), model(X)):
        raise CheckFailed("with dropout 0 two passes differ", called="model(X)")


# --- whole trainings ---


def clothes(rng, datasets, m=1200):
    """Return m images of 14 x 14 pixels and their classes to train on, and 500 to test with."""
    images, labels = datasets("fashion-mnist")
    rows = rng.permutation(len(labels))[: m + 500]
    X = images[rows].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196) / 256
    X, y = X.astype(np.float32), labels[rows].astype(int)
    return X[:m], y[:m], X[m:], y[m:]


def trained_accuracy(student, model, data, epochs=5, batch=40, rate=0.1):
    """Return the accuracy on the test images after these epochs of train_batch."""
    X, y, X_test, y_test = data
    optimizer = student.torch.optim.SGD(model.parameters(), lr=rate)
    criterion = student.torch.nn.CrossEntropyLoss()
    starts = range(0, len(X), batch)
    batches = [(student.tensor(X[i : i + batch]), student.tensor(y[i : i + batch])) for i in starts]
    model.train()
    for _ in range(epochs):
        for X_batch, y_batch in batches:
            student.train_batch(X_batch, y_batch, model, optimizer, criterion)
    model.eval()
    scores = as_array(model(student.tensor(X_test)), called="model(X)", shape=(len(X_test), 10))
    return np.mean(scores.argmax(axis=1) == y_test)


@pytest.mark.exercise("q4-training", points=2)
def test_logistic_regression_learns_to_tell_clothes(student, rng, datasets):
    """After 5 epochs over 1200 images two of three others are right."""
    student.torch.manual_seed(int(rng.integers(1000)))
    model, data = student.LogisticRegression(10, 196), clothes(rng, datasets)
    accuracy = trained_accuracy(student, model, data)
    assert_accuracy(accuracy, at_least=0.6, called="the test accuracy after 5 epochs")
