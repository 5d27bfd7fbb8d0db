"""Tests of fit and indices against lavaan's, and against dense algebra."""

from __future__ import annotations

import json
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER, frame

import mlsem


def _load(name):
    return json.loads((FOLDER / "fit" / name).read_text("utf-8"))


MEASURES = _load("measures.json")["cases"]
AFTER = _load("after.json")["cases"]
LEVELS = _load("levels.json")["cases"]
SINGULAR = _load("h1_singular.json")

INTERNAL = {"fmin"}  # of two levels: what lavaan minimised, on a scale of its own
OTHER_GFI = {  # of a single level, where lavaan 0.7-2 has another estimate than with two
    f"gfi{part}{kind}" for part in ("", ".ci.lower", ".ci.upper") for kind in ("", ".robust")
}
# lavaan divides by the parameters before equalities, and has no limits where c df is below 1
LAVAANS = {
    "demo_cross_level_invariance_mlr": {"scaling.factor.h0"},
    "cross_level": {"scaling.factor.h0"},
    "constraints_mlr": {"scaling.factor.h0"},
    "mediation_111_mlr": {"rmsea.ci.lower.scaled", "rmsea.ci.upper.scaled"},
    "mediation_111_fixedx_mlr": {"rmsea.ci.lower.scaled", "rmsea.ci.upper.scaled"},
}
MODEL = "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w1"


@cache
def fitted(model, data, cluster, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(model, frame(data), cluster=cluster, **options)


def quietly(model, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(model, data, cluster="id", **options)


def reference(case):
    options = {name.replace(".", "_"): value for name, value in dict(case["options"] or {}).items()}
    return fitted(case["model"], case["data"], case["cluster"], **options)


def compare(measures, theirs, without=()):
    """Where lavaan has a number of its own: 2e-3 of a statistic, 1e-3 else."""
    wrong = {}
    for name, value in theirs.items():
        if value is None or name in without:
            continue
        bound = 2e-4 * abs(value) + 1e-3
        if not abs(measures[name] - value) < bound:
            wrong[name] = measures[name], value
    assert not wrong


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "inequality_ml"])
def test_measures_are_lavaans(name):
    case = MEASURES[name]
    single = "level:" not in case["model"]
    without = LAVAANS.get(name, set()) | (OTHER_GFI if single else INTERNAL)
    compare(reference(case).fit_measures(), case["fit"], without)


@pytest.mark.parametrize("name", list(AFTER))
def test_measures_of_robust_fits_are_lavaans(name):
    case = AFTER[name]
    compare(reference(case).fit_measures(), case["fit"], INTERNAL | LAVAANS.get(name, set()))


def test_fit_at_a_level_is_lavaans_where_that_found_the_maximum():
    fit = reference(AFTER["demo_cfa"])
    for level, other in ((1, "srmr_between"), (2, "srmr_within")):
        theirs = AFTER["demo_cfa"][f"fit_level{level}"]
        measures = fit.fit_measures(level=level, units="rows")
        compare(measures, {k: theirs[k] for k in measures.index if k in theirs}, {other, "srmr"})


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", list(LEVELS))
def test_models_of_one_level(name, level):
    case = LEVELS[name]
    text = f"level: 1\n {case['within']}\nlevel: 2\n {case['between']}"
    fixed = name != "mediation_211"
    fit = fitted(text, case["data"], case["cluster"], estimator="MLR", fixed_x=fixed)
    models = fit._models
    pairs = (
        (models.at_level(level), f"level{level}"),
        (models.baseline_at_level(level), f"baseline{level}"),
    )
    for ours, key in pairs:
        if key not in case:
            continue
        theirs = case[key]
        assert ours.loglik >= theirs["logl"] - 1e-6
        assert ours.loglik == pytest.approx(theirs["logl"], abs=1e-4)
        assert ours.n_params == theirs["npar"]
        assert models.against_saturated(ours).df == theirs["df"]
        assert models.trace_of(ours) == pytest.approx(theirs["trace"], rel=1e-4)


def test_units_of_a_level():
    fit = reference(AFTER["two_factor"])
    rows, clusters = (
        fit.fit_measures("rmsea", level=2, units=units)["rmsea"] for units in ("rows", "clusters")
    )
    ratio = np.sqrt(fit.n_obs / fit.n_clusters)
    assert clusters == pytest.approx(ratio * rows)
    assert fit.fit_measures(level=2)["rmsea"] == clusters


