"""Loadings and intercepts of each group, as figures show them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mlsem.errors import OptionValueError, nearest
from mlsem.inference.covariance.intervals import wald
from mlsem.model.table import ParameterTable
from mlsem.report.figures.by_group import Panel
from mlsem.results.result import FitResult

MOST = 24  # panels that are drawn unless others are asked for


def panels_of(fit: FitResult, parameters: str | Iterable[str] | None, level: float) -> list[Panel]:
    """Of these parameters, named as in group 1; by default of free loadings, then intercepts.

    Raises
    ------
    OptionValueError
        There is no such parameter.
    """
    by_name = _measurement(fit)
    if parameters is None:
        names = list(by_name)[:MOST]
    else:
        names = [parameters] if isinstance(parameters, str) else list(parameters)
    for name in names:
        if name not in by_name:
            raise OptionValueError(
                f"parameters: {name!r} is no free loading or intercept of the first step."
                f"{nearest(str(name), by_name)}"
            )
    tests = wald(fit.estimates, fit.covariance.se, fit.covariance.df, level)
    triples = [column.tolist() for column in (tests.est, tests.lower, tests.upper)]
    panels = []
    for name in names:
        known = [
            (np.nan,) * 3 if place is None else tuple(column[place] for column in triples)
            for place in by_name[name]
        ]
        values = [each[0] for each in known]
        limits = [(low, high) for _, low, high in known]
        panels.append(Panel(name, values, limits, float(np.nanmean(values))))
    return panels


def _measurement(fit: FitResult) -> dict[str, list[int | None]]:
    """Free loadings, then intercepts of observed variables, with their positions group by group;
    None in a group that does not have one."""
    groups = fit._estimates.groups
    found: dict[str, dict[str, list[int | None]]] = {"=~": {}, "~1": {}}
    for number, group in enumerate(groups):
        table = group.estimates.table
        latent = _latent(table)
        for row in table.rows:
            if row.free < 0 or row.op not in found:
                continue
            if row.op == "~1" and (row.level, row.lhs) in latent:
                continue
            suffix = f".l{table.level_labels[1]}" if row.level == 2 else ""
            name = f"{row.lhs}{row.op}{row.rhs}{suffix}"
            places = found[row.op].setdefault(name, [None] * len(groups))
            places[number] = int(group.places[row.free])
    return found["=~"] | found["~1"]


def _latent(table: ParameterTable) -> set[tuple[int, str]]:
    return {(level, name) for level, each in enumerate(table.levels, 1) for name in each.latent}
