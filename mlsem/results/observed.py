"""What of the variables of a fit is observed in the rows and clusters that it used."""

from __future__ import annotations

import numpy as np

from mlsem.core.patterns.convert import all_there
from mlsem.core.records import CellMoments
from mlsem.data.moments.gaps import LevelGaps
from mlsem.estimation.estimates import Estimates


def observed_in(estimates: Estimates, level: int) -> LevelGaps:
    """Patterns of the variables of a level, the most frequent first: of level 2 those that have no
    part at level 1, by clusters."""
    table, record = estimates.table, estimates.record
    variables = table.levels[level - 1]
    first = table.levels[0].modelled + table.levels[0].covariates
    names = tuple(dict.fromkeys(variables.modelled + variables.covariates))
    names = tuple(name for name in names if level == 1 or name not in first)
    moments = record.moments
    if not isinstance(moments, CellMoments):
        count = moments.n_rows if level == 1 else moments.n_clusters
        everything = np.ones((1, len(names)), dtype=np.bool_)
        return LevelGaps(level, names, everything, np.array([count]), np.zeros((0, 0)))
    width = len(moments.columns)
    coefs = np.array([record.maps[name].coefs for name in names]).reshape(len(names), width)
    above = moments.level2_patterns[moments.level2_pattern_of]
    if level == 1:
        own, units = moments.patterns[moments.pattern_of], moments.cell_rows
        seen = np.concatenate((own, above[moments.cluster_of]), axis=1)
    else:
        units = np.ones(moments.n_clusters, dtype=np.int64)
        known = np.ones((len(above), moments.varying), dtype=np.bool_)
        seen = np.concatenate((known, above), axis=1)
    patterns, codes = np.unique(all_there(coefs, seen), axis=0, return_inverse=True)
    counts = np.bincount(codes.reshape(-1), units, len(patterns)).astype(np.int64)
    order = np.argsort(-counts, kind="stable")
    return LevelGaps(level, names, patterns[order], counts[order], np.zeros((0, 0)))
