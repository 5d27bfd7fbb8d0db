"""Replicate weights: against R's survey and prototypes, fits by hand, and what is refused."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
from mlsem.cli.main import OK, main
from mlsem.errors import DataError, DataWarning, InferenceError, OptionValueError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*plausible values:mlsem.errors.DataWarning"),
    pytest.mark.filterwarnings("ignore:.*replicate weights add up:mlsem.errors.DataWarning"),
    pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning"),
]
SURVEYS = FOLDER / "surveys"
SINGLE = json.loads((SURVEYS / "single_level.json").read_text("utf-8"))
PLAUSIBLE = json.loads((SURVEYS / "pv.json").read_text("utf-8"))
BOTH = {"total": "w_stu", "level2": "w_sch"}
CALLS: dict[str, dict[str, Any]] = {
    "cluster": {"weights": BOTH},
    "unscaled": {"weights": BOTH, "weight_scaling": "unscaled"},
    "level2": {"weights": {"level2": "w_sch"}},
}
FAY = mlsem.Fay("rw{}", total="w_stu")
BOTH_HALVES = mlsem.JK2(zone="zone", rep="rep", both=True, total="w_stu")
ONE_LEVEL = "pv1math ~ ses + private + girl"


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    return pd.read_csv(SURVEYS / "lsa_pv.csv")


@pytest.mark.parametrize(
    ("name", "replicates"),
    [
        ("svyglm_fay_mse", mlsem.Fay("rw{}", k=0.5)),
        ("svyglm_jk2_one", mlsem.JK2(zone="zone", rep="rep")),
    ],
)
def test_svyglm(pupils: pd.DataFrame, name: str, replicates: Any) -> None:
    fit = mlsem.fit(
        ONE_LEVEL, pupils, weights="w_stu", replicates=replicates, meanstructure=True, tol=1e-10
    )
    names = ["pv1math~1", "pv1math~ses", "pv1math~private", "pv1math~girl"]
    np.testing.assert_allclose(fit.bse[names], SINGLE[name]["se"], rtol=1e-9)
    np.testing.assert_allclose(fit.covariance.df, 19.0)  # degf of the design


@pytest.mark.parametrize("name", ["ri.cluster", "ri.level2", "ri.unscaled", "rs.level2"])
@pytest.mark.parametrize(("kind", "replicates"), [("fay", FAY), ("jk2_both", BOTH_HALVES)])
def test_two_levels(pupils: pd.DataFrame, name: str, kind: str, replicates: Any) -> None:
    slope, how = name.split(".")
    random = "(1 | school)" if slope == "ri" else "(ses | school)"
    places = [0, 1, 2, 3, 4, 5] if slope == "ri" else [0, 1, 2, 3, 4, 6, 5, 7]
    formula = f"{ONE_LEVEL} + {random}"
    fit = mlsem.lmm(formula, pupils, REML=False, tol=1e-10, replicates=replicates, **CALLS[how])
    wanted = np.array(PLAUSIBLE[f"replicate.{name}"][f"se_{kind}_by_pv"][0])[places]
    np.testing.assert_allclose(fit.bse, wanted, rtol=1e-8)


@pytest.mark.parametrize(("kind", "replicates"), [("fay", FAY), ("jk2_both", BOTH_HALVES)])
def test_pooled_over_plausible_values(pupils: pd.DataFrame, kind: str, replicates: Any) -> None:
    reference = PLAUSIBLE["replicate.ri.cluster"]
    pooled = mlsem.fit_many(
        "math ~ ses + private + girl + (1 | school)",
        pupils,
        plausible={"math": "pv{}math"},
        REML=False,
        replicates=replicates,
        **CALLS["cluster"],
    )
    np.testing.assert_allclose(pooled.params, reference["est"], rtol=1e-7)
    np.testing.assert_allclose(pooled.bse, reference[f"pooled_{kind}"], rtol=1e-7)
    assert pooled.fits[0].covariance.form in str(pooled.summary())


# --- identities -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def left_out() -> pd.DataFrame:
    """A jackknife of clusters with a weight each."""
    data = mlsem.load_example("article")
    codes = pd.factorize(data["id"])[0]
    count = codes.max() + 1
    w = np.random.default_rng(1).uniform(1, 3, count)[codes]
    raised = w * count / (count - 1)
    return data.assign(w=w, **{f"rw{k}": np.where(codes == k, 0, raised) for k in range(count)})


def test_replicates_are_fits_by_their_weights(left_out: pd.DataFrame) -> None:
    """One by one by hand, weights of clusters alone; a random slope."""
    model = 'level: 1; y ~ rv("s")*x1; level: 2; y ~ w1; s ~ w1'
    fit = mlsem.fit(model, left_out, "id", weights={"level2": "w"}, replicates=mlsem.JK1("rw{}"))
    assert fit.replicates is not None
    count = left_out["id"].nunique()
    assert fit.replicates.shape == (count, len(fit.params))
    for k in (0, 7, count - 1):
        own = mlsem.fit(model, left_out, "id", weights={"level2": f"rw{k}"})
        np.testing.assert_allclose(fit.replicates.iloc[k], own.params, rtol=1e-5, atol=1e-7)
    away = fit.replicates.to_numpy() - fit.params.to_numpy()
    wanted = (count - 1) / count * away.T @ away
    np.testing.assert_allclose(fit.vcov(), wanted, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_products_are_those_of_each_replicate(left_out: pd.DataFrame, shift: float) -> None:
    """Whose factors are centred inside at means that rows left out change."""
    moved = left_out.assign(x1=left_out["x1"] + shift, w1=left_out["w1"] - shift)
    model = "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1"
    how: dict[str, Any] = {"weights": {"level2": "w"}, "replicates": mlsem.JK1("rw{}")}
    fit = mlsem.fit(model, moved, "id", **how, tol=1e-10)
    assert fit.replicates is not None
    own = mlsem.fit(model, moved, "id", weights={"level2": "rw3"}, tol=1e-10)
    np.testing.assert_allclose(fit.replicates.iloc[3], own.params, rtol=1e-7)


def test_functions_of_a_formula_are_those_of_the_sample(left_out: pd.DataFrame) -> None:
    """What `scale` takes off does not change with the rows that a replicate leaves out."""
    x1 = left_out["x1"]
    made = left_out.assign(z=(x1 - x1.mean()) / x1.std())
    how: dict[str, Any] = {
        "REML": False,
        "weights": {"level2": "w"},
        "replicates": mlsem.JK1([f"rw{k}" for k in range(0, 50, 5)]),
    }
    fits = [mlsem.lmm(f"y ~ {x} + w1 + (1 | id)", made, **how) for x in ("scale(x1)", "z")]
    np.testing.assert_allclose(fits[0].params, fits[1].params, rtol=1e-9)
    np.testing.assert_allclose(fits[0].replicates, fits[1].replicates, rtol=1e-9)


def test_weights_of_rows_become_weights_by_level(pupils: pd.DataFrame) -> None:
    """A replicate of totals is a fit with w_j f_j and the rest within clusters."""
    f = pupils.groupby("school")["rw3"].transform("sum") / pupils.groupby("school")[
        "w_stu"
    ].transform("sum")
    own = pupils.assign(school_weight=pupils["w_sch"] * f)
    own["inner"] = own["rw3"] / own["school_weight"]
    model = "level: 1; pv1math ~ girl; level: 2; pv1math ~ private"
    how: dict[str, Any] = {"cluster": "school", "tol": 1e-11}
    fit = mlsem.fit(model, pupils, **how, weights=BOTH, replicates=mlsem.Fay("rw{}"))
    third = mlsem.fit(model, own, **how, weights={"level1": "inner", "level2": "school_weight"})
    assert fit.replicates is not None
    np.testing.assert_allclose(fit.replicates.loc[3], third.params, rtol=1e-8)


def test_tests_go_by_the_design(pupils: pd.DataFrame) -> None:
    fit = mlsem.fit(ONE_LEVEL, pupils, weights="w_stu", replicates=mlsem.Fay("rw{}"))
    assert fit.se_kind == "replicates"
    one = fit.wald_test("`pv1math~ses`")
    z = fit.params["pv1math~ses"] / fit.bse["pv1math~ses"]
    assert one.statistic == pytest.approx(z**2)
    two = fit.wald_test("`pv1math~ses`; `pv1math~girl`")
    assert two.df_denom == pytest.approx(18.0)  # df - q + 1
    assert "Fay (k = 0.5), 20: rw1 … rw20" in str(fit.summary())
    assert "of the design (19.0)" in " ".join(str(mlsem.summary_table([fit])).split())
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.bse, fit.bse)
    robust = fit.with_se("MLR")
    assert robust.with_se("replicates").bse.equals(fit.bse)
    plain = fit.with_se("replicates", test="z")
    assert np.isinf(plain.covariance.df).all()


def test_a_method_may_be_plain_values(pupils: pd.DataFrame) -> None:
    given = mlsem.Fay("rw{}", k=0.4).given
    assert json.loads(json.dumps(given)) == {"method": "Fay", "columns": "rw{}", "k": 0.4}
    one, other = (
        mlsem.fit(ONE_LEVEL, pupils, weights="w_stu", replicates=each)
        for each in (mlsem.Fay("rw{}", k=0.4), given)
    )
    assert one.bse.equals(other.bse)
    updated = one.update(data=pupils, replicates=mlsem.BRR("rw{}"))
    np.testing.assert_allclose(updated.bse, one.bse * 0.6)
    with pytest.raises(OptionValueError, match=r"pass data="):
        one.update(max_iter=100)


def test_frames_of_other_libraries(pupils: pd.DataFrame) -> None:
    pl = pytest.importorskip("polars")
    how: dict[str, Any] = {"weights": "w_stu", "replicates": mlsem.Fay("rw{}")}
    wanted = mlsem.fit(ONE_LEVEL, pupils, **how).bse
    for data in (pl.from_pandas(pupils), pl.from_pandas(pupils).lazy()):
        np.testing.assert_allclose(mlsem.fit(ONE_LEVEL, data, **how).bse, wanted, rtol=1e-12)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicates", "error", "words"),
    [
        (mlsem.Fay("rv{}"), DataError, "no column of the data is rv1"),
        (mlsem.Fay("rw"), OptionValueError, "has {} once"),
        (mlsem.Fay(["rw1", "rw1"]), OptionValueError, "'rw1' twice"),
        (mlsem.Fay(["rw1", "rw99"]), DataError, "no such column"),
        (mlsem.JK2(zone="zon", rep="rep"), DataError, "'zon'"),
        (mlsem.JK2(zone="zone", rep="zone"), DataError, "not two halves"),
        ("rw{}", OptionValueError, "it takes a method"),
        ({"method": "Fay", "k": 0.5, "rho": 1}, OptionValueError, "it takes a method"),
    ],
)
def test_columns_that_are_not_there(
    pupils: pd.DataFrame, replicates: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        mlsem.fit(ONE_LEVEL, pupils, weights="w_stu", replicates=replicates)
    assert words in str(raised.value)


def test_methods_check_themselves() -> None:
    with pytest.raises(OptionValueError, match="from 0 to below 1"):
        mlsem.Fay("rw{}", k=1.0)
    with pytest.raises(OptionValueError, match="zones and halves"):
        mlsem.JK2()
    with pytest.raises(OptionValueError, match="zones and halves"):
        mlsem.JK2("rw{}", zone="zone", rep="rep")


def test_what_does_not_go_together(pupils: pd.DataFrame) -> None:
    how: dict[str, Any] = {"data": pupils, "replicates": mlsem.Fay("rw{}")}
    with pytest.raises(OptionValueError, match="there are none"):
        mlsem.fit(ONE_LEVEL, **how)
    with pytest.raises(OptionValueError, match="leave strata out"):
        mlsem.fit(ONE_LEVEL, **how, weights="w_stu", strata="zone")
    with pytest.raises(OptionValueError, match="goes with replicate weights"):
        mlsem.fit(ONE_LEVEL, pupils, weights="w_stu", se="replicates")
    model = "level: 1; pv1math ~ girl; level: 2; pv1math ~ private"
    with pytest.raises(OptionValueError, match="say which weights are replicated"):
        mlsem.fit(model, **how, cluster="school", weights={"level2": "w_sch"})


def test_weights_that_are_none_or_other_ones(pupils: pd.DataFrame) -> None:
    how: dict[str, Any] = {"weights": "w_stu", "replicates": mlsem.Fay("rw{}")}
    with pytest.raises(DataError, match=r"'rw3' are negative"):
        mlsem.fit(ONE_LEVEL, pupils.assign(rw3=-1.0), **how)
    other = pupils.assign(**{f"rw{k}": 2.0 * pupils[f"rw{k}"] for k in range(1, 21)})
    with pytest.raises(DataError, match="times the weights of the sample"):
        mlsem.fit(ONE_LEVEL, other, **how)


@pytest.mark.filterwarnings("default:.*replicate weights add up")
def test_single_sums_that_are_far_are_told(pupils: pd.DataFrame) -> None:
    with pytest.warns(DataWarning, match="6 of 20 replicate weights add up"):
        mlsem.fit(ONE_LEVEL, pupils, weights="w_stu", replicates=mlsem.Fay("rw{}"))


def test_on_the_command_line(
    pupils: pd.DataFrame, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = tmp_path / "model.lav", tmp_path / "data.csv"
    model.write_text(ONE_LEVEL, "utf-8")
    pupils.to_csv(data, index=False)
    asked = ["fit", str(model), str(data), "--weights", "w_stu", "--json", "--replicates"]
    for text, method in (
        ("fay=rw{}", mlsem.Fay("rw{}")),
        ("fay:0.3=rw{}", mlsem.Fay("rw{}", k=0.3)),
        ("jk2:both=zone,rep", mlsem.JK2(zone="zone", rep="rep", both=True)),
    ):
        assert main([*asked, text]) == OK
        found = json.loads(capsys.readouterr().out)
        fit = mlsem.fit(ONE_LEVEL, pupils, weights="w_stu", replicates=method)
        assert next(each["se"] for each in found["estimates"]) == pytest.approx(fit.bse.iloc[0])
        assert found["call"]["arguments"]["replicates"] == method.given
    for wrong in ("fay", "magic=rw{}", "brr:2=rw{}", "fay:2=rw{}"):
        with pytest.raises(SystemExit):
            main([*asked, wrong])


def test_scores_are_those_of_what_was_drawn_together(pupils: pd.DataFrame) -> None:
    """Replicates know of clusters that a model of one level does not name: tests by scores of
    rows are refused or NaN, and there once the clusters are named, with the same estimates and
    errors."""
    model = "read =~ pv1read + pv2read + pv3read; read ~ ses + 0*girl"
    how: dict[str, Any] = {"weights": "w_stu", "replicates": FAY}
    rows = mlsem.fit(model, pupils, **how)
    full = mlsem.fit(model.replace("0*", ""), pupils, **how)
    for refused in (
        rows.modification_indices,
        lambda: rows.score_test("read ~ girl"),
        lambda: mlsem.lr_test(rows, full),
    ):
        with pytest.raises(InferenceError, match=r"drawn for itself.*cluster="):
            refused()
    named = rows.update(data=pupils, cluster="school")
    np.testing.assert_allclose(named.params, rows.params, rtol=1e-12)
    np.testing.assert_allclose(named.bse, rows.bse, rtol=1e-9)
    assert named.modification_indices()["mi_robust"].gt(0).all()
    assert named.fit_measures()[["chisq.scaled", "cfi.robust", "pvalue.score"]].notna().all()
    assert full.wald_test("`read~girl`").df_denom == pytest.approx(19.0)
    measures = rows.fit_measures()
    assert measures[["chisq.scaled", "cfi.robust", "pvalue.score"]].isna().all()
    assert measures["srmr"] == pytest.approx(named.fit_measures()["srmr"])
