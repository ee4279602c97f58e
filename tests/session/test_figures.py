"""What a notebook draws arrives as plain data, and as PNGs among its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal

from grader.in_kernel import figures
from grader.session import Session


@pytest.fixture
def plt(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """pyplot on our backend, with nothing drawn yet."""
    from matplotlib import pyplot

    monkeypatch.setattr(figures, "_records", [])
    monkeypatch.setattr(figures, "_publish", None)
    before = pyplot.get_backend()
    pyplot.switch_backend("module://grader.in_kernel.figures")
    figures.begin_cell(4)
    yield pyplot
    pyplot.close("all")
    pyplot.switch_backend(before)


def only_axes() -> dict[str, Any]:
    (record,) = figures.records()
    (axes,) = record["axes"]
    return axes  # type: ignore[no-any-return]


def test_a_line_keeps_its_points_and_its_label(plt: ModuleType) -> None:
    plt.plot([0, 1, 2], [0, 1, 4], label="square")
    plt.plot([5, 6])
    plt.show()
    square, other = only_axes()["lines"]
    assert_array_equal(square["x"], [0.0, 1.0, 2.0])
    assert_array_equal(square["y"], [0.0, 1.0, 4.0])
    assert square["label"] == "square"
    assert_array_equal(other["x"], [0.0, 1.0])
    assert other["label"] == ""


def test_titles_labels_scales_and_legend_are_kept(plt: ModuleType) -> None:
    _, ax = plt.subplots()
    ax.loglog([1, 10], [1, 100], label="cost")
    ax.set(title="Learning", xlabel="epoch", ylabel="cost")
    ax.legend()
    plt.show()
    axes = only_axes()
    assert (axes["title"], axes["xlabel"], axes["ylabel"]) == ("Learning", "epoch", "cost")
    assert (axes["xscale"], axes["yscale"]) == ("log", "log")
    assert axes["legend"] == ["cost"]


def test_images_keep_their_pixels(plt: ModuleType) -> None:
    plt.imshow(np.array([[0, 1], [2, 3]], dtype=np.uint8), cmap="gray")
    plt.colorbar()
    plt.show()
    (image,) = only_axes()["images"]
    assert image.dtype == np.uint8
    assert_array_equal(image, [[0, 1], [2, 3]])


def test_a_heat_map_is_an_image(plt: ModuleType) -> None:
    plt.pcolormesh(np.array([[0.0, 1.0], [2.0, 3.0]]))
    plt.show()
    assert_array_equal(only_axes()["images"][0], [[0.0, 1.0], [2.0, 3.0]])


def test_images_and_heat_maps_keep_where_their_columns_and_rows_begin_and_end(
    plt: ModuleType,
) -> None:
    pixels = np.eye(2)
    plt.imshow(pixels, extent=(-1, 1, 0, 4), origin="lower")
    plt.imshow(pixels, extent=(-1, 1, 0, 4), origin="upper")
    plt.pcolormesh([-1.0, 0.0, 1.0], [0.0, 2.0, 4.0], pixels)
    plt.show()
    upright, hanging, mesh = only_axes()["extents"]
    assert_array_equal(upright, [-1.0, 1.0, 0.0, 4.0])
    assert_array_equal(hanging, [-1.0, 1.0, 4.0, 0.0])
    assert_array_equal(mesh, [-1.0, 1.0, 0.0, 4.0])


def test_contours_keep_their_vertices(plt: ModuleType) -> None:
    x = np.linspace(-1, 1, 21)
    plt.contour(x, x, np.broadcast_to(x, (21, 21)), levels=[0.3])
    plt.show()
    (vertices,) = only_axes()["contours"]
    assert len(vertices) >= 21
    np.testing.assert_allclose(vertices[:, 0], 0.3)


def test_an_open_figure_is_read_as_it_is_now(plt: ModuleType) -> None:
    plt.plot([0, 1])
    assert len(only_axes()["lines"]) == 1
    plt.plot([1, 0])
    assert len(only_axes()["lines"]) == 2


def test_bars_and_histograms_keep_x_width_and_height(plt: ModuleType) -> None:
    plt.hist([0.1, 0.2, 0.9], bins=2, range=(0, 1))
    plt.show()
    assert_array_equal(only_axes()["bars"], [[0.0, 0.5, 2.0], [0.5, 0.5, 1.0]])


@pytest.mark.parametrize("how", [{"slope": 0.5}, {"xy2": (4, 4)}])
def test_an_endless_line_goes_from_border_to_border(plt: ModuleType, how: dict[str, Any]) -> None:
    plt.axis([0, 10, -50, 50])
    plt.axline((2, 3), **how)
    plt.show()
    (line,) = only_axes()["lines"]
    assert list(line["x"]) == pytest.approx([0, 10])
    assert list(line["y"]) == pytest.approx([2, 7])


def test_scattered_points_are_kept(plt: ModuleType) -> None:
    plt.scatter([0, 1], [2, 3])
    plt.show()
    assert_array_equal(only_axes()["points"][0], [[0.0, 2.0], [1.0, 3.0]])


def test_subplots_without_data_are_empty_axes(plt: ModuleType) -> None:
    plt.subplots(2, 2)
    plt.show()
    (record,) = figures.records()
    assert [axes["lines"] for axes in record["axes"]] == [[], [], [], []]
    assert record["axes"][0]["bars"].shape == (0, 3)


def test_masked_points_are_not_numbers(plt: ModuleType) -> None:
    plt.plot(np.ma.masked_equal([1.0, 2.0], 2.0))
    plt.show()
    assert_array_equal(only_axes()["lines"][0]["y"], [1.0, np.nan])


def test_a_long_line_is_thinned(plt: ModuleType) -> None:
    plt.plot(np.arange(250_000))
    plt.show()
    y = only_axes()["lines"][0]["y"]
    assert len(y) <= figures.MAX_POINTS
    assert_array_equal(y[:3], [0.0, 3.0, 6.0])


def test_a_figure_that_the_student_closes_is_remembered(plt: ModuleType) -> None:
    plt.plot([1, 2])
    plt.close()
    assert only_axes()["lines"][0]["y"].tolist() == [1.0, 2.0]


def test_a_figure_that_is_shown_twice_is_remembered_once_as_it_was_last(plt: ModuleType) -> None:
    figure, ax = plt.subplots()
    plt.show()
    ax.plot([1, 2])
    figures.png_of(figure)
    assert len(only_axes()["lines"]) == 1


def test_showing_closes_what_is_open(plt: ModuleType) -> None:
    plt.plot([1])
    plt.show()
    plt.show()
    assert len(figures.records()) == 1
    assert plt.get_fignums() == []


def test_an_animation_is_one_figure(plt: ModuleType) -> None:
    for i in range(5):
        plt.cla()
        plt.plot([i, i])
        plt.pause(100)
    plt.show()
    assert only_axes()["lines"][0]["y"].tolist() == [4.0, 4.0]


def test_a_figure_shown_by_its_own_method_is_remembered_once(plt: ModuleType) -> None:
    figure = plt.figure()
    figure.add_subplot().plot([1, 2])
    figure.show()
    figures.flush()
    assert len(figures.records()) == 1


def test_what_is_drawn_belongs_to_the_cell_that_runs(plt: ModuleType) -> None:
    plt.plot([1])
    plt.show()
    figures.begin_cell(7)
    plt.plot([1])
    plt.show()
    assert [record["cell"] for record in figures.records()] == [4, 7]


def test_a_figure_that_can_not_be_drawn_keeps_its_data(
    plt: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[bytes, str, str]] = []
    monkeypatch.setattr(figures, "_publish", lambda *shown: sent.append(shown))
    plt.plot([1, 2])
    plt.title("$\\nonsense{$")
    plt.show()
    assert sent[0][0] == b""
    assert "can't be drawn" in sent[0][1]
    assert len(only_axes()["lines"]) == 1


def test_figures_beyond_the_bound_are_not_remembered(
    plt: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MAX_FIGURES", 2)
    for _ in range(3):
        plt.figure()
        plt.close()
    assert len(figures.records()) == 2


def png_cells(session: Session) -> list[int]:
    return [
        cell.index
        for cell in session.run.cells
        for output in cell.outputs
        if "image/png" in (output.get("data") or {})  # type: ignore[operator]
    ]


def test_where_nobody_looks_nothing_is_drawn_and_the_data_are_the_same(
    run: Callable[..., Session],
) -> None:
    sources = (
        "import matplotlib.pyplot as plt, os",
        "plt.plot([1, 2], label='y'); plt.legend(); plt.show()",
        "fig = plt.figure(); fig.gca().plot([3, 4]); fig.savefig('mine.png'); fig",
        "print(os.path.getsize('mine.png') > 1000)",
    )
    drawn, not_drawn, one_cell = (run(*sources, draw=draw) for draw in (True, False, {1}))
    assert png_cells(drawn) == [1, 2, 2]
    assert png_cells(not_drawn) == []
    assert png_cells(one_cell) == [1]
    assert not_drawn.run.cells[3].outputs == drawn.run.cells[3].outputs
    with drawn.student() as one, not_drawn.student() as other, one_cell.student() as third:
        assert_equal(one.figures, other.figures)
        assert_equal(one.figures, third.figures)


def test_a_figure_that_is_saved_where_no_folder_is_costs_nothing(
    run: Callable[..., Session],
) -> None:
    session = run(
        "import matplotlib.pyplot as plt, os",
        "plt.plot([1, 2]); plt.savefig('images/q1/mine.png'); plt.show()",
        "plt.plot([1, 2]); plt.savefig('images/mine.nothing')",
        "print(os.path.exists('images'))",
    )
    assert [cell.status for cell in session.run.cells] == ["ok", "ok", "error", "ok"]
    assert "False" in str(session.run.cells[3].outputs)


def test_figures_of_a_notebook_arrive_with_their_cells(run: Callable[..., Session]) -> None:
    session = run(
        "%matplotlib notebook\n"
        "import matplotlib; matplotlib.use('TkAgg')\n"
        "import numpy as np, matplotlib.pyplot as plt\n"
        "plt.switch_backend('Qt5Agg')\n"
        "plt.style.use('seaborn-whitegrid')",
        "x = np.linspace(0, 1, 5)\nplt.plot(x, x**2)",
        "fig, ax = plt.subplots(1, 2)\nax[0].imshow(np.eye(2))\nplt.show()\n1/0",
        "fig",
    )
    assert [cell.status for cell in session.run.cells] == ["ok", "ok", "error", "ok"]
    assert png_cells(session) == [1, 2, 3]
    with session.student() as student:
        first, second = student.figures
    assert (first["cell"], second["cell"]) == (1, 3)
    assert_array_equal(first["axes"][0]["lines"][0]["y"], np.linspace(0, 1, 5) ** 2)
    assert_array_equal(second["axes"][0]["images"][0], np.eye(2))
    assert second["axes"][1]["images"] == []


@pytest.mark.parametrize("shown", ["", "; plt.show()"], ids=["open", "shown"])
def test_what_a_called_function_draws_is_seen_by_its_check_alone(
    run: Callable[..., Session], shown: str
) -> None:
    session = run(f"import matplotlib.pyplot as plt\ndef draw(n):\n    plt.plot(range(n)){shown}")
    with session.student() as student:
        student.draw(3)
        assert len(student.figures) == 1
    with session.student() as student:
        assert student.figures == []


SAME_DATA = {
    "looks": "plt.plot(x, x**2, 'r--', lw=4); plt.title('t'); plt.xlabel('x'); plt.grid()",
    "size": "plt.figure(figsize=(9, 2)); plt.plot(x, x**2, label='l'); plt.legend()",
    "markers": "plt.scatter(x, x**2)",
    "rounding": "plt.plot(x, x * x * (1 + 1e-13))",
    "value": "fig = plt.Figure(); fig.add_subplot().plot(x, x**2); fig",
}
OTHER_DATA = {
    "values": "plt.plot(x, x**3)",
    "scale": "plt.plot(x, 2 * x**2)",
    "one more": "plt.plot(x, x**2); plt.plot(x, x)",
    "bars": "plt.bar(x, x**2)",
    "image": "plt.imshow([x, x**2])",
}
# What is drawn is not among the data that are read: the picture alone tells.
UNREAD = {
    "area": "plt.plot(x, x**2); plt.fill_between(x, x)",
    "wedges": "plt.pie([1, 2])",
    "nothing": "plt.figure()",
}


def test_a_picture_tells_what_its_figure_shows_whatever_the_looks(
    run: Callable[..., Session],
) -> None:
    sources = ["import numpy as np, matplotlib.pyplot as plt; x = np.linspace(0, 1, 33)",
               "plt.plot(x, x**2)", *SAME_DATA.values(), *OTHER_DATA.values(),
               *UNREAD.values()]  # fmt: skip
    session = run(*sources)
    told = []
    for cell in session.run.cells[1:]:
        output: Any = next(o for o in cell.outputs if "image/png" in o["data"])  # type: ignore[operator]
        told.append(output["metadata"]["image/png"]["grade_figure_data"])
    first, rest = told[0], dict(zip([*SAME_DATA, *OTHER_DATA, *UNREAD], told[1:], strict=True))
    assert first
    assert {name for name in rest if rest[name] == first} == set(SAME_DATA)
    assert len({rest[name] for name in OTHER_DATA}) == len(OTHER_DATA)
    assert [rest[name] for name in UNREAD] == ["", "", ""]


# --- formulas -----------------------------------------------------------------------------------


def loglog_figure() -> Any:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().loglog([1e-4, 1e3], [1e-8, 1e5])
    return figure


def test_the_labels_of_logarithmic_axes_are_set_once_for_all_figures() -> None:
    from matplotlib.mathtext import MathTextParser

    figures.rehearse(figures.FORMULA)
    known = MathTextParser._parse_cached.cache_info().misses
    assert figures._draw(loglog_figure()).startswith(b"\x89PNG")
    assert MathTextParser._parse_cached.cache_info().misses == known


def test_a_picture_is_the_one_that_matplotlib_draws_by_itself() -> None:
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figures.rehearse(figures.FORMULA)
    buffer = BytesIO()
    FigureCanvasAgg(loglog_figure()).print_figure(
        buffer, dpi=figures.PNG_DPI, pil_kwargs={"compress_level": 1}
    )
    assert figures._draw(loglog_figure()) == buffer.getvalue()


def test_other_settings_for_formulas_are_not_drawn_with_the_old_ones() -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    def drawn(**settings: str) -> bytes:
        figure = Figure()
        figure.text(0.5, 0.5, "$a1x$")
        with rc_context({"mathtext.default": "it", **settings}):
            return figures._draw(figure)

    first = drawn()
    assert drawn(**{"mathtext.default": "rm"}) != first == drawn()


@pytest.mark.parametrize("on", [True, False])
def test_drawing_leaves_the_collector_as_it_was(on: bool) -> None:
    import gc

    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        figures._draw(loglog_figure())
        assert gc.isenabled() == on
    finally:
        (gc.enable if was_on else gc.disable)()
