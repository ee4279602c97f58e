"""Question 3: the network. What a check needs (parameters, data, gradients) it sets itself.

The objective, its parts and the error rate are computed here anew from the parameters, so
that a mistake in one method of the class costs no other one.
"""

import contextlib

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_close,
    assert_error_rate,
    assert_finite,
    assert_gradient,
    assert_labelled,
    assert_no_warnings,
    assert_regions,
    assert_shape,
    assert_unchanged,
    assert_vectorised,
    find_regions,
    find_series,
    partial_credit,
)
from grader.checks.plots import curves
from grader.errors import CheckFailed, Missing, StudentFault

D, DH, M = 4, 5, 3  # no two of them alike, nor like a number of examples
NAMES = ("W1", "b1", "W2", "b2")
NO_DECAY = (0.0, 0.0, 0.0, 0.0)
DECAY = (0.03, 0.05, 0.07, 0.11)


# --- the truth ---


def softmax(z):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def activations(theta, X):
    """Return ha, hs, oa, os, one row an example."""
    W1, b1, W2, b2 = theta
    ha = X @ W1.T + b1
    hs = np.maximum(ha, 0.0)
    oa = hs @ W2.T + b2
    return ha, hs, oa, softmax(oa)


def losses(theta, X, y):
    """Return -log os_y of each example, (K,)."""
    oa = activations(theta, X)[2]
    return np.log(np.exp(oa).sum(axis=1)) - oa[np.arange(len(y)), y]


def objective(theta, X, y, decay):
    return losses(theta, X, y).mean() + sum(
        l1 * np.abs(W).sum() + l2 * np.square(W).sum()
        for W, l1, l2 in [(theta[0], *decay[:2]), (theta[2], *decay[2:])]
    )


def error_rate(theta, X, y):
    return float(np.mean(activations(theta, X)[3].argmax(axis=1) != y))


def gradient(theta, X, y, decay):
    """Return the gradient of the objective by each parameter."""
    ha, hs, _, os = activations(theta, X)
    d_oa = (os - np.eye(os.shape[1])[y]) / len(y)
    d_ha = d_oa @ theta[2] * (ha > 0)
    W1, W2 = sum(nets(theta[0], decay[:2])), sum(nets(theta[2], decay[2:]))
    return d_ha.T @ X + W1, d_ha.sum(axis=0), d_oa.T @ hs + W2, d_oa.sum(axis=0)


# --- the student's network ---


def some_parameters(rng, d=D, dh=DH, m=M):
    """Return W1, b1, W2, b2; no weight is near 0, where |w| has its kink."""
    shapes = [(dh, d), (dh,), (m, dh), (m,)]
    signs = [rng.choice([-1.0, 1.0], size=shape) for shape in shapes]
    return [0.6 * s * rng.uniform(0.2, 1.5, size=s.shape) for s in signs]


def some_examples(rng, K, d=D, m=M):
    return rng.normal(size=(K, d)), rng.integers(0, m, size=K)


def network(student, theta, decay=NO_DECAY):
    """Return the student's network with these parameters, whatever it was given at first."""
    dh, d = theta[0].shape
    net = student.NeuralNet(d, dh, len(theta[2]), *decay)
    place(net, theta)
    return net


def place(net, theta):
    """Set the parameters; a bias that the student keeps as a column or a row stays one."""
    for name, value in zip(NAMES, theta, strict=True):
        shape = value.shape
        if value.ndim == 1:
            own = np.shape(getattr(net, name)) if has(net, name) else shape
            shape = own if own in [(value.size, 1), (1, value.size)] else shape
        setattr(net, name, value.reshape(shape))


def has(net, name):
    try:
        return isinstance(net.attribute(name), np.ndarray)
    except (Missing, StudentFault):
        return False


def parameters(net):
    """Return the network's W1, b1, W2, b2 as they are now; the biases with one axis."""
    values = [as_array(net.attribute(name), called=f"self.{name}") for name in NAMES]
    return [v.reshape(-1) if i % 2 else v for i, v in enumerate(values)]


