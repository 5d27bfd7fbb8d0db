"""Fit of models of several groups: lavaan's values, sums over groups, dense algebra."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from dense import Dense
from grouped import demo_groups, reference
from reference import frame
from scipy.special import chdtrc

import mlsem
from mlsem import lr_test
from mlsem.errors import InferenceError, OptionValueError, SpecificationError
from mlsem.estimation.saturated import at_estimates
from mlsem.inference.fit.residual_tests import residual_roots

SINGLE = reference("fit_single_level.json")
TWO_LEVEL, EXACT = reference("groups.json"), reference("groups_exact.json")["cases"]
MODEL = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1\n"
KINDS = ("loadings", "intercepts")
# lavaan divides by the number of parameters before equalities; the last are others of the same name
OTHER = {"scaling.factor.h0", "gfi", "agfi"}
SEPARATE = ["chisq", "df", "baseline.chisq", "baseline.df", "logl", "unrestricted.logl", "df.score"]


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return function(*args, **options)


@cache
def single(equal=(), estimator="ML", **options):
    data = frame("hs1939.csv")
    return quietly(
        mlsem.fit, SINGLE["model"], data, group="school", group_equal=equal, estimator=estimator,
        group_label=["Pasteur", "Grant-White"], **options,
    )  # fmt: skip


@cache
def two_level(equal=(), text=MODEL, **options):
    options = {"se": "MLR", "group": "g"} | options
    return quietly(mlsem.fit, text, demo_groups(), "cluster", group_equal=equal, **options)


@cache
def of_group(label, **options):
    data = demo_groups()
    return quietly(mlsem.fit, MODEL, data[data["g"] == label], "cluster", se="MLR", **options)


# --- lavaan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["ML", "MLR"])
@pytest.mark.parametrize("name", list(SINGLE["cases"]))
def test_measures_of_one_level_are_lavaans(name, estimator):
    case = SINGLE["cases"][name]
    found = single(tuple(case["group_equal"]), estimator).fit_measures()
    expected = case[estimator.lower()]
    shown = [key for key in expected if key not in OTHER and expected[key] is not None]
    assert len(shown) > 40
    for key in shown:
        assert found[key] == pytest.approx(expected[key], rel=1e-4, abs=2e-5), key
    assert found["gfi_lisrel"] == pytest.approx(expected["gfi"], rel=1e-6)
    assert found["agfi_lisrel"] == pytest.approx(expected["agfi"], rel=1e-6)


@pytest.mark.parametrize("name", ["metric", "scalar"])
def test_indices_and_releases_are_lavaans(name):
    case = SINGLE["cases"][name]
    fit = single(tuple(case["group_equal"]))
    theirs = pd.DataFrame(case["indices"])
    ours = fit.modification_indices(sort=False)
    for each in (theirs, ours):
        each["cell"] = [
            (op, *(sorted((a, b)) if op == "~~" else (a, b)), group)
            for a, op, b, group in each[["lhs", "op", "rhs", "group"]].itertuples(index=False)
        ]
    renamed = ours.set_index("cell").add_suffix("_ours")
    both = theirs.set_index("cell").join(renamed, how="inner")
    assert len(both) == len(theirs) == len(ours)
    for key in ("mi", "epc"):
        np.testing.assert_allclose(both[f"{key}_ours"], both[key], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(both["sepc_all_ours"], both["sepc.all"], rtol=1e-3, atol=1e-4)
    test = fit.score_test(release="all")
    np.testing.assert_allclose(test.univariate["mi"], case["released"], rtol=2e-4, atol=2e-5)
    assert test.raw == pytest.approx(case["score"], rel=1e-5)


@pytest.mark.parametrize("method", list(SINGLE["differences"]))
def test_difference_tests_are_lavaans(method):
    estimator = "ML" if method == "lr" else "MLR"
    fits = {
        name: single(tuple(case["group_equal"]), estimator)
        for name, case in SINGLE["cases"].items()
    }
    for simple, expected in SINGLE["differences"][method].items():
        full = {"metric": "configural", "scalar": "metric"}[simple]
        found = lr_test(fits[simple], fits[full], method=method)
        assert found.df == expected["df"]
        assert found.statistic == pytest.approx(expected["statistic"], rel=2e-4)


CASES = [(kind, name) for kind in ("cases", "cases_x") for name in TWO_LEVEL[kind]] + [
    ("cases_free_means", name) for name in TWO_LEVEL["cases_free_means"]
]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_measures_of_two_levels_are_lavaans(kind, name):
    """All but the scaled ones, in which lavaan weighs the groups' scores."""
    case = TWO_LEVEL[kind][name]
    text = case["model"].split("group: 2\n")[0].removeprefix("group: 1\n")
    if kind != "cases_free_means" and "intercepts" in case["group.equal"]:
        text += "\n fb ~ 0*1"
    fit = two_level(tuple(case["group.equal"]), text)
    found, expected = fit.fit_measures(), case["fit"]
    shown = [key for key in expected if key in found.index and expected[key] is not None]
    shown = [key for key in shown if not key.endswith((".scaled", ".robust", ".factor", ".h0"))]
    assert {"chisq", "cfi", "rmsea", "rmsea.ci.upper", "srmr_between", "baseline.df"} <= {*shown}
    for key in shown:
        assert found[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-4), key


