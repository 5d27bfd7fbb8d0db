"""Robust clusters coarser than the model's clusters, which must lie in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlsem.core.records import RobustClusters, frozen
from mlsem.data.table.columns import SHOWN, require_column, require_one_column, rows_named
from mlsem.data.table.grouping import blank, factorised
from mlsem.data.table.hints import NOT_BLANK, PRESENT, hint
from mlsem.errors import DataError
from mlsem.syntax.naming import fit_name, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.data.table.grouping import Grouping


def read_robust(
    data: pd.DataFrame, se_cluster: object, cluster: str | None, grouping: Grouping
) -> RobustClusters:
    """The robust cluster of each cluster of the model; itself without `se_cluster`.

    Raises
    ------
    DataError
        The column is absent, has missing ids in rows that are used, or differs within a cluster
        of the model; or all rows have the same id.
    """
    robust = robust_of(data, se_cluster, cluster, grouping)
    check_several(robust)
    return robust


def check_several(robust: RobustClusters) -> None:
    """Refuse robust clusters of a column that are but one."""
    if robust.name is not None and robust.n_clusters < 2:
        raise DataError(
            f"all rows are in one cluster of {robust.name!r}; robust standard errors need at least "
            "two. Is this the right column?"
        )


def robust_of(
    data: pd.DataFrame, se_cluster: object, cluster: str | None, grouping: Grouping
) -> RobustClusters:
    """`read_robust` of rows that may all be in one robust cluster, as those of one group."""
    named = cluster
    if se_cluster is not None:
        named = require_one_column("se_cluster", se_cluster, data)
    if named is None or named == cluster:
        return RobustClusters(cluster, frozen(np.arange(len(grouping.labels))), grouping.labels)
    used, labels = _ids(data, named, "se_cluster", "cluster", grouping)
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    first = used[starts]
    _check_nested(used, first, starts, (named, cluster), grouping, labels)
    positions, robust_codes = pd.factorize(first)  # in the order of the model's clusters
    return RobustClusters(named, frozen(positions), labels[robust_codes])


def _ids(
    data: pd.DataFrame, name: str, keyword: str, what: str, grouping: Grouping
) -> tuple[Index, NDArray]:
    """Codes of the ids of the rows used in cluster order, none of which is missing, and the id of
    each code."""
    series = require_column(data, name, f"{keyword}= names")
    codes, labels = factorised(series, f"{keyword} column {name!r}")
    codes = np.where(np.append(blank(labels), False)[codes], -1, codes)
    rows = np.arange(len(data)) if grouping.order is None else grouping.order
    used = codes[rows]
    if (used < 0).any():
        where = np.zeros(len(data), dtype=bool)
        where[rows[used < 0]] = True
        code = hint(NOT_BLANK if blank(labels).any() else PRESENT, data, name)
        raise DataError(
            f"{keyword} column {name!r} has missing or blank ids in {rows_named(data, where)}. "
            f"Give these rows their {what} or drop them{code and f', e.g. {code}'}."
        )
    return used, labels


def strata_of(
    data: pd.DataFrame, name: str | None, robust: RobustClusters, grouping: Grouping
) -> NDArray | None:
    """The stratum of each robust cluster, (G,) as it is in the data; None without `strata=`.

    Raises
    ------
    DataError
        The column is absent or has missing values in rows that are used, or a cluster is in several
        strata.
    """
    if name is None:
        return None
    used, labels = _ids(data, name, "strata", "stratum", grouping)
    owner = np.repeat(robust.codes, grouping.sizes)
    found = np.empty(robust.n_clusters, dtype=np.intp)
    found[owner[::-1]] = used[::-1]
    apart = np.unique(owner[used != found[owner]])
    if len(apart):
        of = "row" if robust.name is None else f"cluster of {robust.name!r}"
        first = robust.labels[apart[:1]].tolist()[0]
        raise DataError(
            f"{len(apart)} {of} {'has' if len(apart) == 1 else 'have'} rows in more than one "
            f"stratum of {name!r}: {first!r} is one. Strata are what clusters were drawn from, so "
            "that a cluster is in one; cluster= or se_cluster= names what was drawn first."
        )
    return labels[found]


def strata_across(
    robust: RobustClusters, parts: Sequence[RobustClusters], strata: Sequence[NDArray | None]
) -> NDArray | None:
    """The stratum of each robust cluster of several groups, from those of each group's."""
    if strata[0] is None:
        return None
    each = [own[part.codes] for own, part in zip(strata, parts, strict=True) if own is not None]
    found = np.empty(robust.n_clusters, dtype=object)
    found[robust.codes] = np.concatenate(each)
    return found