def gradients(net, version, X, y):
    """Return the four gradients that bprop, bprop_loop or finite_difference gives."""
    if version == "bprop":
        net.fprop(X, y)  # bprop may use what fprop kept of the same X
    value = net.attribute(version)(X, y)
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        due = "it should return four gradients: grad_W1, grad_b1, grad_W2, grad_b2"
        raise CheckFailed(due, called=f"{version}(X, y)")
    return value


def assert_gradients(student, version, rng, *, K, decay=NO_DECAY, size=(D, DH, M)):
    """Hold each of the four gradients to finite differences of the objective."""
    theta, (X, y) = some_parameters(rng, *size), some_examples(rng, K, size[0], size[2])
    got = gradients(network(student, theta, decay), version, X, y)
    for i, name in enumerate(NAMES):
        own, others = (decay[:2], decay[2:]) if i < 2 else (decay[2:], decay[:2])
        bare = gradient(theta, X, y, NO_DECAY)[i]
        terms = dict(zip(("L1", "L2"), nets(theta[i], own), strict=True))
        decayed = sum(terms.values())
        known = {"the elastic net is left out": bare}
        known |= {"the two layers' decays are swapped": bare + sum(nets(theta[i], others))}
        if decayed.any():
            known |= {"the examples are summed, not averaged": K * bare + decayed}
            known |= {"the elastic net is added for each example": bare + K * decayed}
        if name[0] == "b":
            known, terms = {"the biases decay, too": bare + decayed}, {}
        assert_gradient(
            lambda at, i=i: objective([*theta[:i], at, *theta[i + 1 :]], X, y, decay),
            lambda at, i=i: got[i],
            at=theta[i], rng=rng, name=name, called=f"{version}(X, y), grad_{name}",
            factors={"K": K}, mistakes=known, transposed_ok=name[0] == "b",
            terms={words: term for words, term in terms.items() if term.any()},
        )  # fmt: skip


def nets(W, decay):
    """Return the gradients of the two penalties of the elastic net."""
    l1, l2 = decay
    return l1 * np.sign(W), 2 * l2 * W


# --- (1) softmax ---


def assert_softmax(student, z, **known):
    seen = student.softmax.observe(z)
    if seen.error is not None:
        raise seen.error
    assert_no_warnings(seen.warnings, called="softmax(z)")
    assert_close(seen.value, softmax(z), called="softmax(z)", noun="softmax", **known)
    assert_unchanged(z, seen.arguments[0], called="softmax(z)")


@pytest.mark.exercise("q3-softmax", points=1.5)
def test_softmax_of_a_vector_gives_probabilities(student, rng):
    """exp(z_k) over the sum of all of them; z stays as it is."""
    for m in (4, 2, 10):
        z = 2 * rng.normal(size=m)
        known = {
            "the sum is not divided by": np.exp(z),
            "the sum of z divides": np.exp(z) / z.sum(),
        }
        known |= {"each element has a sigmoid of its own": 1 / (1 + np.exp(-z))}
        known |= {"the maximum divides, not the sum": np.exp(z - z.max())}
        assert_softmax(student, z, mistakes=known)


@pytest.mark.exercise("q3-softmax", points=1.5)
def test_softmax_of_a_batch_works_on_each_row(student, rng):
    """The rows (K, m) are examples: each sums to 1; a batch of one, too, and a square one."""
    for shape in [(5, 3), (1, 4), (3, 3)]:
        z = 2 * rng.normal(size=shape)
        known = {"the sum runs over the whole batch": np.exp(z) / np.exp(z).sum()}
        known |= {"the sum runs over the examples, not the classes": softmax(z.T).T}
        assert_softmax(student, z, mistakes=known)


# --- (2) initial parameters ---


