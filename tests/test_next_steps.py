"""What a message about the student's own error advises; the errors are those that numpy raises."""

import numpy as np
import pytest

from grader.errors import StudentError


def advice(called, kind, text, where="", sizes=()):
    return str(StudentError(called, kind, text, where, sizes)).splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "line", "sizes", "numbers"),
    [
        ("shapes (5,5) (31,31)", "w = inv(X.T @ X + np.eye(31))", [], "31 is"),
        ("shapes (5,5) (349,349)", "w = inv(X.T.dot(X)", [349], "349 is"),
        ("shapes (4,) (10,)", "step = p - target", [10], "10 is"),
    ],
)
def test_a_size_that_is_written_as_a_number_is_named(text, line, sizes, numbers):
    told = advice(
        "f(array (60, 5) float64)",
        "ValueError",
        f"operands could not be broadcast together with {text}",
        f"cell 0, line 3: {line}",
        sizes,
    )
    assert told.startswith(f"{numbers} written as a number in that")


@pytest.mark.parametrize(
    ("text", "sizes", "numbers"),
    [
        ("index 6 is out of bounds for axis 0 with size 4", [4], "4 is"),
        ("index 4 is out of bounds for axis 0 with size 4", [10], "10 is"),
        ("index 5 is out of bounds for axis 0 with size 5", [10, 200], "10 and 200 are"),
    ],
)
def test_an_index_that_runs_to_a_written_number_is_named(text, sizes, numbers):
    told = advice("f(array (60, 7) float64)", "IndexError", text, "cell 0, line 3: p[i]", sizes)
    assert told.startswith(numbers)


def test_a_batch_of_a_written_size_is_named():
    text = "could not broadcast input array from shape (12,) into shape (500,)"
    told = advice("f(array (12,) float64)", "ValueError", text, "cell 0, line 3: b[:] = y", [500])
    assert told.startswith("500 is written as a number in that function")
    told = advice("f(array (12,) float64)", "ValueError", text, "cell 0, line 3: b[:] = y")
    assert told == "where: cell 0, line 3: b[:] = y"


def test_a_quotient_is_no_count_and_a_number_has_no_elements():
    with pytest.raises(TypeError) as caught:
        range(12 / 4)
    assert "use // or int()" in advice("f(12)", "TypeError", str(caught.value))
    with pytest.raises(IndexError) as caught:
        np.float64(2.0)[0]
    assert "without an index" in advice("loss(1)", "IndexError", str(caught.value))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("self.n_wrong += 1", True),
        ("return self.n_wrong", True),
        ("return self.n_wrong(x)", False),  # a method that does not exist
        ("return other.n_wrong", False),
    ],
)
def test_an_attribute_without_a_value_is_to_be_set_in_init(line, told):
    text = "'Model' object has no attribute 'n_wrong'"
    step = advice("Model.step(1)", "AttributeError", text, f"cell 1, line 8: {line}")
    assert ("Set it in __init__" in step) is told


def test_an_index_without_a_written_number_gets_no_advice():
    text = "index 7 is out of bounds for axis 0 with size 7"
    told = advice("f(array (60, 7) float64)", "IndexError", text, "cell 0, line 3: x[i]")
    assert told == "where: cell 0, line 3: x[i]"


def test_shapes_that_no_written_number_explains_are_looked_at_for_a_transpose():
    text = "shapes (3,4) and (3,) not aligned: 4 (dim 1) != 3 (dim 0)"
    assert "transposed" in advice("f(array (3, 4) float64)", "ValueError", text, "", [9])


def test_a_caret_is_no_power_and_a_list_no_array():
    text = "ufunc 'bitwise_xor' not supported for the input types"
    assert "x**2" in advice("cost(array (9,) float64)", "TypeError", text)
    text = "bad operand type for unary -: 'list'"
    assert "np.asarray" in advice("sigmoid([1.0])", "TypeError", text)


@pytest.mark.parametrize(
    ("kind", "line", "holds"),
    [
        ("NotImplementedError", "raise NotImplementedError", True),
        ("NotImplementedError", "raise NotImplementedError('Q1.2')  # fill in", True),
        ("NotImplementedError", "return Base.step(self)", False),
        ("ValueError", "raise NotImplementedError", False),
    ],
)
def test_the_line_of_a_template_is_told_from_an_error(kind, line, holds):
    error = StudentError("f(1)", kind, "", f"cell 2, line 7: {line}")
    assert error.not_filled_in is holds
