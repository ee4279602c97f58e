"""Exercise 2: the sigmoid function. The truth is the textbook's formula at moderate inputs."""

import numpy as np
import pytest

from grader.checks import (
    as_scalar,
    assert_close,
    assert_curve,
    assert_derivative,
    assert_dtype,
    assert_labelled,
    assert_not_convex_witness,
    call_unchanging,
)
from grader.errors import CheckFailed

SHAPES = [(), (1,), (6,), (4, 3), (2, 3, 2)]


def sigma(z):
    return 1.0 / (1.0 + np.exp(-np.asarray(z, dtype=float)))


def sigma_prime(z):
    return sigma(z) * (1.0 - sigma(z))


def squared_error(x):
    return (sigma(x) - 1.0) ** 2


def cross_entropy(w, x, y):
    return np.log1p(np.exp(w * x)) - y * w * x


def some_points(rng, n=40):
    return rng.uniform(-4, 4, size=n)


def some_cases(rng, n=60):
    """Return n triples (w, x, y) of plain numbers."""
    w, x, y = rng.normal(size=n) * 2, rng.normal(size=n) * 2, rng.integers(0, 2, size=n)
    return [(float(a), float(b), int(c)) for a, b, c in zip(w, x, y, strict=True)]


def at_cases(function, cases, called):
    """Return the function's numbers for (w, x, y) triples, shape (n,)."""
    return np.array([as_scalar(value, called=called) for value in function.map(cases)])


# --- (a), (b), (d) ---


@pytest.mark.exercise("2ab-sigmoid", points=3, shares=True)
def test_sigmoid_works_on_every_element(student, rng):
    """Values, shape and dtype for arrays of any shape; the input stays as it is."""
    for shape in SHAPES:
        z = np.asarray(rng.normal(size=shape) * 3)
        got = call_unchanging(student.sigmoid, z, called="sigmoid(z)")
        known = {"the sign of z is lost": sigma(-z), "the derivative is returned": sigma_prime(z)}
        assert_close(got, sigma(z), called="sigmoid(z)", mistakes=known, inputs={"z": z})
        assert_dtype(got, "float", called="sigmoid(z)")


@pytest.mark.exercise("2ab-sigmoid", points=1, shares=True)
def test_sigmoid_takes_numbers_and_lists(student):
    """A float, an integer and nested lists are inputs, too."""
    for z in [0.5, -2, [0.5, -1.0], [[1, 2], [-3, 0]]]:
        assert_close(student.sigmoid(z), sigma(z), called=f"sigmoid({z})")
        assert_close(student.sigmoid_prime(z), sigma_prime(z), called=f"sigmoid_prime({z})")


@pytest.mark.exercise("2ab-sigmoid", points=2, shares=True)
def test_sigmoid_prime_is_the_derivative(student, rng):
    """It equals sigma (1 - sigma), and the slope that finite differences find."""
    for shape in SHAPES:
        z = np.asarray(rng.normal(size=shape) * 2)
        got = student.sigmoid_prime(z)
        known = {"sigmoid itself is returned": sigma(z), "s' = s - 1": sigma(z) * (sigma(z) - 1)}
        assert_close(got, sigma_prime(z), called="sigmoid_prime(z)", mistakes=known)
    assert_derivative(sigma, student.sigmoid_prime, at=some_points(rng), called="sigmoid_prime(z)")


# --- (c) ---


@pytest.mark.exercise("2c-softplus", points=2, shares=True)
def test_softplus_matches_its_definition(student, rng):
    """-log sigma(-z) for each element of an array of any shape."""
    for shape in SHAPES:
        z = np.asarray(rng.normal(size=shape) * 3)
        known = {
            "-log sigma(z) is taken": -np.log(sigma(z)),
            "the log is base 2": -np.log2(sigma(-z)),
        }
        expected = -np.log(sigma(-z))
        assert_close(student.softplus(z), expected, called="softplus(z)", mistakes=known)


@pytest.mark.exercise("2c-softplus", points=1.5, shares=True)
def test_softplus_prime_is_the_first_derivative(student, rng):
    """It is held against finite differences of softplus."""
    z, called = some_points(rng), "softplus_prime(z)"
    known = {"the inner derivative -1, and so the sign, is lost": -sigma(z)}
    known |= {"it is taken at -z": sigma(-z)}
    assert_close(student.softplus_prime(z), sigma(z), called=called, mistakes=known)
    assert_derivative(lambda t: np.log1p(np.exp(t)), student.softplus_prime, at=z, called=called)


@pytest.mark.exercise("2c-softplus", points=1.5, shares=True)
def test_softplus_second_is_the_second_derivative(student, rng):
    """It is held against finite differences of the first derivative."""
    z, called = some_points(rng), "softplus_second(z)"
    assert_close(student.softplus_second(z), sigma_prime(z), called=called)
    assert_derivative(sigma, student.softplus_second, at=z, called=called)


