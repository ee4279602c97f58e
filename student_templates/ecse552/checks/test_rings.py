"""Question 2: what hidden units do. How a classifier was trained is free: it is judged by what it
predicts, and its lines by where its decision boundary bends.
"""

import numpy as np
import pytest

from grader.checks import (
    as_array,
    assert_accuracy,
    assert_dtype,
    assert_finite,
    assert_labelled,
    assert_shape,
    partial_credit,
)
from grader.checks.plots import curves
from grader.errors import CheckFailed, Missing


def true_rings(rng, n):
    """Return n points (n, 2) and their labels (n,), by the sheet's formula."""
    y = rng.permutation(n) % 2
    r, t = rng.normal(size=n) + 5.0 * y, rng.uniform(0, 2 * np.pi, size=n)
    return np.stack([r * np.cos(t), r * np.sin(t)], axis=1), y


# --- the data ---


def drawn_rings(student, n, seed):
    """Return the student's make_rings(n, rng): X (n, 2) and y (n,), labels 0 and 1."""
    called = "make_rings(n, rng)"
    value = student.make_rings(n, student["np.random.default_rng"](seed))
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise CheckFailed("it should return two values, X and y", called=called)
    X = as_array(value[0], called="X of make_rings(n, rng)", shape=(n, 2))
    y = as_array(value[1], called="y of make_rings(n, rng)", shape=(n,), dtype_kind="fiub")
    assert_finite(X, called=called)
    return X, as_labels(y, called=called)


def as_labels(y, *, called):
    if not np.isin(y, (0, 1)).all():
        raise CheckFailed("labels are 0 or 1", called=called)
    return y.astype(int)


