"""Modification indices and score tests: dense algebra, lavaan's, identities, refusals."""

from __future__ import annotations

import json
import warnings
from functools import cache

import numpy as np
import pytest
from dense import Dense
from kinds import KINDS, Kind, make_data
from reference import FOLDER, frame
from slope_kinds import slope_data

import mlsem
from mlsem.errors import (
    InferenceError,
    ModelSyntaxError,
    OptionValueError,
    SpecificationError,
)
from mlsem.model.candidates import candidates, cell_of, extend

AFTER = json.loads((FOLDER / "fit" / "after.json").read_text("utf-8"))["cases"]
MODEL = (
    "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1 + x2 + x3\n"
    "level: 2\n fb =~ y1 + y2 + y3\n fb ~ w1 + w2\n"
)
EQUAL = (
    "level: 1\n fw =~ y1 + b*y2 + b*y3\n fw ~ x1 + x2 + x3\n"
    "level: 2\n fb =~ y1 + l2*y2 + l3*y3\n fb ~ w1 + w2\nl2 == l3"
)
KEY = ["lhs", "op", "rhs", "level"]
# lavaan's gradient is not zero along these, which the data hardly tell from the loadings
FLAT = {("y1", "~~", "y2"), ("y1", "~~", "y3"), ("y2", "~~", "y3")}


@cache
def fitted(text, **options):
    return quietly(text, frame("demo.csv"), "cluster", **options)


def quietly(text, data, cluster="id", fun="fit", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return getattr(mlsem, fun)(text, data, cluster=cluster, **options)


def scores(cov, means, covs, values, mean):
    """∂ℓ_j/∂θ of one cluster, by its moments and their derivatives."""
    inverse = np.linalg.inv(cov)
    left = inverse @ (values - mean)
    return means @ left + 0.5 * (left @ covs @ left - np.einsum("ij,aij->a", inverse, covs))


def dense(fit, data, cluster, rows):
    """Efficient scores (J, m), information (m, m) and diagonal before, with nothing shared."""
    table = extend(fit.table, rows)
    params = np.concatenate((fit.estimates, [row.fixed for row in rows]))
    model = Dense(table, data, cluster)
    derivatives = model.derivatives(params)
    moments = [(values, mean) for values, mean, _ in model.clusters(params)]
    s = np.array([scores(*each, *own) for each, own in zip(derivatives, moments, strict=True)])
    A = model.expected(params)
    count = len(fit.table.names)
    K = fit._estimates.free
    r, k = K.T @ A[:count, :count] @ K, A[count:, count:]
    cross = A[count:, :count] @ K
    weights = cross @ np.linalg.inv(r)
    return s[:, count:] - s[:, :count] @ K @ weights.T, k - weights @ cross.T, np.diagonal(k)


SMALL = (3, 4, 4, 5, 6, 3, 5, 2, 4, 6, 5, 3, 4, 4, 5, 3, 6, 4, 5, 5)
DENSE = {
    name: (KINDS[name], make_data(7, SMALL))
    for name in ("latent at both levels", "labels across levels", "single level latent")
} | {
    name: (Kind(text), slope_data(3, SMALL))
    for name, text in {
        "level-2 outcome": "level: 1\n y1 ~ x1\nlevel: 2\n z1 ~ y1\n y1 ~ w1 + 0.1*w2",
        "products": "level: 1\n y1 ~ x1 + 0.1*w1:x1 + x1:x2\nlevel: 2\n y1 ~ w1 + 0*w1:w2",
        "within-only endogenous": "level: 1\n v1 ~ x1\n y1 ~ v1 + x2\nlevel: 2\n y1 ~ w1",
        "slope": 'level: 1\n y1 ~ rv("s")*x1 + 0.2*x2\nlevel: 2\n y1 ~ w1\n s ~~ 0*y1',
    }.items()
}


@pytest.mark.parametrize("name", list(DENSE))
def test_indices_are_those_of_dense_matrices(name):
    kind, data = DENSE[name]
    fit = quietly(kind.text, data, kind.cluster, kind.fun, **kind.options)
    assert fit.converged
    rows = candidates(fit.table)
    assert rows
    s, information, whole = dense(fit, data, kind.cluster, rows)
    diagonal, total = np.diagonal(information), s.sum(axis=0)
    determined = diagonal > 1e-8 * whole
    found = fit.modification_indices(sort=False, robust=True)
    assert [tuple(row) for row in found[KEY].to_numpy().tolist()] == [
        (row.lhs, row.op, row.rhs, row.level)
        for row, known in zip(rows, determined, strict=True)
        if known
    ]
    s, total, diagonal = s[:, determined], total[determined], diagonal[determined]
    robust = total**2 / (s**2).sum(axis=0)
    for name, expected in (
        ("mi", total**2 / diagonal),
        ("epc", total / diagonal),
        ("mi_robust", robust),
    ):
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-11)


