"""Aligned factors of fits: errors, invariant sets, comparisons, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from grouped import demo_groups

import mlsem
from mlsem.core.alignment import Configural, align
from mlsem.inference.alignment.measurement import factors_of, measured
from mlsem.inference.alignment.sets import explained, invariant_set
from mlsem.inference.covariance.intervals import holm

MODEL = "f =~ y1 + y2 + y3 + y4"
LOADINGS = np.array([1.0, 0.8, 0.9, 0.7])


def _drawn(seed: int = 1, size: int = 400) -> pd.DataFrame:
    """Three groups; the intercept of y2 in b and the loading of y3 in c are not invariant."""
    generator = np.random.default_rng(seed)
    frames = []
    for label, mean, sd in (("a", 0.0, 1.0), ("b", 0.5, 1.2), ("c", -0.4, 0.9)):
        loadings, intercepts = LOADINGS.copy(), np.zeros(4)
        if label == "b":
            intercepts[1] = 0.8
        if label == "c":
            loadings[2] = 0.2
        factor = mean + sd * generator.normal(size=size)
        values = intercepts + factor[:, None] * loadings + 0.6 * generator.normal(size=(size, 4))
        frames.append(pd.DataFrame(values, columns=["y1", "y2", "y3", "y4"]).assign(g=label))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def fit() -> mlsem.FitResult:
    return mlsem.fit(MODEL, _drawn(), group="g")


def test_finds_what_differs(fit) -> None:
    aligned = fit.align()
    found = aligned.invariance.set_index(["item", "parameter"])["noninvariant"]
    assert found["y2", "intercept"] == ("b",)
    assert found["y3", "loading"] == ("c",)
    assert all(
        not out
        for place, out in found.items()
        if place not in (("y2", "intercept"), ("y3", "loading"))
    )
    means = aligned.means.set_index("group")
    assert means.loc["b", "mean"] == pytest.approx(0.5, abs=0.15)
    assert means.loc["c", "mean"] == pytest.approx(-0.4, abs=0.15)
    assert means.loc["a", ["mean", "se"]].tolist() == [0.0, 0.0]
    assert means.loc["b", "variance"] == pytest.approx(1.44, abs=0.3)
    shares = aligned.invariance.set_index(["item", "parameter"])["r2"]
    assert shares["y1", "intercept"] > 0.95 > shares["y2", "intercept"]


def test_how_the_factor_is_scaled_does_not_matter(fit) -> None:
    other = mlsem.fit(MODEL, _drawn(), group="g", std_lv=True)
    for name in ("means", "items"):
        one, two = getattr(fit.align(), name), getattr(other.align(), name)
        numbers = one.select_dtypes("number").columns
        assert np.allclose(one[numbers], two[numbers], atol=2e-5, equal_nan=True)


def test_errors_are_those_of_draws_of_the_configural_estimates(fit) -> None:
    """Draws of loadings and intercepts from their distribution, aligned."""
    aligned = fit.align()
    (factor,) = factors_of(fit._estimates)
    known = measured(fit._estimates, factor, 0)
    spread = known.gradients @ fit.covariance.matrix @ known.gradients.T
    small = 0.1  # as the delta method is, of small deviations
    generator = np.random.default_rng(2)
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = []
    for _ in range(200):
        moved = known.values + small * (root @ generator.normal(size=24)).reshape(2, 3, 4)
        found = align(Configural(moved[0], moved[1], np.full(3, 400.0)), starts=0)
        drawn.append([*found.means[1:], *found.variances[1:], *found.loadings.ravel()])
    errors = np.std(drawn, axis=0) / small
    means = aligned.means.set_index("group").loc[["b", "c"]]
    items = aligned.items
    loadings = items[items.parameter == "loading"].pivot(index="group", columns="item", values="se")
    own = [*means["se"], *means["se_variance"], *loadings.to_numpy().ravel()]
    assert np.allclose(errors, own, rtol=0.2)


def test_differences_of_means_have_errors_of_their_own(fit) -> None:
    aligned = fit.align()
    pairs = aligned.compare_means()
    assert list(zip(pairs.group1, pairs.group2, strict=True)) == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    means = aligned.means.set_index("group")
    assert pairs["diff"].tolist() == pytest.approx(
        [
            means.loc[h, "mean"] - means.loc[g, "mean"]
            for g, h in zip(pairs.group1, pairs.group2, strict=True)
        ]
    )
    assert pairs.se[:2].tolist() == pytest.approx(means.se[["b", "c"]].tolist())
    against = fit.align(reference="c").means.set_index("group")
    # another reference is another identification, of the same differences nearly
    assert against.loc["c", "mean"] == 0.0
    one = aligned.compare_means(reference="b")
    assert one.group1.tolist() == ["b", "b"]
    assert one["diff"].tolist() == pytest.approx([-pairs["diff"][0], pairs["diff"][2]])


@pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")
def test_robust_errors_and_their_degrees_of_freedom(fit) -> None:
    data = _drawn()
    data["class"] = np.arange(len(data)) // 40
    robust = mlsem.fit(MODEL, data, "class", group="g", se="CR2")
    means = robust.align().means.set_index("group")
    assert means.loc["b", "mean"] == pytest.approx(fit.align().means["mean"][1], abs=1e-6)
    assert 2.0 < means.loc["b", "df"] < 30.0
    assert not any("normal" in note for note in robust.align().notes)


@pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning")
def test_two_levels_align_the_part_between_and_loadings_within() -> None:
    model = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
    fit = mlsem.fit(model, demo_groups(), "cluster", group="g")
    aligned = fit.align()
    within, between = aligned.factors
    assert (within.factor_level, between.factor_level) == (1, 2)
    assert [each.has_means for each in aligned.factors] == [False, True]
    assert (within.tests.est[:2] == 0.0).all()
    assert len(aligned.compare_means()) == 1
    assert "loadings alone" in str(aligned)
    assert fit.align("fb").factors[0].aligned.simplicity == between.aligned.simplicity


def test_invariant_set_by_hand() -> None:
    spread, sizes = np.diag(np.full(5, 0.01)), np.full(5, 10.0)
    values = np.array([0.0, 0.05, -0.05, 2.0, np.nan])
    assert invariant_set(values, spread, sizes).tolist() == [True, True, True, False, False]
    # two sets of pairs: the one with more rows
    values = np.array([0.0, 0.05, 2.0, 2.05, np.nan])
    more = np.array([1.0, 1.0, 5.0, 5.0, 1.0])
    assert invariant_set(values, spread, more).tolist() == [False, False, True, True, False]
    assert invariant_set(np.full(5, np.nan), spread, sizes).tolist() == [False] * 5


def test_shares_explained() -> None:
    loadings, means = np.array([[1.0], [1.0], [1.0]]), np.array([0.0, 1.0, 3.0])
    assert explained(means[:, None] * loadings, means, loadings).tolist() == [1.0]
    moved = means[:, None] * loadings + np.array([[0.0], [0.0], [0.3]])
    left = np.var([0.0, 0.0, 0.3]) / np.var(moved)
    assert explained(moved, means, loadings)[0] == pytest.approx(1.0 - left)


def test_holm() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_refusals(fit) -> None:
    data = _drawn()
    crossed = mlsem.fit(
        "f =~ y1 + y2 + y3 + y4\nh =~ 0.2*y4\nh ~~ 1*h", data, group="g", orthogonal=True
    )
    with pytest.raises(mlsem.InferenceError, match="'y4' loads on 'f' and on 'h'"):
        crossed.align()
    explained_by = mlsem.fit("f =~ y1 + y2 + y3\nf ~ y4", data, group="g")
    with pytest.raises(mlsem.InferenceError, match="'f' is explained by 'y4'"):
        explained_by.align()
    equal = mlsem.fit(MODEL, data, group="g", group_equal="intercepts")
    with pytest.raises(mlsem.InferenceError, match=r"'y1~1', .*equal in several groups"):
        equal.align()
    with pytest.raises(mlsem.InferenceError, match="one group"):
        mlsem.fit(MODEL, data).align()
    with pytest.raises(mlsem.OptionValueError, match="no factor 'g'"):
        fit.align("g")
    with pytest.raises(mlsem.OptionValueError, match="is no group"):
        fit.align(reference="z")
    with pytest.raises(mlsem.OptionValueError, match="epsilon"):
        fit.align(epsilon=0)
    with pytest.raises(mlsem.OptionValueError, match="identification"):
        fit.align(identification="FREE")


def test_shows_itself(fit) -> None:
    aligned = fit.align()
    text = str(aligned)
    assert all(words in text for words in ("Alignment", "y2 intercept", "group a"))
    assert "<table>" in aligned._repr_html_()
    pytest.importorskip("matplotlib")
    assert len(aligned.plot().axes) == 1


def test_without_errors_there_are_no_sets(fit) -> None:
    aligned = fit.with_se("none").align()
    assert aligned.means["mean"].tolist() == fit.align().means["mean"].tolist()
    assert aligned.means["se"][1:].isna().all()
    assert aligned.invariance["n_invariant"].isna().all()
    assert not aligned.invariance["noninvariant"].map(len).any()
    assert any("without standard errors" in note for note in aligned.notes)
