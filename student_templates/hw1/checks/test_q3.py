"""Question 3: perceptron, logistic regression and a network of one hidden layer, by hand.

The network's parameters are found by their sizes: their names and layout are the student's own.
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
    assert_gradient,
    assert_labelled,
    assert_series,
    find_layers,
    partial_credit,
    read_parameters,
)
from grader.errors import CheckFailed, StudentError, StudentFault

N, H, K = 7, 5, 4  # inputs, hidden units, classes: no two alike, so that a transpose shows
SHEET = (784, 200, 10)
RATE = 0.05


def soft(z):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# --- 1a. the perceptron ---


def an_example(rng, *, right):
    """Return W (K, N), x (N,), the label y and the predicted class, right or wrong."""
    W, x = rng.normal(size=(K, N)), rng.normal(size=N)
    y_hat = int(np.argmax(W @ x))
    # Never class 0: what a label multiplies by mistake would vanish.
    return W, x, y_hat if right else int(rng.choice([c for c in range(1, K) if c != y_hat])), y_hat


def updated(model, W, x, y, **rate):
    """Return W after one update of the student's linear model, (K, N)."""
    model.W = W
    try:
        model.update_weight(x, y, **rate)
    except StudentError as error:
        if error.kind != "AttributeError":
            raise
        # A training of the student's own may set what the update needs, such as a counter.
        model.W = W
        try:
            model.train_epoch(x[None, :], np.array([y]), **rate)
        except StudentFault:
            raise error from None
    return as_array(model.W, called="W after update_weight(x_i, y_i)", shape=W.shape)


@pytest.mark.exercise("q3-perceptron", points=2)
def test_a_right_prediction_changes_nothing(student, rng):
    """W stays as it is."""
    model = student.Perceptron(K, N)
    for _ in range(5):
        W, x, y, _ = an_example(rng, right=True)
        raised = W + np.outer(np.eye(K)[y], x)
        assert_close(updated(model, W, x, y), W, called="update_weight(x_i, y_i), y_i predicted",
                     noun="W", mistakes={"the row of the label is raised all the same": raised},
                     hint="Change W only where the prediction is wrong.")  # fmt: skip
        wrong = an_example(rng, right=False)
        if np.array_equal(updated(model, *wrong[:3]), wrong[0]):
            raise CheckFailed("W never changes, neither for a right nor for a wrong prediction")


@pytest.mark.exercise("q3-perceptron", points=3)
def test_a_wrong_prediction_moves_two_rows(student, rng):
    """+x in the row of the label, -x in the row of the prediction."""
    model = student.Perceptron(K, N)
    for _ in range(5):
        W, x, y, y_hat = an_example(rng, right=False)
        up, down = np.outer(np.eye(K)[y], x), np.outer(np.eye(K)[y_hat], x)
        known = {"the row of the prediction stays": up, "the row of the label stays": -down}
        known |= {"the two rows are swapped": down - up, "both rows are raised": up + down}
        known |= {"every other row is lowered": 2 * up - np.ones((K, 1)) * x}
        got = updated(model, W, x, y) - W
        assert_close(got, up - down, called="update_weight(x_i, y_i), another class predicted",
                     mistakes=known, noun="the change of W", factors={"y_i": y})  # fmt: skip


# --- 1b. logistic regression ---


def assert_logistic_step(student, rng, *, k=K, n=N, rate=RATE):
    W, x = rng.normal(size=(k, n)), rng.normal(size=n)
    y_hat = int(np.argmax(W @ x))
    y = int((y_hat + 1 + rng.integers(k - 1)) % k)  # a wrong prediction: every row moves
    given = {} if rate is None else {"learning_rate": rate}
    got = (W - updated(student.LogisticRegression(k, n), W, x, y, **given)) / (rate or 0.001)
    s, e = soft(W @ x), np.eye(k)[y]
    known = {"the label is subtracted as a number": np.outer(s - y, x)}
    known |= {
        "e_y is lost": np.outer(s, x),
        "only the row of the label moves": np.outer((s - 1) * e, x),
    }
    known |= {"each score gets its own sigmoid": np.outer(1 / (1 + np.exp(-W @ x)) - e, x)}
    known |= {"the scores stand in place of softmax": np.outer(W @ x - e, x)}
    error = np.outer(np.full(k, y_hat - y), x)
    known |= {
        f"every row moves by the predicted minus the true label{times}": c * error
        for times, c in (("", 1), (", doubled", 2))
    }
    known |= {"the predicted class stands in place of softmax": np.outer(np.eye(k)[y_hat] - e, x)}
    known |= {"the learning rate is lost": np.outer(s - e, x) / (rate or 0.001)}
    if rate not in (None, 0.001):
        small = np.outer(s - e, x) * 0.001 / rate
        known |= {"the rate is always 0.001, whatever learning_rate is given": small}
    assert_close(
        got, np.outer(s - e, x), rtol=1e-6, atol=1e-8, mistakes=known, dummy=np.zeros((k, n)),
        inputs={"W": W}, called="update_weight(x_i, y_i, learning_rate)",
        noun="the step over the learning rate",
    )  # fmt: skip


