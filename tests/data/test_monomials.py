"""Moments of monomials against those of the rows: the same record, to rounding."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.groups import read_groups
from mlsem.data.moments.monomial_merge import merged
from mlsem.data.moments.monomial_record import grouped_record_of, record_of
from mlsem.data.moments.monomial_rows import grouped_monomials_of_rows, monomials_of_rows
from mlsem.data.moments.monomials import asked_of, needs_cluster_origins
from mlsem.model.defaults import specify
from mlsem.model.options import ModelOptions
from mlsem.syntax.parse import parse

MODELS = {
    "cfa": "level: 1\n f =~ y1+y2+y3+y4\nlevel: 2\n f =~ y1+y2+y3+y4\n f ~ w",
    "cross": "level: 1\n y1 ~ x + w:x\nlevel: 2\n y1 ~ w",
    "products": "level: 1\n y1 ~ x + z + x:z + x:z:w + x:x\nlevel: 2\n y1 ~ w + v + w:v",
    "level by the data": "level: 1\n y1 ~ x + x:v + z:x\nlevel: 2\n y1 ~ w",
    "slope": 'level: 1\n y1 ~ rv("s")*x + y2\nlevel: 2\n y1 ~ w\n s ~ v',
    "single": "y1 ~ x + z + x:z\n y2 ~ x + y1",
}
CENTERS = ({}, {"x": "cluster", "z": "cluster"}, {"x": "grand", "z": "cluster", "w": "grand"})


def sample(clusters: int = 50, mean: float = 0.0, *, holes: bool = False) -> Any:
    """Rows in no order; ids are text."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 9, clusters)
    code = np.repeat(np.arange(clusters), sizes)
    shared, rows = rng.normal(size=(clusters, 6)), len(code)
    data = pd.DataFrame({"id": [f"s{k}" for k in code], "big": code // 3})
    data["g"] = np.where(code % 2, "a", "b")
    for k in range(4):
        data[f"y{k + 1}"] = shared[code, 0] + 0.3 * shared[code, k] + rng.normal(size=rows)
    data["x"] = 2 * shared[code, 1] + rng.normal(size=rows) + mean
    data["z"] = rng.normal(size=rows) + 3
    data["w"], data["v"] = shared[code, 4] + 5, shared[code, 5]
    data = data.sample(frac=1, random_state=1).reset_index(drop=True)
    for name in ("y1", "y2", "x", "z", "w") if holes else ():
        data.loc[rng.random(rows) < 0.15, name] = np.nan
    return data


def table_of(model: str, groups: tuple[str, ...] = (), **options: Any) -> Any:
    return specify(parse(model), ModelOptions(**options), None, groups=groups)


def assert_alike(a: Any, b: Any, where: str = "") -> None:
    """Records that are the same, their numbers to rounding."""
    if is_dataclass(a):
        assert type(a) is type(b), where
        for each in fields(a):
            assert_alike(getattr(a, each.name), getattr(b, each.name), f"{where}.{each.name}")
    elif isinstance(a, np.ndarray) and a.dtype.kind == "f":
        assert a.shape == b.shape, where
        scale = max(1.0, np.abs(a).max(initial=0.0))
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-10 * scale, err_msg=where)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, err_msg=where)
    elif isinstance(a, float):
        assert b == pytest.approx(a, rel=1e-10, abs=1e-10, nan_ok=True), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_alike(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, tuple):
        assert len(a) == len(b), (where, a, b)
        for place, pair in enumerate(zip(a, b, strict=True)):
            assert_alike(*pair, f"{where}[{place}]")
    else:
        assert a == b, where


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("missing", "holes"), [("listwise", False), ("listwise", True), ("fiml", True)]
)
def test_record_is_that_of_the_rows(model: str, missing: str, holes: bool) -> None:
    data = sample(holes=holes, mean=1e4)
    for fixed in (True, False) if model != "slope" else (True,):
        table = table_of(MODELS[model], fixed_x=fixed, meanstructure=True)
        known = asked_of(table).names
        for center in CENTERS:
            how: Any = {"cluster": "id", "missing": missing, "se_cluster": "big"}
            asked: Any = {name: kind for name, kind in center.items() if name in known}
            rows = read_moments(table, data, center=asked, **how)
            moments = monomials_of_rows(table, data, **how)
            assert_alike(rows, record_of(table, moments, center=asked, **how))


