"""What a figure shows, read from its data and not from its pixels.

A figure is a dict: {"cell": int, "axes": [{"title", "xlabel", "ylabel", "legend": [str],
"lines": [{"x", "y", "label"}], "images": [array], "extents": [(4,) array, one an image: x of
its first and last column's outer edges, y of its first and last row's], "contours": [(n, 2)
arrays of vertices], "bars": (n, 3) array of x, width and height, "points": [(n, 2) arrays]}]}.
It comes from a process that nobody trusts, so
whatever is not of this form is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.checks.arrays import Array
from grader.checks.closeness import measure_close
from grader.diagnosis.values import diagnose
from grader.errors import CheckFailed, Missing

Figures = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curve:
    """One line (or cloud of points) of a figure, sorted as drawn, without nan.

    figure, axes : its places, from 0; record : the axes it stands in
    """

    figure: int
    axes: int
    x: Array
    y: Array
    label: str
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        name = f", '{_words(self.label)}'" if self.label and self.label[0] != "_" else ""
        return f"figure {self.figure + 1}, axes {self.axes + 1}{name}"


# --- figures and labels -----------------------------------------------------------------


def assert_figure_count(
    figures: Figures, *, at_least: int, name: str = "", called: str = ""
) -> None:
    """Accept at least this many figures that show something.

    Raises Missing where there is none, CheckFailed where there are too few.
    """
    drawn = [f for f in figures if any(_shows_something(a) for a in _axes(f))]
    if len(drawn) >= at_least:
        return
    what = f" for {name}" if name else ""
    if not drawn:
        raise Missing(
            f"no figure was drawn{what}",
            hint="Plot with matplotlib in a cell of the notebook; an empty figure doesn't count.",
            called=called,
        )
    raise CheckFailed(
        f"{len(drawn)} figure{'s were' * (len(drawn) > 1) or ' was'} drawn{what} where "
        f"{at_least} were due",
        called=called,
    )


def assert_labelled(
    target: Curve | Mapping[str, Any] | Figures | None, *, called: str = ""
) -> None:
    """Accept axes with a label on x, and on y (a legend will do for several curves).

    target : a curve, an axes record, or figures, of which one axes must be labelled;
        None stands for a curve that was looked for in vain
    Raises Missing where there is nothing to label, CheckFailed for what has no label.
    """
    if target is None:
        raise Missing("there is no curve whose axes could be labelled", called=called)
    if isinstance(target, Curve):
        records = [target.record]
    elif isinstance(target, Mapping):
        records = _axes(target) if "axes" in target else [target]
    else:
        records = [a for f in target for a in _axes(f) if _shows_something(a)]
    if not records:
        raise Missing("no figure was drawn", called=called)
    lacking = [_lacking_labels(record) for record in records]
    if not min(lacking, key=len):
        return
    missing = min(lacking, key=len)
    raise CheckFailed(
        f"the axes of the figure are not labelled: {' and '.join(missing)} missing",
        hint="plt.xlabel('...') and plt.ylabel('...') say what is drawn; "
        "with several curves add plt.legend().",
        called=called,
    )


# --- curves -----------------------------------------------------------------------------


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
    min_points, min_span : what the curve needs of points and of range in x; pieces of one
        curve in several lines of an axes count together
    covers : a range of x that it must reach, within a tenth of the range
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

    Raises Missing where no curve was drawn at all, CheckFailed with how the nearest one
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

    The curve may leave out the start or the end, take every k-th value, hold further values
    around the series, or show it in percent (scales).
    min_share : of the series that a cut one must still show
    """
    series = _vector(values)
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

    Raises Missing where no curve was drawn at all, CheckFailed where none shows it.
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
        hint="Plot the values that were recorded, one a step; is the right column plotted?",
        called=called,
    )


# --- images and histograms --------------------------------------------------------------


def find_image(
    figures: Figures, expected: Any = None, *, shape: Sequence[int] | None = None
) -> Array | None:
    """Return an image of this shape, or one that shows `expected`, or None.

    expected : array of any shape with the image's number of elements; a scale, an offset
        and a transpose make no difference, since a colour map hides them
    shape : (h, w); images (h, w, 3) and (h, w, 4) have it too
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

    Raises Missing where no image was drawn at all, CheckFailed where none is the one.
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

    The student's own edges are taken; heights may be counts or densities. Without values
    any histogram is one.
    """
    data = _vector(values) if values is not None else None
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

    Raises Missing where there are no bars at all, CheckFailed where none fit.
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
            hint="Is a matrix passed where a flat vector is due? w.ravel() makes one data set.",
            called=called,
        )
    raise CheckFailed(
        f"no histogram drawn shows {name}",
        hint="Are all values passed, as a flat vector, and after the last training?",
        called=called,
    )


# --- decision regions -------------------------------------------------------------------


