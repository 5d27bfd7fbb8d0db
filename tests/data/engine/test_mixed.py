"""Formulas of mixed models whose columns an engine computes: only sums come here, and the fits are
those of the rows in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from tests.support.queries import ENGINES, only_sums

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore::mlsem.DataWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),  # of Ibis
    pytest.mark.filterwarnings("ignore:Dask support is moving"),  # of narwhals
]

FORMULAS = [
    "y ~ x * w + (x | id)",
    "y ~ f * x + c + b + (1 | id)",
    "y ~ scale(x) * center(w) + (scale(x) || id)",
    "y ~ scale(far) + w + (scale(far) | id)",
    "log(t) ~ I(x^2) + sqrt(t) + exp(w) + (0 + x | id)",
    "y ~ factor(z) + relevel(c, ref = 's') + (1 | id)",
    "y ~ C(f, sum) + I(x > 0 & !b) + I(w^3 / 2 - 1) + (1 | id)",
    "y ~ 0 + f + x:f + I(f == 'mid') + (f || id)",
    "y ~ x + I(2 * x + 1) + interaction(f, b) + (1 | id)",
]


def rows(*, holes: bool = False) -> pd.DataFrame:
    """In no order, with text, categories and truth values; `far` has the mean 10^8 and the sd 1."""
    rng = np.random.default_rng(5)
    of = np.repeat(np.arange(30), rng.integers(6, 14, 30))
    n, u = len(of), rng.normal(size=(6, 30))
    x, t = rng.normal(size=(2, n))
    frame = pd.DataFrame({"id": 2**60 + of, "x": x + 0.3 * u[0][of], "w": u[1][of]})
    frame["far"] = frame["x"] + 1e8
    frame["t"], frame["z"], frame["b"] = np.exp(t), rng.integers(0, 4, n), rng.random(n) < 0.4
    frame["f"] = np.array(["lo", "mid", "hi"])[rng.integers(0, 3, n)]
    frame["c"] = pd.Categorical(
        np.array(["u", "v", "s"])[rng.integers(0, 3, n)], ["s", "u", "v", "none"]
    )
    frame["town"] = of // 3
    frame["y"] = 1 + 0.4 * x + u[2][of] + 0.7 * u[3][of] * x + 0.7 * rng.normal(size=n)
    frame["y"] += u[4][of] * (frame["f"] == "mid") + u[5][of] * (frame["f"] == "lo")
    frame["t"] *= np.exp(0.7 * u[3][of] * x)
    if holes:
        for name in ("y", "x", "f", "c"):
            frame.loc[rng.random(n) < 0.06, name] = None
        frame["z"] = frame["z"].astype("Int64").where(rng.random(n) > 0.05)
    return frame.iloc[rng.permutation(n)].reset_index(drop=True)


@pytest.fixture(
    params=[
        pytest.param(each, marks=[pytest.mark.slow] * slow) for each, (_, slow) in ENGINES.items()
    ]
)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a query of a frame, whose rows must not come here."""
    only_sums(monkeypatch)
    return ENGINES[request.param][0]


def assert_same(ours: mlsem.MixedResult, theirs: mlsem.MixedResult, *kinds: str) -> None:
    """Estimates, errors, degrees of freedom; what is said, and what is known of the columns."""
    assert ours.params.index.tolist() == theirs.params.index.tolist()
    exact = 1e-5 if "far" in ours.model else 1e-10  # its mean is a double with an ulp of 1.5e-8
    for kind in kinds:
        one, other = (
            each.with_se(kind).parameter_estimates()[["est", "se", "df"]].to_numpy(float)
            for each in (ours, theirs)
        )
        known = np.isfinite(other)
        away = (one - other)[known] / np.maximum(np.abs(other[known]), 1e-3)
        assert np.abs(away).max() < exact
    assert ours.notes == theirs.notes
    assert (ours.n_obs, ours.n_clusters) == (theirs.n_obs, theirs.n_clusters)
    one, other = (fit._record.formula.grid for fit in (ours, theirs))
    assert one.names == other.names
    for mine, known in zip(one.predictors, other.predictors, strict=True):
        assert (mine.kind, mine.levels) == (known.kind, known.levels)
        numbers = ((p.mean, p.low, p.high, p.sd) for p in (mine, known))
        np.testing.assert_allclose(*numbers, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(one.cells, other.cells)
    np.testing.assert_array_equal(one.counts, other.counts)


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_same_as_of_rows(engine: Any, formula: str) -> None:
    frame = rows(holes="f " in formula)
    query = engine(frame)
    if type(query).__module__.startswith("ibis"):  # which has text in place of categories
        frame["c"] = frame["c"].astype(object)
    assert_same(mlsem.lmm(formula, query), mlsem.lmm(formula, frame), "standard", "CR2")


def test_ml_and_robust_clusters(engine: Any) -> None:
    frame = rows()
    how: dict[str, Any] = {"REML": False, "se": "CR2", "se_cluster": "town"}
    ours, theirs = (mlsem.lmm(FORMULAS[0], data, **how) for data in (engine(frame), frame))
    assert_same(ours, theirs, "CR2")


def test_what_it_learned_makes_the_columns_of_other_rows() -> None:
    frame = rows(holes=True)
    for formula in FORMULAS:
        ours, theirs = mlsem.lmm(formula, ENGINES["polars"][0](frame)), mlsem.lmm(formula, frame)
        one, other = ours.predict(frame), theirs.predict(frame)
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)


