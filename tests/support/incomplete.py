"""Data with holes: cells by brute force, and the dense likelihood of what is observed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from dense import Dense
from kinds import Kind, Posed, centred
from kinds import pose as pose_complete

from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.patterns.objective import PatternClusters, PatternObjective
from mlsem.core.records import CellMoments

SHARE = 0.3  # of the outcomes' values that are missing


class DenseIncomplete(Dense):
    """What of each cluster's normal is observed."""

    def clusters(self, params):
        found = []
        for values, mean, cov in super().clusters(params):
            there = ~np.isnan(values)
            found.append((values[there], mean[there], cov[np.ix_(there, there)]))
        return found


def with_holes(frame: pd.DataFrame, table, seed: int, share: float = SHARE) -> pd.DataFrame:
    """Outcomes missing at random: single values, an item in whole clusters, level-2 outcomes in
    whole clusters, and rows of nothing."""
    rng = np.random.default_rng([seed, 77])
    out = frame.copy()
    covariates = {name for level in table.levels for name in level.covariates}
    products = {term.name: term.factors for term in table.products}
    held = set().union(covariates, *(products[name] for name in covariates if name in products))
    codes = frame["id"].to_numpy()
    clusters = np.unique(codes)
    modelled = {name for level in table.levels for name in level.modelled}
    modelled = set().union(*(products.get(name, (name,)) for name in modelled))
    for k, name in enumerate(sorted(modelled - held)):
        level2 = bool((frame.groupby("id")[name].nunique() == 1).all())
        if level2:
            gone = np.isin(codes, clusters[rng.uniform(size=len(clusters)) < share])
        else:
            gone = rng.uniform(size=len(frame)) < share
            gone |= codes == clusters[(3 * k + seed) % len(clusters)]
        out.loc[gone, name] = np.nan
    return out


def cells_of(frame: pd.DataFrame, moments, cluster: str | None) -> CellMoments:
    """Of a frame's stored columns, those of `moments` (complete data of the same frame's kind)."""
    stored = []
    for name, shift in zip(moments.columns, moments.shift, strict=True):
        factors = name.split(":") if name not in frame.columns else [name]
        factors = [part for factor in factors for part in factor.split("*")]
        stored.append(np.prod([frame[f].to_numpy(float) for f in factors], axis=0) - shift)
    values = np.array(stored).T
    ids = np.arange(len(frame)) if cluster is None else frame[cluster].to_numpy()
    labels, codes = pd.factorize(ids)[::-1]
    labels, codes = np.asarray(labels), np.asarray(codes)
    inner = ~np.isnan(values[:, : moments.varying])
    patterns, pattern_of_row = np.unique(inner, axis=0, return_inverse=True)
    keys, cell_of_row = np.unique(
        np.stack((codes, pattern_of_row.reshape(-1))), axis=1, return_inverse=True
    )
    filled = np.nan_to_num(values[:, : moments.varying])
    means, within, rows = [], [], []
    for k in range(keys.shape[1]):
        own = filled[cell_of_row.reshape(-1) == k]
        rows.append(len(own))
        means.append(own.mean(axis=0))
        centred_rows = own - own.mean(axis=0)
        within.append(centred_rows.T @ centred_rows)
    first = np.array([np.flatnonzero(codes == j)[0] for j in range(len(labels))])
    level2 = values[first][:, moments.varying :]
    level2_patterns, level2_of = np.unique(~np.isnan(level2), axis=0, return_inverse=True)
    sizes = np.bincount(codes)
    return CellMoments(
        columns=moments.columns,
        varying=moments.varying,
        shift=moments.shift,
        rows=sizes,
        sizes=sizes.astype(float),
        weights=np.ones(len(labels)),
        labels=labels,
        patterns=patterns,
        pattern_of=keys[1],
        cluster_of=keys[0],
        cell_rows=np.array(rows),
        cell_sizes=np.array(rows, dtype=float),
        means=np.array(means).reshape(len(rows), moments.varying),
        within=np.array(within).reshape(len(rows), moments.varying, moments.varying),
        level2=np.nan_to_num(level2),
        level2_patterns=level2_patterns,
        level2_pattern_of=level2_of.reshape(-1),
    )


@dataclass(frozen=True)
class Incomplete(Posed):
    """A model met with data that have holes: the engine of patterns and the dense likelihood."""

    complete: Posed
    objective_: PatternObjective
    clusters: PatternClusters

    @property
    def objective(self):
        return self.objective_

    def scores(self, params, basis=None):
        basis = np.eye(len(params)) if basis is None else basis
        point, at = self.derivatives(params, basis)
        return self.clusters.scores(point, at.along)[np.argsort(self.clusters.moments.labels)]

    def parts(self, params, basis=None):
        point, at = self.derivatives(params, basis)
        return self.clusters.parts(point, at.along)


def pose_incomplete(kind: Kind, frame: pd.DataFrame, seed: int = 0, share=SHARE) -> Incomplete:
    complete = pose_complete(kind, frame)
    problem = complete.fit._estimates.problem
    ready = centred(frame, kind.center)
    holes = with_holes(ready, complete.fit.table, seed, share)
    cells = cells_of(holes, complete.fit._record.moments, kind.cluster)
    if not problem.table.two_level:
        cells = replace(cells)
    data, rows = pattern_moments(problem.objective.pattern, cells)
    dense = DenseIncomplete(
        complete.fit.table, holes, kind.cluster, getattr(complete.dense, "saturated", None)
    )
    return Incomplete(
        complete.fit,
        dense,
        complete,
        PatternObjective(problem.objective.pattern, data),
        PatternClusters(cells, data, rows),
    )
