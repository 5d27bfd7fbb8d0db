"""Cluster diagnostics: against whole likelihoods of the data without a cluster, and refits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cr_checks import observed
from kinds import KINDS, Kind, make_data, pose
from scipy import stats

import mlsem
from mlsem.inference.diagnosis.influence import ratio_range

DATA = Path(__file__).parents[1] / "reference" / "data"
MODEL = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
ONE_LEVEL = Kind("y1 ~ x1 + w1\n y2 ~ y1", options={"meanstructure": True})
NAMED = {
    "mixed": KINDS["products"],
    "latent": KINDS["latent at both levels"],
    "level-2 outcomes": KINDS["level-2 outcomes only"],
    "one level": ONE_LEVEL,
}

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=50)
    frame = make_data(21, tuple(sizes))
    return frame.assign(district=frame["id"] % 9)


@pytest.fixture(scope="module", params=[(name, which) for name in NAMED for which in (None, 9)])
def case(request, data):
    """A kind of model, the column of its robust clusters, and the fit."""
    name, which = request.param
    kind, column = NAMED[name], "district" if which else "id"
    found = getattr(mlsem, kind.fun)(
        kind.text, data, cluster="id", se_cluster=which and "district", **kind.options
    )
    assert found.converged
    return kind, column, found


def read(name):
    return pd.read_csv(DATA / f"{name}.csv")


def fitted(name, **options):
    return mlsem.fit(MODEL, read(name), cluster="id", **options)


@pytest.fixture(scope="module")
def few():
    return fitted("few_treated")


# --- numbers --------------------------------------------------------------------------------------


def test_shares_sum_to_one_and_leverages_to_the_parameters(case):
    *_, found = case
    clusters = found.cluster_diagnostics().clusters
    sums = clusters.sum()
    assert sums["rows"] == found.n_obs
    assert sums["leverage"] == pytest.approx(len(found.params), rel=1e-9)
    np.testing.assert_allclose(sums[found.params.index], 1.0, rtol=1e-9)
    assert (clusters[found.params.index] > -1e-12).all(axis=None)


def test_one_step_is_that_of_the_whole_likelihood_without_the_cluster(case, data):
    """From the estimates, of the data without the rows of a cluster: H⁻¹ A A_(j)⁻¹ g_(j), by the
    shares that clusters have in the expected information."""
    kind, column, found = case
    bread = np.linalg.inv(observed(found)) @ found.information("expected").to_numpy()
    diagnostics = found.cluster_diagnostics(found.params.index)
    for label in diagnostics.labels[:4]:
        rest = pose(kind, data[data[column] != label])
        step = bread @ np.linalg.solve(rest.expected(found.params), rest.gradient(found.params))
        changes = diagnostics.influence.loc[label] * diagnostics.model_se
        np.testing.assert_allclose(
            changes / diagnostics.model_se, step / diagnostics.model_se, atol=1e-6
        )


def test_squared_changes_sum_to_the_variance_of_CR3(case):
    *_, found = case
    diagnostics = found.cluster_diagnostics(found.params.index)
    total = (diagnostics.measures.change**2).sum(axis=0)
    np.testing.assert_allclose(np.sqrt(total), found.with_se("CR3").bse, rtol=1e-9)


def test_effective_clusters_df_and_standard_errors_are_those_of_CR2(case):
    *_, found = case
    table = found.cluster_diagnostics(found.params.index).coefficients
    robust = found.with_se("CR2").covariance
    assert robust.robust is not None
    np.testing.assert_allclose(table["effective"], robust.robust.effective, rtol=1e-9)
    np.testing.assert_allclose(table["df"], robust.df, rtol=1e-9)
    np.testing.assert_allclose(table["se_cr2"], robust.se, rtol=1e-9)
    shares = found.cluster_diagnostics().clusters[found.params.index]
    np.testing.assert_allclose(table["effective"], 1 / (shares**2).sum(), rtol=1e-9)
    np.testing.assert_allclose(table["largest"], shares.max(), rtol=1e-9)
    assert (table["cluster"] == shares.idxmax()).all()
    model = np.sqrt(np.diag(np.linalg.inv(observed(found))))
    np.testing.assert_allclose(table["se_model"], model, rtol=1e-7)
    np.testing.assert_allclose(table["ratio"], robust.se / model, rtol=1e-7)


def test_exact_refits_are_fits_of_the_other_rows(case, data):
    kind, column, found = case
    every = data[column].unique().tolist()
    diagnostics = found.cluster_diagnostics(found.params.index, exact=every[:2])
    assert diagnostics.exact.index.tolist() == every[:2]
    for label in every[:2]:
        rest = getattr(mlsem, kind.fun)(
            kind.text, data[data[column] != label], cluster="id", **kind.options
        )
        wanted = (rest.params - found.params) / diagnostics.model_se
        np.testing.assert_allclose(diagnostics.exact.loc[label], wanted, atol=1e-5)


def test_one_step_is_near_the_exact_change(few):
    """Of coefficients: exact but for what the cluster does to the variances."""
    diagnostics = few.cluster_diagnostics(["y~x1", "y~1.l2"], exact=True)
    assert diagnostics.exact.shape == (30, 2)
    np.testing.assert_allclose(diagnostics.influence, diagnostics.exact, atol=0.12)


def test_ratio_range_holds_the_quantiles_of_chi():
    df = np.array([0.7, 3.0, 24.5])
    lower, upper = ratio_range(df, 0.9)
    np.testing.assert_allclose(lower, np.sqrt(stats.chi2.ppf(0.05, df) / df), rtol=1e-12)
    np.testing.assert_allclose(upper, np.sqrt(stats.chi2.ppf(0.95, df) / df), rtol=1e-12)


def test_sizes_of_coarser_clusters(data):
    found = mlsem.fit(
        KINDS["observed"].text, data, cluster="id", se_cluster="district"
    ).cluster_diagnostics()
    rows = data.groupby("district").size()
    assert found.name == found.clusters.index.name == "district"
    assert found.clusters["rows"].sort_index().tolist() == rows.sort_index().tolist()
    assert found.weight == pytest.approx(rows.sum() ** 2 / (rows**2).sum())
    counts = found.counts
    assert (counts.clusters, counts.smallest, counts.largest) == (9, rows.min(), rows.max())
    assert counts.median == rows.median()


# --- leverage 1, and parameters that are not free -------------------------------------------------


def test_a_cluster_that_alone_determines_a_coefficient():
    found = fitted("one_treated").cluster_diagnostics(exact=True)
    alone = ["y~w1:x1", "y~w1.l2"]
    others = [name for name in found.parameters if name not in alone]
    assert found.influence.loc[5, alone].isna().all()
    assert found.influence.drop(index=5).notna().all(axis=None)
    assert found.influence.loc[5, others].notna().all()
    assert found.coefficients.loc[alone, ["se_cr2", "df", "ratio"]].isna().all(axis=None)
    assert found.coefficients.loc[alone, "cluster"].tolist() == [5, 5]
    assert found.exact.loc[5].isna().all()
    assert found.exact.drop(index=5).notna().all(axis=None)
    words = " ".join(found.verdict)
    assert "cluster 5 alone determines part of y~w1:x1 and y~w1.l2 (leverage 1)" in words
    assert "12 clusters are few" in words
    assert "1 of 12 refits without a cluster failed (cluster 5)" in words
    assert "few clusters carry" not in words


def test_a_parameter_without_freedom(data):
    model = "level: 1\n y1 ~ p*x1 + x2\nlevel: 2\n y1 ~ w1\np == 0.1"
    found = mlsem.fit(model, data, cluster="id").cluster_diagnostics(exact=[3])
    row = found.coefficients.loc["p"]
    assert row[["effective", "largest", "se_model", "ratio", "change"]].isna().all()
    assert row["cluster"] is None
    assert found.influence["p"].isna().all()
    assert "nan" not in str(found)
    assert "None" not in str(found)


# --- words ----------------------------------------------------------------------------------------


def test_verdict_on_few_treated_clusters(few):
    uneven, carried, moved, wide = few.cluster_diagnostics().verdict
    assert "(4 to 45 rows, median 16.5): they weigh as much as 22.3 equal ones, not 30" in uneven
    assert "y~w1:x1 (1.6 effective of 30, df 1.3; cluster 20 has 78 % of the inf" in carried
    assert carried.index("y~w1:x1") < carried.index("y~w1.l2")
    assert "y~w1:x1 by -2.25 without cluster 20 and y~x1 by +1.23 without cluster 8" in moved
    assert "exact=True" in moved
    assert "y~x1 (2.81 times, usually 0.67 to 1.33" in wide
    assert "random slope" in wide
    assert "fit.compare_se()" in wide


def test_verdict_is_about_the_parameters_asked_for(few):
    (uneven,) = few.cluster_diagnostics("y~1.l2").verdict
    assert "uneven" in uneven


def test_nothing_stands_out():
    rng = np.random.default_rng(3)
    frame = make_data(3, (6,) * 40)
    frame["y1"] = frame["x1"] + rng.normal(size=40)[frame["id"]] + rng.normal(size=240)
    found = mlsem.fit("level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1", frame, cluster="id")
    (sentence,) = found.cluster_diagnostics(exact=True).verdict
    assert sentence.startswith("nothing stands out: 40 clusters (6 rows each); every coefficient")


def test_few_degrees_of_freedom_though_all_clusters_carry():
    found = mlsem.fit(MODEL, read("article")[:40], cluster="id")
    words = " ".join(found.cluster_diagnostics("y~1.l2").verdict)
    assert "4 clusters are few" in words
    assert "few degrees of freedom under CR2: y~1.l2" in words


def test_rows_alike_in_a_model_of_one_level():
    rng = np.random.default_rng(8)
    frame = make_data(8, (10,) * 40)
    frame["y"] = frame["w1"] + 2 * rng.normal(size=40)[frame["id"]] + rng.normal(size=400)
    found = mlsem.fit("y ~ w1 + x1", frame, cluster="id")
    words = " ".join(found.cluster_diagnostics().verdict)
    assert "much larger than the model's for y~w1" in words
    assert "within-cluster dependence that the model omits" in words


# --- presentation ---------------------------------------------------------------------------------


def test_text(few):
    found = few.cluster_diagnostics(exact=[20, 8])
    lines = str(found).splitlines()
    assert repr(found) == str(found)
    assert lines[0] == "Cluster diagnostics"
    assert max(map(len, lines)) < 80
    assert not any(line != line.rstrip() for line in lines)
    assert "  y~w1:x1                 1.6    0.775       20   1.3   1.36   0.07  2.10" in lines
    assert "  Refitted without 2 of the clusters, one step for the others." in lines
    assert any(line.startswith("  Refits without a cluster, converged") for line in lines)


def test_long_names_stay_within_the_line():
    frame = read("few_treated").rename(columns={"y": "mathematics_achievement_of_pupils"})
    frame["id"] = "<b>Saint Mary's School</b> " + frame["id"].astype(str)
    model = MODEL.replace("y ~", "mathematics_achievement_of_pupils ~")
    found = mlsem.fit(model, frame, cluster="id").cluster_diagnostics()
    assert max(map(len, str(found).splitlines())) < 80
    html = found._repr_html_()
    assert "<b>Saint" not in html
    assert "&lt;b&gt;Saint" in html
    assert "mathematics_achievement_of_pupils~w1:x1" in html


def test_order_of_parameters(data):
    found = mlsem.fit(KINDS["latent at both levels"].text, data, cluster="id")
    names = found.cluster_diagnostics().parameters
    assert sorted(names) == sorted(found.params.index)
    first, last = names[:2], names[-1]
    assert first == ("fw~x1", "fb~w1.l2")
    assert "~~" in last
    chosen = found.cluster_diagnostics(["fw=~y2", "fw~x1"])
    assert chosen.coefficients.index.tolist() == ["fw=~y2", "fw~x1"]
    assert chosen.influence.columns.tolist() == ["fw=~y2", "fw~x1"]


def test_plot_shows_regressions_or_what_is_asked_for(few, data):
    found = few.cluster_diagnostics()
    titles = [ax.get_title(loc="left") for ax in found.plot().axes]
    assert titles == ["y~x1", "y~w1:x1", "y~w1.l2"]
    (ax,) = found.plot("y~1.l2").axes
    assert ax.get_title(loc="left") == "y~1.l2"
    kind = KINDS["variances only"]
    bare = mlsem.fit(kind.text, data, cluster="id").cluster_diagnostics()
    assert len(bare.plot().axes) == len(bare.parameters)
    with pytest.raises(mlsem.OptionValueError, match=r"'y~x2'.*'y~x1'"):
        found.plot("y~x2")


def test_nothing_in_it_can_be_changed(few):
    found = few.cluster_diagnostics()
    with pytest.raises(AttributeError):
        found.name = "other"
    for array in (found.measures.share, found.measures.change, found.df, found.model_se):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    table = found.coefficients
    table.iloc[0, 0] = 99.0
    assert found.coefficients.iloc[0, 0] != 99.0


# --- refusals -------------------------------------------------------------------------------------


def test_refusals(few, data):
    with pytest.raises(mlsem.OptionValueError, match=r"no parameter 'y~x'\. Did you mean 'y~x1'"):
        few.cluster_diagnostics("y~x")
    with pytest.raises(mlsem.OptionValueError, match="parameters is empty"):
        few.cluster_diagnostics([])
    with pytest.raises(mlsem.OptionValueError, match=r"no cluster '20' of 'id'; its ids are 1, 2"):
        few.cluster_diagnostics(exact="20")
    with pytest.raises(mlsem.InferenceError, match="exact=True"):
        _ = few.cluster_diagnostics().exact
    with pytest.raises(mlsem.InferenceError, match=r"no clusters.*cluster="):
        mlsem.fit("y1 ~ x1", data).cluster_diagnostics()
    with pytest.warns(mlsem.ConvergenceWarning):
        stopped = mlsem.fit(KINDS["latent at both levels"].text, data, cluster="id", max_iter=1)
    with pytest.raises(mlsem.InferenceError, match="did not converge"):
        stopped.cluster_diagnostics()
