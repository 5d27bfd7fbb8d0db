"""What a user should be told about the standard errors of a fit, in words."""

from __future__ import annotations

import numpy as np

from mlsem.errors import listed
from mlsem.estimation.mixed import obstacle
from mlsem.estimation.posed import Posed
from mlsem.inference.covariance.by_group import (
    clusters_of_groups,
    clusters_of_parameters,
    holders,
)
from mlsem.inference.covariance.matrix import Covariance
from mlsem.model.table import ParameterTable

FEW_CLUSTERS = 30
FEW_DF = 4.0
FEW_EFFECTIVE = 10.0  # and less than half of the clusters
GROUPS = 5  # groups that one sentence names


def cautions(problem: Posed, covariance: Covariance) -> tuple[str, ...]:
    """Sentences on a covariance; none where nothing is doubtful."""
    if not covariance.kind.exists:
        return ()
    if covariance.kind.model_based:
        few = _few_for_z(problem, covariance)
        return (few,) if few else ()
    missing = _no_factor(problem, covariance)
    if missing:
        return (missing,)
    found = [
        _alone(problem, covariance),
        _few_clusters(problem, covariance),
        _more_parameters(problem, covariance),
        _few_df(problem, covariance),
        _few_effective(problem, covariance),
    ]
    return tuple(sentence for sentence in found if sentence)


def on_information(table: ParameterTable, covariance: Covariance) -> tuple[str, ...]:
    """A note on model-based errors of one level by the observed information: not lavaan's."""
    if not covariance.kind.model_based or covariance.form != "observed" or table.multilevel:
        return ()
    products = table.endogenous_products
    if not products:
        return ()
    made = "is made" if len(products) == 1 else "are made"
    return (
        f"standard errors are by the observed information, because {listed(products)} {made} of an "
        "outcome of the model: the expected one, which lavaan takes, would assume moments that "
        'such a product does not have. information="expected" takes it all the same.',
    )


def _no_factor(problem: Posed, covariance: Covariance) -> str:
    """Where CR1p and CR1S would divide by zero or less."""
    robust, kind = covariance.robust, covariance.kind
    if robust is None or kind.factor is None or not np.isnan(robust.meat.dense).any():
        return ""
    return (
        f"there are no {kind.name} standard errors: they take more {kind.factor.takes} than "
        f'parameters, and there are {problem.robust.n_clusters} clusters. Use se="CR2".'
    )


def _alone(problem: Posed, covariance: Covariance) -> str:
    """Coefficients that single clusters determine."""
    robust = covariance.robust
    if robust is None or not robust.undetermined.any():
        return ""
    names = [problem.table.names[k] for k in np.flatnonzero(robust.undetermined)]
    shares = robust.alone[robust.undetermined].max(axis=0)
    labels = problem.robust.labels[robust.soloists[shares > shares.max() / 100]].tolist()
    return (
        f"no cluster-robust standard error of {listed(names)}: "
        f"{_clusters(labels)} of {problem.robust.name!r} alone "
        f"determine{'s' if len(labels) == 1 else ''} part of it, so that no other cluster shows "
        'how uncertain that is (leverage 1). Use se="standard", or leave the effect out.'
    )


def _clusters(labels: list[object]) -> str:
    shown = ", ".join(str(each) for each in labels[:5])
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return f"{'cluster' if len(labels) == 1 else 'clusters'} {shown}{more}"


def _few_clusters(problem: Posed, covariance: Covariance) -> str:
    few = _few(problem)
    plain = covariance.kind.plain
    if not few or not (plain or np.isinf(covariance.df).all()):
        return ""
    what = f"{covariance.kind.name} standard errors are too small and " if plain else ""
    return (
        f"{few} are few: {what}z tests reject too often. "
        'se="CR2" (with its t tests) corrects for that.'
    )


def _few(problem: Posed) -> str:
    """Which clusters are few, where few bear on some parameter."""
    bearing = clusters_of_parameters(problem)
    groups = clusters_of_groups(problem)
    if not len(bearing) or bearing.min() >= FEW_CLUSTERS:
        return ""
    if not groups:
        return f"{problem.robust.n_clusters} clusters"
    labels, counts = list(groups), list(groups.values())
    where = np.flatnonzero(holders(problem)[bearing < FEW_CLUSTERS].any(axis=0))
    if len(set(counts)) == 1 and len(where) == len(labels):
        return f"{counts[0]} clusters in each group"
    shown = [f"{counts[k]} clusters of group {labels[k]!r}" for k in where[:GROUPS]]
    more = len(where) - len(shown)
    return ", ".join(shown) + (f" and those of {more} more groups" if more else "")


def _few_for_z(problem: Posed, covariance: Covariance) -> str:
    """Where model-based z tests take for known what a few clusters say of the variances."""
    if problem.robust.name is None or covariance.reference is not None:
        return ""
    few = _few(problem)
    if not few:
        return ""
    return (
        f"{few} are few: z tests with model-based standard errors hold for "
        'many clusters, and reject too often with few. se="CR2" has t tests that correct for that'
        + (
            ', and so has df="satterthwaite" (or "kenward-roger" with REML).'
            if not obstacle(problem)
            else "."
        )
    )


def _more_parameters(problem: Posed, covariance: Covariance) -> str:
    count, params = problem.robust.n_clusters, len(problem.table.names)
    fewer = f"{count} clusters are fewer than the {params} parameters" if count < params else ""
    if not fewer and problem.table.groups:
        held = holders(problem)
        own = held[held.sum(axis=1) == 1].sum(axis=0)
        groups = clusters_of_groups(problem)
        fewer = next(
            (
                f"the {clusters} clusters of group {label!r} are fewer than the {params} "
                "parameters that it alone has"
                for (label, clusters), params in zip(groups.items(), own.tolist(), strict=True)
                if clusters < params
            ),
            "",
        )
    if not fewer:
        return ""
    return (
        f"{fewer}: the robust covariance matrix is singular, and joint tests of many parameters "
        "do not exist."
    )


def _few_df(problem: Posed, covariance: Covariance) -> str:
    return _low(
        problem,
        covariance.df,
        covariance.df < FEW_DF,
        "few degrees of freedom ({}): read the p values as rough, the intervals are wide.",
    )


def _few_effective(problem: Posed, covariance: Covariance) -> str:
    if covariance.effective is None:
        return ""
    effective, bearing = covariance.effective, clusters_of_parameters(problem)
    low = (effective < FEW_EFFECTIVE) & (effective < bearing / 2)
    low &= ~(covariance.df < FEW_DF) & (covariance.se > 0)
    counts = np.unique(bearing[low])
    than = f"than {counts[0]}" if len(counts) == 1 else "than the groups have"
    return _low(
        problem,
        effective,
        low,
        f"far fewer effective clusters {than} ({{}}): a few clusters carry the "
        "information on these effects; see cluster_diagnostics().",
    )


def _low(problem: Posed, values: np.ndarray, low: np.ndarray, text: str) -> str:
    """The sentence with the mean parameters that are `low`, the lowest first."""
    rows = {row.free for row in problem.table.rows if row.of_mean and row.free >= 0}
    places = [k for k in np.argsort(values) if low[k] and k in rows]
    if not places:
        return ""
    shown = [f"{problem.table.names[k]} {values[k]:.1f}" for k in places[:5]]
    more = ", …" if len(places) > 5 else ""
    return text.format(", ".join(shown) + more)
