"""The one style of all figures: colours, sizes, lines, and how words of users stand in them.

A figure is pyplot's only if the caller made it: nothing here shows a window or leaves anything
behind, and what the user has set for figures of their own (`rcParams`) does not reach ours. Colours
are those of Okabe & Ito (2008), told apart by the colour-blind too; shapes and dashes tell the same
in print without colours. Words of users are never read as formulas: they are set with
``parse_math=False``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from textwrap import wrap
from threading import RLock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mlsem.base.display import cell, display_width, printable
from mlsem.errors import InterfaceError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

BLUE, RED, ORANGE, GREEN = "#0072B2", "#D55E00", "#E69F00", "#009E73"
INK, LINE, STEM, BAND = "0.15", "0.35", "0.72", "0.88"  # greys, from dark to light
METHODS = (  # colour and marker of each of several things, in turn
    ("#000000", "|"),
    (BLUE, "o"),
    (ORANGE, "s"),
    (GREEN, "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    (RED, "P"),
)
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 3)))  # of lines, in turn
SMALL, PLAIN = 8.0, 9.0  # points
LINES = 3  # of a long name
STYLE: dict[str, Any] = {
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.labelsize": PLAIN,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": PLAIN,
    "axes.unicode_minus": True,
    "figure.titlesize": PLAIN + 1,
    "font.size": PLAIN,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.title_fontsize": SMALL,
    "text.color": INK,
    "xtick.color": LINE,
    "xtick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": SMALL,
}
OTHER_SCRIPTS = (  # fonts with letters that matplotlib's own has not; those installed are used
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
)

# matplotlib has settings of the whole process only: one thread at a time takes them and gives them
# back, or the first to end would give back those of another.
_SETTINGS = RLock()

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """The function, drawing in this style whatever the user's `rcParams` are.

    Raises
    ------
    InterfaceError
        matplotlib is not installed.
    """

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> T:
        with style():
            return draw(*args, **kwargs)

    return in_style


@contextmanager
def style(further: Mapping[str, Any] | None = None) -> Iterator[None]:
    """This style, and `further` settings of matplotlib; afterwards the user's as they were."""
    try:
        import matplotlib.figure  # noqa: F401
        from matplotlib import rc_context
        from matplotlib.style import context
    except ImportError as error:
        raise InterfaceError(
            f"figures need matplotlib ({error}): pip install matplotlib", name="matplotlib"
        ) from error
    settings: Any = {**STYLE, "font.sans-serif": _fonts(), **(further or {})}
    with _SETTINGS, context("default"), rc_context(settings):
        yield


@cache
def _fonts() -> list[str]:
    """matplotlib's own font, then those that are installed of other scripts."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed)]


def blank(width: float, height: float, given: Figure | None) -> Figure:
    """A figure of that size in inches, or the given one; neither pyplot's nor shown."""
    if given is None:
        from mlsem.report.figures.drawing import Drawing

        return Drawing(figsize=(width, height), layout="constrained")
    from matplotlib.figure import Figure

    if isinstance(given, Figure) and given.get_layout_engine() is None:
        given.set_layout_engine("constrained")
    return given


# --- axes -----------------------------------------------------------------------------------------


def plain_axes(ax: Axes) -> None:
    """Lines at the left and below alone, small ticks; also in a figure of the user's style."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """A row for each label, from above, and no frame but the axis below."""
    ax.set_yticks(range(len(labels)))
    ax.set_yticklabels(labels, fontsize=SMALL, parse_math=False)
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def row_height(labels: Sequence[str], least: float) -> float:
    """Inches of a row, in which the label with most lines has room."""
    most = max((label.count("\n") + 1 for label in labels), default=1)
    return max(least, 0.14 * most + 0.1)


# --- words ----------------------------------------------------------------------------------------


def plain_words(legend: Legend) -> None:
    """Words of users in a legend are no formulas."""
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)


def say(ax: Axes, words: str, place: tuple[float, float], **style: Any) -> None:
    """Words some points away from a place."""
    ax.annotate(
        words,
        place,
        textcoords="offset points",
        annotation_clip=False,
        parse_math=False,
        **style,
    )


def say_at_the_right(ax: Axes, words: str, y: float, **style: Any) -> None:
    """Words outside the axes, at a value of y."""
    across = ax.get_yaxis_transform()
    say(ax, words, (1.0, y), xycoords=across, xytext=(3, 0), va="center", **style)


def broken(name: str, width: int) -> str:
    """A long name on several lines: broken behind its operator, and between words; a word that is
    longer than the width is shortened."""
    name = printable(name)
    if display_width(name) <= width:
        return name
    for operator in ("=~", "~~", "~"):
        left, sign, right = name.partition(operator)
        if sign:
            head = _wrapped(left.rstrip(), width - 1 - len(sign))
            return f"{head} {sign}\n{_wrapped(right.lstrip(), width)}"
    return _wrapped(name, width)


def _wrapped(name: str, width: int) -> str:
    """On `LINES` lines at most."""
    if display_width(name) <= width:
        return name
    words = " ".join(cell(word, width) for word in name.split())
    if display_width(words) > len(words):
        return cell(name, width)  # wide characters, which textwrap counts as narrow
    return "\n".join(wrap(words, width, max_lines=LINES, placeholder=" …"))
