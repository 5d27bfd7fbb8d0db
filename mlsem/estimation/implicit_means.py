"""Single-level models without a mean structure, as their clusters see them.

Such a model says nothing of the means, which are estimated all the same: by those of the sample,
about which the data are taken. The free intercepts do not covary with the other parameters over
all clusters, but they do within each, so that a cluster's leverage, and with it the CR kinds of
standard errors, is that of the model with its intercepts. There they are parameters after the
user's own, and zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlsem.base.caching import remember
from mlsem.core.optimise.optimum import Constrained, Maximum, Optimum
from mlsem.estimation.posed import Posed
from mlsem.model.regrouped import regrouped
from mlsem.model.table import ParameterTable, Row


def with_means(problem: Posed, optimum: Optimum) -> tuple[Posed, Optimum]:
    """The model with its intercepts, at the same optimum; itself where it has a mean structure."""
    if problem.table.meanstructure:
        return problem, optimum
    table = _with_intercepts(problem.table)
    own, count = len(optimum.params), len(table.names)
    seen = problem.with_table(table, np.pad(problem.guess, (0, count - own)))
    free = np.eye(count)
    free = np.concatenate((np.pad(optimum.free, ((0, count - own), (0, 0))), free[:, own:]), axis=1)
    point = seen.inner.evaluate(np.pad(optimum.params, (0, count - own)))
    assert point is not None
    if isinstance(optimum, Constrained):
        curvature = np.pad(optimum.curvature, (0, count - own))
        return seen, replace(optimum, point=point, free=free, curvature=curvature)
    return seen, Maximum(point, free, optimum.n_iterations, optimum.distance)


@remember
def _with_intercepts(table: ParameterTable) -> ParameterTable:
    if table.groups:
        return regrouped(table, [_with_intercepts(group.table) for group in table.groups])
    modelled, own = table.levels[0].modelled, len(table.names)
    rows = (Row(name, "~1", "", 1, False, own + k) for k, name in enumerate(modelled))
    return replace(
        table,
        rows=(*table.rows, *rows),
        names=(*table.names, *(f"{name}~1" for name in modelled)),
        meanstructure=True,
    )