def assert_uniform(values, bound, *, called):
    """Accept numbers that look drawn from the uniform distribution on [-bound, bound].

    The largest gap between their distribution and the uniform one (Kolmogorov, Smirnov) is
    under 3 / sqrt(n): of right draws, one in 30 million is refused.
    """
    u = np.sort(np.ravel(values)) / bound
    if np.ptp(u) == 0:
        raise CheckFailed("all weights are the same number", called=called)
    if np.abs(u).max() > 1 + 1e-9:
        hint = "Is n_c the number of the layer's inputs, and 1/sqrt(n_c) taken?"
        problem = "weights lie outside -1/sqrt(n_c) ... 1/sqrt(n_c)"
        raise CheckFailed(problem, called=called, hint=hint)
    gap = np.abs(np.arange(u.size) / u.size - (u + 1) / 2).max()
    if gap > 3 / np.sqrt(u.size):
        got = f"from {u[0] * bound:.3g} to {u[-1] * bound:.3g}, mean {u.mean() * bound:.3g}"
        problem = "the weights are not spread evenly over -1/sqrt(n_c) ... 1/sqrt(n_c)"
        raise CheckFailed(problem, called=called, got=got)


@pytest.mark.exercise("q3-init", points=2)
def test_weights_are_uniform_within_their_bounds(student, rng):
    """n_c is the number of a layer's inputs: d for W1, dh for W2."""
    d, dh, m = 90, 40, 70
    net = student.NeuralNet(d, dh, m, seed=int(rng.integers(1000)))
    W1, W2 = (as_array(net.attribute(name), called=f"self.{name}") for name in ("W1", "W2"))
    assert_uniform(W1, 1 / np.sqrt(d), called="self.W1 of a new network")
    assert_uniform(W2, 1 / np.sqrt(dh), called="self.W2 of a new network")


@pytest.mark.exercise("q3-init", points=1)
def test_parameters_have_their_shapes_and_biases_are_zero(student):
    """W1 (dh, d), b1 (dh,), W2 (m, dh), b2 (m,)."""
    net, names = student.NeuralNet(D, DH, M), {"d": D, "dh": DH, "m": M}
    for name, shapes in [
        ("W1", ("dh", "d")), ("W2", ("m", "dh")),
        ("b1", [("dh",), ("dh", 1), (1, "dh")]), ("b2", [("m",), ("m", 1), (1, "m")]),
    ]:  # fmt: skip
        called = f"self.{name} of a new network"
        value = as_array(net.attribute(name), called=called)
        assert_shape(value, shapes, called=called, names=names)
        if name[0] == "W" and not value.any():
            raise Missing("the weights are all 0", called=called)
        if name[0] == "b" and value.any():
            raise CheckFailed("the biases don't start at 0", called=called)


# --- (3) fprop ---


def assert_fprop(student, rng, K):
    """Hold the average loss, and the os that predict needs, to the definition."""
    theta, (X, y) = some_parameters(rng), some_examples(rng, K)
    net, called = network(student, theta), f"fprop(X, y), K = {K}"
    loss = as_scalar(net.fprop(X, y), called=called)
    os, mean = activations(theta, X)[3], losses(theta, X, y).mean()
    known = {"no logarithm is taken": -os[np.arange(K), y].mean()}
    known |= {"every class is summed, not that of y": -np.log(os).sum(axis=1).mean()}
    known |= {"the logarithm is base 10": mean / np.log(10), "it is base 2": mean / np.log(2)}
    assert_close(loss, mean, called=called, factors={"K": K}, mistakes=known, noun="the loss")
    got = as_array(net.os, called=f"self.os after {called}")
    assert_close(got, os, called=f"self.os after {called}", noun="os", names={"K": K, "m": M})


@pytest.mark.exercise("q3-fprop", points=2)
def test_fprop_of_one_example(student, rng):
    """K = 1: X is (1, d); the loss, and os of shape (1, m)."""
    assert_fprop(student, rng, 1)


@pytest.mark.exercise("q3-fprop", points=2)
def test_fprop_of_a_minibatch(student, rng):
    """K = 10: the mean of the losses, and os of shape (10, m)."""
    assert_fprop(student, rng, 10)


@pytest.mark.exercise("q3-fprop", points=1)
def test_fprop_does_without_a_loop(student, rng):
    """100 times as many examples take no more Python steps."""
    assert_fprop(student, rng, 6)
    net = network(student, some_parameters(rng))
    steps = [net.fprop.observe(*some_examples(rng, K), steps=True).steps for K in (10, 1000)]
    assert_vectorised(*steps, called="fprop(X, y)", sizes=(10, 1000))


