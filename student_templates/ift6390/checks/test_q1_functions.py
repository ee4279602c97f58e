"""Question 1: elementwise functions and their derivatives. The truth is the sheet's definition."""

import numpy as np
import pytest

from grader.checks import (
    assert_close,
    assert_derivative,
    assert_dtype,
    assert_gradient,
    call_unchanging,
)

SHAPES = [(), (1,), (6,), (4, 3), (2, 3, 2)]
LISTS = [0.5, -2, [0.5, -1.0], [[1, 2], [-3, 0]]]


def sigma(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=float)))


def log_sigma(x):
    return np.log(sigma(x))


def sigma_prime(x):
    return sigma(x) * (1 - sigma(x))


def tanh_prime(x):
    return 1 / np.cosh(x) ** 2


def softmax(x):
    return np.exp(x) / np.sum(np.exp(x))


def rect(x):
    return np.maximum(x, 0.0)


def step(x):
    return np.heaviside(x, 0.0)


def some_numbers(rng, shape):
    return np.asarray(2 * rng.normal(size=shape))


def zeros_and_signs(rng, shape):
    """Return numbers of both signs, with zeros among them where there is room."""
    x = some_numbers(rng, shape)
    if x.size > 2:
        x.flat[:2] = 0.0, -0.0
    return x


def away_from_zero(rng, d):
    return rng.choice([-1.0, 1.0], size=d) * rng.uniform(0.2, 3.0, size=d)


def assert_elementwise(function, truth, rng, *, called, draw=some_numbers, mistakes=None):
    """Hold the function to the truth on arrays of every shape.

    mistakes : functions of x, as a student may have written them, by what is wrong with them
    """
    for shape in SHAPES:
        x = draw(rng, shape)
        known = {words: wrong(x) for words, wrong in (mistakes or {}).items()}
        got = call_unchanging(function, x, called=called)
        assert_close(got, truth(x), called=called, mistakes=known, inputs={"x": x})


def assert_takes_numbers_and_lists(function, truth, name):
    for x in LISTS:
        assert_close(function(x), truth(x), called=f"{name}({x})")


# --- (1), (2): sigmoid and its logarithm ---


@pytest.mark.exercise("q1-sigmoid-tanh", points=1.5, shares=True)
def test_sigmoid_from_tanh_is_the_sigmoid(student, rng):
    """(tanh(x/2) + 1)/2 for each element, whatever the shape."""
    known = {
        "x is not halved": lambda x: (np.tanh(x) + 1) / 2,
        "the 1 is not added": lambda x: np.tanh(x / 2) / 2,
        "the 1 is added outside the half": lambda x: np.tanh(x / 2) / 2 + 1,
        "the sign of x is lost": lambda x: sigma(-x),
        "tanh itself is returned": np.tanh,
    }
    called = "sigmoid_from_tanh(x)"
    assert_elementwise(student.sigmoid_from_tanh, sigma, rng, called=called, mistakes=known)


@pytest.mark.exercise("q1-sigmoid-tanh", points=0.5, shares=True)
def test_sigmoid_from_tanh_takes_numbers_and_lists(student):
    """Floats, integers and nested lists are inputs, too; fractions come of integers."""
    assert_takes_numbers_and_lists(student.sigmoid_from_tanh, sigma, "sigmoid_from_tanh")
    assert_dtype(student.sigmoid_from_tanh(np.arange(3)), "float", called="sigmoid_from_tanh(x)")


@pytest.mark.exercise("q1-log-sigmoid", points=1.5, shares=True)
def test_log_sigmoid_is_the_logarithm_of_the_sigmoid(student, rng):
    """-softplus(-x) for each element; softplus, not softmax."""
    known = {
        "the minus sign before softplus is lost": lambda x: -log_sigma(x),
        "softplus is taken at x, not at -x": lambda x: log_sigma(-x),
        "softplus is returned": lambda x: -log_sigma(-x),
        "softmax is taken for softplus": lambda x: -softmax(-x),
        "the logarithm is base 10": lambda x: np.log10(sigma(x)),
        "it is base 2": lambda x: np.log2(sigma(x)),
    }
    called = "log_sigmoid(x)"
    assert_elementwise(student.log_sigmoid, log_sigma, rng, called=called, mistakes=known)


@pytest.mark.exercise("q1-log-sigmoid", points=0.5, shares=True)
def test_log_sigmoid_takes_numbers_and_lists(student):
    """Floats, integers and nested lists are inputs, too."""
    assert_takes_numbers_and_lists(student.log_sigmoid, log_sigma, "log_sigmoid")


# --- (3), (4): derivatives of sigmoid and tanh ---


@pytest.mark.exercise("q1-dsigmoid", points=2, shares=True)
def test_dsigmoid_is_the_derivative_of_the_sigmoid(student, rng):
    """It equals sigmoid (1 - sigmoid), and the slope that finite differences find."""
    known = {
        "the sigmoid itself is returned": sigma,
        "1 - sigmoid stands there without its factor": lambda x: 1 - sigma(x),
        "sigmoid (1 + sigmoid) is taken": lambda x: sigma(x) * (1 + sigma(x)),
        "x is not passed through the sigmoid": lambda x: x * (1 - x),
    }
    called = "dsigmoid(x)"
    assert_elementwise(student.dsigmoid, sigma_prime, rng, called=called, mistakes=known)
    assert_derivative(sigma, student.dsigmoid, at=some_numbers(rng, 40), called=called)


