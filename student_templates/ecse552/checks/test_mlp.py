"""Question 1: a multilayer perceptron by hand. What a check needs (parameters, samples) it draws.

The loss is the sum of squared errors with or without 1/2; the gradients have to be those of the
student's own loss. A mistake in one layer costs that layer: the hidden gradients are right, too,
where they carry the student's own error of the output layer back.
"""

import contextlib
import itertools

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_close,
    assert_close_to_one_of,
    assert_figure_count,
    assert_gradient,
    assert_in_range,
    assert_labelled,
    assert_monotone,
    assert_one_of,
    assert_series,
    assert_unchanged,
    call_unchanging,
)
from grader.errors import CheckFailed, Missing, StudentFault

SIZES = (6, 5, 4, 3)  # no two of them alike, so that a transpose shows
OUTPUT, HIDDEN = ("W3", "b3"), ("W2", "b2", "W1", "b1")
NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")
CONVENTIONS = {"with 1/2": 0.5, "without 1/2": 1.0}


def sigma(z):
    return 1.0 / (1.0 + np.exp(-z))


def draw_params(rng, sizes=SIZES):
    params = {}
    for layer in (1, 2, 3):
        params[f"W{layer}"] = rng.normal(size=(sizes[layer - 1], sizes[layer]))
        params[f"b{layer}"] = rng.normal(size=sizes[layer])
    return params


def draw_samples(rng, m, d=SIZES[0]):
    """Return m samples, (m, d) in [0, 1], and their targets, (m, 3): no two of them alike."""
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    return rng.random((m, d)), patterns[rng.permutation(8)[np.arange(m) % 8]]


def layers(x, params, unit=sigma):
    """Return [h1, h2, y_hat] by the formulas of the sheet."""
    h1 = unit(x @ params["W1"] + params["b1"])
    h2 = unit(h1 @ params["W2"] + params["b2"])
    return [h1, h2, sigma(h2 @ params["W3"] + params["b3"])]


def gradients(x, y, params, factor, slopes=(lambda h: h * (1 - h),) * 3):
    """Return the gradients of factor * sum (y_hat - y)^2; slopes : dh/dz of each layer, of h."""
    h = [x, *layers(x, params)]
    delta, found = 2 * factor * (h[3] - y) * slopes[2](h[3]), {}
    for layer in (3, 2, 1):
        found[f"W{layer}"], found[f"b{layer}"] = np.outer(h[layer - 1], delta), delta
        if layer > 1:
            delta = (params[f"W{layer}"] @ delta) * slopes[layer - 2](h[layer - 1])
    return found


# --- the forward pass ---


def as_layers(value, sizes=SIZES):
    """Return the last three arrays of a list, a tuple or a dict as vectors: h1, h2, y_hat."""
    parts = list(value.values()) if isinstance(value, dict) else value
    called = "forward(x, params)"
    if not isinstance(parts, (list, tuple)) or len(parts) < 3:
        raise CheckFailed("it should return three activations [h1, h2, y_hat]", called=called)
    vectors = []
    for part, n in zip(parts[-3:], sizes[1:], strict=True):
        vectors.append(as_array(part, called=called, shape=[(n,), (1, n), (n, 1)]).reshape(n))
    return vectors


def assert_forward(student, rng, sizes=SIZES):
    """Hold the three activations of one sample; neither it nor the parameters may change."""
    params, x = draw_params(rng, sizes), rng.random(sizes[0])
    called = "forward(x, params)"
    outputs = as_layers(call_unchanging(student.forward, x, params, called=called), sizes)
    right, known = layers(x, params), wrong_layers(x, params)
    for n, name in enumerate(NAMES_OF_LAYERS):
        mistakes = {text: wrong[n] for text, wrong in known.items()}
        assert_close(outputs[n], right[n], called=called, noun=name, mistakes=mistakes)


NAMES_OF_LAYERS = ("h1", "h2", "y_hat")


def wrong_layers(x, params):
    """Return what forward gives with a typical mistake, by the mistake's words."""
    # Each layer from right inputs: the first one that is wrong is told.
    inputs = [x, *layers(x, params)[:2]]
    bare = [sigma(h @ params[f"W{n}"]) for n, h in enumerate(inputs, start=1)]
    linear = layers(x, params)[1] @ params["W3"] + params["b3"]
    return {
        "its bias is lost": bare,
        "the hidden units are tanh": layers(x, params, np.tanh),
        "the hidden units are ReLU": layers(x, params, lambda z: np.maximum(z, 0)),
        "the hidden units are linear": layers(x, params, lambda z: z),
        "sigma is lost in the output layer": [*layers(x, params)[:2], linear],
    }