# --- (4) bprop_loop ---


@pytest.mark.exercise("q3-bprop-loop", points=2)
def test_bprop_loop_gives_the_gradient_of_one_example(student, rng):
    """K = 1, held to finite differences for each of W1, b1, W2, b2."""
    assert_gradients(student, "bprop_loop", rng, K=1)


@pytest.mark.exercise("q3-bprop-loop", points=2)
def test_bprop_loop_gives_the_mean_over_a_minibatch(student, rng):
    """K = 10, the mean of the examples' gradients."""
    assert_gradients(student, "bprop_loop", rng, K=10)


@pytest.mark.exercise("q3-bprop-loop", points=2)
def test_bprop_loop_adds_the_gradient_of_the_elastic_net(student, rng):
    """Both penalties of both weight matrices, once, and none of the biases."""
    assert_gradients(student, "bprop_loop", rng, K=6, decay=DECAY)


# --- (5) finite_difference ---


def assert_finite_differences(student, rng, K, decay, **epsilon):
    """Hold finite_difference to the student's own objective: a wrong fprop costs its own."""
    theta, (X, y) = some_parameters(rng), some_examples(rng, K)
    net = network(student, theta, decay)
    ends = np.cumsum([part.size for part in theta])[:-1]

    def moved(at):
        place(net, [p.reshape(t.shape) for p, t in zip(np.split(at, ends), theta, strict=True)])
        return net

    def J(at):
        return as_scalar(moved(at).objective(X, y), called="objective(X, y)")

    def differences(at):
        parts = moved(at).finite_difference(X, y, **epsilon)
        return flat(parts, theta)

    at = np.concatenate([part.ravel() for part in theta])
    assert_gradient(
        J, differences, at=at, rng=rng, transposed_ok=True, rtol=1e-2, name="the parameters",
        called="finite_difference(X, y)", factors={"epsilon": 1e-5},
        hint="The ratio to the gradient should lie between 0.99 and 1.01.",
    )  # fmt: skip
    if not differences(at).any():
        raise Missing("every finite difference is 0", called="finite_difference(X, y)")


def flat(parts, theta, called="finite_difference(X, y)"):
    """Return four gradients in one vector, each of the size of its parameter."""
    if not isinstance(parts, (tuple, list)) or len(parts) != 4:
        raise CheckFailed("it should return four gradients", called=called)
    shapes = [[t.shape, (*t.shape, 1), (1, *t.shape)] if t.ndim == 1 else t.shape for t in theta]
    arrays = [
        as_array(part, called=f"{called}, grad_{name}", shape=shape)
        for part, name, shape in zip(parts, NAMES, shapes, strict=True)
    ]
    return np.concatenate([array.ravel() for array in arrays])


@pytest.mark.exercise("q3-finite-difference", points=2)
def test_finite_differences_match_the_slopes_of_the_objective(student, rng):
    """One example; the ratio of the two lies within 0.99 ... 1.01."""
    assert_finite_differences(student, rng, 1, NO_DECAY)


@pytest.mark.exercise("q3-finite-difference", points=1)
def test_finite_differences_hold_for_a_minibatch_with_decay(student, rng):
    """Ten examples; the elastic net belongs to the objective."""
    assert_finite_differences(student, rng, 10, DECAY)


@pytest.mark.exercise("q3-finite-difference", points=1)
def test_finite_difference_leaves_the_parameters_as_they_were(student, rng):
    """Each parameter goes back before the next one moves."""
    theta = some_parameters(rng)
    net = network(student, theta)
    differences = net.finite_difference(*some_examples(rng, 3))
    if not flat(differences, theta).any():
        raise Missing("every finite difference is 0", called="finite_difference(X, y)")
    for name, before, after in zip(NAMES, theta, parameters(net), strict=True):
        if not np.allclose(after, before, rtol=0, atol=1e-9):
            hint = "Set each element back before the next one moves."
            raise CheckFailed(
                f"{name} is left changed", called="finite_difference(X, y)", hint=hint
            )


# --- (6) bprop ---


