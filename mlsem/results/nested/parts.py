"""The estimates of a mixed model of three levels by what they are, and its random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.arguments import chosen
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame, pair_index
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.inference.covariance.equations import whitened
from mlsem.inference.covariance.nested import nested_equations
from mlsem.inference.diagnosis.influence import cluster_influence
from mlsem.results.mixed.parts import MixedParts
from mlsem.results.mixed.predict import require_converged
from mlsem.results.random_effects import SE

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.design.nested import LevelEffects
    from mlsem.estimation.nested import NestedEstimates


def levels_of(estimates: NestedEstimates) -> tuple[MixedParts, MixedParts]:
    """The parts of the inner and of the outer clusters."""
    data, point = estimates.data, estimates.point
    rows = point.model.rows

    def parts(level: LevelEffects, psi: Array) -> MixedParts:
        ends = np.cumsum([len(block) for block in level.blocks]).tolist()
        starts = [0, *ends[:-1]]
        return MixedParts(
            group=level.name,
            fixed=data.fixed,
            beta=estimates.params[: len(data.fixed)],
            effects=level.effects,
            blocks=tuple(tuple(range(*ends_of)) for ends_of in zip(starts, ends, strict=True)),
            psi=psi,
            sigma2=np.array([point.sigma2]),
        )

    psi = rows.lower_turn @ point.psi @ rows.lower_turn.T
    return parts(data.lower, psi), parts(
        data.upper, rows.upper_turn @ point.omega @ rows.upper_turn.T
    )


def level_named(estimates: NestedEstimates, level: object) -> int:
    """2 of the inner clusters, 3 of the outer ones, by name or number."""
    data = estimates.data
    outer, inner = data.groups.names
    names = {inner: 2, data.lower.name: 2, outer: 3, data.upper.name: 3, 2: 2, 3: 3}
    if isinstance(level, bool) or level not in names:
        choices = (data.upper.name, data.lower.name)
        raise OptionValueError(f"level={level!r}: it takes one of {listed(choices)}, or 3 or 2.")
    return names[level]


@quiet
def random_effects(estimates: NestedEstimates, level: int) -> pd.DataFrame:
    """Predictions of the effects of a level and their standard errors, clusters in rows."""
    require_converged(estimates)
    found, groups = estimates.effects, estimates.data.groups
    lower, upper = levels_of(estimates)
    if level == 3:
        parts, mean, covariance = upper, found.upper, found.upper_covariance
        index: Any = groups.labels
    else:
        parts, mean, covariance = lower, found.lower, found.lower_covariance
        index = pair_index(groups.names, groups.labels[groups.owner], groups.lower.labels)
    se = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    columns: dict[str, Array] = {}
    for k, effect in enumerate(parts.effects):
        columns[effect], columns[effect + SE] = mean[:, k], se[:, k]
    return make_frame(columns, index)


def diagnosed(estimates: NestedEstimates, parameters: str | Iterable[str] | None) -> pd.DataFrame:
    """See `NestedResult.cluster_diagnostics`."""
    require_converged(estimates)
    names = estimates.names
    places = list(range(len(names))) if parameters is None else chosen(names, parameters)
    clusters = whitened(nested_equations(estimates, "expected"))
    if clusters is None:
        raise InferenceError("the information is not positive definite: there are no leverages.")
    seen = cluster_influence(clusters, clusters.influence[places])
    count, width = len(seen.leverage), len(places)
    return make_frame(
        {
            "cluster": np.repeat(estimates.cluster_labels, width),
            "rows": np.repeat(estimates.data.groups.upper.sizes, width),
            "leverage": np.repeat(seen.leverage, width),
            "parameter": [names[k] for k in places] * count,
            "share": seen.share.ravel(),
            "change": seen.change.ravel(),
        }
    )
