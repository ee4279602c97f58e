"""Figures are read from their data."""

import re

import numpy as np
import pytest

from grader.checks import (
    assert_curve,
    assert_figure_count,
    assert_histogram,
    assert_image,
    assert_labelled,
    assert_regions,
    assert_series,
    find_curve,
    find_histogram,
    find_image,
    find_regions,
    find_series,
)
from grader.errors import CheckFailed, Missing

X = np.linspace(-5, 5, 101)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def line(x, y, label=""):
    return {"x": x, "y": y, "label": label}


def figure(*lines, **parts):
    axes = {"title": "", "xlabel": "", "ylabel": "", "legend": [], "lines": list(lines)}
    return [{"cell": 1, "axes": [{**axes, **parts}]}]


def refusal(check, *args, **how):
    with pytest.raises(CheckFailed) as refused:
        check(*args, **how)
    return refused.value


# --- curves -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "figures",
    [
        figure(line(X, sigma(X))),
        figure(line(X**2, X), line(X, sigma(X))),
        figure(line(X[::-1], sigma(X[::-1]))),
        figure(line(list(X), list(sigma(X)))),
        figure(line(X[:40], sigma(X[:40])), line(X[40:], sigma(X[40:]))),
        figure(line(X, np.where(np.abs(X) < 1, np.nan, sigma(X)))),
        figure(line(np.ma.masked_less(X, 0), sigma(X))),
        figure(points=[np.column_stack([X, sigma(X)])]),
        [{"axes": []}, *figure(line(X, sigma(X)))],
    ],
    ids=["plain", "second", "unsorted", "lists", "split", "nan", "masked", "points", "later"],
)
def test_a_right_curve_is_found(figures):
    curve = assert_curve(figures, sigma, name="the sigmoid")
    np.testing.assert_allclose(curve.y, sigma(curve.x))


def test_no_figure_at_all_is_missing():
    with pytest.raises(Missing, match="no curve of the sigmoid was drawn"):
        assert_curve([], sigma, name="the sigmoid")
    with pytest.raises(Missing):
        assert_curve([{"axes": [{"lines": []}]}], sigma, name="the sigmoid")


def test_the_nearest_curve_is_diagnosed():
    failure = refusal(
        assert_curve, figure(line(X, 2 * sigma(X), "s"), line(X, X**2)), sigma, name="the sigmoid"
    )
    assert "it is twice as large as it should be" in failure.problem
    assert failure.where == "nearest: figure 1, axes 1, 's'"


def test_a_curve_of_few_points_or_small_range_is_refused():
    coarse = X[::25]
    failure = refusal(assert_curve, figure(line(coarse, sigma(coarse))), sigma, name="it")
    assert "few points" in failure.problem
    narrow = X / 100
    failure = refusal(assert_curve, figure(line(narrow, sigma(narrow))), sigma, name="it")
    assert "range" in failure.problem


def test_a_curve_must_reach_what_the_check_asks_for():
    half = X[X > 0]
    assert find_curve(figure(line(half, sigma(half))), sigma, covers=(-2, 2)) is None
    assert find_curve(figure(line(X, sigma(X))), sigma, covers=(-2, 2)) is not None


@pytest.mark.parametrize(
    "figures",
    [
        [None, 3, {"axes": None}, {"axes": [None, {"lines": [None, {"x": "a"}, {"x": 1}]}]}],
        figure(line(X, X[:-1])),
        figure(line(np.array(["a"]), np.array(["b"]))),
        figure(line([], [])),
        figure(points=[np.zeros((3, 5))], images=[None], bars="x", legend=3),
    ],
)
def test_records_of_another_form_are_passed_over(figures):
    assert find_curve(figures, sigma) is None
    assert find_image(figures) is None
    assert find_histogram(figures) is None
    assert find_series(figures, X) is None


# --- labels and counts ------------------------------------------------------------------


