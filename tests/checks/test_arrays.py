"""A returned value is made into an array, or refused with a reason."""

import numpy as np
import pytest

from grader.checks import as_array, as_scalar, assert_dtype, assert_finite, assert_shape
from grader.checks.arrays import show
from grader.errors import CheckFailed, NonFiniteValue


class Handle:
    """Stands for an object that stayed in the student's process."""

    def __init__(self, type_name):
        self.type_name = type_name


def refusal(check, *args, **kwargs):
    with pytest.raises(CheckFailed) as refused:
        check(*args, **kwargs)
    return refused.value


@pytest.mark.parametrize(
    ("value", "advice"),
    [((), "is empty"), ((np.zeros(2),), "not `return x,`"), ((np.ones(2), None), "it alone")],
)
def test_a_tuple_is_refused_with_the_way_out(value, advice):
    assert advice in refusal(as_array, value).hint


@pytest.mark.parametrize("value", [2, 2.5, np.float32(1), [1, 2], [[1.0], [2.0]], (1, 2.0)])
def test_numbers_and_lists_become_arrays(value):
    assert as_array(value).shape == np.shape(value)


def test_an_array_keeps_its_own_dtype():
    assert as_array(np.zeros(3, dtype=np.uint8)).dtype == np.uint8


def test_none_asks_whether_a_return_is_missing():
    failure = refusal(as_array, None, called="f(x)")
    assert failure.problem == "returned None: is a `return` missing?"
    assert failure.message().startswith("f(x): returned None")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0.5", "returned a string"),
        (b"x", "returned bytes"),
        ({"w": 1}, "returned a dict of 1 entries"),
        ((np.zeros(2), np.zeros(2)), "returned a tuple of 2 values, expected one array"),
        ((), "returned a tuple of 0 values"),
        ([1, None], "got a list that holds None"),
        ([[1], ["a"]], "got strings, expected numbers"),
        ([[1, 2], [3]], "rows differ in length"),
        (np.array([None, 1]), "an array of Python objects"),
        (np.array(["a"]), "got strings, expected numbers"),
        (1j, "got complex numbers"),
        (10**400, "too large for 64 bits"),
        (Handle("Tensor"), "returned an object of type Tensor"),
        ([Handle("Tensor")], "an object of type Tensor"),
    ],
)
def test_what_is_no_array_is_named(value, words):
    assert words in refusal(as_array, value).problem


def test_booleans_are_numbers_where_the_check_does_not_say_otherwise():
    assert as_array([True, False]).dtype == bool
    assert as_scalar(True) == 1.0
    told = refusal(as_array, True, dtype_kind="fiu")
    assert "got booleans, expected numbers" in told.problem


def test_complex_values_without_imaginary_part_are_real():
    assert as_array(np.array([2 + 0j, 1 + 1e-17j])).dtype == float
    assert "complex numbers" in refusal(as_array, np.array([2 + 1e-3j])).problem
    assert as_array(np.array([2 + 0j]), dtype_kind="c").dtype == complex


def test_a_scalar_keeps_a_dtype_that_is_coarser_than_float64():
    assert as_scalar(np.array([[0.9]], dtype=np.float32)).dtype == np.float32
    assert type(as_scalar(np.float64(0.9))) is float
    assert type(as_scalar(3)) is float


def test_a_trailing_comma_is_recognised():
    assert "comma" in refusal(as_array, (np.zeros(3),)).hint


def test_a_function_that_came_back_asks_for_its_call():
    assert "where you meant f(x)" in refusal(as_array, Handle("function")).hint


def test_a_handle_cannot_write_into_the_report():
    failure = refusal(as_array, Handle("<script>\x1b[2J" + "a" * 10_000))
    assert "<" not in failure.problem
    assert "\x1b" not in failure.problem
    assert len(failure.problem) < 200


def test_a_list_that_is_nested_too_deep_is_refused():
    value = [1.0]
    for _ in range(60):
        value = [value]
    refusal(as_array, value)


@pytest.mark.parametrize("value", [3, 3.0, [3.0], np.array(3.0), np.array([[3.0]])])
def test_a_scalar_may_come_as_an_array_of_one_element(value):
    assert as_scalar(value) == 3.0


def test_more_than_one_number_asks_for_the_sum():
    assert "sum or the mean" in refusal(as_scalar, np.zeros(4)).hint
    assert "tuple" in refusal(as_scalar, (1.0, 2.0)).problem


def test_a_shape_message_speaks_in_the_dimensions_letters():
    failure = refusal(assert_shape, np.zeros(120), ("m", 1), names={"m": 120})
    assert failure.problem == "got shape (120,) = (m,), expected (120, 1) = (m, 1)"
    assert "reshape(-1, 1)" in failure.hint


def test_a_shape_that_fits_one_of_several_is_accepted():
    assert_shape(np.zeros((1, 4)), [(4, 1), (1, 4)])
    assert_shape(np.zeros((7, 4)), (None, 4))


@pytest.mark.parametrize(
    ("came", "due", "hint"),
    [
        ((5, 5), (5, 1), "broadcasting made every pair"),
        ((3, 5), (5, 3), "transposed"),
        ((), (5,), "all axes"),
        ((5,), (), "sum or the mean"),
        ((4, 3), (5, 3), "off by one"),
        ((5, 1), (5,), "ravel"),
        ((5,), (5, 7), "An axis is lost"),
        ((6, 2), (3, 4), "reshape"),
    ],
)
def test_a_wrong_shape_gets_a_hint(came, due, hint):
    assert hint in refusal(assert_shape, np.zeros(came), due).hint


def test_one_number_for_an_array_may_be_an_argmax_or_another_result():
    hint = refusal(assert_shape, np.float64(2.0), (5,)).hint
    assert "an argmax" in hint
    assert "Of several results" in hint


def test_dtypes_are_accepted_by_kind_and_by_name():
    assert_dtype(np.zeros(2), "float")
    assert_dtype(np.zeros(2, dtype=np.uint8), "uint8")
    assert_dtype([1, 2], "int")


def test_integers_where_floats_are_due_are_refused():
    failure = refusal(assert_dtype, np.zeros(2, dtype=int), "float")
    assert "int64" in failure.problem
    assert "cuts off fractions" in failure.hint


def test_finite_values_are_accepted():
    assert_finite([[1.0, 2.0]])
    assert_finite(np.array([1, 2]))


def test_the_first_bad_index_is_named():
    with pytest.raises(NonFiniteValue) as refused:
        assert_finite(np.array([[1.0, 2.0], [np.inf, np.nan]]))
    assert refused.value.problem == "2 of 4 values are not finite; the first is inf"
    assert refused.value.where == "index [1, 0]"


def test_long_arrays_are_shown_short_and_with_their_shape():
    text = show(np.arange(10_000.0).reshape(100, 100) / 7e7)
    assert len(text) <= 240
    assert text.endswith(", shape (100, 100)")


def test_an_array_of_many_axes_is_shown_by_its_corners():
    text = show(np.arange(105).reshape(7, 5, 3))
    assert text == (
        "[[[0, ..., 2], ..., [12, ..., 14]], ..., [[90, ..., 92], ..., [102, ..., 104]]], "
        "shape (7, 5, 3)"
    )


def test_numpys_columns_are_not_padded_in_a_line():
    assert show(np.array([[1, -20], [300, 4]])) == "[[1, -20], [300, 4]]"
    assert show(np.array([0.25, 1.0])) == "[0.25, 1.]"
