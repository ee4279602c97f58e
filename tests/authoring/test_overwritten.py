"""Tests of a course that use values which later cells of the notebook overwrite."""

import pytest

from grader.authoring.importers.imported import Check
from grader.authoring.importers.overwritten import lost_values, with_its_values
from grader.notebook import assembled
from grader.records import Cell

GAP = "def f(x):\n    ### START YOUR CODE ###\n    return 2 * x\n    ### END YOUR CODE ###"
TEST = "assert f(x) == 6"


def sources(*cells, at, examples=False):
    """What a check runs whose test is the cell `at`, and the names that it sets first."""
    numbered = [Cell(number, "code", cell) for number, cell in enumerate(cells)]
    check = Check("f", "f-1", cells[at], 1, at, examples=examples)
    return with_its_values(check, assembled(numbered, name="lab.ipynb"))


def test_a_value_that_a_later_cell_overwrites_is_set_above_the_test():
    assert sources(GAP, "x = 3", TEST, "x = 4", at=2) == (f"x = 3\n{TEST}", ("x",))


def test_a_value_that_stays_comes_from_the_student():
    assert sources(GAP, "x = 3", TEST, "y = 4", at=2) == (TEST, ())


def test_the_last_value_before_the_test_counts_and_what_it_is_made_of():
    cells = ("x = 1", "a = 2", "x = a + 1", GAP, TEST, "a, x = 9, 9")
    assert sources(*cells, at=4) == (f"a = 2\nx = a + 1\n{TEST}", ("x",))


def test_what_is_added_to_a_value_is_added_again():
    assert sources(GAP, "x = 1", "x += 2", TEST, "x = 0", at=3)[0] == f"x = 1\nx += 2\n{TEST}"


def test_a_value_that_the_test_sets_itself_is_left_alone():
    test = "x = 3\nassert f(x) == 6"
    assert sources(GAP, "x = 1", test, "x = 4", at=2) == (test, ())


@pytest.mark.parametrize(
    "given",
    [
        "### START YOUR CODE ###\nx = 3\n### END YOUR CODE ###",
        "for x in range(4):\n    print(x)",
        "x = 1\nwith open('a') as file:\n    x = 3",
    ],
)
def test_a_value_of_a_gap_or_a_loop_is_never_copied(given):
    assert sources(GAP, given, TEST, "x = 4", at=2) == (TEST, ())


def test_examples_of_a_docstring_need_no_values():
    assert sources(GAP, "x = 3", TEST, "x = 4", at=2, examples=True) == (TEST, ())


def test_a_test_that_needs_half_the_notebook_stays_as_it_is():
    many = [f"x{n + 1} = x{n} + 1" for n in range(40)]
    overwritten = "\n".join(f"x{n} = 0" for n in range(41))
    cells = (GAP, "x0 = 1", *many, "assert f(x40)", overwritten)
    assert sources(*cells, at=len(cells) - 2)[1] == ()


def lost(*cells, at):
    numbered = [Cell(number, "code", cell) for number, cell in enumerate(cells)]
    check = Check("x", "x-1", cells[at], 1, at)
    return lost_values([check], assembled(numbered, name="lab.ipynb"))


OWN = "### START YOUR CODE ###\nx = 3\n### END YOUR CODE ###"


def test_a_value_of_a_gap_that_a_later_cell_sets_again_is_said():
    assert lost(OWN, "assert x == 3", OWN.replace("3", "4"), at=1) == [
        "`x` of a gap is set again by later cells, and x-1 would find the last value: give one of "
        "the two another name"
    ]


@pytest.mark.parametrize(
    ("given", "later"),
    [(OWN, "y = 4"), ("x = 3", OWN), (OWN, "def g(x):\n    x = 5"), ("import x", "import x")],
)
def test_a_value_that_the_test_still_finds_is_not(given, later):
    assert lost(given, "assert x == 3", later, at=1) == []
