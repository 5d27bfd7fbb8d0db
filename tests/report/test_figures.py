"""Figures: what is in them, and that they leave nothing behind."""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Iterator
from io import BytesIO
from math import nan

import pytest
from matplotlib import pyplot, rc_context
from matplotlib.figure import Figure

from mlsem.errors import InterfaceError
from mlsem.report.figures import style
from mlsem.report.figures.leverage import LeveragePanel, leverage
from mlsem.report.figures.standard_errors import se_comparison

SHARES = [0.1, 0.6, 0.0, 0.3]
LABELS = ["a", "b", "c", "d"]
ROWS = [5, 10, 20, 5]
NAMES = ["y~x1", "y~w1:x1", "y~1.l2"]
RATIOS = {"standard": [1.0, 1.02, 0.99], "MLR": [1.4, 0.9, nan], "CR2": [1.5, 1.0, 1.2]}
BANDS = [(0.8, 1.3), (0.7, 1.4), (nan, nan)]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    before = dict(pyplot.rcParams), pyplot.get_fignums()
    yield
    assert (dict(pyplot.rcParams), pyplot.get_fignums()) == before


def panels(count):
    return [LeveragePanel(f"y~x{k}", SHARES, 2.2) for k in range(count)]


def words(ax):
    return [text.get_text() for text in ax.texts]


def png(figure):
    target = BytesIO()
    figure.savefig(target, dpi=40)
    return target.getvalue()


# --- leverage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 4, 5, 13])
def test_a_panel_for_each_parameter(count):
    figure = leverage(panels(count), LABELS, ROWS, "id")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [f"y~x{k}" for k in range(count)]
    assert count > 4 or png(figure).startswith(b"\x89PNG")


def test_clusters_are_in_the_order_of_their_shares():
    (ax,) = leverage(panels(1), LABELS, ROWS, "id").axes
    _stems, others, largest = ax.collections
    assert largest.get_offsets().tolist() == [[1.0, 0.6]]
    assert others.get_offsets().tolist() == [[2.0, 0.3], [3.0, 0.1], [4.0, 0.0]]
    assert words(ax) == ["b", "1/4"]
    assert ax.get_xlabel() == "2.2 effective"
    assert [line.get_ydata()[0] for line in ax.lines] == [0.25]


def test_areas_go_with_the_rows():
    figure = leverage(panels(1), LABELS, ROWS, "id")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["5", "20"]
    small, large = (line.get_markersize() ** 2 for line in legend.get_lines())
    assert large / small == pytest.approx(4.0)


def test_no_legend_of_sizes_where_all_are_equal():
    assert leverage(panels(1), LABELS, [7, 7, 7, 7], "id").legends == []


def test_a_parameter_that_is_not_free():
    (ax,) = leverage([LeveragePanel("p", [nan] * 4, nan)], LABELS, ROWS, "id").axes
    assert words(ax) == ["not free"]


def test_rows_are_read_a_few_times_however_many_clusters_there_are() -> None:
    class Counted(list[int]):
        times = 0

        def __iter__(self) -> Iterator[int]:
            self.times += 1
            return super().__iter__()

    rows = Counted([3] * 99 + [7])
    leverage([LeveragePanel("y~x", [0.01] * 100, 100.0)], list(map(str, range(100))), rows, "id")
    assert 0 < rows.times < 20


def test_many_clusters():
    shares = [1 / 5000] * 5000
    labels = [str(k) for k in range(5000)]
    figure = leverage([LeveragePanel("y~x", shares, 5000.0)], labels, [3] * 4999 + [900], "id")
    assert png(figure)


def test_long_names_and_dollars_are_words():
    name = "achievement_in_$mathematics$_grade_9~socio_economic_status_of_the_family"
    label = "$Saint Mary's$ Secondary School for Girls"
    figure = leverage([LeveragePanel(name, SHARES, 2.2)], [label] * 4, ROWS, "$id$")
    (ax,) = figure.axes
    first, second = ax.get_title(loc="left").split("\n")
    assert first.endswith(" ~")
    assert second == "socio_economic_status_of_the_family"[:16] + "…" + name[-17:]
    assert not ax.texts[0].get_parse_math()
    assert "…" in words(ax)[0]
    assert png(figure)