def classes_of_a_step(student):
    """Return K, or the sheet's ten if no step for K classes runs.

    A number of classes that is written as a number has a check of its own.
    """
    for k in (K, SHEET[2]):
        with contextlib.suppress(StudentError):
            updated(student.LogisticRegression(k, N), np.zeros((k, N)), np.ones(N), 0)
            return k
    return K


@pytest.mark.exercise("q3-logistic", points=3)
def test_a_logistic_step_goes_down_the_gradient(student, rng):
    """W moves by -learning_rate (softmax(W x) - e_y) x^T."""
    k = classes_of_a_step(student)
    for _ in range(4):
        assert_logistic_step(student, rng, k=k)


# --- 2b. a hidden layer ---


def make_mlp(student, k=K, n=N, h=H):
    """Return the student's network; the course's own template asks for the layers as well."""
    try:
        return student.MLP(k, n, h)
    except StudentFault as fault:
        with contextlib.suppress(StudentFault):
            return student.MLP(k, n, h, 1)
        raise fault


def size_of(student, k=K):
    """Return (n, h, k), inputs, hidden units and classes at which the student's network runs.

    The sheet's own where a network of a few units does not: sizes that are written as numbers
    have a check of their own.
    """
    for n, h, classes in ((N, H, k), SHEET):
        with contextlib.suppress(StudentFault, CheckFailed):
            model = make_mlp(student, classes, n, h)
            model.train_epoch(np.ones((1, n)), np.array([1]), learning_rate=0.0)
            model.predict(np.ones((2, n)))
            find_layers(model, (n, h, classes))
            return n, h, classes
    return N, H, k


def some_weights(rng, size=(N, H, K)):
    """Return W1 (h, n), b1 (h,), W2 (k, h), b2 (k,); some of the hidden units are off."""
    n, h, k = size
    W1, b1 = 0.4 * np.sqrt(N / n) * rng.normal(size=(h, n)), 0.5 * rng.normal(size=h)
    return [W1, b1, np.sqrt(H / h) * rng.normal(size=(k, h)), rng.normal(size=k)]


LEAKS = (0.01, 0.1, 0.2)
"""Usual slopes of a leaky relu where its input is negative."""


def scores(X, W1, b1, W2, b2, leak=0.0):
    """Return the network's scores, (..., K), for X (..., N)."""
    a = X @ W1.T + b1
    return np.where(a > 0, a, leak * a) @ W2.T + b2


def layers_of(model, size=(N, H, K)):
    """Return the network's layers after a step of no length: a bias of 0 is an array by then."""
    with contextlib.suppress(StudentFault):  # a step that fails has its own check
        model.train_epoch(np.ones((1, size[0])), np.array([1]), learning_rate=0.0)
    return find_layers(model, size, called="MLP(n_classes, n_features, hidden_size)")[0]


def network(student, k=K):
    """Return the student's network, its layers and (n, h, k)."""
    n, h, k = size_of(student, k)
    model = make_mlp(student, k, n, h)
    return model, layers_of(model, (n, h, k)), (n, h, k)


@pytest.mark.exercise("q3-mlp", points=1)
def test_weights_are_drawn_from_their_distribution_and_biases_are_zero(student):
    """Mean 0.1 and standard deviation 0.1."""
    called = "MLP(n_classes, n_features, hidden_size)"
    model = make_mlp(student, 10, 40, 150)
    layers = find_layers(model, (40, 150, 10), called=called)[0]
    W1, b1, W2, b2 = layers.read()
    if np.any(b1) or np.any(b2):
        raise CheckFailed("the biases do not start at 0", called=called)
    assert_drawn(W1, mean=0.1, std=0.1, called=called, noun="the hidden layer's weights")
    assert_drawn(W2, mean=0.1, std=0.1, called=called, noun="the output's weights")


