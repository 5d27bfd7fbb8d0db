"""`gee` against R's packages, against n x n definitions, and against itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlsem
from tests.results.generalized.cases import data, read

FORMULAS = {
    "logit": ("y ~ trt + w + x + female", "binomial"),
    "poisson": ("y ~ trt + w + x + female", "poisson"),
    "linear": ("score ~ trt + x + female", "gaussian"),
    "count": ("count ~ trt + x", "poisson"),
}


@pytest.mark.parametrize("case", list(read("gee_own.json")))
def test_estimates_and_corrections_are_those_of_the_definitions(case):
    record = read("gee_own.json")[case]
    name, corr, *how = case.split("_")
    formula, family = FORMULAS[name]
    fit = mlsem.gee(
        formula,
        data("trial"),
        cluster="school",
        family=family,
        corr=corr,
        alpha_df=how != ["plain"],
    )
    assert fit.params.to_numpy() == pytest.approx(record["coef"], rel=1e-10, abs=1e-12)
    assert (fit.rho, fit.dispersion) == pytest.approx((record["rho"], record["phi"]), rel=1e-10)
    for kind in ("CR0", "KC", "MD", "FG", "MBN"):
        wanted = np.array(record[kind])
        found = fit.with_se(kind).vcov().to_numpy()
        assert np.abs(found - wanted).max() <= 1e-10 * np.abs(wanted).max(), kind


def _of_gee_json(case: str, *, alpha_df: bool) -> mlsem.GlmResult:
    record = read("gee.json")[case]
    return mlsem.gee(
        record["formula"],
        data("trial"),
        cluster="school",
        family=record["family"],
        corr=record["corr"],
        alpha_df=alpha_df,
    )


def _assert_close(found: pd.DataFrame, wanted: list[list[float]]) -> None:
    matrix = np.array(wanted)
    assert np.abs(found.to_numpy() - matrix).max() <= 1e-11 * np.abs(matrix).max()


@pytest.mark.parametrize("package", ["geepack", "gee"])
@pytest.mark.parametrize("case", list(read("gee.json")))
def test_estimates_are_r_s(case, package):
    record, fit = read("gee.json")[case][package], _of_gee_json(case, alpha_df=package == "gee")
    assert fit.params.to_numpy() == pytest.approx(record["coef"], rel=1e-11)
    dispersion = record["scale" if package == "gee" else "phi"]
    assert fit.dispersion == pytest.approx(dispersion, rel=1e-11)
    _assert_close(fit.with_se("CR0").vcov(), record["vcov_robust"])
    if fit.settings.corr == "exchangeable":
        assert fit.rho == pytest.approx(record["alpha"], rel=1e-11)
        _assert_close(fit.with_se("standard").vcov(), record["vcov_naive"])


@pytest.mark.parametrize("case", list(read("gee.json")))
def test_sandwiches_are_those_of_clubsandwich(case):
    record, fit = read("gee.json")[case]["clubSandwich"], _of_gee_json(case, alpha_df=False)
    for kind, wanted in record["vcov"].items():
        found = fit.with_se(kind, se_form="residuals" if kind == "CR2" else "scores")
        _assert_close(found.vcov(), wanted)
        assert found.df.to_numpy() == pytest.approx(record["df"][kind], rel=1e-11), kind


@pytest.mark.parametrize("case", list(read("gee.json")))
def test_corrections_are_those_of_geesmv_but_for_kc(case):
    record, fit = read("gee.json")[case]["geesmv"], _of_gee_json(case, alpha_df=True)
    there = {kind: v for kind, v in record.items() if not isinstance(v, str)}  # else its error
    assert {"lz", "md", "kc"} <= set(there)
    for kind, wanted in there.items():
        found = fit.with_se("CR0" if kind == "lz" else kind.upper()).bse.to_numpy()
        ratio = np.sqrt(wanted) / found
        if kind == "kc" and case != "linear_independence":  # eigenvectors of what is not symmetric
            assert np.abs(ratio - 1.0).max() > 0.04
            assert (ratio > 0.775).all()
            assert (ratio < 2.853).all()
        else:
            assert ratio == pytest.approx(1.0, rel=1e-11), kind


def _panel(rho: float, seed: int = 3) -> pd.DataFrame:
    """Rows at occasions 1 to 6, some of which are missing, unsorted."""
    draw = np.random.default_rng(seed)
    rows = []
    for j in range(40):
        e = draw.normal()
        for t in range(1, 7):
            e = rho * e + np.sqrt(1 - rho**2) * draw.normal()
            rows.append((j, t, draw.normal(), e))
    frame = pd.DataFrame(rows, columns=["id", "t", "x", "e"])
    frame["y"] = 1.0 + 0.5 * frame["x"] + frame["e"]
    return frame.sample(frac=0.8, random_state=seed).reset_index(drop=True)


def test_ar1_is_generalised_least_squares_with_gaps():
    rows = _panel(0.6)
    fit = mlsem.gee("y ~ x", rows, cluster="id", family="gaussian", corr="ar1", order="t", se="CR0")
    assert fit.rho == pytest.approx(0.6, abs=0.12)
    bread, score, meat, pairs, products = np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2)), 0, 0.0
    beta = fit.params.to_numpy()
    for _, own in rows.sort_values("t").groupby("id"):
        t, X = own["t"].to_numpy(), np.column_stack((np.ones(len(own)), own["x"]))
        e = own["y"].to_numpy() - X @ beta
        inverse = np.linalg.inv(fit.rho ** np.abs(t[:, None] - t))
        bread += X.T @ inverse @ X
        s = X.T @ inverse @ e
        score += s
        meat += np.outer(s, s)
        one = np.flatnonzero(np.diff(t) == 1)
        pairs += len(one)
        products += float((e[one] * e[one + 1]).sum())
    assert np.abs(score).max() < 1e-8
    half = np.linalg.inv(bread)
    assert fit.vcov().to_numpy() == pytest.approx(half @ meat @ half, rel=1e-8)
    assert fit.rho == pytest.approx(products / fit.dispersion / (pairs - 2), rel=1e-9)


def test_order_of_rows_does_not_matter():
    rows = _panel(0.4)
    options = {"cluster": "id", "family": "gaussian", "corr": "ar1", "order": "t"}
    one = mlsem.gee("y ~ x", rows, **options)
    other = mlsem.gee("y ~ x", rows.sample(frac=1.0, random_state=5), **options)
    assert one.bse.to_numpy() == pytest.approx(other.bse.to_numpy(), rel=1e-9)
    mixed = data("trial").sample(frac=1.0, random_state=2)  # geeglm makes 252 clusters of these
    assert mlsem.gee("y ~ trt", mixed, cluster="school").n_clusters == 12


def test_ar1_needs_occasions():
    rows = _panel(0.4)
    with pytest.raises(mlsem.OptionValueError, match="order="):
        mlsem.gee("y ~ x", rows, cluster="id", family="gaussian", corr="ar1")
    with pytest.raises(mlsem.OptionValueError, match='of corr="ar1"'):
        mlsem.gee("y ~ x", rows, cluster="id", family="gaussian", order="t")
    with pytest.raises(mlsem.DataError, match="whole numbers"):
        mlsem.gee("y ~ x", rows, cluster="id", family="gaussian", corr="ar1", order="e")
    with pytest.raises(mlsem.DataError, match="occasion of another row"):
        mlsem.gee("y ~ x", rows.assign(t=1), cluster="id", family="gaussian", corr="ar1", order="t")


def test_a_correlation_below_its_bound_is_independence_and_said():
    draw = np.random.default_rng(1)
    ids = np.repeat(np.arange(21), [5] + [2] * 20)
    rows = pd.DataFrame({"id": ids, "x": draw.normal(size=45)})
    e = draw.normal(size=45)
    rows["y"] = rows["x"] + e - pd.Series(e).groupby(rows["id"]).transform("mean")
    fit = mlsem.gee("y ~ x", rows, cluster="id", family="gaussian")
    plain = mlsem.glm("y ~ x", rows, cluster="id", family="gaussian")
    assert fit.rho == 0.0
    assert any("outside its bounds" in note for note in fit.notes)
    assert fit.params.to_numpy() == pytest.approx(plain.params.to_numpy(), rel=1e-12)
    assert fit.bse.to_numpy() == pytest.approx(plain.bse.to_numpy(), rel=1e-10)


def test_a_negative_correlation_within_its_bound_is_kept():
    draw = np.random.default_rng(4)
    ids = np.repeat(np.arange(30), 4)
    rows = pd.DataFrame({"id": ids, "x": draw.normal(size=120)})
    e = pd.Series(draw.normal(size=120))
    rows["y"] = rows["x"] + e - 0.6 * e.groupby(rows["id"]).transform("mean")
    fit = mlsem.gee("y ~ x", rows, cluster="id", family="gaussian")
    assert -1 / 3 < fit.rho < -0.05
    assert not any("independence" in note for note in fit.notes)
    R = (1 - fit.rho) * np.eye(4) + fit.rho
    X = np.column_stack((np.ones(120), rows["x"])).reshape(30, 4, 2)
    residual = (rows["y"].to_numpy() - fit.predict()["predicted"].to_numpy()).reshape(30, 4)
    scores = np.einsum("jnp,nm,jm->p", X, np.linalg.inv(R), residual)
    assert np.abs(scores).max() < 1e-9


def test_a_correlation_that_swings_near_its_bound_is_found():
    """Taken as they come, ρ̂ goes round -.0279, -.0303, -.023, -.03 for ever here."""
    draw = np.random.default_rng((18, 2, 388))
    sizes = np.maximum(2, np.round(draw.gamma(1 / 0.75**2, 20 * 0.75**2, 10))).astype(int)
    ids = np.repeat(np.arange(10), sizes)
    trt, w = draw.permutation(np.arange(10) < 3) * 1, draw.normal(size=10)
    u = np.sqrt(0.1 / 0.9 * np.pi**2 / 3) * draw.normal(size=10)
    y = draw.random(len(ids)) < 1 / (1 + np.exp(-(u[ids] - 0.4)))
    rows = pd.DataFrame({"id": ids, "trt": trt[ids], "w": w[ids], "y": y * 1})
    fit = mlsem.gee("y ~ trt + w", rows, cluster="id")
    mean = fit.predict()["predicted"]
    r = (rows["y"] - mean) / np.sqrt(mean * (1 - mean))
    products = ((r.groupby(rows["id"]).sum() ** 2).sum() - (r**2).sum()) / 2
    found = products / ((sizes * (sizes - 1) / 2).sum() - 3) / fit.dispersion
    assert -1 / (sizes.max() - 1) < fit.rho < -0.02
    assert fit.rho == pytest.approx(found, rel=1e-9)
    assert fit._estimates.solution.iterations < 30


def test_estimates_and_md_are_those_of_statsmodels():
    families = pytest.importorskip("statsmodels.api").families
    formula_api = pytest.importorskip("statsmodels.formula.api")
    from statsmodels.genmod.cov_struct import Exchangeable

    rows = data("trial")
    fit = mlsem.gee("y ~ trt + w + x", rows, cluster="school", se="MD")
    other = formula_api.gee(
        "y ~ trt + w + x", "school", rows, family=families.Binomial(), cov_struct=Exchangeable()
    ).fit(maxiter=200, ctol=1e-13, cov_type="bias_reduced")
    assert fit.rho == pytest.approx(other.cov_struct.dep_params, rel=1e-8)
    assert fit.params.to_numpy() == pytest.approx(other.params.to_numpy(), rel=1e-8)
    plain = fit.with_se("CR0").vcov().to_numpy()
    assert plain == pytest.approx(other.cov_robust, rel=1e-7)
    assert fit.vcov().to_numpy() == pytest.approx(other.cov_robust_bc, rel=1e-7)
