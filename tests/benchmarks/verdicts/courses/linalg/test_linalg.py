"""Linear algebra by hand, held to numpy's own and to identities."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


def spd(rng, n):
    half = rng.normal(size=(n, n))
    return half @ half.T + np.eye(n)


@pytest.mark.exercise("norms", points=2)
def test_normalise_rows(student, rng):
    for shape in [(4, 3), (3, 3), (2, 6)]:
        A = rng.normal(size=shape)
        got = call_unchanging(student.normalise_rows, A, called="normalise_rows(A)", names=("A",))
        expected = A / np.linalg.norm(A, axis=1, keepdims=True)
        assert_close(got, expected, called="normalise_rows(A)", inputs={"A": A})


@pytest.mark.exercise("norms", points=2)
def test_frobenius(student, rng):
    for shape in [(4, 3), (3, 3), (2, 6), (5, 5), (1, 4)]:
        A = rng.normal(size=shape)
        assert_close(student.frobenius(A), np.linalg.norm(A), called="frobenius(A)")


@pytest.mark.exercise("norms", points=2)
def test_project(student, rng):
    for n in (5, 3):
        b, a = rng.normal(size=(2, n))
        expected = a * (a @ b) / (a @ a)
        assert_close(
            student.project(b, a), expected, called="project(b, a)", inputs={"a": a, "b": b}
        )


@pytest.mark.exercise("norms", points=2)
def test_householder(student, rng):
    for n in (4, 6):
        v = rng.normal(size=n)
        expected = np.eye(n) - 2 * np.outer(v, v) / (v @ v)
        assert_close(student.householder(v), expected, called="householder(v)")


@pytest.mark.exercise("systems", points=2)
def test_back_substitution(student, rng):
    for n in (5, 3):
        U, b = np.triu(rng.normal(size=(n, n))) + 2 * np.eye(n), rng.normal(size=n)
        got = student.back_substitution(U, b)
        assert_close(got, np.linalg.solve(U, b), called="back_substitution(U, b)")


@pytest.mark.exercise("systems", points=2)
def test_lu(student, reference, rng):
    A = rng.normal(size=(4, 4)) + 4 * np.eye(4)
    for name, mine, theirs in zip("LU", student.lu(A), reference.lu(A), strict=True):
        assert_close(mine, theirs, called="lu(A)", noun=name)


@pytest.mark.exercise("systems", points=2)
def test_cholesky(student, rng):
    A = spd(rng, 4)
    assert_close(student.cholesky(A), np.linalg.cholesky(A), called="cholesky(A)")


@pytest.mark.exercise("systems", points=2)
def test_jacobi_step(student, rng):
    A = rng.normal(size=(5, 5)) + 4 * np.eye(5)
    b, x = rng.normal(size=(2, 5))
    expected = x + (b - A @ x) / np.diag(A)
    assert_close(student.jacobi_step(A, b, x), expected, called="jacobi_step(A, b, x)")


@pytest.mark.exercise("eigen", points=2)
def test_gram_schmidt(student, reference, rng):
    for shape in [(5, 3), (4, 4)]:
        A = rng.normal(size=shape)
        assert_close(student.gram_schmidt(A), reference.gram_schmidt(A), called="gram_schmidt(A)")


@pytest.mark.exercise("eigen", points=2)
def test_rayleigh(student, rng):
    for n in (2, 3, 4, 5, 6):
        A, v = spd(rng, n), rng.normal(size=n)
        assert_close(student.rayleigh(A, v), v @ A @ v / (v @ v), called="rayleigh(A, v)")


@pytest.mark.exercise("eigen", points=2)
def test_power_iteration(student, rng):
    A, v = rng.normal(size=(4, 4)), rng.normal(size=4)
    for steps in (1, 3):
        u = np.linalg.matrix_power(A, steps) @ v
        got = student.power_iteration(A, v, steps)
        assert_close(got, u / np.linalg.norm(u), called=f"power_iteration(A, v, {steps})")


@pytest.mark.exercise("data", points=2)
def test_covariance(student, rng):
    X = rng.normal(size=(9, 4)) @ rng.normal(size=(4, 4)) + 1.5
    factors = {"n": 9, "n - 1": 8}
    assert_close(student.covariance(X), np.cov(X.T), called="covariance(X)", factors=factors)


@pytest.mark.exercise("data", points=2)
def test_principal_parts(student, reference, rng):
    X = rng.normal(size=(9, 4)) @ rng.normal(size=(4, 4)) + 1.5
    for k in (1, 2):
        expected = reference.principal_parts(X, k)
        assert_close(student.principal_parts(X, k), expected, called="principal_parts(X, k)")