def test_labelled_axes_are_accepted():
    figures = figure(line(X, sigma(X)), xlabel="z", ylabel="sigma(z)")
    assert_labelled(find_curve(figures, sigma))
    assert_labelled(figures)


def test_a_legend_of_several_curves_stands_for_the_label_on_y():
    two = [line(X, sigma(X)), line(X, X)]
    assert_labelled(figure(*two, xlabel="z", legend=["sigma", "z"]))
    refusal(assert_labelled, figure(*two, legend=["sigma", "z"]))


def test_missing_labels_are_named():
    assert "xlabel and ylabel are missing" in refusal(assert_labelled, figure(line(X, X))).problem
    failure = refusal(assert_labelled, figure(line(X, X), xlabel="z", ylabel="  "))
    assert failure.problem == "the axes of the figure are not labelled: ylabel is missing"


def test_a_curve_that_was_not_found_has_no_labels():
    with pytest.raises(Missing):
        assert_labelled(None)


def test_figures_are_counted_where_they_show_something():
    assert_figure_count(figure(line(X, X)) * 2, at_least=2)
    failure = refusal(assert_figure_count, figure(line(X, X)), at_least=2)
    assert failure.problem == "1 figure was drawn, expected 2"
    with pytest.raises(Missing):
        assert_figure_count(figure(), at_least=1)


# --- series -----------------------------------------------------------------------------

COSTS = 1 / (1 + np.arange(50.0)) + 0.01 * np.sin(np.arange(50.0))


@pytest.mark.parametrize(
    "shown",
    [COSTS, COSTS[1:], COSTS[:-3], COSTS[::5], COSTS[10:40], 100 * COSTS, [*COSTS, 0.0]],
    ids=["whole", "from 1", "to -3", "every 5th", "middle", "percent", "longer"],
)
def test_a_series_is_found_cut_thinned_or_in_percent(shown):
    figures = figure(line(np.arange(len(shown)), shown))
    assert find_series(figures, COSTS) is not None


@pytest.mark.parametrize("shown", [COSTS[::-1], COSTS + 0.01, COSTS[:5], np.cumsum(COSTS)])
def test_another_series_is_not_found(shown):
    figures = figure(line(np.arange(len(shown)), shown))
    assert find_series(figures, COSTS) is None
    assert "shows the cost" in refusal(assert_series, figures, COSTS, name="the cost").problem


def test_no_curve_for_a_series_is_missing():
    with pytest.raises(Missing):
        assert_series([], COSTS, name="the cost")


# --- images and histograms --------------------------------------------------------------

W = np.sin(np.arange(784.0) ** 2)


@pytest.mark.parametrize(
    "image",
    [
        W.reshape(28, 28),
        W.reshape(28, 28).T,
        3 * W.reshape(28, 28) - 7,
        np.round(255 * (W.reshape(28, 28) + 1) / 2).astype(np.uint8),
        np.repeat(W.reshape(28, 28, 1), 3, axis=2),
    ],
    ids=["plain", "transposed", "scaled", "uint8", "grey as rgb"],
)
def test_an_image_is_found_whatever_its_scale(image):
    assert find_image(figure(images=[image]), W, shape=(28, 28)) is not None


def test_another_image_is_refused_with_the_reason():
    other = figure(images=[np.cos(W).reshape(28, 28)])
    assert "shows the weights" in refusal(assert_image, other, W, name="the weights").problem
    flat = figure(images=[W.reshape(1, 784)])
    assert "(28, 28)" in refusal(assert_image, flat, W, name="the weights", shape=(28, 28)).problem
    with pytest.raises(Missing):
        assert_image(figure(line(X, X)), W, name="the weights")


def bars_of(values, edges, density=False):
    heights, edges = np.histogram(values, edges, density=density)
    return np.column_stack([edges[:-1], np.diff(edges), heights])


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("edges", [10, 50, [-1, -0.5, 0, 0.8, 1.0]], ids=["10", "50", "uneven"])
def test_a_histogram_is_found_whatever_its_edges(edges, density):
    figures = figure(bars=bars_of(W, edges, density))
    assert find_histogram(figures, W) is not None


