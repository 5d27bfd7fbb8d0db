"""Standard errors of one model for many data sets, which are computed as one.

Each data set has what `covariance_of` finds for it alone, to rounding, and to the last digit the
same whatever others there are. Data sets that meet anything special are left out, and so are fits
other than those that `estimation.together` searches at once: the usual road is for these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.blocks import blocks, per_block
from mlsem.core.optimise.objective import well_conditioned
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.estimation.directions import Directions
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.many import alike, directions_of_many, estimates_of_many
from mlsem.estimation.settings import InformationKind
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.equations import whitened
from mlsem.inference.covariance.freedom import df_method
from mlsem.inference.covariance.matrix import adjusted_sandwich, sandwich
from mlsem.inference.covariance.of_estimates import (
    bread_of,
    equations_of,
    factor_of,
    kind_of,
    working_equations,
)

FEWEST = 4  # data sets that memory must have room for at once


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Standard errors and degrees of freedom (infinite for z tests) of each parameter."""

    se: Shaped[Array, "... npar"]
    df: Shaped[Array, "... npar"]


@quiet
def usual_errors(fits: Mapping[int, Estimates]) -> dict[int, Errors]:
    """Of the data sets for which all is as usual.

    Parameters
    ----------
    fits : mapping of int to Estimates
        Those of converged fits of one table by the same settings, by number.
    """
    found: dict[int, Errors] = {}
    usual = {number: each for number, each in fits.items() if _is_usual(each)}
    for number, each in usual.items():
        if each.restricted and kind_of(each).model_based:
            found |= _restricted(number, each)
    for some in alike(usual):
        found |= _in_blocks(some)
    return found


def _in_blocks(fits: Mapping[int, Estimates]) -> dict[int, Errors]:
    """As many at once as memory has room for; none of data sets that have so many clusters that
    each alone is quick."""
    numbers, first = list(fits), next(iter(fits.values()))
    width = first.problem.moments.n_clusters * len(first.names) ** 2
    found: dict[int, Errors] = {}
    for part in blocks(len(numbers), width) if per_block(width) >= FEWEST else ():
        found |= _errors({number: fits[number] for number in numbers[part]})
    return found


def _is_usual(estimates: Estimates) -> bool:
    """Whether nothing but scores and informations is needed."""
    problem, kind = estimates.problem, kind_of(estimates)
    return (
        kind.exists
        and not kind.replicated
        and problem.table.two_level
        and problem.table.meanstructure
        and problem.robust.name is not None
        and problem.robust.strata is None
        and df_method(problem, estimates.settings) is None
    )


def _restricted(number: int, estimates: Estimates) -> dict[int, Errors]:
    """By the information of ℓ_R, which the search has left nothing to compute for."""
    matrix, lost = estimates.restricted_covariance()
    if lost.size:
        return {}
    return {number: Errors(np.sqrt(np.diagonal(matrix)), np.full(len(matrix), np.inf))}


def _errors(fits: Mapping[int, Estimates]) -> dict[int, Errors]:
    """Of data sets that differ in their moments alone."""
    try:
        many = estimates_of_many(list(fits.values()))
        kind = kind_of(many)
        bread = bread_of(many, kind)
        directions = directions_of_many(many, apart=kind.adjustment is not None)
        known = _determined(many, directions, bread)
        if not known.all():
            some = {number: fits[number] for number, each in zip(fits, known, strict=True) if each}
            return _errors(some) if some else {}
        found = _computed(many, directions, kind, bread)
    except np.linalg.LinAlgError:  # of one: the usual road says what is wrong
        single = [_errors({number: each}) for number, each in fits.items() if len(fits) > 1]
        return {number: errors for each in single for number, errors in each.items()}
    return {
        number: Errors(found.se[k], found.df[k])
        for k, number in enumerate(fits)
        if np.isfinite(found.se[k]).all()
    }


def _determined(
    many: Estimates, directions: Directions, bread: InformationKind
) -> Shaped[NDArray[np.bool_], "r"]:
    """The data sets whose directions need no conditioning."""
    kinds: tuple[InformationKind, ...] = bread, "expected" if directions.fixed else "observed"
    return np.all([well_conditioned(many.information(directions, k)) for k in kinds], axis=0)


def _computed(
    many: Estimates, directions: Directions, kind: StandardErrors, bread: InformationKind
) -> Errors:
    """NaN for the data sets that have not all of them."""
    if kind.adjustment is None:
        factor, moments = factor_of(many, kind), many.problem.moments
        sizes = len(moments.labels), moments.n_rows, len(many.names)
        equations = equations_of(many, directions, bread, with_scores=kind.sandwich)
        found = sandwich(equations, kind, 1.0 if factor is None else factor(*sizes))
        assert found is not None  # of many there is always something
        matrix, odd = found
        df = np.full(matrix.shape[:-1], np.inf)
    else:
        clusters = whitened(working_equations(many, directions, bread))
        assert clusters is not None
        matrix, robust = adjusted_sandwich(clusters, kind)
        odd = robust.undetermined.any(axis=-1)
        df = np.full(robust.df.shape, np.inf) if many.settings.test == "z" else robust.df
    variances = np.diagonal(matrix, axis1=-2, axis2=-1)
    usual = (variances >= 0).all(axis=-1) & np.logical_not(odd)
    return Errors(np.sqrt(np.where(usual[:, None], variances, np.nan)), df)
