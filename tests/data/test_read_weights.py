"""Sampling weights and strata, from data to moments."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

import mlsem
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.table.sampling import Sampling, WeightColumns
from mlsem.errors import DataError, DataWarning, OptionError, OptionValueError
from mlsem.results.call import call_of

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning")  # few clusters
MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
BOTH = {"total": "total", "level2": "school"}


@pytest.fixture(scope="module")
def data():
    """Rows in no order, clusters of unequal size."""
    rng = np.random.default_rng(5)
    plain = mlsem.load_example("article").sample(frac=0.7, random_state=1)
    school = pd.Series(rng.integers(1, 4, size=plain.id.max() + 1).astype(float))
    plain = plain.assign(row=rng.integers(1, 4, size=len(plain)).astype(float))
    plain["school"] = plain.id.map(school)
    return plain.assign(total=plain.row * plain.school).reset_index(drop=True)


def replicated(data):
    """Each row as often as it counts, each cluster too, with ids of its own."""
    rows = data.loc[data.index.repeat(data.row.astype(int))]
    copies = [
        rows[rows.school > copy].assign(copy=lambda part, copy=copy: part.id * 10 + copy)
        for copy in range(3)
    ]
    return pd.concat(copies, ignore_index=True)


def fitted(data, model=MODEL, weights=BOTH, scaling="unscaled", cluster="id", **options):
    return mlsem.fit(
        model, data, cluster, weights=weights, weight_scaling=scaling, tol=1e-10, **options
    )


def assert_alike(found, wanted, tolerance=1e-9):
    gap = (found.params - wanted.params).abs() / wanted.bse
    np.testing.assert_array_less(gap, tolerance)
    np.testing.assert_allclose(found.bse, wanted.bse, rtol=tolerance)
    assert found.loglik == pytest.approx(wanted.loglik, rel=1e-11)


# --- what rows and clusters count -----------------------------------------------------------------


def weights_in(data, scaling, weights=BOTH):
    table = mlsem.check(MODEL, data, "id")
    sampling = Sampling(WeightColumns.of(weights), scaling)
    moments = read_moments(table, data, cluster="id", sampling=sampling).moments
    groups = [data[data.id == label] for label in moments.labels]
    return moments, [group.total / group.school for group in groups], groups


@pytest.mark.parametrize("scaling", ["cluster", "ecluster", "unscaled", "gk"])
def test_scalings(data, scaling):
    moments, within, groups = weights_in(data, scaling)
    for j, (c, group) in enumerate(zip(within[:12], groups[:12], strict=True)):
        n, w = len(c), group.school.iloc[0]
        a = {
            "cluster": c * n / c.sum(),
            "ecluster": c * c.sum() / (c**2).sum(),
            "unscaled": c,
            "gk": 1.0 + 0.0 * c,
        }[scaling]
        assert moments.rows[j] == n
        assert moments.sizes[j] == pytest.approx(a.sum(), rel=1e-14)
        assert moments.weights[j] == pytest.approx(w * c.mean() if scaling == "gk" else w)
        x = group[["y", "x1"]].to_numpy()
        mean = a.to_numpy() @ x / a.sum()
        away = x - mean
        where = [moments.columns.index(name) for name in ("y", "x1")]
        np.testing.assert_allclose(moments.means[j, where] + moments.shift[where], mean)
        inner = moments.within[j][np.ix_(where, where)]
        np.testing.assert_allclose(inner, away.T @ (a.to_numpy()[:, None] * away), atol=1e-12)


def test_cluster_scaling_keeps_the_shapes(data):
    moments, _, _ = weights_in(data, "cluster")
    np.testing.assert_array_equal(moments.sizes, moments.rows)
    assert moments.is_weighted


def test_clusters_in_pieces_have_the_same_moments(data):
    table, sampling = mlsem.check(MODEL, data, "id"), Sampling(WeightColumns.of(BOTH))
    whole, pieces = (
        read_moments(table, data, cluster="id", sampling=sampling, chunk_rows=rows).moments
        for rows in (None, 4)
    )
    for name in ("sizes", "weights", "means", "within"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), atol=1e-12)


@pytest.mark.parametrize("part", ["missing", "centred", "groups", "grand"])
def test_whole_weights_are_replicated_rows(data, part):
    """With missing values; products of centred variables; groups: as rows that are there as often
    as they count."""
    options, model, frame = {}, MODEL, data
    if part == "missing":
        gone = np.random.default_rng(2).random(len(data)) < 0.2
        frame, options = data.assign(y=data.y.where(~gone)), {"missing": "fiml"}
        model = "level: 1\n y ~ z\n z ~ x1\nlevel: 2\n y ~ w1"
        frame["z"] = frame.x1 + np.random.default_rng(4).normal(size=len(frame))
        frame.loc[np.random.default_rng(6).random(len(data)) < 0.1, "z"] = np.nan
    elif part == "groups":
        frame, options = data.assign(half=data.id % 2), {"group": "half"}
    else:
        how = "cluster" if part == "centred" else "grand"
        options = {"center": {"x1": how, "w1": "grand"}}
        model = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
    found = fitted(frame, model, **options)
    wanted = mlsem.fit(
        model, replicated(frame), "copy", se_cluster="id", se="MLR", tol=1e-10, **options
    )
    assert_alike(found, wanted, 1e-8)


def test_listwise_deletion_comes_before_scaling(data):
    gone = data.assign(y=data.y.where(np.arange(len(data)) % 7 > 0))
    assert_alike(
        fitted(gone, scaling="cluster", missing="listwise"),
        fitted(gone.dropna(), scaling="cluster"),
    )


@pytest.mark.parametrize("model", [MODEL, "y ~ x1 + w1"])
def test_rows_of_weight_zero_are_left_out_and_counted(data, model):
    zero = np.arange(len(data)) % 9 == 0
    weights, scaling = ("total", None) if "level" not in model else (BOTH, "cluster")
    cut = data.assign(total=data.total.where(~zero, 0.0))
    found = fitted(cut, model, weights, scaling)
    wanted = fitted(data[~zero], model, weights, scaling)
    assert_alike(found, wanted)
    assert found.n_obs == wanted.n_obs == int((~zero).sum())
    assert any(f"{zero.sum()} rows weigh nothing" in note for note in found.notes)
    assert re.search(rf"Observations of weight zero +{zero.sum()}\n", str(found.summary()))


def test_labels_of_rows_are_positions_among_all(data):
    cut = data.assign(total=data.total.where(data.index != 0, 0.0))
    fit = fitted(cut, "y ~ x1", "total", None, cluster=None)
    assert fit.scores().index[0] == 1


@pytest.mark.parametrize("kind", [pl.from_pandas, lambda data: pl.from_pandas(data).lazy()])
def test_frames_of_other_kinds(data, kind):
    assert_alike(fitted(kind(data)), fitted(data))


def test_the_mixed_model_is_the_two_level_model(data):
    fit, mixed = fitted(data), None
    mixed = mlsem.lmm(
        "y ~ x1 + w1 + (1 | id)",
        data,
        REML=False,
        weights=BOTH,
        weight_scaling="unscaled",
        tol=1e-10,
    )
    assert mixed.loglik == pytest.approx(fit.loglik, rel=1e-12)
    np.testing.assert_allclose(np.sort(mixed.bse), np.sort(fit.bse), rtol=1e-8)
    assert len(mixed.predict()) == len(data)


def test_an_update_keeps_the_weights(data):
    fit = fitted(data)
    assert_alike(fit.update(data=data), fit)
    assert_alike(fit.update("+ level: 2; y ~~ y", data=data), fit.update("+ level: 2; y ~~ y"))
    assert_alike(fit.update(data=pl.from_pandas(data)), fit)
    assert call_of(fit).arguments["weights"] == BOTH
    one = fitted(data, "y ~ x1", "total", None)
    assert_alike(one.update(data=data), one)
    assert one.update(data=data).n_clusters == one.n_clusters
    with pytest.raises(OptionValueError, match=r"weights= says how data are read"):
        fit.update(weights={"level2": "school"})


# --- bad input ------------------------------------------------------------------------------------


def changed(data, column, row, value):
    frame = data.copy()
    frame[column] = frame[column].astype(object if isinstance(value, str) else float)
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("total", -1.0, r"weights 'total' are negative in row 3.*codes of missing values"),
        ("total", np.nan, r"weights 'total' are missing in row 3.*Give these rows"),
        ("total", np.inf, r"'total'.*infinite"),
        ("total", "many", r"column 'total' is not numeric.*'many'.*3"),
        ("school", 9.0, r"weights of level 2, 'school', differ within 1 cluster: .*\"total\""),
    ],
)
def test_bad_weights(data, column, value, message):
    with pytest.raises(DataError, match=message):
        fitted(changed(data, column, 3, value))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"totl": "total"}, r"key 'totl'.*Did you mean 'total'\?"),
        ({"total": 3}, r"weights\['total'\] is 3: it takes a column's name"),
        ({}, r"takes the names of columns"),
        (["total"], r"takes the names of columns"),
        ({"total": "total", "level1": "row"}, r"rows' weights twice"),
        ("total", r"with two levels.*weights=\{\"total\": 'total', \"level2\": \"…\"\}"),
    ],
)
def test_bad_keywords(data, weights, message):
    with pytest.raises(OptionValueError, match=message):
        fitted(data, weights=weights)


@pytest.mark.parametrize("unit", [1e-11, 1e-4, 1e9])
@pytest.mark.parametrize("part", ["two levels", "random slope", "missing", "groups"])
def test_estimates_do_not_depend_on_the_unit_of_weights(data, unit, part):
    """However small it is: searches stop by steps in standard errors of rows that count one."""
    model, options = MODEL, {}
    if part == "random slope":
        model = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1'
    if part == "missing":
        gone = np.random.default_rng(2).random(len(data)) < 0.2
        data, options = data.assign(y=data.y.where(~gone)), {"missing": "fiml"}
        model = "level: 1\n y ~ z\n z ~ x1\nlevel: 2\n y ~ w1"
        data["z"] = data.x1 + np.random.default_rng(4).normal(size=len(data))
    if part == "groups":
        data, options = data.assign(half=data.id % 2), {"group": "half"}
    scaled = data.assign(total=unit * data.total, school=unit * data.school)
    one, other = (mlsem.fit(model, each, "id", weights=BOTH, **options) for each in (data, scaled))
    np.testing.assert_array_less((other.params - one.params).abs() / one.bse, 1e-5)
    np.testing.assert_allclose(other.bse, one.bse, rtol=1e-5)
    assert other.loglik == pytest.approx(unit * one.loglik, rel=1e-9)


@pytest.mark.parametrize(("unit", "kind"), [(1e-200, "small"), (1e-20, "small"), (1e150, "large")])
def test_weights_of_no_practical_unit(data, unit, kind):
    scaled = data.assign(total=unit * data.total, school=unit * data.school)
    for model, weights in ((MODEL, BOTH), ("y ~ x1", "total")):
        with pytest.raises(DataError, match=rf"weights 'total'.* so {kind} .*by a constant"):
            mlsem.fit(model, scaled, "id", weights=weights)


def test_weights_of_what_there_is_not(data):
    with pytest.raises(DataError, match=r"weights= names.*'rw'"):
        fitted(data, weights={"level1": "rw"})
    with pytest.raises(DataError, match=r"all weights are zero"):
        fitted(data.assign(total=0.0))
    with pytest.raises(OptionValueError, match=r"model of one level has one weight of each row"):
        fitted(data, "y ~ x1", BOTH, None)
    with pytest.raises(OptionValueError, match=r"weight_scaling=\"gk\".*model of one level"):
        fitted(data, "y ~ x1", "total", "gk")
    with pytest.raises(OptionValueError, match=r"weight_scaling=\"gk\".*there are none"):
        mlsem.fit(MODEL, data, "id", weight_scaling="gk")
    with pytest.raises(OptionValueError, match=r"weight_scaling='size' is not available"):
        fitted(data, scaling="size")
    with pytest.raises(OptionError, match=r"Did you mean 'weights'"):
        mlsem.fit(MODEL, data, "id", weigths=BOTH)


def test_conditional_weights_that_are_passed_as_totals(data):
    conditional = data.assign(total=data.total / data.school, school=3.5 * data.school)
    with pytest.raises(DataError, match=r"Are these conditional weights.*\"level1\": 'total'"):
        fitted(conditional)
    assert_alike(
        fitted(conditional, weights={"level1": "total", "level2": "school"}),
        fitted(data.assign(school=3.5 * data.school, total=3.5 * data.total)),
    )


@pytest.mark.parametrize("scaling", ["unscaled", "gk"])
def test_totals_that_are_passed_as_conditional_weights(data, scaling):
    """They are nowhere below their cluster's; the scalings that a constant does not change say
    nothing, nor does the right key."""
    totals = {"level1": "total", "level2": "school"}
    data = data.assign(total=3.0 * data.total, school=3.0 * data.school)
    with pytest.warns(DataWarning, match=r"Are these total weights.*\"total\": 'total'"):
        fitted(data, weights=totals, scaling=scaling)
    assert_alike(fitted(data, weights=totals, scaling="cluster"), fitted(data, scaling="cluster"))
    fitted(data, scaling=scaling)
    fitted(data.assign(total=data.total / data.school), weights=totals, scaling=scaling)


def test_weights_within_clusters_alone_that_may_be_totals(data):
    many = data.assign(total=60.0 * data.total / data.total.mean())
    with pytest.warns(DataWarning, match=r"stands for 60 rows of its cluster.*\"level2\": '…'"):
        fitted(many, weights={"level1": "total"}, scaling="unscaled")
    fitted(many, weights={"level1": "total"}, scaling="gk")
    fitted(many.assign(total=0.8 * many.total), weights={"level1": "total"}, scaling="unscaled")


def test_moments_refuse_weights(data):
    moments = mlsem.moments(MODEL, data, "id")
    with pytest.raises(OptionValueError, match=r"moments do not know their rows"):
        fitted(moments, cluster=None)
    with pytest.raises(
        OptionValueError, match=r"weights= says how rows count.*the data themselves"
    ):
        mlsem.moments(MODEL, data, "id", weights=BOTH)


# --- strata ---------------------------------------------------------------------------------------


def test_strata_of_two_levels(data):
    """Σ_h J_h/(J_h - 1) Σ (s_j - s̄_h)(s_j - s̄_h)ᵀ of the scores."""
    frame = data.assign(zone=data.id % 5)
    fit = fitted(frame, strata="zone")
    scores = fit.scores()
    zone = scores.index.to_numpy() % 5
    meat = 0.0
    for each in np.unique(zone):
        own = scores[zone == each].to_numpy()
        away = own - own.mean(axis=0)
        meat = meat + len(own) / (len(own) - 1.0) * away.T @ away
    bread = np.linalg.inv(fit.information("observed").to_numpy())
    wanted = np.sqrt(np.diag(bread @ meat @ bread))
    np.testing.assert_allclose(fit.bse, wanted, rtol=1e-8)
    assert "Number of strata [zone]" in str(fit.summary())
    without = fitted(data)
    assert not np.allclose(fit.bse, without.bse, rtol=1e-3)


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        (lambda data: data.index % 2, r"rows in more than one stratum of 'zone'"),
        (lambda data: data.id, r"strata have one cluster"),
        (
            lambda data: (data.id % 5).where(data.index > 0),
            r"has missing or blank ids in row 0",
        ),
    ],
)
def test_bad_strata(data, zone, message):
    with pytest.raises(DataError, match=message):
        fitted(data.assign(zone=zone(data)), strata="zone")


def test_strata_go_with_mlr(data):
    with pytest.raises(OptionValueError, match=r"strata= goes with se=\"MLR\""):
        fitted(data.assign(zone=data.id % 5), strata="zone", se="CR2")


def test_strata_of_groups(data):
    """Two groups that have nothing in common are as apart, where strata are within them."""
    frame = data.assign(half=data.id % 2, zone=data.id % 6)
    both = fitted(frame, group="half", strata="zone")
    for half in (0, 1):
        alone = fitted(frame[frame.half == half], strata="zone")
        own = both.bse.to_numpy().reshape(2, -1)[half]
        np.testing.assert_allclose(own, alone.bse, rtol=1e-7)
