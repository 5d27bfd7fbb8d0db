"""`inspect` and `calc_stats`: semopy's layout, and its numbers where they are right."""

from __future__ import annotations

import copy
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import InferenceError, InterfaceError, OptionValueError, SpecificationError
from mlsem.interop.semopy import calc_stats, from_semopy, inspect, to_semopy

with warnings.catch_warnings():
    # statsmodels and sympy, which it imports, are free to deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    semopy = pytest.importorskip("semopy")
threadpoolctl = pytest.importorskip("threadpoolctl")  # a dependency of its dependencies

DATA = Path(__file__).parents[1] / "reference" / "data"
TIGHT = {"ftol": 1e-12}
FACTORS = """
    visual =~ x1 + x2 + x3
    textual =~ x4 + x5 + x6
    speed =~ x7 + x8 + x9
"""
MODELS = {
    "factors": FACTORS,
    "equal": "f =~ x1 + a*x2 + a*x3\ng =~ x4 + x5 + x6\ng ~ f",
    "second order": FACTORS + "\nall =~ visual + textual + speed",
    "covariates": "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\ng ~ f + x7\nx8 ~ g + x9",
    "fixed path": "x1 ~ 0.3*x2 + x3\nx4 ~ x1 + x2",
    "residuals": "x2 ~ x1\nx3 ~ x2 + x4\nx1 ~~ x1\nx4 ~~ x4\nx1 ~~ 0*x4",
}
PLAIN = ("factors", "equal", "second order")  # without covariates
TWO_LEVEL = """
    level: 1
      fw =~ y1 + y2 + y3
      fw ~ x1 + x2 + w1:x1
    level: 2
      fb =~ y1 + y2 + y3
      fb ~ w1 + w2
"""


@pytest.fixture(scope="module")
def school() -> pd.DataFrame:
    return pd.read_csv(DATA / "hs1939.csv")


@pytest.fixture(scope="module")
def demo() -> pd.DataFrame:
    return pd.read_csv(DATA / "demo.csv")


@pytest.fixture(scope="module")
def fit(school: pd.DataFrame) -> mlsem.FitResult:
    return mlsem.fit(from_semopy(FACTORS), school)


@pytest.fixture(scope="module")
def two_level(demo: pd.DataFrame) -> mlsem.FitResult:
    return mlsem.fit(TWO_LEVEL, demo, cluster="cluster", se="CR2")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with threadpoolctl.threadpool_limits(1):
        yield
    logging.disable(logging.NOTSET)


def _by_place(table: pd.DataFrame) -> pd.DataFrame:
    """In an order that does not depend on semopy's; '-' is NaN."""
    ends = [
        " ".join([op, *(sorted((lhs, rhs)) if op == "~~" else (lhs, rhs))])
        for lhs, op, rhs in zip(table["lval"], table["op"], table["rval"], strict=True)
    ]
    numbers = table.drop(columns=["lval", "op", "rval"]).replace("-", np.nan)
    return numbers.astype(float).set_axis(ends).sort_index()


# --- inspect -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_inspect_is_semopys(name: str, school: pd.DataFrame) -> None:
    model = semopy.Model(MODELS[name])
    model.fit(school, obj="MLW", options=TIGHT)
    fit = mlsem.fit(from_semopy(MODELS[name]), school)
    choices: list[dict[str, Any]] = [{}, {"std_est": True}, {"information": None}]
    for options in choices:
        theirs, ours = model.inspect(**options), inspect(fit, **options)
        assert list(ours) == list(theirs)
        assert isinstance(ours.index, pd.RangeIndex)
        pd.testing.assert_frame_equal(
            _by_place(ours), _by_place(theirs), rtol=2e-3, atol=2e-4, check_dtype=False
        )
        assert (ours == "-").sum().tolist() == (theirs == "-").sum().tolist()
        pd.testing.assert_frame_equal(to_semopy(fit).inspect(**options), ours)


