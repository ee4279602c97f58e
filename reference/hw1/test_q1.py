"""Question 1: losses and their derivatives, held to finite differences and to identities."""

import numpy as np
import pytest

from grader.checks import (
    as_array,
    as_scalar,
    assert_close,
    assert_derivative,
    assert_finite,
    assert_gradient,
    assert_in_range,
    assert_jacobian,
    assert_not_convex_witness,
    assert_probabilities,
    assert_psd,
    assert_symmetric,
    call_unchanging,
)
from grader.errors import CheckFailed

SHAPES = [(), (1,), (6,), (4, 3), (2, 3, 2)]


def sigma(z):
    return 1.0 / (1.0 + np.exp(-np.asarray(z, dtype=float)))


def sigma_prime(z):
    return sigma(z) * (1.0 - sigma(z))


def logistic_loss(z, y):
    return np.log1p(np.exp(-np.asarray(y) * z))


def soft(z):
    return np.exp(z) / np.exp(z).sum()


def soft_jacobian(z):
    return np.diag(soft(z)) - np.outer(soft(z), soft(z))


def class_loss(z, j):
    return -np.log(soft(z)[j])


def some_points(rng, n=40):
    return rng.uniform(-4, 4, size=n)


def some_scores(rng):
    """Return score vectors of 2 to 6 classes, each with one of its classes."""
    return [(2 * rng.normal(size=k), int(rng.integers(k))) for k in (2, 3, 6)]


def both_labels(rng):
    """Return scores and labels in {-1, +1}: mixed, of one kind, and in two dimensions."""
    z, y = some_points(rng), rng.permutation(np.repeat([-1, 1], 20))
    return [(z, y), (z, abs(y)), (z, -abs(y)), (z.reshape(8, 5), y.reshape(8, 5))]


# --- 1. the sigmoid ---


@pytest.mark.exercise("q1a-sigmoid", points=1.5, shares=True)
def test_sigmoid_works_on_every_element(student, rng):
    """Values and shape for arrays of any shape; the input stays as it is."""
    for shape in SHAPES:
        z = np.asarray(3 * rng.normal(size=shape))
        got = call_unchanging(student.sigmoid, z, called="sigmoid(z)")
        known = {"the sign of z is lost": sigma(-z), "the derivative is returned": sigma_prime(z)}
        assert_close(got, sigma(z), called="sigmoid(z)", mistakes=known, inputs={"z": z})


@pytest.mark.exercise("q1a-sigmoid", points=0.5, shares=True)
def test_sigmoid_takes_numbers_and_lists(student):
    """A float, an integer and nested lists are inputs, too."""
    for z in [0.5, -2, [0.5, -1.0], [[1, 2], [-3, 0]]]:
        assert_close(student.sigmoid(z), sigma(z), called=f"sigmoid({z})")
        assert_close(student.sigmoid_prime(z), sigma_prime(z), called=f"sigmoid_prime({z})")


@pytest.mark.exercise("q1a-sigmoid", points=2, shares=True)
def test_sigmoid_prime_is_the_derivative(student, rng):
    """It equals sigma (1 - sigma), and the slope that finite differences find."""
    z, called = some_points(rng), "sigmoid_prime(z)"
    known = {"sigmoid itself is returned": sigma(z), "s' = s (s - 1)": -sigma_prime(z)}
    assert_close(student.sigmoid_prime(z), sigma_prime(z), called=called, mistakes=known)
    assert_derivative(sigma, student.sigmoid_prime, at=z.reshape(8, 5), called=called)


# --- 2. the binary logistic loss ---


@pytest.mark.exercise("q1b-binary-loss", points=1.5, shares=True)
def test_binary_loss_matches_its_definition(student, rng):
    """log(1 + exp(-y z)) for labels -1 and +1."""
    for z, y in both_labels(rng):
        right = logistic_loss(z, y)
        known = {
            "the labels are swapped": logistic_loss(z, -y),
            "the log is base 2": right / np.log(2),
        }
        known |= {
            "the labels are taken for 0 and 1": -y * np.log(sigma(z)) - (1 - y) * np.log(sigma(-z))
        }
        got = student.binary_logistic_loss(z, y)
        assert_close(got, right, called="binary_logistic_loss(z, y)", mistakes=known)


