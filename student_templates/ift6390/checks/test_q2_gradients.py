"""Question 2: the network's gradients for one example.

Each is held to finite differences of what it belongs to, times an upstream gradient drawn
at random: an upstream of ones, or of the right softmax alone, would hide mistakes.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from grader.checks import as_array, as_scalar, assert_close, assert_gradient, call_unchanging
from grader.errors import CheckFailed

D, DH, M = 5, 4, 3  # no two of them alike, so that a swapped axis or layer shows


def softmax(oa):
    e = np.exp(oa - np.max(oa))
    return e / e.sum()


def rect(ha):
    return np.maximum(ha, 0.0)


def network(rng):
    """Return one example, the parameters, and upstream gradients that belong to no loss."""
    return SimpleNamespace(
        x=rng.normal(size=D), W1=rng.normal(size=(DH, D)), b1=rng.normal(size=DH),
        W2=rng.normal(size=(M, DH)), b2=rng.normal(size=M),
        ha=np.array([-1.0, 1.0, -1.0, 1.0]) * rng.uniform(0.3, 2.0, size=DH),
        hs=rng.uniform(0.2, 2.0, size=DH),
        d_oa=rng.normal(size=M), d_hs=rng.normal(size=DH), d_ha=rng.normal(size=DH),
    )  # fmt: skip


def four(value):
    """Return forward's four vectors, whatever they hold."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise CheckFailed("it should return four arrays, ha, hs, oa, os", called="forward(...)")
    return value


# --- (1) to (6): the forward pass ---


@pytest.mark.exercise("q2-forward", points=2, shares=True)
def test_forward_gives_the_hidden_layer(student, rng):
    """ha = W1 x + b1, and hs = rect(ha) of the same call."""
    n = network(rng)
    called = "forward(x, W1, b1, W2, b2)"
    ha, hs, _, _ = four(
        call_unchanging(student.forward, n.x, n.W1, n.b1, n.W2, n.b2, called=called)
    )
    expected = n.W1 @ n.x + n.b1
    known = {"the bias is lost": n.W1 @ n.x, "the rectifier comes too early": rect(expected)}
    assert_close(ha, expected, called=f"{called}, ha", noun="ha", mistakes=known)
    known = {"the rectifier is lost": ha, "the sigmoid is taken": 1 / (1 + np.exp(-ha))}
    known |= {"tanh is taken": np.tanh(ha), "the absolute value is taken": np.abs(ha)}
    assert_close(hs, rect(ha), called=f"{called}, hs", noun="hs", mistakes=known)


@pytest.mark.exercise("q2-forward", points=2, shares=True)
def test_forward_gives_the_output_layer(student, rng):
    """oa = W2 hs + b2 and os = softmax(oa), with the hs of the same call."""
    n = network(rng)
    called = "forward(x, W1, b1, W2, b2)"
    _, hs, oa, os = four(student.forward(n.x, n.W1, n.b1, n.W2, n.b2))
    hs = as_array(hs, called=f"{called}, hs", shape=(DH,))
    known = {"the bias is lost": n.W2 @ hs, "the bias is subtracted": n.W2 @ hs - n.b2}
    assert_close(oa, n.W2 @ hs + n.b2, called=f"{called}, oa", noun="oa", mistakes=known)
    known = {"the sum is not divided by": np.exp(oa), "softmax is lost": oa}
    known |= {"it is divided by the sum of oa": np.exp(oa) / np.sum(oa)}
    known |= {"each unit has a sigmoid of its own": 1 / (1 + np.exp(-oa))}
    assert_close(os, softmax(oa), called=f"{called}, os", noun="os", mistakes=known)


@pytest.mark.exercise("q2-n-parameters", points=2, shares=True)
def test_n_parameters_counts_weights_and_biases(student, rng):
    """dh (d + 1) + m (dh + 1)."""
    for d, dh, m in [(1, 1, 1), *rng.integers(2, 60, size=(5, 3)).tolist()]:
        called = f"n_parameters({d}, {dh}, {m})"
        known = {"the biases are left out": dh * d + m * dh}
        known |= {"the hidden layer's biases are left out": dh * d + m * (dh + 1)}
        known |= {"the output layer's biases are left out": dh * (d + 1) + m * dh}
        known |= {"layers are counted, not numbers": 4}
        got = as_scalar(student.n_parameters(d, dh, m), called=called)
        assert_close(got, dh * (d + 1) + m * (dh + 1), called=called, mistakes=known, noun="n")


