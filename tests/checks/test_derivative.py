"""Elementwise derivatives, Jacobians and backward passes against central differences."""

import numpy as np
import pytest

from grader.checks import (
    assert_backward,
    assert_derivative,
    assert_jacobian,
    numerical_derivative,
)
from grader.errors import CheckFailed, Missing, NonFiniteValue

Z = np.linspace(-6, 6, 25)


def sigma(z):
    return np.exp(-np.logaddexp(0, -z))


def sigma_prime(z):
    return sigma(z) * (1 - sigma(z))


def softplus(z):
    return np.logaddexp(0, z)


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def softmax_jacobian(z):
    s = softmax(z)
    return np.diag(s) - np.outer(s, s)


def refusal(check, *args, **how):
    with pytest.raises(CheckFailed) as refused:
        check(*args, **how)
    return refused.value


@pytest.mark.parametrize(
    ("f", "df", "at"),
    [
        (sigma, sigma_prime, Z),
        (sigma, sigma_prime, Z.reshape(5, 5)),
        (sigma, sigma_prime, np.array(0.3)),
        (softplus, sigma, np.array([-1000.0, -30.0, 0.0, 30.0, 1000.0])),
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2, 1e-3 * Z),
        (np.log, lambda x: 1 / x, np.array([1e-8, 1e-3, 1.0, 1e8])),
        (np.square, lambda x: 2 * x, 1e8 * Z),
        (lambda x: 1e8 * np.sin(x), lambda x: 1e8 * np.cos(x), Z),
        (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), Z),
        (np.abs, np.sign, Z),
    ],
)
def test_a_right_derivative_is_accepted(f, df, at):
    assert_derivative(f, df, at=at)


def test_a_function_that_computes_in_float32_is_held_to_its_precision():
    def f(z):
        return sigma(z.astype(np.float32)).astype(float)

    assert_derivative(f, sigma_prime, at=Z, rtol=1e-3)
    refusal(assert_derivative, f, lambda z: 1.2 * sigma_prime(z), at=Z, rtol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda z: -sigma_prime(z), "the derivative has the wrong sign everywhere"),
        (lambda z: 2 * sigma_prime(z), "the derivative is twice as large"),
        (lambda z: z, "the derivative is the unchanged input z"),
        (lambda z: 0 * z, "the derivative is 0 everywhere"),
        (lambda z: np.where(z > 0, sigma_prime(z), 1.0), "right except where z < 0"),
    ],
)
def test_a_wrong_derivative_is_named(wrong, words):
    at = Z[Z != 0]
    failure = refusal(assert_derivative, sigma, wrong, at=at, name="z")
    assert words in failure.problem
    assert "central differences give" in failure.where


def test_a_wrong_derivative_without_a_name_says_where():
    failure = refusal(
        assert_derivative, sigma, lambda z: sigma_prime(z) + 0.1 * np.cos(z), at=Z, called="s(z)"
    )
    assert failure.problem == "the derivative does not match the function at 25 of 25 points"


def test_a_kink_is_left_out():
    slopes, errors = numerical_derivative(np.abs, np.array([-1.0, 0.0, 1.0]))
    assert np.isinf(errors[1])
    np.testing.assert_allclose(slopes[[0, 2]], [-1, 1])
    assert_derivative(np.abs, lambda x: np.where(x == 0, 17.0, np.sign(x)), at=np.arange(-2.0, 3))


def test_a_derivative_that_is_not_finite_fails_first():
    with pytest.raises(NonFiniteValue):
        assert_derivative(sigma, lambda z: np.full_like(z, np.nan), at=Z)


def test_a_derivative_of_the_wrong_shape_is_refused():
    assert "(1, 25)" in refusal(assert_derivative, sigma, lambda z: z[None], at=Z).problem


def test_the_dummy_of_a_derivative_is_missing():
    with pytest.raises(Missing):
        assert_derivative(sigma, lambda z: 0, at=Z, dummy=0)


def test_a_derivative_that_is_the_dummy_where_that_is_right_is_accepted():
    assert_derivative(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, at=-1.0, dummy=0.0)
    assert_derivative(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, at=[-1.0], dummy=0.0)


def test_the_softmax_jacobian_is_accepted():
    assert_jacobian(softmax, softmax_jacobian, at=np.array([0.3, -1.2, 2.0, 0.1]))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda z: -softmax_jacobian(z), "the Jacobian has the wrong sign everywhere"),
        (lambda z: np.diag(np.diag(softmax_jacobian(z))), "right only on its diagonal"),
        (lambda z: np.diag(softmax(z)), "elements of the Jacobian do not match f"),
        (lambda z: np.diag(softmax_jacobian(z)), "got shape (4,), expected (4, 4)"),
    ],
)
def test_a_wrong_jacobian_is_named(wrong, words):
    failure = refusal(assert_jacobian, softmax, wrong, at=np.array([0.3, -1.2, 2.0, 0.1]))
    assert words in failure.problem


def test_a_jacobian_that_is_wrong_beside_large_elements_says_where():
    slopes = np.array([1e6, 1.0])
    wrong = np.diag([1e6 + 1, 1.5])  # 1e6 + 1 is right to the tolerance
    failure = refusal(assert_jacobian, lambda x: slopes * x, lambda x: wrong, at=np.ones(2))
    assert "[1, 1]" in failure.where


