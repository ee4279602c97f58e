"""The fingerprint of a figure's data: equal for equal data in any style.

Lines, points, images, contours and bars count, each to four digits of its own range. Colours,
sizes, titles, labels and the order of the lines don't count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

METADATA = "grade_figure_data"
"""The key of the fingerprint in a picture's metadata."""
_READ = ("QuadMesh", "PathCollection", "QuadContourSet")
# With these, no usual rational number lies on the border of two steps, where rounding would decide.
_STEPS = 9973
_OFFSET = 0.31783725


def fingerprint(figure: Any, record: Mapping[str, Any]) -> str:
    """Return the fingerprint of a figure's data; "" if it shows data that the record lacks.

    figure : a matplotlib Figure; record : its data, as figures.py reads them
    """
    axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    if len(axes) != len(record["axes"]) or any(map(_shows_more, axes)):
        return ""
    shown = [_axes(one) for one in record["axes"]]
    return _digest(*shown) if any(shown) else ""


def _shows_more(ax: Any) -> bool:
    """Return whether the axes show data that is not read here: wedges, arrows, areas, 3-D."""
    return (
        hasattr(ax, "get_zlim")
        or any(type(patch).__name__ != "Rectangle" for patch in ax.patches)
        or any(type(one).__name__ not in _READ for one in ax.collections)
        or bool(ax.tables or ax.artists)
    )


def _axes(record: Mapping[str, Any]) -> str:
    """Return the fingerprint of one axes; "" if it is empty."""
    pairs = [np.stack([line["x"], line["y"]]) for line in record["lines"] if len(line["x"])]
    pairs += [points.T for points in record["points"] if len(points)]
    parts = [
        # A line of markers and a scatter plot are the same data.
        *sorted(_digest("curve", *map(_values, pair)) for pair in pairs),
        *sorted(_digest("contour", *map(_values, one.T)) for one in record["contours"]),
        *(_digest("image", str(image.shape), _values(image)) for image in record["images"]),
    ]
    if len(record["bars"]):
        parts.append(_digest("bars", *map(_values, record["bars"].T)))
    return _digest(*parts) if parts else ""


def _values(array: np.ndarray) -> str:
    """Return the fingerprint of numbers, each rounded to a step of their range."""
    values = np.asarray(array, dtype=np.float64).ravel()
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value, but for rounding
        high = low
    places = np.full(values.shape, -1, dtype=np.int32)  # nan
    places[np.isposinf(values)] = -2
    places[np.isneginf(values)] = -3
    if finite.size:
        share = (finite - low) / (high - low) if high > low else np.zeros_like(finite)
        places[np.isfinite(values)] = np.floor(share * _STEPS + _OFFSET).astype(np.int32)
    return _digest(f"{low + 0.0:.4g} {high + 0.0:.4g}", places.tobytes().hex())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