@pytest.mark.exercise("q1-forward", points=2)
def test_initial_weights_are_small_and_random_and_biases_zero(student):
    """Mean 0 and a standard deviation of about 1/sqrt(n_in), from the given generator."""
    sizes, called = (60, 50, 40, 30), "init_parameters(sizes, rng)"
    new_rng = student["np.random.default_rng"]
    first, again, other = (student.init_parameters(sizes, new_rng(n)) for n in (1, 1, 2))
    params = as_params(first, sizes, called=called)
    for layer in (1, 2, 3):
        W, b = params[f"W{layer}"], params[f"b{layer}"]
        spread = float(np.std(W) * np.sqrt(len(W)))
        if not 0.3 < spread < 1.8 or abs(np.mean(W)) > 0.2 * np.std(W):
            hint = "Draw with mean 0 and a standard deviation of about 1/sqrt(n_in)."
            raise CheckFailed(f"the weights W{layer} have another size", called=called, hint=hint)
        assert_close(b, 0 * b, called=called, noun=f"b{layer}", hint="Biases start at 0.")
    same, different = (as_params(p, sizes, called=called) for p in (again, other))
    if np.any(same["W1"] != params["W1"]) or np.all(different["W1"] == params["W1"]):
        raise CheckFailed("the weights do not come from the generator `rng`", called=called)


@pytest.mark.exercise("q1-forward", points=3, shares=True)
def test_forward_gives_the_activations_of_all_three_layers(student, rng):
    """sigma(W^T h + b), layer by layer."""
    assert_forward(student, rng)


@pytest.mark.exercise("q1-forward", points=1, shares=True)
def test_the_loss_is_the_sum_of_squared_errors(student, rng):
    """With or without 1/2."""
    y_hat, y = rng.random(3), np.array([0.0, 1.0, 1.0])
    square = np.sum((y_hat - y) ** 2)
    conventions = {name: factor * square for name, factor in CONVENTIONS.items()}
    known = {"the mean is taken, not the sum": square / 3, "the root is taken": np.sqrt(square)}
    known |= {"the mean is taken, and halved": square / 6}
    got = as_scalar(student.sse(y_hat, y), called="sse(y_hat, y)")
    assert_close_to_one_of(
        got, conventions, called="sse(y_hat, y)", noun="the loss", mistakes=known, dummy=0.0
    )


# --- the gradients ---


def as_params(value, sizes=SIZES, names=NAMES, *, called):
    """Return a dict of arrays with the parameters' shapes; a bias may be a row or a column."""
    if not isinstance(value, dict):
        raise CheckFailed("it should return a dict with the keys of params", called=called)
    found = {}
    for name in names:
        if name not in value:
            raise CheckFailed(f"the key {name!r} is missing", called=called)
        n_in, n = sizes[int(name[1]) - 1], sizes[int(name[1])]
        shapes = (n_in, n) if name[0] == "W" else [(n,), (1, n), (n, 1)]
        array = as_array(value[name], called=f"{called}[{name!r}]", shape=shapes)
        found[name] = array if name[0] == "W" else array.reshape(n)
    return found


def activations_of(student, x, params):
    """Return right activations in the form in which the student's forward gives them.

    A wrong forward pass has its own exercise.
    """
    right = layers(x, params)
    try:
        own = student.forward(x, params)
        as_layers(own, [len(x), *map(len, right)])
    except (CheckFailed, StudentFault):
        return right
    if not isinstance(own, list) or len(own) != 3:
        return own
    return [np.reshape(h, np.shape(part)) for h, part in zip(right, own, strict=True)]


def backward_of(student, x, y, params, name):
    """Return the student's gradient by this parameter; the sample and params must stay."""
    called = "backward(x, y, params, activations)"
    seen = student.backward.observe(x, y, params, activations_of(student, x, params))
    if seen.error is not None:
        raise seen.error
    assert_unchanged((x, y, params), seen.arguments[:3], called=called)
    sizes = len(x), *(len(params[b]) for b in NAMES[1::2])
    return as_params(seen.value, sizes, [name], called=called)[name]


