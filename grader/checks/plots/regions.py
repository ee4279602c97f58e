"""Decision regions: a plane that is coloured by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from grader.checks.plots.records import Figures, axes_of, list_of, matrix, numeric, vector
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing


def find_regions(figures: Figures) -> list[Mapping[str, Any]]:
    """Return the axes that colour a plane: with an image, a mesh or contours."""
    drawn = [a for f in figures for a in axes_of(f)]
    return [a for a in drawn if any(True for _ in _planes(a)) or any(True for _ in _contours(a))]


def assert_regions(
    figures: Figures,
    distance: Callable[[Array], Any],
    *,
    name: str = "the decision regions",
    tolerance: float,
    called: str = "",
) -> Mapping[str, Any]:
    """Return the axes whose colours change along a boundary, and only there.

    distance : points (n, 2) -> (n,), distances from the boundary, with the sign of the side
    tolerance : how far from the boundary the colours may change, in units of the plot, since a
        grid is coarse
    Images, meshes (imshow, pcolormesh) and contours (contour, contourf) show regions.
    Raises Missing if none do, CheckFailed if the colours change elsewhere.
    """
    drawn = find_regions(figures)
    if not drawn:
        raise Missing(
            f"no figure shows {name}",
            hint="Predict on a grid of points (np.meshgrid) and colour it: plt.contourf, "
            "plt.pcolormesh or plt.imshow.",
            called=called,
        )
    for axes in drawn:
        if _changes_along(axes, distance, tolerance):
            return axes
    turned = {
        "the two axes are swapped": lambda p: distance(p[:, ::-1]),
        "it is upside down": lambda p: distance(p * [1, -1] + [0, p[:, 1].min() + p[:, 1].max()]),
    }
    for words, other in turned.items():
        if any(_changes_along(axes, other, tolerance) for axes in drawn):
            raise CheckFailed(
                f"the plane is not coloured as {name} are: {words}",
                hint="Row i of the colours belongs to y[i], column j to x[j] "
                "(np.meshgrid(x, y)); plt.imshow needs origin='lower' and extent.",
                called=called,
            )
    raise CheckFailed(
        f"the plane is not coloured as {name} are",
        hint="Each point of the grid takes the colour of its predicted class; "
        "is the grid reshaped in the order in which its points were predicted?",
        called=called,
    )


def _changes_along(
    axes: Mapping[str, Any], distance: Callable[[Array], Any], tolerance: float
) -> bool:
    return any(_splits(colours, distance(p), tolerance) for p, colours in _planes(axes)) or any(
        _runs_along(vertices, distance(vertices), tolerance) for vertices in _contours(axes)
    )


def _splits(colours: Array, away: Array, tolerance: float) -> bool:
    """Return whether the two sides have no colour in common, except for a few stray pixels."""
    sides = away > tolerance, away < -tolerance
    if not all(side.any() for side in sides):
        return False
    means = [np.median(colours[side], axis=0) for side in sides]
    if np.allclose(*means):
        return False
    to_first, to_second = (np.linalg.norm(colours - mean, axis=1) for mean in means)
    nearer = to_first < to_second
    return bool(min(nearer[sides[0]].mean(), (~nearer)[sides[1]].mean()) > 0.97)


def _runs_along(vertices: Array, away: Array, tolerance: float) -> bool:
    """Return whether contours within the frame stay near the boundary."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    room = 1e-6 * (high - low)
    inside = np.all((vertices > low + room) & (vertices < high - room), axis=1)
    return bool(inside.sum() >= 3 and np.mean(np.abs(away[inside]) <= tolerance) > 0.95)


def _planes(axes: Mapping[str, Any]) -> Iterator[tuple[Array, Array]]:
    """Yield each image with a known place: the centres of its pixels (n, 2), colours (n, c)."""
    for image, extent in zip(
        list_of(axes.get("images")), list_of(axes.get("extents")), strict=False
    ):
        array, ends = numeric(image), vector(extent)
        if array is None or array.ndim not in (2, 3) or array.size < 4 or ends is None:
            continue
        if ends.size != 4 or not np.isfinite(ends).all() or not np.isfinite(array).all():
            continue
        rows, columns = array.shape[:2]
        x = ends[0] + (np.arange(columns) + 0.5) / columns * (ends[1] - ends[0])
        y = ends[2] + (np.arange(rows) + 0.5) / rows * (ends[3] - ends[2])
        centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        yield centres, array.reshape(rows * columns, -1)


def _contours(axes: Mapping[str, Any]) -> Iterator[Array]:
    for vertices in list_of(axes.get("contours")):
        xy = matrix(vertices)
        if xy is not None and xy.shape[1] == 2 and len(xy) and np.isfinite(xy).all():
            yield xy