def test_linear_combinations_are_left_out_as_in_lme4(engine: Any) -> None:
    """Also those that cross-products cannot tell: of a share of 10^-6 and of 10^-8."""
    frame = rows()
    frame["near"] = frame["x"] + frame["w"] + 1e-6 * frame["t"]
    frame["same"] = frame["x"] + frame["w"] + 1e-9 * frame["t"]
    formula = "y ~ x + w + near + same + far + (1 | id)"
    ours, theirs = (mlsem.lmm(formula, data) for data in (engine(frame), frame))
    assert "'same' and 'far'" in ours.notes[0] or "'same', 'far'" in ours.notes[0]
    assert ours.notes == theirs.notes
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-3)  # 'near' has few digits


def test_what_an_engine_cannot_compute_brings_columns_here(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, make = rows(), ENGINES["polars"][0]
    for formula in ("y ~ ns(x, 3) + (1 | id)", "y ~ poly(x, 2) + (1 | id)"):
        ours, theirs = mlsem.lmm(formula, make(frame)), mlsem.lmm(formula, frame)
        np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-10)
    only_sums(monkeypatch)
    with pytest.raises(AssertionError, match="rows of a query"):
        mlsem.lmm("y ~ ns(x, 3) + (1 | id)", make(frame))


def test_what_is_wrong_is_said(engine: Any) -> None:
    frame = rows(holes=True)
    for formula, how, said in (
        ("y ~ nope + (1 | id)", {}, "'nope', which is not a column of the data"),
        ("y ~ x + (1 | idd)", {}, "column of clusters 'idd', .* 'id'"),
        ("y ~ log(x) + (1 | id)", {}, r"^'log\(x\)' is not a number in \d+ rows"),
        ("y ~ I(1 / z) + (1 | id)", {}, r"'I\(1/z\)' has \d+ infinite value\(s\) in clusters"),
        ("w ~ x + (1 | id)", {}, "the outcome 'w' does not vary within any cluster"),
        ("y ~ x + (1 | id)", {"missing": "error"}, r"missing values in 'x' \(\d+\), 'y' \(\d+\)"),
        ("y ~ x + f + (1 | one)", {}, "every cluster of 'one' has one row"),
        ("y ~ only + (1 | id)", {}, "the factor 'only' has one level only"),
    ):
        data = frame.assign(one=np.arange(len(frame)), only="a")
        with pytest.raises(mlsem.MlsemError, match=said):
            mlsem.lmm(formula, engine(data), **how)


def test_text_that_is_no_factor_is_said() -> None:
    """Its rows are few, for a query of more values is not translated."""
    frame = rows().head(60)
    frame["t"] = frame["t"].astype(str)
    for make, slow in ENGINES.values():
        if not slow:
            with pytest.raises(mlsem.DataError, match=r"'t' is text with 60 .* stored as text"):
                mlsem.lmm("y ~ t + (1 | id)", make(frame))


def test_files_are_read_again(tmp_path: Path) -> None:
    """A fit to files knows their paths, so that rows are not passed twice."""
    pl = pytest.importorskip("polars")
    frame = rows().drop(columns="c")
    pl.from_pandas(frame).write_parquet(tmp_path / "data.parquet")
    theirs = mlsem.lmm("y ~ x + f + (1 | id)", frame)
    for path in (tmp_path / "data.parquet", str(tmp_path / "*.parquet")):
        ours = mlsem.lmm("y ~ x + f + (1 | id)", path)
        np.testing.assert_allclose(ours.predict(), theirs.predict(), rtol=1e-9)
        np.testing.assert_allclose(ours.residuals(), theirs.residuals(), rtol=1e-7, atol=1e-9)
    lost = mlsem.lmm("y ~ x + (1 | id)", pl.from_pandas(frame).lazy())
    with pytest.raises(mlsem.InferenceError, match="the query of the fit is gone: pass data="):
        lost.predict()
