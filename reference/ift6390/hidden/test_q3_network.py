"""Hidden checks of question 3: the network. Students get none of this file."""

import numpy as np
import pytest
from test_q3_network import (
    DECAY,
    DH,
    NO_DECAY,
    D,
    M,
    assert_finite_differences,
    assert_gradients,
    assert_one_epoch,
    assert_softmax,
    flat,
    losses,
    network,
    objective,
    own_gradient,
    parameters,
    place,
    some_examples,
    some_parameters,
    split,
)

from grader.checks import as_array, as_scalar, assert_close, assert_unchanged
from grader.errors import CheckFailed, Missing


@pytest.mark.exercise("q3-softmax", points=2, hidden=True)
def test_softmax_stands_large_inputs(student, rng):
    """+-1000 in a vector, and in rows of a batch whose sizes differ."""
    assert_softmax(student, np.array([1000.0, 0.0, -1000.0, 999.0]))
    assert_softmax(student, np.array([-1000.0, -1001.0, -1002.0]))
    assert_softmax(student, np.array([[1000.0], [-1000.0], [0.0]]) + rng.normal(size=(3, 4)))


@pytest.mark.exercise("q3-init", points=1, hidden=True)
def test_the_seed_decides_the_weights(student):
    """The same seed gives the same network, another seed another one."""
    first, again, other = (
        as_array(student.NeuralNet(D, DH, M, seed=seed).W1, called="self.W1") for seed in (3, 3, 4)
    )
    if not np.array_equal(first, again):
        raise CheckFailed("one seed gives two different networks", hint="Draw with `rng`.")
    if np.array_equal(first, other):
        raise CheckFailed("two seeds give the same network", hint="Draw with `rng`.")


@pytest.mark.exercise("q3-fprop", points=1, hidden=True)
def test_fprop_leaves_the_elastic_net_out(student, rng):
    """The loss is that of the examples alone, whatever the decay; X stays as it is."""
    theta, (X, y) = some_parameters(rng), some_examples(rng, 7)
    called = "fprop(X, y) with weight decay"
    seen = network(student, theta, DECAY).fprop.observe(X, y)
    if seen.error is not None:
        raise seen.error
    # A loss that is wrong by itself has its own check.
    bare = as_scalar(network(student, theta).fprop(X, y), called="fprop(X, y)")
    if bare == 0:
        raise Missing("the loss is 0", called="fprop(X, y)")
    net = objective(theta, X, y, DECAY) - losses(theta, X, y).mean()
    known = {"the elastic net is added": bare + net}
    assert_close(as_scalar(seen.value, called=called), bare, called=called, mistakes=known)
    assert_unchanged(X, seen.arguments[0], called=called)


@pytest.mark.exercise("q3-finite-difference", points=1, hidden=True)
def test_finite_difference_uses_the_epsilon_that_it_is_given(student, rng):
    """The slope over a step of 0.3 is not that at the point."""
    theta, (X, y) = some_parameters(rng), some_examples(rng, 5)
    steps = 0.3, 0.3, 1e-6
    net, called = network(student, theta), "finite_difference(X, y, epsilon)"
    coarse, again, fine = (flat(net.finite_difference(X, y, epsilon=e), theta) for e in steps)
    if not np.allclose(coarse, again, rtol=1e-6):
        raise CheckFailed("two calls with one epsilon differ: is the step drawn?", called=called)
    if np.allclose(coarse, fine, rtol=1e-4):
        raise CheckFailed("epsilon makes no difference", called=called)
    assert_finite_differences(student, rng, 5, NO_DECAY, epsilon=1e-4)


@pytest.mark.exercise("q3-bprop", points=1, hidden=True)
def test_bprop_holds_for_other_sizes(student, rng):
    """Two classes of the plane, many classes, one hidden unit; another number of examples."""
    for size, K in [((2, 3, 2), 8), ((6, 4, 10), 3), ((3, 1, 4), 9)]:
        assert_gradients(student, "bprop", rng, K=K, size=size, decay=DECAY)


@pytest.mark.exercise("q3-train", points=0.5, hidden=True)
def test_the_examples_are_shuffled(student, rng):
    """One epoch of single examples does not end where the given order of them ends."""
    theta, n, eta = some_parameters(rng), 9, 0.5
    sets = split(*some_examples(rng, n + 6), n, 3, 3)
    trained = network(student, theta)
    student.train(trained, *sets, K=1, eta=eta, epochs=1)
    in_order = network(student, theta)
    for i in range(n):
        step = own_gradient(in_order, sets[0][0][i : i + 1], sets[0][1][i : i + 1])
        ends = np.cumsum([part.size for part in theta])[:-1]
        moved = zip(parameters(in_order), np.split(step, ends), strict=True)
        place(in_order, [here - eta * part.reshape(here.shape) for here, part in moved])
    pairs = zip(parameters(trained), parameters(in_order), strict=True)
    if all(np.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in pairs):
        raise CheckFailed(
            "the training examples are taken in the order in which they are given",
            hint="Draw a new order in each epoch: rng.permutation(len(X)).",
            called="train(..., K=1, epochs=1)",
        )


@pytest.mark.exercise("q3-train", points=0.5, hidden=True)
def test_an_epoch_holds_for_other_minibatches(student, rng):
    """One example a step; all of them in one step; a last minibatch that is smaller runs, too."""
    assert_one_epoch(student, rng, 8, 1, NO_DECAY)
    assert_one_epoch(student, rng, 12, 12, DECAY)
    sets = split(*some_examples(rng, 17), 11, 3, 3)
    theta = some_parameters(rng)
    net = network(student, theta)
    student.train(net, *sets, K=4, eta=0.1, epochs=2)
    if np.array_equal(parameters(net)[0], theta[0]):
        raise CheckFailed("nothing is learnt where K does not divide the number of examples")
