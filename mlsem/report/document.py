"""What a summary says, before anybody decides how it looks: frozen records of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, isnan


@dataclass(frozen=True, slots=True)
class TableRow:
    """One parameter as it is printed.

    Attributes
    ----------
    group : str
        The sub-heading that it stands under (`fw =~`, `y ~`); empty for none.
    name : str
        The right-hand side, or the only variable; `.` before endogenous names, as in lavaan.
    label : str
        The user's label, or empty.
    est, se, stat, pvalue : float
        NaN prints as a blank. `se` is 0 where the parameter is fixed.
    df : float
        Degrees of freedom of the test; inf for z tests.
    lower, upper : float or None
        Confidence limits; None where no interval was asked for.
    std_lv, std_all : float or None
        Standardized estimates; None where they were not asked for.
    fmi : float or None
        Fraction of missing information, of pooled estimates.
    """

    group: str
    name: str
    label: str
    est: float
    se: float
    stat: float
    pvalue: float
    df: float = inf
    lower: float | None = None
    upper: float | None = None
    std_lv: float | None = None
    std_all: float | None = None
    fmi: float | None = None

    @property
    def fixed(self) -> bool:
        """Whether only the estimate is worth printing."""
        return self.se == 0.0

    @property
    def has_df(self) -> bool:
        """Whether this row has a t test."""
        return isfinite(self.df) and not isnan(self.df)

    @property
    def has_interval(self) -> bool:
        """Whether an interval was asked for."""
        return self.lower is not None and self.upper is not None


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """Some facts about the whole fit.

    Attributes
    ----------
    title : str
        With its colon; empty for none.
    rows : tuple of (label, cell, …)
        One cell for each of the heads, or one where there are none; empty cells are blank.
    heads : tuple of str
        Over the cells.
    words : str
        Sentences for the end of the block.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    heads: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """The rows under one title: `Latent Variables`, `Regressions`, `Variances`, …; `fields` are the
    columns that they can have, None for all."""

    title: str
    lines: tuple[TableRow, ...]
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LevelSection:
    """The blocks of one level; `title` is `Level 1 [within]`, or empty for a single level. `above`
    is the title of the group that begins with it, `Group 1 [a]`, or empty."""

    title: str
    blocks: tuple[Block, ...]
    above: str = ""

    @property
    def titles(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(filter(None, (self.above, self.title)))


@dataclass(frozen=True, slots=True)
class SummaryDocument:
    """A whole summary.

    Attributes
    ----------
    title : str
        The first line.
    header : tuple of HeaderBlock
    levels : tuple of LevelSection
    defined : tuple of TableRow
        The `:=` parameters.
    notes : tuple of str
        Sentences for the end.
    """

    title: str
    header: tuple[HeaderBlock, ...] = ()
    levels: tuple[LevelSection, ...] = ()
    defined: tuple[TableRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[LevelSection, ...]:
        """The levels, and the defined parameters as a section of their own at the end."""
        if not self.defined:
            return self.levels
        return (*self.levels, LevelSection("", (Block("Defined Parameters", self.defined),)))

    @property
    def rows(self) -> tuple[TableRow, ...]:
        """Every row of every section."""
        return tuple(
            row for section in self.sections for block in section.blocks for row in block.lines
        )


@dataclass(frozen=True, slots=True)
class Column:
    """A numeric column of the parameter tables: its heading and the field that fills it."""

    title: str
    field: str


def columns(rows: tuple[TableRow, ...]) -> tuple[Column, ...]:
    """The columns that these rows need: t and df where a test has df, limits where given."""
    with_df = any(row.has_df for row in rows)
    letter = "t" if with_df else "z"
    shown = [Column("Estimate", "est"), Column("Std.Err", "se"), Column(f"{letter}-value", "stat")]
    if with_df:
        shown.append(Column("df", "df"))
    shown.append(Column(f"P(>|{letter}|)", "pvalue"))
    if any(row.has_interval for row in rows):
        shown += [Column("ci.lower", "lower"), Column("ci.upper", "upper")]
    if any(row.std_all is not None for row in rows):
        shown += [Column("Std.lv", "std_lv"), Column("Std.all", "std_all")]
    if any(row.fmi is not None for row in rows):
        shown.append(Column("FMI", "fmi"))
    return tuple(shown)