# --- (7) to (10): the output layer ---


@pytest.mark.exercise("q2-grad-oa", points=2, shares=True)
def test_grad_oa_is_the_gradient_of_the_loss_by_oa(student, rng):
    """Held to finite differences of -log softmax(oa)_y, for each class."""
    for y in (1, 2, 3, 4, 0):  # subtracting 0 is subtracting nothing
        onehot = 1.0 * (np.arange(5) == y)
        known = {"y is subtracted as a number": lambda oa, y=y: softmax(oa) - y}
        known |= {"1 is subtracted from every element": lambda oa: softmax(oa) - 1}
        known |= {"-1/os is taken: softmax is not passed": lambda oa, t=onehot: -t / softmax(oa)}
        known |= {"onehot is not subtracted": softmax}
        assert_gradient(
            lambda oa, y=y: np.log(np.exp(oa).sum()) - oa[y],
            lambda oa, y=y: student.grad_oa(softmax(oa), y),
            at=rng.normal(size=5), rng=rng,
            transposed_ok=True, name="oa", called="grad_oa(os, y)", mistakes=known,
        )  # fmt: skip


@pytest.mark.exercise("q2-grad-oa", points=1, shares=True)
def test_grad_oa_leaves_the_outputs_as_they_are(student, rng):
    """os is needed afterwards, for the loss: os[y] -= 1 would spoil it."""
    called = "grad_oa(os, y)"
    os = softmax(rng.normal(size=M))
    got = call_unchanging(student.grad_oa, os, 0, called=called)
    got = as_array(got, called=called, shape=[(M,), (M, 1), (1, M)])
    assert_close(got.ravel(), os - [1, 0, 0], called=called, noun="the gradient")


@pytest.mark.exercise("q2-grad-b2", points=1, shares=True)
def test_grad_b2_is_the_upstream_gradient(student, rng):
    """oa grows with b2 one to one."""
    n = network(rng)
    known = {"it is taken as 1": np.ones(M), "it is summed": n.d_oa.sum()}
    assert_gradient(
        lambda b: n.d_oa @ (n.W2 @ n.hs + b),
        lambda b: call_unchanging(student.grad_b2, n.d_oa, called="grad_b2(d_oa)"),
        at=n.b2, rng=rng, transposed_ok=True, name="b2", called="grad_b2(d_oa)", mistakes=known,
    )  # fmt: skip


@pytest.mark.exercise("q2-grad-W2", points=2, shares=True)
def test_grad_W2_is_the_outer_product_with_hs(student, rng):
    """d_oa hs^T, of the shape (m, dh) of W2."""
    n, called = network(rng), "grad_W2(d_oa, hs)"
    known = {"hs is lost": np.repeat(n.d_oa[:, None], DH, axis=1)}
    assert_gradient(
        lambda W: n.d_oa @ (W @ n.hs + n.b2),
        lambda W: call_unchanging(student.grad_W2, n.d_oa, n.hs, called=called),
        at=n.W2, rng=rng, name="W2", called=called, mistakes=known, transposed_ok=False,
    )  # fmt: skip


# --- (11) to (14): the hidden layer ---


@pytest.mark.exercise("q2-grad-hs", points=2, shares=True)
def test_grad_hs_sums_over_the_classes(student, rng):
    """W2^T d_oa."""
    n, called = network(rng), "grad_hs(d_oa, W2)"
    known = {"d_oa is lost": n.W2.sum(axis=0)}
    assert_gradient(
        lambda hs: n.d_oa @ (n.W2 @ hs + n.b2),
        lambda hs: call_unchanging(student.grad_hs, n.d_oa, n.W2, called=called),
        at=n.hs, rng=rng, transposed_ok=True, name="hs", called=called, mistakes=known,
    )  # fmt: skip


