"""Purity, stability, vectorisation, curvature, ranges and rates."""

import numpy as np
import pytest

from grader.checks import (
    assert_accuracy,
    assert_convex,
    assert_deterministic,
    assert_error_rate,
    assert_in_range,
    assert_monotone,
    assert_no_warnings,
    assert_not_convex_witness,
    assert_probabilities,
    assert_psd,
    assert_stable,
    assert_symmetric,
    assert_unchanged,
    assert_vectorised,
    measure_convexity,
    partial_credit,
)
from grader.errors import CheckFailed, NonFiniteValue


def refusal(check, *args, **how):
    with pytest.raises(CheckFailed) as refused:
        check(*args, **how)
    return refused.value


# --- purity -----------------------------------------------------------------------------


def test_untouched_arguments_are_accepted():
    x = np.array([1.0, np.nan])
    assert_unchanged((x, 2, "a", [x]), (x.copy(), 2, "a", [x.copy()]))
    assert_unchanged(np.array(3.0), np.float64(3.0))


def test_a_changed_argument_is_named():
    x = np.array([10.0, 20.0])
    failure = refusal(assert_unchanged, (1, x), (1, x / 255), names=("k", "x"), called="f(k, x)")
    assert failure.problem == "the call changes x in place"
    assert "x.copy()" in failure.hint
    assert "2 of 2 elements changed" in failure.where
    assert "argument 2" in refusal(assert_unchanged, (1, x), (1, x / 255)).problem


def test_a_changed_dtype_or_shape_is_a_change():
    refusal(assert_unchanged, np.zeros(2), np.zeros(2, dtype=np.float32))
    refusal(assert_unchanged, np.zeros(2), np.zeros((2, 1)))
    refusal(assert_unchanged, np.zeros(2), None)


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ([1, 2], [1, 3], "[1]: it was 2 and is 3"),
        ([1, 2], [1], "it was a list of 2 values and is a list of 1 value"),
        (
            {"W": np.zeros(2)},
            {"W": np.ones(2)},
            "['W']: 2 of 2 elements changed; [0] was 0 and is 1",
        ),
        ({"n": 3}, {"n": None}, "['n']: it was 3 and is None"),
        (3, np.zeros(2), "it was 3 and is [0., 0.]"),
    ],
)
def test_a_change_within_a_list_or_a_dict_is_located(before, after, where):
    assert refusal(assert_unchanged, (before,), (after,)).where == where


def test_equal_results_of_repeated_calls_are_accepted():
    assert_deterministic([np.ones(3), np.ones(3), np.ones(3)])


def test_results_that_differ_are_refused():
    failure = refusal(assert_deterministic, [1.0, 1.0, 1.0 + 1e-15])
    assert failure.where == "call 1 and call 3"


# --- warnings and large inputs ----------------------------------------------------------


def test_a_deprecation_warning_costs_nothing():
    assert_no_warnings(
        ["DeprecationWarning: invalid value for an option", "UserWarning: figure is empty"]
    )


def test_an_overflow_warning_is_refused_and_tells_how_to_avoid_it():
    failure = refusal(assert_no_warnings, ["RuntimeWarning: overflow encountered in exp"])
    assert failure.problem == "the call warns: RuntimeWarning: overflow encountered in exp"
    assert "arguments <= 0" in failure.hint


def test_a_stable_sigmoid_is_accepted():
    def stable(z):
        return np.exp(-np.logaddexp(0, -z))

    assert_stable(stable, at=[-1000.0, 1000.0], limits=[0, 1])


def test_a_softplus_that_overflows_is_refused():
    with pytest.raises(NonFiniteValue, match="for large inputs"):
        assert_stable(lambda z: np.log(1 + np.exp(z)), at=[-1000.0, 1000.0], limits=[0, 1000])


def test_a_wrong_limit_is_refused():
    failure = refusal(assert_stable, lambda z: np.clip(z, 0, 500), at=[-1e3, 1e3], limits=[0, 1e3])
    assert failure.problem.startswith("for large inputs, ")


# --- vectorisation ----------------------------------------------------------------------


def test_steps_that_stay_the_same_are_accepted():
    assert_vectorised(40, 44)


def test_steps_that_grow_with_the_size_are_refused():
    failure = refusal(assert_vectorised, 300, 30_000, sizes=(10, 1000))
    assert failure.problem == "a Python loop runs over the elements"
    assert failure.got == "100 times as many elements took 100 times as many Python steps"


def test_steps_that_were_not_counted_are_no_fault_of_the_student():
    with pytest.raises(ValueError, match="not counted"):
        assert_vectorised(None, 3)


# --- curvature --------------------------------------------------------------------------


def test_convex_functions_are_accepted():
    rng = np.random.default_rng(0)
    assert_convex(lambda x: x**2, np.linspace(-3, 3, 9))
    assert_convex(lambda x: 2 * x + 1, np.linspace(-3, 3, 9))  # a line is its own chord
    assert_convex(lambda w: float(np.logaddexp(0, w @ w)), rng.normal(size=(8, 5)))


def test_a_function_above_its_chord_is_refused():
    failure = refusal(assert_convex, lambda x: -(x**2), np.linspace(-3, 3, 9), noun="c2")
    assert failure.problem == "c2 is not convex: it lies above one of its chords"
    assert failure.where.startswith("between ")


def test_convexity_is_measured_relative_to_the_values():
    assert measure_convexity(lambda x: x**2, [0.0, 1.0]) == 0.0
    assert measure_convexity(lambda x: -1e-6 * x**2, [0.0, 1.0]) > 0.01


def test_a_chord_below_the_function_is_a_witness():
    assert_not_convex_witness(np.sin, 0.1, 3.0)


