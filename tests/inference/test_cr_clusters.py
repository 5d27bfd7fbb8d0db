"""The clusters of CR0 to CR3: coarser than the model's, of leverage 1, and few and small ones."""

import re

import numpy as np
import pandas as pd
import pytest
from cr_checks import assert_same, df_of, observed
from dense_cr import DenseCR
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from kinds import KINDS, make_data
from reference import frame

import mlsem

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

PRODUCT = "level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1"
MODELS = {
    "latent": KINDS["latent at both levels"].text,
    "product": PRODUCT,
    "several": "level: 1\n y1 + y2 ~ x1 + x2\n y2 ~ y1\nlevel: 2\n y1 ~ w1 + w2\n y2 ~ w1",
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=50)
    return make_data(21, tuple(sizes))


def fit(model, data, cluster="id", **options):
    return mlsem.fit(model, data, cluster=cluster, se="CR2", **options)


# --- coarser clusters -----------------------------------------------------------------------------


@every_model
def test_own_clusters_as_coarser_ones(data, model):
    plain = fit(model, data)
    other = data.assign(copy=(7 * data["id"] + 3) % 50)
    for name in ("id", "copy"):
        assert_same(fit(model, other, se_cluster=name), plain, 1e-12)


@every_model
def test_coarser_clusters_are_summed_whatever_the_order(data, model):
    """And they count: they are not the model's clusters once more."""
    schools = data.assign(school=data["id"] % 13)
    found = fit(model, schools, se_cluster="school")
    text = schools.assign(school=[f"s{k}" for k in schools["school"]])
    assert_same(fit(model, text.sample(frac=1, random_state=3), se_cluster="school"), found)
    scores = found.scores()
    summed = scores.groupby(scores.index % 13).sum().to_numpy()
    bread = np.linalg.inv(observed(found))
    wanted = bread @ summed.T @ summed @ bread
    np.testing.assert_allclose(found.with_se("CR0").bse, np.sqrt(np.diag(wanted)), rtol=1e-7)
    assert found.n_clusters == 50
    assert found.covariance.reference.clusters.working.n_clusters == 13


def test_clusters_of_a_single_level_model(data):
    """`cluster=`, `se_cluster=` and both, where rows have no other clusters."""
    text = "y1 ~ x1 + w1\n y2 ~ y1"
    schools = data.assign(school=data["id"] % 13, row=np.arange(len(data)))
    plain = fit(text, schools, cluster="school")
    for options in (
        {"cluster": None, "se_cluster": "school"},
        {"cluster": "id", "se_cluster": "school"},
        {"cluster": "row", "se_cluster": "school"},
    ):
        assert_same(fit(text, schools, **options), plain, 1e-8)


BAD = {
    "absent": ("scool", r"se_cluster= names 'scool'.*Did you mean 'school'"),
    "missing": ("gaps", r"se_cluster column 'gaps' has missing or blank ids in rows 0, 2 "),
    "one value": ("one", r"all rows are in one cluster of 'one'.*at least two"),
    "not nested": (
        "row",
        r"cluster\(s\) of 'id' have rows in more than one cluster of se_cluster='row'.*"
        r"must contain whole clusters",
    ),
    "not unique": ("anew", r"if 'id' counts anew in each 'anew', make ids that are unique"),
    "twice": ("twice", r"the data have 2 columns named 'twice'"),
}


@pytest.mark.parametrize(("column", "message"), BAD.values(), ids=BAD.keys())
def test_coarser_clusters_that_are_none(data, column, message):
    bad = data.assign(school=data["id"] % 13, one=1, row=np.arange(len(data)), gaps=1.0)
    bad["gaps"] = (bad["id"] % 5).astype(float)
    bad.loc[[0, 2], "gaps"] = np.nan
    bad["anew"] = np.arange(len(data)) % 2
    bad = pd.concat((bad.assign(twice=1), bad["id"].rename("twice")), axis=1)
    with pytest.raises(mlsem.DataError, match=re.compile(message, re.DOTALL)):
        fit(PRODUCT, bad, se_cluster=column)


def test_the_message_names_a_cluster_and_where_it_lies(data):
    torn = data.assign(school=data["id"] % 13)
    row = torn.index[torn["id"] == 30][0]
    torn.loc[row, "school"] = 77
    message = r"1 cluster\(s\) of 'id' have rows in .*: id 30 is in school (77 and 4|4 and 77)\."
    with pytest.raises(mlsem.DataError, match=message):
        fit(PRODUCT, torn, se_cluster="school")