def test_joint_test_is_that_of_dense_matrices():
    kind, data = DENSE["latent at both levels"]
    fit = quietly(kind.text, data, kind.cluster)
    cells = ("y1", "~~", "y3", 2), ("x1", "->", "y2", 1)
    rows = tuple(
        row
        for row in candidates(fit.table)
        if cell_of(row) in {("~~", "y1", "y3", 2, 1), ("->", "x1", "y2", 1, 1)}
    )
    assert len(rows) == len(cells)
    s, information, _ = dense(fit, data, "id", rows)
    inverse, total = np.linalg.inv(information), s.sum(axis=0)
    found = fit.score_test("level: 1\n y2 ~ x1\nlevel: 2\n y1 ~~ y3", robust=True)
    raw, c0 = total @ inverse @ total, np.einsum("ja,ab,jb->", s, inverse, s) / 2
    assert found.df == 2
    assert found.raw == pytest.approx(raw, rel=1e-9)
    assert found.scaling == pytest.approx(c0, rel=1e-9)
    assert found.statistic == pytest.approx(raw / c0, rel=1e-9)
    changes = dict(zip(found.epc["parameter"], found.epc["epc"], strict=True))
    expected = dict(zip(["y2~x1", "y1~~y3.l2"], inverse @ total, strict=True))
    if cell_of(rows[0])[0] == "~~":
        expected = dict(zip(["y1~~y3.l2", "y2~x1"], inverse @ total, strict=True))
    for parameter, value in expected.items():
        assert changes[parameter] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", list(AFTER))
def test_indices_are_lavaans(name):
    case = AFTER[name]
    options = {key.replace(".", "_"): value for key, value in case["options"].items()}
    fit = quietly(case["model"], frame(case["data"]), case["cluster"], **options)
    found = fit.modification_indices().set_index(KEY)
    columns = case["modindices"]
    given = {x for level in fit.table.levels for x in level.covariates}
    compared = 0
    for k, row in enumerate(zip(*(columns[key] for key in KEY), strict=True)):
        if columns["mi"][k] is None or given & {row[0], row[2]}:
            continue
        ours = found.loc[row]
        if name in ("two_factor", "misfit") and row[3] == 2 and row[:3] in FLAT:
            continue
        compared += 1
        assert ours["mi"] == pytest.approx(columns["mi"][k], rel=5e-3, abs=1e-3)
        assert ours["epc"] == pytest.approx(columns["epc"][k], rel=5e-3, abs=1e-3)
        if row[0] != row[2]:  # of a fixed variance lavaan has 0
            for ours_name, theirs in (("sepc_lv", "sepc.lv"), ("sepc_all", "sepc.all")):
                value = columns[theirs][k]
                if value is not None and np.isfinite(ours[ours_name]):
                    assert ours[ours_name] == pytest.approx(value, rel=5e-3, abs=1e-3)
    assert compared == {"demo_cfa": 6, "two_factor": 33, "misfit": 27, "cross_level": 9}[name]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('level: 1\n y1 ~ rv("s")*x1 + 0.2*x2\nlevel: 2\n y1 ~ 0.3*w1\n s ~ 0.1*w2', {}),
        ("level: 1\n y1 ~ y2 + 0.2*x1\nlevel: 2\n y1 ~ y2 + 0.1*w1\n z1 ~~ 0.2*y1", {}),
        ("level: 1\n y1 ~ x2 + 0.2*x1\nlevel: 2\n y1 ~ 0.1*w1", {"fixed_x": False}),
        (
            "level: 1\n f =~ y1 + y2 + 0.7*y3 + y4\n y1 ~~ 0.1*y2\n f ~ 0.2*x1\n"
            "level: 2\n g =~ y1 + y2 + y3 + y4\n g ~~ 0.3*g\n g ~ w1",
            {},
        ),
    ],
)
def test_expected_changes_have_the_units_of_standardized_parameters(text, options):
    """A fixed parameter of value v is v times its unit in `standardized`."""
    fit = quietly(text, slope_data(3, SMALL), **options)
    found = fit.modification_indices().set_index(KEY)
    fixed = {(r.lhs, r.op, r.rhs, r.level): r.fixed for r in fit.table.rows if r.free < 0}
    shared = [key for key in found.index if fixed.get(key)]
    assert len(shared) >= text.count("*") - text.count("rv(")
    for kind in ("lv", "all", "nox"):
        standard = fit.standardized(kind).set_index(KEY)["est_std"]
        for key in shared:
            unit = standard[key] / fixed[key]
            assert found.loc[key, f"sepc_{kind}"] == pytest.approx(found.loc[key, "epc"] * unit)