@pytest.mark.parametrize("name", list(EXACT))
def test_scaling_factors_are_the_exact_ones(name):
    case = EXACT[name]
    if name == "groups_mlr":
        text = "level: 1\n fw =~ y1 + la*y2 + lb*y3\nlevel: 2\n fb =~ y1 + y2 + y3"
        fit = two_level((), text)
    else:
        text = case["model"]
        if "intercepts" in case["group_equal"] and not case["free_between_mean_in_second_group"]:
            text += "\n fb ~ 0*1"
        fit = two_level(tuple(case["group_equal"]), text)
    found = fit.fit_measures()
    assert found["chisq"] == pytest.approx(case["chisq"], abs=1e-5)
    if case["scaling"] is not None:
        assert found["chisq.scaling.factor"] == pytest.approx(case["scaling"], rel=1e-6)
    if "trace_h1" in case:
        assert fit._models.saturated_trace == pytest.approx(case["trace_h1"], rel=1e-7)
        assert fit._models.trace == pytest.approx(case["trace_h0"], rel=1e-7)


# --- groups with nothing in common ----------------------------------------------------------------


@pytest.mark.parametrize("level", [None, 1, 2])
def test_separate_groups_are_sums(level):
    whole = two_level().fit_measures(level=level)
    parts = [of_group(label).fit_measures(level=level) for label in "ab"]
    for name in [name for name in SEPARATE if name in whole.index]:
        assert whole[name] == pytest.approx(sum(part[name] for part in parts), rel=1e-10), name
    scaled = [part["chisq.scaling.factor"] * part["df"] for part in parts]
    assert whole["chisq.scaling.factor"] * whole["df"] == pytest.approx(sum(scaled), rel=1e-8)
    sizes = [of_group(label).n_obs for label in "ab"]
    name = "srmr_between" if level == 2 else "srmr_within"
    mean = np.average([part[name] for part in parts], weights=sizes)
    assert whole[name] == pytest.approx(mean, rel=1e-8)
    excess = max(whole["chisq"] - whole["df"], 0.0)
    count = whole.get("ntotal", 2500.0) if level != 2 else 200.0
    assert whole["rmsea"] == pytest.approx(np.sqrt(2.0 * excess / (count * whole["df"])))


def test_score_test_of_fit_of_separate_groups_is_a_sum():
    whole, parts = two_level()._models.score, [of_group(label)._models.score for label in "ab"]
    assert whole.raw == pytest.approx(sum(part.raw for part in parts), rel=1e-9)
    assert whole.df * whole.scaling == pytest.approx(sum(p.df * p.scaling for p in parts), rel=1e-9)


