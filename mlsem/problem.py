"""A model met with its data: the objective, its coordinates, and the clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mlsem.core.coordinates import Coordinates, choose_coordinates
from mlsem.core.moments import pooled
from mlsem.core.objective import Objective
from mlsem.core.records import Array, ClusterMoments, Index, frozen
from mlsem.core.shapes import shape_moments, shapes_of
from mlsem.data.aggregate import DataRecord
from mlsem.spec.build import build_pattern, parameter_bounds
from mlsem.spec.constraints import compile_constraints
from mlsem.spec.partable import ParameterTable
from mlsem.spec.start import starting_values


@dataclass(frozen=True, eq=False)
class Problem:
    """A model met with its data.

    Attributes
    ----------
    objective : Objective
        The log-likelihood of the user's parameters.
    inner : Objective
        The same of the optimiser's parameters.
    coordinates : Coordinates
        From the one to the other.
    guess : (npar,)
        Default starting values, the user's parameters.
    moments : ClusterMoments
        The clusters whose scores a robust covariance sums (rows, without `cluster=`).
    shape_of : (J,)
        Each cluster's position in the objective's shapes; in a single-level model clusters
        play no part in the likelihood and `sizes` are those of `moments` alone.
    sizes : (S,)
    maps : mapping of name to (D,)
        Each observed variable as a map of h = (1, stored columns).
    means : mapping of name to float
        Overall sample mean of each observed variable.
    """

    table: ParameterTable
    objective: Objective
    inner: Objective
    coordinates: Coordinates
    guess: Array
    moments: ClusterMoments
    shape_of: Index
    sizes: Array
    maps: Mapping[str, Array]
    means: Mapping[str, float]


def pose(table: ParameterTable, record: DataRecord) -> Problem:
    """Build the pattern and the shape moments."""
    moments = record.moments
    centre = moments.counts @ moments.means / moments.n_rows
    means = {name: float(each.constant + each.coefs @ centre) for name, each in record.maps.items()}
    maps = {
        name: np.concatenate(([each.constant], each.coefs)) for name, each in record.maps.items()
    }
    if table.two_level:
        sizes, shape_of = shapes_of(moments)
        data = shape_moments(moments, sizes, shape_of)
    else:
        whole = pooled(moments)
        if not table.meanstructure:
            whole, moments, maps = _about_means(whole, moments, maps)
        data = shape_moments(whole, *shapes_of(whole))
        sizes, shape_of = shapes_of(moments)
    pattern = build_pattern(table, maps)
    guess = starting_values(table, data, maps)
    coordinates = choose_coordinates(pattern, data, restricted(table), guess)
    return Problem(
        table=table,
        objective=Objective(pattern, data),
        inner=Objective(coordinates.internal, data),
        coordinates=coordinates,
        guess=guess,
        moments=moments,
        shape_of=shape_of,
        sizes=sizes,
        maps=maps,
        means=means,
    )


def restricted(table: ParameterTable) -> Index:
    """Parameters with a bound or in a constraint."""
    lower, upper = parameter_bounds(table)
    used = np.isfinite(lower) | np.isfinite(upper)
    for compiled in compile_constraints(table) if table.constraints else ():
        used[compiled.positions] = True
    return np.flatnonzero(used)


def _about_means(
    whole: ClusterMoments, moments: ClusterMoments, maps: Mapping[str, Array]
) -> tuple[ClusterMoments, ClusterMoments, dict[str, Array]]:
    """Without a mean structure the data count as deviations from their means."""
    centre = whole.means[0]
    centred = {name: np.concatenate(([0.0], each[1:])) for name, each in maps.items()}
    return (
        replace(whole, means=frozen(whole.means - centre), shift=whole.shift + centre),
        replace(moments, means=frozen(moments.means - centre), shift=moments.shift + centre),
        centred,
    )
