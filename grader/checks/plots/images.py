"""Images and histograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from grader.checks.plots.records import Figures, axes_of, images, matrix, vector
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing


def find_image(
    figures: Figures, expected: Any = None, *, shape: Sequence[int] | None = None
) -> Array | None:
    """Return an image of this shape, or one that shows `expected`, or None.

    expected : array of any shape with the image's number of elements. The image may be scaled,
        shifted by a constant or transposed: a colour map hides the first two
    shape : (h, w); images (h, w, 3) and (h, w, 4) match it, too
    """
    for image in images(figures):
        if shape is not None and image.shape[:2] != tuple(shape)[:2]:
            continue
        if expected is None or _shows_image(image, np.asarray(expected, dtype=float)):
            return image
    return None


def assert_image(
    figures: Figures,
    expected: Any = None,
    *,
    name: str,
    shape: Sequence[int] | None = None,
    called: str = "",
) -> Array:
    """Return the image found as in find_image.

    Raises Missing if no image was drawn at all, CheckFailed if none is the right one.
    """
    found = find_image(figures, expected, shape=shape)
    if found is not None:
        return found
    shapes = [image.shape for image in images(figures)]
    if not shapes:
        raise Missing(
            f"no image of {name} was drawn",
            hint="Show it with plt.imshow(array) in a cell of the notebook.",
            called=called,
        )
    if shape is not None and all(s[:2] != tuple(shape)[:2] for s in shapes):
        raise CheckFailed(
            f"no image of {name} with shape {tuple(shape)} was drawn",
            hint="Reshape the vector before plt.imshow, e.g. w.reshape(28, 28).",
            called=called,
            got=", ".join(str(s) for s in dict.fromkeys(shapes)),
        )
    raise CheckFailed(
        f"no image drawn shows {name}",
        hint="Is it reshaped in the right order (row by row)?",
        called=called,
    )


def find_histogram(figures: Figures, values: Any = None, *, min_bars: int = 3) -> Array | None:
    """Return the bars (n, 3) of a histogram of these values, or None.

    The edges may be the student's own; heights may be counts or densities. Without values any
    histogram is accepted.
    """
    data = vector(values) if values is not None else None
    for bars in _bar_groups(figures):
        if len(bars) >= min_bars and (data is None or _counts(bars, data)):
            return bars
    return None


def assert_histogram(
    figures: Figures,
    values: Any = None,
    *,
    name: str,
    min_bars: int = 3,
    called: str = "",
) -> Array:
    """Return the bars found as in find_histogram.

    Raises Missing if there are no bars at all, CheckFailed if none fit.
    """
    found = find_histogram(figures, values, min_bars=min_bars)
    if found is not None:
        return found
    groups = list(_bar_groups(figures))
    if not groups:
        raise Missing(
            f"no histogram of {name} was drawn",
            hint="Draw it with plt.hist(values, bins=...) in a cell of the notebook.",
            called=called,
        )
    if all(len(bars) < min_bars for bars in groups):
        raise CheckFailed(
            f"the histogram of {name} has fewer than {min_bars} bars",
            hint="Is a matrix passed instead of a flat vector? w.ravel() makes one data set.",
            called=called,
        )
    raise CheckFailed(
        f"no histogram drawn shows {name}",
        hint="Are all values passed, as a flat vector, and after the last training?",
        called=called,
    )


def _shows_image(image: Array, expected: Array) -> bool:
    shown = image
    if image.ndim == 3 and image.size != expected.size:
        # A grey image drawn as colours: the channels agree.
        colours = image[..., :3]
        if image.shape[2] < 3 or np.any(np.ptp(colours, axis=2) > 0):
            return False
        shown = image[..., 0]
    if shown.size != expected.size:
        return False
    candidates = [shown.reshape(-1)]
    if shown.ndim == 2:
        candidates.append(shown.T.reshape(-1))
    flat = expected.reshape(-1)
    return any(_same_up_to_scale(candidate, flat) for candidate in candidates)


def _same_up_to_scale(a: Array, b: Array) -> bool:
    """Return whether a = scale * b + offset; a constant image shows only a constant array."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    a, b = a - a.mean(), b - b.mean()
    size_a, size_b = float(np.abs(a).max()), float(np.abs(b).max())
    if size_a == 0 or size_b == 0:
        return size_a == size_b
    a, b = a / size_a, b / size_b
    scale = float(a @ b) / float(b @ b)
    # uint8 pixels of a normalised image may be wrong by half a grey level.
    return bool(np.abs(a - scale * b).max() <= 1e-2)


def _bar_groups(figures: Figures) -> Iterator[Array]:
    """Yield the bars of each histogram: a new histogram starts where x decreases."""
    for figure in figures:
        for axes in axes_of(figure):
            bars = matrix(axes.get("bars"))
            if bars is None or bars.shape[1] != 3 or not len(bars):
                continue
            starts = np.flatnonzero(np.diff(bars[:, 0]) <= 0) + 1
            yield from np.split(bars, starts)


def _counts(bars: Array, data: Array) -> bool:
    """Return whether the heights are proportional to the counts between the bars' edges."""
    bars = bars[np.argsort(bars[:, 0], kind="stable")]
    left, width, height = bars.T
    data = data[np.isfinite(data)]
    if not data.size or not np.isfinite(bars).all() or np.any(width <= 0) or np.any(height < 0):
        return False
    right = left + width
    # Rounding moves neighbouring edges apart; a value on an edge must not fall between them.
    edges = np.append(left, right[-1])
    if np.any(np.abs(right[:-1] - left[1:]) > 1e-6 * np.maximum(width[:-1], width[1:])):
        # Bars that are narrower than their bins (rwidth) are in the middle of them.
        centre = left + width / 2
        step = np.diff(centre)
        if np.ptp(step) > 1e-6 * step.mean():
            return False
        edges = np.append(centre - step[0] / 2, centre[-1] + step[0] / 2)
    slack = 1e-9 * (edges[-1] - edges[0])
    edges[0] -= slack
    edges[-1] += slack
    counts, _ = np.histogram(data, edges)
    if counts.sum() < 0.9 * data.size or not counts.any():
        return False
    for weight in (np.ones_like(width), np.diff(edges)):
        mass = height * weight
        if mass.sum() > 0:
            off = np.abs(mass / mass.sum() - counts / counts.sum()).sum()
            if off <= 0.02 + 2.0 / data.size:
                return True
    return False