@pytest.mark.parametrize("robust", [False, True])
def test_what_separate_groups_gain_and_leave(robust):
    whole = two_level()
    table = whole.modification_indices(sort=False, robust=robust, power=0.1)
    values = [name for name in table.columns if table[name].dtype == float]
    for number, label in enumerate("ab", start=1):
        own = of_group(label)
        part = table[table["group"] == number].reset_index(drop=True)
        alone = own.modification_indices(sort=False, robust=robust, power=0.1)
        assert part.drop(columns="group").columns.equals(alone.columns)
        np.testing.assert_allclose(part[values], alone[values], rtol=1e-7, atol=1e-9)
        for kind in ("raw", "standardized", "cor.bollen"):
            mine, theirs = whole.residuals(kind, 2, label), own.residuals(kind, 2)
            pd.testing.assert_frame_equal(mine.cov, theirs.cov, rtol=1e-7)
            pd.testing.assert_frame_equal(mine.cov_se, theirs.cov_se, rtol=1e-7)
        implied = whole.h1().implied(2, label).cov
        pd.testing.assert_frame_equal(implied, own.h1().implied(2).cov, rtol=1e-9)
        assert list(whole.baseline().implied(1)) == ["a", "b"]


def test_residuals_are_by_group_and_level():
    found = two_level(KINDS).residuals("cor.bentler")
    assert list(found) == ["a", "b"]
    assert list(found["a"]) == ["1", "2"]
    one = two_level(KINDS).residuals("cor.bentler", level="2", group=2)
    pd.testing.assert_frame_equal(found["b"]["2"].cov, one.cov)
    assert one.group == "b"
    assert str(one).startswith("Residuals (cor.bentler) of level 2 of group 'b':")
    with pytest.raises(OptionValueError, match="'a', 'b'"):
        two_level(KINDS).residuals(group="c")


# --- parameters that groups share -----------------------------------------------------------------


def whole_algebra(fit):
    """β's A, scores of the whole's clusters and Δ, of all groups in one."""
    seen = fit._models.seen
    at, saturated = at_estimates(seen), fit._models.saturated
    sizes = [group.n_params for group in at.groups]
    starts = np.cumsum([0, *sizes])
    count = len(seen.cluster_labels)
    A, H = np.zeros((2, starts[-1], starts[-1]))
    s0, s1 = np.zeros((2, count, starts[-1]))
    delta = np.zeros((starts[-1], seen.equal.shape[1]))
    tangents = at.tangents(seen.along(seen.equal))
    for k, (own, best) in enumerate(zip(at.groups, saturated.groups, strict=True)):
        part = slice(starts[k], starts[k + 1])
        A[part, part], H[part, part] = own.expected, best.observed
        s0[at.robust_places[k], part] = own.scores
        s1[at.robust_places[k], part] = best.scores
        delta[part, tangents[k][0]] = tangents[k][1]
    return A, H, s0, s1, delta, starts


def classes():
    """Clusters of pupils that cut across the schools."""
    return frame("hs1939.csv").assign(room=lambda data: data["id"] % 31)


@cache
def across(**options):
    return quietly(
        mlsem.fit, SINGLE["model"], classes(), cluster="room", group="school", se="MLR", **options
    )


SHARED = {
    "two levels": lambda: two_level(KINDS),
    "constraint": lambda: two_level(
        (), "level: 1\n fw =~ y1 + c(a1,a2)*y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\na1 == a2"
    ),
    "clusters across groups": lambda: across(group_equal=KINDS),
    "separate, clusters across groups": across,
}


@pytest.mark.parametrize("name", list(SHARED))
def test_score_test_of_fit_is_that_of_dense_matrices(name):
    fit = SHARED[name]()
    A, _, s, _, delta, _ = whole_algebra(fit)
    inverse = np.linalg.inv(A)
    P = inverse - delta @ np.linalg.solve(delta.T @ A @ delta, delta.T)
    total, df = s.sum(axis=0), A.shape[0] - delta.shape[1]
    found = fit._models.score
    assert found.df == df == fit.fit_measures()["df"]
    assert found.raw == pytest.approx(total @ P @ total, rel=1e-7)
    assert found.scaling == pytest.approx(np.einsum("ja,ab,jb->", s, P, s) / df, rel=1e-8)


@pytest.mark.parametrize("name", list(SHARED))
def test_scaling_factor_is_that_of_dense_matrices(name):
    fit = SHARED[name]()
    _, H, _, s, _, _ = whole_algebra(fit)
    models = fit._models
    trace = models.factor * np.einsum("ja,ab,jb->", s, np.linalg.inv(H), s)
    assert models.saturated_trace == pytest.approx(trace, rel=1e-8)


