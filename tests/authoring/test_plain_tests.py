"""Cells of a course without metadata that are tests: asserts, and calls that assert."""

import pytest

from grader.authoring.importers import import_notebook
from grader.notebook import assembled
from grader.records import Cell

GAP = "def slope(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"


def checks_of(*cells):
    numbered = [Cell(number, "code", source) for number, source in enumerate(cells)]
    return [check.source for check in import_notebook(assembled(numbered, name="a.ipynb")).checks]


@pytest.mark.parametrize(
    "test",
    [
        "assert slope(1) == 2",
        "np.testing.assert_allclose(slope(1), 2)",
        "assert_array_equal([2], slope([1]))",
        "tc.assertEqual(slope(1), 2)",
        "for x in range(3):\n    assert_equal(slope(x), 2 * x)",
    ],
)
def test_a_cell_that_asserts_something_of_a_gap_is_a_test(test):
    assert checks_of(GAP, test) == [test]


@pytest.mark.parametrize(
    "cell", ["slope(3)", "print(slope(3))", "assertion = slope(3)", "asserted(slope(3))"]
)
def test_a_cell_that_only_calls_a_gap_is_none(cell):
    assert checks_of(GAP, cell) == []


def test_an_assert_of_something_else_is_none():
    assert checks_of(GAP, "np.testing.assert_allclose(x, 2)") == []