# --- (d) ---


@pytest.mark.exercise("2d-plot", points=2, shares=True)
def test_a_figure_shows_sigmoid_and_its_derivative(student):
    """Both curves, with the right data."""
    assert_curve(student.figures, sigma, name="the sigmoid function")
    assert_curve(student.figures, sigma_prime, name="the derivative of the sigmoid function")


@pytest.mark.exercise("2d-plot", points=1, shares=True)
def test_the_axes_of_the_figure_are_labelled(student):
    """The plot of the sigmoid names both of its axes."""
    assert_labelled(assert_curve(student.figures, sigma, name="the sigmoid function"))


# --- (f) ---


@pytest.mark.exercise("2f-nonconvex", points=1, shares=True)
def test_c1_is_the_squared_error(student, rng):
    """(sigma(x) - 1)^2."""
    x = some_points(rng)
    known = {"the square is lost": sigma(x) - 1, "1 is not subtracted": sigma(x) ** 2}
    assert_close(student.c1(x), squared_error(x), called="c1(x)", mistakes=known)


@pytest.mark.exercise("2f-nonconvex", points=1, shares=True)
def test_c1_prime_is_the_first_derivative(student, rng):
    """-2 sigma (1 - sigma)^2, as finite differences find."""
    x, s = some_points(rng), sigma
    known = {"the inner derivative sigma' is lost": 2 * (s(x) - 1)}
    expected = -2 * s(x) * (1 - s(x)) ** 2
    assert_close(student.c1_prime(x), expected, called="c1_prime(x)", mistakes=known)
    assert_derivative(squared_error, student.c1_prime, at=x, called="c1_prime(x)")


@pytest.mark.exercise("2f-nonconvex", points=1, shares=True)
def test_c1_second_is_the_second_derivative(student, rng):
    """-2 sigma (1 - sigma)^2 (1 - 3 sigma), as finite differences find."""
    x, s = some_points(rng), sigma
    expected = -2 * s(x) * (1 - s(x)) ** 2 * (1 - 3 * s(x))
    assert_close(student.c1_second(x), expected, called="c1_second(x)")
    first = lambda t: -2 * s(t) * (1 - s(t)) ** 2  # noqa: E731
    assert_derivative(first, student.c1_second, at=x, called="c1_second(x)")


@pytest.mark.exercise("2f-nonconvex", points=2, shares=True)
def test_the_witness_violates_convexity(student):
    """Between a and b the function runs above its chord."""
    pair = student.c1_nonconvex_witness()
    if not isinstance(pair, (tuple, list, np.ndarray)) or len(pair) != 2:
        raise CheckFailed("it should return two numbers, a and b", called="c1_nonconvex_witness()")
    a, b = (as_scalar(one, called="c1_nonconvex_witness()") for one in pair)
    assert_not_convex_witness(squared_error, a, b, called="c1_nonconvex_witness()")


# --- (g) ---


@pytest.mark.exercise("2g-convex", points=1, shares=True)
def test_c2_is_the_cross_entropy(student, rng):
    """-(y log sigma(w x) + (1 - y) log(1 - sigma(w x)))."""
    cases = some_cases(rng)
    w, x, y = np.array(cases).T
    known = {"the labels are swapped": cross_entropy(w, x, 1 - y)}
    got = at_cases(student.c2, cases, "c2(w, x, y)")
    assert_close(got, cross_entropy(w, x, y), called="c2(w, x, y)", mistakes=known)


@pytest.mark.exercise("2g-convex", points=2, shares=True)
def test_c2_grad_is_the_derivative_with_respect_to_w(student, rng):
    """(sigma(w x) - y) x."""
    cases = some_cases(rng)
    w, x, y = np.array(cases).T
    by_x = (sigma(w * x) - y) * w
    known = {"the inner derivative x is lost": sigma(w * x) - y, "it is taken by x": by_x}
    got = at_cases(student.c2_grad, cases, "c2_grad(w, x, y)")
    expected = (sigma(w * x) - y) * x
    assert_close(got, expected, called="c2_grad(w, x, y)", mistakes=known)


@pytest.mark.exercise("2g-convex", points=1, shares=True)
def test_c2_hess_is_the_second_derivative_and_never_negative(student, rng):
    """x^2 sigma (1 - sigma) >= 0."""
    cases = some_cases(rng)
    w, x, _ = np.array(cases).T
    known = {"x stands there once, not squared": x * sigma_prime(w * x)}
    got = at_cases(student.c2_hess, cases, "c2_hess(w, x, y)")
    assert_close(got, x**2 * sigma_prime(w * x), called="c2_hess(w, x, y)", mistakes=known)