def test_the_numbers_are_the_fits(fit: mlsem.FitResult) -> None:
    robust = fit.with_se("MLR")
    for shown, ours in (
        (inspect(fit), fit),
        (inspect(fit, se_robust=True), robust),
        (inspect(robust), robust),
        (inspect(robust, se_robust=True), robust),
        (inspect(fit, information="observed"), fit.with_se("standard", information="observed")),
        (to_semopy(robust).inspect(), robust),
        (
            inspect(fit, "list", "est", "observed", se_robust=True),
            fit.with_se("MLR", information="observed"),
        ),
    ):
        table = ours.parameter_estimates()
        table = table[(table["op"] == "=~") & (table["rhs"] == "x8")].iloc[0]
        row = shown[(shown["op"] == "~") & (shown["lval"] == "x8")].iloc[0]
        assert row["Std. Err"] == table["se"]
        assert row["z-value"] == table["stat"]
        assert row["p-value"] == table["pvalue"]
    scaled = inspect(fit, std_est="lv")["Est. Std"].tolist()
    assert sorted(scaled) == pytest.approx(
        sorted(fit.parameter_estimates(standardized=True)["std_lv"].tolist())
    )
    without = fit.with_se("none")
    assert set(inspect(without)["Std. Err"]) == {"-"}
    assert set(inspect(without, information="observed")["Std. Err"]) == {"-"}
    pd.testing.assert_frame_equal(inspect(without, se_robust=True), inspect(robust))


def test_levels_and_intercepts(two_level: mlsem.FitResult) -> None:
    table = two_level.parameter_estimates(standardized=True)
    shown = inspect(two_level, level=2, std_est=True)
    between = table[(table["level"] == 2) & (table["op"] == "~1") & (table["se"] > 0)]
    means = shown[shown["rval"] == "1"]
    assert means["lval"].tolist() == ["y1", "y2", "y3"]
    assert means.index.tolist() == [5, 6, 7]  # after the paths, before the variances
    for column, ours in (("Est. Std", "std_all"), ("Std. Err", "se"), ("p-value", "pvalue")):
        assert means[column].tolist() == between[ours].tolist()
    within = inspect(two_level)
    assert "w1_x1" in within["rval"].tolist()
    assert "1" not in within["rval"].tolist()  # fixed at zero there
    product = table[(table["rhs"] == "w1:x1") & (table["op"] == "~")]
    assert within[within["rval"] == "w1_x1"]["Std. Err"].tolist() == product["se"].tolist()
    pd.testing.assert_frame_equal(to_semopy(two_level).inspect(), within)
    assert "1" not in to_semopy(two_level, 2).inspect()["rval"].tolist()


def test_models_with_means(school: pd.DataFrame) -> None:
    model = semopy.ModelMeans("f =~ x1 + x2 + x3\nf ~ x7\nx4 ~ f + x9")
    model.fit(school, options=TIGHT)
    fit = mlsem.fit(from_semopy(model), school)
    theirs, ours = model.inspect(information=None), inspect(fit, information=None)
    assert (ours["rval"] == "1").sum() == 4
    pd.testing.assert_frame_equal(_by_place(ours), _by_place(theirs), rtol=2e-3, atol=2e-3)


def test_matrices_are_semopys(fit: mlsem.FitResult) -> None:
    for what in ("est", "start", "name"):
        ours, theirs = inspect(fit, "mx", what), to_semopy(fit).inspect("mx", what=what)
        assert list(ours) == list(theirs)
        assert all(ours[name].equals(theirs[name]) for name in ours)


def test_after_a_fit_of_its_own_the_model_is_semopys(school: pd.DataFrame) -> None:
    fit = mlsem.fit(from_semopy(FACTORS), school, se="MLR")
    model = to_semopy(fit)
    copied = copy.deepcopy(model)
    model.fit(options=TIGHT)
    own = semopy.Model.inspect(model)
    pd.testing.assert_frame_equal(model.inspect(), own)
    ours = _by_place(inspect(fit))
    pd.testing.assert_frame_equal(_by_place(copied.inspect()), ours)
    assert not np.allclose(_by_place(own)["Std. Err"].dropna(), ours["Std. Err"].dropna(), 1e-2)


def test_reports_show_our_errors(fit: mlsem.FitResult, tmp_path: Path) -> None:
    semopy.report(to_semopy(fit.with_se("MLR")), "ours", path=str(tmp_path))
    text = (tmp_path / "ours" / "report.html").read_text("utf-8")
    assert f"{fit.with_se('MLR').bse['visual=~x2']:.3f}" in text


