"""Parameter rows → the blocks of a summary, in lavaan's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlsem.report.document import Block, LevelSection, TableRow


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A row of the table of estimates, as `sections` takes it.

    `op` is `=~`, `~`, `~~`, `~1`, `r2` or `:=`; `level` is 0 for `:=`. A row that is `hidden` is
    left out (moments of fixed covariates).
    """

    lhs: str
    op: str
    rhs: str
    level: int
    label: str
    est: float
    se: float
    stat: float
    pvalue: float
    df: float
    lower: float | None
    upper: float | None
    hidden: bool
    std_lv: float | None = None
    std_all: float | None = None
    group: int = 1
    fmi: float | None = None


TITLES = (
    "Latent Variables",
    "Regressions",
    "Covariances",
    "Intercepts",
    "Variances",
    "R-Square",
)

FIELDS = {"R-Square": ("est", "se", "df", "lower", "upper")}  # without tests


def sections(
    rows: Iterable[ParameterRow],
    titles: Mapping[int, str] | None = None,
    groups: Sequence[str] = (),
) -> tuple[tuple[LevelSection, ...], tuple[TableRow, ...]]:
    """Arrange parameter rows for a `SummaryDocument`.

    Parameters
    ----------
    rows : iterable of ParameterRow
        In the order of the parameter table.
    titles : mapping of int to str, optional
        The title of each level; a level without one has none.
    groups : sequence of str
        The title of each group, of several.

    Returns
    -------
    levels : tuple of LevelSection
        Group by group; Latent Variables, Regressions, Covariances, Intercepts, Variances,
        R-Square; empty ones left out.
    defined : tuple of TableRow
        The `:=` rows.
    """
    shown = [row for row in rows if not row.hidden]
    by_group: dict[int, list[ParameterRow]] = {}
    for row in sorted(shown, key=lambda row: row.group):
        if row.op != ":=":
            by_group.setdefault(row.group, []).append(row)
    levels = tuple(
        section
        for number, own in by_group.items()
        for section in _levels(own, titles or {}, groups[number - 1] if groups else "")
    )
    defined = tuple(_table_row(row, "", row.lhs, "") for row in shown if row.op == ":=")
    return levels, defined


def _levels(
    rows: list[ParameterRow], titles: Mapping[int, str], group: str
) -> Iterator[LevelSection]:
    """Of one group, whose title stands above the first."""
    endogenous = endogenous_names(rows)
    for level in sorted({row.level for row in rows}):
        own = [row for row in rows if row.level == level]
        yield LevelSection(titles.get(level, ""), _blocks(own, endogenous), group)
        group = ""


def endogenous_names(rows: Iterable[ParameterRow]) -> frozenset[str]:
    """Indicators and left-hand sides of regressions, at whatever level: lavaan's dotted names."""
    pool = list(rows)
    return frozenset(row.rhs for row in pool if row.op == "=~") | frozenset(
        row.lhs for row in pool if row.op == "~"
    )


def _blocks(rows: list[ParameterRow], endogenous: frozenset[str]) -> tuple[Block, ...]:
    by_title: dict[str, list[TableRow]] = {title: [] for title in TITLES}
    for row in rows:
        title, group, name = _place(row, endogenous)
        by_title[title].append(_table_row(row, group, name, row.label))
    return tuple(
        Block(title, _gathered(lines), FIELDS.get(title))
        for title, lines in by_title.items()
        if lines
    )


def _place(row: ParameterRow, endogenous: frozenset[str]) -> tuple[str, str, str]:
    """Block, sub-heading and printed name of a row."""

    def dotted(name: str) -> str:
        return f".{name}" if name in endogenous else name

    match row.op:
        case "=~":
            return "Latent Variables", f"{row.lhs} =~", row.rhs
        case "~":
            return "Regressions", f"{row.lhs} ~", row.rhs
        case "~~" if row.lhs == row.rhs:
            return "Variances", "", dotted(row.lhs)
        case "~~":
            return "Covariances", f"{dotted(row.lhs)} ~~", dotted(row.rhs)
        case "r2":
            return "R-Square", "", row.lhs
        case _:
            return "Intercepts", "", dotted(row.lhs)


def _gathered(lines: list[TableRow]) -> tuple[TableRow, ...]:
    """The lines with equal sub-headings together, in the order of their first."""
    order = {group: i for i, group in enumerate(dict.fromkeys(line.group for line in lines))}
    return tuple(sorted(lines, key=lambda line: order[line.group]))


def _table_row(row: ParameterRow, group: str, name: str, label: str) -> TableRow:
    numbers = row.est, row.se, row.stat, row.pvalue, row.df, row.lower, row.upper
    return TableRow(group, name, label, *numbers, row.std_lv, row.std_all, row.fmi)
