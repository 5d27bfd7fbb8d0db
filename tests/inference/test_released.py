"""Steps of invariance without their equalities: identities, and what refits say."""

from __future__ import annotations

import numpy as np
import pytest
from grouped import demo_groups

import mlsem
from mlsem.inference.invariance.released import Released, ties

pytestmark = pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning")

MODEL = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
STEPS = [(), ("loadings",), ("loadings", "intercepts"), ("loadings", "intercepts", "residuals")]
STEPS.append((*STEPS[-1], "means"))


def _fit(equal: tuple[str, ...] = (), **options) -> mlsem.FitResult:
    return mlsem.fit(MODEL, demo_groups(), "cluster", group="g", group_equal=equal, **options)


@pytest.fixture(scope="module")
def fits() -> list[mlsem.FitResult]:
    return [_fit(equal) for equal in STEPS]


def _released(simple: mlsem.FitResult, full: mlsem.FitResult) -> Released:
    return Released(simple._estimates, full._estimates)


def test_degrees_of_freedom_and_size_of_each_step(fits) -> None:
    for full, simple, df in zip(fits[:-1], fits[1:], (4, 2, 6, 1), strict=True):
        test = _released(simple, full).test
        assert test.df == df == full.n_params - simple.n_params
        ratio = 2.0 * (full.loglik - simple.loglik)
        assert test.raw == pytest.approx(ratio, rel=0.15, abs=0.02)
        assert 0.7 < test.scaling < 1.5


def test_scaling_of_the_factors_does_not_matter(fits) -> None:
    """With std_lv the metric step frees variances, and with markers it does not."""
    others = [_fit(equal, std_lv=True) for equal in STEPS[:3]]
    for k in (1, 2):
        one, other = _released(fits[k], fits[k - 1]).test, _released(others[k], others[k - 1]).test
        assert other.raw == pytest.approx(one.raw, rel=1e-5)
        assert other.scaling == pytest.approx(one.scaling, rel=1e-5)
        # a model is nested in the other parametrisation of the one before, too
        mixed = _released(others[k], fits[k - 1]).test
        assert mixed.raw == pytest.approx(one.raw, rel=1e-5)


def test_is_the_score_test_of_a_parameter_given_up(fits) -> None:
    """Of one group, where `lr_test` and `score_test` know the same."""
    full = mlsem.fit(MODEL, demo_groups(), "cluster")
    simple = mlsem.fit(MODEL, demo_groups(), "cluster", level_equal="loadings")
    expected = mlsem.lr_test(simple, full, method="score")
    released = _released(simple, full)
    assert released.test.statistic == pytest.approx(expected.statistic, rel=1e-8)
    labelled = MODEL.replace("y2 + y3", "a*y2 + b*y3")
    known = mlsem.fit(labelled, demo_groups(), "cluster", estimator="MLR").score_test(release="a")
    tie = ties(simple._estimates, full._estimates)[0]
    assert tie.name == "fw=~y2"
    alone = released.alone(*tie.members[1])
    assert alone is not None
    assert alone.index == pytest.approx(known.raw, rel=1e-8)
    assert alone.robust == pytest.approx(known.statistic, rel=1e-8)


def test_one_equality_alone_is_the_test_of_a_step_with_that_one() -> None:
    partial = ["fw=~y3", "fb=~y2", "fb=~y3"]
    full, simple = _fit(), _fit(("loadings",), group_partial=partial)
    released = _released(simple, full)
    (tie,) = ties(simple._estimates, full._estimates)
    alone = released.alone(*tie.members[1])
    assert alone is not None
    assert alone.index == pytest.approx(released.test.raw, rel=1e-8)
    assert alone.robust == pytest.approx(released.test.statistic, rel=1e-8)
    # of two groups it does not matter which gives it up
    other = released.alone(*tie.members[0])
    assert other is not None
    assert other.index == pytest.approx(alone.index, rel=1e-8)
    assert other.change == pytest.approx(-alone.change, rel=1e-8)


def test_expected_changes_are_near_those_of_a_refit(fits) -> None:
    released = _released(fits[2], fits[1])
    tie = next(t for t in ties(fits[2]._estimates, fits[1]._estimates) if t.name == "y3~1.l2")
    alone = released.alone(*tie.members[1])
    assert alone is not None
    free = _fit(STEPS[2], group_partial=["y3~1"])
    change = free.params["y3~1.g2.l2"] - free.params["y3~1.l2"]
    assert alone.change == pytest.approx(change, rel=0.1)
    place = fits[2].table.names.index("fb~1.g2.l2")
    moved = free.params["fb~1.g2.l2"] - fits[2].params["fb~1.g2.l2"]
    assert alone.others[place] == pytest.approx(moved, rel=0.1)


def test_models_that_are_not_nested_are_refused() -> None:
    full, other = _fit(("intercepts",)), _fit(("loadings", "residuals"))
    with pytest.raises(mlsem.InferenceError, match="special case"):
        _ = _released(other, full).test


def test_what_is_fixed_is_given_up_too(fits) -> None:
    (tie,) = ties(fits[4]._estimates, fits[3]._estimates)
    assert (tie.name, tie.value) == ("fb~1.g2.l2", 0.0)
    released = _released(fits[4], fits[3])
    alone = released.alone(*tie.members[0])
    assert alone is not None
    assert alone.index == pytest.approx(released.test.raw, rel=1e-8)
    assert alone.change == pytest.approx(float(fits[3].params["fb~1.g2.l2"]), rel=0.1)


def test_robust_clusters_may_cut_across_groups() -> None:
    """The scores of a cluster are those of its rows in all groups."""
    data = demo_groups().copy()
    data["sex"] = np.where(np.arange(len(data)) % 2, "f", "m")
    model = "f =~ y1 + y2 + y3"
    full, simple = (
        mlsem.fit(model, data, "cluster", group="sex", estimator="MLR", **more)
        for more in ({}, {"group_equal": "loadings"})
    )
    test = _released(simple, full).test
    apart = data.assign(cluster=data.cluster.astype(str) + data.sex)
    others = [
        mlsem.fit(model, apart, "cluster", group="sex", estimator="MLR", **more)
        for more in ({}, {"group_equal": "loadings"})
    ]
    own = _released(others[1], others[0]).test
    assert own.raw == pytest.approx(test.raw, rel=1e-7)
    assert own.scaling != pytest.approx(test.scaling, rel=1e-3)