@pytest.mark.exercise("q3-mlp", points=1.5)
def test_the_network_predicts_the_class_of_the_largest_score(student, rng):
    """One class for each row, from W2 relu(W1 x + b1) + b2."""
    model, layers, size = network(student)
    for m in (60, 2):
        X, weights = rng.normal(size=(m, size[0])), some_weights(rng, size)
        W1, b1, W2, b2 = weights
        layers.write(*weights)
        known = {"relu is lost": ((X @ W1.T + b1) @ W2.T + b2).argmax(axis=1)}
        known |= {"b1 is lost": scores(X, W1, 0, W2, b2).argmax(axis=1)}
        known |= {"b2 is lost": scores(X, W1, b1, W2, 0).argmax(axis=1)}
        known |= {"classes are counted from 1": scores(X, *weights).argmax(axis=1) + 1}
        for leak in LEAKS:
            leaky = scores(X, *weights, leak=leak).argmax(axis=1)
            known |= {f"relu is leaky, with the slope {leak} below 0": leaky}
        assert_close(model.predict(X), scores(X, *weights).argmax(axis=1), called="predict(X)",
                     mistakes=known, names={"n_points": m}, noun="the prediction")  # fmt: skip


@pytest.mark.exercise("q3-mlp", points=1)
def test_evaluate_is_the_share_of_right_predictions(student, rng):
    """Between 0 and 1, for the labels that it is given."""
    model, layers, size = network(student)
    X, y = rng.normal(size=(60, size[0])), rng.integers(size[2], size=60)
    weights = some_weights(rng, size)
    layers.write(*weights)
    right = {"that of the right classes": np.mean(scores(X, *weights).argmax(axis=1) == y)}
    with contextlib.suppress(CheckFailed, StudentFault):  # what predict gives has its own check
        own = as_array(model.predict(X), called="predict(X)", shape=[(60,), ()])
        right = {"that of your own predict": np.mean(own == y)} | right
    share = next(iter(right.values()))
    known = {"it is the share of wrong ones": 1 - share, "it is a count": 60 * share}
    got = as_scalar(model.evaluate(X, y), called="evaluate(X, y)")
    assert_close_to_one_of(got, right, called="evaluate(X, y)", mistakes=known, noun="the accuracy")


def gradients_of(delta, x, weights, leak=0.0):
    """Return what W1, b1, W2, b2 get where the scores' gradient is delta (k,)."""
    W1, b1, W2, _ = weights
    a = W1 @ x + b1
    slope = np.where(a > 0, 1.0, leak)
    d_a = (W2.T @ delta) * slope
    return [np.outer(d_a, x), d_a, np.outer(delta, slope * a), delta]


def known_steps(x, y, weights):
    """Return the steps of W1, b1, W2, b2 that known mistakes make, by their names."""
    z = scores(x, *weights)
    s, e, y_hat = soft(z), np.eye(len(z))[y], np.eye(len(z))[int(np.argmax(z))]
    deltas = {
        "the label is subtracted as a number: make it one-hot": s - y,
        "the predicted class stands where the probabilities belong": y_hat - e,
        "the one-hot label is not subtracted": s,
        "softmax is taken twice": soft(s) - e,
        "each score gets its own sigmoid": 1 / (1 + np.exp(-z)) - e,
        "the scores stand in place of softmax": z - e,
    }
    steps = {name: gradients_of(delta, x, weights) for name, delta in deltas.items()}
    W1, b1, W2, _ = weights
    a, right = W1 @ x + b1, gradients_of(s - e, x, weights)
    late = gradients_of(s - e, x, [W1, b1, W2 - RATE * right[2], None])
    open_, value = W2.T @ (s - e), (W2.T @ (s - e)) * np.maximum(a, 0)
    steps["W2 makes its step before it is used"] = [late[0], late[1], right[2], right[3]]
    steps["the slope of relu is lost"] = [np.outer(open_, x), open_, right[2], right[3]]
    for leak in LEAKS:
        leaky = gradients_of(soft(scores(x, *weights, leak=leak)) - e, x, weights, leak)
        steps[f"relu is leaky, with the slope {leak} below 0"] = leaky
    steps["relu's value stands for its slope"] = [np.outer(value, x), value, right[2], right[3]]
    return steps


