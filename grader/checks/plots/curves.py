"""Curves of a function, and curves of a recorded series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grader.checks.closeness import measure_close
from grader.checks.plots.records import Curve, Figures, curves, vector
from grader.diagnosis.values import diagnose
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing


def find_curve(
    figures: Figures,
    y_of_x: Callable[[Array], Any],
    *,
    rtol: float = 1e-3,
    atol: float | None = None,
    min_points: int = 10,
    min_span: float = 1.0,
    covers: tuple[float, float] | None = None,
) -> Curve | None:
    """Return a curve that shows y = y_of_x(x), or None.

    y_of_x : array -> array; rtol, atol : on y (atol None: rtol times the largest |y|)
    min_points, min_span : the points and the range in x that the curve needs; pieces of one
        curve in several lines of the same axes count together
    covers : a range of x that the curve must show, except a tenth at each end
    """
    pieces: dict[tuple[int, int], list[Curve]] = {}
    for curve in curves(figures):
        if curve.x.size and _follows(curve, y_of_x, rtol, atol):
            pieces.setdefault((curve.figure, curve.axes), []).append(curve)
    for found in pieces.values():
        whole = [*found, _joined(found)]
        for curve in whole:
            if _is_enough(curve.x, min_points, min_span, covers):
                return curve
    return None


def assert_curve(
    figures: Figures,
    function: Callable[[Array], Any],
    *,
    name: str,
    rtol: float = 1e-3,
    atol: float | None = None,
    min_points: int = 10,
    min_span: float = 1.0,
    covers: tuple[float, float] | None = None,
    called: str = "",
) -> Curve:
    """Return the curve that shows y = function(x), as in find_curve.

    Raises Missing if no curve was drawn at all, else CheckFailed, which says how the nearest curve
    differs.
    """
    found = find_curve(
        figures,
        function,
        rtol=rtol,
        atol=atol,
        min_points=min_points,
        min_span=min_span,
        covers=covers,
    )
    if found is not None:
        return found
    drawn = list(curves(figures))
    if not drawn:
        raise Missing(
            f"no curve of {name} was drawn",
            hint="Plot it with plt.plot(x, y) in a cell of the notebook.",
            called=called,
        )
    right = [c for c in drawn if c.x.size and _follows(c, function, rtol, atol)]
    if right:
        widest = max(right, key=lambda c: float(np.ptp(c.x)))
        few = widest.x.size < min_points
        raise CheckFailed(
            f"the curve of {name} is right but has too few points"
            if few
            else f"the curve of {name} is right but shows too small a range of x",
            hint="Use np.linspace over a range that shows its shape.",
            called=called,
            where=f"{widest.place}: {widest.x.size} points, x from {widest.x.min():.4g} "
            f"to {widest.x.max():.4g}",
        )
    nearest = min(drawn, key=lambda c: _distance(c, function))
    difference = None
    if nearest.x.size >= 3:
        difference = diagnose(
            nearest.y, _expected(nearest, function), noun="it", rtol=rtol, atol=1e-9
        )
    text = f": {difference.problem}" if difference is not None else ""
    raise CheckFailed(
        f"none of the {len(drawn)} curves drawn shows {name}"
        + (f"; the nearest one differs{text}" if text else "")
        if len(drawn) > 1
        else f"the curve drawn does not show {name}{text}",
        hint=(difference.hint if difference is not None else "")
        or "Is the function itself right, and is it plotted against its own x?",
        called=called,
        where=f"nearest: {nearest.place}",
    )


def find_series(
    figures: Figures,
    values: Any,
    *,
    rtol: float = 1e-6,
    min_share: float = 0.5,
    scales: Sequence[float] = (1.0, 100.0),
) -> Curve | None:
    """Return a curve whose y is this series, or None.

    The curve may leave out the start or the end, show every k-th value, show further values
    before and after the series, or show it in percent (scales).
    min_share : the share of the series that the curve must show
    """
    series = vector(values)
    if series is None or series.size == 0:
        return None
    for curve in curves(figures, keep_nan=True):
        for scale in scales:
            if _shows_series(curve.y, scale * series, rtol, min_share):
                return curve
    return None


def assert_series(
    figures: Figures,
    values: Any,
    *,
    name: str,
    rtol: float = 1e-6,
    min_share: float = 0.5,
    called: str = "",
) -> Curve:
    """Return the curve whose y is this series, as in find_series.

    Raises Missing if no curve was drawn at all, CheckFailed if none shows it.
    """
    found = find_series(figures, values, rtol=rtol, min_share=min_share)
    if found is not None:
        return found
    if not any(True for _ in curves(figures)):
        raise Missing(
            f"no curve of {name} was drawn",
            hint="Plot it with plt.plot(...) in a cell of the notebook.",
            called=called,
        )
    raise CheckFailed(
        f"no curve drawn shows {name}",
        hint="Plot the recorded values, one for each step. Is the right column plotted?",
        called=called,
    )


def _expected(curve: Curve, function: Callable[[Array], Any]) -> Array:
    with np.errstate(all="ignore"):
        y = np.asarray(function(curve.x.copy()), dtype=np.float64)
    return np.broadcast_to(y, curve.x.shape) if y.size == 1 else y.reshape(-1)


def _follows(
    curve: Curve, function: Callable[[Array], Any], rtol: float, atol: float | None
) -> bool:
    y = _expected(curve, function)
    if y.shape != curve.y.shape or not np.isfinite(y).all():
        return False
    room = rtol * float(np.max(np.abs(y), initial=0.0)) if atol is None else atol
    return measure_close(curve.y, y, rtol=rtol, atol=room).close


def _joined(pieces: Sequence[Curve]) -> Curve:
    first = pieces[0]
    x = np.concatenate([piece.x for piece in pieces])
    y = np.concatenate([piece.y for piece in pieces])
    return Curve(first.figure, first.axes, x, y, first.label, first.record)


def _is_enough(
    x: Array, min_points: int, min_span: float, covers: tuple[float, float] | None
) -> bool:
    if np.unique(x).size < min_points or float(np.ptp(x)) < min_span:
        return False
    if covers is None:
        return True
    room = 0.1 * (covers[1] - covers[0])
    return bool(x.min() <= covers[0] + room and x.max() >= covers[1] - room)


def _distance(curve: Curve, function: Callable[[Array], Any]) -> float:
    if curve.x.size < 3:
        return np.inf
    y = _expected(curve, function)
    if y.shape != curve.y.shape or not np.isfinite(y).all():
        return np.inf
    return float(np.linalg.norm(curve.y - y) / (np.linalg.norm(y) + 1e-300))


def _shows_series(y: Array, series: Array, rtol: float, min_share: float) -> bool:
    """Return whether y is the series: cut, thinned, or with more values before and after it."""
    n, total = y.size, series.size
    room = rtol * float(np.max(np.abs(series[np.isfinite(series)]), initial=0.0))

    def same(a: Array, b: Array) -> bool:
        return bool(np.allclose(a, b, rtol=rtol, atol=room, equal_nan=True))

    if n >= total:
        return any(same(y[i : i + total], series) for i in range(n - total + 1)
                   if same(y[i : i + 1], series[:1]))  # fmt: skip
    if n < 2:
        return False
    for stride in range(1, (total - 1) // (n - 1) + 1):
        reach = (n - 1) * stride + 1
        if reach < min_share * total:
            continue
        for start in range(total - reach + 1):
            if same(series[start : start + 1], y[:1]) and same(
                series[start : start + reach : stride], y
            ):
                return True
    return False
