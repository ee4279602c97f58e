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


@pytest.mark.parametrize(
    "cell",
    [
        "assert abs(double(3) - 6) < 1e-9",
        "assert double(3)[0] == 6",
        "assert double(3).shape == (2,)",
    ],
)
def test_a_test_that_cannot_use_what_came_fails_with_its_statement(cell):
    failed = failure(cell, Process(double=lambda x: None))
    assert "can't use a value that it got" in failed.problem
    assert failed.called == f"`{cell}`"
    assert "NoneType" in failed.where
    assert failed.hint == "A value is None: does a function lack its return?"
    assert "double" not in failed.hidden_message()


def test_examples_of_a_docstring_that_cannot_use_what_came_fail_too():
    with pytest.raises(CheckFailed, match="can't use a value that it got"):
        run_examples(Process(double=lambda x: None), ">>> double(3) + 1\n7\n")


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


# --- names that a cell deletes or replaces, and values of the solution's --------------------------


class Notebook(Process):
    """A student whose names can be set, and a function of it that calls another one."""

    def __init__(self, **values):
        super().__init__(square=lambda x: x * x, **values)

    def has(self, name):
        return name in self._values

    def __setitem__(self, name, value):
        self._values[name] = value

    def __getattr__(self, name):
        raise AttributeError(name)


def summing():
    student = Notebook()
    student["total"] = lambda n: sum(student.value("square")(i) for i in range(n))
    return student


USES = """
kept = square
del square
try:
    total(3)
except NameError:
    pass
else:
    raise AssertionError("total does not use square")
finally:
    square = kept
assert total(3) == 5
"""


def test_a_function_that_the_cell_deletes_is_gone_for_the_students_code_too():
    run_cell(summing(), USES)
    student = summing()
    student["total"] = lambda n: 5
    assert failure(USES, student).where == "total does not use square"


def test_a_function_that_the_cell_replaces_is_the_one_that_the_students_code_calls():
    run_cell(summing(), "def square(x):\n    return 1\nassert total(3) == 3")


def test_what_was_deleted_is_not_there_for_the_cell_either():
    with pytest.raises(NameError):
        run_cell(summing(), "del square\nsquare(2)")
    with pytest.raises(NameError):
        run_cell(summing(), "del nothing")


SOLUTION = Process(values=lambda n: [n, n / 2], words=lambda: {"a": "x"}, flag=lambda: True)


@pytest.mark.parametrize(
    ("cell", "student", "problem"),
    [
        ("autotest(values(1), values(4))", {"values": lambda n: [n, n / 2 + 1e-9]}, ""),
        ("autotest(values(1), values(4))", {"values": lambda n: [n, 0.5]}, "a value"),
        ("autotest(values(1))", {"values": lambda n: [n]}, "got 1 values, expected 2"),
        (
            "autotest(values(1))",
            {"values": lambda n: None},
            "got None, expected a list of 2 values",
        ),
        ("autotest(words())", {"words": lambda: {"b": "x"}}, "wrong keys"),
        ("autotest(words())", {"words": lambda: {"a": "y"}}, "a value is wrong"),
        ("autotest(flag())", {"flag": lambda: 1}, "expected an object of type bool"),
        ("autotest(flag())", {"flag": lambda: False}, "a value is wrong"),
    ],
)
def test_autotest_holds_values_against_the_solutions(cell, student, problem):
    if problem:
        assert problem in str(failure(cell, Process(**student), reference=SOLUTION))
    else:
        run_cell(Process(**student), cell, reference=SOLUTION)


@pytest.mark.parametrize(
    "test",
    ["np.testing.assert_almost_equal(double(1.0), 3.0, decimal=2)",
     "assert np.allclose(double(np.array([1.0, 2.0])), [2.0, 9.0], rtol=0.1)",
     "np.testing.assert_allclose(double(np.array([1.0, 2.0])), [2.0, 9.0], rtol=0.1)"],
)  # fmt: skip
def test_no_tolerance_is_told_but_that_of_the_test_itself(test):
    assert "tolerance" not in str(failure(test))
