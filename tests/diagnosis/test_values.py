"""A diagnosis is a true statement about a wrong result, in a textbook's words."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grader.checks import diagnose
from grader.diagnosis.observations import what_is_right

RIGHT = np.array([[0.7, -1.3, 2.1], [0.4, 3.2, -0.9], [-2.2, 1.1, 0.3], [1.7, -0.6, 0.8]])


def told(got, expected=RIGHT, **known):
    found = diagnose(got, expected, **known)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("factor", "problem", "hint"),
    [
        (-1, "the result has the wrong sign everywhere", "minus sign"),
        (2, "twice as large", "1/2 missing"),
        (0.5, "half as large", "factor 2 missing"),
        (120, "120 times too large", "120 = m: is the mean (1/m) missing?"),
        (1 / 120, "120 times too small", "120 = m: is it divided by m once too often?"),
        (-1 / 120, "wrong sign and is 120 times too small", "120 = m"),
        (240, "240 times too large", "240 = 2 m: is the factor 1/(2 m) missing?"),
        (60, "60 times too large", "60 = m/2"),
        (14400, "14400 times too large", "14400 = m^2"),
        (0.3, "3.333 times too small", "3.333 = 1/alpha"),
        (36, "36 times too large", "36 = m alpha"),
    ],
)
def test_a_constant_factor_is_named(factor, problem, hint):
    found = told(factor * RIGHT, factors={"m": 120, "alpha": 0.3})
    assert problem in found.problem
    assert hint in found.hint


def test_a_factor_2_may_be_the_number_of_two_elements():
    two = np.array([0.0839, 0.9161])
    assert "2 is also a length here" in told(2 * two, two).hint
    assert "2 is also a length here" in told(RIGHT[:, :2] / 2, RIGHT[:, :2]).hint
    assert "2 is also a length here" not in told(2 * RIGHT).hint
    assert "2 is also a length here" not in told(-two, two).hint


def test_a_factor_of_a_single_number_is_named_too():
    assert "120 times too large" in told(84.0, 0.7, factors={"m": 120}).problem


def test_a_single_number_that_is_just_wrong_is_not_explained():
    assert diagnose(0.71, 0.5234, factors={"m": 120}) is None


def test_two_readings_of_a_factor_are_both_told():
    found = told(2 * RIGHT, factors={"alpha": 0.5})
    assert "1/2" in found.hint
    assert "1/alpha" in found.hint


def test_another_factor_is_given_as_a_number():
    found = told(3.7 * RIGHT)
    assert found.problem == (
        "the result is 3.7 times too large, by the same factor in every element"
    )


@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (1 / np.log(2), "base 2"),
        (1 / np.log(10), "2.303 = ln 10. Is it np.log10"),
        (180 / np.pi, "degrees"),
        (255, "pixels"),
        (120 / 119, "m - 1 instead of m"),
        (np.sqrt(119 / 120), "sqrt(m/(m - 1))"),
    ],
)
def test_a_well_known_constant_is_named(factor, hint):
    assert hint in told(factor * RIGHT, factors={"m": 120}).hint


def test_a_series_that_starts_late_is_named():
    right = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    assert "one place too late" in told(np.concatenate([[7.0], right[:-1]]), right).problem
    assert "shifted by one place" in told(np.roll(right, 1), right).problem


def test_a_wrong_sign_of_one_number_speaks_of_one_number():
    assert told(-0.7, 0.7).problem == "the result has the wrong sign"


def test_a_factor_of_most_elements_is_no_factor():
    got = 2 * RIGHT
    got[0, 0] = RIGHT[0, 0]
    found = diagnose(got, RIGHT)
    assert found is None or "twice" not in found.problem


def test_an_elementwise_factor_that_is_missing_is_named():
    slope = np.linspace(0.05, 0.25, 12).reshape(4, 3)
    found = told(RIGHT, RIGHT * slope, factors={"sigma'(z)": slope}, noun="the gradient")
    assert found.problem == "the factor sigma'(z) is missing in the gradient"
    assert "once too often" in told(RIGHT * slope, RIGHT, factors={"sigma'(z)": slope}).problem


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (0, "the regulariser term is missing in the result"),
        (2, "the regulariser term is twice as large"),
        (-1, "the regulariser term has the wrong sign"),
        (120, "the regulariser term is 120 times too large"),
        (5.3, "the regulariser term is 5.3 times too large"),
    ],
)
def test_a_wrong_term_is_named(times, words):
    term = 0.01 * np.cos(np.arange(12.0)).reshape(4, 3)
    found = told(
        RIGHT + times * term, RIGHT + term, terms={"regulariser": term}, factors={"m": 120}
    )
    assert words in found.problem


def test_a_term_that_stands_alone_is_named():
    term = np.cos(np.arange(12.0)).reshape(4, 3)
    assert (
        "only the regulariser term" in told(term, RIGHT + term, terms={"regulariser": term}).problem
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.T, "is transposed"),
        (lambda x: x.reshape(-1), "right values in another shape"),
        (lambda x: x.reshape(-1, order="F").reshape(4, 3), "read column by column"),
        (lambda x: x[::-1], "flipped upside down"),
        (lambda x: x[:, ::-1], "flipped left to right"),
        (lambda x: x[::-1, ::-1], "180 degrees"),
        (lambda x: x[:, [1, 0, 2]], "right columns in another order"),
        (lambda x: x[[1, 2, 3, 0]], "right rows in another order"),
        (lambda x: 120 * x.T, "120 times too large, and transposed"),
        (lambda x: x + 1, "too large by 1"),
        (lambda x: x - 0.37, "too small by the same amount"),
        (lambda x: x + np.arange(4.0)[:, None], "each row of the result is off"),
        (lambda x: x * np.arange(1, 4.0), "each column of the result is scaled"),
        (np.abs, "lost its signs"),
        (lambda x: np.maximum(x, 0), "0 where it should be negative"),
        (lambda x: 1 - x, "1 minus"),
        (np.exp, "is exp of"),
        (lambda x: 1 / x, "reciprocal"),
        (lambda x: np.clip(x, -1, 1), "clipped above and below"),
        (np.trunc, "fractions of the result are cut off"),
        (lambda x: 0 * x, "is 0 everywhere"),
        (np.ones_like, "same number in every element"),
    ],
)
def test_what_was_done_to_the_result_is_named(change, words):
    assert words in told(change(RIGHT), factors={"m": 120}).problem


def test_two_wrong_elements_at_the_ends_are_not_taken_for_a_limit():
    right = np.array([0.1, -0.2, 0.3, 0.98, -0.97, 0.05])
    got = np.where(np.abs(right) > 0.9, 0.9 * right, right)
    found = diagnose(got, right)
    assert found is None or found.kind != "clipping"


def test_a_learning_rate_that_is_there_too_often_is_named():
    x = np.outer([0.0, 1.0, -1.0], [0.5, 0.2, 1.3, 0.4])
    found = told(0.001 * x, x)
    assert "1000 times too small" in found.problem and "learning rate" in found.hint


def test_shares_that_sum_to_1_along_the_other_axis_are_told():
    e = np.exp(np.random.default_rng(0).normal(size=(10, 3)))
    rows, columns = e / e.sum(axis=1, keepdims=True), e / e.sum(axis=0)
    assert "each column of the result sums to 1" in told(columns, rows).problem
    assert "each row of the result sums to 1" in told(rows, columns).problem
    assert "all elements of the result together" in told(e / e.sum(), rows).problem


def test_shares_that_sum_to_1_where_they_are_to_are_not_blamed_for_their_axis():
    e = np.exp(np.random.default_rng(0).normal(size=(10, 3)))
    rows = e / e.sum(axis=1, keepdims=True)
    found = diagnose(np.eye(3)[rows.argmax(axis=1)], rows)
    assert found is None or found.kind != "axis"


def test_rounding_and_lost_precision_are_named():
    x = RIGHT / 3
    assert "rounded to 2 decimals" in told(np.round(x, 2), x).problem
    assert "precision of float32" in told(x.astype(np.float32), x, rtol=1e-9).problem


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (np.s_[-1], "right except in the last row"),
        (np.s_[0], "right except in the first row"),
        (np.s_[:, -1], "right except in the last column"),
        (np.s_[2], "right except in row 2"),
    ],
)
def test_a_wrong_line_is_named(place, words):
    got = RIGHT.copy()
    got[place] = got[place] ** 2 + 7
    assert words in told(got).problem


def test_a_wrong_branch_is_named_by_its_input():
    z = np.array([-3.0, -1.0, 2.0, 0.5, -0.2, 4.0])
    right = np.exp(-np.abs(z))
    half = np.where(z < 0, z**2 + 7, right)
    assert "except where z < 0" in told(half, right, inputs={"z": z}).problem
    assert "unchanged input z" in told(z, right, inputs={"z": z}).problem


def test_an_overflow_is_named_with_its_inputs():
    z = np.array([1.0, 2.0, 900.0, 1000.0])
    found = told(np.array([0.1, 0.2, np.inf, np.inf]), np.ones(4), inputs={"z": z})
    assert "2 of 4 elements are inf, those with the largest |z|" in found.problem


def test_a_cost_over_all_pairs_is_named():
    m = 5
    p = np.linspace(0.1, 0.9, m)
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    pairs = p[:, None] - y[None, :]
    right = np.sum((p - y) ** 2) / (2 * m)
    for wrong in (np.sum(pairs**2) / (2 * m), np.mean(pairs**2) / 2):
        found = told(wrong, right, broadcast=(p, y.reshape(-1, 1)))
        assert found.problem == (
            "the result runs over all 5 x 5 pairs of samples, not over the 5 samples"
        )


def test_a_right_result_has_no_diagnosis():
    assert diagnose(RIGHT * (1 + 1e-9), RIGHT) is None


def test_what_is_no_number_has_no_diagnosis():
    assert diagnose(None, RIGHT) is None
    assert diagnose("x", RIGHT) is None
    assert diagnose(RIGHT, [[1, 2], [3]]) is None


@given(
    seed=st.integers(0, 10**6),
    power=st.floats(-8, 8),
    m=st.integers(3, 10_000),
    exponent=st.sampled_from([-1, 1]),
    sign=st.sampled_from([-1, 1]),
)
@settings(max_examples=80, deadline=None)
def test_a_lost_or_doubled_mean_is_found_at_every_scale(seed, power, m, exponent, sign):
    right = 10.0**power * np.random.default_rng(seed).normal(size=(6, 2))
    found = told(sign * float(m) ** exponent * right, right, factors={"m": m})
    assert found.kind == "factor"
    assert ("wrong sign" in found.problem) == (sign < 0)
    if m not in (4, 8, 16):  # a power of 2 has two names
        assert " m" in found.hint or "/m" in found.hint


@given(seed=st.integers(0, 10**6), n=st.integers(1, 8), power=st.floats(-6, 6))
@settings(max_examples=150, deadline=None)
def test_random_numbers_are_never_explained(seed, n, power):
    rng = np.random.default_rng(seed)
    right, wrong = rng.normal(size=(2, n, 3)) * 10.0**power
    assume(np.abs(right - wrong).min() > 1e-3 * 10.0**power)
    term = rng.normal(size=(n, 3))
    found = diagnose(
        wrong,
        right,
        factors={"m": 120, "alpha": 0.5},
        terms={"regulariser": term},
        inputs={"x": rng.normal(size=(n, 3))},
    )
    assert found is None


@given(seed=st.integers(0, 10**6), error=st.floats(0.1, 5))
@settings(max_examples=100, deadline=None)
def test_one_wrong_element_is_never_called_a_wrong_whole(seed, error):
    rng = np.random.default_rng(seed)
    right = rng.normal(size=(4, 5))
    wrong = right.copy()
    wrong[rng.integers(4), rng.integers(5)] += error
    found = diagnose(wrong, right, factors={"m": 120}, terms={"regulariser": right**2})
    assert found is None or found.kind in ("part", "clipping", "function")
    if found is not None and found.kind == "function":
        # 0 where it should be negative, or a lost sign: possible with one negative element.
        assert (right < 0).sum() == 1


# --- evidence ---------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), k=st.integers(2, 8))
@settings(max_examples=200, deadline=None)
def test_a_wrong_delta_in_an_outer_product_explains_nothing(seed, k):
    rng = np.random.default_rng(seed)
    delta, wrong, x = rng.normal(size=k), rng.normal(size=k), rng.normal(size=5)
    factors = {"n": 7, "K": k, "eta": 0.37}
    assert diagnose(np.outer(wrong, x), np.outer(delta, x), factors=factors) is None


@given(seed=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_a_wrong_pair_of_classes_explains_nothing(seed):
    p, q = np.random.default_rng(seed).uniform(0.01, 0.99, size=2)
    assume(abs(p - q) > 1e-3)
    for scale in (np.ones((1, 1)), np.linspace(-1, 2, 6)[None]):
        got, right = (np.array([[v], [-v]]) * scale for v in (q, p))
        assert diagnose(got, right, factors={"m": 60, "alpha": 0.5}) is None


def test_a_sign_and_a_mean_are_told_of_an_outer_product_too():
    right = np.outer([0.3, -0.7, 0.4], np.linspace(0.2, 1.7, 5))
    assert "wrong sign" in told(-right, right).problem
    assert "40 = m" in told(40 * right, right, factors={"m": 40}).hint


def test_one_number_within_a_loose_tolerance_is_no_factor():
    # A ratio of 120.3 is not 120 = m; and 2.0005 is twice only where the numbers are that exact.
    assert diagnose(84.3, 0.7, factors={"m": 120}, rtol=1e-2) is None
    assert "twice" in told(2 * 0.123456789, 0.123456789).problem


def test_a_function_of_a_round_number_is_no_function():
    assert diagnose(0.25, 0.5) is None or "square" not in told(0.25, 0.5).problem
    assert diagnose(0.3, 0.7) is None
    assert "square" in told(0.123456789**2, 0.123456789).problem


def test_one_wrong_element_makes_no_row():
    got = RIGHT.copy()
    got[2, 1] = 17.0
    assert diagnose(got, RIGHT) is None


def test_a_turned_picture_is_told_in_whatever_shape_it_comes():
    picture = np.arange(24.0).reshape(2, 4, 3)
    assert told(np.rot90(picture), picture).problem == "the result is turned by 90 degrees"
    assert "270" in told(np.rot90(picture, 3), picture).problem


def test_a_zero_is_not_called_unfilled_for_sure():
    found = told(np.zeros((4, 3)), dummy=0.0)
    assert found.kind == "dummy"
    assert found.problem == "the result is 0, which is also the template's dummy value"
    assert "If it is filled" in found.hint
    assert "still the template's dummy" in told(np.ones((4, 3)), dummy=1.0).problem


def test_what_is_right_in_an_unexplained_result_is_told():
    rng = np.random.default_rng(0)
    right = rng.uniform(0.1, 0.9, size=(5, 4))
    right /= right.sum(axis=1, keepdims=True)
    other = rng.uniform(0.1, 0.9, size=(5, 4))
    other /= other.sum(axis=1, keepdims=True)
    assert what_is_right(other, right) == "the sum of each row is right"
    signed = rng.normal(size=20)
    assert what_is_right(signed * rng.uniform(0.5, 3, 20), signed) == "each has the right sign"
    assert what_is_right(np.sort(signed) ** 3 + 5, np.sort(signed)).startswith("their order is")
    assert what_is_right(signed * 1.07, signed) == "each is off by less than 8 %"
    assert what_is_right(rng.normal(size=20), signed) == ""


def test_a_length_of_an_input_is_named_as_a_factor():
    a, due = np.array([0.31, -1.27, 0.83, 2.1137]), np.array([0.7, -0.11, 1.3, 0.47])
    found = diagnose(due * np.sqrt(a @ a), due, inputs={"a": a})
    assert found is not None
    assert "by the length of a" in found.problem
    found = diagnose(due / np.abs(a).max(), due, inputs={"a": a})
    assert found is not None
    assert "divided by it once too often" in found.hint


def test_the_rest_in_the_place_of_the_part_is_named():
    b, due = np.array([0.31, -1.27, 0.83, 2.1137]), np.array([0.7, -0.11, 1.3, 0.47])
    found = diagnose(b - due, due, inputs={"b": b})
    assert found is not None
    assert "b minus what it should be" in found.problem


def test_a_picture_that_is_moved_is_named():
    picture = np.random.default_rng(3).normal(size=(5, 6))
    due, got = np.pad(picture, 2), np.pad(picture, ((1, 3), (1, 3)))
    found = diagnose(got, due)
    assert found is not None
    assert found.problem == "the result is moved by one place up and to the left"


def test_two_known_mistakes_with_one_result_are_both_told():
    due, got = np.array([0.7, -0.11, 1.3]), np.array([0.31, 1.27, 0.83])
    known = {"j is subtracted as a number": got, "e_j is not subtracted": got.copy()}
    found = diagnose(got, due, mistakes=known)
    assert found is not None
    assert found.problem.endswith("when j is subtracted as a number, or when e_j is not subtracted")


def test_a_share_of_an_input_that_is_there_too_much_is_named():
    w, due = np.array([0.31, -1.27, 0.83, 2.1137]), np.array([0.7, -0.11, 1.3, 0.47])
    found = diagnose(due - 0.01 * w, due, inputs={"w": w})
    assert found is not None
    assert found.problem == "the result is what it should be minus 0.01 times w"


def test_a_sign_at_mirrored_inputs_is_not_called_a_flip():
    z = np.linspace(-3, 3, 7)
    due, got = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))
    found = diagnose(got, due, inputs={"z": z})
    assert found is None or "flipped" not in found.problem


def test_a_flip_that_a_wrong_sign_may_have_made_asks_for_both():
    """The check did not say at which points: they may lie evenly around 0."""
    z = np.linspace(-3, 3, 7)
    found = diagnose(1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z)))
    assert found is not None and "wrong sign" in found.hint
    found = diagnose(np.array([0.2, 0.9, 0.5, 0.1]), np.array([0.1, 0.5, 0.9, 0.2]))
    assert found is not None and "[::-1]" in found.hint


def test_two_classes_in_the_other_order_are_not_called_a_flip():
    found = diagnose(np.array([0.28, 0.72]), np.array([0.72, 0.28]))
    assert found is None or "flipped" not in found.problem


def test_what_must_stay_0_is_told():
    due = np.pad(np.array([[0.31, -1.27], [0.83, 2.11]]), 1)
    found = diagnose(np.pad(due[1:-1, 1:-1], 1, mode="edge"), due)
    assert found is not None
    assert found.problem == "the result is right except where it should be 0"


def test_a_count_that_is_off_by_one_is_told():
    found = diagnose(4, 5)
    assert found is not None
    assert found.problem == "the result is too small by 1"
    assert diagnose(4.5, 5.5) is None


def test_a_branch_is_named_by_its_input_before_what_is_due_there():
    x = np.array([-2.3, -1.1, -0.4, 0.7, 1.9, 2.6])
    found = diagnose(np.where(x > 0, x, 0.01 * x), np.maximum(x, 0), inputs={"x": x})
    assert found is not None
    assert found.problem == "the result is right except where x < 0"


def test_a_limit_of_one_sign_says_nothing_of_a_sign():
    limits = np.array([-1.0, -1.0, 0.0, 0.0])
    assert diagnose(-limits, limits) is None
    both = np.array([-1.0, 1.0, 0.0, 1.0])
    assert diagnose(-both, both).kind == "sign"


def test_ends_that_are_never_set_are_not_said_to_be_clipped():
    due = np.array([0.46, -0.13, -0.32, -0.23, -0.3, -0.33, -0.24, 0.06])
    found = diagnose(np.concatenate([[0.0], due[1:-1], [0.0]]), due)
    assert found.problem == "the result is right except at both ends"
    assert found.hint == "It is 0 there: is it ever set?"


def test_a_quotient_by_a_number_near_0_is_told():
    due = np.array([-2.15, -0.58, 0.0, -0.66, -1.06])
    got = due + np.array([0, 0, -1.2e9, 0, 0])
    found = diagnose(got, due)
    assert found.problem.startswith("1 of 5 elements of the result is far larger than any that is")
    assert "divided by a number near 0" in found.hint
    for other in (due + np.array([0, 0, 20.0, 0, 0]), 1e9 * due + 3):
        assert "far larger" not in getattr(diagnose(other, due), "problem", "")


def test_a_border_with_other_values_is_told():
    due = np.random.default_rng(3).normal(size=(4, 5))
    got = due + 1.7 * due[::-1]
    got[1:-1, 1:-1] = due[1:-1, 1:-1]
    assert diagnose(got, due).problem == "the result is right except at its border"


def test_one_wrong_element_at_the_border_is_not_the_border():
    due = np.random.default_rng(4).normal(size=(4, 5))
    got = due.copy()
    got[0, 2] = 9.1
    assert "border" not in getattr(diagnose(got, due), "problem", "")


def test_a_wrong_term_of_each_column_is_not_only_blamed_on_an_axis():
    due = np.random.default_rng(5).normal(size=(6, 3))
    found = diagnose(due + np.array([0.4, -1.3, 0.7]), due)
    assert "Is a summand wrong that each column has of its own" in found.hint


def test_a_result_that_saturates_far_out_is_not_said_to_be_clipped():
    due = np.array([0.0, 1000.0, 750.0, 0.0, 1e4, 1.2e4])
    assert diagnose(np.minimum(due, 1.0), due) is None


def test_one_number_of_many_digits_in_the_place_of_different_ones_is_a_limit():
    due = np.array([0.0, 1000.0, 750.0, 0.0, 1e4, 1.2e4])
    assert "cut to one limit" in diagnose(np.minimum(due, -np.log(1e-12)), due).problem


def test_a_vector_of_another_length_than_1_is_told_by_its_length():
    due = np.array([0.6, 0.48, -0.64])
    assert diagnose(2.589 * due, due).kind == "length"
    told = diagnose(2.589 * due, due)
    assert "length 2.589, not 1" in told.problem and "norm" in told.hint


def test_one_number_for_all_is_named_where_it_is_their_sum():
    due = np.array([0.31, -0.2, 1.17])
    assert "the sum of all the right elements" in diagnose(np.full(3, due.sum()), due).problem
    assert "sum" not in diagnose(np.full(3, 0.77), due).problem


def test_a_picture_that_is_moved_by_two_places_is_told_so():
    picture = np.random.default_rng(0).normal(size=(8, 9))
    moved = np.zeros((8, 9))
    moved[2:, 2:] = picture[:-2, :-2]
    assert "moved by 2 down and 2 to the right" in diagnose(moved, picture).problem


def test_whole_numbers_that_are_all_0_are_told_as_whole_numbers():
    due = np.array([0.3, -0.2, 0.7])
    assert "whole numbers" in diagnose(np.zeros(3, dtype=int), due).problem
    assert "whole numbers" not in diagnose(np.zeros(3), due).problem
