"""Models of several groups, of one level, with auxiliary variables: of the rows of a query only
sums come here, and the fits are those of the rows in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.engine import query
from mlsem.data.frames.source import source
from tests.support.queries import ENGINES, only_sums

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore::mlsem.DataWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),  # of Ibis
    pytest.mark.filterwarnings("ignore:Dask support is moving"),  # of narwhals
]

TWO_LEVEL = "level: 1\n y ~ x\n level: 2\n y ~ w"
CROSS_LEVEL = "level: 1\n y ~ x + w:x\n level: 2\n y ~ w"
BLOCKS = """
group: a
level: 1
  y ~ x
level: 2
  y ~ w
group: c
level: 1
  y ~ x + z
level: 2
  y ~ 1
"""


@pytest.fixture(
    params=[
        pytest.param(each, marks=[pytest.mark.slow] * slow) for each, (_, slow) in ENGINES.items()
    ]
)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a query of a frame, whose rows must not come here."""
    only_sums(monkeypatch)
    return ENGINES[request.param][0]


def rows(*, holes: bool = False) -> pd.DataFrame:
    """Unsorted, with text for ids, a covariate far from zero and three groups of clusters."""
    rng = np.random.default_rng(3)
    of = np.repeat(np.arange(45), rng.integers(6, 14, 45))
    w, u, v = rng.normal(size=(3, 45))
    x, z, e = rng.normal(size=(3, len(of)))
    y = 0.4 * x + (0.3 * w + u)[of] + 0.2 * x * w[of] + e
    frame = pd.DataFrame({"school": of, "y": y, "x": x + 1e8, "z": 0.5 * y + z, "w": w[of]})
    frame["town"] = of // 2
    frame["aw"] = (w + v)[of]
    frame["sex"] = pd.Categorical(np.array(["a", "b", "c"])[of % 3], ["a", "b", "c"])
    if holes:
        for name in ("y", "z", "x"):
            frame.loc[rng.random(len(frame)) < 0.08, name] = np.nan
        frame.loc[rng.choice(len(frame), 5, replace=False), "sex"] = None
    frame["school"] = "s" + frame["school"].astype(str)
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def assert_same(
    ours: mlsem.FitResult, theirs: mlsem.FitResult, *kinds: str, exact: float = 1e-10
) -> None:
    """Estimates and errors, what is counted and what is said."""
    for kind in kinds:
        one, other = (
            each.with_se(kind).parameter_estimates()[["est", "se"]].to_numpy(float)
            for each in (ours, theirs)
        )
        assert np.nanmax(np.abs(one - other) / np.maximum(np.abs(other), 1e-3)) < exact
    assert ours.notes == theirs.notes
    assert (ours.n_obs, ours.n_clusters) == (theirs.n_obs, theirs.n_clusters)
    np.testing.assert_allclose(ours.loglik, theirs.loglik, rtol=1e-12)


def both(model: str, frame: pd.DataFrame, engine: Callable[[pd.DataFrame], Any], **how: Any) -> Any:
    return mlsem.fit(model, engine(frame), **how), mlsem.fit(model, frame, **how)


def test_groups(engine: Any) -> None:
    frame = rows()
    how: dict[str, Any] = {"cluster": "school", "group": "sex"}
    assert_same(*both(CROSS_LEVEL, frame, engine, **how, center={"x": "cluster"}), "MLR", "CR2")
    numbered = frame.assign(
        sex=frame["sex"].cat.codes + 1.0, school=pd.factorize(frame["school"])[0] + 2**60
    )
    chosen = both(TWO_LEVEL, numbered, engine, **how, group_label=[3, 1], se_cluster="town")
    assert [group.label for group in chosen[0].table.groups] == [3, 1]
    assert_same(*chosen, "CR2")


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_groups_with_missing_values(engine: Any, missing: str) -> None:
    """Nullable types, rows without a group, groups that have different columns."""
    frame = rows(holes=True)
    how: dict[str, Any] = {"cluster": "school", "group": "sex", "missing": missing}
    assert_same(*both(TWO_LEVEL, frame, engine, **how), "MLR")
    assert_same(*both(BLOCKS, frame, engine, **how, group_label=["a", "c"]), "MLR")


