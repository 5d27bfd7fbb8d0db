"""What is asked of pooled fits besides their parameters: slopes, effects, groups, diagrams."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import InferenceError, OptionValueError, UnknownNameError

FOLDER = Path(__file__).parents[1] / "reference" / "surveys"
PRODUCT = "level: 1; y3 ~ b1*x1 + b3*w1:x1; level: 2; y3 ~ w1"

pytestmark = pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning")


@cache
def imputed() -> tuple[pd.DataFrame, ...]:
    long = pd.read_csv(FOLDER / "imputed.csv")
    return tuple(part.drop(columns="imp") for _, part in long.groupby("imp"))


def many(model: str, **options: Any) -> Any:
    return mlsem.fit_many(model, list(imputed()), **options)


@cache
def moderated(se: str = "CR2") -> mlsem.PooledResult:
    slope = "; slope := b1 + 0.7*b3"
    return many(PRODUCT + slope, cluster="id", se=se)


# --- simple slopes --------------------------------------------------------------------------------


def test_a_simple_slope_is_the_defined_parameter() -> None:
    """est, se, df and limits by Rubin's rules, with the mean of the fits' degrees of freedom."""
    pooled = moderated()
    row = pooled.simple_slopes("x1", "w1", at=0.7).frame.iloc[0]
    defined = pooled.parameter_estimates().iloc[-1]
    names = {"slope": "est", **{n: n for n in ("se", "stat", "df", "pvalue", "ci_lower")}}
    for mine, theirs in names.items():
        assert row[mine] == pytest.approx(defined[theirs], rel=1e-9), mine
    each = [fit.parameter_estimates().iloc[-1] for fit in pooled]
    est, se, df = (np.array([one[name] for one in each]) for name in ("est", "se", "df"))
    total = (se**2).mean() + 1.2 * est.var(ddof=1)
    share = 1.2 * est.var(ddof=1) / total
    assert row["se"] == pytest.approx(np.sqrt(total), rel=1e-9)
    assert row["df"] == pytest.approx(1 / (share**2 / 4 + (1 - share) ** 2 / df.mean()), rel=1e-9)


def test_default_values_are_means_over_data_sets() -> None:
    pooled = moderated()
    own = np.array([fit.simple_slopes("x1", "w1").frame["w1"] for fit in pooled])
    np.testing.assert_allclose(
        pooled.simple_slopes("x1", "w1").frame["w1"], own.mean(axis=0), rtol=1e-12
    )


def test_bounds_are_where_the_interval_begins_to_contain_zero() -> None:
    pooled = moderated()
    bounds = pooled.simple_slopes("x1", "w1").johnson_neyman.bounds
    assert bounds
    rows = pooled.simple_slopes("x1", "w1", at=list(bounds)).frame
    nearest = np.minimum(abs(rows["ci_lower"]), abs(rows["ci_upper"]))
    np.testing.assert_allclose(nearest, 0.0, atol=1e-6)


def test_slopes_of_a_formula_are_its_marginal_slopes() -> None:
    """Of columns that each data set makes otherwise, too."""
    pooled = many("y3 ~ poly(y1, 2) + x1*w1 + (1 | id)")
    for predictor, moderator, at in (("y1", "y1", [-1.0, 0.5]), ("x1", "w1", [-1.0, 2.0])):
        slopes = pooled.simple_slopes(predictor, moderator, at=at).frame
        means = pooled.marginal_slopes(predictor, moderator, at={moderator: at}).frame
        np.testing.assert_allclose(slopes["slope"], means.iloc[:, 1], rtol=1e-6)
        np.testing.assert_allclose(slopes["se"], means["se"], rtol=1e-6)
        np.testing.assert_allclose(slopes["df"], means["df"], rtol=1e-5)


def test_an_interaction_is_drawn_and_data_of_one_set_are_refused() -> None:
    pooled = moderated()
    assert len(pooled.plot_interaction("x1", "w1").axes) == 1
    assert pooled.plot_interaction("x1", "w1", "johnson-neyman").axes
    with pytest.raises(OptionValueError, match=r"(?s)several data sets.*at="):
        pooled.simple_slopes("x1", "w1", data=imputed()[0])


def test_values_that_are_not_the_same_in_all_sets_are_asked_for() -> None:
    """One has two values in some sets only: all its levels there, its mean elsewhere."""
    frames = [each.assign(g=each["id"] % 2 + 0.0) for each in imputed()]
    frames[1].loc[frames[1]["id"] == 3, "g"] = 0.5
    pooled = mlsem.pool([mlsem.lmm("y3 ~ x1*w1 + g + (1 | id)", each) for each in frames])
    with pytest.raises(InferenceError, match=r"'g': the data sets have not the same values.*at="):
        pooled.simple_slopes("x1", "w1")
    assert len(pooled.simple_slopes("x1", "w1", at={"g": 0}).frame) == 3


# --- effects --------------------------------------------------------------------------------------

MEDIATED = (
    "level: 1; y1 ~ a*x1; y3 ~ b*y1 + c*x1; level: 2; y3 ~ w1; y1 ~~ y1; ab := a*b; t := ab + c"
)


def test_effects_are_the_defined_parameters() -> None:
    pooled = many(MEDIATED, cluster="id", se="CR2")
    effects = pooled.effects("y3", "x1").frame.set_index("effect")
    table = pooled.parameter_estimates().set_index("label")
    for effect, label in (("indirect", "ab"), ("total", "t"), ("direct", "c")):
        for name in ("est", "se", "df", "pvalue", "ci_lower", "ci_upper"):
            assert effects.loc[effect, name] == pytest.approx(table.loc[label, name], rel=1e-9)


def test_monte_carlo_limits_are_of_the_pooled_covariance() -> None:
    pooled = many(MEDIATED, cluster="id")
    found = pooled.effects("y3", "x1", ci="monte carlo", seed=1).frame.set_index("effect")
    again = pooled.effects("y3", "x1").frame.set_index("effect")
    width, plain = (
        each.loc["direct", "ci_upper"] - each.loc["direct", "ci_lower"] for each in (found, again)
    )
    assert width == pytest.approx(plain, rel=0.1)  # of t with the fewest df of the paths
    with pytest.raises(OptionValueError, match=r"of pooled fits.*bootstrap.*fits\[k\]"):
        pooled.effects("y3", "x1", ci="bootstrap")


def test_a_random_slope_has_its_mean_over_data_sets() -> None:
    model = "level: 1; y3 ~ rv('s')*x1; level: 2; s ~ g*y2; s ~ m*1; y3 ~ y2"
    frames = [each.assign(y2=each.groupby("id")["y2"].transform("mean")) for each in imputed()]
    pooled = mlsem.fit_many(model, frames, cluster="id")
    found = pooled.effects("y3", "x1").frame.set_index("effect")
    mean = np.mean([frame.groupby("id")["y2"].first().mean() for frame in frames])
    expected = pooled.params["m"] + pooled.params["g"] * mean
    assert found.loc["total", "est"] == pytest.approx(expected, rel=1e-8)


# --- groups ---------------------------------------------------------------------------------------


@cache
def grouped() -> mlsem.PooledResult:
    frames = [each.assign(half=each["id"] % 2) for each in imputed()]
    return mlsem.fit_many("y3 ~ x1 + w1 + w1:x1; x1 ~ w1", frames, group="half")


def test_groups_are_compared_by_pooled_tests() -> None:
    pooled = grouped()
    found = pooled.compare_groups("y3~x1")
    names = [f"y3~x1{end}" for end in ("", ".g2")]
    test = pooled.wald_test(f"`{names[0]}` == `{names[1]}`")
    row = found.frame.iloc[0]
    assert row["stat"] ** 2 == pytest.approx(test.statistic, rel=1e-9)
    assert row["df"] == pytest.approx(test.df_denom, rel=1e-9)
    assert found.joint is not None
    assert found.joint.pvalue == pytest.approx(test.pvalue, rel=1e-9)
    slopes = pooled.simple_slopes("x1", "w1", at=0)
    assert list(slopes) == [0, 1]
    np.testing.assert_allclose(slopes[1].frame["slope"], pooled.params[names[1]], rtol=1e-12)
    effects = pooled.effects("y3", "w1").frame
    assert effects["group"].tolist()[-1] == "1 - 0"


# --- reliability ----------------------------------------------------------------------------------


def test_reliabilities_are_pooled_as_logits() -> None:
    pooled = many("f =~ y1 + y2 + y3")
    found = pooled.reliability().frame
    each = [fit.reliability().frame for fit in pooled]
    r, se = (np.array([one[name] for one in each]) for name in ("est", "se"))
    z, u = np.log(r / (1 - r)), (se / (r * (1 - r))) ** 2
    total = u.mean(axis=0) + 1.2 * z.var(axis=0, ddof=1)
    est = 1 / (1 + np.exp(-z.mean(axis=0)))
    np.testing.assert_allclose(found["est"], est, rtol=1e-10)
    np.testing.assert_allclose(found["se"], np.sqrt(total) * est * (1 - est), rtol=1e-10)
    logits = {n: np.log(found[n] / (1 - found[n])) for n in ("ci_lower", "est", "ci_upper")}
    np.testing.assert_allclose(logits["ci_lower"] + logits["ci_upper"], 2 * logits["est"])
    assert found["measure"].tolist() == each[0]["measure"].tolist()


# --- shown ----------------------------------------------------------------------------------------


def test_a_diagram_has_the_pooled_estimates() -> None:
    pooled = moderated()
    said = str(pooled.diagram(layout="built-in", digits=3))
    assert f"x1 predicts y3: {pooled.params['b1']:.3f}" in said
    standardized = str(pooled.diagram(layout="built-in", digits=3, standardized=True))
    table = pooled.standardized().set_index(["lhs", "op", "rhs", "level"])
    assert f"x1 predicts y3: {table.loc[('y3', '~', 'x1', 1), 'est_std']:.3f}" in standardized


def test_fits_by_lmm_have_lme4s_tables() -> None:
    pooled = many("y1 ~ x1 + (1 | id)")
    assert type(pooled) is mlsem.PooledMixedResult
    assert pooled.fixef().tolist() == pooled.params[:2].tolist()
    frame = pooled.VarCorr().frame
    assert frame["vcov"].iloc[0] == pytest.approx(pooled.params["id.(Intercept)"])
    variances = pooled.tidy(scale="vcov")
    np.testing.assert_allclose(variances["estimate"], pooled.params, rtol=1e-12)
    assert type(mlsem.pool(pooled, df="rubin")) is mlsem.PooledMixedResult
    with pytest.raises(UnknownNameError, match=r"of mixed models.*\(1 \| id\)"):
        moderated().marginal_means("w1")  # type: ignore[attr-defined]


def test_models_of_three_levels_are_pooled() -> None:
    frames = [each.assign(school=each["id"] % 12) for each in imputed()]
    pooled = mlsem.fit_many("y1 ~ x1 + w1 + (1 | school/id)", frames)
    assert type(pooled) is mlsem.PooledNestedResult
    values = np.array([fit.estimates for fit in pooled])
    np.testing.assert_allclose(pooled.estimates, values.mean(axis=0), rtol=1e-12)
    total = np.mean([fit.vcov() for fit in pooled], axis=0) + 1.2 * np.cov(values.T)
    np.testing.assert_allclose(pooled.vcov(), total, rtol=1e-10)
    frame, table = pooled.VarCorr().frame, pooled.parameter_estimates()
    np.testing.assert_allclose(frame["vcov"], pooled.params[3:], rtol=1e-10)
    assert table.loc[table["rhs"] == "x1", "fmi"].tolist() == [pooled.fmi["x1"]]
    assert pooled.tidy()["estimate"].iloc[:3].tolist() == pooled.fixef().tolist()
    assert "FMI" in str(pooled.summary(0.95))
    slope = pooled.marginal_slopes("x1").frame.iloc[0]
    assert slope["estimate"] == pytest.approx(pooled.params["x1"], rel=1e-9)
    each = [fit.random_effects("id").to_numpy() for fit in pooled]
    np.testing.assert_allclose(
        pooled.random_effects("id").iloc[:, 0], np.mean(each, axis=0)[:, 0], rtol=1e-10
    )


# --- rows and clusters ----------------------------------------------------------------------------


@cache
def mixed() -> mlsem.PooledMixedResult:
    return mlsem.pool([mlsem.lmm("y1 ~ x1 + w1 + (1 | id)", each) for each in imputed()])  # type: ignore[return-value]


def test_random_effects_are_pooled_cluster_by_cluster() -> None:
    found = mixed().random_effects()
    each = [fit.random_effects() for fit in mixed()]
    effect, se = (np.array([one[name] for one in each]) for name in found.columns)
    np.testing.assert_allclose(found["(Intercept)"], effect.mean(axis=0), rtol=1e-12)
    total = (se**2).mean(axis=0) + 1.2 * effect.var(axis=0, ddof=1)
    np.testing.assert_allclose(found["(Intercept)_se"], np.sqrt(total), rtol=1e-12)
    assert found.index.equals(each[0].index)


def test_expectations_without_clusters_are_contrasts_of_the_coefficients() -> None:
    """With the same covariates in all data sets they are xᵀβ̄, with its T and degrees of freedom."""
    pooled, rows = mixed(), pd.DataFrame({"x1": [0.0, 1.0], "w1": [0.5, -1.0]})
    found = pooled.predict(rows, random=False, se=True, interval="confidence")
    means = pooled.marginal_means("x1", at={"x1": [0.0], "w1": [0.5]}).frame.iloc[0]
    assert found["y1"].iloc[0] == pytest.approx(means.iloc[1], rel=1e-10)
    assert found["y1_se"].iloc[0] == pytest.approx(means["se"], rel=1e-8)
    assert found["y1_lower"].iloc[0] == pytest.approx(means["lower"], rel=1e-8)


def test_expectations_of_rows_of_the_data_sets() -> None:
    pooled = mixed()
    found = pooled.predict(se=True, interval="prediction")
    each = [fit.predict(se=True) for fit in pooled]
    value, se = (np.array([one[name] for one in each]) for name in ("y1", "y1_se"))
    np.testing.assert_allclose(found["y1"], value.mean(axis=0), rtol=1e-12)
    between = 1.2 * value.var(axis=0, ddof=1)
    np.testing.assert_allclose(found["y1_se"] ** 2, (se**2).mean(axis=0) + between, rtol=1e-10)
    width = (found["y1_upper"] - found["y1_lower"]) / 2
    residual = np.mean([fit.params["Residual"] for fit in pooled])
    normal = 1.959963984540054 * np.sqrt(found["y1_se"] ** 2 + residual)
    assert (width > normal).all()  # t has few degrees of freedom where imputations differ
    assert (width < 1.05 * normal).all()
    with pytest.raises(OptionValueError, match="interval="):
        pooled.predict(interval="both")  # type: ignore[arg-type]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        mlsem.PooledResult,
        mlsem.PooledMixedResult,
        mlsem.PooledNestedResult,
        mlsem.PooledGlmResult,
    ],
)
def test_all_that_a_fit_has_is_pooled_or_refused_with_a_reason(kind: Any) -> None:
    of = {name for name in dir(kind._of) if not name.startswith("_")}
    assert of - {*dir(kind)} <= {*kind._reasons} | {"model", "notes", "covariance"}
    assert not {*dir(kind)} & {*kind._reasons}
