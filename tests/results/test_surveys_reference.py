"""Weighted fits of plausible values against references, and what other programs get wrong."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
from mlsem.core.records import Array
from mlsem.errors import DataError, OptionValueError
from mlsem.inference.pooling.joint import d2

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore:.*plausible values:mlsem.errors.DataWarning"),
    pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning"),
]
SURVEYS = FOLDER / "surveys"
BOTH = {"total": "w_stu", "level2": "w_sch"}
FIXED = {
    "outcome": "ses + private + girl",
    "predictor": "read + ses + private",
    "product": "read * private",
}
PLAUSIBLE = {"math": "pv{}math", "read": "pv{}read"}
PLACES = {"ri": [0, 1, 2, 3, 4, 5], "rs": [0, 1, 2, 3, 4, 6, 5, 7]}  # variances, then covariances
SCHOOLS = 40


@cache
def stored(name: str) -> Any:
    return json.loads((SURVEYS / name).read_text("utf-8"))


@cache
def pupils() -> pd.DataFrame:
    return pd.read_csv(SURVEYS / "lsa_pv.csv")


@cache
def pooled(kind: str, rand: str = "ri", scaling: str = "unscaled") -> mlsem.PooledResult:
    formula = f"math ~ {FIXED[kind]} + ({'ses' if rand == 'rs' else '1'} | school)"
    used = {name: PLAUSIBLE[name] for name in ("math", "read") if name in formula}
    how: dict[str, Any] = {"weights": BOTH, "weight_scaling": scaling}
    if scaling == "level2":
        how = {"weights": {"level2": "w_sch"}}
    return mlsem.fit_many(formula, pupils(), plausible=used, REML=False, tol=1e-10, **how)


def close(found: mlsem.PooledResult, table: Any, places: Any = None, df: float = 1e-6) -> None:
    """Estimates, errors, degrees of freedom, RIV and FMI of the parameters of a reference."""
    own = [found.params, found.bse, found.df, found.riv, found.fmi]
    wanted = [np.array(table[name]) for name in ("est", "se", "df", "riv", "fmi")]
    if places is not None:
        wanted = [each[places] for each in wanted]
    n = len(wanted[0])
    away = (own[0].to_numpy()[:n] - wanted[0]) / wanted[1]
    assert np.abs(away).max() < 1e-8
    np.testing.assert_allclose(own[1][:n], wanted[1], rtol=1e-8)
    for mine, theirs in zip(own[2:], wanted[2:], strict=True):
        np.testing.assert_allclose(mine[:n], theirs, rtol=df)


CASES = [name for name in stored("pv.json") if not name.startswith("replicate")]


@pytest.mark.parametrize("name", CASES)
def test_weighted_plausible_values(name: str) -> None:
    """As outcome, predictor and factor of a product: MLR; CR1 with clusters less one; CR2."""
    case, (kind, rand, scaling) = stored("pv.json")[name], name.split(".")
    mlr = pooled(kind, rand, scaling)
    by_value = np.array([fit.estimates for fit in mlr])
    wanted = np.array(case["by_pv"])[:, PLACES[rand]]
    assert np.abs((by_value - wanted) / mlr.fits[0].bse.to_numpy()).max() < 1e-8
    close(mlr, case["mlr_rubin"], PLACES[rand])
    cr1 = mlr.with_se("CR1")
    np.testing.assert_allclose(
        cr1.bse, np.array(case["wemix_rubin"]["se"])[PLACES[rand]], rtol=1e-8
    )
    few = mlsem.pool(cr1, "barnard-rubin", complete_df=SCHOOLS - 1)
    close(few, case["cr1_barnard_rubin_J1"])
    cr2 = mlsem.pool(mlr.with_se("CR2"), "barnard-rubin")
    close(cr2, case["cr2_barnard_rubin_satterthwaite"])


def test_cases_are_of_every_kind() -> None:
    assert len(CASES) == 11
    assert {name.split(".")[0] for name in CASES} == set(FIXED)


# --- traps of other programs ----------------------------------------------------------------------


@pytest.mark.parametrize("rand", ["ri", "rs"])
def test_degrees_of_freedom_count_schools(rand: str) -> None:
    """mixPV's estimates and errors, as far as WeMix goes; not its degrees of freedom, which take
    pupils for schools: 458 for a variable of 40 schools."""
    table = pd.DataFrame(stored("mixpv.json")[rand]).set_index("term").iloc[:4]
    found = pooled("outcome", rand).with_se("CR1")
    np.testing.assert_array_less(
        np.abs(found.params[:4] - table.estimate.to_numpy()) / found.bse[:4], 1e-5
    )
    np.testing.assert_allclose(found.bse[:4], table["std.error"], rtol=1e-5)
    np.testing.assert_allclose(found.riv[:4], table["RIV"], rtol=1e-4)
    assert table.dof["private"] > 400
    few = mlsem.pool(found, "barnard-rubin", complete_df=SCHOOLS - 1)
    assert few.df["private"] < SCHOOLS
    if rand == "ri":
        assert few.df["private"] == pytest.approx(35.5, abs=0.05)
    matched = found.with_se("CR2")
    assert matched.df["private"] < few.df["private"]


def test_the_random_slopes_variance_has_its_own_error() -> None:
    """mixPV prints the error of the slope's variance for that of the residual."""
    table = pd.DataFrame(stored("mixpv.json")["rs"]).set_index("term")
    found = pooled("outcome", "rs").with_se("CR1")
    wanted = stored("pv.json")["outcome.rs.unscaled"]["wemix_rubin"]["se"]
    assert found.bse["Residual"] == pytest.approx(wanted[-1], rel=1e-8)
    printed = table["std.error"].to_numpy(dtype=float)[4:]
    assert not np.isclose(printed, found.bse["Residual"], rtol=1e-3).any()