@pytest.mark.exercise("q1b-binary-loss", points=1.5, shares=True)
def test_binary_loss_grad_is_the_derivative_by_z(student, rng):
    """Held to finite differences of the loss, for either label."""
    called = "binary_logistic_loss_grad(z, y)"
    for z, y in both_labels(rng):
        known = {"y is subtracted as if it were 0 or 1": sigma(z) - y}
        known |= {"the factor y is lost": sigma(-y * z), "the labels are swapped": y * sigma(y * z)}
        assert_derivative(
            lambda t, y=y: logistic_loss(t, y),
            lambda t, y=y: student.binary_logistic_loss_grad(t, y),
            at=z, called=called, name="z", mistakes=known,
        )  # fmt: skip


@pytest.mark.exercise("q1b-binary-loss", points=1, shares=True)
def test_binary_loss_hess_is_the_second_derivative_and_never_negative(student, rng):
    """sigma (1 - sigma) >= 0, for either label."""
    called = "binary_logistic_loss_hess(z, y)"
    for z, y in both_labels(rng):
        got = student.binary_logistic_loss_hess(z, y)
        known = {"the factor y is not squared": y * sigma_prime(z)}
        assert_close(got, sigma_prime(z), called=called, mistakes=known)
        assert_in_range(got, 0.0, np.inf, called=called, noun="the second derivative")


# --- 3. softmax ---


@pytest.mark.exercise("q1c-softmax", points=1.5, shares=True)
def test_softmax_gives_the_probabilities_of_its_definition(student, rng):
    """Positive, summing to 1, in the order of the scores."""
    for z, _ in some_scores(rng):
        known = {"exp(z) is not divided by its sum": np.exp(z), "the sign of z is lost": soft(-z)}
        known |= {"each score gets its own sigmoid": sigma(z)}
        got = call_unchanging(student.softmax, z, called="softmax(z)")
        assert_close(got, soft(z), called="softmax(z)", mistakes=known)
        assert_probabilities(got, called="softmax(z)")


@pytest.mark.exercise("q1c-softmax", points=2.5, shares=True)
def test_softmax_jacobian_holds_the_derivatives(student, rng):
    """Held to finite differences; symmetric, its rows sum to 0, no negative eigenvalue."""
    called = "softmax_jacobian(z)"
    for z, _ in some_scores(rng):
        s = soft(z)
        known = {"only its diagonal is there": np.diag(s * (1 - s)), "s s^T is missing": np.diag(s)}
        known |= {"s s^T is added, not subtracted": np.diag(s) + np.outer(s, s)}
        known |= {"all but the diagonal has the wrong sign": np.outer(s, s) + np.diag(s - 2 * s**2)}
        assert_jacobian(soft, student.softmax_jacobian, at=z, called=called, mistakes=known)
        J = as_array(student.softmax_jacobian(z), called=called)
        assert_close(J, soft_jacobian(z), called=called)
        assert_symmetric(J, called=called, noun="the Jacobian")
        assert_close(J.sum(axis=1), 0 * z, called=called, noun="the sum of each row")
        assert_psd(J, called=called, noun="the Jacobian")


# --- 4. the multinomial logistic loss ---


@pytest.mark.exercise("q1d-multinomial", points=1, shares=True)
def test_multinomial_loss_matches_its_definition(student, rng):
    """-log softmax(z)_j, a number, for the class that is asked for."""
    called = "multinomial_loss(z, j)"
    for z, j in some_scores(rng):
        known = {"the minus sign is lost": np.log(soft(z)[j]), "the log is lost": soft(z)[j]}
        known |= {"the class is counted from 1": class_loss(z, j - 1)}
        known |= {"all classes are summed": -np.log(soft(z)).sum()}
        assert_close(as_scalar(student.multinomial_loss(z, j), called=called), class_loss(z, j),
                     called=called, mistakes=known)  # fmt: skip


