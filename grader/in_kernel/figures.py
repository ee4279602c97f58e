"""A matplotlib backend that shows figures in cells and records their data.

Named `module://grader.in_kernel.figures`. Like the inline backend, it shows every open figure as a
PNG at plt.show() and at the end of its cell, and closes it. In addition, it keeps the data of every
figure as plain values:

    records() -> list of
        {"cell": 4, "title": "", "axes": [{"title", "xlabel", "ylabel", "xscale", "yscale": str,
            "legend": [str], "lines": [{"x", "y": (n,) float64, "label": str}],
            "images": [ndarray], "extents": [(4,) float64], one for each image: x at the outer edges
                of its first and last column, y at those of its first and last row,
            "contours": [(n, 2) float64], the vertices of each contour or contourf,
            "bars": (n, 3) float64: x, width, height, "points": [(n, 2) float64]}]}

A figure that is shown twice has one record, of its last state. This module does not import
matplotlib: the notebook does.
"""

from __future__ import annotations

import gc
import io
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from grader.in_kernel import figure_data

# Limits: plots in a loop must not use up the memory that the student's code needs.
MAX_FIGURES = 200
MAX_PNGS = 60
MAX_AXES = 64
MAX_LINES = 256
MAX_POINTS = 100_000
MAX_PIXELS = 1_000_000
PNG_DPI = 80
FORMULA = r"$\alpha = 10^{-1}$"
"""The first formula builds a parser."""
POWERS = range(-9, 8)
"""The powers of ten whose labels are known before: matplotlib parses and sets each as a formula,
which takes 2 ms, and remembers fifty."""

MATH_SETTINGS = ("default", "fallback", "bf", "bfit", "cal", "it", "rm", "sf", "tt")
"""Settings of formulas by which matplotlib's own cache doesn't tell them apart."""

_cell = 0
_pngs = 0
_records: list[dict[str, Any]] = []
_places: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
# Each renderer has a parser of its own, which forgets its formulas with it.
_parsers: dict[tuple[str, ...], Any] = {}
_publish: Callable[[bytes, str, str], None] | None = None
_drawn_cells: bool | Collection[int] = True


def records() -> list[dict[str, Any]]:
    """Return the records of all figures, in the order in which they were closed.

    Figures that are still open come last: a check may call a function that draws.
    """
    for manager in _open_managers():
        remember(manager.canvas.figure)
    return _records


def set_publisher(publish: Callable[[bytes, str, str], None]) -> None:
    """From now on, call publish(png, text, fingerprint of the data) to send a PNG."""
    global _publish
    _publish = publish


def draw_in(cells: bool | Collection[int]) -> None:
    """From now on, draw the figures of these cells: True for all, False for none.

    Drawing often takes longer than the cells. The data are recorded anyway.
    """
    global _drawn_cells
    _drawn_cells = cells


def begin_cell(cell: int) -> None:
    """Count figures from now on as this cell's."""
    global _cell
    _cell = cell


def flush() -> None:
    """Show and close every open figure; one that can't be drawn still has its record."""
    managers = _open_managers()
    for manager in managers:
        _send(manager.canvas.figure)
    if managers:
        from matplotlib._pylab_helpers import Gcf

        Gcf.destroy_all()  # which calls remember()


def png_of(figure: Any) -> tuple[bytes, dict[str, Any]] | None:
    """Record a figure; return its PNG and metadata, which Jupyter shows for a cell's value."""
    remember(figure)
    if not _draws():
        return None
    return _draw(figure), {figure_data.METADATA: _data_of_figure(figure)}


def rehearse(label: str = "label") -> None:
    """Draw one figure and drop it, so that forks have what matplotlib loads for the first one.

    label : FORMULA if pictures will be drawn; then axes with a logarithmic scale come, too
    """
    from matplotlib.figure import Figure

    figure = Figure()
    ax = figure.add_subplot()
    ax.plot([0.0, 1.0], [0.0, 1.0], label=label)
    ax.set(title="title", xlabel="x", ylabel="y")
    ax.legend()
    if label == FORMULA:
        for power in POWERS:
            ax.text(0.0, 0.0, rf"$\mathdefault{{10^{{{power}}}}}$")
    _draw(figure)
    close_fonts()  # once, not in each fork


