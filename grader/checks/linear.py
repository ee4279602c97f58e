"""Checks of linear algebra: systems, eigenproblems, and results up to a sign, an order, a basis."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite, assert_shape
from grader.checks.closeness import assert_close
from grader.diagnosis.wording import Array, number
from grader.errors import CheckFailed

_EPS = float(np.finfo(np.float64).eps)
# The backward error of a stable solver of n unknowns is at most a few n units of rounding.
_UNITS = 16.0


def condition_room(A: Any, *, units: float = _UNITS) -> float:
    """Return the relative tolerance for a solution of A x = b: cond(A) times rounding, at most 1.

    A : (n, n) or (m, n), full rank; units : rounding errors of a stable method, for each unknown
    For m > n, with cond(A)**2: the error of least squares by the normal equations.
    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sec. 7.
    """
    matrix = np.asarray(A, dtype=complex if np.iscomplexobj(A) else float)
    condition = float(np.linalg.cond(matrix))
    if matrix.shape[0] > matrix.shape[1]:
        condition **= 2
    return float(min(1.0, units * max(matrix.shape) * _EPS * max(condition, 1.0)))


def measure_backward_error(A: Any, x: Any, b: Any) -> float:
    """Return the smallest relative change of A and b for which x solves A x = b exactly.

    It is |b - A x| / (|A| |x| + |b|) in 2-norms, 0 for an exact solution. With several right-hand
    sides (n, k), it is the worst one's. Source: Rigal and Gaches, 1967.
    """
    matrix, right, found = np.asarray(A), np.asarray(b), np.asarray(x)
    residual = np.atleast_1d(np.linalg.norm(right - matrix @ found, axis=0))
    size = np.linalg.norm(matrix, 2) * np.atleast_1d(np.linalg.norm(found, axis=0))
    size = size + np.atleast_1d(np.linalg.norm(right, axis=0))
    with np.errstate(invalid="ignore"):
        share = np.where(size > 0, residual / np.where(size > 0, size, 1.0), 0.0)
    return float(share.max(initial=0.0))


def assert_solves(
    A: Any,
    x: object,
    b: Any,
    *,
    rtol: float | None = None,
    called: str = "",
    noun: str = "x",
) -> None:
    """Accept x if A x = b holds to rounding, however badly conditioned A is; least squares too.

    A : (m, n); for m > n the residual must be orthogonal to the columns of A
    rtol : the largest backward error; None for a few units of rounding for each unknown
    Raises CheckFailed, which names a transposed A and a solution of the opposite sign.
    """
    matrix, right = np.asarray(A), np.asarray(b)
    shape = (matrix.shape[1], *right.shape[1:])
    kinds = "fiubc" if np.iscomplexobj(matrix) or np.iscomplexobj(right) else "fiub"
    found = as_array(x, called=called, dtype_kind=kinds)
    assert_shape(found, shape, called=called)
    assert_finite(found, called=called)
    room = _UNITS * max(matrix.shape) * _EPS if rtol is None else rtol
    if found.dtype == np.float32:
        room = max(room, _UNITS * max(matrix.shape) * float(np.finfo(np.float32).eps))
    overdetermined = matrix.shape[0] > matrix.shape[1]

    def error_of(candidate: Array, of: Array) -> float:
        if not overdetermined:
            return measure_backward_error(of, candidate, right)
        residual = right - of @ candidate
        size = np.linalg.norm(of, 2) * (
            np.linalg.norm(right) + np.linalg.norm(of, 2) * np.linalg.norm(candidate)
        )
        return float(np.linalg.norm(of.conj().T @ residual) / size) if size else 0.0

    error = error_of(found, matrix)
    if error <= room:
        return
    problem, hint = f"{noun} does not solve the system", "Put it into the equations: A @ x - b."
    if overdetermined:
        problem = f"{noun} is not the least squares solution: the residual is not orthogonal to A"
        hint = "The normal equations are A.T @ A @ x = A.T @ b."
    if error_of(-found, matrix) <= room:
        problem, hint = f"{noun} has the opposite sign", "It solves A x = -b."
    elif matrix.shape[0] == matrix.shape[1] and error_of(found, matrix.T) <= room:
        problem, hint = f"{noun} solves the system of A.T", "Are rows and columns interchanged?"
    elif error < 1e-4 and not overdetermined:
        hint = "It is close. Does an iteration stop too early, or is A inverted instead of solved?"
    raise CheckFailed(
        problem,
        hint=hint,
        called=called,
        expected=f"a backward error up to {number(room)}",
        got=f"a backward error of {number(error)}",
    )


def assert_up_to_sign(
    got: object,
    expected: Any,
    *,
    axis: int | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    noun: str = "the result",
) -> None:
    """Accept got if it is expected or its opposite, as for eigenvectors and principal components.

    axis : None for one sign of the whole array; 0 for a sign of each column, 1 for one of each row
    Raises CheckFailed, as assert_close for the nearer of the two.
    """
    right = np.asarray(expected)
    array = as_array(got, called=called, dtype_kind="fiubc" if right.dtype.kind == "c" else None)
    if array.shape == right.shape and array.size:
        products = np.sum(np.conj(right) * array, axis=axis, keepdims=True)
        # Complex values may have any phase.
        sizes = np.abs(products)
        signs = np.where(sizes > 0, products / np.where(sizes > 0, sizes, 1), 1)
        right = right * signs
        if array.dtype.kind != "c" and not np.iscomplexobj(expected):
            right = right.real
    assert_close(array, right, rtol=rtol, atol=atol, called=called, noun=noun)


def assert_permuted(
    got: object,
    expected: Any,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    noun: str = "the result",
) -> Array:
    """Accept got if its rows are those of expected in any order; return that order.

    It is for roots, eigenvalues, centres of k-means. got, expected : (k,) or (k, d)
    The order is (k,) integers, with got[order] close to expected.
    Raises CheckFailed, which says how many rows are not among the expected ones.
    """
    expected = np.asarray(expected)
    array = as_array(got, called=called, dtype_kind="fiubc" if expected.dtype.kind == "c" else None)
    assert_shape(array, expected.shape, called=called)
    assert_finite(array, called=called)
    rows, wanted = array.reshape(len(expected), -1), expected.reshape(len(expected), -1)
    room = atol + rtol * np.abs(wanted)
    near = (np.abs(rows[None, :, :] - wanted[:, None, :]) <= room[:, None, :]).all(axis=2)
    order = _matching(near)
    if (order >= 0).all():
        return order
    lost = int((order < 0).sum())
    raise CheckFailed(
        f"{lost} of {len(expected)} rows of {noun} are not among the expected ones, in any order"
        if expected.ndim > 1
        else f"{lost} of {len(expected)} values of {noun} are not among the expected ones",
        hint="The order does not matter here. Is one found twice, and another one not at all?",
        called=called,
    )


def _matching(near: Array) -> Array:
    """Return for each row of `near` a column where it is True, each column once; -1 for none."""
    partner = np.full(near.shape[1], -1)

    def find(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(near[row]).tolist():
            if column not in tried:
                tried.add(column)
                if partner[column] < 0 or find(int(partner[column]), tried):
                    partner[column] = row
                    return True
        return False

    order = np.full(near.shape[0], -1)
    for row in range(near.shape[0]):
        find(row, set())
    for column, row in enumerate(partner.tolist()):
        if row >= 0:
            order[row] = column
    return order


def assert_same_labels(
    got: object, expected: Any, *, at_least: float = 1.0, called: str = "", noun: str = "the labels"
) -> None:
    """Accept labels that group the samples as expected does; the names of the groups don't matter.

    got, expected : (n,) integers; at_least : the share of samples that must agree, [0, 1]
    Raises CheckFailed, with the share that agrees under the best naming.
    """
    expected = np.asarray(expected)
    labels = as_array(got, called=called, dtype_kind="iub")
    assert_shape(labels, expected.shape, called=called)
    names, groups = np.unique(labels, return_inverse=True)
    kinds, classes = np.unique(expected, return_inverse=True)
    counts = np.zeros((len(names), len(kinds)), dtype=int)
    np.add.at(counts, (groups, classes), 1)
    share = _best_assignment(counts) / max(len(expected), 1)
    if share >= at_least - 1e-12:
        return
    raise CheckFailed(
        f"{noun} group the samples in the wrong way",
        hint=f"There are {len(names)} groups, expected {len(kinds)}."
        if len(names) != len(kinds)
        else "The names of the groups do not matter here.",
        called=called,
        expected=f"{number(100 * at_least)} % that agree",
        got=f"{number(round(100 * share, 1))} %",
    )


def _best_assignment(counts: Array) -> int:
    """Return the largest sum of entries with at most one in each row and column.

    This is the Hungarian method. Source: Kuhn, 1955, in the form with potentials, O(n^3).
    """
    size = max(counts.shape)
    cost = np.zeros((size + 1, size + 1))
    cost[1 : counts.shape[0] + 1, 1 : counts.shape[1] + 1] = -counts
    u, v = np.zeros(size + 1), np.zeros(size + 1)
    match = np.zeros(size + 1, dtype=int)
    for row in range(1, size + 1):
        match[0], column = row, 0
        least = np.full(size + 1, np.inf)
        used = np.zeros(size + 1, dtype=bool)
        way = np.zeros(size + 1, dtype=int)
        while match[column]:
            used[column] = True
            at = match[column]
            free = np.flatnonzero(~used)
            now = cost[at, free] - u[at] - v[free]
            better = now < least[free]
            least[free[better]] = now[better]
            way[free[better]] = column
            following = int(free[np.argmin(least[free])])
            delta = least[following]
            u[match[used]] += delta
            v[used] -= delta
            least[~used] -= delta
            column = following
        while column:
            match[column] = match[way[column]]
            column = int(way[column])
    return round(-float(sum(cost[match[c], c] for c in range(1, size + 1))))


def assert_same_subspace(
    got: object,
    expected: Any,
    *,
    atol: float = 1e-7,
    called: str = "",
    noun: str = "the basis",
) -> None:
    """Accept a matrix whose columns span the space of expected's columns.

    got, expected : (n, k), full rank; any basis of the space is right, orthonormal or not
    atol : of the sine of the largest angle between the two spaces
    Raises CheckFailed for vectors in the rows, for dependent columns, or with the angle.
    """
    expected = np.asarray(expected, dtype=float)
    array = as_array(got, called=called)
    if array.ndim == 2 and array.shape == expected.shape[::-1] and array.shape != expected.shape:
        angle = _sine(array.T, expected)
        if angle is not None and angle <= atol:
            raise CheckFailed(
                f"{noun} is in the rows, expected in the columns",
                hint="Transpose it.",
                called=called,
            )
    assert_shape(array, expected.shape, called=called)
    assert_finite(array, called=called)
    angle = _sine(array, expected)
    if angle is None:
        raise CheckFailed(
            f"the columns of {noun} are not linearly independent",
            hint="Is one component taken twice?",
            called=called,
        )
    if angle > atol:
        raise CheckFailed(
            f"{noun} spans another space",
            hint="Are the data centred first? Are the largest values taken, not the first ones?",
            called=called,
            got=f"an angle of {number(float(np.degrees(np.arcsin(min(angle, 1.0)))))} degrees",
        )


def _sine(a: Array, b: Array) -> float | None:
    """Return the sine of the largest angle of two column spaces; None if a lacks full rank."""
    if np.linalg.matrix_rank(a) < a.shape[1]:
        return None
    q, _ = np.linalg.qr(a)
    p, _ = np.linalg.qr(b)
    return float(np.linalg.norm(p - q @ (q.T @ p), 2))


def assert_eigenpairs(
    A: Any,
    values: object,
    vectors: object,
    *,
    atol: float = 1e-8,
    called: str = "",
) -> None:
    """Accept (k,) values and (n, k) vectors with A v = lambda v for each column, in any order.

    atol : the largest |A v - lambda v|, relative to |A| |v|
    Raises CheckFailed, which names zero columns, and vectors that are in the rows.
    """
    matrix = np.asarray(A)
    kinds = "fiubc"
    lambdas = as_array(values, called=called, dtype_kind=kinds)
    columns = as_array(vectors, called=called, dtype_kind=kinds)
    assert_shape(columns, (matrix.shape[0], lambdas.size), called=called)
    assert_finite(columns, called=called)
    assert_finite(lambdas, called=called)

    def errors(candidates: Array) -> Array:
        sizes = np.linalg.norm(candidates, axis=0) * np.linalg.norm(matrix, 2)
        residual = np.linalg.norm(matrix @ candidates - candidates * lambdas.ravel(), axis=0)
        worst: Array = residual / np.where(sizes > 0, sizes, 1.0)
        return worst

    if not (np.linalg.norm(columns, axis=0) > 0).all():
        raise CheckFailed("an eigenvector is zero", called=called)
    wrong = errors(columns) > atol
    if not wrong.any():
        return
    square = columns.shape[0] == columns.shape[1]
    if square and (errors(columns.T) <= atol).all():
        raise CheckFailed(
            "the eigenvectors are in the rows, expected in the columns",
            hint="Transpose the matrix of vectors.",
            called=called,
        )
    raise CheckFailed(
        f"{int(wrong.sum())} of {lambdas.size} pairs are not an eigenvalue and its eigenvector",
        hint="Are the columns of vectors sorted in the same order as the values?",
        called=called,
        where=f"pair {int(np.argmax(wrong))}",
    )