def own_factors(student):
    """Return the factors c of c * sum (y_hat - y)^2 that the gradients may follow.

    The student's own where their loss is one of the two; else both, as it has its own exercise.
    """
    both = [*CONVENTIONS.values()]
    try:
        loss = as_scalar(student.sse(np.array([0.2, 0.7, 0.4]), np.array([0.0, 1.0, 1.0])))
    except (CheckFailed, StudentFault):
        return both
    return [c for c in both if np.isclose(loss, c * 0.49)] or both


WRONG_SLOPES = {
    "the slope sigma' is lost": lambda h: 1.0 + 0 * h,
    "the slope of the sigmoid is taken as h": lambda h: h,
    "the slope is that of tanh": lambda h: 1 - h**2,
    "sigma is applied to the activation again": lambda h: sigma(h) * (1 - sigma(h)),
}


def wrong_gradients(x, y, params, factor):
    """Return what backward gives with a typical mistake, by the mistake's words."""
    right, found = (lambda h: h * (1 - h)), {}
    for text, wrong in WRONG_SLOPES.items():
        for layer, name in enumerate(["hidden layer 1", "hidden layer 2", "the output layer"]):
            slopes = [wrong if n == layer else right for n in range(3)]
            found[f"in {name} {text}"] = gradients(x, y, params, factor, slopes)
        found[f"in both hidden layers {text}"] = gradients(
            x, y, params, factor, [wrong, wrong, right]
        )
        found[f"in all layers {text}"] = gradients(x, y, params, factor, [wrong] * 3)
    return found


def assert_backward(student, rng, names, sizes=SIZES):
    """Hold these gradients of one sample to central differences of the loss."""
    params, (x, y) = draw_params(rng, sizes), (part[0] for part in draw_samples(rng, 1, sizes[0]))
    y = np.resize(y, sizes[3])
    upstream = np.zeros(sizes[3])
    with contextlib.suppress(CheckFailed):  # a wrong b3 has its own exercise
        upstream = backward_of(student, x, y, params, "b3")

    def squares(p):
        return np.sum((layers(x, p)[2] - y) ** 2)

    def carried_back(p):
        return upstream @ (layers(x, p)[1] @ params["W3"])

    for name in names:
        known = wrong_gradients(x, y, params, own_factors(student)[0])
        hold_to_one_of(
            [(squares, factor) for factor in own_factors(student)]
            + [(carried_back, 1.0)] * (name in HIDDEN and bool(np.any(upstream != 0))),
            lambda at: backward_of(student, x, y, {**params, name: at}, name),  # noqa: B023
            params, name, rng, {text: wrong[name] for text, wrong in known.items()},
        )  # fmt: skip


def hold_to_one_of(losses, grad, params, name, rng, mistakes):
    """Accept a gradient of one of the losses, (function of params, factor), or raise."""

    def check(way):
        loss, factor = way
        assert_gradient(
            lambda at: factor * loss({**params, name: at}), grad, at=params[name],
            rng=rng, name=name, called="backward(x, y, params, activations)",
            transposed_ok=False, mistakes=mistakes, dummy=0.0,
        )  # fmt: skip

    assert_one_of(losses, check)


@pytest.mark.exercise("q1-output-gradients", points=4, shares=True)
def test_gradient_of_the_output_weights(student, rng):
    """W3, held to central differences of the loss."""
    assert_backward(student, rng, ["W3"])


@pytest.mark.exercise("q1-output-gradients", points=2, shares=True)
def test_gradient_of_the_output_biases(student, rng):
    """b3, held to central differences of the loss."""
    assert_backward(student, rng, ["b3"])


@pytest.mark.exercise("q1-hidden-gradients", points=4, shares=True)
def test_gradients_of_the_second_hidden_layer(student, rng):
    """W2 and b2, held to central differences of the loss."""
    assert_backward(student, rng, ["W2", "b2"])


@pytest.mark.exercise("q1-hidden-gradients", points=6, shares=True)
def test_gradients_of_the_first_hidden_layer(student, rng):
    """W1 and b1, held to central differences of the loss."""
    assert_backward(student, rng, ["W1", "b1"])


# --- update and training ---