def with_strata(robust: RobustClusters, strata: NDArray | None) -> RobustClusters:
    """The robust clusters with the stratum of each.

    Raises
    ------
    DataError
        A stratum has one cluster alone, which tells nothing of how clusters of it differ.
    """
    if strata is None:
        return robust
    codes, labels = factorised(pd.Series(strata), "strata")
    alone = np.bincount(codes) == 1
    if alone.any():
        shown = ", ".join(map(repr, labels[alone].tolist()[:SHOWN]))
        more = ", …" if alone.sum() > SHOWN else ""
        raise DataError(
            f"{int(alone.sum())} of {len(labels)} strata have one cluster: {shown}{more}. How the "
            "clusters of a stratum differ cannot be told from one: join each with a stratum like "
            "it."
        )
    return replace(robust, strata=frozen(codes))


def united(parts: Sequence[RobustClusters]) -> RobustClusters:
    """The robust clusters of several groups: those with the same id are one."""
    name, labels = parts[0].name, np.concatenate([part.labels for part in parts])
    starts = np.cumsum([0, *(part.n_clusters for part in parts[:-1])])
    codes, uniques = np.arange(len(labels)), labels
    if name is not None:
        codes, uniques = coded(labels, name)
    places = [start + part.codes for start, part in zip(starts, parts, strict=True)]
    return RobustClusters(name, frozen(codes[np.concatenate(places)]), frozen(uniques))


def coded(ids: NDArray, name: str) -> tuple[NDArray, NDArray]:
    """Codes of the ids, and the id of each code."""
    kind = object if ids.dtype == object else None  # pandas would take text for its own
    return factorised(pd.Series(ids, dtype=kind), f"cluster column {name!r}")


def check_apart(
    columns: Collection[str],
    group: str,
    cluster: str,
    ids: Sequence[NDArray],
    labels: Sequence[Hashable],
) -> None:
    """Refuse clusters of a model that have rows in several groups; `ids` are those of each group's
    clusters, `columns` the names that are taken."""
    codes, uniques = coded(np.concatenate(ids), cluster)
    if len(uniques) == len(codes):
        return
    from mlsem.data.table.groups import named_groups  # for few data

    often = np.bincount(codes)
    again = int(np.flatnonzero(often > 1)[0])
    owner = np.repeat(np.arange(len(ids)), [len(each) for each in ids])[codes == again]
    where = [labels[k] for k in owner[:2].tolist()]
    new = fit_name(f"{group}_{cluster}", columns)
    raise DataError(
        f"{int((often > 1).sum())} cluster(s) of {cluster!r} have rows in more than one group: "
        f"{cluster} {uniques.tolist()[again]!r} is in the {named_groups(where)}. If ids start anew "
        f"in each group, make them unique: a column {quoted(new)} of both, {group!r} and "
        f"{cluster!r} joined, and pass cluster={quoted(new)}. If the clusters do cut across the "
        "groups (pupils of both sexes in "
        "a school), the groups share what is between clusters and cannot be modelled apart: write "
        f"one model without group= and {group!r} as a 0/1 covariate, with its interactions; or "
        "give each group's variables columns of their own (missing in the rows of the others) and "
        'fit them in one model with missing="fiml".'
    )


def check_within(cluster: str, ids: Sequence[NDArray], robust: RobustClusters) -> None:
    """Clusters of several groups lie in one robust cluster each."""
    codes, uniques = coded(np.concatenate(ids), cluster)
    first = np.zeros(len(uniques), dtype=np.intp)
    first[codes[::-1]] = robust.codes[::-1]
    apart = np.flatnonzero(first[codes] != robust.codes)
    if len(apart):
        place = int(apart[0])
        inside = robust.labels[[first[codes[place]], robust.codes[place]]].tolist()
        count = len(np.unique(codes[apart]))
        raise DataError(
            not_nested(count, cluster, robust.name, uniques.tolist()[codes[place]], inside)
        )


def _check_nested(
    used: Index,
    first: Index,
    starts: Index,
    names: tuple[str, str | None],
    grouping: Grouping,
    labels: np.ndarray,
) -> None:
    """Every cluster of the model lies in one robust cluster."""
    differs = np.maximum.reduceat(used != np.repeat(first, grouping.sizes), starts)
    if not differs.any():
        return
    coarse, fine = names
    place = int(np.flatnonzero(differs)[0])
    stop = starts[place] + grouping.sizes[place]
    inside = list(dict.fromkeys(labels[used[starts[place] : stop]].tolist()))[:2]
    own = grouping.labels.tolist()[place]
    raise DataError(not_nested(int(differs.sum()), fine, coarse, own, inside))


def not_nested(
    count: int, fine: str | None, coarse: str | None, own: object, inside: Sequence[object]
) -> str:
    """What to say of clusters that do not lie in one robust cluster each."""
    return (
        f"{count} cluster(s) of {fine!r} have rows in more than one cluster of "
        f"se_cluster={coarse!r}: {fine} {own!r} is in {coarse} {inside[0]!r} and {inside[1]!r}. "
        f"Robust clusters must contain whole clusters of the model; if {fine!r} counts anew in "
        f"each {coarse!r}, make ids that are unique."
    )
