"""Test cells that look at what a student's exception says, as they do in one process."""

import pickle

import pytest

from grader.checks import run_cell
from grader.errors import CheckFailed, as_raised, student_error_class


class Process:
    def __init__(self, **values):
        self._values = values

    def value(self, name):
        return self._values[name]


def raising(base, kind, text):
    def call(*_):
        raise student_error_class(base)("f(-1)", kind, text, "cell 2, line 3: raise")

    return Process(f=call)


TOO_SMALL = raising("ValueError", "TooSmall", "x is too small.")
WHOLE = "f(-1) raised TooSmall: x is too small.\nwhere: cell 2, line 3: raise"


@pytest.mark.parametrize(
    "line",
    [
        "assert str(error) == 'x is too small.'",
        "assert error.args[0] == 'x is too small.'",
        "assert f'{error}'.endswith('small.')",
    ],
)
def test_a_caught_exception_says_what_the_student_wrote(line):
    run_cell(TOO_SMALL, f"try:\n    f(-1)\nexcept ValueError as error:\n    {line}")


def test_pytest_and_unittest_compare_the_students_words():
    run_cell(
        TOO_SMALL,
        "import pytest, unittest\n"
        "with pytest.raises(ValueError, match='^x is too small.$') as raised:\n    f(-1)\n"
        "assert str(raised.value) == 'x is too small.'\n"
        "with unittest.TestCase().assertRaisesRegex(ValueError, '^x is too'):\n    f(-1)",
    )


def test_other_words_fail():
    with pytest.raises(CheckFailed) as caught:
        run_cell(
            TOO_SMALL, "try:\n    f(-1)\nexcept ValueError as e:\n    assert str(e) == 'large'"
        )
    assert caught.value.got == "'x is too small.' == 'large'"


def test_a_missing_key_is_the_key():
    missing = raising("KeyError", "KeyError", "'mass'")
    run_cell(
        missing,
        "try:\n    f(-1)\nexcept KeyError as e:\n    assert e.args == ('mass',), e.args\n"
        "    assert str(e) == \"'mass'\"",
    )


def test_an_exception_that_nothing_catches_says_all_of_it():
    error = student_error_class("ValueError")
    with pytest.raises(error) as caught:
        run_cell(TOO_SMALL, "f(-1)")
    assert str(caught.value) == WHOLE
    assert str(pickle.loads(pickle.dumps(caught.value))) == WHOLE
    with as_raised():
        assert str(caught.value) == "x is too small."
    assert caught.value.args == (WHOLE,)