def test_auxiliary_variables(engine: Any) -> None:
    frame = rows(holes=True)
    near = frame.assign(x=frame["x"] - 1e8)
    how: dict[str, Any] = {"cluster": "school", "missing": "fiml", "auxiliary": ["z", "aw"]}
    assert_same(*both(TWO_LEVEL, near, engine, **how), "MLR")
    assert_same(*both(TWO_LEVEL, frame, engine, **how), "MLR", exact=1e-8)  # of var(x) beside z
    ours, theirs = both(TWO_LEVEL, near, engine, **how | {"auxiliary": ["aw"]}, group="sex")
    assert_same(ours, theirs, "MLR")
    assert ours.table.auxiliary == ("aw",)


@pytest.mark.parametrize("group", [None, "sex"])
def test_one_level(engine: Any, group: str | None) -> None:
    """Without clusters all rows are one sum; they come here for robust errors."""
    frame = rows()
    ours, theirs = both("y ~ x + z + x:z", frame, engine, group=group)
    assert_same(ours, theirs, "standard")
    holes = rows(holes=True)
    how: dict[str, Any] = {"missing": "fiml", "group": group}
    assert_same(*both("y ~ z", holes, engine, **how, auxiliary="w"), "standard")
    with pytest.raises(mlsem.InferenceError, match=r'Ask for them as you fit the rows, .*se="MLR"'):
        ours.with_se("MLR")


def test_robust_errors_of_one_level_without_clusters_read_rows() -> None:
    frame, make = rows(), ENGINES["polars"][0]
    for how in ({"estimator": "MLR"}, {"se": "CR2"}, {"se_cluster": "town", "se": "CR1"}):
        assert_same(*both("y ~ z", frame, make, **how), how.get("se", "MLR"))


def test_what_is_wrong_is_said_as_of_rows(engine: Any) -> None:
    frame = rows()
    far = frame.assign(y=frame["y"].where(frame["school"] != "s3", np.inf))
    torn = frame.assign(sex=np.where(np.arange(len(frame)) % 7, frame["sex"], "a"))
    flat = frame.assign(x=frame["x"].where(frame["sex"] != "b", 1.0))
    lost = frame.assign(school=frame["school"].where(frame["school"] != "s3"))
    empty = frame.assign(y=frame["y"].where(frame["sex"] != "b"))
    for data, how, said in (
        (far, {"group": "sex"}, r"^group 'a': column 'y' has \d+ infinite .* in cluster 's3'"),
        (torn, {"group": "sex"}, "have rows in more than one group"),
        (flat, {"group": "sex"}, "^group 'b': 'x' is constant"),
        (lost, {"group": "sex"}, r"cluster column 'school' has \d+ missing id"),
        (empty, {"group": "sex"}, "^group 'b': no row is left"),
        (frame, {"group": "sexx"}, "'sexx', which is not a column .* 'sex'"),
        (frame.assign(sex="a"), {"group": "sex"}, "there is one group: 'sex' is 'a'"),
        (frame, {"auxiliary": "y", "missing": "fiml"}, "'y', which is in the model already"),
        (frame.assign(z=1), {"auxiliary": "z", "missing": "fiml"}, "'z', which is constant"),
    ):
        with pytest.raises(mlsem.MlsemError, match=said):
            mlsem.fit(TWO_LEVEL, engine(data), cluster="school", **how)


def test_that_rows_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests rely on."""
    frame, make = rows(), ENGINES["polars"][0]
    only_sums(monkeypatch)
    with pytest.raises(AssertionError, match="rows of a query"):
        mlsem.fit("y ~ z", make(frame), estimator="MLR")
    found = source(make(frame))
    with pytest.raises(AssertionError, match="rows of a query"):
        query.collected(found.frame)  # type: ignore[union-attr]
