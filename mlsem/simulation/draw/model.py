"""A model of one group with values, and the data sets drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.data.table.frame import make_frame
from mlsem.errors import OptionValueError, SpecificationError, listed
from mlsem.model.table import ParameterTable
from mlsem.simulation.draw.levels import Covariates, Equations
from mlsem.simulation.draw.numbers import Distribution, Stream, cluster_sizes, open_stream

if TYPE_CHECKING:
    import pandas as pd

Spread = Mapping[str, "str | Callable[[Mapping[str, Array]], Array]"]


@dataclass(frozen=True, slots=True, eq=False)
class OmittedSlope:
    """A slope that varies between clusters although the model does not say so."""

    outcome: str
    predictor: str
    variance: float


@dataclass(frozen=True, slots=True, eq=False)
class DataModel:
    """A model with values, from which data sets can be drawn.

    Attributes
    ----------
    table : ParameterTable
    truth : mapping of str to float
        The value of each parameter under its `coef()` name.
    n_clusters : int
    cluster_size : object
        None: no clusters, a row each.
    levels : tuple of Equations
    covariates : tuple of Covariates
        Of level 1 and, with two levels, of level 2.
    omitted : tuple of OmittedSlope
    spread : mapping
        Outcomes whose level-1 disturbances differ in scale from row to row.
    effects, residuals : Distribution
        Of the disturbances of level 2 and of level 1, standardized.
    cluster : str
        The column of cluster ids.
    rng : {"numpy", "R"}
    """

    table: ParameterTable
    truth: Mapping[str, float]
    n_clusters: int
    cluster_size: object
    levels: tuple[Equations, ...]
    covariates: tuple[Covariates, ...]
    omitted: tuple[OmittedSlope, ...]
    spread: Spread
    effects: Distribution
    residuals: Distribution
    cluster: str
    rng: str

    def draw(self, seed: object = None) -> pd.DataFrame:
        """One data set; see `simulate` for the seed."""
        return make_frame(self.drawn(open_stream(seed, self.rng)))

    def drawn(self, stream: Stream, before: int = 0) -> dict[str, Any]:
        """The columns of one data set; ids of clusters go on from those `before`."""
        wanted = 1 if self.cluster_size is None else self.cluster_size
        sizes = cluster_sizes(wanted, self.n_clusters, stream)
        codes = np.repeat(np.arange(self.n_clusters), sizes)
        drawn = _Draw(self, stream, codes)
        ids = {} if self.cluster_size is None else {self.cluster: codes + (before + 1)}
        values = drawn.observed()
        return ids | {name: values[name] for name in self._columns}

    @property
    def _columns(self) -> tuple[str, ...]:
        """Observed variables, then the factors of products that stand nowhere else."""
        products = {product.name for product in self.table.products}
        factors = [name for product in self.table.products for name in product.factors]
        return tuple(
            name for name in dict.fromkeys([*self.table.observed, *factors]) if name not in products
        )


# --- one data set ---------------------------------------------------------------------------------


class _Draw:
    """The random numbers of one data set, and the variables that follow from them."""

    def __init__(self, model: DataModel, stream: Stream, codes: Index) -> None:
        self.model, self.codes = model, codes
        clusters, rows = model.n_clusters, len(codes)
        self.clusters: dict[str, Array] = {}
        self.between: Array | None = None
        if model.table.two_level:
            self.clusters = model.covariates[1].draw(stream, clusters)
            self.between = model.levels[1].disturbances(stream, clusters, model.effects)
        variances = np.array([slope.variance for slope in model.omitted])
        self.slopes = model.effects(stream, clusters, len(variances)) * np.sqrt(variances)
        self.rows = model.covariates[0].draw(stream, rows)
        self.within = model.levels[0].disturbances(stream, rows, model.residuals)
        seen = self.rows | {name: values[codes] for name, values in self.clusters.items()}
        for name, how in model.spread.items():
            self.within[:, model.levels[0].names.index(name)] *= _scale(name, how, seen, rows)

    def observed(self) -> dict[str, Array]:
        """All observed variables, one value per row.

        Products enter equations, and their factors may come from some: so the equations are
        solved again with products of the variables just found until these stay as they are.
        """
        products = self.model.table.products
        self.formed = {each.name: np.zeros(len(self.codes)) for each in products}
        self.formed_between = {each.name: np.zeros(self.model.n_clusters) for each in products}
        known = dict(self.rows) | {k: v[self.codes] for k, v in self.clusters.items()}
        self._form(known, self.clusters)
        for _ in range(len(products) + 2):
            between = self._solve_between()
            known = self._solve_within(between)
            if not self._form(known, between):
                return known
        raise SpecificationError(
            "no data can be simulated: a product is among the causes of one of its own factors "
            f"({listed(each.name for each in products)})."
        )

    def _form(self, rows: Mapping[str, Array], clusters: Mapping[str, Array]) -> bool:
        """Form the products of what is known; whether any is another than before."""
        changed = False
        for product in self.model.table.products:
            known, formed = (
                (rows, self.formed) if product.level == 1 else (clusters, self.formed_between)
            )
            if all(factor in known for factor in product.factors):
                new = np.prod([known[factor] for factor in product.factors], axis=0)
                changed |= not np.array_equal(new, formed[product.name])
                formed[product.name] = new
        return changed

    def _solve_between(self) -> dict[str, Array]:
        """Variables of level 2 by name, latent ones and parts of split ones included."""
        if self.between is None:
            return {}
        drawn = dict(self.clusters)
        level = self.model.levels[1]
        values = level.solved(self.between, self.clusters | self.formed_between)
        return drawn | dict(zip(level.names, values.T, strict=True))

    def _solve_within(self, between: Mapping[str, Array]) -> dict[str, Array]:
        """Observed variables, one value per row; parts of both levels added up."""
        level, codes = self.model.levels[0], self.codes
        inputs = self.rows | self.formed
        disturbances = self.within.copy()
        for slope in self.model.table.slopes:
            place = level.names.index(slope.outcome)
            disturbances[:, place] += between[slope.name][codes] * inputs[slope.carrier]
        varying: list[tuple[int, int, Array]] = []
        for slope, effects in zip(self.model.omitted, self.slopes.T, strict=True):
            place = level.names.index(slope.outcome)
            if slope.predictor in level.names:
                varying.append((place, level.names.index(slope.predictor), effects))
            else:
                carrier = 1.0 if slope.predictor == "1" else inputs[slope.predictor]
                disturbances[:, place] += effects[codes] * carrier
        values = level.solved(disturbances, inputs, varying, codes)
        observed = dict(self.rows)
        observed |= {name: values[codes] for name, values in between.items()}
        for name, within in zip(level.names, values.T, strict=True):
            observed[name] = within + observed[name] if name in self.model.table.split else within
        return observed


def _scale(name: str, how: object, seen: Mapping[str, Array], rows: int) -> Array:
    """What the residuals of an outcome are multiplied with, (rows,)."""
    if isinstance(how, str):
        if how not in seen:
            raise OptionValueError(
                f"heteroscedastic: {how!r} is not one of the covariates {listed(seen)}."
            )
        raised = np.exp(seen[how] - seen[how].max())
        return np.sqrt(raised / raised.mean())
    if not callable(how):
        raise OptionValueError(
            f"heteroscedastic[{name!r}]={how!r}: it takes a covariate, or a function of them."
        )
    try:
        factors = np.asarray(how(seen), dtype=np.float64)
    except Exception as error:
        raise OptionValueError(
            f"heteroscedastic[{name!r}]: the function raised {type(error).__name__}: {error}. It "
            f"is passed one mapping, of the covariates {listed(seen)} to arrays of {rows} values, "
            "as in lambda seen: 1 + seen['x1']**2."
        ) from error
    if factors.shape != (rows,) or not np.isfinite(factors).all():
        raise OptionValueError(
            f"heteroscedastic[{name!r}] gave an array of shape {factors.shape}, or what are no "
            f"numbers; it takes one for each of the {rows} rows."
        )
    return factors
