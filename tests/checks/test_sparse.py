"""Sparse matrices compared with ones made by hand: places, values, format, and dense arrays."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse

from grader.checks import assert_sparse
from grader.errors import CheckFailed

DUE = np.array([[-2.0, 1.0, 0.0], [1.0, -2.0, 1.0], [0.0, 1.0, -2.0]])


@dataclass
class Sparse:
    """What comes where scipy can't be imported."""

    format: str
    shape: tuple
    row: np.ndarray
    col: np.ndarray
    data: np.ndarray


def own(dense, format="csr"):
    row, col = np.nonzero(dense)
    return Sparse(format, dense.shape, row, col, dense[row, col])


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
def test_an_equal_matrix_passes_in_every_format(format):
    assert_sparse(sparse.coo_array(DUE).asformat(format), DUE, format=format)
    assert_sparse(sparse.coo_matrix(DUE).asformat(format), sparse.csc_array(DUE))
    assert_sparse(own(DUE, format), DUE, format=format)


def test_entries_of_one_place_add_up():
    twice = sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert_sparse(twice, np.array([[0.0, 3.0], [4.0, 0.0]]))


def test_an_empty_matrix_passes_where_nothing_is_due():
    assert_sparse(sparse.csr_array((2, 3)), np.zeros((2, 3)))


def changed(place, value):
    dense = DUE.copy()
    dense[place] = value
    return sparse.csr_array(dense)


def stored_zero():
    made = sparse.csr_array(DUE)
    made.data[0] = 0.0
    return made


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        (DUE, "returned a dense array of shape .*, expected a sparse matrix"),
        (None, "returned None, expected a sparse matrix"),
        ("csr_matrix", "returned a string"),
        (sparse.csc_array(DUE), "stored as csc, expected csr\nConvert it once, .*tocsr"),
        (sparse.csr_array(DUE[:2]), "the wrong shape"),
        (changed((0, 1), 0.0), r"1 of 7 entries are missing\nwhere: missing at \[0, 1\]"),
        (changed((0, 2), 5.0), r"1 are at places that should be empty\nwhere: one too many at"),
        (sparse.csr_array(np.roll(DUE, 1, axis=0) * np.tri(3)), "are missing"),
        (sparse.csr_array(np.diag([-2.0] * 3)), "fills the diagonals 0, expected -1, 0, 1"),
        (sparse.csr_array(-DUE), "sign"),
        (sparse.csr_array(DUE * 9), "every element of the entries is wrong"),
        (changed((2, 1), 1.5), r"where: worst at \[2, 1\]: expected 1, got 1.5"),
        (changed((2, 1), np.nan), "nan"),
        (stored_zero(), "1 of 7 entries are missing"),
    ],
)  # fmt: skip
def test_what_differs_has_a_name(got, problem):
    with pytest.raises(CheckFailed, match=problem):
        assert_sparse(got, DUE, format="csr")


def test_zeros_that_are_stored_are_told_unless_they_may_be():
    data, row, col = [*DUE[DUE != 0], 0.0], [*np.nonzero(DUE)[0], 0], [*np.nonzero(DUE)[1], 2]
    made = sparse.csr_array((data, (row, col)), shape=(3, 3))
    with pytest.raises(CheckFailed, match=r"it stores 1 zeros\nLeave them out"):
        assert_sparse(made, DUE)
    assert_sparse(made, DUE, zeros=True)


UPPER = np.diag([1.0, 2.0], 1)


@pytest.mark.parametrize(
    ("got", "hint"),
    [
        (UPPER.T, "Rows and columns are swapped"),
        (np.roll(UPPER, 1, axis=0), "one row too far down"),
        (np.roll(UPPER, -1, axis=1), "one column too far left"),
    ],
)
def test_entries_that_all_stand_elsewhere_are_told_how(got, hint):
    with pytest.raises(CheckFailed, match=hint):
        assert_sparse(sparse.csr_array(got), UPPER)


def test_the_values_of_a_hidden_check_are_not_shown():
    with pytest.raises(CheckFailed) as caught:
        assert_sparse(sparse.csr_array(DUE * 9), DUE)
    assert "-18" not in caught.value.hidden_message()


def test_what_is_due_must_be_a_matrix():
    with pytest.raises(ValueError, match="has 1 axes"):
        assert_sparse(sparse.csr_array(DUE), np.ones(3))