@pytest.mark.parametrize(("a", "b"), [(3.3, 6.0), (1.0, 1.0), (np.nan, 1.0)])
def test_a_chord_that_proves_nothing_is_refused(a, b):
    refusal(assert_not_convex_witness, np.sin, a, b)


def test_positive_semidefinite_matrices_are_accepted():
    v = np.array([[1.0, -2.0, 0.5]])
    assert_psd(v.T @ v)  # rank 1: two eigenvalues are 0 but for rounding
    assert_psd(1e-8 * v.T @ v)
    assert_psd(0.25)


def test_a_matrix_in_float32_is_held_to_its_precision():
    rng = np.random.default_rng(0)
    X, d = rng.normal(size=(50, 6)).astype(np.float32), rng.random(50).astype(np.float32)
    H = (X.T * d) @ X  # [i, j] and [j, i] are rounded each by itself
    assert (H != H.T).any()
    assert_psd(H)
    assert_symmetric(H)
    assert "not symmetric" in refusal(assert_symmetric, H.astype(np.float64)).problem


@pytest.mark.parametrize(
    ("H", "words"),
    [
        (-np.eye(2), "negative eigenvalue"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "negative eigenvalue"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "not symmetric"),
        (np.zeros((2, 3)), "not square"),
        (-1.0, "negative eigenvalue"),
    ],
)
def test_other_matrices_are_refused(H, words):
    assert words in refusal(assert_psd, H).problem


def test_a_symmetric_matrix_with_its_diagonal_is_accepted():
    assert_symmetric([[0.0, 0.1], [0.1, 0.0]], diagonal=0.0)


def test_one_filled_triangle_and_a_wrong_diagonal_are_named():
    assert "triangle" in refusal(assert_symmetric, [[0.0, 0.1], [0.0, 0.0]]).hint
    failure = refusal(assert_symmetric, np.eye(2), diagonal=0.0, noun="the table")
    assert failure.problem == "the diagonal of the table is not 0 everywhere"


# --- ranges, rates, curves --------------------------------------------------------------


def test_values_in_their_range_are_accepted():
    assert_in_range([0.0, 1.0], 0, 1)
    assert_in_range([0.0, 1e9], 0, np.inf)


def test_a_value_out_of_range_is_located():
    failure = refusal(assert_in_range, [0.5, 1.5], 0, 1, noun="the predictions")
    assert failure.problem == "1 of 2 elements of the predictions should be between 0 and 1"
    assert failure.where == "[1]: 1.5"


@pytest.mark.parametrize(
    ("check", "empty"),
    [
        (lambda got: assert_in_range(got, 0, 1), np.zeros(0)),
        (assert_probabilities, np.zeros((0, 3))),
        (assert_symmetric, np.zeros((0, 0))),
        (assert_psd, np.zeros((0, 0))),
    ],
    ids=["range", "probabilities", "symmetric", "psd"],
)
def test_what_is_asked_of_each_element_is_not_true_of_none(check, empty):
    assert "is empty" in refusal(check, empty).problem


def test_probabilities_that_sum_to_one_are_accepted():
    assert_probabilities([[0.25, 0.75], [0.5, 0.5]])
    assert_probabilities([0.2, 0.9], axis=None)


def test_a_softmax_along_the_wrong_axis_is_named():
    p = np.array([[0.1, 0.6], [0.9, 0.4]])
    assert "other axis" in refusal(assert_probabilities, p).hint


def test_rates_within_their_bounds_are_accepted():
    assert_error_rate(0.009, at_most=0.01)
    assert_accuracy(np.array([[0.98]]), at_least=0.97)


def test_a_rate_out_of_bounds_tells_both_numbers():
    failure = refusal(assert_error_rate, 0.035, at_most=0.01)
    assert failure.problem == "the error rate is 3.5 %, more than the allowed 1 %"
    failure = refusal(assert_accuracy, 0.9, at_least=0.97)
    assert failure.problem == "the accuracy is 90 %, less than the required 97 %"


def test_guessing_swapped_classes_and_percent_are_recognised():
    assert "Guessing" in refusal(assert_error_rate, 0.49, at_most=0.04).hint
    assert "Guessing" in refusal(assert_error_rate, 0.91, at_most=0.2, classes=10).hint
    assert "swapped" not in refusal(assert_error_rate, 0.97, at_most=0.2, classes=10).hint
    assert "swapped" in refusal(assert_error_rate, 0.98, at_most=0.04).hint
    assert "percent" in refusal(assert_error_rate, 3.5, at_most=0.04).hint


def test_a_falling_curve_is_accepted():
    assert_monotone([3.0, 2.0, 2.0, 1.0])
    assert_monotone([3.0, 2.0, 2.1, 1.0], share=0.6)
    assert_monotone([1.0, 2.0], direction="rises")


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ([1.0, 1.0, 1.0], "does not change"),
        ([1.0, 0.5, 2.0], "does not fall"),
        ([3.0, 2.0, 2.5, 1.0], "goes the wrong way in 1 of 3 steps"),
        ([1.0], "fewer than two"),
    ],
)
def test_other_curves_are_refused(series, words):
    assert words in refusal(assert_monotone, series, noun="the cost").problem


def test_partial_credit_keeps_its_share():
    failure = refusal(partial_credit, 0.5, "two of four curves are drawn")
    assert failure.credit == 0.5
    assert failure.problem == "two of four curves are drawn"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_rate_at_its_limit_holds_in_every_dtype(dtype):
    assert_accuracy(dtype(0.9), at_least=0.9)
    assert_error_rate(dtype(0.1), at_most=0.1)
    refusal(assert_accuracy, dtype(0.89), at_least=0.9)