@pytest.mark.exercise("q3-bprop", points=2)
def test_bprop_gives_the_gradient_of_one_example(student, rng):
    """K = 1, held to finite differences for each of W1, b1, W2, b2."""
    assert_gradients(student, "bprop", rng, K=1)


@pytest.mark.exercise("q3-bprop", points=2)
def test_bprop_gives_the_mean_over_a_minibatch(student, rng):
    """K = 10, the mean of the examples' gradients."""
    assert_gradients(student, "bprop", rng, K=10)


@pytest.mark.exercise("q3-bprop", points=1)
def test_bprop_adds_the_gradient_of_the_elastic_net(student, rng):
    """Both penalties of both weight matrices, once, and none of the biases."""
    assert_gradients(student, "bprop", rng, K=6, decay=DECAY)


@pytest.mark.exercise("q3-bprop", points=2)
def test_bprop_does_without_a_loop_over_the_examples(student, rng):
    """100 times as many examples take no more Python steps, where the loop takes 100 times."""
    assert_gradients(student, "bprop", rng, K=6)
    net = network(student, some_parameters(rng))
    steps = []
    for K in (10, 1000):
        X, y = some_examples(rng, K)
        net.fprop(X, y)
        seen = net.bprop.observe(X, y, steps=True)
        if seen.error is not None:
            raise seen.error
        steps.append(seen.steps)
    assert_vectorised(*steps, called="bprop(X, y)", sizes=(10, 1000))


# --- (9) training ---


def circle_points(rng, n=1100):
    """Return points on two circles, (n, 2), and their classes: 0 at radius 1, 1 at 0.8."""
    y, angle = rng.permutation(np.arange(n) % 2), rng.uniform(0, 2 * np.pi, size=n)
    radius = np.where(y == 1, 0.8, 1.0)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y


def split(X, y, *sizes):
    """Return as many pairs (X, y) as sizes, cut one after the other."""
    ends = np.cumsum(sizes)
    return [(X[end - n : end], y[end - n : end]) for end, n in zip(ends, sizes, strict=True)]


def own_steps(net, X, y, K):
    """Return the sum of bprop's gradients over minibatches of K: what an epoch of tiny steps adds.

    A wrong gradient has its own exercise; a mean or a sum over the minibatch adds up alike,
    however the examples are dealt.
    """
    firsts = range(0, len(y), K)
    total = np.sum([own_gradient(net, X[i : i + K], y[i : i + K]) for i in firsts], axis=0)
    if not total.any():
        raise Missing("bprop gives no gradient to train with", called="bprop(X, y)")
    return total


def own_gradient(net, X, y):
    """Return bprop's gradients in one vector; bprop_loop's where bprop has none of their shapes."""
    theta = parameters(net)
    with contextlib.suppress(CheckFailed, StudentFault):
        return flat(gradients(net, "bprop", X, y), theta, called="bprop(X, y)")
    return flat(gradients(net, "bprop_loop", X, y), theta, called="bprop_loop(X, y)")


def assert_one_epoch(student, rng, n, K, decay):
    """Hold one epoch of tiny steps to their sum: each example once, n / K steps of eta."""
    theta, eta = some_parameters(rng), 1e-7
    sets = split(*some_examples(rng, n + 10), n, 5, 5)
    net = network(student, theta, decay)
    total = own_steps(net, *sets[0], K)
    before = np.concatenate([part.ravel() for part in theta])
    student.train(net, *sets, K=K, eta=eta, epochs=1)
    after = np.concatenate([part.ravel() for part in parameters(net)])
    # Signs and sizes of steps of 1e-7 come with nine digits less than the parameters have.
    got, known = (before - after) / eta, {"it climbs": -total, "no step is made": 0 * total}
    known |= {"one step is made, with all examples": total * K / n}
    assert_close(
        got, total, rtol=1e-3, atol=1e-4 * np.abs(total).max(), noun="the sum of an epoch's steps",
        called=f"train(...) with {n} examples, K = {K}, epochs = 1", mistakes=known,
        factors={"K": K, "n": n}, hint="Each example is used once: n / K steps of -eta * gradient.",
    )  # fmt: skip