def close_fonts() -> None:
    """Close the font files that matplotlib keeps open; it does so itself in a fork."""
    fonts = sys.modules.get("matplotlib.font_manager")
    getattr(getattr(fonts, "_get_font", None), "cache_clear", bool)()


def remember(figure: Any) -> None:
    """Record the figure's data. If an error occurs, only this figure has no record."""
    try:
        record = {"cell": _cell, **_read(figure)}
        place = _places.get(figure)
    except Exception:
        return
    if place is not None:
        _records[place] = record
    elif len(_records) < MAX_FIGURES:
        _places[figure] = len(_records)
        _records.append(record)


def _draws() -> bool:
    return _drawn_cells if isinstance(_drawn_cells, bool) else _cell in _drawn_cells


def _open_managers() -> list[Any]:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return list(helpers.Gcf.get_all_fig_managers()) if helpers else []


def _draw(figure: Any) -> bytes:
    # The figure's own dpi may be 600: no report needs it, and drawing it takes seconds.
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    width, height = figure.get_size_inches()
    dpi = min(PNG_DPI, 2000 / max(width, height, 1e-3))
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else None
    # Low compression: it saves more time than the larger file costs.
    with _uncollected():
        (canvas or _canvas_class()(figure)).print_figure(
            buffer, format="png", dpi=dpi, pil_kwargs={"compress_level": 1}
        )
    return buffer.getvalue()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Drawing makes thousands of objects, few of them garbage: a collection finds nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _send(figure: Any) -> None:
    global _pngs
    if _publish is None or not _draws() or _pngs >= MAX_PNGS:
        return
    _pngs += 1
    try:
        png = _draw(figure)
    except Exception as error:  # a label's TeX, a size of 10**6 inches
        text = f"{type(error).__name__}: {error}"
        _publish(b"", f"The figure can't be drawn: {text[:300]}", "")
    else:
        _publish(png, repr(figure)[:100], _data_of_figure(figure))


def _data_of_figure(figure: Any) -> str:
    """Return the fingerprint of a figure's data; "" if they can't be read."""
    try:
        return figure_data.fingerprint(figure, _read(figure))
    except Exception:
        return ""


# --- reading a figure -------------------------------------------------------------------


def _read(figure: Any) -> dict[str, Any]:
    axes = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"][:MAX_AXES]
    shared = [_text(t) for legend in figure.legends for t in legend.get_texts()]
    title = getattr(figure, "_suptitle", None)
    return {
        "title": _text(title) if title is not None else "",
        "axes": [_read_axes(ax, shared) for ax in axes],
    }


def _read_axes(ax: Any, shared_legend: list[str]) -> dict[str, Any]:
    legend = ax.get_legend()
    images = _read_images(ax)
    titles = (ax.get_title(loc) for loc in ("center", "left", "right"))
    return {
        "title": next((str(title)[:300] for title in titles if title), ""),
        "xlabel": str(ax.get_xlabel())[:300],
        "ylabel": str(ax.get_ylabel())[:300],
        "xscale": str(ax.get_xscale()),
        "yscale": str(ax.get_yscale()),
        "legend": [_text(t) for t in legend.get_texts()] if legend else list(shared_legend),
        "lines": [line for line in map(_read_line, ax.get_lines()[:MAX_LINES]) if line],
        "images": [image for image, _ in images],
        "extents": [extent for _, extent in images],
        "contours": _read_contours(ax.collections),
        "bars": _read_bars(ax.patches),
        "points": _read_points(ax.collections),
    }


def _text(artist: Any) -> str:
    return str(artist.get_text())[:300]


def _read_line(line: Any) -> dict[str, Any] | None:
    try:
        x, y = (_floats(values) for values in _data_of(line))
    except Exception:
        return None
    label = str(line.get_label())
    return {"x": x, "y": y, "label": "" if label.startswith("_") else label[:300]}


def _data_of(line: Any) -> Any:
    """Return x and y. For plt.axline, whose data are (0, 1): its points on the axes' edges."""
    if not type(line).__name__.endswith("AxLine"):
        return line.get_data(orig=False)
    return (line.get_transform() - line.axes.transData).transform(line.get_xydata()).T


