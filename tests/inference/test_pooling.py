"""Rubin's rules and the tests D1 to D4, given what each data set gave."""

from __future__ import annotations

import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsem.core.records import Array
from mlsem.inference.pooling.joint import d1, d1_df, d2, d3, d4
from mlsem.inference.pooling.rules import Parts, Variances, pooled, pooled_numbers

FOLDER = Path(__file__).parents[1] / "reference" / "surveys"
M = 5


@cache
def stored(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def of_each(values: Any) -> Array:
    """By imputation, in order."""
    return np.array([values[k] for k in sorted(values)] if isinstance(values, dict) else values)


def mitml(kind: str, which: str) -> dict[str, Array]:
    mi = stored("mi.json")
    table = np.array(mi[kind][which], dtype=float)
    return dict(zip(mi["mitml_columns"], table.T, strict=True))


def parts() -> tuple[Array, Parts]:
    mi = stored("mi.json")
    estimates = np.array(mi["est"])
    return estimates.mean(axis=0), pooled(estimates, of_each(mi["vcov"]))


def one(shares: Any, m: int = M) -> Variances:
    """A variance of 1, with these shares of what the drawn values add."""
    shares = np.array(shares, dtype=float)
    return Variances(1.0 - shares, shares[None], np.array([m - 1.0]))


# --- Rubin's rules --------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "nu"), [("mitml", np.inf), ("mitml_dfcom47", 47.0)])
def test_pooling_is_that_of_mitml(which: str, nu: float) -> None:
    expected = mitml("pooled_ml", which)
    est, found = parts()
    own = found.along(np.eye(len(est)))
    df = own.df(np.full(len(est), nu), "barnard-rubin")
    np.testing.assert_allclose(est, expected["Estimate"], rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(own.total), expected["Std.Error"], rtol=1e-12)
    np.testing.assert_allclose(df, expected["df"], rtol=1e-11)
    np.testing.assert_allclose(own.riv, expected["RIV"], rtol=1e-11)
    np.testing.assert_allclose(own.fmi(df), expected["FMI"], rtol=1e-11)


def test_numbers_are_pooled_one_by_one() -> None:
    """Robust standard errors, of which only the variances are stored."""
    mi, expected = stored("mi.json"), mitml("pooled_mlr", "mitml")
    se = np.array(mi["se_mlr"])
    found = pooled_numbers(np.array(mi["est"]), se, np.full_like(se, np.inf), "rubin")
    np.testing.assert_allclose(found.se, expected["Std.Error"], rtol=1e-12)
    np.testing.assert_allclose(found.df, expected["df"], rtol=1e-11)
    np.testing.assert_allclose(found.fmi, expected["FMI"], rtol=1e-11)


@pytest.mark.parametrize(
    ("which", "nu"),
    [("mlr_rubin", None), ("cr1_barnard_rubin_J1", 39.0), ("cr2_barnard_rubin_satterthwaite", 0)],
)
def test_degrees_of_freedom_of_plausible_values(which: str, nu: float | None) -> None:
    """ν is infinite, clusters less 1 and not rows less 1 (mixPV has 456.6 for a variable of 40
    schools), or the mean of Satterthwaite's."""
    seen = 0
    for name, case in stored("pv.json").items():
        if name.startswith("replicate"):
            continue
        table, seen = case[which], seen + 1
        own = one(table["lam"])
        complete = np.full(len(own.within), np.inf if nu is None else nu)
        if nu == 0:
            complete = np.mean(case["satterthwaite_by_pv"], axis=0)
        df = own.df(complete, "barnard-rubin")
        np.testing.assert_allclose(df, table["df"], rtol=1e-9)
        np.testing.assert_allclose(own.riv, table["riv"], rtol=1e-9)
        np.testing.assert_allclose(own.fmi(df), table["fmi"], rtol=1e-9)
    assert seen == 11


def test_matching_has_the_limits_of_both_parts() -> None:
    shares = np.array([0.0, 0.5, 1.0])
    df = one(shares).df(np.full(3, 10.0), "matching")
    np.testing.assert_allclose(df, [10.0, 1 / (0.25 / 4 + 0.25 / 10), 4.0], rtol=1e-14)
    shares, infinite = np.array([0.0, 0.5, 0.9]), np.full(3, np.inf)
    rubin = one(shares).df(infinite, "rubin")
    np.testing.assert_array_equal(one(shares).df(infinite, "matching"), rubin)
    np.testing.assert_array_equal(one(shares).df(infinite, "barnard-rubin"), rubin)


def test_barnard_rubin_collapses_where_matching_does_not() -> None:
    """With 4 degrees of freedom of complete data and few missing: 1/df = .01/4 + 7/(.9 · 4 · 5)."""
    nu = np.array([4.0])
    barnard = one([0.1]).df(nu, "barnard-rubin")
    np.testing.assert_allclose(barnard, 1 / (0.01 / 4 + 7 / (0.9 * 4 * 5)), rtol=1e-12)
    assert barnard[0] < 2.6
    assert one([0.1]).df(nu, "matching")[0] == pytest.approx(1 / (0.01 / 4 + 0.81 / 4))


def test_no_test_stays_none() -> None:
    """A variance beside t tests has no degrees of freedom, and a fraction of missing information
    all the same."""
    own = one([0.3])
    df = own.df(np.array([np.nan]), "matching")
    assert np.isnan(df[0])
    np.testing.assert_allclose(own.fmi(df), own.fmi(own.df(np.array([np.inf]), "rubin")))


def test_nested_values_by_hand() -> None:
    """Three outer ones of two: their means are 2, 3 and 7."""
    estimates = np.array([1.0, 3.0, 2.0, 4.0, 6.0, 8.0])[:, None]
    nests = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    found = pooled(estimates, np.full((6, 1, 1), 2.0), nests)
    np.testing.assert_allclose(found.between, [[7.0]])
    np.testing.assert_allclose(found.matrices.ravel(), [7.0 * 4 / 3, 2.0 * 1 / 2])
    own, total = found.along(np.ones((1, 1))), 2.0 + 28 / 3 + 1.0
    np.testing.assert_allclose(own.total, total)
    inverse = (28 / 3 / total) ** 2 / 2 + (1.0 / total) ** 2 / 3
    np.testing.assert_allclose(own.df(np.array([np.inf]), "rubin"), 1 / inverse)


def test_nests_of_one_are_not_nested() -> None:
    mi = stored("mi.json")
    estimates, covariances = np.array(mi["est"]), of_each(mi["vcov"])
    plain = pooled(estimates, covariances)
    nested = pooled(estimates, covariances, [np.array([k]) for k in range(M)])
    np.testing.assert_array_equal(nested.matrices, plain.matrices)
    np.testing.assert_array_equal(nested.df, plain.df)


# --- joint tests ----------------------------------------------------------------------------------


def close(found: Any, expected: Any) -> None:
    """F, k, df, p, r."""
    own = found.statistic
    values = own.value, own.df, own.df_denom, own.pvalue, found.riv
    np.testing.assert_allclose(values, np.array(expected[:5], dtype=float), rtol=1e-9)


@pytest.mark.parametrize(("which", "nu"), [("D1", np.inf), ("D1_dfcom47", 47.0)])
def test_d1_is_that_of_mitml(which: str, nu: float) -> None:
    mixed = stored("mi.json")["lmer"]
    each = [mixed["per_imputation"][k] for k in sorted(mixed["per_imputation"])]
    estimates = np.array([one["est"] for one in each])
    found = pooled(estimates, np.array([one["vcov"] for one in each]))
    two = np.ix_([1, 2], [1, 2])
    mean = estimates.mean(axis=0)[[1, 2]]
    close(d1(mean, found.within[two], found.matrices[0][two], M, nu), mixed[which])


def test_d1_does_not_depend_on_how_constraints_are_written() -> None:
    est, found = parts()
    within, added, values = found.within[:3, :3], found.matrices[0][:3, :3], est[:3] - 0.5
    turn = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, -1.0], [1.0, 0.0, 1.0]])
    plain = d1(values, within, added, M, 30.0)
    turned = d1(turn @ values, turn @ within @ turn.T, turn @ added @ turn.T, M, 30.0)
    assert turned.statistic.value == pytest.approx(plain.statistic.value, rel=1e-10)
    assert turned.statistic.df_denom == pytest.approx(plain.statistic.df_denom, rel=1e-10)


