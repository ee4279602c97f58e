"""Solutions by what they solve, and results that are right up to a sign, an order, a basis."""

import itertools

import numpy as np
import pytest

from grader.checks import (
    assert_eigenpairs,
    assert_permuted,
    assert_same_labels,
    assert_same_subspace,
    assert_solves,
    assert_up_to_sign,
    condition_room,
    measure_backward_error,
)
from grader.checks.linear import _best_assignment
from grader.errors import CheckFailed


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def hilbert(n):
    i = np.arange(n)
    return 1.0 / (1 + i[:, None] + i)


# --- systems ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 10])
def test_a_stable_solution_passes_however_bad_the_condition(n):
    A, b = hilbert(n), np.ones(n)
    assert_solves(A, np.linalg.solve(A, b), b)
    assert_solves(A, np.linalg.solve(A, np.eye(n)), np.eye(n))


def test_the_room_grows_with_the_condition():
    assert condition_room(np.eye(3)) < 1e-13
    assert condition_room(hilbert(8)) > 1e-6
    assert condition_room(hilbert(20)) == 1.0
    A = np.vstack([np.eye(2), np.diag([1e3, 1.0])])
    assert condition_room(A) > 1e3 * condition_room(np.eye(4))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda A, b, x: -x, "the opposite sign"),
        (lambda A, b, x: np.linalg.solve(A.T, b), "solves the system of A.T"),
        (lambda A, b, x: x + 1e-6, "does not solve the system"),
        (lambda A, b, x: x + 1, "does not solve the system"),
        (lambda A, b, x: x[:-1], "shape"),
        (lambda A, b, x: np.full_like(x, np.nan), "nan"),
    ],
)
def test_what_does_not_solve_it_is_refused_by_name(rng, change, problem):
    A, b = rng.normal(size=(5, 5)), rng.normal(size=5)
    with pytest.raises(CheckFailed, match=problem):
        assert_solves(A, change(A, b, np.linalg.solve(A, b)), b)


def test_float32_and_complex_systems_are_solved_to_their_precision(rng):
    A, b = rng.normal(size=(5, 5)), rng.normal(size=5)
    assert_solves(A, np.linalg.solve(A, b).astype(np.float32), b)
    C = A + 1j * rng.normal(size=(5, 5))
    assert_solves(C, np.linalg.solve(C, b), b)


def test_least_squares_is_judged_by_its_residual(rng):
    A, b = rng.normal(size=(9, 3)), rng.normal(size=9)
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    assert_solves(A, x, b)
    with pytest.raises(CheckFailed, match="not orthogonal"):
        assert_solves(A, x + 1e-3, b)


def test_the_backward_error_is_that_of_the_worst_right_hand_side():
    A = np.eye(2)
    assert measure_backward_error(A, [1.0, 1.0], [1.0, 1.0]) == 0
    assert measure_backward_error(A, np.zeros(2), np.zeros(2)) == 0
    assert measure_backward_error(A, [[1.0, 1.0], [1.0, 0.0]], np.ones((2, 2))) > 0.2


# --- up to ... ----------------------------------------------------------------------------------


def test_a_sign_of_all_or_of_each_column_does_not_matter(rng):
    V = rng.normal(size=(4, 3))
    assert_up_to_sign(-V, V)
    assert_up_to_sign(V * [1, -1, 1], V, axis=0)
    with pytest.raises(CheckFailed):
        assert_up_to_sign(V * [1, -1, 1], V)
    with pytest.raises(CheckFailed):
        assert_up_to_sign(-2 * V, V)
    with pytest.raises(CheckFailed):
        assert_up_to_sign(V.T, V)
    phase = np.exp(0.3j)
    assert_up_to_sign(phase * (V + 1j), V + 1j)


def test_rows_in_another_order_are_the_same_rows(rng):
    centres = rng.normal(size=(5, 2))
    order = rng.permutation(5)
    found = assert_permuted(centres[order], centres)
    assert np.array_equal(centres[order][found], centres)
    assert_permuted([2.0, 1.0], [1.0, 2.0])
    with pytest.raises(CheckFailed, match="1 of 5 rows"):
        assert_permuted(np.vstack([centres[:4], centres[:1]]), centres)
    with pytest.raises(CheckFailed, match="1 of 2 values"):
        assert_permuted([1.0, 1.0], [1.0, 2.0])


def test_near_ties_are_matched_as_a_whole():
    # 1.0 fits both; only one matching leaves none over.
    assert_permuted([1.0, 1.05], [1.05, 1.0 - 0.04], rtol=0, atol=0.06)


def test_labels_part_the_samples_whatever_they_are_called(rng):
    due = rng.integers(0, 4, size=200)
    assert_same_labels((due + 2) % 4, due)
    wrong = (due + 2) % 4
    wrong[:20] = (wrong[:20] + 1) % 4
    assert_same_labels(wrong, due, at_least=0.9)
    with pytest.raises(CheckFailed, match="group the samples in the wrong way") as caught:
        assert_same_labels(wrong, due)
    assert caught.value.got == "90 %"
    with pytest.raises(CheckFailed, match="There are 1 groups, expected 4"):
        assert_same_labels(np.zeros(200, int), due)


def test_the_assignment_is_the_best_of_all(rng):
    for shape in [(4, 4), (3, 5), (5, 2), (1, 1)]:
        counts = rng.integers(0, 9, size=shape)
        small, large = sorted(shape)
        table = counts if shape[0] <= shape[1] else counts.T
        best = max(
            sum(table[i, p[i]] for i in range(small))
            for p in itertools.permutations(range(large), small)
        )
        assert _best_assignment(counts) == best


def test_any_basis_of_the_space_is_right(rng):
    B = rng.normal(size=(6, 2))
    assert_same_subspace(B @ rng.normal(size=(2, 2)), B)
    with pytest.raises(CheckFailed, match="spans another space"):
        assert_same_subspace(rng.normal(size=(6, 2)), B)
    with pytest.raises(CheckFailed, match="not linearly independent"):
        assert_same_subspace(B[:, [0, 0]], B)
    with pytest.raises(CheckFailed, match="in the rows"):
        assert_same_subspace(B.T, B)


def test_eigenpairs_are_judged_by_what_they_do(rng):
    S = rng.normal(size=(4, 4))
    S = S + S.T
    values, vectors = np.linalg.eigh(S)
    order = rng.permutation(4)
    assert_eigenpairs(S, values[order], -3 * vectors[:, order])
    assert_eigenpairs(S, values[:2], vectors[:, :2])
    with pytest.raises(CheckFailed, match=r"[34] of 4 pairs"):
        assert_eigenpairs(S, np.roll(values, 1), vectors)
    with pytest.raises(CheckFailed, match="in the rows"):
        assert_eigenpairs(S, values, vectors.T)
    with pytest.raises(CheckFailed, match="is zero"):
        assert_eigenpairs(S, values, np.zeros((4, 4)))