@pytest.mark.parametrize("name", list(SHARED))
@pytest.mark.parametrize("robust", [False, True])
def test_covariance_of_residual_moments_by_plain_algebra(name, robust):
    fit = SHARED[name]()
    A, H, _, s, delta, starts = whole_algebra(fit)
    models = fit._models
    gamma = np.linalg.inv(A)
    if robust:
        gamma = models.factor * np.linalg.inv(H) @ (s.T @ s) @ np.linalg.inv(H)
    left = np.eye(len(A)) - delta @ np.linalg.solve(delta.T @ A @ delta, delta.T @ A)
    expected = left @ gamma @ left.T
    options = {"robust": robust, "factor": models.factor if robust else 1.0}
    roots = residual_roots(models.seen, models.saturated, **options)
    for k, (root, full) in enumerate(roots):
        part = slice(starts[k], starts[k + 1])
        scale = 1e-8 * np.abs(gamma).max()
        np.testing.assert_allclose(root @ root.T, expected[part, part], atol=scale)
        np.testing.assert_allclose(full @ full.T, gamma[part, part], atol=scale)


def test_released_equality_is_that_of_dense_scores():
    """Scores and information of rows in clusters, group by group, with each one's own loadings."""
    metric, free = two_level(("loadings",)), two_level()
    data, params = demo_groups(), np.full(len(free.table.names), np.nan)
    for one, other in zip(metric.table.rows, free.table.rows, strict=True):
        if other.free >= 0:
            params[other.free] = metric.estimates[one.free]
    basis = np.zeros((len(params), len(metric.estimates)))
    for one, other in zip(metric.table.rows, free.table.rows, strict=True):
        if other.free >= 0:
            basis[other.free, one.free] = 1.0
    A, rows = np.zeros((len(params),) * 2), []
    for group in free.table.groups:
        places, own = list(group.places), data[data["g"] == group.label]
        model = Dense(group.table, own, "cluster")
        A[np.ix_(places, places)] += model.expected(params[places])
        derivatives, moments = model.derivatives(params[places]), model.clusters(params[places])
        for (cov, means, covs), (values, mean, _) in zip(derivatives, moments, strict=True):
            inverse = np.linalg.inv(cov)
            left = inverse @ (values - mean)
            whole = np.zeros(len(params))
            trace = np.einsum("ij,aij->a", inverse, covs)
            whole[places] = means @ left + 0.5 * (left @ covs @ left - trace)
            rows.append(whole)
    s = np.array(rows)
    new = np.zeros(len(params))
    new[free.table.names.index("fw=~y2.g2")] = 1.0
    r = basis.T @ A @ basis
    direction = new - basis @ np.linalg.solve(r, basis.T @ A @ new)
    scores, information = s @ direction, direction @ A @ direction
    found = metric.score_test(release="fw=~y2.g2")
    assert found.raw == pytest.approx(scores.sum() ** 2 / information, rel=1e-6)
    assert found.scaling == pytest.approx((scores**2).sum() / information, rel=1e-6)
    changes = found.epc.set_index("parameter")["epc"]
    step = scores.sum() / information * direction
    for name in ("fw=~y2.g2", "y1~~y1", "fb=~y2.l2"):
        own = free.table.names.index(name)
        assert changes[name] == pytest.approx(step[own], rel=1e-5, abs=1e-9)


def test_score_of_releases_is_the_difference_test_and_near_the_ratio():
    for simple, full, asked in (
        (("loadings",), (), "loadings"),
        (KINDS, ("loadings",), "intercepts"),
        (KINDS, (), "all"),
    ):
        fits = two_level(simple), two_level(full)
        released = fits[0].score_test(release=asked, robust=True)
        score = lr_test(*fits, method="score")
        assert released.df == score.df
        assert released.statistic == pytest.approx(score.statistic, rel=1e-7)
        assert released.scaling == pytest.approx(score.scaling, rel=1e-7)
        ratio = lr_test(*fits, method="lr").statistic
        assert released.raw == pytest.approx(ratio, rel=0.05, abs=0.02)


def test_ways_to_name_an_equality():
    fit = two_level(("loadings",))
    first = fit.score_test(release=1).raw
    for named in (
        "fw=~y2",
        "fw =~ y2.g2",
        "fw=~y2 == fw=~y2.g2",
        "fw=~y2.g2 == fw=~y2",
        fit.table.rows[1].label,
        ["fw=~y2", 1],
    ):
        test = fit.score_test(release=named)
        assert test.raw == first
        assert test.df == 1
    assert fit.score_test(release=["loadings", "all"]).df == 4
    text = "'all', or of a kind: 'loadings'"
    with pytest.raises(OptionValueError, match=text):
        fit.score_test(release="intercepts")


