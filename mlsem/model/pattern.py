"""Parameter table → RAM pattern: where each parameter stands in which matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mlsem.base.caching import remember
from mlsem.core.implied.pattern import Carriers, LevelPattern, ModelPattern, PatternMatrix
from mlsem.core.records import Array, Index, frozen
from mlsem.core.sample.saturated import SaturatedMoments
from mlsem.model.elements import LevelVariables
from mlsem.model.table import ParameterTable, Row

Cells = list[tuple[int, int, int]]


def build_pattern(table: ParameterTable, maps: Mapping[str, Array]) -> ModelPattern:
    """The pattern of a table.

    Parameters
    ----------
    maps : mapping of name to (D,)
        Each observed variable of the table as a map of the stored data row h.
    """
    width = len(next(iter(maps.values())))
    levels = tuple([_level(layout, maps, width) for layout in _layouts(table)])
    carriers = _carriers(table, levels[0], maps, width) if table.slopes else None
    effects = len(table.split) + len(table.slopes)
    raised = frozen(np.array(_raised(table), dtype=np.intp))
    pattern = ModelPattern(levels, effects, len(table.names), carriers, raised)
    return _by_class(pattern, table.classes) if table.classes else pattern


def _by_class(pattern: ModelPattern, labels: tuple[str, ...]) -> ModelPattern:
    """The one outcome as that of each class of rows, whose residual variances stand in one cell."""
    within, count = pattern.within, len(labels)
    cells, (name,), every = within.exogenous, within.names, np.arange(count)
    exogenous = PatternMatrix(
        constants=frozen(np.tile(cells.constants, (count, 1))),
        rows=np.repeat(every, len(cells.rows)),
        cols=np.tile(cells.cols, count),
        params=np.tile(cells.params, count),
    )
    variances = np.zeros((count, count))
    level = replace(
        within,
        names=tuple(f"{name}[{label}]" for label in labels),
        directed=_matrix(variances, []),
        symmetric=PatternMatrix(frozen(variances), every, every, within.symmetric.params),
        exogenous=exogenous,
        observed=frozen(every),
        responses=frozen(np.tile(within.responses, (count, 1))),
    )
    effects = replace(pattern.random_effects, everywhere=True)
    return replace(pattern, levels=(level, pattern.between), carriers=effects)


def _raised(table: ParameterTable) -> list[int]:
    """The observed rows of level 2 that have a part at level 3."""
    if not table.three_level:
        return []
    columns = _layouts(table)[1].columns
    return [columns.index(name) for name in table.raised]


def _carriers(
    table: ParameterTable, within: LevelPattern, maps: Mapping[str, Array], width: int
) -> Carriers:
    """What each random effect acts on, and through which covariate."""
    constant = np.eye(1, width)[0]
    rows = {within.names[k]: row for row, k in enumerate(within.observed.tolist())}
    effects = [(name, constant) for name in table.split]
    effects += [(slope.outcome, maps[slope.carrier]) for slope in table.slopes]
    return Carriers(
        responses=frozen(np.array([rows[name] for name, _ in effects], dtype=np.intp)),
        maps=frozen(np.array([carrier for _, carrier in effects])),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What the table alone says of a level's pattern; `columns` are the observed rows' names."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    observed: Index
    covariates: tuple[str, ...]
    means: bool
    directed: PatternMatrix
    symmetric: PatternMatrix
    exogenous: PatternMatrix


@remember
def _layouts(table: ParameterTable) -> tuple[_Layout, ...]:
    """By level, as `Pattern.levels`: above a single level there is one without variables."""
    effects = [table.split, table.split + tuple(slope.name for slope in table.slopes)]
    blocks = [(block.rows, block.variables) for block in table.blocks]
    if len(blocks) == 1:
        blocks.append(((), LevelVariables((), (), ())))
    if table.three_level:
        effects.append(table.raised)
        rows, second = blocks[1]
        blocks[1] = rows, replace(second, modelled=second.modelled + table.passing)
    return tuple(
        _layout(*block, first, table.meanstructure)
        for block, first in zip(blocks, effects, strict=True)
    )


def _layout(
    rows: tuple[Row, ...], variables: LevelVariables, first: tuple[str, ...], means: bool
) -> _Layout:
    """One level; the variables `first` come first in its observed rows."""
    names = variables.latent + variables.modelled
    place = {name: k for k, name in enumerate(names)}
    observed = [*first, *(name for name in variables.modelled if name not in first)]
    if not names:
        observed = []
    column = {name: k + means for k, name in enumerate(variables.covariates)}
    size, k = len(names), len(column) + means
    matrices = {
        "directed": (np.zeros((size, size)), []),
        "symmetric": (np.zeros((size, size)), []),
        "exogenous": (np.zeros((size, k)), []),
    }
    for row in rows:
        cell = _cell(row, place, column)
        if cell is None or row.exo:
            continue
        kind, i, j = cell
        constants, free = matrices[kind]
        if row.free >= 0:
            free.append((i, j, row.free))
        else:
            constants[i, j] = row.fixed
            if kind == "symmetric":
                constants[j, i] = row.fixed
    return _Layout(
        names=names,
        columns=tuple(observed),
        observed=frozen(np.array([place[name] for name in observed], dtype=np.intp)),
        covariates=variables.covariates,
        means=means,
        directed=_matrix(*matrices["directed"]),
        symmetric=_matrix(*matrices["symmetric"]),
        exogenous=_matrix(*matrices["exogenous"]),
    )


def _level(layout: _Layout, maps: Mapping[str, Array], width: int) -> LevelPattern:
    """A random slope is among the observed rows although no data show it: its response is zero."""
    zeros, constant = np.zeros(width), np.eye(1, width)
    responses = [maps.get(name, zeros) for name in layout.columns]
    covariates = [*constant[: layout.means], *(maps[name] for name in layout.covariates)]
    return LevelPattern(
        names=layout.names,
        directed=layout.directed,
        symmetric=layout.symmetric,
        exogenous=layout.exogenous,
        observed=layout.observed,
        responses=frozen(np.array(responses).reshape(-1, width)),
        covariates=frozen(np.array(covariates).reshape(-1, width)),
    )


def _cell(
    row: Row, place: Mapping[str, int], column: Mapping[str, int]
) -> tuple[str, int, int] | None:
    """Matrix and position of a row; None for rows of covariates and of no mean structure."""
    if row.op == "=~":
        return "directed", place[row.rhs], place[row.lhs]
    if row.op == "~":
        if row.rhs in place:
            return "directed", place[row.lhs], place[row.rhs]
        return "exogenous", place[row.lhs], column[row.rhs]
    if row.op == "~~" and row.lhs in place and row.rhs in place:
        i, j = place[row.lhs], place[row.rhs]
        return "symmetric", max(i, j), min(i, j)
    if row.op == "~1" and row.lhs in place:
        return "exogenous", place[row.lhs], 0
    return None


# --- parts of covariates --------------------------------------------------------------------------


def level_names(table: ParameterTable) -> tuple[tuple[str, ...], ...]:
    """Observed variables of each level, those with a part at both levels first."""
    return tuple(
        table.split
        + tuple(name for name in level.modelled + level.covariates if name not in table.split)
        for level in table.levels
    )


def with_saturated_moments(
    table: ParameterTable,
    pattern: ModelPattern,
    saturated: SaturatedMoments,
    maps: Mapping[str, Array],
) -> ModelPattern:
    """The pattern with the moments that parts of covariates have in the saturated model.

    Of such parts x given the level's fixed covariates w, with the saturated model's moments m, S:
    x = m_x + S_xw S_ww⁻¹ (w - m_w) + ζ, Cov ζ = S_xx - S_xw S_ww⁻¹ S_wx.

    Parameters
    ----------
    pattern : ModelPattern
        Of the table; its fixed covariates may be centred.
    maps : mapping of name to (D,)
        As for `build_pattern`.
    """
    levels = tuple(
        _level_with_saturated(variables, level, names, (mean, spread), maps)
        for variables, level, names, mean, spread in zip(
            table.levels,
            pattern.levels,
            level_names(table),
            saturated.means,
            saturated.covariances,
            strict=True,
        )
    )
    return replace(pattern, levels=levels)


def _level_with_saturated(
    variables: LevelVariables,
    level: LevelPattern,
    names: tuple[str, ...],
    moments: tuple[Array, Array],
    maps: Mapping[str, Array],
) -> LevelPattern:
    if not variables.parts:
        return level
    mean, spread = moments
    x = [names.index(name) for name in variables.parts]
    w = [names.index(name) for name in variables.covariates]
    slopes = np.linalg.solve(spread[np.ix_(w, w)], spread[np.ix_(w, x)]).T
    rest = spread[np.ix_(x, x)] - slopes @ spread[np.ix_(w, x)]
    taken_off = np.array([maps[name][0] for name in variables.covariates]) - level.covariates[1:, 0]
    rows = np.array([level.names.index(name) for name in variables.parts])
    symmetric, exogenous = level.symmetric.constants.copy(), level.exogenous.constants.copy()
    symmetric[np.ix_(rows, rows)] = (rest + rest.T) / 2.0
    exogenous[rows, 1:] = slopes
    exogenous[rows, 0] = mean[x] - slopes @ (mean[w] - taken_off)
    return replace(
        level,
        symmetric=replace(level.symmetric, constants=frozen(symmetric)),
        exogenous=replace(level.exogenous, constants=frozen(exogenous)),
    )


def _matrix(constants: Array, cells: Cells) -> PatternMatrix:
    table = np.array(cells, dtype=np.intp).reshape(-1, 3)
    return PatternMatrix(frozen(constants), table[:, 0], table[:, 1], table[:, 2])


@remember
def parameter_bounds(table: ParameterTable) -> tuple[Array, Array]:
    """Lower and upper bounds of the free parameters, (npar,) each; infinite where none."""
    lower, upper = np.full(len(table.names), -np.inf), np.full(len(table.names), np.inf)
    for row in table.rows:
        if row.free >= 0:
            lower[row.free] = max(lower[row.free], row.lower)
            upper[row.free] = min(upper[row.free], row.upper)
    return frozen(lower), frozen(upper)