def seen_in_the_step(steps, x, y, weights, *, shown):
    """Return the steps of W1, b1, W2, b2 that a mistake makes, by its name, as the step shows it.

    steps : those of the student's network. b2's is what stands for softmax less the one-hot label
    shown : whether the name may hold the label and the sizes
    """
    s, n = soft(scores(x, *weights)), len(x)
    e, found = np.eye(len(s))[y], {}
    W1, b1, W2, b2 = gradients_of(s - e, x, weights)
    # b1 is the evidence: b2's step is 0 then, as the errors of softmax always add up to 0.
    if b1.sum() and np.allclose(steps[1], b1.sum()):
        name = "a bias's step is summed over the units: each unit has its own"
        found[name] = [W1, np.full_like(b1, b1.sum()), W2, np.full_like(b2, b2.sum())]
    divided = "the step is divided by the " + (f"{n} inputs" if shown else "number of inputs")
    for parts, ending in ((1, ""), (n, f", and {divided}")):
        label = s - parts * np.asarray(steps[3])
        if np.allclose(label, np.round(label), rtol=0, atol=1e-6):
            words = ", ".join(f"{number:g}" for number in np.round(label) + 0.0)
            name = f"[{words}] is subtracted in place of the one-hot label {y}"
            name = (
                name if shown else "another array is subtracted than the one-hot label"
            ) + ending
            name = divided if np.allclose(label, e) else name
            found[name] = [part / parts for part in gradients_of(s - np.round(label), x, weights)]
    return found


def assert_network_step(model, layers, rng, size, *, shown=True):
    """Hold each parameter's step for one example to finite differences of the cross-entropy.

    The example is predicted wrongly; the layer that is nearest to the cost comes first.
    """
    x, weights = rng.normal(size=size[0]), some_weights(rng, size)
    y = int((np.argmax(scores(x, *weights)) + 1 + rng.integers(size[2] - 1)) % size[2])

    def replaced(number, at):
        return [*weights[:number], at.reshape(weights[number].shape), *weights[number + 1 :]]

    def step_with(number, at):
        layers.write(*replaced(number, at))
        model.train_epoch(x[None, :], np.array([y]), learning_rate=RATE)
        return (at.reshape(weights[number].shape) - layers.read()[number]) / RATE

    known = known_steps(x, y, weights)
    layers.write(*weights)
    model.train_epoch(x[None, :], np.array([y]), learning_rate=RATE)
    steps = [(w - now) / RATE for w, now in zip(weights, layers.read(), strict=True)]
    if not any(np.allclose(steps[3], those[3]) for those in known.values()):
        known |= seen_in_the_step(steps, x, y, weights, shown=shown)
    for number, name in [(3, "b2"), (2, "W2"), (1, "b1"), (0, "W1")]:
        assert_gradient(
            lambda at, i=number: -np.log(soft(scores(x, *replaced(i, at)))[y]),
            lambda at, i=number: step_with(i, at),
            at=weights[number], rng=rng, transposed_ok=True, name=name,
            called="train_epoch(X, y) of one example",
            mistakes={words: steps[number] for words, steps in known.items()},
        )  # fmt: skip


@pytest.mark.exercise("q3-mlp", points=2)
def test_a_step_of_the_network_goes_down_the_gradient(student, rng):
    """Weights and biases of both layers, held to finite differences of the cross-entropy."""
    model, layers, size = network(student, 10)
    before = read_parameters(model)
    model.train_epoch(rng.normal(size=(20, size[0])), rng.integers(10, size=20), learning_rate=RATE)
    if all(np.array_equal(before[name], now) for name, now in read_parameters(model).items()):
        raise CheckFailed("train_epoch leaves the parameters as they were")
    for _ in range(3):
        assert_network_step(model, layers, rng, size)


@pytest.mark.exercise("q3-curves", points=1)
def test_a_figure_shows_both_accuracies_over_the_epochs(student, rng):
    """A curve for the validation set and one for the test set, with named axes."""
    epochs, (valid, test) = np.arange(1, 21), np.sort(rng.uniform(0.5, 0.9, size=(2, 20)))
    student.plot(epochs, valid.tolist(), test.tolist())
    curve = assert_series(student.figures, valid, name="the validation accuracy", min_share=0.9)
    assert_series(student.figures, test, name="the test accuracy", min_share=0.9)
    try:
        assert_labelled(curve)
    except CheckFailed as failure:
        partial_credit(0.5, failure.problem, failure.hint)