def test_candidates_are_the_useful_ones():
    """Direct effects of covariates, which lavaan does not have, and nothing about covariates."""
    found = fitted(MODEL).modification_indices()
    paths = found[found["op"] == "~"]
    assert len(paths) == 3 * 3 + 3 * 2
    assert set(paths["rhs"]) == {"x1", "x2", "x3", "w1", "w2"}
    assert not set(found["lhs"]) & {"x1", "x2", "x3", "w1", "w2"}
    assert found["mi"].is_monotonic_decreasing
    assert len(fitted(MODEL).modification_indices(minimum=1.0)) == (found["mi"] >= 1.0).sum()


def test_fixed_parameters_and_slopes_are_candidates():
    fit = quietly(
        'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ 0.3*w1\n s ~~ 0*y1',
        slope_data(3, SMALL),
    )
    found = fit.modification_indices().set_index(KEY)
    assert set(found.index) == {
        ("y1", "~", "w1", 2),
        ("s", "~~", "y1", 2),
        ("s", "~", "w1", 2),  # what a product across levels would say
        ("y1", "~", "s", 2),
        ("s", "~", "y1", 2),
    }


def test_an_index_does_not_depend_on_where_covariates_lie():
    """Nor on their units: a path from a covariate far from zero is nearly collinear with the
    intercept."""
    near = fitted(MODEL).modification_indices(sort=False)
    data = frame("demo.csv").copy()
    data[["x1", "w1"]] = 1e-3 * data[["x1", "w1"]] + 1e2
    far = quietly(MODEL, data, "cluster").modification_indices(sort=False)
    np.testing.assert_allclose(far["mi"], near["mi"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(far["sepc_all"], near["sepc_all"], rtol=1e-5, atol=1e-7)


def test_indices_and_expected_changes_foretell_the_fit():
    """The drop of χ² and the estimate, where the change is small."""
    fit = fitted(MODEL, estimator="MLR")
    assert fit.score_test("y3 ~ w2").robust
    found = fit.modification_indices(robust=False).set_index(KEY).loc[("y3", "~", "w2", 2)]
    larger = fit.update("+ y3 ~ w2")
    assert 2.0 * (larger.loglik - fit.loglik) == pytest.approx(found["mi"], rel=0.02)
    assert larger.params["y3~w2.l2"] == pytest.approx(found["epc"], rel=0.02)


def test_one_parameter_has_its_index():
    fit = fitted(MODEL, estimator="MLR")
    row = fit.modification_indices().set_index(KEY).loc[("y3", "~", "w2", 2)]
    usual, robust = (fit.score_test("y3 ~ w2", robust=each) for each in (False, True))
    assert usual.statistic == pytest.approx(row["mi"], rel=1e-10)
    assert robust.statistic == pytest.approx(row["mi_robust"], rel=1e-10)
    assert robust.pvalue == pytest.approx(row["pvalue"], rel=1e-10)
    assert robust.univariate["mi_robust"].to_list() == pytest.approx([row["mi_robust"]])
    changed = robust.epc.set_index("parameter").loc["y3~w2.l2"]
    assert changed["epv"] == changed["epc"] == pytest.approx(row["epc"], rel=1e-10)
    assert "y3~w2.l2" in str(robust)


def test_power_is_lavaans():
    """modindices(fit, power = TRUE, delta = 0.1) of lavaan 0.6-14."""
    found = fitted(MODEL, estimator="MLR").modification_indices(power=0.1, robust=False)
    found = found.set_index(KEY)
    for row, ncp, power, decision in (
        (("y2", "~~", "y3", 1), 11.095, 0.915, "nm"),
        (("y1", "~~", "y3", 1), 7.121, 0.761, "nm"),
        (("y1", "~~", "y2", 1), 6.371, 0.714, "i"),
        (("y1", "~~", "y2", 2), 0.191, 0.072, "i"),
    ):
        assert found.loc[row, "ncp"] == pytest.approx(ncp, rel=1e-2)
        assert found.loc[row, "power"] == pytest.approx(power, abs=2e-3)
        assert found.loc[row, "decision"] == decision


def test_released_constraints_are_lavaans():
    """lavTestScore(fit) of lavaan 0.6-14, whose search stops a little early."""
    fit = fitted(EQUAL)
    both = fit.score_test(release=[1, 2])
    assert both.statistic == pytest.approx(6.977, rel=5e-3)
    assert both.univariate["mi"].to_numpy() == pytest.approx([5.877, 1.275], rel=7e-3)
    assert both.tested == ("l2==l3", "fw=~y2 == fw=~y3")
    for release, number in (("l2 == l3", 0), ("b", 1), ("fw=~y2 == fw=~y3", 1)):
        alone = fit.score_test(release=release)
        assert alone.statistic == pytest.approx(both.univariate["mi"][number], rel=1e-9)
    assert fit.score_test("level: 1\n y2 ~ x1", release=1).df == 2


def test_a_released_constraint_is_the_difference_score_test():
    fit = fitted(EQUAL)
    larger = fitted(EQUAL.replace("l2 == l3", ""))
    test = mlsem.lr_test(fit, larger, method="score")
    released = fit.score_test(release=1, robust=True)
    assert test.statistic == pytest.approx(released.statistic, rel=1e-8)
    assert test.scaling == pytest.approx(released.scaling, rel=1e-8)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("y1 ~~ y2", SpecificationError, "both levels have 'y1', 'y2'"),
        ("fw ~ x1", SpecificationError, "a free parameter of the model already"),
        ("level: 1\n y1 ~ x9", SpecificationError, "no variable of the model"),
        ("x1 ~~ x2", SpecificationError, "'x1' is a fixed covariate"),
        ("w1 ~ fb", SpecificationError, "'w1' is a fixed covariate"),
        ("fw =~ 0.5*y1", SpecificationError, "without a value"),
        ("fw ~~ fb", SpecificationError, "no level has 'fw', 'fb' together"),
        ("level: 3\n y1 ~~ y2", SpecificationError, "no level '3'"),
        ("level: 2\n y1 ~~ y2\n y2 ~~ y1", SpecificationError, "written twice"),
        ("level: 2\n fb ~~ x1", SpecificationError, "level 2 does not have"),
        ("level: 1\n y1 =~ y2", SpecificationError, "no latent variable"),
        ("a == b", ModelSyntaxError, "no parameter"),
        ("fw =~ y1", InferenceError, "do not determine 'fw=~y1'"),
        ("level: 2\n y1 ~~ y2 + y3\n y2 ~~ y3", InferenceError, "do not determine"),
        (3, OptionValueError, "it takes a text"),
        (None, OptionValueError, "parameters to be added"),
    ],
)
def test_what_cannot_be_added_is_refused(text, kind, message):
    with pytest.raises(kind, match=message):
        fitted(MODEL).score_test(text)


