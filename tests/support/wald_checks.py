"""What tests of Wald tests share."""

from __future__ import annotations

import warnings

import numpy as np

import mlsem

MODEL = """
level: 1
  y1 ~ a*x1 + b*x2
level: 2
  y1 ~ c*w1 + w2
ab := a*b
"""


def quiet(text, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(text, data, cluster="id", **options)


def rows(fit, names, contrasts):
    """Contrasts of these parameters as rows of a matrix."""
    matrix = np.zeros((len(contrasts), len(fit.params)))
    matrix[:, fit.params.index.get_indexer(names)] = contrasts
    return matrix


def assert_same(found, wanted, tol=1e-9):
    np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=tol)


def numbers(test):
    """What a test consists of, chi-square per degree of freedom as clubSandwich has it."""
    per = test.df if test.test == "chi2" else 1
    return [test.statistic / per, test.df, test.df_denom, test.pvalue, test.delta or 1.0]
