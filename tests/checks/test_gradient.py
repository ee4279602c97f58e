"""Right gradients are accepted whatever their scale; wrong ones are refused and named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.checks import (
    assert_gradient,
    measure_gradient,
    measure_gradient_error,
    numerical_gradient,
)
from grader.errors import CheckFailed, Missing, NonFiniteValue

M, D = 40, 30


def sigma(z):
    return np.exp(-np.logaddexp(0, -z))


class Logistic:
    """Cross-entropy of a logistic model, and its gradient by hand."""

    def __init__(self, rng, m=M, d=D):
        self.X = rng.normal(size=(m, d))
        self.y = 1.0 * (rng.random((m, 1)) < 0.4)
        self.m = m

    def cost(self, w):
        z = self.X @ w
        return float(np.mean(np.logaddexp(0, z) - self.y * z))

    def grad(self, w):
        return self.X.T @ (sigma(self.X @ w) - self.y) / self.m


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def model(rng):
    return Logistic(rng)


@pytest.fixture
def w(rng):
    return 0.3 * rng.normal(size=(D, 1))


def refusal(f, grad, at, rng, **how):
    with pytest.raises(CheckFailed) as refused:
        assert_gradient(f, grad, at=at, rng=rng, **how)
    return refused.value


# --- right gradients --------------------------------------------------------------------


def test_a_right_gradient_is_accepted_with_few_calls(model, w, rng):
    evidence = measure_gradient(model.cost, model.grad, w, rng=rng)
    assert evidence.close
    assert evidence.error < 1e-7
    assert evidence.evaluations <= 20


@pytest.mark.parametrize("layout", [lambda g: g.T, np.ravel, lambda g: g])
def test_row_column_and_flat_vectors_are_accepted_where_the_check_says_so(model, w, rng, layout):
    assert_gradient(model.cost, lambda x: layout(model.grad(x)), at=w, rng=rng, transposed_ok=True)


def test_a_transposed_matrix_is_accepted_only_where_the_check_says_so(rng):
    def f(W):
        return float((W**3).sum())

    def grad(W):
        return (3 * W**2).T

    W = rng.normal(size=(4, 3))
    assert_gradient(f, grad, at=W, rng=rng, transposed_ok=True)
    assert "(4, 3)" in refusal(f, grad, W, rng).problem


def test_a_transposed_square_matrix_is_refused_and_named(rng):
    failure = refusal(
        lambda W: float((W**3).sum()), lambda W: (3 * W**2).T, rng.normal(size=(5, 5)), rng
    )
    assert "transposed" in failure.problem


def test_a_number_may_be_a_parameter(rng):
    assert_gradient(lambda b: b**3, lambda b: 3 * b**2, at=1.5, rng=rng)
    assert_gradient(lambda b: b**3, lambda b: np.array([[3 * b**2]]), at=1.5, rng=rng)


def test_a_cost_may_come_as_an_array_of_shape_1_1(model, w, rng):
    assert_gradient(lambda x: np.array([[model.cost(x)]]), model.grad, at=w, rng=rng)


def test_the_arguments_that_are_handed_over_are_copies(model, w, rng):
    def greedy(x):
        x *= 0
        return model.cost(x)

    before = w.copy()
    measure_gradient(greedy, model.grad, w, rng=rng)
    np.testing.assert_array_equal(w, before)


@given(
    seed=st.integers(0, 10**6),
    value=st.floats(-8, 8),
    argument=st.floats(-6, 6),
    d=st.sampled_from([1, 2, 9, 60]),
)
@settings(max_examples=60, deadline=None)
def test_right_gradients_are_accepted_at_every_scale(seed, value, argument, d):
    rng = np.random.default_rng(seed)
    model, v, s = Logistic(rng, d=d), 10.0**value, 10.0**argument
    assert_gradient(
        lambda x: v * model.cost(x / s),
        lambda x: v * model.grad(x / s) / s,
        at=s * rng.normal(size=(d, 1)) / np.sqrt(d),
        rng=rng,
    )


@given(seed=st.integers(0, 10**6), hidden=st.sampled_from([3, 20]))
@settings(max_examples=25, deadline=None)
def test_a_right_relu_network_is_accepted(seed, hidden):
    rng = np.random.default_rng(seed)
    X, y, v = rng.normal(size=(20, 6)), rng.normal(size=20), rng.normal(size=hidden)

    def cost(W):
        return float(np.mean((np.maximum(X @ W.T, 0) @ v - y) ** 2) / 2)

    def grad(W):
        a = X @ W.T
        error = (np.maximum(a, 0) @ v - y) / len(y)
        return ((a > 0) * np.outer(error, v)).T @ X

    assert_gradient(cost, grad, at=rng.normal(size=(hidden, 6)), rng=rng)


def test_inputs_are_drawn_anew_where_the_cost_has_a_kink(rng):
    draws = []

    def redraw(generator):
        draws.append(1)
        return generator.normal(size=12)

    assert_gradient(
        lambda x: float(np.abs(x).sum()), lambda x: 1.0 * (x > 0) - 1.0 * (x <= 0),
        at=np.zeros(12), rng=rng, redraw=redraw,
    )  # fmt: skip
    assert len(draws) == 1


def test_a_kink_without_a_redraw_is_left_by_a_nudge(rng):
    assert_gradient(lambda x: float(np.abs(x).sum()), np.sign, at=np.zeros(12), rng=rng)


@pytest.mark.parametrize("wrap", [lambda v: v, float])
def test_a_cost_in_float32_is_held_to_its_precision(rng, wrap):
    model = Logistic(rng)
    X, y = model.X.astype(np.float32), model.y.astype(np.float32)

    def cost(w):
        z = X @ w.astype(np.float32)
        return wrap(np.mean(np.logaddexp(np.float32(0), z) - y * z))

    w = 0.3 * rng.normal(size=(D, 1))
    assert_gradient(cost, lambda x: model.grad(x).astype(np.float32), at=w, rng=rng)
    refusal(cost, lambda x: 1.1 * model.grad(x), w, rng)


def test_a_logarithm_guarded_by_a_small_number_is_right(model, w, rng):
    def cost(x):
        p = sigma(model.X @ x)
        return -np.mean(model.y * np.log(p + 1e-6) + (1 - model.y) * np.log(1 - p + 1e-6))

    assert_gradient(cost, model.grad, at=w, rng=rng)


def test_a_function_that_turns_fast_gets_smaller_steps(rng):
    assert_gradient(
        lambda x: float(np.sin(1e6 * x).sum()), lambda x: 1e6 * np.cos(1e6 * x),
        at=rng.normal(size=5), rng=rng,
    )  # fmt: skip


def test_a_map_sends_many_points_at_once(model, w, rng):
    class Proxy:
        messages = 0

        def map(self, points):
            self.messages += 1
            return [model.cost(p) for p in points]

        def __call__(self, x):
            raise AssertionError("one call where a map was due")

    proxy = Proxy()
    assert_gradient(proxy, model.grad, at=w, rng=rng)
    assert proxy.messages <= 5


def test_numerical_gradient_of_a_cubic():
    found = numerical_gradient(lambda x: float((x**3).sum()), np.array([[1.0, -2.0]]))
    np.testing.assert_allclose(found, [[3.0, 12.0]], rtol=1e-9)


# --- wrong gradients --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (lambda g: M * g, "the gradient with respect to w is 40 times too large"),
        (lambda g: g / M, "the gradient with respect to w is 40 times too small"),
        (lambda g: -g, "the gradient with respect to w has the wrong sign everywhere"),
        (lambda g: 2 * g, "the gradient with respect to w is twice as large"),
        (lambda g: -M * g, "has the wrong sign and is 40 times too large"),
        (lambda g: 0 * g, "the gradient with respect to w is 0 everywhere"),
        (lambda g: np.vstack([g[:-1], 9 * g[-1:]]), "is right except in the last row"),
    ],
)
def test_a_wrong_gradient_is_named(model, w, rng, wrong, problem):
    failure = refusal(
        model.cost, lambda x: wrong(model.grad(x)), w, rng, name="w", factors={"m": M}
    )
    assert problem in failure.problem


def test_the_hint_asks_for_the_missing_mean(model, w, rng):
    failure = refusal(model.cost, lambda x: M * model.grad(x), w, rng, factors={"m": M})
    assert failure.hint == "40 = m: is the mean (1/m) missing?"
    assert "central differences give" in failure.where
    assert "central differences give" not in failure.hidden_message()


@given(
    seed=st.integers(0, 10**6),
    m=st.integers(3, 300),
    factor=st.sampled_from(["m", "1/m", "-1", "2", "-m", "2m"]),
)
@settings(max_examples=40, deadline=None)
def test_a_random_factor_is_found_from_the_cost_alone(seed, m, factor):
    rng = np.random.default_rng(seed)
    model = Logistic(rng, m=m, d=5)
    c = {"m": m, "1/m": 1 / m, "-1": -1, "2": 2, "-m": -m, "2m": 2 * m}[factor]
    failure = refusal(
        model.cost, lambda x: c * model.grad(x), rng.normal(size=(5, 1)), rng, factors={"m": m}
    )
    assert ("wrong sign" in failure.problem) == (c < 0)
    if abs(c) not in (1, 2):
        assert f"{max(abs(c), round(1 / abs(c)))} times too" in failure.problem


@pytest.mark.parametrize("seed", range(10))
def test_one_wrong_element_of_784_is_seen(seed):
    rng = np.random.default_rng(seed)
    model = Logistic(rng, m=60, d=784)

    def grad(w):
        g = model.grad(w)
        g[seed * 70] *= 1.5
        return g

    refusal(model.cost, grad, 0.03 * rng.normal(size=(784, 1)), rng)


def test_a_wrong_row_of_a_large_matrix_is_seen_and_located(rng):
    A = rng.normal(size=(120, 90))

    def cost(W):
        return float(np.sum(np.sin(W) * A))

    def grad(W):
        g = np.cos(W) * A
        g[17, 5] += 2.0
        return g

    failure = refusal(cost, grad, rng.normal(size=A.shape), rng)
    assert "element [17, 5]" in failure.where


def test_a_small_regulariser_that_is_missing_is_seen(model, w, rng):
    lam = 1e-4
    terms = {"regulariser": lambda x: lam * x}

    def cost(x):
        return model.cost(x) + lam / 2 * float((x**2).sum())

    assert_gradient(cost, lambda x: model.grad(x) + lam * x, at=w, rng=rng, terms=terms)
    failure = refusal(cost, model.grad, w, rng, terms=terms)
    assert failure.problem == "the regulariser term is missing in the gradient with respect to x"
    failure = refusal(cost, lambda x: model.grad(x) + 2 * lam * x, w, rng, terms=terms)
    assert "regulariser term is twice as large" in failure.problem


def test_a_missing_inner_derivative_is_named_as_the_known_mistake(model, w, rng):
    def cost(x):
        return float(np.mean((sigma(model.X @ x) - model.y) ** 2) / 2)

    failure = refusal(
        cost, model.grad, w, rng, mistakes={"sigma' is missing": model.grad}, name="w"
    )
    assert (
        failure.problem == "the gradient with respect to w is what you get when sigma' is missing"
    )


def test_a_gradient_of_another_cost_is_refused_without_a_guess(model, w, rng):
    failure = refusal(model.cost, lambda x: np.sin(3 * x) + 1, w, rng, name="w")
    assert "does not match the cost" in failure.problem or "are wrong" in failure.problem


def test_the_dummy_is_missing_and_not_wrong(model, w, rng):
    with pytest.raises(Missing, match="dummy"):
        assert_gradient(model.cost, lambda x: 0 * x + 1, at=w, rng=rng, dummy=1)


def test_a_wrong_shape_names_the_parameter(model, w, rng):
    failure = refusal(model.cost, lambda x: model.grad(x)[:-1], w, rng, name="w")
    assert "the gradient must have the shape of w" in failure.problem
    assert "off by one" in failure.hint


def test_non_finite_gradients_and_costs_fail_first(model, w, rng):
    with pytest.raises(NonFiniteValue):
        assert_gradient(model.cost, lambda x: np.nan * x, at=w, rng=rng)
    with pytest.raises(NonFiniteValue, match="the cost is inf"):
        assert_gradient(lambda x: np.inf, model.grad, at=w, rng=rng)


def test_a_gradient_that_is_none_asks_for_the_return(model, w, rng):
    assert "is a `return` missing?" in refusal(model.cost, lambda x: None, w, rng).problem


def test_a_cost_that_does_not_use_the_parameter_is_named(model, w, rng):
    failure = refusal(lambda x: 3.0, model.grad, w, rng, name="w")
    assert failure.problem == "the cost does not change when w changes, but its gradient is not 0"


def test_a_random_cost_is_named(model, w, rng):
    noise = np.random.default_rng(0)
    failure = refusal(lambda x: model.cost(x) + noise.normal(), model.grad, w, rng)
    assert "a different value at each call" in failure.problem


def test_a_noisy_cost_does_not_hide_a_wrong_gradient(model, w, rng):
    def noisy(x):
        return model.cost(x) + 1e-4 * np.sin(1e13 * float(x.sum()))

    refusal(noisy, lambda x: 3 * model.grad(x), w, rng)


def test_the_error_of_a_doubled_gradient_is_about_one(model, w, rng):
    error = measure_gradient_error(model.cost, lambda x: 2 * model.grad(x), w, rng=rng)
    assert 0.1 < error < 1.1


def test_the_same_seed_gives_the_same_verdict(model, w):
    def grad(x):
        return 1.5 * model.grad(x)

    first, second = (
        refusal(model.cost, grad, w, np.random.default_rng(3)).message() for _ in range(2)
    )
    assert first == second


# --- what can't be decided never passes -------------------------------------------------


def test_a_cost_in_float16_accepts_no_gradient(model, w, rng):
    def cost(x):
        return np.float16(model.cost(x))

    for factor in (1.0, 0.5, 0.0, -1.0):
        refusal(cost, lambda x, c=factor: c * model.grad(x), w, rng)
    told = refusal(cost, model.grad, w, rng)
    assert told.problem == "the cost has only 3 digits, the precision of float16"
    assert "float64" in told.hint


def test_a_large_constant_hides_no_wrong_gradient(model, w, rng):
    def cost(x):
        return 1e9 + model.cost(x)

    assert_gradient(lambda x: 1e8 + model.cost(x), model.grad, at=w, rng=rng)
    refusal(cost, lambda x: 0 * x, w, rng)
    refusal(cost, lambda x: -model.grad(x), w, rng)


def test_a_constant_that_leaves_no_digits_is_told(model, w, rng):
    told = refusal(lambda x: 1e13 + model.cost(x), model.grad, w, rng)
    assert "the cost is near" in told.problem
    assert told.hint.endswith("Is a large constant added to it?")


@pytest.mark.parametrize(("decimals", "words"), [(3, "3 decimals"), (1, "1 decimal"), (0, "steps")])
def test_a_rounded_cost_is_told_and_its_gradient_not_blamed(model, w, rng, decimals, words):
    told = refusal(lambda x: np.round(model.cost(x), decimals), model.grad, w, rng)
    assert words in told.problem or "does not change" in told.problem
    refusal(lambda x: np.round(model.cost(x), decimals), lambda x: 0 * x, w, rng)


def test_a_cost_with_a_state_is_told_and_its_gradient_not_blamed(model, w, rng):
    calls = []

    def cost(x):
        calls.append(1)
        return model.cost(x) + 1e-4 * len(calls)

    assert "a different value at each call" in refusal(cost, model.grad, w, rng).problem


def test_a_little_noise_is_told_and_the_gradient_not_blamed(model, w, rng):
    noise = np.random.default_rng(0)
    told = refusal(lambda x: model.cost(x) + 1e-5 * noise.normal(), model.grad, w, rng)
    assert "a different value at each call" in told.problem


@pytest.mark.parametrize("seed", range(6))
def test_a_rough_cost_is_told_and_its_gradient_not_blamed(model, w, seed):
    def rough(x):
        return model.cost(x) + 1e-3 * np.sin(1e13 * float(x.sum()))

    told = refusal(rough, model.grad, w, np.random.default_rng(seed))
    assert told.problem == "the cost is rough: it jumps between neighbouring values of x"


# --- the tolerance that was asked for ---------------------------------------------------


def test_a_fine_tolerance_holds_as_asked(rng):
    x = rng.normal(size=30)

    def f(x):
        return float((x**2).sum())

    assert_gradient(f, lambda x: 2 * x, at=x, rng=rng, rtol=1e-8)
    refusal(f, lambda x: 2.003 * x, x, rng, rtol=1e-8)
    refusal(f, lambda x: 2.003 * x, x, rng)
    refusal(f, lambda x: (2 + 1e-6) * x, x, rng, rtol=1e-8)
    assert_gradient(f, lambda x: 2.003 * x, at=x, rng=rng, rtol=2e-3)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("d", [5, 60])
def test_a_bias_gradient_of_0_beside_large_features_is_refused(rng, size, d):
    X = np.c_[size * rng.normal(size=(40, d)), np.ones(40)]
    y = rng.normal(size=40)

    def cost(w):
        return float(np.mean((X @ w - y) ** 2) / 2)

    def grad(w):
        return X.T @ (X @ w - y) / 40

    def without_bias(w):
        g = grad(w)
        g[-1] = 0.0
        return g

    w = rng.normal(size=d + 1) / size
    assert_gradient(cost, grad, at=w, rng=rng)
    assert "element" in refusal(cost, without_bias, w, rng).problem


def test_elements_off_by_less_than_the_tolerance_get_a_second_look(rng):
    # Along a direction the errors of 400 elements add up to more than that of one.
    x = rng.normal(size=400)
    off = 5e-5 * np.ones(400)
    assert_gradient(
        lambda x: float((x**2).sum()), lambda x: 2 * x * (1 + off), at=x, rng=rng
    )  # fmt: skip


def test_a_flat_stretch_beside_a_kink_is_flat(rng):
    x = np.array([-0.03, -0.5, 0.7, 0.2, -0.01, 1.0, -2.0, 0.3, -0.2, 0.4])
    assert_gradient(
        lambda x: float(np.maximum(x, 0).sum()), lambda x: 1.0 * (x > 0), at=x, rng=rng
    )  # fmt: skip


@pytest.mark.parametrize("size", [1e10, 1e14, 1e19, 1e300])
@pytest.mark.parametrize("d", [3, 400])
def test_a_cost_that_is_too_large_to_change_accepts_no_gradient(rng, size, d):
    """The error of its slopes grows with it: any gradient would be within that error."""
    x, wrong = rng.normal(size=d), rng.normal(size=d)
    refusal(lambda x: size, lambda x: wrong, x, rng)
    if size > 1e17:
        refusal(lambda x: size + float((x**2).sum()), lambda x: wrong, x, rng)
    assert_gradient(lambda x: size, np.zeros_like, at=x, rng=rng)


def test_a_slope_that_is_too_small_to_show_is_right_in_a_saturated_cost(rng):
    x = rng.uniform(40.0, 42.0, size=3)
    assert_gradient(lambda x: 30.0 + float(np.exp(-x).sum()), lambda x: -np.exp(-x), at=x, rng=rng)


def test_a_point_at_the_edge_of_the_domain_is_decided_from_inside(rng):
    at = np.array([0.7, 0.0, 1.3])  # x**2.5 is nan below 0
    assert_gradient(
        lambda x: float((x**2.5).sum()), lambda x: 2.5 * x**1.5, at=at, rng=rng
    )  # fmt: skip
    refusal(lambda x: float((x**2.5).sum()), lambda x: 2.5 * x**1.5 + 1.0, at, rng)


def test_a_minimum_is_decided_though_every_slope_is_0(rng):
    x = rng.normal(size=12)

    def f(p):
        return 3.0 + float(((p - x) ** 2).sum())

    assert_gradient(f, lambda p: 2 * (p - x), at=x, rng=rng)
    refusal(f, lambda p: 2 * (p - x) + 1e-4, x, rng)


def test_booleans_may_be_a_gradient(rng):
    assert_gradient(
        lambda x: float(np.maximum(x, 0).sum()), lambda x: x > 0, at=rng.normal(size=9), rng=rng
    )
