import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from grader.checks import assert_one_of, call_quietly, call_unchanging
from grader.errors import CheckFailed


class Student:
    """A function that is called as in the student's process: on copies, all there is recorded."""

    def __init__(self, function):
        self.function = function

    def observe(self, *arguments):
        given = tuple(np.array(one) for one in arguments)
        value = error = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = self.function(*given)
            except ZeroDivisionError as raised:
                error = raised
        texts = [f"{w.category.__name__}: {w.message}" for w in caught]
        return SimpleNamespace(value=value, error=error, warnings=texts, arguments=given)


def shift_in_place(k, x):
    x -= x.max()
    return k * x


def test_the_value_of_a_call_that_leaves_its_arguments_is_returned():
    got = call_unchanging(Student(lambda k, x: k * x), 2.0, np.array([1.0, 3.0]))
    assert np.array_equal(got, [2.0, 6.0])


def test_a_call_that_changes_an_argument_is_refused_and_the_argument_named():
    with pytest.raises(CheckFailed, match=r"f\(k, x\): the call changes x in place"):
        call_unchanging(
            Student(shift_in_place), 2.0, np.ones(3) * 5, called="f(k, x)", names=("k", "x")
        )


def test_the_value_of_a_call_without_warnings_is_returned():
    assert call_quietly(Student(np.exp), np.array(0.0)) == 1.0


def test_a_call_that_overflows_on_its_way_is_refused():
    with pytest.raises(CheckFailed, match="overflow encountered in exp"):
        call_quietly(Student(lambda z: 1 / (1 + np.exp(-z))), np.array([-1000.0]))


@pytest.mark.parametrize("call", [call_quietly, call_unchanging])
def test_what_the_call_raised_is_raised_as_it_is(call):
    with pytest.raises(ZeroDivisionError):
        call(Student(lambda x: 1 // 0), np.ones(2))


def refuse_odd(number):
    if number % 2:
        raise CheckFailed(f"{number} is odd")
    return number // 2


def test_the_first_way_that_is_accepted_gives_its_result():
    assert assert_one_of([3, 8, 10], refuse_odd) == 4


def test_where_no_way_is_accepted_the_first_one_is_told():
    with pytest.raises(CheckFailed, match="3 is odd"):
        assert_one_of(iter([3, 5, 7]), refuse_odd)


def test_no_way_at_all_is_the_checks_own_fault():
    with pytest.raises(ValueError, match="no way to check"):
        assert_one_of([], refuse_odd)


def test_another_exception_than_a_refusal_ends_the_search():
    with pytest.raises(TypeError):
        assert_one_of([None, 2], refuse_odd)
