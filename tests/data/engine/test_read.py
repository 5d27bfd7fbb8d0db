"""Moments that engines make are those of the rows in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlsem.api.steps import table_of
from mlsem.core.records import CellMoments, ClusterMoments
from mlsem.data.frames.source import source
from mlsem.data.moments.aggregate import DataRecord, read_moments
from mlsem.errors import DataError
from mlsem.model.options import ModelOptions
from tests.support.queries import ENGINES, read_lazy

pytest.importorskip("narwhals")
pytestmark = [
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),  # of Ibis
    pytest.mark.filterwarnings("ignore:Dask support is moving"),  # of narwhals
]


CROSS_LEVEL = "level: 1\n y ~ x + w:x\n level: 2\n y ~ w"
PRODUCT = "level: 1\n y ~ x + z + x:z\n level: 2\n y ~ w"
FACTORS = "level: 1\n fw =~ y + x + z\n level: 2\n fb =~ y + x + z"
SPLIT = "level: 1\n y ~ x\n level: 2\n y ~ x + w"
ONE_LEVEL = "y ~ x + z + w"


@pytest.fixture(
    params=[
        pytest.param(each, marks=[pytest.mark.slow] * slow) for each, (_, slow) in ENGINES.items()
    ]
)
def engine(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    make, _ = ENGINES[request.param]
    return lambda frame: source(make(frame)).frame  # type: ignore[union-attr]


def rows(seed: int = 0, clusters: int = 30) -> pd.DataFrame:
    """Clusters of 1 to 12 rows, in no order."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(clusters), rng.integers(1, 13, clusters))
    w, u = rng.normal(size=(2, clusters))
    x, z, e = rng.normal(size=(3, len(of)))
    x = x + 0.5 * rng.normal(size=clusters)[of]
    y = 0.4 * x + 0.2 * z + 0.1 * x * z + 0.3 * (w * 1.0)[of] + u[of] + e
    frame = pd.DataFrame({"id": of + 100, "y": y, "x": x, "z": z + u[of], "w": w[of]})
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = frame.copy()
    for name in ("y", "x", "z"):
        frame.loc[rng.random(len(frame)) < 0.1, name] = np.nan
    return frame


def both(text: str, frame: pd.DataFrame, lazy: Any, **how: Any) -> tuple[DataRecord, DataRecord]:
    """The record of the rows, clusters by id, and that of the query."""
    options = ModelOptions(meanstructure=True, fixed_x=how.get("missing") != "fiml")
    table = table_of(text, options, tuple(frame.columns))
    ordered = frame.sort_values("id", kind="stable")
    return read_moments(table, ordered, cluster="id", **how), read_lazy(
        table, lazy, cluster="id", **how
    )


def assert_same(ours: DataRecord, theirs: DataRecord, exact: float = 1e-11) -> None:
    """Moments, maps and what is said of the rows."""
    one, other = ours.moments, theirs.moments
    assert type(one) is type(other)
    assert one.columns == other.columns
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.rows, other.rows)
    scale = _spread(one)
    away = (one.shift - other.shift) / np.maximum(scale, 1e-300)
    assert np.abs(away).max() < max(exact, 4e-16 * np.abs(one.shift / scale).max())
    unit = scale[: one.varying, None] * scale[: one.varying]
    (seen, means, within), (also, moved, across) = _cells(one), _cells(other)
    np.testing.assert_array_equal(seen, also)
    moved = moved + (other.shift - one.shift)[: moved.shape[1]] * seen[:, : moved.shape[1]]
    assert np.abs((means - moved) / scale[: means.shape[1]]).max() < 10 * exact
    assert np.abs((within - across) / unit).max() < 100 * exact
    assert (ours.n_rows_total, ours.n_rows_dropped) == (theirs.n_rows_total, theirs.n_rows_dropped)
    assert ours.notes == theirs.notes
    assert ours.missingness == theirs.missingness


