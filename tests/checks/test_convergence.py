"""The order of a method, from its errors: what is due passes, what loses an order does not."""

import numpy as np
import pytest

from grader.checks import assert_convergence_order, measure_convergence_order
from grader.errors import CheckFailed

H = 1.0 / np.array([10, 20, 40, 80])


def trapezoid(n, weight=0.5):
    x = np.linspace(0, 1, n + 1)
    y = np.exp(x)
    return (y.sum() - (1 - weight) * (y[0] + y[-1])) / n


def errors_of(rule):
    return [rule(round(1 / h)) - (np.e - 1) for h in H]


def test_the_slope_is_the_order():
    assert measure_convergence_order(H, 3 * H**4).order == pytest.approx(4)
    assert measure_convergence_order(H[::-1], 3 * H[::-1] ** 2).orders == pytest.approx([2, 2, 2])


def test_the_trapezoid_rule_has_order_two():
    assert_convergence_order(H, errors_of(trapezoid), 2)
    assert_convergence_order(H, errors_of(trapezoid), 2, at_least=False)


@pytest.mark.parametrize(
    ("errors", "problem"),
    [
        (errors_of(lambda n: trapezoid(n, 1.0)), "falls with order 1.0, expected 2"),
        (np.full(4, 0.3), "does not fall with the step"),
        (H**-1.0, "grows as the step gets smaller"),
    ],
    ids=["ends counted twice", "a constant", "growth"],
)
def test_what_is_lost_has_a_name(errors, problem):
    with pytest.raises(CheckFailed, match=problem):
        assert_convergence_order(H, errors, 2)


def test_another_method_is_noticed_where_the_order_is_exact():
    assert_convergence_order(H, H**4, 2)
    with pytest.raises(CheckFailed, match="faster than with a method of order 2"):
        assert_convergence_order(H, H**4, 2, at_least=False)


def test_rounding_is_left_out_and_an_exact_method_passes():
    assert_convergence_order(H, [1e-4, 1e-4 / 16, 1e-15, 3e-15], 4)
    assert_convergence_order(H, [1e-16, 0, 2e-16, 0], 4)
    with pytest.raises(ValueError, match="larger steps"):
        assert_convergence_order(H, [1e-4, 1e-16, 1e-16, 0], 4)


def test_errors_that_are_no_numbers_fail_the_check():
    with pytest.raises(CheckFailed):
        assert_convergence_order(H, [1, np.nan, 1, 1], 2)
    with pytest.raises(CheckFailed):
        assert_convergence_order(H, None, 2)