def assert_update(student, rng, part, eta, sizes=SIZES):
    """Hold the weights ("W") or the biases ("b") after a step to theta - eta * gradient."""
    params, grads = draw_params(rng, sizes), draw_params(rng, sizes)
    called = "update(params, grads, eta)"
    after = as_params(student.update(params, grads, eta), sizes, called=called)
    for name in (name for name in NAMES if name[0] == part):
        old, step = params[name], grads[name]
        if np.array_equal(after[name], old):
            hint = "Change every parameter, and return the params that were changed."
            raise CheckFailed(f"{name} has not moved", called=called, hint=hint)
        known = {"eta is lost": old - step, "the old value is lost": -eta * step}
        known |= {"it climbs, theta + eta * gradient": old + eta * step}
        known |= {"two steps are made with one gradient": old - 2 * eta * step}
        given = {f"the old {name}": old}
        assert_close(after[name], old - eta * step, called=called, mistakes=known, noun=name,
                     inputs=given)  # fmt: skip


@pytest.mark.exercise("q1-update", points=4, shares=True)
def test_update_moves_the_weights_against_their_gradients(student, rng):
    """W1, W2 and W3."""
    assert_update(student, rng, "W", 0.3)


@pytest.mark.exercise("q1-update", points=3, shares=True)
def test_update_moves_the_biases_against_their_gradients(student, rng):
    """b1, b2 and b3."""
    assert_update(student, rng, "b", 0.3)


def train(student, data, epochs, *, hidden=SIZES[1:3], eta=0.7):
    """Return train's three results for (x_train, y_train, x_val, y_val): dict, vector, vector."""
    # A student who draws from numpy's global generator loses that at init_parameters alone.
    student["np.random.seed"](0)
    value = student.train(*data, hidden=hidden, eta=eta, epochs=epochs, seed=3)
    called = f"train(..., epochs={epochs})"
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise CheckFailed(
            "it should return three values: params, train_mse, val_mse", called=called
        )
    sizes = (data[0].shape[1], *hidden, data[1].shape[1])
    curves = [as_array(one, called=called).reshape(-1) for one in value[1:]]
    return as_params(value[0], sizes, called=called), *curves


def steps_of(student, start, samples, eta, updates=1):
    """Return where one step after the other leads, by the student's own three functions."""
    params = start
    for x, y in samples:
        grads = student.backward(x, y, params, student.forward(x, params))
        for _ in range(updates):
            params = as_params(student.update(params, grads, eta), called="update")
    return params


def true_steps(start, samples, eta, factor):
    params = start
    for x, y in samples:
        step = gradients(x, y, params, factor)
        params = {name: params[name] - eta * step[name] for name in NAMES}
    return params


def same(a, b):
    return all(np.allclose(a[name], b[name], rtol=1e-6, atol=1e-9) for name in NAMES)


def ways_to_step(student, start, samples, eta, updates=1):
    """Give the ends of the ways through these samples: by own steps, then by right ones.

    updates : how many are made with each gradient. Two in one convention of the loss are one in
        the other: so right steps are those of the student's own loss.
    """
    # A forward, a backward or an update that fails has its own check.
    with contextlib.suppress(CheckFailed, StudentFault):
        yield steps_of(student, start, samples, eta, updates)
    for factor in own_factors(student):
        yield true_steps(start, samples, updates * eta, factor)


@pytest.mark.exercise("q1-update", points=6)
def test_training_takes_one_step_for_each_sample(student, rng):
    """After an epoch over three samples, each has been taken once, in some order."""
    x, y = draw_samples(rng, 5)
    data, pairs, eta = (x[:3], y[:3], x[3:], y[3:]), list(zip(x, y, strict=True)), 0.7
    start, end = train(student, data, 0, eta=eta)[0], train(student, data, 1, eta=eta)[0]
    called = "train(..., epochs=1)"
    if same(start, end):
        raise CheckFailed("no parameter has moved", called=called)
    for order in itertools.permutations(pairs[:3]):
        if any(same(end, way) for way in ways_to_step(student, start, order, eta)):
            return
    for order in itertools.permutations(pairs[:3]):
        if any(same(end, way) for way in ways_to_step(student, start, order, eta, updates=2)):
            problem = "each sample leads to two updates with one gradient"
            hint = "Compute a gradient, call `update` once, and go on to the next sample."
            raise CheckFailed(problem, called=called, hint=hint)
    refuse_known_ways(start, end, pairs[:3], eta, called=called)
    if any(same(end, true_steps(start, pairs[3:][::n], eta, c)) for n in (1, -1) for c in (0.5, 1)):
        raise CheckFailed("the steps are those of the validation samples", called=called)
    hint = "For each sample: forward, backward, update; each sample once in an epoch."
    raise CheckFailed("the steps are not those of the three samples", called=called, hint=hint)


