"""Evaluation of classifiers, held to counts by hand."""

import numpy as np
import pytest

from grader.checks import assert_close, call_unchanging


@pytest.mark.exercise("counts", points=2)
def test_confusion(student, rng):
    for k in (2, 4):
        y, p = rng.integers(0, k, size=(2, 40))
        want = [[np.sum((y == t) & (p == q)) for q in range(k)] for t in range(k)]
        assert_close(student.confusion(y, p, k), want, called=f"confusion(y_true, y_pred, {k})")


@pytest.mark.exercise("counts", points=2)
def test_precision_recall(student, rng):
    C = rng.integers(1, 30, size=(4, 4))
    for c in range(4):
        got = student.precision_recall(C, c)
        want = (C[c, c] / sum(C[t, c] for t in range(4)), C[c, c] / sum(C[c]))
        for name, mine, theirs in zip(("the precision", "the recall"), got, want, strict=True):
            assert_close(mine, theirs, called=f"precision_recall(C, {c})", noun=name)


@pytest.mark.exercise("counts", points=2)
def test_accuracy_of_top(student, rng):
    for k in (1, 2, 4):
        P, y = rng.uniform(size=(37, 6)), rng.integers(0, 6, size=37)
        want = np.mean([np.sum(row > row[c]) < k for row, c in zip(P, y, strict=True)])
        got = student.accuracy_of_top(P, y, k)
        assert_close(got, want, called=f"accuracy_of_top(P, y, {k})")


@pytest.mark.exercise("scores", points=2)
def test_roc_points(student, rng):
    scores, y = rng.normal(size=41), rng.integers(0, 2, size=41)
    thresholds = np.sort(rng.normal(size=7))
    got = student.roc_points(scores, y, thresholds)
    for name, mine, label in zip(("fpr", "tpr"), got, (0, 1), strict=True):
        want = [np.mean(scores[y == label] >= t) for t in thresholds]
        assert_close(mine, want, called="roc_points(scores, y, thresholds)", noun=name)


@pytest.mark.exercise("scores", points=2)
def test_area(student, rng):
    for n in (2, 5, 9, 6):
        x, y = np.sort(rng.uniform(size=n)), rng.uniform(size=n)
        want = sum((x[i + 1] - x[i]) * (y[i] + y[i + 1]) / 2 for i in range(n - 1))
        assert_close(student.area(x, y), want, called="area(x, y)", factors={"n": n})


@pytest.mark.exercise("scores", points=2)
def test_brier(student, rng):
    for n, k in ((7, 3), (5, 4), (12, 2), (6, 6)):
        P, y = rng.dirichlet(np.ones(k), size=n), rng.integers(0, k, size=n)
        want = sum(sum((P[i, c] - (c == y[i])) ** 2 for c in range(k)) for i in range(n)) / n
        got = call_unchanging(student.brier, P, y, called="brier(P, y)")
        assert_close(got, want, called="brier(P, y)", factors={"n": n, "k": k})


@pytest.mark.exercise("neighbours", points=2)
def test_distances(student, rng):
    for n, m, d in ((4, 3, 2), (3, 5, 6)):
        A, B = rng.normal(size=(n, d)), rng.normal(size=(m, d))
        want = [[np.linalg.norm(a - b) for b in B] for a in A]
        assert_close(student.distances(A, B), want, called="distances(A, B)")


@pytest.mark.exercise("neighbours", points=2)
def test_predict_knn(student, reference, rng):
    for k in (1, 3, 5):
        D, y = rng.uniform(size=(30, 25)), rng.integers(0, 4, size=25)
        got = student.predict_knn(D, y, k)
        assert_close(got, reference.predict_knn(D, y, k), called=f"predict_knn(D, y, {k})")


@pytest.mark.exercise("neighbours", points=2)
def test_assign(student, rng):
    X, centres = rng.normal(size=(30, 2)), rng.normal(size=(4, 2))
    want = [min(range(4), key=lambda j, x=x: np.sum((x - centres[j]) ** 2)) for x in X]
    assert_close(student.assign(X, centres), want, called="assign(X, centres)")


@pytest.mark.exercise("neighbours", points=2)
def test_new_centres(student, rng):
    X = rng.normal(size=(20, 3)) + 1
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, size=16)])
    want = [X[labels == j].mean(axis=0) for j in range(4)]
    got = call_unchanging(student.new_centres, X, labels, 4, called="new_centres(X, labels, 4)")
    assert_close(got, want, called="new_centres(X, labels, 4)")