@pytest.mark.exercise("q1d-multinomial", points=1.5, shares=True)
def test_multinomial_loss_grad_is_the_gradient_by_z(student, rng):
    """Held to finite differences of the loss: s - e_j, one element a class."""
    called = "multinomial_loss_grad(z, j)"
    for z, j in some_scores(rng):
        e = np.eye(len(z))[j]
        known = {"j is subtracted as a number": soft(z) - j, "e_j is not subtracted": soft(z)}
        known |= {"the other classes are lost": (soft(z) - 1) * e}
        assert_gradient(
            lambda t, j=j: class_loss(t, j),
            lambda t, j=j: student.multinomial_loss_grad(t, j),
            at=z, rng=rng, transposed_ok=True, name="z", called=called, mistakes=known,
        )  # fmt: skip
        assert_close(student.multinomial_loss_grad(z, j), soft(z) - e, called=called)


@pytest.mark.exercise("q1d-multinomial", points=1.5, shares=True)
def test_multinomial_loss_hess_is_the_hessian_and_positive_semidefinite(student, rng):
    """Held to finite differences of the gradient; no eigenvalue is negative."""
    called = "multinomial_loss_hess(z, j)"
    for z, j in some_scores(rng):
        s, e = soft(z), np.eye(len(z))[j]
        known = {"only its diagonal is there": np.diag(s * (1 - s)), "s s^T is missing": np.diag(s)}
        known |= {"it is made of s - e_j, not of s": np.diag(s - e) - np.outer(s - e, s - e)}
        got = as_array(student.multinomial_loss_hess(z, j), called=called)
        assert_close(got, soft_jacobian(z), called=called, mistakes=known, noun="the Hessian")
        assert_psd(got, called=called, noun="the Hessian")


# --- 5. convex in the parameters ---


def linear_case(rng, k=4, d=3):
    """Return the features (d,) and the class of one example, and parameters as one vector."""
    return rng.normal(size=d), int(rng.integers(k)), rng.normal(size=(8, k * d + k))


def unpacked(parameters, k=4):
    """Return W (k, d) and b (k,) from one vector."""
    return parameters[:-k].reshape(k, -1), parameters[-k:]


@pytest.mark.exercise("q1e-convexity", points=2, shares=True)
def test_loss_in_parameters_is_the_loss_of_the_linear_scores(student, rng):
    """multinomial_loss(W phi + b, j) for numbers of classes and features that differ."""
    called = "loss_in_parameters(W, b, phi, j)"
    for k, d in [(4, 3), (2, 5), (3, 1)]:
        phi, j, points = linear_case(rng, k, d)
        for W, b in (unpacked(p, k) for p in points):
            known = {"b is lost": class_loss(W @ phi, j), "W phi is lost": class_loss(b, j)}
            known |= {"the minus sign is lost": -class_loss(W @ phi + b, j)}
            got = as_scalar(student.loss_in_parameters(W, b, phi, j), called=called)
            assert_close(got, class_loss(W @ phi + b, j), called=called, mistakes=known)


@pytest.mark.exercise("q1e-convexity", points=2, shares=True)
def test_the_witness_shows_that_two_layers_are_not_convex(student):
    """Between a and b the loss log(1 + exp(-u v)) runs above its chord."""
    called = "nonconvex_witness()"
    pair = student.nonconvex_witness()
    if not isinstance(pair, (tuple, list, np.ndarray)) or len(pair) != 2:
        raise CheckFailed("it should return two points (u_a, v_a), (u_b, v_b)", called=called)
    a, b = (as_array(point, called=called, shape=(2,)).astype(float) for point in pair)
    assert_finite([*a, *b], called=called)

    def loss_at(t):
        u, v = a + t * (b - a)
        return np.logaddexp(0.0, -u * v)

    if np.array_equal(a, b):
        raise CheckFailed("both points are the same one", called=called)
    assert_not_convex_witness(loss_at, 0.0, 1.0, called=called)
