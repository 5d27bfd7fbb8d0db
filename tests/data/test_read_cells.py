"""Cells of rows with missing values against loops over the rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.core.records import CellMoments, ClusterMoments
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.available import available, never_together, rows_with
from mlsem.data.table.cells import pattern_codes
from mlsem.errors import DataError

FACTORS = "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w1"
OUTCOME2 = "level: 1\n y1 ~ x1\n y1 ~~ y2\nlevel: 2\n z ~ y1 + y2 + w1"
PRODUCTS = "level: 1\n y1 + y2 ~ x1 + x2 + x1:w2 + x1:x2\nlevel: 2\n y1 ~ w1 + w1:w2"
NO_COVARIATE = "level: 1\n y1 ~~ y2\n y1 ~~ y3\nlevel: 2\n z ~ y1"


def make_data(seed=0, clusters=15, rows=150, missing=0.2, by_cluster=0.2):
    """Rows in random order; values missing by row and, of w1, w2 and z, by cluster too."""
    rng = np.random.default_rng(seed)
    ids = np.concatenate([np.arange(clusters), rng.integers(0, clusters - 2, rows - clusters)])
    columns = {name: rng.normal(size=rows) for name in ("y1", "y2", "y3", "x1", "x2")}
    for name in ("w1", "w2", "z"):
        values = rng.normal(size=clusters)
        values[rng.random(clusters) < by_cluster] = np.nan
        columns[name] = values[ids]
    data = pd.DataFrame({"id": [f"c{i}" for i in ids]} | columns)
    gone = rng.random((rows, 5)) < missing
    gone[rng.random(rows) < missing / 3, :3] = True
    data.iloc[:, 1:6] = data.iloc[:, 1:6].mask(gone)
    for name in ("w1", "w2", "z"):
        data.loc[rng.random(rows) < missing, name] = np.nan
    return data


def by_loops(table, data, center=None):
    """Rows used, and their variables by cell, the slow way."""
    data, first = data.copy(), {*table.levels[0].modelled, *table.levels[0].covariates}
    products = {term.name: term.factors for term in table.products}
    second = table.levels[1] if table.two_level else None
    factors = {name: products.get(name, (name,)) for name in table.observed}
    for name in {f for each in factors.values() for f in each} - first:
        if name in ("w1", "w2", "z") and second:
            data[name] = data.groupby("id")[name].transform("first")
    fixed1 = [f for name in table.levels[0].covariates for f in factors[name]]
    fixed2 = [f for name in second.covariates for f in factors[name]] if second else []
    keep = data[fixed1 + fixed2].notna().all(axis=1)
    lacks = pd.DataFrame(
        {name: data[list(own)].isna().any(axis=1) for name, own in factors.items()}
    )
    empty = lacks[list(table.levels[0].modelled)].all(axis=1)
    own = [name for name in second.modelled if name not in first] if second else []
    if not table.levels[0].covariates or (len(table.levels[0].modelled) == 1 and not own):
        for place in np.flatnonzero(keep & empty):
            same = keep & (data["id"] == data["id"].iloc[place]) & ~empty
            if same.any() or not own or lacks[own].iloc[place].all():
                keep.iloc[place] = False
    used = data[keep].copy()
    for name, how in (center or {}).items():
        if how == "cluster":
            used[name] -= used.groupby("id")[name].transform("mean")
        elif name in first or not second:
            used[name] -= used[name].mean()
        else:
            used[name] -= used.groupby("id")[name].first().mean()
    for name, own in products.items():
        used[name] = used[list(own)].prod(axis=1, skipna=False)
    return used


def assert_cells(record, used, table):
    moments = record.moments
    assert isinstance(moments, CellMoments)
    assert record.n_rows == len(used) == moments.cell_rows.sum()
    inner, outer = moments.columns[: moments.varying], moments.columns[moments.varying :]
    assert {*table.observed} <= {*moments.columns}
    labels = moments.labels.tolist()
    cells = defaultdict(list)
    for label, values in zip(used["id"], used[list(inner)].to_numpy(), strict=True):
        cells[label, tuple((~np.isnan(values)).tolist())].append(values)
    assert moments.n_cells == len(cells)
    order = np.lexsort((moments.pattern_of, moments.cluster_of))
    np.testing.assert_array_equal(order, np.arange(moments.n_cells))
    for cell in range(moments.n_cells):
        pattern = moments.patterns[moments.pattern_of[cell]]
        rows = np.array(cells[labels[moments.cluster_of[cell]], tuple(pattern.tolist())])
        assert len(rows) == moments.cell_rows[cell] == moments.cell_sizes[cell]
        mean = np.where(pattern, moments.means[cell] + moments.shift[: moments.varying], np.nan)
        np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-12)
        assert not moments.means[cell][~pattern].any()
        away = np.where(pattern, rows - rows.mean(axis=0), 0.0)
        np.testing.assert_allclose(moments.within[cell], away.T @ away, atol=1e-11)
        assert not moments.within[cell][~pattern].any()
        assert not moments.within[cell][:, ~pattern].any()
    level2 = used.groupby("id")[list(outer)].first().loc[labels].to_numpy()
    known = moments.level2_patterns[moments.level2_pattern_of]
    np.testing.assert_array_equal(known, ~np.isnan(level2))
    assert not moments.level2[~known].any()
    found = np.where(known, moments.level2 + moments.shift[moments.varying :], np.nan)
    np.testing.assert_allclose(found, level2, atol=1e-12)
    means = np.concatenate((used[list(inner)].mean(), np.nanmean(level2, axis=0)))
    np.testing.assert_allclose(moments.shift, means, atol=1e-14)
    sizes = used.groupby("id", sort=False).size()
    assert moments.rows.tolist() == sizes.loc[labels].tolist()


@pytest.mark.parametrize("chunk_rows", [None, 7, 40])
@pytest.mark.parametrize("fixed_x", [True, False])
@pytest.mark.parametrize("model", [FACTORS, OUTCOME2, PRODUCTS, NO_COVARIATE])
def test_equal_loops(model, fixed_x, chunk_rows):
    table = mlsem.check(model, fixed_x=fixed_x)
    for seed in range(3):
        data = make_data(seed)
        record = read_moments(table, data, cluster="id", missing="fiml", chunk_rows=chunk_rows)
        assert_cells(record, by_loops(table, data), table)


@pytest.mark.parametrize("center", [{"x1": "cluster", "w2": "grand"}, {"x1": "grand"}])
def test_centring_uses_what_is_observed(center):
    table = mlsem.check(PRODUCTS, fixed_x=False)
    data = make_data(4)
    record = read_moments(table, data, cluster="id", missing="fiml", center=center)
    assert_cells(record, by_loops(table, data, center), table)


def test_one_level_has_a_cell_for_each_row():
    table = mlsem.check("f =~ y1 + y2 + y3")
    data = make_data(5)
    moments = read_moments(table, data, missing="fiml").moments
    rows = data[["y1", "y2", "y3"]].dropna(how="all")
    assert moments.labels.tolist() == rows.index.tolist()
    assert moments.within.strides == (0, 0, 0)
    seen = moments.patterns[moments.pattern_of]
    np.testing.assert_allclose(
        np.where(seen, moments.means + moments.shift, np.nan), rows.to_numpy(), atol=1e-13
    )
    data["id2"] = data["id"]
    record = read_moments(table, data, cluster="id2", missing="fiml")
    assert_cells(record, by_loops(table, data), table)


def test_far_factors_of_products_that_are_missing():
    """Lower-order columns are stored beside the product; the maps give the product."""
    table = mlsem.check("level: 1\n y1 ~ x1 + x1:x2\nlevel: 2\n y1 ~ w1", fixed_x=False)
    data = make_data(6)
    data[["x1", "x2"]] += 1e4
    record = read_moments(table, data, cluster="id", missing="fiml")
    moments, used = record.moments, by_loops(table, data)
    assert moments.columns[3:5] == ("x2", "w1")
    seen = moments.patterns[moments.pattern_of]
    product, x1, x2 = seen[:, 2], seen[:, 1], seen[:, 3]
    np.testing.assert_array_equal(product, x1 & x2)
    found = record.maps["x1:x2"]
    values = found.constant + moments.means @ found.coefs[: moments.varying]
    total = moments.cell_sizes[product] @ values[product]
    np.testing.assert_allclose(total, used["x1:x2"].sum(), rtol=1e-13)


@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_nothing_missing_is_as_with_listwise_deletion(chunk_rows):
    data = make_data(7, missing=0.0, by_cluster=0.0).fillna(0.5)
    lacking = data.copy()
    lacking.loc[data.index % 9 == 2, "x1"] = np.nan
    for frame in (data, lacking):
        table = mlsem.check(FACTORS)
        full, listwise = (
            read_moments(table, frame, cluster="id", missing=missing, chunk_rows=chunk_rows)
            for missing in ("fiml", "listwise")
        )
        assert isinstance(full.moments, ClusterMoments)
        assert full.n_rows_dropped == listwise.n_rows_dropped == frame["x1"].isna().sum()
        assert listwise.missingness is None
        assert full.missingness.covariate_rows == full.n_rows_dropped
        for name in ("rows", "sizes", "shift", "means", "within", "labels"):
            np.testing.assert_array_equal(
                getattr(full.moments, name), getattr(listwise.moments, name)
            )


def test_what_is_left_out_is_counted_and_said():
    rows = {
        "id": list("aaabbbcccddd"),
        "y1": [1.0, 2, np.nan, 3, 5, 4, np.nan, np.nan, np.nan, 2, np.nan, 7],
        "y2": [0.5, 1, np.nan, 3, np.nan, 4, np.nan, np.nan, np.nan, 1, 0, 3],
        "z": [1.0, np.nan, np.nan, 2, 2, 2, 4, np.nan, np.nan, 7, 7, 7],
        "w1": [1.0, 1, 1, 3, np.nan, np.nan, 5, 5, 5, np.nan, np.nan, np.nan],
    }
    data = pd.DataFrame(rows)
    table = mlsem.check("level: 1\n y1 ~~ 0*y2\nlevel: 2\n y1 ~~ 0*y1\n y1 ~ 0*1\n z ~ w1")
    record = read_moments(table, data, cluster="id", missing="fiml")
    moments, found = record.moments, record.missingness
    assert moments.labels.tolist() == ["a", "b", "c"]
    assert moments.rows.tolist() == [2, 3, 3]
    assert (record.n_rows_total, record.n_rows_dropped) == (12, 4)
    assert (found.covariate_clusters, found.covariate_cluster_rows) == (1, 3)
    assert (found.covariate_rows, found.empty_rows, found.clusters_dropped) == (0, 1, 1)
    assert (found.rows_partly, found.clusters_partly, found.patterns) == (4, 0, 3)
    clusters, empty = record.notes[:2]
    assert clusters.startswith("1 cluster (3 rows) left out, in which a fixed covariate of level 2")
    assert "'w1'" in clusters
    assert 'missing="fiml.x"' in clusters
    assert empty.startswith("1 of 12 rows left out, in which all variables of level 1 are missing")


def test_a_carrier_of_a_random_slope_must_be_observed():
    data = make_data(8)
    table = mlsem.check('level: 1\n y1 ~ rv("s")*x1\n y2 ~ x1\nlevel: 2\n y1 ~~ s + y2')
    record = read_moments(table, data, cluster="id", missing="fiml")
    assert record.n_rows == data["x1"].notna().sum()
    assert "'x1' carries a random slope and must be observed" in record.notes[0]


def fails(data, said, model=FACTORS, error=DataError, **options):
    table = mlsem.check(model, **options)
    with pytest.raises(error) as caught:
        read_moments(table, data, cluster="id", missing="fiml")
    assert said in str(caught.value)


def test_what_cannot_be_fitted():
    data = make_data(9)
    fails(data.assign(y2=np.nan), "'y2' is missing in each of the 150 rows")
    fails(data.assign(y2=data["y2"].where(data["id"] == "c3")), "observed in one cluster alone")
    fails(data.assign(y2=np.where(data["y2"].isna(), np.nan, 3.0)), "'y2' is constant")
    data["z"] = np.arange(len(data)) * np.where(np.arange(len(data)) % 5, 1.0, np.nan)
    fails(data, "'z' is named at level 2 only, but varies within", OUTCOME2)
    data = make_data(9)
    fails(data.assign(y3=data["y1"] - 2 * data["y2"]), "is a linear combination of 'y1', 'y2'")
    fails(
        data.assign(x2=3 * data["x1"]),
        "are collinear",
        "level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1",
    )
    once = data["y2"].where(data.groupby("id")["y2"].cumcount() == 0)
    fails(data.assign(y2=once), "'y2' is observed in one row of each cluster at most")
    own = data.assign(w1=data.groupby("id")["y1"].transform("mean"))
    fails(own, "'w1' is the cluster mean of 'y1'", "level: 1\n y1 ~~ y2\nlevel: 2\n y1 ~ w1")
    gone = data.assign(x1=np.nan, y2=1.0)
    fails(gone, "'x1' is missing in each of the 150 rows")
    data.loc[data["id"] > "c2", "x1"] = np.nan
    data.loc[data["id"] <= "c2", "w1"] = np.nan
    fails(data, "no row is left")


def test_few_complete_rows_are_no_dependence():
    """Two answers of yes or no agree by chance in the few rows that have all of five."""
    rng = np.random.default_rng(0)
    names = [f"y{k}" for k in range(1, 6)]
    data = pd.DataFrame(rng.integers(0, 2, (400, 5)).astype(float), columns=names)
    data["id"] = np.repeat(np.arange(20), 20)
    data.loc[20:, "y5"] = np.nan
    data.loc[:19, "y2"] = data.loc[:19, "y1"]
    table = mlsem.check("f =~ y1 + y2 + y3 + y4 + y5")
    assert read_moments(table, data, cluster="id", missing="fiml").moments.n_cells == 20


def test_moments_of_what_is_available():
    data = make_data(10)
    table = mlsem.check(OUTCOME2, fixed_x=False)
    moments = read_moments(table, data, cluster="id", missing="fiml").moments
    used = by_loops(table, data)
    counts, means, squares = available(moments)
    groups = used.groupby("id", sort=False)
    inner = list(moments.columns[: moments.varying])
    np.testing.assert_array_equal(counts, groups[inner].count())
    found = np.where(counts > 0, means + moments.shift[: moments.varying], np.nan)
    np.testing.assert_allclose(found, groups[inner].mean(), atol=1e-12)
    expected = groups[inner].var(ddof=0).fillna(0.0) * groups[inner].count()
    np.testing.assert_allclose(squares, expected, atol=1e-11)
    part = rows_with(moments, ("y2", "z", "y1"))
    complete = used.dropna(subset=["y1", "y2", "z"]).groupby("id")
    sizes, inside = complete.size(), complete[["y2", "y1", "z"]].mean()
    assert part.columns == ("y2", "y1", "z")
    assert part.rows.tolist() == sizes.loc[part.labels].tolist()
    np.testing.assert_allclose(part.means + part.shift, inside.loc[part.labels], atol=1e-12)
    assert part.n_clusters == len(sizes)


def test_codes_beside_values_that_are_missing():
    data = make_data(12)
    data.loc[data["y1"].notna() & (data.index % 9 == 0), "y1"] = -99.0
    (note,) = [
        note
        for note in read_moments(mlsem.check(FACTORS), data, cluster="id", missing="fiml").notes
        if "-99" in note
    ]
    assert note.startswith("'y1' is -99 in ")


def test_pairs_that_are_never_observed_together():
    data = make_data(11, missing=0.0, by_cluster=0.0)
    half = data.index % 2 == 0
    data.loc[half, "y1"] = np.nan
    data.loc[~half, "y3"] = np.nan
    record = read_moments(mlsem.check(FACTORS), data, cluster="id", missing="fiml")
    assert never_together(record.moments, ("y1", "y2", "y3")) == [("y1", "y3")]
    assert any("'y1' and 'y3' are never observed together" in note for note in record.notes)


def test_patterns_of_many_columns():
    masks = np.random.default_rng(1).random((150, 60)) < 0.02
    patterns, codes = pattern_codes(masks, 60)
    np.testing.assert_array_equal(patterns[codes], masks.T)
    assert len(patterns) == len(np.unique(masks.T, axis=0)) == len(np.unique(codes))
    assert patterns.tolist() == sorted(patterns.tolist())