# --- calc_stats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_stats_are_semopys_where_these_are_right(name: str, school: pd.DataFrame) -> None:
    model = semopy.Model(MODELS[name])
    model.fit(school, obj="MLW", options=TIGHT)
    fit = mlsem.fit(from_semopy(MODELS[name]), school)
    theirs: Any = semopy.calc_stats(model)
    ours = calc_stats(fit)
    assert list(ours) == list(theirs)
    assert list(ours.index) == ["Value"]
    assert ours.dtypes.equals(theirs.dtypes)
    columns = ["chi2"]
    if name in PLAIN:
        columns += "DoF,DoF Baseline,chi2 p-value,chi2 Baseline,CFI,NFI,TLI".split(",")
        off = np.sqrt((len(school) - 1) / len(school))
        assert ours["RMSEA"].item() == pytest.approx(off * theirs["RMSEA"].item(), rel=1e-4)
    expected = theirs[columns].iloc[0].tolist()
    assert ours[columns].iloc[0].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_stats_are_fit_measures(fit: mlsem.FitResult, two_level: mlsem.FitResult) -> None:
    names = "df,baseline.df,chisq,pvalue,baseline.chisq,cfi,gfi_lisrel,agfi_lisrel,nfi,tli,rmsea,"
    names = (names + "aic,bic,logl").split(",")
    assert calc_stats(fit).iloc[0].tolist() == fit.fit_measures(names).tolist()
    both = [name for name in names if "gfi" not in name]
    found = calc_stats(two_level).iloc[0]
    assert found.drop(["GFI", "AGFI"]).tolist() == two_level.fit_measures(both).tolist()
    assert found[["GFI", "AGFI"]].isna().all()


def test_gfi_is_the_likelihoods(fit: mlsem.FitResult, school: pd.DataFrame) -> None:
    """Of the matrices; semopy's own is the NFI."""
    names = [f"x{k}" for k in range(1, 10)]
    sample = school[names].cov(ddof=0).to_numpy()
    white: Any = np.linalg.solve(fit.implied().cov.loc[names, names].to_numpy(), sample)
    rest: Any = white - np.eye(9)
    gfi = 1 - np.trace(rest @ rest) / np.trace(white @ white)
    stats = calc_stats(fit).iloc[0]
    assert stats["GFI"] == pytest.approx(gfi, abs=1e-8)
    assert stats["AGFI"] == pytest.approx(1 - 45 / 24 * (1 - gfi), abs=1e-8)


def test_random_slopes_have_a_likelihood_alone(demo: pd.DataFrame) -> None:
    slopes = mlsem.fit(
        'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~~ y1\n y1 ~~ s\n s ~~ 0.1*s',
        demo,
        cluster="cluster",
    )
    stats = calc_stats(slopes).iloc[0]
    assert stats.drop(["AIC", "BIC", "LogLik"]).isna().all()
    assert (stats["LogLik"], stats["AIC"]) == (slopes.loglik, pytest.approx(slopes.aic))
    with pytest.raises(SpecificationError, match="random slopes"):
        inspect(slopes)


# --- what is refused -----------------------------------------------------------------------------


def test_several_groups(school: pd.DataFrame) -> None:
    fit = mlsem.fit("visual =~ x1 + x2 + x3", school, group="school")
    for taker in (inspect, to_semopy):
        with pytest.raises(SpecificationError, match="takes models of one group"):
            taker(fit)
    assert calc_stats(fit)["LogLik"].tolist() == [fit.loglik]


@pytest.mark.parametrize(
    "option",
    [
        {"mode": "table"},
        {"what": "estimates"},
        {"information": "fisher"},
        {"std_est": "all"},
        {"se_robust": "yes"},
        {"level": 2},
    ],
    ids=lambda option: next(iter(option)),
)
def test_values_that_inspect_cannot_take(fit: mlsem.FitResult, option: dict[str, Any]) -> None:
    ((name, _),) = option.items()
    with pytest.raises(OptionValueError, match=rf"{name}="):
        inspect(fit, **option)
    if name != "level":
        with pytest.raises(OptionValueError, match=rf"{name}="):
            to_semopy(fit).inspect(**option)


def test_what_is_no_fit(school: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    takers: tuple[Any, ...] = (inspect, calc_stats)
    for taker in takers:
        with pytest.raises(OptionValueError, match=f"{taker.__name__} takes a FitResult"):
            taker("x1 ~ x2")
    with pytest.raises(TypeError, match="robust"):
        calc_stats(mlsem.fit("x1 ~ x2", school), robust=True)  # type: ignore[call-arg]
    with pytest.warns(mlsem.EstimationWarning):
        stopped = mlsem.fit(FACTORS, school, max_iter=1)
    with pytest.raises(InferenceError, match="did not converge"):
        calc_stats(stopped)
    fit = mlsem.fit("x1 ~ x2", school)
    monkeypatch.setitem(sys.modules, "semopy", None)
    assert calc_stats(fit)["DoF"].item() == 0  # needs no semopy
    with pytest.raises(InterfaceError, match="semopy"):
        inspect(fit)
