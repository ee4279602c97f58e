"""Hidden checks of question 1: losses and their derivatives. Students get none of this file."""

import numpy as np
import pytest
from test_q1 import linear_case, soft, soft_jacobian, some_scores, unpacked

from grader.checks import as_scalar, assert_close, assert_convex, call_quietly
from grader.errors import CheckFailed

LARGE = [-1e4, -1000.0, -750.0, 750.0, 1000.0, 1e4]


@pytest.mark.exercise("q1a-sigmoid", points=1, hidden=True, shares=True)
def test_sigmoid_stands_large_scores(student):
    """0 and 1 at -1000 and 1000, with a derivative of 0, and no overflow on the way."""
    z, called = np.array(LARGE), "sigmoid(z) for large |z|"
    assert_close(call_quietly(student.sigmoid, z, called=called), 1.0 * (z > 0), called=called)
    called = "sigmoid_prime(z) for large |z|"
    assert_close(call_quietly(student.sigmoid_prime, z, called=called), 0.0 * z, called=called)


@pytest.mark.exercise("q1b-binary-loss", points=1, hidden=True, shares=True)
def test_binary_loss_stands_large_scores(student):
    """|z| = 1000 costs 1000 on the wrong side and 0 on the right one, without an overflow."""
    z, called = np.array(LARGE), "the binary logistic loss for large |z|"
    for label in (-1, 1):
        y, slope = np.full(len(z), label), 1.0 * (z > 0) - (label > 0)
        functions = student.binary_logistic_loss, student.binary_logistic_loss_grad
        for function, limit in zip(functions, (np.maximum(-label * z, 0), slope), strict=True):
            assert_close(call_quietly(function, z, y, called=called), limit, called=called)
        hess = call_quietly(student.binary_logistic_loss_hess, z, y, called=called)
        assert_close(hess, 0.0 * z, called=called)


@pytest.mark.exercise("q1c-softmax", points=1, hidden=True, shares=True)
def test_softmax_stands_large_scores(student, rng):
    """A constant added to all scores changes nothing, be it 1000."""
    for z, _ in some_scores(rng):
        for shift in (-1000.0, 1000.0):
            called = "softmax at scores near 1000"
            got = call_quietly(student.softmax, z + shift, called=called)
            assert_close(got, soft(z), called=called, hint="Subtract the largest score first.")
            called = "softmax_jacobian at scores near 1000"
            got = call_quietly(student.softmax_jacobian, z + shift, called=called)
            assert_close(got, soft_jacobian(z), called=called)
    z = np.array([1000.0, -1000.0, 0.0])
    assert_close(call_quietly(student.softmax, z, called=called), [1.0, 0.0, 0.0], called=called)


@pytest.mark.exercise("q1d-multinomial", points=1, hidden=True, shares=True)
def test_multinomial_loss_stands_large_scores(student):
    """Scores 1000 and -1000 cost 0 in the one class and 2000 in the other."""
    z = np.array([1000.0, -1000.0, 0.0])
    for j, limit in enumerate([0.0, 2000.0, 1000.0]):
        called = "the multinomial loss at scores near 1000"
        loss = call_quietly(student.multinomial_loss, z, j, called=called)
        assert_close(loss, limit, called=called, hint="Write it with log(sum(exp(z))) - z_j.")
        grad = call_quietly(student.multinomial_loss_grad, z, j, called=called)
        assert_close(grad, np.eye(3)[0] - np.eye(3)[j], called=called)
        hess = call_quietly(student.multinomial_loss_hess, z, j, called=called)
        assert_close(hess, np.zeros((3, 3)), called=called)


@pytest.mark.exercise("q1e-convexity", points=1, hidden=True, shares=True)
def test_the_loss_is_convex_along_segments_of_the_parameters(student, rng):
    """Between any two (W, b), both of them changing, it lies on or below its chord."""
    phi, j, points = linear_case(rng)

    def loss(parameters):
        return student.loss_in_parameters(*unpacked(parameters), phi, j)

    values = [as_scalar(loss(p), called="loss_in_parameters(W, b, phi, j)") for p in points]
    if np.ptp(values) == 0:
        raise CheckFailed("the loss does not depend on the parameters")
    assert_convex(loss, points, rng=rng, called="loss_in_parameters(W, b, phi, j)", noun="the loss")