@pytest.mark.exercise("q2-grad-ha", points=1.5, shares=True)
def test_grad_ha_passes_where_the_rectifier_is_open(student, rng):
    """d_hs where ha > 0, else 0."""
    n, called = network(rng), "grad_ha(d_hs, ha)"
    known = {"rect is taken, not its derivative": n.d_hs * rect(n.ha)}
    known |= {"d_hs is lost": 1.0 * (n.ha > 0)}
    known |= {"rect' is lost": n.d_hs, "units are open where d_hs > 0": rect(n.d_hs)}
    known |= {"the sign is taken for rect'": n.d_hs * np.sign(n.ha)}
    assert_gradient(
        lambda ha: n.d_hs @ rect(ha),
        lambda ha: call_unchanging(student.grad_ha, n.d_hs, ha, called=called),
        at=n.ha, rng=rng, transposed_ok=True, name="ha", called=called, mistakes=known,
    )  # fmt: skip


# --- (15) to (17): parameters of the hidden layer, and the input ---


@pytest.mark.exercise("q2-grad-b1", points=1, shares=True)
def test_grad_b1_is_the_upstream_gradient(student, rng):
    """ha grows with b1 one to one; the loss grows with ha by d_ha."""
    n = network(rng)
    known = {"it is taken as 1": np.ones(DH), "it is summed": n.d_ha.sum()}
    assert_gradient(
        lambda b: n.d_ha @ (n.W1 @ n.x + b),
        lambda b: call_unchanging(student.grad_b1, n.d_ha, called="grad_b1(d_ha)"),
        at=n.b1, rng=rng, transposed_ok=True, name="b1", called="grad_b1(d_ha)", mistakes=known,
    )  # fmt: skip


@pytest.mark.exercise("q2-grad-W1", points=2, shares=True)
def test_grad_W1_is_the_outer_product_with_x(student, rng):
    """d_ha x^T, of the shape (dh, d) of W1."""
    n, called = network(rng), "grad_W1(d_ha, x)"
    known = {"x is lost": np.repeat(n.d_ha[:, None], D, axis=1)}
    assert_gradient(
        lambda W: n.d_ha @ (W @ n.x + n.b1),
        lambda W: call_unchanging(student.grad_W1, n.d_ha, n.x, called=called),
        at=n.W1, rng=rng, name="W1", called=called, mistakes=known, transposed_ok=False,
    )  # fmt: skip


@pytest.mark.exercise("q2-grad-x", points=2, shares=True)
def test_grad_x_sums_over_the_hidden_units(student, rng):
    """W1^T d_ha."""
    n, called = network(rng), "grad_x(d_ha, W1)"
    known = {"d_ha is lost": n.W1.sum(axis=0)}
    assert_gradient(
        lambda x: n.d_ha @ (n.W1 @ x + n.b1),
        lambda x: call_unchanging(student.grad_x, n.d_ha, n.W1, called=called),
        at=n.x, rng=rng, transposed_ok=True, name="x", called=called, mistakes=known,
    )  # fmt: skip


# --- (18): the elastic net ---


def assert_elastic_gradient(function, W, l1, l2, rng):
    """Hold grad_elastic to finite differences of l1 sum |W| + l2 sum W^2."""
    called = "grad_elastic(W, l1, l2)"
    assert_gradient(
        lambda at: l1 * np.abs(at).sum() + l2 * np.square(at).sum(),
        lambda at: call_unchanging(function, at, l1, l2, called=called),
        at=W, rng=rng, name="W", called=called, transposed_ok=False,
        terms={"L1": l1 * np.sign(W), "L2": 2 * l2 * W},
        mistakes={
            "l1 and l2 are swapped": l2 * np.sign(W) + 2 * l1 * W,
            "|W| is not differentiated": l1 * np.abs(W) + 2 * l2 * W,
        },
    )  # fmt: skip


def some_weights(rng, shape):
    return rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 2.0, size=shape)


@pytest.mark.exercise("q2-grad-elastic", points=1.5, shares=True)
def test_grad_elastic_is_the_gradient_of_the_penalty(student, rng):
    """l1 sign(W) + 2 l2 W, held to finite differences."""
    assert_elastic_gradient(student.grad_elastic, some_weights(rng, (DH, D)), 0.7, 0.4, rng)


@pytest.mark.exercise("q2-grad-elastic", points=0.5, shares=True)
def test_grad_elastic_is_zero_where_a_weight_is_zero(student, rng):
    """sign(0) = 0."""
    W = some_weights(rng, (DH, D))
    W[1, 2] = W[3, 0] = 0.0
    called = "grad_elastic(W, l1, l2) with zeros in W"
    assert_close(student.grad_elastic(W, 0.7, 0.4), 0.7 * np.sign(W) + 0.8 * W, called=called)