@pytest.mark.parametrize("release", [0, 3, True, 1.5, [], "zz"])
def test_unknown_constraints_are_refused(release):
    with pytest.raises(OptionValueError, match=r"The model has 1: l2==l3; 2: fw=~y2 == fw=~y3"):
        fitted(EQUAL).score_test(release=release)


@pytest.mark.parametrize(
    "wrong", [{"power": 0}, {"power": True}, {"minimum": -1}, {"sort": 3}, {"robust": "yes"}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(OptionValueError, match=next(iter(wrong))):
        fitted(MODEL).modification_indices(**wrong)


def test_factors_of_products_are_no_variables_of_a_level():
    fit = quietly(
        "level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ 0.1*w1", frame("demo.csv"), "cluster"
    )
    assert fit.score_test("y1 ~ w1").tested == ("y1~w1.l2",)
    with pytest.raises(SpecificationError, match="level 1 does not have 'y1', 'w1'"):
        fit.score_test("level: 1\n y1 ~ w1")
    assert "level: 2\nw1 ~~ w1" in fit.update("+ w1 ~~ w1").model


def test_fits_without_scores_are_refused():
    reml = mlsem.lmm("y1 ~ x1 + (1 | cluster)", frame("demo.csv"))
    with pytest.raises(InferenceError, match="REML"):
        reml.modification_indices()
    stopped = fitted(MODEL, max_iter=1, tol=1e-12)
    with pytest.raises(InferenceError, match="did not converge"):
        stopped.score_test("y3 ~ w2")