def _read_images(ax: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the pixels and the extent of each imshow, matshow and pcolormesh (heat maps)."""
    images = []
    meshes = [c for c in ax.collections if type(c).__name__ == "QuadMesh"]
    for artist in [*ax.get_images(), *meshes][:MAX_LINES]:
        pixels = np.ma.filled(np.ma.asarray(artist.get_array()), 0)
        if pixels.ndim < 2 or pixels.dtype.kind not in "biuf":
            continue
        step = int(np.ceil(np.sqrt(pixels.shape[0] * pixels.shape[1] / MAX_PIXELS))) or 1
        images.append((np.array(pixels[::step, ::step]), _read_extent(artist)))
    return images


def _read_extent(artist: Any) -> np.ndarray:
    """Return the outer edges of the first and last column and row; nan if unknown. Shape (4,)."""
    try:
        if hasattr(artist, "get_extent"):
            left, right, bottom, top = artist.get_extent()
            rows = (top, bottom) if artist.origin == "upper" else (bottom, top)
            return np.array([left, right, *rows], dtype=np.float64)
        corners = np.asarray(artist.get_coordinates(), dtype=np.float64)
        first, right, last = corners[0, 0], corners[0, -1], corners[-1, 0]
        return np.array([first[0], right[0], first[1], last[1]])
    except Exception:
        return np.full(4, np.nan)


def _read_contours(collections: Iterable[Any]) -> list[np.ndarray]:
    sets = [c for c in collections if type(c).__name__ == "QuadContourSet"]
    return [
        _floats(np.concatenate([np.zeros((0, 2)), *(path.vertices for path in c.get_paths())]))
        for c in sets[:MAX_LINES]
    ]


def _read_bars(patches: Iterable[Any]) -> np.ndarray:
    bars = [
        (patch.get_x(), patch.get_width(), patch.get_height())
        for patch in list(patches)[:MAX_POINTS]
        if type(patch).__name__ == "Rectangle"
    ]
    return np.array(bars, dtype=np.float64).reshape(-1, 3)


def _read_points(collections: Iterable[Any]) -> list[np.ndarray]:
    scatters = [c for c in collections if type(c).__name__ == "PathCollection"]
    return [
        _floats(np.ma.filled(np.ma.asarray(c.get_offsets(), dtype=np.float64), np.nan))
        for c in scatters[:MAX_LINES]
    ]


def _floats(values: Any) -> np.ndarray:
    """Return a float64 copy; every k-th entry if there are more than MAX_POINTS."""
    array = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    step = -(-len(array) // MAX_POINTS) or 1
    return np.array(array[::step])


# --- the functions of a matplotlib backend ----------------------------------------------


def show(*args: object, block: bool | None = None, **kwargs: object) -> None:
    """Show every open figure.

    show(block=False), which plt.pause calls, does nothing: the end of the cell shows the figure.
    Otherwise an animation would fill the notebook with its frames.
    """
    if block is not False:
        flush()


def __getattr__(name: str) -> Any:
    if name in ("FigureCanvas", "FigureManager"):
        canvas, manager = _classes()
        globals().update(FigureCanvas=canvas, FigureManager=manager)
        return globals()[name]
    raise AttributeError(name)


def _canvas_class() -> Any:
    return globals().get("FigureCanvas") or __getattr__("FigureCanvas")


def _classes() -> tuple[type, type]:
    from matplotlib import rcParams
    from matplotlib.backend_bases import FigureManagerBase
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    class FigureManager(FigureManagerBase):
        def show(self) -> None:
            """Do nothing: the end of the cell shows the figure."""

        def destroy(self) -> None:
            remember(self.canvas.figure)

    class FigureCanvas(FigureCanvasAgg):
        manager_class = FigureManager

        def get_renderer(self) -> Any:
            """Return the renderer, with the formulas that earlier figures have set."""
            renderer: Any = super().get_renderer()  # type: ignore[no-untyped-call]
            known: dict[Any, Any] = rcParams
            settings = tuple(str(known.get(f"mathtext.{name}")) for name in MATH_SETTINGS)
            renderer.mathtext_parser = _parsers.setdefault(settings, renderer.mathtext_parser)
            return renderer

        def start_event_loop(self, timeout: float = 0) -> None:
            """Do nothing: plt.pause need not wait here."""

    return FigureCanvas, FigureManager
