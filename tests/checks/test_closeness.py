"""Right answers are accepted at every scale; wrong ones are refused with a reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.checks import assert_close, assert_close_to_one_of, assert_not_dummy, measure_close
from grader.errors import CheckFailed, Missing, NonFiniteValue

SCALES = st.floats(-8, 8).map(lambda power: 10.0**power)


def refusal(check, *args, **kwargs):
    with pytest.raises(CheckFailed) as refused:
        check(*args, **kwargs)
    return refused.value


@given(scale=SCALES, seed=st.integers(0, 10**6), n=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_right_answer_with_its_rounding_is_accepted_at_every_scale(scale, seed, n):
    rng = np.random.default_rng(seed)
    x = scale * rng.normal(size=n)
    assert_close(x * (1 + 1e-13 * rng.normal(size=n)), x)


@given(scale=SCALES, seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_an_answer_in_float32_is_accepted_at_every_scale(scale, seed):
    x = scale * np.random.default_rng(seed).normal(size=12)
    assert_close(x.astype(np.float32), x)


def test_an_answer_in_float16_is_right_to_its_precision_and_no_further():
    due = np.random.default_rng(0).normal(size=200)
    assert_close(due.astype(np.float16), due)
    with pytest.raises(CheckFailed):
        assert_close((due * 119 / 120).astype(np.float16), due)


def test_a_scalar_may_come_as_an_array_of_shape_1_1():
    assert_close(np.array([[2.0]]), 2.0)


def test_rows_may_come_in_a_tuple_but_not_two_results_for_one():
    rows = np.array([[1.5, 2.0], [0.5, 4.0], [2.5, 1.0]])
    assert_close(tuple(rows), rows)
    assert "twice as large" in refusal(assert_close, tuple(2 * rows), rows).problem
    assert "returned a tuple of 2 values" in refusal(assert_close, (rows, rows), rows).problem
    assert "returned a tuple of 3 values" in refusal(assert_close, tuple(rows), rows[0]).problem


def test_measure_close_names_the_worst_element():
    found = measure_close([1.0, 2.5, 3.0], [1.0, 2.0, 3.0])
    assert (found.n_wrong, found.worst, found.absolute) == (1, (1,), 0.5)
    assert found.relative == 0.25
    assert not found.close


@pytest.mark.parametrize("axis", [1, 0])
def test_scores_where_their_classes_are_due_are_told_what_is_missing(axis):
    scores = np.random.default_rng(0).normal(size=(60, 4))
    classes = scores.argmax(axis=1)
    for got in (scores, np.eye(4)[classes]):
        with pytest.raises(CheckFailed, match="expected \\(60,\\)") as refused:
            assert_close(got if axis else got.T, classes)
        assert f"np.argmax(..., axis={axis})" in refused.value.hint
    with pytest.raises(CheckFailed) as refused:
        assert_close(-scores if axis else -scores.T, classes)
    assert "argmax" not in refused.value.hint


def test_an_axis_that_was_not_summed_over_is_told():
    with pytest.raises(CheckFailed) as refused:
        assert_close(np.ones((10, 5, 4)), np.ones((5, 4)))
    assert "a first axis of 10 too many" in refused.value.hint


def test_a_wrong_shape_is_refused_before_the_values():
    failure = refusal(assert_close, np.zeros(4), np.zeros((4, 1)))
    assert "(4,)" in failure.problem
    assert "(4, 1)" in failure.problem


def test_a_transposed_result_is_named():
    x = np.arange(6.0).reshape(2, 3)
    assert "transposed" in refusal(assert_close, x.T, x).problem


def test_nan_fails_even_where_the_expected_value_would_be_nan():
    with pytest.raises(NonFiniteValue):
        assert_close([1.0, np.nan], [1.0, np.nan])


def test_expected_values_that_are_not_finite_are_no_fault_of_the_student():
    with pytest.raises(ValueError, match="not finite"):
        assert_close([1.0, 2.0], [1.0, np.nan])


def test_the_dummy_left_in_place_is_missing_and_not_wrong():
    with pytest.raises(Missing, match="dummy"):
        assert_close(0, 0.7, dummy=0)
    with pytest.raises(Missing, match="dummy"):
        assert_close(np.zeros((3, 1)), np.ones((3, 1)), dummy=np.zeros((3, 1)))


def test_a_dummy_that_is_the_right_answer_is_accepted():
    assert_close(0.0, 0.0, dummy=0)
    assert_not_dummy(0.0, 0.0, 0)


def test_the_message_tells_what_was_called_expected_got_and_where():
    failure = refusal(
        assert_close, [1.0, 2.25, 7.0, 9.0], [1.0, 2.5, 3.0, 4.5], called="f(x)", noun="the sum"
    )
    assert failure.problem == "3 of 4 elements of the sum are wrong; the first one is right"
    assert failure.message().splitlines()[0] == f"f(x): {failure.problem}"
    assert "expected [1., 2.5, 3., 4.5]" in failure.message()
    assert "worst at [2]: expected 3, got 7" in failure.where


def test_the_message_tells_the_imaginary_part():
    failure = refusal(assert_close, 1 + 2j, 1 + 3j)
    assert failure.expected.startswith("1+3j (")
    assert failure.got == "1+2j"
    failure = refusal(assert_close, np.array([1 + 2j, 0]), np.array([1 + 3j, 0]))
    assert "expected 1+3j, got 1+2j" in failure.where


def test_a_hidden_message_shows_neither_inputs_nor_expected_values():
    expected = np.array([0.123456, 0.654321, 0.777777])
    shown = refusal(assert_close, 120 * expected, expected, factors={"m": 120}).hidden_message()
    assert "120 times too large" in shown
    for number in ("0.123", "0.654", "0.777", "14.8"):
        assert number not in shown


def test_a_known_mistake_is_named():
    failure = refusal(assert_close, 2.0, 5.0, mistakes={"y and y_pred are swapped": 2.0})
    assert failure.problem == "the result is what you get when y and y_pred are swapped"


def test_the_convention_that_holds_is_returned():
    conventions = {"1/(2m)": 0.5, "1/m": 1.0}
    assert assert_close_to_one_of(0.5, conventions) == "1/(2m)"
    assert assert_close_to_one_of(1.0, conventions) == "1/m"


def test_a_result_of_no_convention_is_diagnosed_against_the_simplest():
    failure = refusal(
        assert_close_to_one_of, 60.0, {"1/(2m)": 0.25, "1/m": 0.5}, factors={"m": 120}
    )
    assert failure.problem.endswith("120 times too large")
    assert "Accepted conventions: 1/(2m) and 1/m" in failure.hint


# --- precision and kinds ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_a_product_in_float32_is_right_where_its_terms_cancel(seed):
    rng = np.random.default_rng(seed)
    X, W = rng.normal(size=(20, 784)), rng.normal(size=(784, 10))
    got = X.astype(np.float32) @ W.astype(np.float32)
    assert_close(got, X @ W)
    wrong = got.copy()
    wrong[3, 4] += 0.02
    refusal(assert_close, wrong, X @ W)


def test_the_room_of_a_product_follows_its_rows_and_columns():
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(6, 784)), rng.normal(size=(784, 4))
    X[0] *= 1e6
    got = X.astype(np.float32) @ W.astype(np.float32)
    assert_close(got, X @ W)
    got[1, 1] += 0.02  # beside a row of 1e6 this is nothing; beside its own it is wrong
    refusal(assert_close, got, X @ W)


def test_the_terms_of_a_sum_give_it_room_where_the_check_knows_them():
    terms = np.random.default_rng(0).normal(size=1000)
    terms -= terms.mean()
    due = float(terms.sum()) + 1e-3
    got = np.float32(due) + np.float32(2e-5)
    refusal(assert_close, got, due)
    assert_close(got, due, summed=np.abs(terms).sum())
    refusal(assert_close, got + np.float32(0.01), due, summed=np.abs(terms).sum())


def test_float64_gets_no_room_of_float16():
    X = np.random.default_rng(1).normal(size=(5, 5))
    refusal(assert_close, X.astype(np.float16).astype(float), X)


def test_the_nearest_convention_is_taken_first():
    conventions = {"1/(2m)": 0.5, "1/m": 1.0}
    told = refusal(assert_close_to_one_of, 1.0 + 2e-7, conventions)
    assert "half" not in told.problem
    assert "twice" not in told.problem
    assert assert_close_to_one_of(1.0, {"a": 1.0 + 1e-3, "b": 1.0 + 1e-4}, rtol=1e-2) == "b"


def test_booleans_are_numbers_and_complex_values_may_be_real():
    assert_close(np.array([True, False]), np.array([1.0, 0.0]))
    spectrum = np.fft.ifft(np.fft.fft([1.0, 2.0, 4.0]))
    assert_close(spectrum, [1.0, 2.0, 4.0])
    assert "complex" in refusal(assert_close, np.array([1 + 1j]), np.array([1.0])).problem


def test_a_check_may_say_that_booleans_and_complex_values_are_wrong():
    told = refusal(assert_close, np.array([True]), np.array([1.0]), dtype_kind="fiu")
    assert "booleans" in told.problem
    refusal(assert_close, np.array([1 + 0j]), np.array([1.0]), dtype_kind="fiu")