def test_draws_in_a_given_figure():
    given = Figure(figsize=(4, 3))
    assert leverage(panels(2), LABELS, ROWS, "id", given) is given
    assert given.get_size_inches().tolist() == [4.0, 3.0]
    whole = Figure(figsize=(9, 3), layout="constrained")
    left, right = whole.subfigures(1, 2)
    assert leverage(panels(1), LABELS, ROWS, "id", left) is left
    assert len(se_comparison(NAMES, RATIOS, BANDS, figure=right).axes) == 1
    assert png(whole)


# --- standard errors ------------------------------------------------------------------------------


def test_a_row_for_each_coefficient_and_a_dot_for_each_method():
    figure = se_comparison(NAMES, RATIOS)
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == NAMES
    assert [len(dots.get_offsets()) for dots in ax.collections] == [3, 2, 3]
    assert ax.get_xscale() == "log"
    low, high = ax.get_ylim()
    assert low > high, "the first coefficient stands above"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(RATIOS)


def test_coefficients_outside_their_band_are_marked():
    figure = se_comparison(NAMES, RATIOS, BANDS)
    (ax,) = figure.axes
    assert words(ax) == ["1.50"]
    weights = [label.get_fontweight() for label in ax.get_yticklabels()]
    assert weights == ["bold", "normal", "normal"]
    assert [bar.get_x() for bar in ax.patches] == pytest.approx([0.8, 0.7])
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.5, 0.7])
    assert "CR2 if the model is right" in [t.get_text() for t in figure.legends[0].get_texts()]
    assert png(figure)


def test_the_band_belongs_to_a_method():
    (ax,) = se_comparison(NAMES, RATIOS, BANDS, banded="standard").axes
    assert words(ax) == []


@pytest.mark.parametrize("values", [[1.0], [0.01, 40.0], [1.0001, 0.9999]])
def test_one_is_always_on_the_axis(values):
    names = NAMES[: len(values)]
    (ax,) = se_comparison(names, {"CR2": values}).axes
    low, high = ax.get_xlim()
    assert low < min(values) <= max(values) < high
    assert 1.0 in ax.get_xticks()
    assert len(ax.get_xticks()) <= 12


# --- without matplotlib ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw",
    [lambda: leverage(panels(1), LABELS, ROWS, "id"), lambda: se_comparison(NAMES, RATIOS)],
)
def test_says_what_to_install(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InterfaceError, match="pip install matplotlib") as caught:
        draw()
    assert caught.value.name == "matplotlib"


def test_colours_of_methods_are_told_apart_by_shape_too():
    assert len({marker for _, marker in style.METHODS}) == len(style.METHODS)


# --- in notebooks and files -----------------------------------------------------------------------


def test_a_notebook_draws_it_once_and_sharp():
    figure = leverage(panels(1), LABELS, ROWS, "id")
    image, size = figure._repr_png_()
    pixels = struct.unpack(">II", image[16:24])
    assert pixels == (2 * size["width"], 2 * size["height"])
    assert size["width"] == 100 * figure.get_size_inches()[0]


def test_figures_pickle():
    figure = leverage(panels(2), LABELS, ROWS, "id")
    again = pickle.loads(pickle.dumps(figure))
    assert type(again) is type(figure)
    assert [ax.get_title(loc="left") for ax in again.axes] == ["y~x0", "y~x1"]


def test_the_users_own_style_stays_outside():
    """A dark background, TeX and large letters are for the figures that the user makes."""
    with rc_context({"axes.facecolor": "black", "text.usetex": True, "font.size": 30.0}):
        figure = leverage(panels(1), ["$a_b$", *LABELS[1:]], ROWS, "a_$id$")
        image, _ = figure._repr_png_()
    plain, _ = leverage(panels(1), ["$a_b$", *LABELS[1:]], ROWS, "a_$id$")._repr_png_()
    assert image == plain


@pytest.mark.parametrize("inline", [False, True])
def test_ipython_shows_one_picture(inline):
    """With `%matplotlib inline`, which registers a printer of figures, and without it."""
    formatters = pytest.importorskip("IPython.core.formatters")
    printed = formatters.DisplayFormatter()
    if inline:
        from IPython.core.pylabtools import print_figure

        png = printed.formatters["image/png"]
        png.for_type(Figure, lambda figure: print_figure(figure, "png"))
    data, metadata = printed.format(leverage(panels(1), LABELS, ROWS, "id"))
    assert set(data) == {"text/plain", "image/png"}
    assert inline or metadata["image/png"]["width"] == 640