def test_coarser_clusters_of_rows_that_are_left_out_do_not_count(data):
    """Neither a missing id, nor one that would tear a cluster."""
    schools = data.assign(school=(data["id"] % 13).astype(float))
    gaps = schools.copy()
    twice = gaps["id"].duplicated(keep="last")
    first, second = gaps.index[twice][[0, 5]]
    gaps.loc[[first, second], "y1"] = np.nan
    wanted = fit(PRODUCT, gaps, se_cluster="school", missing="listwise")
    gaps.loc[first, "school"] = np.nan
    gaps.loc[second, "school"] = 99.0
    assert_same(fit(PRODUCT, gaps, se_cluster="school", missing="listwise"), wanted, 1e-12)


@pytest.mark.parametrize("name", ["observed", "variances only", "several observed"])
def test_coarser_clusters_in_another_order_than_the_models(data, name):
    """The first row is left out, and only there the other column has no id: its ids begin with
    those of the second cluster."""
    model, first = KINDS[name].text, data.index[0]
    other = data.assign(copy=data["id"].astype(float))
    other.loc[first, ["y1", "copy"]] = np.nan
    assert other["copy"].dropna().iloc[0] != data["id"].iloc[0]
    found = fit(model, other, se_cluster="copy", missing="listwise")
    assert_same(found, fit(model, other, missing="listwise"), 1e-12)
    labels = found.covariance.reference.clusters.working.labels
    np.testing.assert_array_equal(labels, found._estimates.problem.moments.labels)


@pytest.mark.parametrize("wrong", [["school"], 3])
def test_coarser_clusters_are_one_column(data, wrong):
    with pytest.raises(mlsem.OptionValueError, match="se_cluster must be the name of one column"):
        fit(PRODUCT, data.assign(school=1), se_cluster=wrong)


# --- leverage 1 -----------------------------------------------------------------------------------

TREATED = "level: 1\n y ~ b*x1 + c*w1:x1\nlevel: 2\n y ~ d*w1\n y ~ m*1\n"


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"])
def test_one_treated_cluster(kind):
    """Only cluster 5 has w1 = 1: nothing tells how its effects would vary."""
    text = TREATED + "treated := m + d\n half := 0.5*b\n slope := b + c"
    with pytest.warns(mlsem.InferenceWarning, match=r"cluster 5 of 'id'") as caught:
        found = mlsem.fit(text, frame("one_treated.csv"), cluster="id", se=kind)
    (message,) = [str(each.message) for each in caught]
    assert "'c', 'd':" in message
    gone, kept = ["c", "d"], found.params.index.drop(["c", "d"])
    assert found.bse[gone].isna().all()
    assert df_of(found)[gone].isna().all()
    assert found.bse[kept].gt(0).all()
    assert np.isfinite(df_of(found)[kept]).all()
    matrix = found.vcov()
    assert matrix.loc[gone].isna().all().all()
    assert np.isfinite(matrix.loc[kept, kept]).all().all()
    table = found.parameter_estimates().set_index("label")
    for name in ("c", "d", "treated", "slope"):
        assert table.loc[name, ["se", "df", "pvalue", "ci_lower", "ci_upper"]].isna().all(), name
    assert table.loc["half", "se"] == pytest.approx(0.5 * found.bse["b"])
    assert table.loc["half", "df"] == pytest.approx(df_of(found)["b"])
    standard = found.with_se("standard")
    assert standard.bse.gt(0).all()


@pytest.mark.parametrize("model", ["y ~ x1 + w1:x1 + w1\n x1 ~ w1", TREATED])
def test_functions_of_what_has_no_variance_have_none(model):
    data = frame("one_treated.csv").drop(columns="int")
    found = mlsem.fit(model, data, cluster="id", se="CR2").covariance
    gone = np.isnan(found.df)
    assert gone.any()
    se, df = found.of_functions(np.eye(len(gone)))
    np.testing.assert_array_equal(np.isnan(se), gone)
    np.testing.assert_array_equal(np.isnan(df), gone)
    np.testing.assert_allclose(df[~gone], found.df[~gone], rtol=1e-12)


def test_all_that_one_cluster_determines():
    """Two clusters, two means: nothing is left to compare. That is said, and not that the
    information is to blame."""
    data = make_data(1, (3, 4)).assign(two=lambda d: d["id"] * 1.0)
    text = "y1 ~ two + 1\n y1 ~~ 1*y1"
    with pytest.warns(mlsem.InferenceWarning) as caught:
        found = mlsem.fit(text, data, cluster="id", se="CR2")
    (message,) = [str(each.message) for each in caught]
    assert "clusters 0, 1 of 'id' alone" in message or "clusters 1, 0 of 'id' alone" in message
    assert "positive definite" not in message
    assert found.bse.isna().all()