# --- the saturated model --------------------------------------------------------------------------


def singular_data(case):
    """As the generator of the reference file draws them."""
    rng = np.random.default_rng(case["seed"])
    sizes = rng.integers(5, 26, case["J"])
    ids, p = np.repeat(np.arange(case["J"]), sizes), case["p"]
    loadings = np.array([0.8, 0.7, 0.6, 0.9, 0.5, 0.75])[:p]
    factor = rng.normal(size=len(ids))
    y = factor[:, None] * loadings + rng.normal(size=(len(ids), p)) * 0.7
    between = rng.normal(size=case["J"]) * 0.5
    rest = {"rank1": 0.0, "small": 0.05, "ok": 0.25, "zero": 0.0}[case["kind"]]
    part = between[:, None] * loadings + rng.normal(size=(case["J"], p)) * rest
    if case["kind"] == "zero":
        part[:, 0] = 0.0
    data = pd.DataFrame(y + part[ids], columns=[f"y{k + 1}" for k in range(p)])
    assert float(data.to_numpy().sum()) == pytest.approx(case["checksum"])
    return data.assign(id=ids)


@pytest.mark.parametrize("case", SINGULAR["cases"], ids=lambda c: f"{c['kind']}{c['J']}_{c['p']}")
def test_singular_between_covariances(case):
    """The maximum over positive semidefinite matrices, and the one without that bound."""
    indicators = " + ".join(f"y{k + 1}" for k in range(case["p"]))
    fit = mlsem.fit(
        f"level: 1\n f =~ {indicators}\nlevel: 2\n g =~ {indicators}",
        singular_data(case),
        cluster="id",
        se="none",
        bounds="pos.var",
        max_iter=30,
        on_failure="warn",
    )
    bounded, free = fit.h1(semidefinite=True), fit.h1(semidefinite=False)
    assert bounded.loglik == pytest.approx(case["psd_logl"], abs=1e-8)
    if case["unbounded_logl"] is None:
        assert free.semidefinite
        assert free.loglik == pytest.approx(bounded.loglik, abs=1e-9)
    else:
        assert not free.semidefinite
        assert free.loglik == pytest.approx(case["unbounded_logl"], abs=1e-8)
    check_kkt(fit._models.seen, bounded.rank)


def check_kkt(estimates, rank):
    """No direction of the null space in which the likelihood rises, and the rank is the least:
    where the gradient is below zero, Σ_B has nothing. The reference's rank counts more."""
    from mlsem.estimation.saturated import saturated_fit

    point = saturated_fit(estimates, semidefinite=True)
    cells = point.coordinates.between.symmetric
    slope = np.zeros(cells.constants.shape)
    slope[cells.rows, cells.cols] = point.gradient[cells.params] / 2
    slope = slope + slope.T
    within, between = (level.sigma for level in point.moments)
    factor = np.linalg.cholesky(within)
    values = np.linalg.eigvalsh(factor.T @ slope @ factor)
    assert values.max() < 1e-4
    half = np.linalg.solve(factor, between)
    own = np.linalg.eigvalsh(np.linalg.solve(factor, half.T))
    assert (own > 1e-9).sum() == rank
    assert (values < -1e-3).sum() <= len(own) - rank
    assert np.abs(slope @ between).max() < 1e-4


def test_saturated_moments_are_lavaans():
    for name, case in AFTER.items():
        model = reference(case).h1()
        for number, level in enumerate(case["h1"].values(), 1):
            theirs = level["cov"]
            ours = model.implied(number).cov.loc[theirs["rows"], theirs["cols"]]
            assert ours.to_numpy() == pytest.approx(np.array(theirs["values"]), abs=3e-4), name


# --- the score test -------------------------------------------------------------------------------