def test_each_later_group_is_a_degree_of_freedom():
    data = demo_groups().assign(g=lambda each: each["cluster"] % 3)
    text = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n y1 ~~ y2 + y3\n y2 ~~ y3"
    fit = quietly(mlsem.fit, text, data, "cluster", group="g", group_equal="loadings")
    full = quietly(mlsem.fit, text, data, "cluster", group="g")
    test = fit.score_test(release="fw=~y2")
    assert test.tested == ("fw=~y2 == fw=~y2.g2", "fw=~y2 == fw=~y2.g3")
    assert test.df == 2
    whole = fit.score_test(release="all", robust=True)
    assert whole.df == lr_test(fit, full).df == 4
    assert whole.statistic == pytest.approx(lr_test(fit, full, method="score").statistic, rel=1e-7)


def test_rows_of_a_group_are_released_together():
    """A label that stands twice in each group: the second group gets one parameter."""
    text = "f =~ x1 + a*x2 + a*x3\n g =~ x4 + x5 + x6"
    fit = quietly(mlsem.fit, text, frame("hs1939.csv"), group="school")
    free = text.replace("a*", "c(a, b)*")
    full = quietly(mlsem.fit, free, frame("hs1939.csv"), group="school")
    assert fit.score_test(release="all").df == lr_test(fit, full).df == 1
    assert fit.score_test(release="all").raw == pytest.approx(
        lr_test(fit, full, method="score").statistic * lr_test(fit, full, method="score").scaling,
        rel=1e-8,
    )
    assert fit.score_test(release="a").df == 3


def test_written_equalities_between_groups():
    fit = SHARED["constraint"]()
    full = two_level((), fit.model.replace("a1 == a2", ""))
    test = fit.score_test(release="all", robust=True)
    assert test.tested == ("a1==a2",)
    assert test.statistic == pytest.approx(lr_test(fit, full, method="score").statistic, rel=1e-7)


def test_what_cannot_be_released_at_once_is_said():
    test = two_level(KINDS).score_test(release="intercepts")
    assert (len(test.tested), test.df) == (3, 2)
    assert "3 equalities are released, which say 2 things" in str(test)


def test_added_parameters_are_of_a_group_or_of_all():
    fit = two_level(KINDS)
    both = fit.score_test("level: 2\n y1 ~~ y2")
    assert both.tested == ("y1~~y2.l2", "y1~~y2.g2.l2")
    for number, label in enumerate("ab", start=1):
        one = fit.score_test(f"group: {label}\nlevel: 2\n y1 ~~ y2", robust=False)
        indices = fit.modification_indices(robust=False)
        chosen = indices[indices["group"] == number].query(
            "lhs == 'y1' and rhs == 'y2' and level == 2"
        )
        assert one.statistic == pytest.approx(chosen["mi"].item(), rel=1e-9)
    with pytest.raises(SpecificationError, match="group 'a': this is a free parameter"):
        fit.score_test("level: 1\n fw =~ y2")
    with pytest.raises(SpecificationError, match="'group: c' is none of the groups"):
        fit.score_test("group: c\nlevel: 1\n y1 ~~ y2")


# --- difference tests -----------------------------------------------------------------------------


def test_one_group_in_several():
    data = frame("hs1939.csv")
    one = mlsem.fit(SINGLE["model"], data, meanstructure=True)
    full = single()
    test = lr_test(one, full)
    assert test.df == 30
    kinds = (*KINDS, "residuals", "lv.variances", "lv.covariances", "means")
    equal = lr_test(single(kinds), full, method="score")
    assert lr_test(one, full, method="score").statistic == pytest.approx(equal.statistic, rel=1e-7)
    assert test.statistic == pytest.approx(lr_test(single(kinds), full).statistic, rel=1e-8)
    with pytest.raises(InferenceError, match="the full model has one group"):
        lr_test(single(kinds), mlsem.fit(SINGLE["model"] + "\nx1 ~~ x4", data, meanstructure=True))