def refuse_known_ways(start, end, pairs, eta, *, called):
    """Raise for the ways to go through the samples that are known and wrong."""
    moved = {name: end[name] - start[name] for name in NAMES}
    for factor in CONVENTIONS.values():
        at_start = [gradients(x, y, start, factor) for x, y in pairs]
        total = {name: -eta * sum(step[name] for step in at_start) for name in NAMES}
        if same(moved, total) or same(moved, {n: step / len(pairs) for n, step in total.items()}):
            hint = "Update after each sample, not once after all of them."
            raise CheckFailed("an epoch is one step of batch size 3", called=called, hint=hint)
        for count in (1, 2):
            for part in itertools.permutations(pairs, count):
                if same(end, true_steps(start, part, eta, factor)):
                    problem = f"only {count} of 3 samples lead to a step in an epoch"
                    raise CheckFailed(problem, called=called)
        twice = (true_steps(start, [*o, *o], eta, factor) for o in itertools.permutations(pairs))
        if any(same(end, way) for way in twice):
            raise CheckFailed("each sample leads to two steps in an epoch", called=called)


def error_on(student, x, y, params):
    """Return the mean squared error of the network with the student's own forward."""
    outputs = [as_layers(one, [0, *map(len, (params["b1"], params["b2"], params["b3"]))])[2]
               for one in student.forward.map([(a, params) for a in x])]  # fmt: skip
    return float(np.mean((np.array(outputs) - y) ** 2))


# --- the error curves ---


@pytest.mark.exercise("q1-error-curves", points=2)
def test_both_errors_are_recorded_after_each_epoch(student, rng):
    """Of the whole training and the whole validation set, by the parameters of that time."""
    (x, y), (x_val, y_val) = draw_samples(rng, 5), draw_samples(rng, 4)
    for epochs in (1, 3):
        params, *curves = train(student, (x, y, x_val, y_val), epochs)
        errors = error_on(student, x_val, y_val, params), error_on(student, x, y, params)
        for curve, error, name in zip(curves[::-1], errors, ("val_mse", "train_mse"), strict=True):
            called = f"{name} of train(..., epochs={epochs})"
            if len(curve) not in (epochs, epochs + 1):  # the start may be recorded, too
                raise CheckFailed(
                    "it should hold a value for each epoch", called=called, got=f"{len(curve)}"
                )
            other = {"it is the error of the other set": sum(errors) - error}
            assert_close(curve[-1], error, called=called, noun="the last value", mistakes=other,
                         factors={"outputs": 3})  # fmt: skip


def recorded(student):
    """Return the notebook's train_mse and val_mse, a vector each."""
    curves = [as_array(student.value(name), called=name) for name in ("train_mse", "val_mse")]
    if not all(curve.ndim == 1 and curve.size > 1 for curve in curves):
        raise Missing("the training has recorded no errors")
    return curves


@pytest.mark.exercise("q1-error-curves", points=2, shares=True)
def test_both_errors_fall_and_the_validation_error_ends_below_8_percent(student):
    """In the notebook's own training; its end wiggles, so the best of three epochs counts."""
    train_mse, val_mse = recorded(student)
    for curve, name in ((train_mse, "train_mse"), (val_mse, "val_mse")):
        assert_monotone(curve, share=0.2, called=name, noun="the error")
    best = np.min(val_mse[-3:])
    assert_in_range(best, 0.0, 0.08, called="val_mse", noun="the last validation error")


@pytest.mark.exercise("q1-error-curves", points=2, shares=True)
def test_a_figure_shows_both_errors_over_the_epochs(student):
    """train_mse and val_mse, as they were recorded."""
    train_mse, val_mse = recorded(student)
    assert_figure_count(student.figures, at_least=1, name="the error curves")
    assert_series(student.figures, train_mse, name="the training error")
    assert_series(student.figures, val_mse, name="the validation error")


@pytest.mark.exercise("q1-error-curves", points=1, shares=True)
def test_the_axes_of_the_error_curves_are_labelled(student):
    """The figure of the errors names what it shows."""
    _, val_mse = recorded(student)
    assert_labelled(assert_series(student.figures, val_mse, name="the validation error"))
