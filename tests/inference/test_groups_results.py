"""What is made of fits of several groups: bootstraps, diagnostics, profiles, cautions. Groups with
nothing in common have what fits of their own have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from grouped_kinds import ALL, KINDS, rows

import mlsem
from mlsem.inference.bootstrap.run import Refits, _shares  # pyright: ignore[reportPrivateUsage]
from mlsem.inference.covariance.by_group import clusters_of_parameters, fewest_clusters
from mlsem.model.expressions import compile_definitions

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

APART = ["mixed model", "random slope", "latent at both levels", "one level, clusters"]


def by_group(found, wanted):
    """Of each group: places in the fit of all, the group's label, and the fit of its own."""
    for group, fit in zip(found._estimates.groups, wanted.values(), strict=True):
        yield group.places, group.label, fit


@pytest.mark.parametrize("name", [*APART, "FIML of one level"])
def test_diagnostics_of_separate_groups(name):
    kind = KINDS[name]
    found, apart = kind.grouped(), kind.apart()
    ours = found.cluster_diagnostics(list(found.params.index), exact=[0, 1])
    assert sorted(ours.clusters["group"]) == ["a"] * 30 + ["b"] * 30
    for places, label, fit in by_group(found, apart):
        wanted = fit.cluster_diagnostics(list(fit.params.index), exact=[0 if label == "a" else 1])
        own = np.flatnonzero(ours.clusters["group"] == label)
        assert list(ours.labels[own]) == list(wanted.labels)
        for column in ("effective", "df", "se", "model_se"):
            values = getattr(ours, column)[places]
            np.testing.assert_allclose(values, getattr(wanted, column), rtol=1e-6)
        share, change = ours.measures.share, ours.measures.change / ours.model_se
        np.testing.assert_allclose(share[np.ix_(own, places)], wanted.measures.share, atol=1e-7)
        theirs = wanted.measures.change / wanted.model_se
        np.testing.assert_allclose(change[np.ix_(own, places)], theirs, atol=1e-7)
        others = np.setdiff1d(np.arange(ours.n_clusters), own)
        np.testing.assert_allclose(share[np.ix_(others, places)], 0.0, atol=1e-12)
        refit = ours.left_out.change[0 if label == "a" else 1, places]
        np.testing.assert_allclose((refit - wanted.left_out.change[0]) / fit.bse, 0.0, atol=1e-5)


def test_verdicts_are_of_the_groups_that_have_a_parameter():
    data = rows().query("id < 16 or g == 'b'")
    fit = mlsem.fit("y1 ~ x", data, "id", group="g")
    found = fit.cluster_diagnostics()
    few = "8 clusters of group a are few: MLR and CR0 standard errors are too small"
    assert found.verdict[0].startswith(few)
    assert "in group a " in str(found)
    with pytest.warns(mlsem.InferenceWarning, match="8 clusters of group 'a' are few: MLR"):
        assert fit.with_se("MLR").notes
    shared = mlsem.fit("y1 ~ x", data, "id", group="g", group_equal=ALL)
    assert not any("are few" in each for each in shared.cluster_diagnostics().verdict)


@pytest.mark.parametrize(
    ("name", "equal", "counts"),
    [
        ("mixed model", (), {30}),
        ("mixed model", "regressions", {30, 60}),
        ("mixed model", ALL, {60}),
        ("one level, clusters across", (), {60}),
    ],
)
def test_clusters_that_bear_on_a_parameter(name, equal, counts):
    problem = KINDS[name].grouped(group_equal=equal)._estimates.problem
    assert {*clusters_of_parameters(problem).tolist()} == counts
    assert fewest_clusters(problem) == min(counts)


def test_groups_share_nothing_but_few_clusters_in_each():
    fit = KINDS["mixed model"].grouped(se="MLR")  # 60 clusters, 30 in each
    assert not fit.notes
    data = rows().query("id < 40")
    with pytest.warns(mlsem.InferenceWarning, match="20 clusters in each group are few: MLR"):
        mlsem.fit(KINDS["mixed model"].text, data, "id", group="g", se="MLR")


@pytest.mark.parametrize("name", ["mixed model", "random slope", "one level, clusters"])
def test_profile_intervals_of_separate_groups(name):
    kind = KINDS[name]
    found, apart = kind.grouped(), kind.apart()
    ours = found.conf_int(ci="profile")
    for places, _, fit in by_group(found, apart):
        wanted = fit.conf_int(ci="profile")
        np.testing.assert_allclose(ours.iloc[places], wanted, rtol=1e-4, atol=1e-4)