def test_fewer_clusters_than_parameters_have_no_cr1p(data):
    schools = data.assign(school=data["id"] % 4)
    with pytest.warns(mlsem.InferenceWarning) as caught:
        found = mlsem.fit(PRODUCT, schools, cluster="id", se_cluster="school", se="CR1p")
    (message,) = [str(each.message) for each in caught]
    assert message.startswith("there are no CR1p standard errors: they take more clusters than")
    assert "there are 4 clusters" in message
    assert found.bse.isna().all()
    schools["school"] = data["id"] % 5
    enough = mlsem.fit(PRODUCT, schools, cluster="id", se_cluster="school", se="CR1p")
    wanted = np.sqrt(5) * enough.with_se("CR0").bse
    np.testing.assert_allclose(enough.bse, wanted, rtol=1e-12)


# --- any small design -----------------------------------------------------------------------------


@st.composite
def designs(draw):
    """Unequal clusters, a covariate that is constant within some of them, variances, schools."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=4, max_size=10))
    constant = draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    assume(any(n > 1 and not still for n, still in zip(sizes, constant, strict=True)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=len(codes))
    x = np.where(np.array(constant)[codes], rng.normal(size=len(sizes))[codes], x)
    binary = draw(st.booleans())
    w = rng.integers(0, 2, size=len(sizes)) if binary else rng.normal(size=len(sizes))
    data = pd.DataFrame({"id": codes, "x": x, "w": np.asarray(w, float)[codes]})
    data["y"] = rng.normal(size=len(codes)) + rng.normal(size=len(sizes))[codes]
    count = draw(st.integers(2, len(sizes)))
    school = np.concatenate((np.arange(count), rng.integers(0, count, size=len(sizes) - count)))
    data["school"] = school[codes] if draw(st.booleans()) else codes
    variances = draw(st.floats(0.2, 3.0)), draw(st.sampled_from([-0.03, 0.0, 0.05, 1.0, 20.0]))
    return data.iloc[rng.permutation(len(data))], variances


@settings(derandomize=True, deadline=None, max_examples=100)
@given(design=designs(), kind=st.sampled_from(["CR0", "CR1", "CR1S", "CR2", "CR3"]))
def test_any_small_design(design, kind):
    """With the variances fixed; a contrast that touches a direction of leverage 1 has no variance,
    the others have that of dense matrices."""
    data, (sigma2, tau2) = design
    X = np.column_stack((np.ones(len(data)), data["x"], data["w"]))
    assume(np.linalg.svd(X, compute_uv=False)[-1] > 1e-3)
    assume(len(data) > 3)
    text = f"level: 1\n y ~ x\n y ~~ {sigma2}*y\nlevel: 2\n y ~ w\n y ~~ {tau2}*y"
    found = mlsem.fit(text, data, cluster="id", se_cluster="school", se=kind)
    names = ["y~1.l2", "y~x", "y~w.l2"]
    ids, schools = data["id"].to_numpy(), data["school"].to_numpy()
    V = sigma2 * np.eye(len(data)) + tau2 * (ids[:, None] == ids)
    e = data["y"].to_numpy() - X @ found.params[names]
    rows = [np.flatnonzero(schools == each) for each in np.unique(schools)]
    dense = DenseCR([X[r] for r in rows], [V[np.ix_(r, r)] for r in rows], [e[r] for r in rows])
    touched = shares_of_leverage_one(dense) > 1e-8
    event(f"{touched.sum()} of 3 without a variance")
    matrix, df = found.vcov().loc[names, names].to_numpy(), df_of(found)[names].to_numpy()
    np.testing.assert_array_equal(np.isnan(df), touched)
    np.testing.assert_array_equal(np.isnan(matrix), touched[:, None] | touched)
    kept = np.flatnonzero(~touched)
    if not len(kept) or (kind == "CR3" and touched.any()):
        return  # the inverse that CR3 takes of a dense matrix does not exist
    inside = np.ix_(kept, kept)
    values = np.linalg.eigvalsh(matrix[inside])
    assert values[0] >= -1e-9 * values[-1]
    scale = np.sqrt(np.diag(dense.bread))[kept]
    unit = np.outer(scale, scale)
    np.testing.assert_allclose(
        matrix[inside] / unit, dense.cov(kind)[inside] / unit, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(df[kept], [dense.df(kind, c) for c in np.eye(3)[kept]], rtol=1e-6)
    assert (df[kept] > 1.0 - 1e-6).all()
    assert (df[kept] < len(rows)).all()


def shares_of_leverage_one(dense):
    """Of each coefficient, in directions that one cluster alone determines."""
    root = np.linalg.cholesky(dense.bread)
    shares = np.zeros(len(root))
    for X, W in zip(dense.designs, dense.weights, strict=True):
        values, vectors = np.linalg.eigh(root.T @ X.T @ W @ X @ root)
        alone = vectors[:, values > 1.0 - 1e-9]
        shares += ((root @ alone) ** 2).sum(axis=1) / np.diag(dense.bread)
    return shares