def test_tests_of_several_values_do_not_depend_on_the_weights_unit() -> None:
    """lrtPV pools ratios of weighted likelihoods as if they were χ²: its p depends on the unit.
    Scaled ratios of each data set do not, nor does D1."""
    schools = pupils().groupby("school").w_sch.first()
    units = (1.0, 1.0 / schools.mean(), len(pupils()) / pupils().w_stu.sum())
    plain, scaled, joint = [], [], []
    full, simple = "ses + private + girl", "ses"
    for unit in units:
        data = pupils().assign(w_sch=pupils().w_sch * unit, w_stu=pupils().w_stu * unit)
        small, large = (
            mlsem.fit_many(
                f"math ~ {fixed} + (1 | school)",
                data,
                plausible={"math": PLAUSIBLE["math"]},
                REML=False,
                weights=BOTH,
                weight_scaling="unscaled",
                tol=1e-10,
            )
            for fixed in (simple, full)
        )
        pairs = list(zip(small, large, strict=True))
        plain.append(d2(_chi2([2.0 * (b.loglik - a.loglik) for a, b in pairs]), 2))
        scaled.append(d2(_chi2([mlsem.lr_test(a, b).statistic for a, b in pairs]), 2))
        joint.append(large.wald_test("`private`; `girl`"))
        with pytest.raises(mlsem.InferenceError, match=r"weighted log-likelihood has no .*D1"):
            large.lr_test(small)
    p = [test.statistic.pvalue for test in plain]
    assert max(p) - min(p) > 0.2
    for tests in ([test.statistic.pvalue for test in scaled], [test.pvalue for test in joint]):
        np.testing.assert_allclose(tests, tests[0], rtol=1e-6)


def test_a_random_slope_is_tested_by_a_factor_that_is_positive() -> None:
    """Satorra and Bentler's difference (2001) is negative there; the two others do not depend on
    the schools' weights' unit, and strata, of which they know nothing, leave the Wald test."""
    found = []
    for unit in (1.0, 7.0):
        data = pupils().assign(w_sch=pupils().w_sch * unit, w_stu=pupils().w_stu * unit)
        simple, full = (
            mlsem.lmm(f"pv1math ~ ses + private + {z}", data, weights=BOTH, REML=False, tol=1e-10)
            for z in ("(1 | school)", "(ses | school)")
        )
        with pytest.raises(mlsem.InferenceError, match=r"boundary=False, with .*2010\" or \"score"):
            mlsem.lr_test(simple, full)
        lost = rf"difference is {int(-88.796 * unit)}\..*2010\" or \"score\", whose"
        with pytest.raises(mlsem.InferenceError, match=lost):
            mlsem.lr_test(simple, full, boundary=False)
        tests = [
            mlsem.lr_test(simple, full, boundary=False, method=method)
            for method in ("satorra.bentler.2010", "score")
        ]
        ratio = 2.0 * (full.loglik - simple.loglik)
        assert tests[0].statistic * tests[0].scaling == pytest.approx(ratio)
        found.append([each.statistic for each in tests])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    drawn = {"weights": BOTH, "REML": False, "strata": "private"}
    simple, full = (
        mlsem.lmm(f"pv1math ~ ses + {z}", pupils(), **drawn)
        for z in ("(1 | school)", "(ses | school)")
    )
    with pytest.raises(mlsem.InferenceError, match=r"is -.*Use fit\.wald_test"):
        mlsem.lr_test(simple, full, boundary=False)


def _chi2(values: list[float]) -> Array:
    return np.array(values)