@pytest.mark.exercise("q2-rings", points=1.5, shares=True)
def test_make_rings_gives_points_and_half_of_each_label(student):
    """X (n, 2) of floats, y (n,) of zeros and ones, for even and odd n."""
    for n in (400, 31):
        X, y = drawn_rings(student, n, seed=n)
        assert_dtype(X, "float", called="X of make_rings(n, rng)")
        if y.sum() not in (n // 2, n - n // 2):
            problem = f"{y.sum()} of {n} points have label 1; half of them should"
            raise CheckFailed(problem, called="make_rings(n, rng)")


@pytest.mark.exercise("q2-rings", points=3, shares=True)
def test_the_points_lie_in_the_two_rings(student):
    """r ~ N(0, 1) around the origin and around a circle of radius 5; bounds are 6 sigma."""
    X, y = drawn_rings(student, 8000, seed=552)
    for label, centre in ((0, 0.0), (1, 5.0)):
        name = f"the points of label {label}"
        distance = np.hypot(*X[y == label].T)
        spread = np.sqrt(np.mean((distance - centre) ** 2))  # of r: its sign is lost for label 0
        if abs(spread - 1.0) > 0.1 or (label and abs(distance.mean() - centre) > 0.1):
            text = f"a root mean square of {spread:.2f} from the circle of radius {centre:g}"
            hint = "Draw r ~ N(0, 1) anew for every point, and one t for both of its coordinates."
            hint = hint if spread < 4 else "Which points have which label? Are the two swapped?"
            raise CheckFailed(f"{name} have {text}; it should be about 1", hint=hint)
        turns = X[y == label] @ [1, 1j] / distance
        if max(abs(np.mean(turns)), abs(np.mean(turns**2))) > 0.1:
            hint = "t runs over the whole circle, from 0 to 2 pi, and is drawn for every point."
            raise CheckFailed(f"{name} are not spread evenly over all directions", hint=hint)


# --- the classifier ---


def predictions(model, X):
    """Return the model's labels, (n,)."""
    called = "predict(X)"
    y = as_array(model.predict(X), called=called, dtype_kind="fiub", shape=(len(X),))
    return as_labels(y, called=called)


def accuracy(model, X, y):
    return float(np.mean(predictions(model, X) == y))


@pytest.mark.exercise("q2-classifier", points=5)
def test_the_classifier_is_right_on_fresh_rings(student, rng):
    """Trained on 1000 points, at least 97 % of 3000 others; 99 % is the best that can be."""
    model = student.train_classifier(*true_rings(rng, 1000))
    share = accuracy(model, *true_rings(rng, 3000))
    assert_accuracy(share, at_least=0.97, called="train_classifier(X, y), on fresh rings")


# --- the lines of the hidden units ---


def lines_of(model):
    """Return (W1, b1), shapes (h, 2) and (h,), with h from 1 to 30."""
    called = "hidden_lines()"
    pair = model.hidden_lines()
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise CheckFailed("it should return two arrays, W1 and b1", called=called)
    W, b = as_array(pair[0], called=f"{called}[0]"), as_array(pair[1], called=f"{called}[1]")
    assert_shape(W, (None, 2), called=f"{called}[0]")
    assert_shape(b, [(len(W),), (len(W), 1), (1, len(W))], called=f"{called}[1]")
    assert_finite(W, called=called)
    assert_finite(b, called=called)
    return W, b.reshape(-1)


def boundary_points(model, rng, n=600):
    """Return points where the prediction changes, (k, 2): chords between labels, halved."""
    p, q = rng.uniform(-8, 8, size=(2, n, 2))
    first, second = predictions(model, p), predictions(model, q)
    crossing = first != second
    if crossing.sum() < 50:
        raise CheckFailed(
            "it predicts one label nearly everywhere: there is no boundary to look at"
        )
    p, q, first = p[crossing], q[crossing], first[crossing]
    for _ in range(45):
        middle = (p + q) / 2
        same = (predictions(model, middle) == first)[:, None]
        p, q = np.where(same, middle, p), np.where(same, q, middle)
    return (p + q) / 2


def largest_bend(points, W, b):
    """Return how far from a straight line the points within one piece of the plane lie, at most.

    The lines W x + b = 0 cut the plane; within a piece the network is linear.
    """
    pieces, piece = np.unique(points @ W.T + b > 0, axis=0, return_inverse=True)
    bends = [0.0]
    for n in range(len(pieces)):
        inside = points[np.ravel(piece) == n]
        if len(inside) > 2:
            inside = inside - inside.mean(axis=0)
            across = np.linalg.svd(inside)[2][1]
            bends.append(float(np.max(np.abs(inside @ across))))
    return max(bends)


@pytest.mark.exercise("q2-lines", points=2)
def test_there_are_at_most_30_hidden_lines(student, rng):
    """W1 (h, 2) and b1 (h,), finite; a line has a direction."""
    W, _ = lines_of(student.train_classifier(*true_rings(rng, 300)))
    if len(W) > 30:
        raise CheckFailed(f"there are {len(W)} hidden units; at most 30 were allowed")
    if not np.any(W):
        raise Missing("every line has the direction (0, 0)", called="hidden_lines()")


@pytest.mark.exercise("q2-lines", points=3)
def test_the_decision_boundary_bends_at_the_lines_alone(student, rng):
    """Between the lines the network is linear, so its boundary is straight there."""
    model = student.train_classifier(*true_rings(rng, 500))
    bend = largest_bend(boundary_points(model, rng), *lines_of(model))
    if bend > 1e-4:
        hint = (
            "Row i of W1 and b1[i] are the weights and the bias of hidden unit i, as predict "
            "uses them. Polar coordinates or squares as inputs bend it everywhere."
        )
        problem = "the decision boundary bends where none of the lines passes"
        raise CheckFailed(problem, called="hidden_lines()", hint=hint)


# --- the figure ---

HALF_WIDTH = 6.0  # lines that miss this square around the origin need not be drawn


def notebook_lines(student):
    """Return the lines of the notebook's trained model, by the template's name or a usual one."""
    for name in ("model", "net", "classifier", "clf", "trained"):
        if student.has(f"{name}.hidden_lines"):
            return lines_of(student.value(name))
    raise Missing("there is no trained `model` in the notebook")


def crossing_lines(W, b):
    """Return the lines, (k, 3) rows (w1, w2, b) of length 1 in w, that cross the square."""
    length = np.linalg.norm(W, axis=1)
    rows = np.column_stack([W, b])[length > 0] / length[length > 0, None]
    return rows[np.abs(rows[:, 2]) < HALF_WIDTH * np.abs(rows[:, :2]).sum(axis=1)]


def is_drawn(row, drawn):
    """Tell whether one of the curves lies on the line: all its points, two at least."""
    for curve in drawn:
        points = np.column_stack([curve.x, curve.y])
        room = 1e-6 * (1.0 + np.abs(points).max(initial=0.0))
        if np.ptp(points, axis=0, keepdims=True).max(initial=0.0) > 0.1 and np.all(
            np.abs(points @ row[:2] + row[2]) < room
        ):
            return True
    return False


def assert_lines_drawn(student):
    """Return the curves that are hidden lines; part of the points where some lines lack."""
    rows, drawn = crossing_lines(*notebook_lines(student)), [*curves(student.figures)]
    found = [is_drawn(row, drawn) for row in rows]
    if not any(found):
        raise Missing("no figure shows the lines of the hidden units")
    if not all(found):
        problem = f"{sum(found)} of the {len(found)} lines near the points are drawn"
        partial_credit(0.8 * sum(found) / len(found), problem)
    return [curve for curve in drawn if any(is_drawn(row, [curve]) for row in rows)]


@pytest.mark.exercise("q2-figure", points=3)
def test_a_figure_shows_the_line_of_every_hidden_unit(student):
    """W1[i] x + b1[i] = 0 for each unit i whose line comes near the points."""
    assert_lines_drawn(student)


@pytest.mark.exercise("q2-figure", points=1, shares=True)
def test_the_figure_shows_the_validation_points(student):
    """Nearly all of them, as a cloud or as markers, in axes that hold lines as well."""
    X = as_array(student.value("X_val"), called="X_val", shape=(None, 2))
    clouds = [np.column_stack([c.x, c.y]) for c in curves(student.figures) if c.x.size]
    drawn = {tuple(point) for cloud in clouds for point in np.round(cloud, 6)}
    shown = np.mean([tuple(point) in drawn for point in np.round(X, 6)])
    if not shown > 0.9 or not np.ptp(X, axis=0).all():
        raise Missing(f"{100 * shown:.0f} % of the validation points are drawn")


@pytest.mark.exercise("q2-figure", points=1)
def test_the_axes_of_the_figure_are_labelled(student):
    """x1 and x2."""
    rows = crossing_lines(*notebook_lines(student))
    drawn = [curve for curve in curves(student.figures) if any(is_drawn(r, [curve]) for r in rows)]
    if not drawn:
        raise Missing("no figure shows the lines of the hidden units")
    assert_labelled(drawn[0])
