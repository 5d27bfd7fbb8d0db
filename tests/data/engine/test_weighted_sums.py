"""Weights of rows that an engine has: of the rows only sums come here, and the fits are those of
the rows in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
from mlsem.errors import DataError, OptionValueError
from tests.support.queries import ENGINES, only_sums

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore::mlsem.DataWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),  # of Ibis
    pytest.mark.filterwarnings("ignore:Dask support is moving"),  # of narwhals
]
MODEL = "level: 1; pv1math ~ ses + private:ses; level: 2; pv1math ~ private"
TOTALS = {"total": "w_stu", "level2": "w_sch"}
CALLS: dict[str, dict[str, Any]] = {
    "cluster": {"weights": TOTALS},
    "ecluster": {"weights": TOTALS, "weight_scaling": "ecluster"},
    "unscaled": {"weights": {"level1": "c", "level2": "w_sch"}, "weight_scaling": "unscaled"},
    "gk": {"weights": TOTALS, "weight_scaling": "gk", "center": {"ses": "grand"}},
    "schools": {"weights": {"level2": "w_sch"}, "center": {"ses": "cluster"}},
    "pupils": {"weights": {"level1": "c"}, "center": {"ses": "grand"}, "se_cluster": "zone"},
}


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    """In no order, some without an outcome, some that weigh nothing; clusters far apart."""
    data = pd.read_csv(FOLDER / "surveys" / "lsa_pv.csv")
    data["c"] = data["w_stu"] / data["w_sch"]
    data.loc[::17, "pv1math"] = np.nan
    data.loc[3:9, ["w_stu", "c"]] = 0.0
    data["far"] = data["ses"] + 1e5 * data["school"]
    return data.sample(frac=1.0, random_state=1).reset_index(drop=True)


@pytest.fixture(
    params=[pytest.param(each, marks=[pytest.mark.slow] * (each != "polars")) for each in ENGINES]
)
def engine(request: pytest.FixtureRequest) -> Any:
    """Makes a query of a frame."""
    return ENGINES[request.param][0]


def assert_same(ours: mlsem.FitResult, theirs: mlsem.FitResult, exact: float = 1e-10) -> None:
    for kind in ("MLR", "CR2"):
        one, other = (
            each.with_se(kind).parameter_estimates()[["est", "se"]].to_numpy(float)
            for each in (ours, theirs)
        )
        assert np.nanmax(np.abs(one - other) / np.maximum(np.abs(other), 1e-3)) < exact
    assert ours.loglik == pytest.approx(theirs.loglik, rel=1e-12)
    assert ours.notes == theirs.notes
    assert (ours.n_obs, ours.n_clusters) == (theirs.n_obs, theirs.n_clusters)
    assert str(ours.summary()) == str(theirs.summary())  # with effective numbers


@pytest.mark.parametrize("call", CALLS)
def test_weighted_rows_are_summed_where_they_are(
    engine: Any, call: str, pupils: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"cluster": "school", "tol": 1e-11, **CALLS[call]}
    wanted = mlsem.fit(MODEL, pupils, **how)
    only_sums(monkeypatch)
    assert_same(mlsem.fit(MODEL, engine(pupils), **how), wanted)


def test_clusters_that_lie_far_apart_keep_their_digits(
    pupils: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"cluster": "school", "weights": TOTALS, "center": {"far": "cluster"}}
    model = MODEL.replace("ses", "far")
    wanted = mlsem.fit(model, pupils, **how)
    only_sums(monkeypatch)
    assert_same(mlsem.fit(model, ENGINES["polars"][0](pupils), **how), wanted, 1e-7)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"w_stu": np.nan}, DataError, r"weights 'w_stu' are missing in 2 rows"),
        ({"w_sch": np.inf}, DataError, r"weights 'w_sch' are infinite in 2 rows"),
        ({"w_stu": -9.0}, DataError, r"weights 'w_stu' are negative in 2 rows\. Weights are pos"),
        ({"w_sch": 4.0}, DataError, r"level 2, 'w_sch', differ within"),
    ],
)
def test_weights_that_are_none(
    change: dict[str, float], error: type[Exception], words: str, pupils: pd.DataFrame
) -> None:
    data = pupils.copy()
    for name, value in change.items():
        data.loc[20:21, name] = value
    with pytest.raises(error, match=words):
        mlsem.fit(MODEL, ENGINES["polars"][0](data), "school", weights=TOTALS)


def test_weights_of_other_kinds(pupils: pd.DataFrame) -> None:
    """Those within schools for totals, none but zero, none of that name, and those of one level."""
    frame, polars = pupils.assign(zero=0.0), ENGINES["polars"][0]
    for weights, words in (
        ({"total": "c", "level2": "w_sch"}, r"in 5\d\d of 5\d\d rows.*Are these conditional"),
        ({"level2": "zero"}, r"all weights are zero \('zero'\)"),
        ({"level2": "nothing"}, r"weights= names.*'nothing'"),
    ):
        with pytest.raises(DataError, match=words):
            mlsem.fit(MODEL, polars(frame), "school", weights=weights)
    with pytest.raises(OptionValueError, match=r"one level has one weight of each row"):
        mlsem.fit("pv1math ~ ses", polars(frame), "school", weights=TOTALS)


def test_what_engines_do_not_sum_takes_rows(pupils: pd.DataFrame) -> None:
    """Strata, replicates, gaps that are used, a model of one level."""
    query = ENGINES["polars"][0](pupils)
    for model, how in (
        (MODEL, {"weights": TOTALS, "strata": "private"}),
        (MODEL, {"weights": TOTALS, "missing": "fiml"}),
        (MODEL, {"weights": TOTALS, "replicates": mlsem.Fay("rw{}")}),
        ("pv1math ~ ses", {"weights": "w_stu"}),
    ):
        call: dict[str, Any] = {"cluster": "school", **how}
        found, wanted = (mlsem.fit(model, data, **call) for data in (query, pupils))
        np.testing.assert_allclose(found.bse, wanted.bse, rtol=1e-9)
