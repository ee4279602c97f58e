"""The lines, clouds, images and bars of figures, read from records that are not trusted.

A figure is a dict: {"cell": int, "axes": [{"title", "xlabel", "ylabel", "legend": [str],
"lines": [{"x", "y", "label"}], "images": [array], "extents": [(4,) array for each image: x of the
outer edges of its first and last column, y of those of its first and last row], "contours": [(n, 2)
arrays of vertices], "bars": (n, 3) array of x, width and height, "points": [(n, 2) arrays]}]}.
It comes from the student's process, so every part that does not have this form is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.diagnosis.case import numbers
from grader.diagnosis.wording import Array
from grader.text import one_line

Figures = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curve:
    """One line (or cloud of points) of a figure, in the order of drawing, without nan.

    figure, axes : their numbers, from 0; record : of the axes with this line
    """

    figure: int
    axes: int
    x: Array
    y: Array
    label: str
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        name = f", '{one_line(self.label, 40)}'" if self.label and self.label[0] != "_" else ""
        return f"figure {self.figure + 1}, axes {self.axes + 1}{name}"


def curves(figures: Figures, *, keep_nan: bool = False) -> Iterator[Curve]:
    """Yield every line and cloud of points of the figures, without nan and masked points."""
    for i, figure in enumerate(figures):
        for j, axes in enumerate(axes_of(figure)):
            for line in list_of(axes.get("lines")):
                if not isinstance(line, Mapping):
                    continue
                x, y = vector(line.get("x")), vector(line.get("y"))
                if x is None or y is None or x.size != y.size:
                    continue
                label = line.get("label")
                yield _curve(i, j, x, y, label if isinstance(label, str) else "", axes, keep_nan)
            for cloud in list_of(axes.get("points")):
                xy = matrix(cloud)
                if xy is not None and xy.shape[1] == 2:
                    yield _curve(i, j, xy[:, 0], xy[:, 1], "", axes, keep_nan)


def images(figures: Figures) -> Iterator[Array]:
    """Yield every image of the figures, (h, w), (h, w, 3) or (h, w, 4)."""
    for figure in figures:
        for axes in axes_of(figure):
            for image in list_of(axes.get("images")):
                array = numeric(image)
                if array is not None and array.ndim in (2, 3) and array.size:
                    yield array


def _curve(
    i: int, j: int, x: Array, y: Array, label: str, axes: Mapping[str, Any], keep_nan: bool
) -> Curve:
    finite = np.isfinite(x) & np.isfinite(y)
    if keep_nan or finite.all():
        return Curve(i, j, x, y, label, axes)
    return Curve(i, j, x[finite], y[finite], label, axes)


def axes_of(figure: object) -> list[Mapping[str, Any]]:
    if not isinstance(figure, Mapping):
        return []
    return [a for a in list_of(figure.get("axes")) if isinstance(a, Mapping)]


def list_of(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else []


def shows_something(axes: Mapping[str, Any]) -> bool:
    bars = axes.get("bars")
    return bool(
        list_of(axes.get("lines"))
        or list_of(axes.get("images"))
        or list_of(axes.get("contours"))
        or list_of(axes.get("points"))
        or (isinstance(bars, (np.ndarray, list)) and len(bars))
    )


def numeric(value: object) -> Array | None:
    """Return an array or nested lists of numbers as float64, nan where masked; else None."""
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(float), np.nan)
    return numbers(value) if isinstance(value, (np.ndarray, list, tuple)) else None


def vector(value: object) -> Array | None:
    array = numeric(value)
    return None if array is None else array.reshape(-1)


def matrix(value: object) -> Array | None:
    array = numeric(value)
    return array if array is not None and array.ndim == 2 else None
