"""Data from a model text: `simulate`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mlsem.api.fit import population
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import OptionValueError, SpecificationError, in_group, listed
from mlsem.estimation.keywords import DrawnKeywords, shown
from mlsem.estimation.settings import SETTING_NAMES
from mlsem.model.blocks import BlockKey
from mlsem.model.options import OPTION_NAMES, require_known
from mlsem.model.pattern import build_pattern
from mlsem.model.table import ParameterTable
from mlsem.other_programs.answering import answering
from mlsem.simulation.draw.groups import Design, GroupedDataModel, designs, require_columns
from mlsem.simulation.draw.levels import Equations, covariates_of, equations
from mlsem.simulation.draw.model import DataModel, OmittedSlope, Spread
from mlsem.simulation.draw.numbers import distribution
from mlsem.simulation.draw.values import Values, exogenous, groups_of, read_values

if TYPE_CHECKING:
    import pandas as pd


@shown(DrawnKeywords)
@answering
@quiet
def simulate(
    model: str,
    n_clusters: int | Mapping[Any, int] = 50,
    cluster_size: object = None,
    params: object = None,
    seed: object = None,
    *,
    group: str | None = None,
    group_label: Iterable[Hashable] | None = None,
    random_effects: object = "normal",
    residuals: object = "normal",
    heteroscedastic: Spread | Mapping[Any, Spread] | None = None,
    omitted_slopes: Mapping[str, float] | Mapping[Any, Mapping[str, float]] | None = None,
    cluster: str = "id",
    rng: str = "numpy",
    **options: Unpack[DrawnKeywords],
) -> pd.DataFrame:
    """Draw a data set from a model.

    Parameters
    ----------
    model : str
        What `fit` takes, with or without levels, also with random slopes and products. Its values
        are those in the text, ``y ~ start(0.5)*x1`` or ``y ~ 0.5*x1``, unless `params` has others;
        ``y ~ c(0.5, 0.3)*x1`` has one for each group.
    n_clusters : int, or mapping of group to int, default 50
        In a single-level model without `cluster_size`, the number of rows. Of each group.
    cluster_size : int, sequence, callable or scipy distribution, optional
        Rows of each cluster: a number, one for each cluster, a function of the random numbers
        and the number of clusters, or what has `rvs` (drawn sizes are rounded and at least 1).
        Required with two levels.
    params : mapping of str to float, Series or FitResult, optional
        Values by `coef()` name. Covariates are standard normal and do not covary, unless their
        moments are here (``"x1~~x1"``, ``"x1~~x2"``, ``"x1~1"``; of the second group
        ``"x1~~x1.g2"``); a covariate that has parts at
        both levels has variance 1 at each. Intercepts and covariances that the text does not
        name are 0 by default. All else needs a value.
    seed : None, int, SeedSequence, Generator or RStream, optional
    group : str, optional
        Name of the column of groups, of a model of several: "group" by default.
    group_label : sequence, optional
        The groups. Default: those of the blocks ``group: a`` of the model; without any there is
        one group. Of several, `n_clusters`, `cluster_size`, `random_effects`, `residuals`,
        `heteroscedastic` and `omitted_slopes` are those of each, or a mapping of the groups to
        what each has: ``cluster_size={"a": 10, "b": 20}``.
    random_effects, residuals : str or callable, default "normal"
        Disturbances of level 2 and of level 1: "normal", "t5", "chi2" (or with other degrees of
        freedom, "t4", "chi2_3"), or a function of the random numbers and a shape that gives
        numbers of mean 0 and variance 1. Covariates stay normal.
    heteroscedastic : mapping of str to str or callable, optional
        Outcome to what its level-1 residuals are multiplied with. A function is passed one mapping
        of covariate names to their values, one per row, and returns one value per row:
        ``{"y": lambda seen: 1 + seen["x1"] ** 2}``. Or a covariate x, for exp(x/2), so scaled that
        the variance is the model's on average.
    omitted_slopes : mapping of str to float, optional
        ``{"y~x1": 0.2}``: the slope varies between clusters with that variance, although the model
        does not say so. ``"y~1"`` is an intercept, for single-level models.
    cluster : str, default "id"
        Name of the column of cluster ids.
    rng : {"numpy", "R"}, default "numpy"
        R's default generator, or NumPy's, made of the seed. A stream as `seed` is used as it is.
    **options
        Of the model, as for `fit` (`fixed_x`, `std_lv`, ...).

    Returns
    -------
    DataFrame
        The groups (a categorical column, in their order), the cluster ids from 1, then the
        observed variables. Products are formed by `fit`. A variable that a group's model does not
        have is missing there.

    Raises
    ------
    SpecificationError
        Parameters have no value (all are named), or impossible ones.
    OptionValueError
        A value that an argument cannot take.

    Notes
    -----
    Numbers are drawn in the order: cluster sizes, level-2 covariates, level-2 disturbances,
    omitted slopes, level-1 covariates, level-1 disturbances; each variable by variable. Of several
    groups, group by group.

    Examples
    --------
    >>> import mlsem
    >>> truth = "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~ 0.25*w; y ~~ 0.5*y"
    >>> data = mlsem.simulate(truth, n_clusters=30, cluster_size=10, seed=1)
    >>> data.shape, data.columns.tolist()
    ((300, 4), ['id', 'y', 'x', 'w'])
    """
    return data_model(
        model,
        n_clusters,
        cluster_size,
        params,
        group=group,
        group_label=group_label,
        random_effects=random_effects,
        residuals=residuals,
        heteroscedastic=heteroscedastic,
        omitted_slopes=omitted_slopes,
        cluster=cluster,
        rng=rng,
        **options,
    ).draw(seed)


def data_model(
    model: str,
    n_clusters: object = 50,
    cluster_size: object = None,
    params: object = None,
    *,
    group: str | None = None,
    group_label: object = None,
    random_effects: object = "normal",
    residuals: object = "normal",
    heteroscedastic: object = None,
    omitted_slopes: object = None,
    cluster: str = "id",
    rng: str = "numpy",
    **options: Any,
) -> DataModel | GroupedDataModel:
    """What `simulate` draws from; its arguments are explained there."""
    if not isinstance(model, str):
        raise OptionValueError(
            f"model is a {type(model).__name__}; it takes the model as text. The order is "
            "simulate(model, n_clusters, cluster_size, params, seed)."
        )
    known = (*signature(simulate).parameters, *OPTION_NAMES, "start", *SETTING_NAMES)
    require_known(options, known)
    table = population(model, group_label, **options)
    column = require_columns(table, cluster, group)
    each = designs(
        table,
        Design(
            n_clusters=n_clusters,
            cluster_size=cluster_size,
            random_effects=random_effects,
            residuals=residuals,
            heteroscedastic=heteroscedastic,
            omitted_slopes=omitted_slopes,
        ),
    )
    fixed = {
        BlockKey(number, level): names
        for number, part in enumerate(groups_of(table), start=1)
        for level, names in _fixed_covariates(part).items()
    }
    values = read_values(table, params, fixed)
    if not table.groups:
        return _of_group(table, 1, values.params, each[0], fixed, values, cluster, rng)
    found: list[tuple[Hashable, DataModel]] = []
    for number, (part, design) in enumerate(zip(table.groups, each, strict=True), start=1):
        with in_group(part.label):
            own = values.params[list(part.places)]
            how = design, fixed, values, cluster, rng
            found.append((part.label, _of_group(part.table, number, own, *how)))
    return GroupedDataModel(column, tuple(found), values.truth, rng)


def _of_group(
    table: ParameterTable,
    number: int,
    params: Array,
    design: Design,
    fixed: Mapping[BlockKey, tuple[str, ...]],
    values: Values,
    cluster: str,
    rng: str,
) -> DataModel:
    """The model of one group, whose number is this, with its parameters."""
    n_clusters, cluster_size = _sizes(table, design)
    levels = _equations(table, params)
    own = {key: names for key, names in fixed.items() if key.group == number}
    return DataModel(
        table=table,
        truth=values.truth,
        n_clusters=n_clusters,
        cluster_size=cluster_size,
        levels=levels,
        covariates=tuple(covariates_of(own[key], values.moments, key) for key in own),
        omitted=_omitted(levels[0], design.omitted_slopes, cluster_size is not None),
        spread=_spread(levels[0], design.heteroscedastic),
        effects=distribution(design.random_effects, "random_effects"),
        residuals=distribution(design.residuals, "residuals"),
        cluster=cluster,
        rng=rng,
    )


# --- a model with values --------------------------------------------------------------------------


def _sizes(table: ParameterTable, design: Design) -> tuple[int, object]:
    """`n_clusters` and `cluster_size`."""
    count, size = design.n_clusters, design.cluster_size
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionValueError(f"n_clusters={count!r}: it takes a whole number from 1.")
    if size is None and table.two_level:
        raise OptionValueError("a model with two levels needs cluster_size=, e.g. 10.")
    return count, size


def _fixed_covariates(table: ParameterTable) -> dict[int, tuple[str, ...]]:
    """Of each level the covariates to be drawn, with factors of products that stand nowhere
    else: at the level of the product."""
    products = {product.name for product in table.products}
    names_by_level = {
        number: [name for name in level.covariates if name not in products]
        for number, level in enumerate(table.levels, start=1)
    }
    known = set(table.observed)
    for product in table.products:
        for factor in product.factors:
            if factor not in known:
                known.add(factor)
                names_by_level[product.level].append(factor)
    return {number: tuple(names) for number, names in names_by_level.items()}


def _equations(table: ParameterTable, params: Array) -> tuple[Equations, ...]:
    products = {product.name for product in table.products}
    for product in table.products:
        inner = table.levels[0].modelled + table.levels[0].covariates
        if product.name in table.split or (product.level > 1 and {*product.factors} & {*inner}):
            raise SpecificationError(
                f"no data can be simulated: {product.name} is at level 2 and varies within "
                "clusters, so its parts do not follow from its factors. Give it a name of its own."
            )
    maps = dict(zip(table.observed, np.eye(len(table.observed) + 1)[1:], strict=True))
    pattern = build_pattern(table, maps)
    return tuple(
        equations(
            level,
            params,
            block.variables.covariates,
            products,
            exogenous(table, block),
            block.key.level,
        )
        for block, level in zip(table.blocks, pattern.levels, strict=False)
    )


def _omitted(within: Equations, wanted: Any, clustered: bool) -> tuple[OmittedSlope, ...]:
    if wanted is not None and not isinstance(wanted, Mapping):
        raise OptionValueError(
            f"omitted_slopes={wanted!r}: it takes a mapping of slopes to their variances, "
            '{"y~x1": 0.2}.'
        )
    if wanted and not clustered:
        raise OptionValueError("omitted_slopes vary between clusters: give cluster_size= as well.")
    omitted: list[OmittedSlope] = []
    for name, variance in (wanted or {}).items():
        outcome, _, predictor = (part.strip() for part in str(name).partition("~"))
        predictors = (*within.names, *within.inputs, "1")
        if outcome not in within.names or predictor not in predictors:
            raise OptionValueError(
                f'omitted_slopes: {name!r} is not of the form "y~x1", y one of '
                f"{listed(within.names)} and x1 one of {listed(predictors)}."
            )
        if isinstance(variance, bool) or not isinstance(variance, int | float) or variance < 0:
            raise OptionValueError(
                f"omitted_slopes: {variance!r} cannot be the variance of {name!r}."
            )
        omitted.append(OmittedSlope(outcome, predictor, float(variance)))
    return tuple(omitted)


def _spread(within: Equations, wanted: Any) -> Spread:
    if wanted is not None and not isinstance(wanted, Mapping):
        raise OptionValueError(
            f"heteroscedastic={wanted!r}: it takes a mapping of outcomes to a covariate or a "
            'function, {"y": "x1"} or {"y": lambda seen: 1 + seen["x1"] ** 2}.'
        )
    for name in wanted or {}:
        if name not in within.names:
            raise OptionValueError(
                f"heteroscedastic: {name!r} has no residuals at level 1; {listed(within.names)} "
                "have."
            )
    return dict(wanted or {})
