"""Exercise 3: the perceptron. What a check needs (data, weights, predictions) it sets itself.

Both conventions of the squared error are right, 1/(2m) and 1/m; the gradient has to follow
the one that the student's own cost follows.
"""

import contextlib

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_close,
    assert_close_to_one_of,
    assert_error_rate,
    assert_finite,
    assert_gradient,
    assert_histogram,
    assert_image,
    assert_in_range,
    assert_one_of,
    assert_symmetric,
    find_image,
    find_series,
    partial_credit,
)
from grader.checks.plots import curves
from grader.errors import CheckFailed, Missing, StudentFault

MSE, CE = 0, 1
M, M_TEST, N = 40, 15, 784  # no two of them alike, so that a wrong count shows
ALPHA = 0.3
LAYOUTS = [(1, N), (N, 1)]


def sigma(z):
    return np.exp(-np.logaddexp(0.0, -z))


def mean_square(p, y):
    return np.mean((p - y) ** 2)


def cross_entropy(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def make_data(rng, m=M, m_test=M_TEST):
    """Return train and test data, pixels in [0, 1], labels in {0, 1}."""
    x, y = rng.random((m + m_test, N)), 1.0 * (rng.random((m + m_test, 1)) < 0.4)
    y[[0, m]], y[[m - 1, -1]] = 0.0, 1.0
    return {"x_train": x[:m], "y_train": y[:m], "x_test": x[m:], "y_test": y[m:]}


def make_weights(rng):
    return 0.08 * rng.normal(size=(N, 1)), float(0.5 * rng.normal())


def perceptron(student, data, cost, w=None, b=0.0):
    """Return the student's perceptron with this data, these weights and their predictions.

    All is set anew after the construction: the template's own code may have been changed.
    """
    model = student.GradientDescent(data, ALPHA, cost)
    model.data, model.alpha, model.cost_function = data, ALPHA, cost
    place(model, data, np.zeros((N, 1)) if w is None else w, b)
    return model


def place(model, data, w, b):
    model.w, model.b = w, b
    model.y_pred = [sigma(x @ w + b) for x in (data["x_train"], data["x_test"])]


def gradients(model):
    """Return grad_cost()'s two values, whatever they are."""
    pair = model.grad_cost()
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise CheckFailed("it should return two values, grad_w and grad_b", called="grad_cost()")
    return pair


def delta_of(data, w, b, cost):
    """Return dJ/dz for each sample, (m, 1), of the cross-entropy or of 1/(2m) sum (p - y)^2."""
    p, y = sigma(data["x_train"] @ w + b), data["y_train"]
    return (p - y) / len(y) * (1.0 if cost == CE else p * (1 - p))


def mse_conventions(model, data):
    """Return the factors c of c/m sum (p - y)^2 that a gradient may follow, by their names.

    The student's own, where their cost is one of the two; else both, as a wrong cost has
    its own exercise.
    """
    both = {"1/(2m)": 0.5, "1/m": 1.0}
    p, y = np.linspace(0.1, 0.8, M).reshape(M, 1), data["y_train"]
    try:
        cost = as_scalar(model.cost_funct(p, y))
    except (CheckFailed, StudentFault):
        return both
    own = {n: c for n, c in both.items() if np.isclose(cost, c * mean_square(p, y))}
    return own or both


# --- (b) normalise_data ---


def raw_data(rng):
    """Return data with pixels in 0 ... 255, some of them constant, as at an image's border."""
    data = make_data(rng)
    for part in ("x_train", "x_test"):
        data[part] = np.floor(256 * data[part])
        data[part][:, :20], data[part][:, -3:] = 0.0, 255.0
    return data


def assert_normalised(data, raw):
    """Accept any affine map to a bounded scale, of the whole, of each pixel or of each image."""
    parts = {}
    for part in ("x_train", "x_test"):
        called = f"data['{part}'] after normalise_data()"
        x = parts[part] = as_array(data[part], called=called, shape=raw[part].shape)
        assert_finite(x, called=called)
        if np.array_equal(x, raw[part]):
            raise CheckFailed("the pixels are still 0 ... 255", called=called)
        spread = float(np.std(x[:, 20:-3]))
        if not 0.02 < spread < 5 or np.abs(x).max() > 30:
            hint = "Bring the pixels to [0, 1], or to mean 0 and standard deviation 1, once."
            raise CheckFailed("the pixels are not of size one", hint=hint, called=called)
        if not follows(x, raw[part]):
            raise CheckFailed("the image is no longer the one that was given", called=called)
    if abs(parts["x_train"].mean() - parts["x_test"].mean()) > 0.2:
        raise CheckFailed("training and test set are on different scales")


def follows(x, raw):
    """Tell whether x rises linearly with the raw pixels, per image or per varying pixel."""
    a, b = x[:, 20:-3], raw[:, 20:-3]
    return any(min(correlations(u, v)) > 0.98 for u, v in [(a, b), (a.T, b.T)])


def correlations(a, b):
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return np.sum(a * b, axis=1) / np.sqrt(np.sum(a * a, axis=1) * np.sum(b * b, axis=1) + 1e-300)


@pytest.mark.exercise("3b-normalise", points=3, shares=True)
def test_normalise_data_brings_both_sets_to_one_scale(student, rng):
    """Bounded, finite for constant pixels, and still the same images."""
    raw = raw_data(rng)
    model = student.GradientDescent(raw, ALPHA, CE)
    model.data = raw
    model.normalise_data()
    assert_normalised(model.data, raw)


# --- (b) cost_funct ---


def some_predictions(rng, m):
    return rng.uniform(0.02, 0.98, size=(m, 1)), 1.0 * (rng.random((m, 1)) < 0.4)


def assert_mse(model, p, y):
    called, square, m = "cost_funct(y_pred, y), MSE", mean_square(p, y), len(y)
    known = {"the square is lost": np.mean(p - y) / 2, "the root is taken": np.sqrt(square)}
    counted = {"m is the training set's, 1/(2m)": square * m / M / 2} if m != M else {}
    counted |= {"m is the training set's, 1/m": square * m / M} if m != M else {}
    assert_close_to_one_of(
        as_scalar(model.cost_funct(p, y), called=called),
        {"1/(2m)": square / 2, "1/m": square}, called=called, factors={"m": m},
        mistakes=known | counted, dummy=0.0, noun="the cost", broadcast=(p, y),
    )  # fmt: skip


def assert_ce(model, p, y):
    called, right, m = "cost_funct(y_pred, y), cross-entropy", cross_entropy(p, y), len(y)
    known = {"only y log(y_pred) is summed": -np.mean(y * np.log(p))}
    known |= {"the logarithm is base 10": right / np.log(10), "it is base 2": right / np.log(2)}
    counted = {"m is the training set's": right * m / M} if m != M else {}
    assert_close(
        as_scalar(model.cost_funct(p, y), called=called), right, rtol=1e-5, called=called,
        factors={"m": m}, mistakes=known | counted, dummy=0.0, noun="the cost",
        broadcast=(p, y),
        hint="The cross-entropy is -1/m sum (y log y_pred + (1 - y) log(1 - y_pred)).",
    )  # fmt: skip


@pytest.mark.exercise("3b-cost", points=2, shares=True)
def test_mean_squared_error_matches_its_definition(student, rng):
    """1/(2m) or 1/m times the sum of squares."""
    model = perceptron(student, make_data(rng), MSE)
    assert_mse(model, *some_predictions(rng, M))


@pytest.mark.exercise("3b-cost", points=3, shares=True)
def test_cross_entropy_matches_its_definition(student, rng):
    """The mean over the samples, with its minus sign."""
    model = perceptron(student, make_data(rng), CE)
    assert_ce(model, *some_predictions(rng, M))


# --- (b) grad_cost ---


def assert_grad_w(model, data, w, b, cost, scale, rng):
    """Hold grad_w to finite differences of scale times the cost, at w and b."""
    x, y = data["x_train"], data["y_train"]
    loss = cross_entropy if cost == CE else mean_square

    def grad(at):
        place(model, data, at.reshape(N, 1), b)
        return as_array(gradients(model)[0], called="grad_cost()[0]", shape=LAYOUTS)

    assert_gradient(
        lambda at: scale * loss(sigma(x @ at.reshape(N, 1) + b), y), grad, at=w, rng=rng,
        transposed_ok=True,
        name="w", called=f"grad_cost(), {'cross-entropy' if cost == CE else 'MSE'}",
        factors={"m": len(y)},
    )  # fmt: skip


def assert_grad_b(model, data, w, b, cost, scale):
    """Hold grad_b to the sum of dJ/dz over the samples."""
    p, y = sigma(data["x_train"] @ w + b), data["y_train"]
    delta = delta_of(data, w, b, cost) * (1.0 if cost == CE else 2 * scale)
    called = f"grad_cost()[1], {'cross-entropy' if cost == CE else 'MSE'}"
    known = {} if cost == CE else {"sigma' is lost": 2 * scale * np.mean(p - y)}
    place(model, data, w, b)
    got = as_scalar(gradients(model)[1], called=called)
    factors = {"m": len(y)}
    assert_close(got, delta.sum(), called=called, factors=factors, mistakes=known, noun="grad_b")


@pytest.mark.exercise("3b-grad", points=3, shares=True)
def test_gradient_of_cross_entropy_by_w(student, rng):
    """Held to finite differences of the cross-entropy; a row or a column."""
    data, (w, b) = make_data(rng), make_weights(rng)
    assert_grad_w(perceptron(student, data, CE), data, w, b, CE, 1.0, rng)


@pytest.mark.exercise("3b-grad", points=1, shares=True)
def test_gradient_of_cross_entropy_by_b(student, rng):
    """The mean of y_pred - y."""
    data, (w, b) = make_data(rng), make_weights(rng)
    assert_grad_b(perceptron(student, data, CE), data, w, b, CE, 1.0)


@pytest.mark.exercise("3b-grad", points=2, shares=True)
def test_gradient_of_mean_squared_error_by_w(student, rng):
    """Held to finite differences of the squared error that the student's cost follows."""
    data, (w, b) = make_data(rng), make_weights(rng)
    model = perceptron(student, data, MSE)
    conventions = mse_conventions(model, data)
    assert_one_of(conventions.values(), lambda c: assert_grad_w(model, data, w, b, MSE, c, rng))


@pytest.mark.exercise("3b-grad", points=1, shares=True)
def test_gradient_of_mean_squared_error_by_b(student, rng):
    """With sigma' of each sample, in the convention of the student's cost."""
    data, (w, b) = make_data(rng), make_weights(rng)
    model = perceptron(student, data, MSE)
    conventions = mse_conventions(model, data)
    assert_one_of(conventions.values(), lambda c: assert_grad_b(model, data, w, b, MSE, c))


# --- (b) predict ---


def assert_prediction(got, x, w, b):
    z = x @ w + b
    known = {
        "the bias is lost": sigma(x @ w),
        "sigma is lost": z,
        "b is subtracted": sigma(z - 2 * b),
    }
    known |= {
        "the predictions are rounded to 0 and 1": 1.0 * (z > 0),
        "the sign of z is lost": sigma(-z),
    }
    assert_close(
        got, sigma(z), called="predict(x)", mistakes=known, dummy=np.zeros((len(x), 1)),
        noun="the prediction", names={"m": len(x)},
    )  # fmt: skip


@pytest.mark.exercise("3b-predict", points=3, shares=True)
def test_predict_is_the_sigmoid_of_the_linear_part(student, rng):
    """sigma(x w + b), one row an image."""
    data, (w, b) = make_data(rng), make_weights(rng)
    model = perceptron(student, data, CE, w, b)
    assert_prediction(model.predict(data["x_train"]), data["x_train"], w, b)


# --- (b) update ---


def plant_gradients(student, model, rng):
    """Let grad_cost() return random gradients of ours, and return them: (N, 1) and a number.

    A wrong gradient has its own exercise. Lists are values and have a method that returns
    what they hold, so model.grad_cost = [...].pop needs no code of ours over there.
    """
    try:
        shape = np.shape(gradients(model)[0])
    except (CheckFailed, StudentFault):
        shape = (1, N)
    grad_w = rng.normal(size=shape if shape in LAYOUTS else (1, N))
    grad_b = float(rng.normal())
    model.grad_cost = student.keep([(grad_w, grad_b)] * 20).pop
    return grad_w.reshape(N, 1), grad_b


def assert_update(student, rng, cost, part, *, alpha=ALPHA):
    """Hold w (part 0) or b (part 1) after one update to start - alpha * gradient.

    The gradient may be what grad_cost() returned, or one that update computes itself.
    """
    data, start = make_data(rng), make_weights(rng)
    model = perceptron(student, data, cost, *start)
    model.alpha = alpha
    planted = plant_gradients(student, model, rng)
    model.update()
    delta = delta_of(data, *start, cost)
    textbook = data["x_train"].T @ delta, delta.sum()
    steps = [planted[part], textbook[part], 2 * textbook[part]]
    got = as_array(model.w, called="self.w") if part == 0 else as_scalar(model.b, called="self.b")
    assert_step(got, start[part], steps, alpha, "w" if part == 0 else "b")


def assert_step(got, start, steps, alpha, noun):
    """Accept start - alpha * step for one of the steps; the message speaks of the first."""
    called = f"self.{noun} after update()"
    if np.array_equal(np.asarray(got), np.asarray(start)):
        hint = f"Assign it: self.{noun} = self.{noun} - ..."
        raise CheckFailed(f"{noun} has not moved", called=called, hint=hint)
    if any(
        np.shape(got) == np.shape(start) and np.allclose(got, start - alpha * s, 1e-9, 1e-12)
        for s in steps
    ):
        return
    known = {"alpha is lost": start - steps[0], "the old value is lost": -alpha * steps[0]}
    known |= {"it climbs, start + alpha * gradient": start + alpha * steps[0]}
    right = start - alpha * steps[0]
    assert_close(got, right, called=called, mistakes=known, noun=noun, rtol=1e-5)


@pytest.mark.exercise("3b-update", points=2, shares=True)
def test_update_moves_the_weights_against_their_gradient(student, rng):
    """w - alpha * grad_w, still of shape (784, 1)."""
    assert_update(student, rng, CE, 0)


@pytest.mark.exercise("3b-update", points=1, shares=True)
def test_update_moves_the_bias_against_its_gradient(student, rng):
    """b - alpha * grad_b."""
    assert_update(student, rng, CE, 1)


# --- (b) the parts together ---


def real_pair(datasets, rng, low, high, m=520):
    """Return m images of two digits to train on and 480 to test with, pixels in [0, 1]."""
    x, digits = datasets("mnist")
    rows = rng.permutation(np.flatnonzero((digits == low) | (digits == high)))[: m + 480]
    x, y = x[rows] / 255.0, 1.0 * (digits[rows] == high).reshape(-1, 1)
    return {"x_train": x[:m], "y_train": y[:m], "x_test": x[m:], "y_test": y[m:]}


def trained_error(student, data, epochs=200):
    """Return the test error after training on the cross-entropy at alpha = 0.5.

    A gradient that is off by a constant factor costs its own exercise: alpha makes up for it
    here. The error is computed from w and b, so a wrong predict or cost costs its own, too.
    """
    w, b = np.zeros((N, 1)), 0.0
    model = perceptron(student, data, CE, w, b)
    true = (data["x_train"].T @ delta_of(data, w, b, CE)).reshape(-1)
    own = as_array(gradients(model)[0], called="grad_cost()[0]").reshape(-1)
    scale = float(own @ true / (true @ true)) if own.shape == true.shape else 1.0
    model.alpha = 0.5 / scale if np.isfinite(scale) and scale else 0.5
    model.optimise(epochs)
    w, b = as_array(model.w, called="w after optimise()", shape=(N, 1)), as_scalar(model.b)
    assert_finite(w, called="w after optimise()")
    return float(np.mean((data["x_test"] @ w + b > 0) != (data["y_test"] > 0.5)))


@pytest.mark.exercise("3b-training", points=3)
def test_training_learns_to_tell_1_from_7(student, rng, datasets):
    """After 200 epochs at alpha = 0.5 on 520 images, at most 4 % of the others are wrong."""
    error = trained_error(student, real_pair(datasets, rng, 1, 7))
    assert_error_rate(error, at_most=0.04, called="the test error after optimise(200)")


# --- (c) to (f): figures ---


def keeps_a_history(student, name):
    with contextlib.suppress(StudentFault):  # an attribute may be anything that raises
        return student.has(f"{name}.result_data")
    return False


def trained_model(student):
    """Return the notebook's trained perceptron, by the template's name or any other."""
    names = student.names()
    usual = [name for name in ("trained",) if name in names]
    for name in [*usual, *reversed(names)]:
        if not keeps_a_history(student, name):
            continue
        model = student.value(name)
        history = model.result_data
        if isinstance(history, np.ndarray) and history.ndim == 2 and len(history) > 1:
            return model
    raise Missing("there is no `trained` perceptron: run the cell that trains it")


def history_of(model):
    """Return the columns of a trained perceptron's result_data, (5, epochs)."""
    return as_array(model.result_data, called="trained.result_data", shape=(None, None)).T


def further_curves(figures, model, *, keep_nan=False):
    """Return the curves of the figures that are not the learning curves of (c)."""
    drawn = list(curves(figures, keep_nan=keep_nan))
    try:
        history = history_of(model)
    except CheckFailed:
        return drawn
    known = [find_series(figures, column, min_share=0.9) for column in history]
    numbers = {one.figure for one in known if one is not None}
    return [one for one in drawn if one.figure not in numbers]


def are_labelled(records):
    """Tell whether all axes say what they show, and one of them (they may share it) over what."""
    named = [r.get("ylabel") or r.get("title") or r.get("legend") for r in records]
    return any(r.get("xlabel") for r in records) and all(named)


def trained_weights(model):
    """Return a trained perceptron's weights, (784,); all the same, they have not been trained."""
    w = as_array(model.w, called="trained.w").reshape(-1)
    if not np.ptp(w) > 0:
        raise Missing("the weights of `trained` are all the same, or nan: it has not been trained")
    return w


def error_curves(figures, model):
    """Return the further curves of error rates: counts over the size of one of the two sets.

    Errors of 0 throughout are no errors: nothing was computed.
    """
    data = model.data
    sizes = [len(data["y_test"]), len(data["y_train"])]
    drawn = further_curves(figures, model)
    counts = [(one, one.y * n / top) for one in drawn for n in sizes for top in (1, 100)]
    return [
        one
        for one, k in counts
        if len(k) > 2 and np.allclose(k, np.round(k), rtol=0, atol=1e-4)
        if k.min() >= 0 and k.max() > 0
    ]


@pytest.mark.exercise("3c-curves", points=4, shares=True)
def test_the_learning_curves_show_cost_error_and_speed(student):
    """Each column of result_data is drawn over the epochs, with named axes."""
    history, figures = history_of(trained_model(student)), student.figures
    found = [find_series(figures, column, min_share=0.9) for column in history]
    drawn = [one for one in found if one is not None]
    if len(drawn) < 2 or not any(np.ptp(column) > 0 for column in history):
        raise Missing("no figure shows how cost and error change over the epochs")
    if len(drawn) < len(found):
        partial_credit(
            len(drawn) / len(found) - 0.2, f"{len(drawn)} of {len(found)} curves are drawn"
        )
    if not are_labelled([one.record for one in drawn]):
        partial_credit(0.75, "an axis of the learning curves has no label")


@pytest.mark.exercise("3d-epochs", points=2, shares=True)
def test_a_figure_shows_the_error_over_the_number_of_epochs(student):
    """A curve of error rates that reaches 100 epochs at least, with labelled axes."""
    trained_weights(model := trained_model(student))
    study = [one for one in error_curves(student.figures, model) if one.x.max() >= 99]
    if not study:
        raise Missing("no figure shows the error rate over the number of epochs")
    if not any(one.record.get("xlabel") for one in study):
        partial_credit(0.5, "the axes of the error over the epochs have no labels")


@pytest.mark.exercise("3e-rates", points=2, shares=True)
def test_a_figure_compares_learning_rates(student):
    """Five learning curves or more, or the final error over five learning rates or more."""
    trained_weights(model := trained_model(student))
    figures = student.figures
    # A cost that overflowed is scored where it is computed; here, its curve was drawn.
    long = [one for one in further_curves(figures, model, keep_nan=True) if one.x.size >= 20]
    errors = error_curves(figures, model)
    rates = [one for one in errors if one.x.size >= 5 and 0 < one.x.min() <= 0.1]
    if len(long) < 5 and not rates:
        raise Missing("no figure compares five learning rates or more")
    if not any(one.record.get("xlabel") for one in [*long, *rates]):
        partial_credit(0.5, "the axes of the comparison have no labels")


@pytest.mark.exercise("3f-weights", points=1, shares=True)
def test_a_histogram_shows_the_weights(student):
    """The bars count the 784 weights of the trained perceptron."""
    weights = trained_weights(trained_model(student))
    assert_histogram(student.figures, weights, name="the weights")


@pytest.mark.exercise("3f-weights", points=1, shares=True)
def test_an_image_shows_the_weights(student):
    """28 x 28 pixels, one a weight."""
    weights = trained_weights(trained_model(student))
    assert_image(student.figures, weights, name="the weights", shape=(28, 28))


@pytest.mark.exercise("3f-weights", points=2, shares=True)
def test_images_show_misclassified_digits(student):
    """At least one test image that the trained perceptron takes for the other digit."""
    w = trained_weights(model := trained_model(student))
    data, b = model.data, as_scalar(model.b)
    right = (data["x_test"] @ w + b > 0) == (np.ravel(data["y_test"]) > 0.5)
    wrong = [*data["x_test"][~right]]
    if student.has("x_test"):  # as they were before the normalisation
        wrong += [*as_array(student.value("x_test"), shape=data["x_test"].shape)[~right]]
    figures = student.figures
    if len(wrong) and not any(find_image(figures, x) is not None for x in wrong):
        raise Missing("no figure shows a test image that is misclassified")


# --- (g) optional ---


def pair_rates(student, x, digits):
    """Return pairwise_error_rates for these images, (10, 10): symmetric, 0 on the diagonal."""
    called = "pairwise_error_rates(x, digits)"
    value = student.pairwise_error_rates(x.astype(float), digits.astype(int))
    rates = as_array(value, called=called, shape=(10, 10)).astype(float)
    assert_symmetric(rates, diagonal=0.0, called=called, noun="the table of error rates")
    rates = rates / 100.0 if np.max(rates) > 1 else rates
    assert_in_range(rates, 0.0, 1.0, called=called, noun="the error rates")
    return rates


def fresh_images(rng, datasets, m):
    """Return m images of each digit, (10 m, 784), and their digits, (10 m,), mixed."""
    x, digits = datasets("mnist")
    rows = [rng.permutation(np.flatnonzero(digits == k))[:m] for k in range(10)]
    rows = rng.permutation(np.concatenate(rows))
    return x[rows], digits[rows]


@pytest.mark.exercise("3g-pairs", points=3)
def test_pairwise_error_rates_are_small_and_largest_for_alike_digits(student, rng, datasets):
    """A symmetric table of a few percent; 4 and 9 are confused more often than 0 and 1."""
    rates = pair_rates(student, *fresh_images(rng, datasets, 100))
    called = "pairwise_error_rates(x, digits)"
    if not 0.002 < rates.mean() < 0.1:
        raise CheckFailed("the classifiers don't err in a few percent of cases", called=called)
    alike = np.mean([rates[4, 9], rates[3, 5], rates[7, 9], rates[5, 8]])
    if not alike > np.mean([rates[0, 1], rates[6, 7], rates[1, 4]]):
        raise CheckFailed("digits that look alike are not the harder ones", called=called)