def test_conditional_weights_are_not_totals() -> None:
    """Conditional weights that are taken for totals are divided by the schools' once more, and the
    variance between schools falls to a fifth; with their own key they are right."""
    data = pupils().assign(c=pupils().w_stu / pupils().w_sch)
    data["twice"] = data.c / data.w_sch
    formula = "pv1math ~ ses + private + girl + (1 | school)"
    how: dict[str, Any] = {"REML": False, "weight_scaling": "unscaled", "tol": 1e-10}
    with pytest.raises(DataError, match=r"Are these conditional weights.*\"level1\": 'c'"):
        mlsem.lmm(formula, data, weights={"total": "c", "level2": "w_sch"}, **how)
    right = mlsem.lmm(formula, data, weights=BOTH, **how)
    own = mlsem.lmm(formula, data, weights={"level1": "c", "level2": "w_sch"}, **how)
    np.testing.assert_allclose(own.params, right.params, rtol=1e-8)
    wrong = mlsem.lmm(formula, data, weights={"level1": "twice", "level2": "w_sch"}, **how)
    tau = "school.(Intercept)"
    assert right.params[tau] == pytest.approx(stored("wlmm.json")["ri.unscaled"]["est"][4])
    assert wrong.params[tau] < 0.2 * right.params[tau]
    with pytest.raises(OptionValueError, match="rows' weights twice"):
        mlsem.lmm(formula, data, weights={"total": "w_stu", "level1": "c"}, **how)


def test_clusters_of_different_imputations_stay_apart() -> None:
    """Merged, as lavaan.mi's D4 has them, a cluster has five times its rows and the stacked ratio
    is above the mean one, so that nothing seems to vary between the imputations."""
    long = pd.read_csv(SURVEYS / "imputed.csv")
    full = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~~ y1"
    simple = full.replace("~ x1", "~ 0*x1")
    large, small = (mlsem.fit_many(m, long, "id", imputation="imp") for m in (full, simple))
    found = large.lr_test(small)
    apart = long.assign(id=long.imp * 1000 + long.id)
    ratio = {
        name: 2.0 * (mlsem.fit(full, data, "id").loglik - mlsem.fit(simple, data, "id").loglik) / 5
        for name, data in (("apart", apart), ("merged", long))
    }
    mean = np.mean([2.0 * (b.loglik - a.loglik) for a, b in zip(small, large, strict=True)])
    assert found.statistic * (1.0 + found.riv) == pytest.approx(ratio["apart"], rel=1e-8)
    assert found.riv == pytest.approx(1.5 * (mean - ratio["apart"]), rel=1e-7)
    assert ratio["merged"] > mean > ratio["apart"]


# --- where plausible values may be ----------------------------------------------------------------


def test_plausible_values_may_be_auxiliary() -> None:
    """Named beside the model, not in it."""
    gone = np.random.default_rng(1).random(len(pupils())) < 0.2
    data = pupils().assign(ses=pupils().ses.mask(gone))
    model = "level: 1\n math ~ ses\nlevel: 2\n math ~ private"
    how: dict[str, Any] = {"missing": "fiml.x", "weights": BOTH}
    found = mlsem.fit_many(
        model, data, "school", plausible=PLAUSIBLE, auxiliary=["read"], tol=1e-10, **how
    )
    third = data.rename(columns={"pv3math": "math", "pv3read": "read"})
    alone = mlsem.fit(model, third, "school", auxiliary=["read"], tol=1e-10, **how)
    np.testing.assert_allclose(found.fits[2].params, alone.params, rtol=1e-5)
    shown = found.parameter_estimates()
    assert "read" not in {*shown.lhs, *shown.rhs}
    with pytest.raises(OptionValueError, match=r"'read', which the model does not name"):
        mlsem.fit_many(model, data, "school", plausible=PLAUSIBLE, **how)


def test_plausible_values_of_schools() -> None:
    """A variable of level 2 may be drawn, too."""
    data = pupils().copy()
    for k in range(1, 6):
        data[f"pv{k}climate"] = data.groupby("school")[f"pv{k}read"].transform("mean")
    plausible = {"math": PLAUSIBLE["math"], "climate": "pv{}climate"}
    model = "level: 1\n math ~ ses\nlevel: 2\n math ~ climate"
    found = mlsem.fit_many(model, data, "school", plausible=plausible, weights=BOTH)
    alone = data.rename(columns={"pv2math": "math", "pv2climate": "climate"})
    wanted = mlsem.fit(model, alone, "school", weights=BOTH)
    np.testing.assert_allclose(found.fits[1].params, wanted.params, rtol=1e-5)
    assert found.fmi["math~climate.l2"] > 0


def test_of_a_query_come_the_columns_that_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, and plausible values by their pattern; not the other columns of a wide file."""
    pl = pytest.importorskip("polars")
    seen: list[list[str]] = []
    collect = pl.LazyFrame.collect

    def watched(self: Any, *args: Any, **keywords: Any) -> Any:
        found = collect(self, *args, **keywords)
        seen.append(found.columns)
        return found

    monkeypatch.setattr(pl.LazyFrame, "collect", watched)
    model = "level: 1\n math ~ ses\nlevel: 2\n math ~ private"
    how: dict[str, Any] = {"plausible": {"math": PLAUSIBLE["math"]}, "weights": BOTH}
    found = mlsem.fit_many(model, pl.from_pandas(pupils()).lazy(), "school", **how)
    wanted = mlsem.fit_many(model, pupils(), "school", **how)
    np.testing.assert_array_equal(found.estimates, wanted.estimates)
    values = [f"pv{k}math" for k in range(1, 6)]
    assert {each for names in seen for each in names} == {
        *("school", "ses", "private", "w_stu", "w_sch"),
        *values,
    }