def _cells(moments: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is observed, means and cross-products, by cluster and then pattern."""
    if isinstance(moments, ClusterMoments):
        return np.ones_like(moments.means, dtype=bool), moments.means, moments.within
    seen = moments.patterns[moments.pattern_of]
    order = np.lexsort((*seen.T, moments.cluster_of))
    whole = np.column_stack((seen, moments.cluster_of))
    return whole[order], moments.means[order], moments.within[order]


def _spread(moments: Any) -> np.ndarray:
    """Standard deviations over all rows, of level-2 columns over the clusters."""
    cells = isinstance(moments, CellMoments)
    rows = moments.cell_rows if cells else moments.rows
    outer = moments.level2 if cells else moments.means[:, moments.varying :]
    inner = moments.means[:, : moments.varying]
    total = np.einsum("kvv->v", moments.within) + rows @ (inner * inner)
    return np.concatenate((np.sqrt(total / rows.sum()), outer.std(axis=0)))


@pytest.mark.parametrize("text", [CROSS_LEVEL, PRODUCT, FACTORS, SPLIT, ONE_LEVEL])
def test_moments_are_those_of_the_rows(engine: Any, text: str) -> None:
    frame = rows()
    assert_same(*both(text, frame, engine(frame)))


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_missing_values(engine: Any, missing: str) -> None:
    frame = with_holes(rows())
    assert_same(*both(SPLIT, frame, engine(frame), missing=missing))


def test_a_mean_far_away_and_centring(engine: Any) -> None:
    frame = rows().assign(x=lambda d: d["x"] + 1e8)
    assert_same(*both(CROSS_LEVEL, frame, engine(frame)), 1e-9)  # x itself has 8 digits
    assert_same(
        *both(CROSS_LEVEL, frame, engine(frame), center={"x": "cluster", "w": "grand"}), 1e-9
    )


def test_clusters_far_apart(engine: Any) -> None:
    """Cross-products about the mean of all rows would keep few digits of those within clusters."""
    frame = rows()
    frame["x"] += 1e5 * frame["id"]
    frame["z"] -= 1e4 * frame["id"]
    assert_same(
        *both(PRODUCT, frame, engine(frame), center={"x": "cluster", "z": "cluster"}), 1e-10
    )


@pytest.mark.parametrize(
    "ids",
    [
        lambda d: (1 << 60) + d["id"],
        lambda d: "school " + d["id"].astype(str),
        lambda d: d["id"].astype("Int64"),
    ],
    ids=["beyond 2^53", "text", "nullable"],
)
def test_ids(engine: Any, ids: Callable[[pd.DataFrame], Any]) -> None:
    frame = rows()
    frame["id"] = ids(frame)
    ours, theirs = both(CROSS_LEVEL, frame, engine(frame))
    assert ours.moments.labels.tolist() == theirs.moments.labels.tolist()
    assert_same(ours, theirs)


def test_types(engine: Any) -> None:
    frame = rows().assign(
        x=lambda d: d["x"].astype(np.float32),
        z=lambda d: (4 * d["z"]).round().astype(np.int16),
        w=lambda d: d["w"] > 0,
    )
    assert_same(*both(PRODUCT, frame, engine(frame)))


def test_robust_clusters(engine: Any) -> None:
    frame = rows().assign(town=lambda d: "t" + (d["id"] // 4).astype(str))
    ours, theirs = both(CROSS_LEVEL, frame, engine(frame), se_cluster="town")
    assert ours.robust.labels[ours.robust.codes].tolist() == (
        theirs.robust.labels[theirs.robust.codes].tolist()
    )
    torn = frame.assign(town=np.arange(len(frame)) % 7)
    with pytest.raises(DataError, match="have rows in more than one cluster of se_cluster='town'"):
        both(CROSS_LEVEL, frame, engine(torn), se_cluster="town")


def test_codes_for_missing_values(engine: Any) -> None:
    frame = rows()
    frame.loc[::17, "z"] = -99.0
    ours, theirs = both(PRODUCT, frame, engine(frame))
    assert any("-99" in note for note in ours.notes)
    assert ours.notes == theirs.notes


def _said(frame: pd.DataFrame, lazy: Any, text: str = CROSS_LEVEL, **how: Any) -> str:
    table = table_of(text, ModelOptions(), None)
    with pytest.raises(DataError) as error:
        read_lazy(table, lazy, **{"cluster": "id", **how})
    return str(error.value)


def test_bad_data_are_named(engine: Any) -> None:
    frame = rows()
    infinite = frame.assign(y=np.where(frame["id"] == 103, np.inf, frame["y"]))
    count = int((frame["id"] == 103).sum())
    assert f"column 'y' has {count} infinite value(s) in cluster 103." in _said(
        frame, engine(infinite)
    )
    torn = frame.assign(w=np.where(frame["id"] == 104, frame["y"], frame["w"]))
    assert "varies within 1 cluster: 104" in _said(frame, engine(torn))
    text = frame.assign(x=frame["x"].round(3).astype(str))
    assert "column 'x' is not numeric" in _said(frame, engine(text))
    assert "did you mean 'id'" in _said(frame, engine(frame), cluster="idd").lower()
    lost = frame.assign(id=frame["id"].astype(float).where(frame["id"] != 101))
    gone = int((frame["id"] == 101).sum())
    assert f"cluster column 'id' has {gone} missing id(s)" in _said(frame, engine(lost))
    assert "no row is left" in _said(frame, engine(frame.assign(y=np.nan)))
    assert "missing values in 'y' (1)" in _said(
        frame, engine(frame.assign(y=frame["y"].where(frame.index != 3))), missing="error"
    )
