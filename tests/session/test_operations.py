"""What the student's own lines do is counted in their process: products, items, rounds of loops."""

import numpy as np
import pytest

from grader.checks import assert_operations
from grader.errors import CheckFailed, StudentError

SOURCE = """
import numpy as np

def product(X, w):
    return X @ w + 1

def by_name(X, w):
    return np.dot(X, w) + X.dot(w)

def by_rows(X, w):
    out = np.empty(len(X))
    for i in range(len(X)):
        out[i] = X[i] @ w
    return out

def by_while(X, w):
    total, i = 0.0, 0
    while i < len(X):
        total -= X[i, 0] * 2
        i += 1
    return total

def by_comprehension(X, w):
    return [row @ w for row in X]

def in_numpy(X, w):
    return np.apply_along_axis(np.sum, 1, X)

def fails(X, w):
    raise ValueError("no")

def traces_itself(X, w):
    import sys
    sys.settrace(None)
    return X
"""
X, W = np.ones((6, 3)), np.ones(3)


@pytest.fixture
def student(student_of):
    return student_of(SOURCE)


@pytest.mark.parametrize(
    ("name", "products", "items", "rounds"),
    [
        ("product", 1, 0, 0),
        ("by_name", 2, 0, 0),
        ("by_rows", 6, 12, 6),
        ("by_while", 0, 6, 6),
        ("by_comprehension", 6, 0, 6),
        ("in_numpy", 0, 0, 0),
    ],
)
def test_what_a_call_does_is_counted(student, name, products, items, rounds):
    seen = student[name].observe(X, W, operations=True).operations
    # A loop may be entered once more than it jumps back, by the version of Python.
    assert (seen.products, seen.items) == (products, items)
    assert rounds - 1 <= seen.rounds <= rounds


def test_the_other_operators_are_counted_as_arithmetic(student):
    assert student.product.observe(X, W, operations=True).operations.arithmetic == 1
    assert student.by_while.observe(X, W, operations=True).operations.arithmetic == 18


def test_nothing_is_counted_where_nobody_asks(student):
    assert student.product.observe(X, W).operations is None
    assert student.product.observe(X, W, steps=True).operations is None


def test_one_product_for_all_rows_is_accepted_and_one_a_row_is_refused(student):
    counted = assert_operations(student.product, X, W, most={"products": 1, "rounds": 0})
    assert counted.products == 1
    with pytest.raises(CheckFailed, match="it takes 6 products of matrices, 1 are enough"):
        assert_operations(student.by_rows, X, W, most={"products": 1}, called="f(X, w)")
    with pytest.raises(CheckFailed, match="rounds of loops, 0 are enough\nLet numpy do the loop"):
        assert_operations(student.by_while, X, W, most={"rounds": 0})


def test_too_few_are_told(student):
    with pytest.raises(
        CheckFailed, match=r"it takes 0 products of matrices, expected at least 1\nWrite"
    ):
        assert_operations(student.in_numpy, X, W, least={"products": 1})


def test_what_the_call_raises_comes_out(student):
    with pytest.raises(StudentError, match="no"):
        assert_operations(student.fails, X, W, most={"rounds": 0})


def test_code_that_traces_itself_is_told_so(student):
    with pytest.raises(CheckFailed, match="can't be counted"):
        assert_operations(student.traces_itself, X, W, most={"rounds": 0})


def test_another_word_is_the_checks_mistake(student):
    with pytest.raises(ValueError, match="'loops' is not counted: it may be products"):
        assert_operations(student.product, X, W, most={"loops": 0})


def test_a_generator_that_stays_over_there_gives_its_next_value(student_of):
    source = "def two():\n    yield 1\n    yield 2\ndef number():\n    return object()\n"
    student = student_of(source)
    values = student.two()
    assert (next(values), next(values)) == (1, 2)
    with pytest.raises(StopIteration):
        next(values)
    assert list(student.two()) == [1, 2]
    with pytest.raises(StudentError, match="not iterable"):
        next(student.number())
