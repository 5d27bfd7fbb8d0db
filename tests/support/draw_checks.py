"""Draws from a fitted model, compared with rows that are drawn."""

from __future__ import annotations

import numpy as np
from kinds import UNBALANCED

STEPS = 5.0


def assert_mean(values, wanted):
    """The columns of `values` have this mean."""
    gap = np.abs(values.mean(axis=0) - wanted)
    assert (
        gap <= STEPS * values.std(axis=0) / np.sqrt(len(values)) + 1e-9 * (1.0 + np.abs(wanted))
    ).all()


def assert_same_moments(first, second):
    """The columns of both have the same means, variances and covariances."""
    for a, b in ((first, second), (_products(first), _products(second))):
        error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
        gap = np.abs(a.mean(axis=0) - b.mean(axis=0))
        assert (gap <= STEPS * error + 1e-9 * (1.0 + np.abs(b).max(axis=0))).all()


def _products(values):
    away = values - values.mean(axis=0)
    rows, cols = np.triu_indices(values.shape[1])
    return away[:, rows] * away[:, cols]


def drawn_rows(posed, params, cluster, count, rng):
    """(count, D) means and (count, V, V) cross-products of rows of one cluster, drawn as such."""
    dense, moments = posed.dense, posed.fit._estimates.problem.moments
    _, mean, cov = dense.clusters(params)[cluster]
    rows = dense.rows_of[cluster]
    within = dense.table.levels[0].modelled
    others = [name for name in dense.table.levels[-1].modelled if name not in within]
    values = mean + rng.standard_normal((count, len(mean))) @ np.linalg.cholesky(cov).T
    inner = values[:, : len(rows) * len(within)].reshape(count, len(rows), len(within))
    columns = np.empty((count, len(rows), len(moments.columns)))
    for k, name in enumerate(moments.columns):
        if name in within:
            columns[:, :, k] = inner[:, :, within.index(name)]
        elif name in others:
            columns[:, :, k] = values[:, [-len(others) + others.index(name)]]
        else:
            columns[:, :, k] = dense.columns[name][rows]
    means = columns.mean(axis=1, keepdims=True)
    away = (columns - means)[:, :, : moments.varying]
    return means[:, 0] - moments.shift, away.swapaxes(1, 2) @ away


def assert_drawn_as_rows(moments, cluster, draws, rows):
    """The means and cross-products of a cluster in the draws, and of its rows drawn one by one."""
    upper = np.triu_indices(moments.varying)
    place = int(np.flatnonzero(moments.labels == cluster)[0])
    assert moments.rows[place] == UNBALANCED[cluster]
    means, cross = rows
    by_rows = np.concatenate((means, cross[:, upper[0], upper[1]]), axis=1)
    found = np.array([np.append(d.means[place], d.within[place][upper]) for d in draws])
    assert_same_moments(found, by_rows)


def assert_only_outcomes_change(source):
    """Of a sampler: a draw has the covariates as they are. Gives the moments
    of the data and of the draw, and the places of covariates that vary within clusters."""
    moments, drawn = source.moments, source.draw(np.random.default_rng(1))
    fixed = [k for k, name in enumerate(moments.columns) if name[0] in "xw"]
    inner = [k for k in fixed if k < moments.varying]
    np.testing.assert_array_equal(drawn.means[:, fixed], moments.means[:, fixed])
    kept = np.ix_(range(moments.n_clusters), inner, inner)
    np.testing.assert_array_equal(drawn.within[kept], moments.within[kept])
    assert drawn.rows is moments.rows
    assert drawn.labels is moments.labels
    assert not drawn.means.flags.writeable
    assert not drawn.within.flags.writeable
    assert not np.isclose(drawn.means[:, source.outcomes], moments.means[:, source.outcomes]).any()
    return moments, drawn, inner