@pytest.mark.exercise("q1-dtanh", points=2, shares=True)
def test_dtanh_is_the_derivative_of_tanh(student, rng):
    """It equals 1 - tanh^2, and the slope that finite differences find."""
    known = {
        "the square is lost": lambda x: 1 - np.tanh(x),
        "tanh^2 is added, not subtracted": lambda x: 1 + np.tanh(x) ** 2,
        "the 1 is lost": lambda x: -(np.tanh(x) ** 2),
        "every quotient is cancelled to 1": np.ones_like,
        "x is not passed through tanh": lambda x: 1 - x**2,
        "the square of 1/cosh is lost": lambda x: 1 / np.cosh(x),
    }
    called = "dtanh(x)"
    assert_elementwise(student.dtanh, tanh_prime, rng, called=called, mistakes=known)
    assert_derivative(np.tanh, student.dtanh, at=some_numbers(rng, 40), called=called)


# --- (5) to (7): functions with a kink or a jump at 0 ---


@pytest.mark.exercise("q1-sign", points=2, shares=True)
def test_sign_tells_positive_negative_and_zero_apart(student, rng):
    """1, -1, and 0 at 0, for each element."""
    known = {
        "sign(0) is -1": lambda x: 2.0 * (x > 0) - 1,
        "sign(0) is 1": lambda x: 2.0 * (x >= 0) - 1,
        "negative numbers get 0": lambda x: 1.0 * (x > 0),
    }
    how = {"called": "sign(x)", "draw": zeros_and_signs, "mistakes": known}
    assert_elementwise(student.sign, np.sign, rng, **how)


@pytest.mark.exercise("q1-dabs", points=2, shares=True)
def test_dabs_is_the_derivative_of_the_absolute_value(student, rng):
    """The sign of x, 0 at 0."""
    known = {
        "abs'(0) is -1": lambda x: 2.0 * (x > 0) - 1,
        "abs'(0) is 1": lambda x: 2.0 * (x >= 0) - 1,
        "abs itself is returned": np.abs,
        "0 / 0 is taken at 0": lambda x: x / np.where(x == 0, np.nan, np.abs(x)),
    }
    how = {"called": "dabs(x)", "draw": zeros_and_signs, "mistakes": known}
    assert_elementwise(student.dabs, np.sign, rng, **how)
    assert_derivative(np.abs, student.dabs, at=away_from_zero(rng, 40), called="dabs(x)")
    assert_takes_numbers_and_lists(student.dabs, np.sign, "dabs")


@pytest.mark.exercise("q1-drect", points=2, shares=True)
def test_drect_is_the_derivative_of_the_rectifier(student, rng):
    """1 right of 0, else 0."""
    known = {
        "rect'(0) is 1": lambda x: 1.0 * (x >= 0),
        "rect itself is returned": rect,
        "the sign is taken": np.sign,
    }
    how = {"called": "drect(x)", "draw": zeros_and_signs, "mistakes": known}
    assert_elementwise(student.drect, step, rng, **how)
    assert_derivative(rect, student.drect, at=away_from_zero(rng, 40), called="drect(x)")
    assert_takes_numbers_and_lists(student.drect, step, "drect")


# --- (8), (9): gradients of the norms ---


@pytest.mark.exercise("q1-grad-l2", points=2, shares=True)
def test_grad_l2_squared_is_the_gradient_of_the_sum_of_squares(student, rng):
    """Held to finite differences of the squared norm, for vectors of several lengths."""
    called = "grad_l2_squared(x)"
    for d in (5, 1, 30):
        x = away_from_zero(rng, d)
        known = {"it is the gradient of the norm, not of its square": x / np.linalg.norm(x)}
        known |= {"the squares themselves are returned": x**2, "it is summed": 2 * x.sum()}
        assert_gradient(
            lambda at: at @ at,
            lambda at: call_unchanging(student.grad_l2_squared, at, called=called),
            at=x, rng=rng, transposed_ok=True, called=called, mistakes=known,
        )  # fmt: skip


@pytest.mark.exercise("q1-grad-l1", points=2, shares=True)
def test_grad_l1_is_the_gradient_of_the_sum_of_absolute_values(student, rng):
    """Held to finite differences of the L1 norm, for vectors of several lengths."""
    called = "grad_l1(x)"
    for d in (5, 1, 30):
        x = away_from_zero(rng, d)
        known = {"the absolute values themselves are returned": np.abs(x)}
        known |= {"every element gets a 1, whatever its sign": np.ones(d)}
        assert_gradient(
            lambda at: np.abs(at).sum(),
            lambda at: call_unchanging(student.grad_l1, at, called=called),
            at=x, rng=rng, transposed_ok=True, called=called, mistakes=known,
        )  # fmt: skip
