"""The parameters of several fits in rows: what is the same parameter stands in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from mlsem.errors import OptionValueError, listed, nearest
from mlsem.report.cells import format_number, format_pvalue, starred
from mlsem.report.export.grid import GridRow
from mlsem.report.labels import Labels
from mlsem.results.groups import group_titles
from mlsem.results.summary import level_titles
from mlsem.results.summary_table.records import Asked, Column, Key, Statistic, method_of
from mlsem.results.tables import random_slopes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlsem.results.summary_table.records import AnyFit

OPERATORS = {
    "=~": "Latent variables",
    "~": "Regressions",
    "~1": "Intercepts",
    "~~": "Covariances",
    ":=": "Defined parameters",
}
VARIANCES = "Variances"


def column_of(fit: AnyFit, asked: Asked) -> Column:
    table = fit.table
    if asked.standardized is None:
        frame = fit.parameter_estimates(level=asked.level)
    else:
        frame = method_of(fit, "standardized")(asked.standardized, level=asked.level)
        frame = frame.rename(columns={"est_std": "est"})
    lines: list[dict[str, Any]] = frame.to_dict("records")
    own = [row for row in table.rows if not table.is_auxiliary(row)]
    means = {slope: table.rows[k] for k, slope in random_slopes(table).items()}
    groups = dict(enumerate(group_titles(table), start=1))
    predicted = {row.lhs for row in table.rows if row.op == "~"}
    cells: dict[Key, Mapping[str, Any]] = {}
    slopes: list[str] = []
    for k, line in enumerate(lines):
        level, op, lhs, rhs = line["level"], line["op"], line["lhs"], line["rhs"]
        group = groups.get(line["group"], "")
        if k < len(own) and own[k].exo:
            continue
        if op == "~1" and line["se"] == 0.0 and line["est"] == 0.0:
            continue  # an intercept that is not there
        if op == "~~" and lhs > rhs:
            lhs, rhs = rhs, lhs
        key = level, group, op, lhs, "" if op == ":=" else rhs
        if op == "~1" and lhs in means and lhs not in predicted:
            path = means[lhs]  # the mean of a random slope is the path of all other models
            above = path.level, group, "~", path.lhs, path.rhs
            if isnan(cells[above]["est"]):
                key = above
                slopes.append(_name(above, asked.labels))
        cells[key] = line
    cells = {key: line for key, line in cells.items() if not isnan(line["est"])}
    return Column(fit, cells, level_titles(table.level_labels), tuple(slopes))


def with_products_alike(columns: Sequence[Column]) -> list[Column]:
    """A product is the same whatever the order of its factors: it has its first name in all."""
    first: dict[Key, Key] = {}

    def named(key: Key) -> Key:
        return first.setdefault((*key[:4], _in_order(key[4])), key)

    return [
        replace(column, cells={named(key): line for key, line in column.cells.items()})
        for column in columns
    ]


def _in_order(text: str) -> str:
    """`y~w1:x1` of `y~x1:w1`, and `w1:x1` of `x1:w1`."""
    left, tilde, right = text.rpartition("~")
    return f"{left}{tilde}{':'.join(sorted(right.split(':')))}"


def ordered(columns: Sequence[Column], asked: Asked) -> list[Key]:
    """The rows of all fits: by group, level and kind, in the order in which they come."""
    keys = list(dict.fromkeys(key for column in columns for key in column.cells))
    if asked.rows is not None:
        keys = _chosen(keys, asked.rows)
    if asked.levels is not None:
        wanted = {_level(columns, each) for each in asked.levels}
        keys = [key for key in keys if key[0] in wanted]
    groups = list(dict.fromkeys(key[1] for key in keys))
    kinds = list(OPERATORS)

    def place(key: Key) -> tuple[Any, ...]:
        level, group, op, lhs, rhs = key
        return level == 0, groups.index(group), level, kinds.index(op), op == "~~" and lhs == rhs

    return sorted(keys, key=place)


def _level(columns: Sequence[Column], asked: int | str) -> int:
    """Its number, by the first fit that has such a level; else the first fit says which it has."""
    for column in columns:
        with suppress(OptionValueError):
            return column.fit.table.level_number(asked)
    return columns[0].fit.table.level_number(asked)


def _chosen(keys: list[Key], rows: tuple[str, ...]) -> list[Key]:
    """The rows of these operators and names.

    Raises
    ------
    OptionValueError
        There is no such row.
    """
    names = {key: _name(key, Labels()).replace(" ", "") for key in keys}
    found: set[Key] = set()
    for row in rows:
        asked = row.replace(" ", "")
        same = _in_order(asked)
        own = {
            key
            for key in keys
            if asked == key[2] or same in (_in_order(names[key]), _in_order(key[4]))
        }
        if not own:
            known = list(dict.fromkeys(names.values()))
            raise OptionValueError(
                f"rows={row!r}: the fits have no such row. They have {listed(known)}."
                + nearest(asked, known)
            )
        found |= own
    return [key for key in keys if key in found]


def _name(key: Key, labels: Labels) -> str:
    _, _, op, lhs, rhs = key
    if op == ":=":
        return lhs
    if op == "~1":
        return f"{labels.variable(lhs)} ~ 1"
    return f"{labels.variable(lhs)} {op} {labels.variable(rhs)}"


def _short(key: Key, labels: Labels) -> str:
    """Under the heading of its kind: of an intercept or a variance the variable alone."""
    _, _, op, lhs, rhs = key
    alone = op == "~1" or (op == "~~" and lhs == rhs)
    return labels.variable(lhs) if alone else _name(key, labels)


def parameter_rows(
    columns: Sequence[Column], keys: Sequence[Key], asked: Asked
) -> Iterator[GridRow]:
    before: tuple[Any, ...] = (None, None)
    block = ""
    titles = {level: title for column in columns for level, title in column.titles.items()}
    for key in keys:
        level, group, op, lhs, rhs = key
        if (group, level) != before:
            title = ": ".join(filter(None, (group, titles.get(level, ""))))
            title = title or OPERATORS[":="] * (op == ":=")
            if title:
                yield GridRow((title,), "level")
            before, block = (group, level), title
        own = VARIANCES if op == "~~" and lhs == rhs else OPERATORS[op]
        if own != block:
            yield GridRow((own,), "block")
            block = own
        yield GridRow((_short(key, asked.labels), *(_estimate(c, key, asked) for c in columns)))
        for statistic in asked.statistics:
            under = [_under(column, key, statistic, asked) for column in columns]
            if any(under):
                yield GridRow(("", *under), "below")


def _estimate(column: Column, key: Key, asked: Asked) -> str:
    line = column.cells.get(key)
    if line is None:
        return ""
    text = format_number(line["est"], asked.digits)
    return starred(text, line["pvalue"]) if asked.stars and key[2] != "~~" else text


def _under(column: Column, key: Key, statistic: Statistic, asked: Asked) -> str:
    line = column.cells.get(key)
    return "" if line is None else under(line, statistic, asked.digits)


def under(line: Mapping[str, Any], statistic: Statistic, digits: int) -> str:
    """What stands below an estimate; nothing below a fixed one."""
    if not line["se"] > 0.0:
        return ""
    match statistic:
        case "se":
            return f"({format_number(line['se'], digits)})"
        case "ci":
            limits = (format_number(line[side], digits) for side in ("ci_lower", "ci_upper"))
            return f"[{', '.join(limits)}]"
        case "t":
            letter = "t" if isfinite(line["df"]) else "z"
            text = format_number(line["stat"], digits)
            return f"{letter} = {text}" if text else ""
        case "p":
            if not (text := format_pvalue(line["pvalue"], digits)):
                return ""
            return f"p {text}" if text.startswith("<") else f"p = {text}"
        case "df":
            return f"df = {line['df']:.1f}" if isfinite(line["df"]) else ""