@pytest.mark.exercise("q3-train", points=2)
def test_an_epoch_makes_a_step_for_each_minibatch(student, rng):
    """24 examples in minibatches of 6: four steps against the gradient, each example once."""
    assert_one_epoch(student, rng, 24, 6, DECAY)


@pytest.mark.exercise("q3-train", points=2)
def test_the_log_holds_loss_and_error_of_the_three_sets(student, rng):
    """One row an epoch; the last row is that of the network as it is in the end."""
    sets, called = split(*circle_points(rng), 600, 250, 250), "the log of train(...)"
    net = network(student, some_parameters(rng, 2, 8, 2))
    log = as_array(student.train(net, *sets, K=50, eta=0.1, epochs=4), called=called, shape=(4, 6))
    # By the student's own evaluate: a wrong fprop has its own exercise.
    due = np.array([as_scalar(value) for part in sets for value in net.evaluate(*part)])
    known = {"losses and error rates stand in another order": [*due[::2], *due[1::2]]}
    known |= {"the error rates are in percent": np.multiply(due, [1, 100] * 3)}
    assert_finite(due, called="net.evaluate(X, y) after train(...)")
    turned = np.array([0, 1] * 3) + np.array([1, -1] * 3) * due
    known |= {"accuracies stand there, not error rates": turned}
    noun = "the last row (loss and error on train, valid, test)"
    assert_close(log[-1], due, called=called, mistakes=known, noun=noun, rtol=1e-6)
    assert_finite(log, called=called)
    if np.ptp(log[:, 0]) == 0:
        raise CheckFailed("the training loss is the same after every epoch", called=called)


@pytest.mark.exercise("q3-train", points=1)
def test_training_learns_the_two_circles(student, rng):
    """After 150 epochs 20 hidden units err on at most 5 % of the points.

    A gradient that is off by a constant factor costs its own exercise: eta makes up for it.
    """
    sets, theta = split(*circle_points(rng), 700, 200, 200), first_parameters(rng)
    net = network(student, theta)
    batch = sets[0][0][:50], sets[0][1][:50]
    true = np.concatenate([part.ravel() for part in gradient(theta, *batch, NO_DECAY)])
    scale = own_gradient(net, *batch) @ true / (true @ true)
    student.train(net, *sets, K=50, eta=0.1 / scale if scale else 0.1, epochs=150)
    error = error_rate(parameters(net), *sets[2])
    assert_error_rate(error, at_most=0.05, called="the test error after train(...)")


def first_parameters(rng, d=2, dh=20, m=2):
    """Return parameters as a new network has them."""
    W1, W2 = rng.uniform(-1, 1, size=(dh, d)), rng.uniform(-1, 1, size=(m, dh))
    return [W1 / np.sqrt(d), np.zeros(dh), W2 / np.sqrt(dh), np.zeros(m)]


# --- (10) decision regions ---


def new_figures(student, before):
    """Return the figures that a call has drawn since."""
    return student.figures[before:]


def boundary(rng):
    """Return a line a.x = c that is far from a mirror image of itself: a (2,), c."""
    angle = rng.uniform(0.35, 0.6) + rng.choice([0, np.pi / 2])
    return np.array([np.cos(angle), np.sin(angle)]), 0.4


def half_plane(a, c):
    """Return parameters of two hidden units that choose class 1 where a.x > c, steeply."""
    W1, W2 = np.array([a, -a]), 40 * np.array([[-1.0, 1.0], [1.0, -1.0]])
    return [W1, np.array([-c, c]), W2, np.zeros(2)]


@pytest.mark.exercise("q3-regions", points=2)
def test_plot_regions_colours_the_plane_by_the_predicted_class(student, rng):
    """The colours change where a network of known weights changes its mind."""
    (a, c), (X, y) = boundary(rng), circle_points(rng, 200)
    net, before = network(student, half_plane(a, c)), len(student.figures)
    student.plot_regions(net, X, y)
    drawn, called = new_figures(student, before), "plot_regions(net, X, y)"
    assert_regions(drawn, lambda p: p @ a - c, tolerance=0.12, called=called)