def test_profile_intervals_of_groups_that_are_one():
    kind = KINDS["mixed model"]
    found, wanted = (
        fit.conf_int(ci="profile") for fit in (kind.grouped(group_equal=ALL), kind.together())
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_standard_errors_compared():
    kind = KINDS["random slope"]
    found, apart = kind.grouped(), kind.apart()
    ours = found.compare_se(parameters=list(found.params.index), draws=20, seed=1)
    assert ours.band is not None
    assert ours.slopes >= {name for name in found.params.index if name.startswith("y1~x")}
    for places, _, fit in by_group(found, apart):
        wanted = fit.compare_se(parameters=list(fit.params.index), draws=0)
        for each in wanted.kinds:
            np.testing.assert_allclose(ours.se[each][places], wanted.se[each], rtol=1e-6)
    plain = mlsem.fit(KINDS["mixed model"].text, rows(), "id", group="g").compare_se(draws=0)
    assert plain.slopes == {"y1~x", "y1~x.g2"}


# --- bootstraps -----------------------------------------------------------------------------------


def test_wild_bootstrap_of_separate_groups():
    """All patterns of signs of 5 + 5 clusters: those of one group, each as often as the others."""
    data = rows().query("id < 10")
    text = "y1 ~ x"
    found = mlsem.fit(text, data, "id", group="g", meanstructure=True)
    ours = found.bootstrap("wild", 1 << 10, weights="rademacher", seed=1)
    assert ours.enumerated
    assert ours.n_draws == 1 << 10
    for k, part in enumerate(part for _, part in data.groupby("g")):
        fit = mlsem.fit(text, part, "id", meanstructure=True)
        wanted = fit.bootstrap("wild", 1 << 5, weights="rademacher", seed=1)
        names = [name + ".g2" * k for name in fit.params.index]
        np.testing.assert_allclose(extremer(ours)[names], extremer(wanted), atol=1e-12)
        np.testing.assert_allclose(spread(ours)[names], spread(wanted), rtol=1e-9)


def extremer(found):
    """Share of the draws whose t statistic is the larger."""
    return (found.pvalues["symmetric"] * (found.n_draws + 1) - 1) / found.n_draws


def spread(found):
    """Root mean squared deviation of the draws."""
    return found.se * np.sqrt((found.n_draws - 1) / found.n_draws)


def test_few_clusters_of_a_group_take_weights_of_six_points():
    data = rows().query("id < 16")
    fit = mlsem.fit("y1 ~ x", data, "id", group="g")
    found = fit.bootstrap("wild", 20, seed=1)
    assert (found.weights, found.fewest, found.groups) == ("webb", 8, {"a": 8, "b": 8})
    assert "in group b " in str(found)


@pytest.mark.parametrize("name", ["latent at both levels", "one level, clusters across"])
def test_pairs_are_drawn_within_groups(name):
    """As many clusters of each group as there are; those that several groups share together."""
    kind = KINDS[name]
    fit = kind.grouped(group_equal="loadings")
    estimates = fit._estimates
    refits = Refits(
        estimates, estimates.settings, compile_definitions(fit.table), _shares(estimates)
    )
    moments, robust = refits.drawn(np.random.default_rng(1))
    counts = [group.n_clusters for group in estimates.problem.moments.groups]
    assert robust.n_clusters == estimates.problem.robust.n_clusters
    if not kind.across:
        assert [group.n_clusters for group in moments.groups] == counts
    ours = fit.bootstrap("pairs", 30, seed=2)
    assert ours.n_failed <= 3
    ratio = ours.se / fit.with_se("CR0").bse
    assert 0.6 < np.median(ratio) < 1.7


@pytest.mark.parametrize("name", ["latent at both levels", "FIML of one level"])
def test_draws_of_the_fitted_model(name):
    kind = KINDS[name]
    fit = kind.grouped(group_equal="loadings")
    found = fit.bootstrap("parametric", 40, seed=3)
    assert found.n_failed == 0
    ratio = found.se / fit.with_se("standard").bse
    assert 0.7 < np.median(ratio) < 1.4
    centre = (found.draws.mean(axis=0) - fit.params) / (fit.bse / np.sqrt(40))
    assert np.abs(np.median(centre)) < 1.5


def test_restricted_maximum_likelihood_of_separate_groups():
    kind = KINDS["random slope"]
    found, apart = kind.grouped(estimator="REML"), kind.apart(estimator="REML")
    profile = found.conf_int(ci="profile")
    pairs = found.bootstrap("pairs", 12, seed=1)
    assert pairs.n_failed == 0
    for places, _, fit in by_group(found, apart):
        np.testing.assert_allclose(profile.iloc[places], fit.conf_int(ci="profile"), atol=2e-4)
    with pytest.raises(mlsem.SpecificationError, match="groups that share no parameter"):
        kind.grouped(estimator="REML", group_equal="regressions")


# --- joint tests ----------------------------------------------------------------------------------


def test_joint_tests_of_separate_groups():
    """Of one group's parameters: those of its own fit, with its df."""
    kind = KINDS["latent at both levels"]
    found, apart = kind.grouped(), kind.apart()
    for k, fit in enumerate(apart.values()):
        names = ["fw=~y2", "fw=~y3", "fb=~y2.l2"]
        own = "\n".join(f"`{name}` == 1" for name in names)
        of_all = own if k == 0 else "`fw=~y2.g2` == 1\n`fw=~y3.g2` == 1\n`fb=~y2.g2.l2` == 1"
        ours, wanted = found.wald_test(of_all, vcov="CR2"), fit.wald_test(own, vcov="CR2")
        assert ours.test == wanted.test == "HTZ"
        assert ours.statistic == pytest.approx(wanted.statistic, rel=1e-6)
        assert ours.df_denom == pytest.approx(wanted.df_denom, rel=1e-6)


def test_labels_of_groups_in_frames_are_those_of_the_data():
    data = rows().assign(g=lambda d: pd.Series(d["id"] % 2 + 1, dtype="int64"))
    found = mlsem.fit(KINDS["mixed model"].text, data, "id", group="g").cluster_diagnostics()
    assert set(found.clusters["group"]) == {1, 2}
