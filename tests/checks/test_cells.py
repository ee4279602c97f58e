"""Test cells of a course, run as they are: names that they don't define are the student's."""

from types import SimpleNamespace

import numpy as np
import pytest

from grader.checks import run_cell, run_examples
from grader.errors import CheckFailed


class Process:
    """A student of which every name is asked for by `value`, as the fixture's are."""

    def __init__(self, **values):
        self._values = values

    def value(self, name):
        if name not in self._values:
            raise CheckFailed(f"`{name}` is not defined")
        return self._values[name]


STUDENT = Process(double=lambda x: 2 * x, rate=0.5, abs=lambda x: -1, sizes=[1, 2])


def failure(source, student=STUDENT, **options):
    with pytest.raises(CheckFailed) as caught:
        run_cell(student, source, **options)
    return caught.value


def test_a_cell_whose_asserts_hold_passes_and_gives_what_it_defines():
    source = "x = double(4)\nassert x == 8\nfor n in range(3):\n    assert double(n) == n + n"
    assert run_cell(STUDENT, source) == {"x": 8, "n": 2}


def test_a_name_inside_a_function_or_a_comprehension_of_the_cell_is_the_students_too():
    source = (
        "def twice(n):\n    return double(double(n))\nassert [twice(n) for n in sizes] == [4, 8]"
    )
    run_cell(STUDENT, source)


def test_a_failing_assert_tells_the_statement_and_both_sides():
    error = failure("x = 3\nassert double(x) == 7, 'twice as much was due'")
    assert error.called == "`assert double(x) == 7, 'twice as much was due'`"
    assert error.got == "6 == 7"
    assert error.where == "twice as much was due"


def test_a_hidden_check_shows_nothing_of_the_cell():
    assert failure("assert double(3) == 7, 'seven'").hidden_message() == (
        "a test of this cell doesn't hold"
    )


def test_of_a_loop_or_a_function_the_assert_itself_is_told():
    error = failure("def same(a, b):\n    assert a == b\nfor n in (0, 1):\n    same(double(n), 0)")
    assert error.called == "`assert a == b`"
    assert error.got == "2 == 0"


def test_builtins_and_numpy_are_our_own():
    run_cell(STUDENT, "assert abs(-3) == 3\nassert np.allclose(numpy.ones(2), 1)")


def test_names_that_the_course_imports_are_given():
    run_cell(STUDENT, "assert m.pi > 3", names={"m": __import__("math")})


def test_a_name_that_nobody_defines_is_told_as_the_students():
    assert str(failure("assert halve(2) == 1")) == "`halve` is not defined"


def test_a_plain_object_is_a_student_too():
    run_cell(SimpleNamespace(f=np.sin), "assert f(0) == 0")
    with pytest.raises(NameError):
        run_cell(SimpleNamespace(), "assert f(0) == 0")


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("double(2)", "4"),
        ("print(double(1))\ndouble(2)", "2\n4"),
        ("x = double(2)", ""),
        ("double(0.1)", "0.2..."),
        ("print('a  b')", "a b"),
        ("np.float64(0.5), np.True_", "(0.5, True)"),
        ("0.5", "np.float64(0.5)"),
    ],
)
def test_what_a_cell_prints_and_ends_with_may_be_what_counts(source, output):
    run_cell(STUDENT, source, output=output)


def test_another_output_is_told_with_both():
    error = failure("print('twice:')\ndouble(2)", output="twice:\n5")
    assert (error.expected, error.got) == ("twice:\n5", "twice:\n4")
    assert failure("x = 1", output="1").got == "nothing"


EXAMPLES = """Return twice x.

>>> double(3)
6
>>> y = double(4)
>>> y + 1
9
>>> print(double(1))
2
"""


def test_the_examples_of_a_docstring_are_run():
    run_examples(STUDENT, EXAMPLES)
    with pytest.raises(CheckFailed) as caught:
        run_examples(Process(double=lambda x: x), EXAMPLES)
    assert (caught.value.called, caught.value.expected, caught.value.got) == (
        "`double(3)`",
        "6",
        "3",
    )