def dense_score_test(fit, data):
    """T and c₀ with scores by central differences of a dense likelihood, cluster by cluster."""
    from mlsem.estimation.saturated import at_estimates

    estimates = fit._estimates
    point = at_estimates(estimates)
    beta, coordinates = point.params, point.coordinates
    maps = estimates.problem.maps
    names = [
        [level.names[k] for k in level.observed]
        for level in (estimates.problem.pattern.within, estimates.problem.pattern.between)
    ]
    shift = estimates.problem.moments.shift
    columns = [*estimates.problem.moments.columns]
    rows = np.column_stack([np.ones(len(data)), data[columns].to_numpy(float) - shift])
    ids = data[estimates.record.cluster].to_numpy()
    labels = pd.unique(ids)

    def parts(params):
        return [
            (
                level.symmetric.symmetric_at(params),
                level.exogenous.at(params) @ level.covariates,
            )
            for level in (coordinates.within, coordinates.between)
        ]

    def cluster(params, label):
        (within, mean_within), (between, mean_between) = parts(params)
        h = rows[ids == label]
        n, (y, z) = len(h), names
        p, q = len(y), sum(name in y for name in z)
        values = np.concatenate(
            [
                (h @ (np.array([maps[name] for name in y]) - mean_within).T).ravel(),
                (h[0] @ (np.array([maps[name] for name in z[q:]]).reshape(-1, h.shape[1])
                         - mean_between[q:]).T),
            ]
        )  # fmt: skip
        spread = np.zeros((n * p + len(z) - q, len(z)))
        for i in range(n):
            spread[i * p : i * p + q, :q] = np.eye(q)
        spread[n * p :, q:] = np.eye(len(z) - q)
        covariance = spread @ between @ spread.T
        covariance[: n * p, : n * p] += np.kron(np.eye(n), within)
        own = (mean_between @ h[0])[:q]
        values[: n * p] -= np.tile(np.concatenate((own, np.zeros(p - q))), n)
        _, determinant = np.linalg.slogdet(covariance)
        return -0.5 * (determinant + values @ np.linalg.solve(covariance, values)), (
            covariance,
            values,
        )

    def difference(label, k):
        step = np.zeros_like(beta)
        step[k] = 1e-5 * max(1.0, abs(beta[k]))
        up, down = cluster(beta + step, label), cluster(beta - step, label)
        width = 2 * step[k]
        return (
            (up[0] - down[0]) / width,
            (up[1][0] - down[1][0]) / width,
            (up[1][1] - down[1][1]) / width,
        )

    count = len(beta)
    scores, information = np.zeros((len(labels), count)), np.zeros((count, count))
    for j, label in enumerate(labels):
        found = [difference(label, k) for k in range(count)]
        scores[j] = [each[0] for each in found]
        inverse = np.linalg.inv(cluster(beta, label)[1][0])
        turned = np.array([inverse @ each[1] for each in found])
        information += 0.5 * np.einsum("aij,bji->ab", turned, turned)
        residual = np.array([each[2] for each in found])
        information += residual @ inverse @ residual.T
    tangents = np.zeros((count, fit.n_params))
    for k, value in enumerate(fit.estimates):
        step = 1e-6 * max(1.0, abs(value))
        moved = []
        for sign in (1, -1):
            params = fit.estimates.copy()
            params[k] += sign * step
            pattern = estimates.problem.pattern
            moved.append(
                coordinates.at((pattern.within.moments(params), pattern.between.moments(params)))
            )
        tangents[:, k] = (moved[0] - moved[1]) / (2 * step)
    inverse = np.linalg.inv(information)
    middle = np.linalg.inv(tangents.T @ information @ tangents)
    projection = inverse - tangents @ middle @ tangents.T
    total, df = scores.sum(axis=0), count - fit.n_params
    return total @ projection @ total, np.einsum("ja,ab,jb->", scores, projection, scores) / df, df


def small(seed=3, clusters=14):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, clusters)
    ids = np.repeat(np.arange(clusters), sizes)
    w, g = rng.normal(size=(2, clusters))
    x, f = rng.normal(size=(2, len(ids)))
    y = np.outer(f + 0.4 * x, [1, 0.8, 0.7]) + np.outer(g + 0.3 * w, [1, 0.9, 0.6])[ids]
    y += 0.6 * rng.normal(size=y.shape) + 0.5 * rng.normal(size=(clusters, 3))[ids]
    z = (g + rng.normal(size=clusters))[ids]
    columns = {f"y{k + 1}": y[:, k] for k in range(3)}
    return pd.DataFrame({"id": ids, "x1": x, "w1": w[ids], "z": z} | columns)