@pytest.mark.parametrize("model", ["cfa", "products", "single"])
@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_record_of_groups_is_that_of_the_rows(model: str, missing: str) -> None:
    data = sample(80, holes=True)
    data.loc[3, "g"] = None
    table = table_of(MODELS[model], ("a", "b"), meanstructure=True)
    center: Any = {"x": "grand", "w": "grand"} if model == "products" else {}
    how: Any = {"cluster": "id", "missing": missing}
    rows = read_groups(table, data, group="g", center=center, **how)
    moments = grouped_monomials_of_rows(table, data, column="g", **how)
    assert_alike(rows, grouped_record_of(table, moments, center=center, **how))


def test_refusals_are_those_of_the_rows() -> None:
    data = sample()
    cases: list[tuple[Any, str, Any]] = [
        (data.assign(w=data["x"]), MODELS["cross"], {}),
        (data, "level: 1\n y1 ~ w:v\nlevel: 2\n y1 ~ w", {}),
        (data, MODELS["cross"], {"center": {"w": "cluster"}}),
        (data.assign(x=1.0), MODELS["cross"], {}),
        (data.assign(y1=data["w"]), MODELS["cross"], {}),
        (data.assign(z=data["x"] * 2), "level: 1\n y1 ~ x + z\nlevel: 2\n y1 ~ w", {}),
        (data.assign(v=data["w"] + 1), "level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w + v", {}),
        (data.assign(id="a"), MODELS["cross"], {}),
    ]
    for frame, model, how in cases:
        table = table_of(model)
        with pytest.raises(mlsem.DataError) as rows:
            read_moments(table, frame, cluster="id", **how)
        moments = monomials_of_rows(table, frame, cluster="id")
        with pytest.raises(mlsem.DataError) as found:
            record_of(table, moments, cluster="id", **how)
        assert str(found.value) == str(rows.value)


def test_codes_of_missing_values_are_told() -> None:
    data = sample()
    data.loc[:4, "z"] = -99.0
    table = table_of("level: 1\n y1 ~ x + z\nlevel: 2\n y1 ~ w")
    halves = [monomials_of_rows(table, part, cluster="id") for part in (data[::2], data[1::2])]
    for moments in (monomials_of_rows(table, data, cluster="id"), merged(*halves)):
        notes = record_of(table, moments, cluster="id").notes
        assert notes == read_moments(table, data, cluster="id").notes
        assert any("-99" in note for note in notes)


def exact(data: Any) -> Any:
    """Cross-products of x, z and their product, centred within clusters, in long doubles."""
    found = np.zeros((3, 3), dtype=np.longdouble)
    for _, own in data.groupby("id"):
        x, z = (own[name].to_numpy().astype(np.longdouble) for name in ("x", "z"))
        x, z = x - x.mean(), z - z.mean()
        columns = np.stack([x, z, x * z])
        away = columns - columns.mean(axis=1, keepdims=True)
        found += away @ away.T
    return found.astype(float)


@pytest.mark.parametrize("between", [0.03, 30.0, 1e4])
def test_products_keep_their_digits(between: float) -> None:
    """Intraclass correlations of .001 and .999, and cluster means 10⁴ deviations apart, where
    clusters get an origin each."""
    rng = np.random.default_rng(2)
    code = np.repeat(np.arange(40), 6)
    data = pd.DataFrame({"id": code, "y": rng.normal(size=240)})
    for name in ("x", "z"):
        data[name] = between * rng.normal(size=40)[code] + rng.normal(size=240)
    table = table_of("level: 1\n y ~ x + z + x:z\nlevel: 2\n y ~ 1")
    whole = monomials_of_rows(table, data, cluster="id")
    halves = [monomials_of_rows(table, part, cluster="id") for part in (data[::2], data[1::2])]
    for moments in (whole, merged(*halves)):
        assert (moments.origin.ndim == 2) == (between > 1.0)
        assert not needs_cluster_origins(moments)
        center = {"x": "cluster", "z": "cluster"}
        record: Any = record_of(table, moments, cluster="id", center=center).moments
        order = [record.columns.index(name) for name in ("x", "z", "x:z")]
        within = record.within.sum(axis=0)[np.ix_(order, order)]
        np.testing.assert_allclose(within, exact(data), rtol=1e-10, atol=1e-8)


def test_far_means_lose_no_digits() -> None:
    """Mean 10⁸, standard deviation 1, in three parts."""
    data = sample(mean=1e8)
    table = table_of(MODELS["cross"])
    rows: Any = read_moments(table, data, cluster="id").moments
    first, second, third = (
        monomials_of_rows(table, data.iloc[k::3], cluster="id") for k in range(3)
    )
    found: Any = record_of(table, merged(merged(first, second), third), cluster="id").moments
    own, want = np.argsort(found.labels), np.argsort(rows.labels)
    for name in ("means", "within"):
        a, b = getattr(found, name)[own], getattr(rows, name)[want]
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