def test_other_scales_of_the_same_model():
    """Variances of 1 in the place of loadings of 1; groups in another order."""
    data, text = frame("hs1939.csv"), SINGLE["model"]
    scaled = mlsem.fit(text, data, group="school", group_equal=KINDS, std_lv=True)
    for full in (single(), single(("loadings",)), single(std_lv=True)):
        expected, found = (lr_test(fit, full, method="score") for fit in (single(KINDS), scaled))
        assert found.df == expected.df
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-6)


def test_what_is_not_nested_is_refused():
    data, text = frame("hs1939.csv"), SINGLE["model"]
    other = mlsem.fit(text + "\nx1 ~~ x4", data, group="school", group_equal=(*KINDS, "residuals"))
    with pytest.raises(InferenceError, match="special case"):
        lr_test(other, single(("loadings", "lv.variances")))
    moved = data.assign(x1=data["x1"] + (data["id"] == 3))
    with pytest.raises(InferenceError, match=r"group 'Pasteur': .* 'x1' are not the same"):
        lr_test(mlsem.fit(text, moved, group="school", group_equal="loadings"), single())
    halves = data.assign(half=data["id"] % 2)
    with pytest.raises(InferenceError, match="other groups"):
        lr_test(mlsem.fit(text, halves, group="half", group_equal="loadings"), single())


# --- what changes nothing -------------------------------------------------------------------------


def test_order_and_names_change_nothing():
    fit, data = two_level(KINDS), demo_groups()
    turned = data.sample(frac=1.0, random_state=1).assign(
        g=lambda each: each["g"].map({"a": 20, "b": 10})
    )
    other = quietly(
        mlsem.fit, MODEL, turned, "cluster", group="g", group_label=[20, 10], group_equal=KINDS,
        se="MLR",
    )  # fmt: skip
    swapped = two_level(KINDS, group_label=("b", "a"))
    for found in (other, swapped):
        mine, theirs = (each.fit_measures().drop("npar") for each in (fit, found))
        np.testing.assert_allclose(theirs, mine, rtol=1e-5, atol=1e-7)
    mine, theirs = (each.score_test(release="all").univariate for each in (fit, other))
    np.testing.assert_allclose(theirs["mi_robust"], mine["mi_robust"], rtol=1e-5)
    fits = two_level(("loadings",)), two_level(("loadings",), group_label=("b", "a"))
    mine, theirs = (each.score_test(release="all").univariate for each in fits)
    np.testing.assert_allclose(theirs["mi_robust"], mine["mi_robust"], rtol=1e-5)


def test_units_and_far_covariates_change_nothing():
    """Also where an intercept that takes up the distance is shared."""
    data = demo_groups()
    moved = data.assign(x1=1e4 + 3.0 * data["x1"], w1=data["w1"] - 5e3)
    text = "level: 1\n y1 ~ x1\n y2 ~ x1\n y1 ~~ y2\nlevel: 2\n y1 ~ w1\n y2 ~ w1\n"
    options = {"group": "g", "group_equal": ("intercepts", "regressions"), "se": "MLR"}
    near, far = (quietly(mlsem.fit, text, each, "cluster", **options) for each in (data, moved))
    for test in (near, far):
        assert test.converged
    before, after = (each.modification_indices(sort=False) for each in (near, far))
    kept = before["op"] == "~~"
    for name in ("mi", "mi_robust", "epc"):
        np.testing.assert_allclose(after[name][kept], before[name][kept], rtol=1e-4, atol=1e-6)
    asked = "intercepts"
    np.testing.assert_allclose(
        near.score_test(release=asked).univariate["mi"],
        far.score_test(release=asked).univariate["mi"],
        rtol=1e-4,
    )
    assert near.fit_measures()["chisq"] == pytest.approx(far.fit_measures()["chisq"], rel=1e-6)


# --- missing values, random slopes ----------------------------------------------------------------


