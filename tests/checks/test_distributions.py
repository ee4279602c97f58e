"""Numbers that were drawn are accepted; patterns and other distributions are told."""

import numpy as np
import pytest

from grader.checks import (
    assert_distribution,
    assert_drawn,
    assert_frequencies,
    assert_mean,
    assert_uniform,
    assert_variance,
)
from grader.checks.distributions import kolmogorov
from grader.errors import CheckFailed


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def refusal(check, *args, **how):
    with pytest.raises(CheckFailed) as refused:
        check(*args, **how)
    return refused.value


def test_drawn_weights_are_accepted_and_those_of_another_distribution_told(rng):
    shape = (150, 40)
    assert_drawn(rng.normal(0.1, 0.1, size=shape), mean=0.1, std=0.1)
    assert_drawn(rng.normal(0.1, 0.1, size=shape).astype(np.float32), mean=0.1, std=0.1)
    for weights, words in (
        (rng.normal(0.1, 0.01, size=shape), "standard deviation 0.1"),
        (rng.normal(0.0, 0.1, size=shape), "mean 0.1"),
        (0.1 + np.sqrt(0.03) * rng.uniform(-1, 1, size=shape), "not drawn from a normal"),
    ):
        assert words in refusal(assert_drawn, weights, mean=0.1, std=0.1).problem


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        (0.1, 0.01, "not the variance"),
        (0.1, np.sqrt(0.1), "not the variance"),
        (0.01, 0.01, "10 times too small"),
        (1.0, 1.0, "10 times too large"),
        (0.0, np.sqrt(2 / 40), "sqrt(2/40)"),
        (0.0, np.sqrt(1 / 40), "Xavier"),
    ],
)
def test_what_a_wrong_spread_looks_like_is_told(rng, mean, std, words):
    weights = rng.normal(mean, std, size=(150, 40))
    assert words in refusal(assert_drawn, weights, mean=0.1, std=0.1).hint


def test_a_spread_that_looks_like_nothing_known_gets_no_advice(rng):
    weights = rng.normal(0.1, 0.037, size=(150, 40))
    assert not refusal(assert_drawn, weights, mean=0.1, std=0.1).hint


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (lambda rng: np.zeros((20, 30)), "are all 0"),
        (lambda rng: rng.choice([-1.0, 1.0], size=(20, 30)), "only 2 different values"),
        (lambda rng: np.tile(rng.normal(size=30), (20, 1)), "different values"),
        (lambda rng: rng.normal(size=(40, 30))[[*range(39), 0]], "two rows of the weights"),
        (lambda rng: rng.normal(size=(30, 40))[:, [*range(39), 0]], "two columns of the weights"),
        (lambda rng: np.linspace(-1.7, 1.7, 600).reshape(20, 30), "in order"),
        (lambda rng: np.linspace(-1.7, 1.7, 600).reshape(30, 20).T, "in order"),
        (lambda rng: np.sort(rng.normal(size=12)), "in order"),
    ],
)
def test_weights_that_nobody_drew_are_refused(rng, weights, words):
    assert words in refusal(assert_drawn, weights(rng), mean=0.0, std=1.0).problem


def test_few_numbers_are_too_few_to_tell(rng):
    with pytest.raises(ValueError, match="too few"):
        assert_drawn(rng.normal(size=4), mean=0.0, std=1.0)


def test_a_uniform_distribution_is_told_from_a_normal_one(rng):
    assert_uniform(rng.uniform(-2, 3, size=500), -2, 3)
    assert "not between" in refusal(assert_uniform, rng.normal(size=500), -1, 1).problem
    squeezed = np.clip(rng.normal(0, 0.3, size=500), -1, 1)
    assert "not drawn from" in refusal(assert_uniform, squeezed, -1, 1).problem


def test_an_exponential_distribution_is_held_to_its_cumulative_function(rng):
    def cdf(x):
        return 1 - np.exp(-x)

    assert_distribution(rng.exponential(size=400), cdf, name="an exponential distribution")
    told = refusal(
        assert_distribution, rng.exponential(1.6, size=400), cdf, name="an exponential distribution"
    )
    assert told.problem == "the numbers are not drawn from an exponential distribution"
    assert "expected" in told.where


def test_frequencies_are_held_to_their_probabilities(rng):
    p = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert_frequencies(rng.choice(list(p), size=600, p=list(p.values())), p)
    told = refusal(assert_frequencies, rng.choice(list(p), size=600), p)
    assert "as frequent as they should" in told.problem
    assert "of 600" in told.where
    assert "values other than" in refusal(assert_frequencies, ["a", "d"] * 50, p).problem
    with pytest.raises(ValueError, match="too few"):
        assert_frequencies(["a", "b"], p)


def test_a_mean_and_a_variance_are_held_to_what_chance_allows(rng):
    x = rng.normal(3.0, 2.0, size=300)
    assert_mean(x, 3.0)
    assert_mean(x, 3.0, std=2.0)
    assert_variance(x, 4.0)
    assert "mean 4" in refusal(assert_mean, x, 4.0).problem
    assert "variance 2" in refusal(assert_variance, x, 2.0).problem


@pytest.mark.parametrize(
    ("draw", "check"),
    [
        (lambda r: r.normal(0.1, 0.1, 40),
         lambda v: assert_drawn(v, mean=0.1, std=0.1, false_fail=0.02)),
        (lambda r: r.uniform(-1, 1, 40), lambda v: assert_uniform(v, -1, 1, false_fail=0.02)),
        (lambda r: r.normal(3, 2, 12), lambda v: assert_mean(v, 3, false_fail=0.02)),
        (lambda r: r.normal(3, 2, 12), lambda v: assert_variance(v, 4, false_fail=0.02)),
        (lambda r: r.choice(4, size=90, p=[0.1, 0.2, 0.3, 0.4]),
         lambda v: assert_frequencies(v, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}, false_fail=0.02)),
    ],
)  # fmt: skip
def test_what_was_drawn_rightly_is_refused_as_seldom_as_declared(draw, check):
    def is_refused(seed):
        try:
            check(draw(np.random.default_rng(seed)))
        except CheckFailed:
            return True
        return False

    refused = sum(is_refused(seed) for seed in range(800))
    assert refused <= 16 + 4 * 4  # 0.02 of 800, and four standard deviations


def test_the_distribution_of_kolmogorov_has_its_known_quantiles():
    # Press et al., Numerical Recipes, and every table: 1.358 is exceeded once in twenty times.
    assert abs(kolmogorov(1.358 / 1000, 10**6) - 0.05) < 1e-3
    assert abs(kolmogorov(1.628 / 1000, 10**6) - 0.01) < 1e-3
