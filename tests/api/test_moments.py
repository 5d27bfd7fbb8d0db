"""`mlsem.moments`: fits to moments are those to the rows; parts merge; files come back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.kept.moments import Moments
from tests.data.test_monomials import MODELS, sample

MODEL = "level: 1\n y1 ~ x + w:x + z:x\nlevel: 2\n y1 ~ w"
CFA = MODELS["cfa"]


def assert_same_fit(a: Any, b: Any) -> None:
    pd.testing.assert_series_equal(a.params, b.params, rtol=1e-10, atol=1e-12)
    pd.testing.assert_series_equal(a.bse, b.bse, rtol=1e-10, atol=1e-12)
    assert a.loglik == pytest.approx(b.loglik, rel=1e-10)


def parts_merged(model: str, data: Any, **how: Any) -> Moments:
    """Ten random sets of rows, merged in random order and grouping."""
    rng = np.random.default_rng(7)
    own = rng.integers(0, 10, len(data))
    parts = [mlsem.moments(model, data[own == k], **how) for k in range(10)]
    while len(parts) > 1:
        a, b = rng.choice(len(parts), 2, replace=False)
        both = parts[a].merge(parts[b])
        parts = [part for k, part in enumerate(parts) if k not in (a, b)] + [both]
    return parts[0]


@pytest.mark.parametrize("se", ["MLR", "CR2"])
def test_fit_to_merged_parts_is_that_to_the_rows(se: Any) -> None:
    data = sample(150, mean=100.0)
    center: Any = {"x": "cluster", "z": "grand"}
    merged = parts_merged(MODEL, data, cluster="id", se_cluster="big")
    assert merged.n_rows == len(data)
    assert merged.n_clusters == 150
    rows = mlsem.fit(MODEL, data, cluster="id", se=se, center=center, se_cluster="big")
    fit = mlsem.fit(MODEL, merged, se=se, center=center)
    assert_same_fit(fit, rows)
    again = mlsem.fit("level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w", data, cluster="id").update(
        data=merged, se=se, se_cluster="big"
    )
    fewer = mlsem.fit(again.model, data, cluster="id", se=se, se_cluster="big")
    assert_same_fit(again, fewer)


def test_parts_with_holes_and_auxiliary_variables() -> None:
    data = sample(80, holes=True)
    model = "level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w"
    how: Any = {"missing": "fiml", "auxiliary": ["v", "y3"]}
    merged = parts_merged(model, data, cluster="id", **how)
    fit = mlsem.fit(model, merged, estimator="MLR")
    rows = mlsem.fit(model, data, cluster="id", estimator="MLR", **how)
    assert_same_fit(fit, rows)
    complete = mlsem.fit(model, merged, missing="listwise")
    assert_same_fit(complete, mlsem.fit(model, data, cluster="id", missing="listwise"))
    left = parts_merged(model, data, cluster="id")
    with pytest.warns(mlsem.DataWarning, match="left out for missing values") as told:
        mlsem.fit(model, left)
    with pytest.warns(mlsem.DataWarning) as by_rows:
        mlsem.fit(model, data, cluster="id")
    assert str(told[0].message) == str(by_rows[0].message)


def test_groups_and_files(tmp_path: Path) -> None:
    data = sample(150)
    moments = parts_merged(MODEL, data, cluster="id", group="g", group_label=["b", "a"])
    fit = mlsem.fit(MODEL, moments, se="CR2", group_equal="regressions")
    rows = mlsem.fit(
        MODEL,
        data,
        cluster="id",
        se="CR2",
        group="g",
        group_label=["b", "a"],
        group_equal="regressions",
    )
    assert_same_fit(fit, rows)
    path = tmp_path / "sites & <more>.parquet"
    moments.save(path)
    back = Moments.load(path)
    assert str(back) == str(moments)
    again = mlsem.fit(MODEL, back, se="CR2", group_equal="regressions")
    assert (again.params == fit.params).all()
    assert (again.bse == fit.bse).all()
    nameless = mlsem.fit(MODEL, moments.without_ids(), se="CR2", group_equal="regressions")
    assert (nameless.bse == fit.bse).all()
    with pytest.raises(mlsem.MlsemError, match="overwrite=True replaces it"):
        moments.save(path)


def test_ids_come_back_of_their_kind(tmp_path: Path) -> None:
    """Beyond 2⁵³, text that is no ASCII, and products far from the origin in each cluster."""
    data = sample()
    rng = np.random.default_rng(3)
    code, _ = pd.factorize(data["id"])
    far: Any = {name: data[name] + 1e5 * rng.normal(size=50)[code] for name in ("x", "z")}
    for ids in (2**60 + code, [f"Schüle <{k}>" for k in code]):
        moments = mlsem.moments(MODEL, data.assign(id=ids, **far), cluster="id")
        moments.save(tmp_path / "m.parquet", overwrite=True)
        back = Moments.load(tmp_path / "m.parquet")
        (a,), (b,) = moments.parts, back.parts
        assert a.origin.ndim == 2
        assert a.labels.dtype.kind == b.labels.dtype.kind
        for name in ("labels", "origin", "means", "within", "rows", "observed", "cluster_of"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert back.merge(moments).n_clusters == 50


def test_without_clusters_there_are_model_based_errors() -> None:
    data = sample()
    model = MODELS["single"]
    halves = [mlsem.moments(model, part) for part in (data[::2], data[1::2])]
    moments = halves[0].merge(halves[1])
    fit = mlsem.fit(model, moments)
    assert_same_fit(fit, mlsem.fit(model, data))
    assert "robust standard errors need" in str(moments)
    with pytest.raises(mlsem.OptionValueError, match="made without cluster="):
        mlsem.fit(model, moments, estimator="MLR")
    with pytest.raises(mlsem.InferenceError, match="need rows or clusters"):
        fit.with_se("CR2")
    with pytest.raises(mlsem.InferenceError, match="need rows or clusters"):
        fit.bootstrap("pairs", draws=20, seed=1)


def test_nameless_clusters_are_not_joined() -> None:
    data = sample()
    model = "level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w"
    halves = [
        mlsem.moments(model, part, cluster="id", se_cluster="big").without_ids()
        for part in (data[::2], data[1::2])
    ]
    both = halves[0].merge(halves[1])
    assert both.n_clusters == halves[0].n_clusters + halves[1].n_clusters
    assert both.parts[0].labels.tolist() == list(range(both.n_clusters))
    assert mlsem.fit(model, both, se="MLR").converged


def test_refusals() -> None:
    data = sample()
    model = "level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w"
    moments = mlsem.moments(model, data, cluster="id")
    cases: list[tuple[str, Any]] = [
        ("made with cluster='id'", lambda: mlsem.fit(model, moments, cluster="big")),
        ("made without group=", lambda: mlsem.fit(model, moments, group="g")),
        (
            "'y2' is not a column",
            lambda: mlsem.fit("level: 1\n y2 ~ x\nlevel: 2\n y2 ~ 1", moments),
        ),
        (
            "varies within clusters",
            lambda: mlsem.fit("level: 1\n y1 ~ w\nlevel: 2\n y1 ~ 1", moments),
        ),
        ("same in all rows", lambda: mlsem.fit("level: 1\n y1 ~ 1\nlevel: 2\n y1 ~ x", moments)),
        ("a choice of the fit", lambda: mlsem.moments(model, data, "id", se="CR2")),  # type: ignore[call-arg]
        ("with the model", lambda: moments.merge(mlsem.moments(CFA, data, cluster="id"))),
        ("with the clusters of", lambda: moments.merge(mlsem.moments(model, data, cluster="big"))),
        (
            "text in one",
            lambda: moments.merge(mlsem.moments(model, data.assign(id=data["big"]), "id")),
        ),
        ("merge takes moments", lambda: moments.merge(data)),
        ("for mlsem.fit", lambda: mlsem.lmm("y1 ~ x + (1 | id)", moments)),  # type: ignore[arg-type]
        ("do not say to which", lambda: mlsem.fit(model, moments, se="MLR", se_cluster="big")),
        ("auxiliary=", lambda: mlsem.fit(model, moments, missing="fiml", auxiliary="v")),
    ]
    for words, call in cases:
        with pytest.raises(mlsem.MlsemError, match=words):
            call()
    moved = data.assign(big=data["big"] + 100)
    with pytest.raises(mlsem.DataError, match="another cluster of se_cluster="):
        mlsem.moments(model, data, "id", se_cluster="big").merge(
            mlsem.moments(model, moved, "id", se_cluster="big")
        )
    holes = mlsem.moments(model, sample(holes=True), cluster="id")
    with pytest.raises(mlsem.DataError, match='missing="fiml" needs them'):
        mlsem.fit(model, holes, missing="fiml")


def test_files_that_are_damaged_or_foreign(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = sample()
    moments = mlsem.moments(MODEL, data, cluster="id")
    path = tmp_path / "m.parquet"
    moments.save(path)
    whole = path.read_bytes()
    table = pq.ParquetFile(path).read()
    said = json.loads(table.schema.metadata[b"mlsem.moments"])

    def refused(words: str) -> None:
        with pytest.raises(mlsem.DataError, match=words):
            Moments.load(path)

    def written(changed: Any, **changes: Any) -> None:
        meta = json.dumps(said | changes).encode()
        pq.write_table(changed.replace_schema_metadata({b"mlsem.moments": meta}), path)

    for cut in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        refused("no file of moments")
    pq.write_table(pa.table({"a": [1]}), path)
    refused("something else")
    written(table, version=2)
    refused("version 2")
    written(table.slice(1))
    refused("damaged")
    written(table.drop_columns(["within"]))
    refused("damaged")
    written(table, parts=[{**said["parts"][0], "keys": [["y1"]]}])
    refused("damaged")
    written(table, parts=[])
    refused("damaged")
    with pytest.raises(mlsem.DataError, match="there is no file"):
        Moments.load(tmp_path / "none.parquet")
    for one in (object(), (1, "a")):
        ids = np.empty(50, dtype=object)
        ids[:] = [one] * 50
        odd = replace(moments, content=replace(moments.parts[0], labels=ids))
        with pytest.raises(mlsem.OptionValueError, match="without_ids"):
            odd.save(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
