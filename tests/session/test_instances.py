"""isinstance(value, student.Class): the student's process says whether it is one."""

import pickle

import numpy as np
import pytest

from grader.checks import run_cell
from grader.errors import StudentError

SHAPES = """
class Shape:
    def __init__(self, sides):
        if sides < 1:
            raise ValueError("a shape needs sides.")
        self.sides = sides

class Square(Shape):
    def __init__(self):
        super().__init__(4)

def square():
    return Square()
"""


def test_an_object_is_an_instance_of_its_class_and_of_those_above(student_of):
    student = student_of(SHAPES)
    square = student.square()
    assert isinstance(square, student.Square)
    assert isinstance(square, (int, student.Shape))
    assert not isinstance(student.Shape(3), student.Square)


@pytest.mark.parametrize("value", [4, "four", [1, 2], None])
def test_a_plain_value_is_none_of_a_students_class(student_of, value):
    assert not isinstance(value, student_of(SHAPES).Shape)


def test_a_function_is_no_class(student_of):
    with pytest.raises(TypeError, match="needs a class"):
        isinstance(3, student_of(SHAPES).square)


def test_a_courses_own_test_may_ask_for_the_class_and_the_words_of_an_error(student_of):
    run_cell(
        student_of(SHAPES),
        "assert isinstance(square(), Shape) and not isinstance(Shape(1), Square)\n"
        "try:\n    Shape(0)\nexcept ValueError as error:\n"
        "    assert str(error) == 'a shape needs sides.'\n"
        "    assert error.args == ('a shape needs sides.',)\n"
        "else:\n    raise AssertionError",
    )


@pytest.mark.parametrize("kind", ["LinAlgError", "ValueError", "StudentError"])
def test_numpys_error_of_linear_algebra_is_caught_as_what_it_is(student_of, kind):
    student = student_of("def solve(A, b):\n    return np.linalg.solve(A, b)\n")
    caught = {"LinAlgError": np.linalg.LinAlgError, "ValueError": ValueError}
    with pytest.raises(caught.get(kind, StudentError), match="Singular matrix") as raised:
        student.solve(np.ones((2, 2)), np.ones(2))
    copied = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(copied, np.linalg.LinAlgError) and copied.kind == "LinAlgError"


def test_another_error_is_not_numpys(student_of):
    student = student_of("def f(x):\n    raise ValueError(x)\n")
    with pytest.raises(ValueError, match="7") as raised:
        student.f(7)
    assert not isinstance(raised.value, np.linalg.LinAlgError)