@pytest.mark.exercise("q3-regions", points=1)
def test_plot_regions_shows_the_points(student, rng):
    """The points of X are drawn where they are."""
    (a, c), (X, y) = boundary(rng), circle_points(rng, 200)
    net, before = network(student, half_plane(a, c)), len(student.figures)
    student.plot_regions(net, X, y)
    clouds = [np.column_stack([one.x, one.y]) for one in curves(new_figures(student, before))]
    # A grid of coloured points is no data: the circles are drawn to all their digits.
    drawn = np.concatenate([np.zeros((1, 2)), *clouds])
    near = np.array([np.abs(drawn - point).max(axis=1).min() < 1e-6 for point in X[:50]])
    if near.mean() < 0.5:
        raise CheckFailed("the points of X are not drawn", called="plot_regions(net, X, y)")


def errors_and_panels(student, compare, values):
    """Return the error rates that compare gives, and how many decision regions it draws."""
    before, called = len(student.figures), f"{compare}({values})"
    errors = as_array(getattr(student, compare)(values), called=called, shape=(len(values),))
    return errors.astype(float), len(find_regions(new_figures(student, before)))


@pytest.mark.exercise("q3-study", points=1)
def test_a_wide_network_learns_the_circles_and_a_narrow_one_does_not(student):
    """One hidden unit cannot enclose a circle; sixteen can. A region for each is drawn."""
    (narrow, wide), panels = errors_and_panels(student, "compare_widths", [1, 16])
    called = "compare_widths([1, 16])"
    assert_error_rate(wide, at_most=0.15, called=called, noun="the error with 16 hidden units")
    if narrow < 0.25:
        raise CheckFailed("one hidden unit can't err so little on the circles", called=called)
    if panels < 2:
        partial_credit(0.5, f"{panels} decision regions are drawn for 2 widths", called=called)


@pytest.mark.exercise("q3-study", points=1)
def test_strong_weight_decay_keeps_the_network_from_learning(student):
    """Without decay the circles are learnt, with 0.3 hardly anything; regions are drawn."""
    (free, held), panels = errors_and_panels(student, "compare_decays", [0.0, 0.3])
    called = "compare_decays([0.0, 0.3])"
    assert_error_rate(free, at_most=0.15, called=called, noun="the error without decay")
    if held < 0.25:
        hint = "Is the decay given to the network (l12, l22), and in bprop's gradient?"
        raise CheckFailed("decay changes hardly anything", called=called, hint=hint)
    if panels < 2:
        partial_credit(0.5, f"{panels} decision regions are drawn for 2 decays", called=called)


# --- (11) Fashion-MNIST ---


def fashion_test_set(datasets):
    """Return the notebook's test set: the first fifth of its permutation."""
    X, y = datasets("fashion-mnist")
    rows = np.random.default_rng(0).permutation(len(X))[: len(X) // 5]
    return X[rows] / 255.0, y[rows].astype(int)


@pytest.mark.exercise("q3-fashion", points=3)
def test_the_error_on_fashion_mnist_is_below_20_percent(student, datasets):
    """fashion_net is asked for the classes of the test images."""
    X, y = fashion_test_set(datasets)
    called = "fashion_net.predict(test images)"
    classes = as_array(student.value("fashion_net").predict(X), called=called, shape=(len(y),))
    error = float(np.mean(classes != y))
    assert_error_rate(error, at_most=0.20, classes=10, called=called, noun="the test error")


@pytest.mark.exercise("q3-curves", points=2)
def test_plot_log_shows_losses_and_error_rates_over_the_epochs(student, rng):
    """Each of the six columns is drawn, with named axes."""
    log, before = np.sort(rng.random((12, 6)), axis=0)[::-1], len(student.figures)
    student.plot_log(log)
    figures, called = new_figures(student, before), "plot_log(log)"
    drawn = [one for column in log.T if (one := find_series(figures, column, min_share=0.9))]
    if not drawn:
        raise Missing("no curve shows a column of the log", called=called)
    if len(drawn) < 6:
        partial_credit(len(drawn) / 6 - 0.15, f"{len(drawn)} of 6 curves are drawn", called=called)
    for one in drawn:
        assert_labelled(one, called=called)
