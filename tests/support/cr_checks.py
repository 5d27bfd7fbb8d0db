"""What the tests of CR0 to CR3 compare."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlsem.core.implied.means import is_mixed

WITH_DF = ("CR0", "CR2", "CR3")  # CR1, CR1p and CR1S are multiples of CR0, with its df


def df_of(result):
    """Degrees of freedom of the parameters by name."""
    return pd.Series(result.covariance.df, result.params.index)


def observed(fit):
    """The inverse of the bread: the observed information, of the fixed effects of a linear mixed
    model that given the variances."""
    matrix, mean = fit.information("observed").to_numpy(), ~fit.params.index.str.contains("~~")
    apart = is_mixed(fit._estimates.problem.inner.pattern) & (mean != mean[:, None])
    return np.where(apart, 0.0, matrix)


def assert_covariances(found, wanted, tol):
    """Within `tol` of √(v_ii v_jj)."""
    se = np.sqrt(np.diag(wanted))
    unit = np.outer(se, se)
    np.testing.assert_allclose(found / unit, wanted / unit, rtol=0, atol=tol)


def of_kinds(*results, kinds=WITH_DF):
    """The results with standard errors of each kind in turn."""
    for kind in kinds:
        yield tuple(result.with_se(kind) for result in results)


def assert_same(found, wanted, tol=1e-8, names=None, kinds=WITH_DF):
    """Standard errors and degrees of freedom of two fits within `tol`, relative."""
    names = wanted.params.index if names is None else names
    for ours, theirs in of_kinds(found, wanted, kinds=kinds):
        np.testing.assert_allclose(ours.bse[names], theirs.bse[names], rtol=tol)
        np.testing.assert_allclose(df_of(ours)[names], df_of(theirs)[names], rtol=tol)