def find_regions(figures: Figures) -> list[Mapping[str, Any]]:
    """Return the axes that colour a plane: with an image, a mesh or contours."""
    drawn = [a for f in figures for a in _axes(f)]
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

    distance : points (n, 2) -> (n,), how far from the boundary, by sign on which side
    tolerance : how far from it the colours may change, in units of the plot: a grid is coarse
    Images, meshes (imshow, pcolormesh) and contours (contour, contourf) show regions.
    Raises Missing where nothing does, CheckFailed where the colours change elsewhere.
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
    """Tell whether the colours of one side are nowhere on the other, but for some stray pixels."""
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
    """Tell whether contours within the frame stay near the boundary."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    room = 1e-6 * (high - low)
    inside = np.all((vertices > low + room) & (vertices < high - room), axis=1)
    return bool(inside.sum() >= 3 and np.mean(np.abs(away[inside]) <= tolerance) > 0.95)


def _planes(axes: Mapping[str, Any]) -> Iterator[tuple[Array, Array]]:
    """Give each image whose place is known: the centres of its pixels (n, 2), colours (n, c)."""
    for image, extent in zip(_list(axes.get("images")), _list(axes.get("extents")), strict=False):
        array, ends = _numeric(image), _vector(extent)
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
    for vertices in _list(axes.get("contours")):
        xy = _matrix(vertices)
        if xy is not None and xy.shape[1] == 2 and len(xy) and np.isfinite(xy).all():
            yield xy


# --- reading the records ----------------------------------------------------------------


def curves(figures: Figures, *, keep_nan: bool = False) -> Iterator[Curve]:
    """Give every line and cloud of points of the figures; nan and masked points left out."""
    for i, figure in enumerate(figures):
        for j, axes in enumerate(_axes(figure)):
            for line in _list(axes.get("lines")):
                if not isinstance(line, Mapping):
                    continue
                x, y = _vector(line.get("x")), _vector(line.get("y"))
                if x is None or y is None or x.size != y.size:
                    continue
                label = line.get("label")
                yield _curve(i, j, x, y, label if isinstance(label, str) else "", axes, keep_nan)
            for cloud in _list(axes.get("points")):
                xy = _matrix(cloud)
                if xy is not None and xy.shape[1] == 2:
                    yield _curve(i, j, xy[:, 0], xy[:, 1], "", axes, keep_nan)


def images(figures: Figures) -> Iterator[Array]:
    """Give every image of the figures, (h, w), (h, w, 3) or (h, w, 4)."""
    for figure in figures:
        for axes in _axes(figure):
            for image in _list(axes.get("images")):
                array = _numeric(image)
                if array is not None and array.ndim in (2, 3) and array.size:
                    yield array


def _curve(
    i: int, j: int, x: Array, y: Array, label: str, axes: Mapping[str, Any], keep_nan: bool
) -> Curve:
    finite = np.isfinite(x) & np.isfinite(y)
    if keep_nan or finite.all():
        return Curve(i, j, x, y, label, axes)
    return Curve(i, j, x[finite], y[finite], label, axes)


def _axes(figure: object) -> list[Mapping[str, Any]]:
    if not isinstance(figure, Mapping):
        return []
    return [a for a in _list(figure.get("axes")) if isinstance(a, Mapping)]


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else []


def _shows_something(axes: Mapping[str, Any]) -> bool:
    bars = axes.get("bars")
    return bool(
        _list(axes.get("lines"))
        or _list(axes.get("images"))
        or _list(axes.get("contours"))
        or _list(axes.get("points"))
        or (isinstance(bars, (np.ndarray, list)) and len(bars))
    )


def _lacking_labels(axes: Mapping[str, Any]) -> list[str]:
    several = len(_list(axes.get("lines"))) + len(_list(axes.get("points"))) > 1
    legend = any(isinstance(t, str) and t.strip() for t in _list(axes.get("legend")))
    lacking = []
    if not _text(axes.get("xlabel")):
        lacking.append("xlabel is")
    if not _text(axes.get("ylabel")) and not (several and legend):
        lacking.append("ylabel is")
    return [" and ".join(w.split()[0] for w in lacking) + (" are" if len(lacking) > 1 else " is")] \
        if lacking else []  # fmt: skip


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _words(text: str) -> str:
    return "".join(c for c in text[:40] if c.isprintable())


def _numeric(value: object) -> Array | None:
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(float), np.nan)
    if not isinstance(value, (np.ndarray, list, tuple)):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "fiub" else None


def _vector(value: object) -> Array | None:
    array = _numeric(value)
    return None if array is None else array.reshape(-1)


def _matrix(value: object) -> Array | None:
    array = _numeric(value)
    return array if array is not None and array.ndim == 2 else None


# --- comparing --------------------------------------------------------------------------


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
    """Tell whether y is the series: cut, thinned, or with more around it."""
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
    due = expected.reshape(-1)
    return any(_same_up_to_scale(candidate, due) for candidate in candidates)


def _same_up_to_scale(a: Array, b: Array) -> bool:
    """Tell whether a = scale * b + offset; a constant image shows a constant array only."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    a, b = a - a.mean(), b - b.mean()
    size_a, size_b = float(np.abs(a).max()), float(np.abs(b).max())
    if size_a == 0 or size_b == 0:
        return size_a == size_b
    a, b = a / size_a, b / size_b
    scale = float(a @ b) / float(b @ b)
    # uint8 pixels of a normalised image are off by half a grey level.
    return bool(np.abs(a - scale * b).max() <= 1e-2)


def _bar_groups(figures: Figures) -> Iterator[Array]:
    """Give the bars of each histogram: a new one starts where x steps back."""
    for figure in figures:
        for axes in _axes(figure):
            bars = _matrix(axes.get("bars"))
            if bars is None or bars.shape[1] != 3 or not len(bars):
                continue
            starts = np.flatnonzero(np.diff(bars[:, 0]) <= 0) + 1
            yield from np.split(bars, starts)


def _counts(bars: Array, data: Array) -> bool:
    """Tell whether the heights are proportional to the counts between the bars' edges."""
    bars = bars[np.argsort(bars[:, 0], kind="stable")]
    left, width, height = bars.T
    data = data[np.isfinite(data)]
    if not data.size or not np.isfinite(bars).all() or np.any(width <= 0) or np.any(height < 0):
        return False
    right = left + width
    # Edges are moved apart by rounding; values on an edge must not fall between.
    edges = np.append(left, right[-1])
    if np.any(np.abs(right[:-1] - left[1:]) > 1e-6 * np.maximum(width[:-1], width[1:])):
        # Bars drawn narrower than their bins (rwidth) stand in the middle of them.
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
