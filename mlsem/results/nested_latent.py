"""Scores of the latent variables of levels 2 and 3 of three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.nested.objective import NestedObjective
from mlsem.core.nested.posterior import posterior_of_clusters, posterior_of_units
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError
from mlsem.results.latent import SE, latent_names, require_maximum

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates


@quiet
def predict_latent_above(
    fit: Estimates, level: int, method: object, *, se: bool, data: object, history: bool
) -> pd.DataFrame:
    """Posterior means; see `FitResult.predict_latent`.

    Raises
    ------
    InferenceError
        Scores of level 1, or of other rows, which are not there; no latent variable at the level.
    OptionValueError
        Another method than regression.
    """
    require_maximum(fit)
    if method != "regression":
        raise OptionValueError(
            f'method={method!r}: with three levels scores are posterior means, method="regression".'
        )
    if level == 1 or data is not None or history:
        raise InferenceError(
            "with three levels there are scores of the clusters of the fit: predict_latent(2) and "
            "predict_latent(3), without data=. Those of rows are there for two levels."
        )
    names = latent_names(fit.table, level, slopes=False)
    if not names:
        raise InferenceError(f"the model has no latent variables at level {level}.")
    objective, moments = fit.problem.objective, fit.problem.moments
    assert isinstance(objective, NestedObjective)
    point = objective.evaluate(fit.params)
    assert point is not None
    there = objective.pattern, point, objective.data
    found = posterior_of_units(*there) if level == 3 else posterior_of_clusters(*there)
    columns: dict[str, object] = {}
    if level == 2:
        columns[moments.units] = moments.unit_labels[moments.unit_of]
    for name in names:
        k = found.names.index(name)
        columns[name] = found.mean[:, k]
        if se:
            columns[name + SE] = np.sqrt(np.maximum(found.variance[:, k], 0.0))
    return make_frame(columns, moments.labels if level == 2 else moments.unit_labels)