def test_a_transposed_jacobian_is_named():
    A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0], [9.0, 1.0, 0.5]])
    failure = refusal(assert_jacobian, lambda x: A @ x, lambda x: A.T, at=np.ones(3))
    assert failure.problem == "the Jacobian is transposed"


def test_a_right_backward_pass_is_accepted():
    rng = np.random.default_rng(1)
    assert_backward(softmax, lambda z, up: softmax_jacobian(z) @ up, at=rng.normal(size=5), rng=rng)


def test_a_softmax_backward_pass_that_ones_would_hide_is_refused():
    # With an upstream of ones both give 0: s * 1 - s * sum(s * 1) = 0.
    def wrong(z, up):
        s = softmax(z)
        return s * (up.mean() - s @ up)

    rng = np.random.default_rng(1)
    refusal(assert_backward, softmax, wrong, at=rng.normal(size=5), rng=rng)


def test_a_function_in_float16_accepts_no_derivative():
    def f(z):
        return np.tanh(z).astype(np.float16)

    told = refusal(assert_derivative, f, lambda z: 1 - np.tanh(z) ** 2, at=Z)
    assert told.problem == "the function has only 3 digits, the precision of float16"
    refusal(assert_derivative, f, lambda z: 0 * z, at=Z)


def test_a_rounded_function_is_told_and_its_derivative_not_blamed():
    def f(z):
        return np.round(np.tanh(z), 3)

    told = refusal(assert_derivative, f, lambda z: 1 - np.tanh(z) ** 2, at=Z)
    assert told.problem == "the function is rounded to 3 decimals"


def test_a_large_constant_hides_no_wrong_derivative():
    assert_derivative(lambda z: 1e4 + np.tanh(z), lambda z: 1 - np.tanh(z) ** 2, at=Z)
    refusal(assert_derivative, lambda z: 1e9 + np.tanh(z), lambda z: 0 * z, at=Z)
    told = refusal(
        assert_derivative, lambda z: 1e13 + np.tanh(z), lambda z: 1 - np.tanh(z) ** 2, at=Z
    )
    assert "float64 has no digits left" in told.problem


@pytest.mark.parametrize("size", [1e10, 1e14, 1e19, 1e300])
def test_a_function_that_is_too_large_to_change_accepts_no_derivative(size):
    """The error of its slopes grows with it: any derivative would be within that error."""
    x = np.array([0.3, -1.2, 2.0])
    with pytest.raises(CheckFailed):
        assert_derivative(lambda x: np.full(x.shape, size), lambda x: 2 * x, at=x)
    with pytest.raises(CheckFailed):
        assert_jacobian(lambda x: np.full(x.shape, size), lambda x: np.diag(2 * x), at=x)
    assert_derivative(lambda x: np.full(x.shape, size), np.zeros_like, at=x)


def test_the_tolerance_of_a_derivative_holds_as_asked():
    refusal(assert_derivative, np.square, lambda x: 2.003 * x, at=Z, rtol=1e-8)
    assert_derivative(np.square, lambda x: 2 * x, at=Z, rtol=1e-8)


def test_a_step_function_has_the_slope_0_between_its_steps():
    assert_derivative(np.floor, lambda x: 0 * x, at=Z + 0.013)
    refusal(assert_derivative, np.floor, lambda x: 0 * x + 1, at=Z + 0.013)


def relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize("at", [np.array([0.0, 1.0, -2.0]), np.zeros(3)])
def test_a_jacobian_is_left_alone_at_a_kink(at):
    assert_jacobian(relu, lambda x: np.diag(1.0 * (x > 0)), at=at)
    refusal(assert_jacobian, relu, lambda x: np.diag(0.5 * (x > 0) + 0.1), at=at)


def test_a_jacobian_of_a_function_in_float32_is_held_to_its_precision():
    at = np.random.default_rng(0).normal(size=4)

    def f(x):
        return np.tanh(x.astype(np.float32))

    assert_jacobian(f, lambda x: np.diag(1 - np.tanh(x) ** 2), at=at)
    assert_jacobian(
        np.tanh, lambda x: np.diag(1 - np.tanh(x) ** 2).astype(np.float32), at=at
    )  # fmt: skip
    refusal(assert_jacobian, f, lambda x: np.diag(1.02 - np.tanh(x) ** 2), at=at)


def test_a_jacobian_at_large_arguments_gets_other_steps():
    at = 1e6 * np.array([1.0, -2.0, 3.0])
    assert_jacobian(np.sin, lambda x: np.diag(np.cos(x)), at=at, rtol=1e-3)
    fast = np.array([0.1, 0.2])
    assert_jacobian(lambda x: np.sin(1e6 * x), lambda x: np.diag(1e6 * np.cos(1e6 * x)), at=fast)


def test_a_function_in_float16_accepts_no_jacobian():
    at = np.array([0.3, -1.2, 2.0])

    def f(x):
        return softmax(x).astype(np.float16)

    told = refusal(assert_jacobian, f, softmax_jacobian, at=at)
    assert "float16" in told.problem
    refusal(assert_jacobian, f, lambda x: np.zeros((3, 3)), at=at)