def test_two_histograms_in_one_axes_are_told_apart():
    both = np.vstack([bars_of(np.cos(W), 12), bars_of(W, 12)])
    assert find_histogram(figure(bars=both), W) is not None


def test_another_histogram_is_refused():
    failure = refusal(
        assert_histogram, figure(bars=bars_of(W[:100], 20)), 3 * W, name="the weights"
    )
    assert failure.problem == "no histogram drawn shows the weights"
    with pytest.raises(Missing):
        assert_histogram([], W, name="the weights")
    one = figure(bars=[[0.0, 1.0, 784.0]])
    assert "fewer than 3 bars" in refusal(assert_histogram, one, W, name="the weights").problem


# --- decision regions -------------------------------------------------------------------

AXIS = np.linspace(-2, 2, 81)
GRID = np.stack(np.meshgrid(AXIS, AXIS), axis=-1)
FRAME = np.array([[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]])


def beyond_the_line(p):
    """Signed distance from the line 0.6 x + 0.8 y = 0.5."""
    return p @ [0.6, 0.8] - 0.5


def along_the_line(offset=0.0, n=40):
    t = np.linspace(-1, 1, n)[:, None]
    return (0.5 + offset) * np.array([0.6, 0.8]) + t * np.array([-0.8, 0.6])


def plane(colours, extent=(-2.0, 2.0, -2.0, 2.0)):
    return figure(images=[colours], extents=[np.array(extent)])


def regions_refused(figures):
    return refusal(assert_regions, figures, beyond_the_line, tolerance=0.1, name="its regions")


CLASSES = 1 * (beyond_the_line(GRID) > 0)


@pytest.mark.parametrize(
    "figures",
    [
        plane(CLASSES),
        plane(CLASSES[::-1], (-2.0, 2.0, 2.0, -2.0)),
        plane(1 - CLASSES),
        plane(1 / (1 + np.exp(-60 * beyond_the_line(GRID)))),
        plane(np.array([[250, 10, 10], [10, 10, 250]], dtype=np.uint8)[CLASSES]),
        figure(contours=[np.concatenate([FRAME, along_the_line()])]),
        figure(contours=[along_the_line()]),
        [{"axes": []}, *plane(np.zeros((3, 3))), *plane(CLASSES)],
    ],
    ids=["mesh", "from above", "other colours", "probabilities", "rgb", "filled", "line", "later"],
)
def test_regions_with_the_right_boundary_are_found(figures):
    assert_regions(figures, beyond_the_line, tolerance=0.1)


def test_regions_are_missing_where_no_plane_is_coloured():
    figures = figure(line(X, sigma(X)), points=[GRID.reshape(-1, 2)])
    assert find_regions(figures) == []
    failure = regions_refused(figures)
    assert isinstance(failure, Missing)
    assert failure.problem == "no figure shows its regions"


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (plane(CLASSES.T), "the two axes are swapped"),
        (plane(CLASSES[::-1]), "it is upside down"),
        (figure(contours=[along_the_line()[:, ::-1]]), "the two axes are swapped"),
        (plane(np.zeros_like(CLASSES)), "not coloured as its regions are"),
        (plane(CLASSES.reshape(27, 243)), "not coloured as its regions are"),
        (figure(contours=[along_the_line(offset=0.4)]), "not coloured as its regions are"),
        (figure(contours=[FRAME]), "not coloured as its regions are"),
        (plane(CLASSES, (np.nan, 1.0, 0.0, 1.0)), "not coloured|no figure"),
    ],
)
def test_regions_elsewhere_are_refused_with_what_is_turned(figures, words):
    assert re.search(words, regions_refused(figures).problem)