@pytest.mark.parametrize(
    "model",
    [MODEL, MODEL + "\n z ~ g", "level: 1\n y1 ~ y2 + x1\n y2 ~ 0*y3\nlevel: 2\n y1 ~ z\n z ~ w1"],
    ids=["factors", "an outcome of level 2", "paths"],
)
def test_score_test_is_the_dense_one(model):
    data = small()
    fit = mlsem.fit(model, data, cluster="id", se="none")
    assert fit.converged
    raw, scaling, df = dense_score_test(fit, data)
    found = fit.fit_measures()
    assert found["df.score"] == df == found["df"]
    assert found["chisq.score.scaling.factor"] == pytest.approx(scaling, rel=1e-6)
    assert found["chisq.score"] == pytest.approx(raw / scaling, rel=1e-6)


def test_score_test_does_not_depend_on_units_or_order():
    data = small()
    moved = data.assign(y1=1e3 * data["y1"] + 1e5, x1=x_far(data), w1=0.01 * data["w1"] - 7)
    shuffled = data.sample(frac=1.0, random_state=1)
    own, others = (
        [quietly(MODEL, each, se="MLR").fit_measures() for each in frames]
        for frames in ((data,), (moved, shuffled))
    )
    names = ["chisq", "chisq.scaled", "chisq.score", "baseline.chisq", "baseline.chisq.scaled"]
    for other in others:
        assert other[names].to_numpy() == pytest.approx(own[0][names].to_numpy(), rel=1e-6)


def x_far(data):
    return data["x1"] * 50 + 3e4


def test_on_a_bound_all_directions_of_the_model_are_taken_out():
    """A parameter that its bound holds is a parameter: df count it, T leaves its direction out."""
    data, text = small(), MODEL.replace("level: 2", " y1 ~~ {}*y1\nlevel: 2")
    bound = mlsem.fit(MODEL, data, cluster="id", se="none").params["y1~~y1"] + 0.1
    bounded = quietly(text.format(f"lower({bound})"), data, se="none")
    fixed = quietly(text.format(bound), data, se="none")
    assert bounded.params["y1~~y1"] == pytest.approx(bound)
    first, second = bounded.fit_measures(), fixed.fit_measures()
    assert first["df.score"] == second["df.score"] - 1
    assert first["chisq"] == pytest.approx(second["chisq"], rel=1e-6)
    raw = [each["chisq.score"] * each["chisq.score.scaling.factor"] for each in (first, second)]
    assert raw[0] < raw[1]


# --- what is refused ------------------------------------------------------------------------------


def test_a_saturated_model_fits():
    fit = quietly("level: 1\n y1 ~~ y2\nlevel: 2\n y1 ~~ y2", small(), se="MLR")
    found = fit.fit_measures()
    assert found["df"] == 0
    assert found["chisq"] == 0
    assert np.isnan(found["pvalue"])
    assert found["cfi"] == 1
    assert found["rmsea"] == 0


def test_names_are_looked_up():
    fit = mlsem.fit(MODEL, small(), cluster="id", se="none")
    assert list(fit.fit_measures(["rmsea", "cfi"]).index) == ["rmsea", "cfi"]
    with pytest.raises(mlsem.OptionValueError, match="rmsea"):
        fit.fit_measures("rmsae")
    with pytest.raises(mlsem.OptionValueError, match="units"):
        fit.fit_measures(level=2, units="people")
    with pytest.raises(mlsem.OptionValueError, match="level"):
        fit.fit_measures(level=3)


def test_random_slopes_have_no_saturated_model():
    data = small()
    fit = mlsem.lmm("y1 ~ x1 + (x1 | id)", data, REML=False)
    assert list(fit.fit_measures().index) == ["npar", "logl", "aic", "bic", "ntotal", "bic2"]
    with pytest.raises(mlsem.InferenceError, match="random slopes"):
        fit.h1()


def test_reml_has_no_measures_of_fit():
    fit = mlsem.lmm("y1 ~ x1 + (1 | id)", small())
    with pytest.raises(mlsem.InferenceError, match="REML=False"):
        fit.fit_measures()


def test_a_label_at_both_levels_ties_them():
    text = "level: 1\n f =~ y1 + a*y2 + y3\nlevel: 2\n g =~ y1 + a*y2 + y3"
    fit = mlsem.fit(text, small(), cluster="id", se="none")
    with pytest.raises(mlsem.InferenceError, match="ties the levels"):
        fit.fit_measures(level=1)