def test_denominators_of_d1() -> None:
    """Li's for t ≤ 4; with finite ν matched where Reiter's expansion does not exist; without a
    between part those of complete data, or about these."""
    assert d1_df(2, 3, 0.5, np.inf) == pytest.approx(4 * 1.5 * 9 / 2)
    assert d1_df(2, 3, 0.5, 20.0) == pytest.approx(1 / ((1 / 3) ** 2 / 4 + (2 / 3) ** 2 / 20))
    assert d1_df(2, 5, 0.5, 3.0) == pytest.approx(1 / ((1 / 3) ** 2 / 8 + (2 / 3) ** 2 / 3))
    assert d1_df(3, 5, 0.0, np.inf) == np.inf
    assert d1_df(3, 50, 1e-9, 40.0) == pytest.approx(40.0 * 41 / 43, rel=1e-3)


def test_d2_d3_and_d4_are_those_of_mitml_and_of_hand() -> None:
    mi = stored("mi.json")
    ratios = 2.0 * (of_each(mi["loglik"]) - of_each(mi["loglik_restricted"]))
    close(d2(ratios, 2), mi["D2_lr"])
    *by_hand, stacked, mean = mi["D4_by_hand"]
    assert mean == pytest.approx(ratios.mean(), rel=1e-12)
    close(d4(mean, stacked, 2, M), by_hand)
    value, _, df, pvalue, riv, _ = mi["D3"]
    at_pooled = value * 2 * (1 + riv)
    close(d3(at_pooled + riv * 8 / 6, at_pooled, 2, M), (value, 2, df, pvalue, riv))


def test_statistics_that_do_not_differ_are_those_of_one_data_set() -> None:
    for found in (d2(np.full(M, 6.0), 2), d3(6.0, 6.0, 2, M), d4(6.0, 6.0, 2, M)):
        assert found.riv == 0.0
        assert found.statistic.value == pytest.approx(3.0)
        assert found.statistic.pvalue == pytest.approx(np.exp(-3.0))


def test_a_stacked_ratio_above_the_mean_adds_no_variance() -> None:
    found = d4(6.0, 6.5, 2, M)
    assert (found.riv, found.statistic.value, found.statistic.df_denom) == (0.0, 3.25, np.inf)


# --- coverage -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_of_few_clusters_cover() -> None:
    """150 data sets of the study on docs/studies/pooled_coverage.md, of 12 clusters."""
    path = Path(__file__).parents[2] / "examples" / "studies" / "pooled_coverage.py"
    script = runpy.run_path(str(path))
    found = np.array(script["run_batch"](script["Cell"](12), range(150)))
    coverage, widths = 1.0 - found[:, 0].mean(axis=0), np.median(found[:, 1], axis=0)
    rows, barnard, matching, reml = widths
    assert (np.abs(coverage[2:] - 0.95) < 0.05).all()  # 2.8 Monte Carlo errors
    assert (rows < matching).all()
    assert (matching < barnard).all()
    assert coverage[0, 0] < coverage[2, 0]  # the treatment of 4 clusters
    assert (reml < barnard).all()
