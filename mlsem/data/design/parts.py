"""Parts of covariates within and between clusters, of the rows of a fit and of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from mlsem.data.design.cluster_means import Spread
from mlsem.data.table.columns import require_column
from mlsem.data.table.grouping import factorised
from mlsem.errors import SpecificationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.design.remade import Recipe

Interactions = Literal["product", "double"]
Mean = Callable[[str, "Array"], "Array"]
"""Of a column, by its name and values: the mean of its cluster, for each row."""

WITHIN, BETWEEN = "_within", "_between"


@dataclass(frozen=True, slots=True)
class Covariate:
    """A column of the design, and what of it is in the models.

    Attributes
    ----------
    name : str
        As the formula has it: ``x1``, ``sexmale``, ``x1:w1``.
    column : str
        Its column in the data of the models.
    varies : bool
        Whether it varies within clusters.
    split : bool
        Whether it is cut into parts.
    within, between : str or None
        Columns of its deviations and of its means; None where they are in no model.
    shift : float
        What is taken off the means.
    spread : Spread
    """

    name: str
    column: str
    varies: bool
    split: bool
    within: str | None
    between: str | None
    shift: float
    spread: Spread


@dataclass(frozen=True, slots=True, eq=False)
class PartsRecipe:
    """How the parts are made of other rows: clusters of the fit have its means, others their own.

    Attributes
    ----------
    recipe : Recipe
        Of the formula.
    within : frozenset of str
        Columns that vary within clusters.
    interactions : {"product", "double"}
    covariates : tuple of Covariate
    labels : (J,)
        Clusters of the fit.
    means : mapping of str to (J,)
        Of the columns that vary.
    """

    recipe: Recipe
    within: frozenset[str]
    interactions: Interactions
    covariates: tuple[Covariate, ...]
    labels: NDArray[Any]
    means: Mapping[str, Array]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the data that are needed."""
        return (*self.recipe.names, self.recipe.formula.group)

    def made(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows with the parts as columns.

        Raises
        ------
        DataError
            A column is absent, or a factor has a level that the fit did not.
        """
        mean = self._mean(frame)
        columns = self.recipe.columns(frame, (self.recipe.formula.fixed,))
        columns = {each.name: columns[each.name] for each in self.covariates}
        columns = with_products(columns, self.within, self.interactions, mean)
        means = {name: mean(name, columns[name]) for name in self.means}
        parts = {name: values for _, name, values in parts_of(self.covariates, columns, means)}
        made: Any = frame.assign(**parts)
        return made

    def _mean(self, frame: pd.DataFrame) -> Mean:
        cluster = self.recipe.formula.group
        series = require_column(frame, cluster, "the parts need the column of clusters")
        codes, labels = factorised(series, f"cluster column {cluster!r}")
        place = pd.Index(self.labels).get_indexer(pd.Index(labels))[codes]

        def mean(name: str, values: Array) -> Array:
            own: Any = pd.Series(values).groupby(codes).transform("mean")
            return np.where(place >= 0, self.means[name][place], own.to_numpy())

        return mean


def factors_of(name: str) -> list[str]:
    """`x1` and `w1` of `x1:w1`."""
    return name.split(":")


def with_products(
    columns: Mapping[str, Array],
    within: Collection[str],
    interactions: Interactions,
    mean: Mean,
) -> dict[str, Array]:
    """The columns; with "double" products of several that vary within clusters are those of their
    deviations from the means of clusters.

    Raises
    ------
    SpecificationError
        A factor of a product is no column itself.
    """
    found = dict(columns)
    for name in columns if interactions == "double" else ():
        factors = factors_of(name)
        if not {*factors} <= columns.keys():
            raise SpecificationError(
                f'interactions="double" needs the covariates of {name!r} by themselves, too: write '
                f"{'*'.join(factors)}, or leave interactions out."
            )
        moving = [each for each in factors if each in within]
        if len(moving) > 1:
            parts = [columns[e] - (mean(e, columns[e]) if e in moving else 0.0) for e in factors]
            found[name] = np.prod(parts, axis=0)
    return found


def parts_of(
    covariates: Iterable[Covariate], columns: Mapping[str, Array], means: Mapping[str, Array]
) -> Iterator[tuple[str, str, Array]]:
    """Of each covariate its name, and the columns of the data that it needs."""
    for own in covariates:
        values = columns[own.name]
        yield own.name, own.column, values
        if own.split and own.within is not None:
            yield own.name, own.within, values - means[own.name]
        if own.between is not None:
            yield own.name, own.between, means[own.name] - own.shift