def test_missing_values():
    generator = np.random.default_rng(5)
    data = demo_groups().copy()
    for name in ("y1", "y2"):
        data.loc[generator.uniform(size=len(data)) < 0.1, name] = np.nan
    options = {"missing": "fiml", "se": "MLR"}
    whole = quietly(mlsem.fit, MODEL, data, "cluster", group="g", **options)
    parts = [
        quietly(mlsem.fit, MODEL, data[data["g"] == label], "cluster", **options) for label in "ab"
    ]
    found, own = whole.fit_measures(), [part.fit_measures() for part in parts]
    for name in SEPARATE:
        assert found[name] == pytest.approx(sum(each[name] for each in own), rel=1e-7), name
    metric = quietly(
        mlsem.fit, MODEL, data, "cluster", group="g", group_equal="loadings", **options
    )
    assert metric.fit_measures()["df"] == found["df"] + 4
    score = lr_test(metric, whole, method="score")
    assert metric.score_test(release="all").statistic == pytest.approx(score.statistic, rel=1e-6)


def test_random_slopes_have_likelihoods_alone():
    text = 'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ w1\n s ~~ y1\n'
    fit = quietly(mlsem.fit, text, demo_groups(), "cluster", group="g", group_equal="regressions")
    assert "chisq" not in fit.fit_measures().index
    with pytest.raises(InferenceError, match="random slopes"):
        fit.residuals()
    full = quietly(mlsem.fit, text, demo_groups(), "cluster", group="g")
    test = lr_test(fit, full)
    assert test.df == full.n_params - fit.n_params
    assert test.statistic == pytest.approx(2.0 * (full.loglik - fit.loglik))
    assert fit.score_test(release="all").raw == pytest.approx(test.statistic, rel=0.1)


# --- many groups, variances, the summary ----------------------------------------------------------


def test_many_directions_are_tested_as_few(monkeypatch):
    """What is apart is taken apart where there is much of it: here always."""
    pairs = [(("loadings",), ()), (KINDS, ("loadings",)), (KINDS, ())]

    def tested():
        tests = [lr_test(two_level(a), two_level(b), method="score") for a, b in pairs]
        fit = two_level(KINDS)
        gains = fit.modification_indices(sort=False)[["mi", "mi_robust", "epc"]].to_numpy()
        return [(test.statistic, test.scaling) for test in tests], gains

    few = tested()
    monkeypatch.setattr("mlsem.inference.covariance.score.MANY", 0)
    monkeypatch.setattr("mlsem.core.linalg.SPARSE", 0)
    many = tested()
    np.testing.assert_allclose(many[0], few[0], rtol=1e-8)
    np.testing.assert_allclose(many[1], few[1], rtol=1e-8, atol=1e-10)


def slopes_of_two_groups():
    generator, clusters = np.random.default_rng(3), np.repeat(np.arange(60), 12)
    x, slope, level = generator.normal(size=(3, 720))
    y = (0.4 + 0.35 * slope[clusters]) * x + level[clusters] + generator.normal(size=720)
    return pd.DataFrame({"y1": y, "x1": x, "id": clusters, "g": np.where(clusters % 2, "a", "b")})


def test_added_variances_are_at_the_boundary_of_their_group():
    data, start = slopes_of_two_groups(), "level: 1\n y1 ~ {}x1\nlevel: 2\n y1 ~~ y1\n"
    simple = mlsem.fit(start.format(""), data, "id", group="g")
    random = start.format('rv("s")*') + " s ~~ 0*y1\n"
    shared = lr_test(simple, mlsem.fit(random + " s ~~ c(v, v)*s", data, "id", group="g"))
    assert shared.parts == ((0, 0.5), (1, 0.5))
    apart = lr_test(simple, mlsem.fit(random, data, "id", group="g"))
    # two variances whose estimates are independent: 1/4, 1/2, 1/4
    weights = ((0, 0.25), (1, 0.5), (2, 0.25))
    expected = sum(weight * chdtrc(df, apart.statistic) for df, weight in weights if df)
    assert apart.df == 2
    assert apart.pvalue == pytest.approx(expected, abs=5.0 * apart.error)


def test_the_summary_has_the_part_of_each_group():
    fit = two_level(("loadings",))
    parts = [part for _, part in fit._models.contributions()]
    measures = fit.fit_measures()
    assert sum(parts) == pytest.approx(measures["chisq"], rel=1e-9)
    lines = str(fit.summary(fit_measures=True)).splitlines()
    place = lines.index("  Test statistic for each group:")
    scaled = parts[0] / measures["chisq.scaling.factor"]
    assert lines[place + 1].split() == ["a", f"{parts[0]:.3f}", f"{scaled:.3f}"]
