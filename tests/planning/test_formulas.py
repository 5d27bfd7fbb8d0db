"""The formulas of `mlsem.plan`: against textbook ones, integrals and the noncentral t by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammaln, ndtr, stdtrit

import mlsem
from mlsem.planning.trial import Sizes, Trial


def _power(shift: float, df: float, level: float = 0.95) -> float:
    """P(|Z + shift| > t S), S² = χ²/df, over the density of S."""
    critical = stdtrit(df, 0.5 + level / 2)

    def density(s: float) -> float:
        log = np.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2) + (df - 1) * np.log(s)
        return float(np.exp(log - df * s * s / 2))

    def found(s: float) -> float:
        return density(s) * float(ndtr(shift - critical * s) + ndtr(-shift - critical * s))

    return float(quad(found, 0.0, 10.0, epsabs=1e-11, limit=200)[0])


@pytest.mark.parametrize(("clusters", "size", "icc"), [(12, 20, 0.1), (40, 5, 0.3), (8, 100, 0.0)])
def test_equal_clusters_are_the_textbooks(clusters: int, size: int, icc: float) -> None:
    plan = mlsem.plan(clusters=clusters, size=size, icc=icc, effect=0.5, by="formula")
    se = np.sqrt(4 * (icc + (1 - icc) / size) / clusters)
    assert plan.se == pytest.approx(se, rel=1e-12)
    assert plan.df == pytest.approx(clusters - 2, rel=1e-12)
    assert plan.design_effect == pytest.approx(1 + (size - 1) * icc, rel=1e-12)
    assert plan.power == pytest.approx(_power(0.5 / se, clusters - 2), abs=1e-7)


def test_covariates_lower_variances_and_degrees_of_freedom() -> None:
    plan = mlsem.plan(clusters=20, size=10, icc=0.2, r2=(0.3, 0.5), covariates=2, effect=0.5)
    se = np.sqrt(4 * (0.2 * 0.5 + 0.8 * 0.7 / 10) / 20)
    assert (plan.se, plan.df) == (pytest.approx(se), pytest.approx(16))
    # the design effect speaks of clusters, not of covariates
    assert plan.design_effect == pytest.approx(1 + 9 * 0.2)


def test_three_levels() -> None:
    """Hedges & Rhoads: ρ₃ + ρ₂/K + (1 − ρ₂ − ρ₃)/(Kn)."""
    plan = mlsem.plan(clusters=20, subclusters=3, size=15, icc=(0.05, 0.1), effect=0.4)
    assert plan.se == pytest.approx(np.sqrt(4 * (0.1 + 0.05 / 3 + 0.85 / 45) / 20))
    assert plan.df == pytest.approx(18)


def test_without_a_middle_level_three_are_two() -> None:
    two = mlsem.plan(clusters=20, size=60, icc=0.1, effect=0.3)
    three = mlsem.plan(clusters=20, subclusters=4, size=15, icc=(0.0, 0.1), effect=0.3)
    assert three.power == pytest.approx(two.power, rel=1e-12)


def test_unequal_arms_have_the_degrees_of_freedom_of_welch() -> None:
    plan = mlsem.plan(clusters=10, treated=3, size=20, icc=0.1, effect=1.0, by="formula")
    welch = (1 / 3 + 1 / 7) ** 2 / (1 / 9 / 2 + 1 / 49 / 6)
    assert plan.df == pytest.approx(welch, rel=1e-12)


def test_binary_outcomes_have_the_variances_of_their_arms() -> None:
    plan = mlsem.plan(clusters=30, size=25, icc=0.04, control=0.3, effect=-0.1)
    each = 0.04 + 0.96 / 25
    assert plan.se == pytest.approx(np.sqrt((0.2 * 0.8 + 0.3 * 0.7) * each / 15))


def test_sizes_are_averaged_over_what_they_tell() -> None:
    """A list of sizes by hand; a gamma's between those bounds that Jensen gives."""
    sizes = [4, 8, 12, 60] * 3
    plan = mlsem.plan(clusters=12, size=sizes, icc=0.1, effect=1.0, by="formula")
    information = np.array([1 / (0.1 + 0.9 / n) for n in sizes])
    assert plan.se == pytest.approx(np.sqrt(4 / information.sum()))
    equal = mlsem.plan(clusters=12, size=20, icc=0.1, effect=0.5)
    uneven = mlsem.plan(clusters=12, size=20, cv=0.6, icc=0.1, effect=0.5)
    usual = np.sqrt(4 * (0.1 * (1 + 0.6**2) + 0.9 / 20) / 12)
    assert equal.se < uneven.se < usual
    assert uneven.df < equal.df


def test_the_gamma_of_sizes() -> None:
    drawn = Sizes(20, 0.6).drawn(np.random.default_rng(1), 200_000)
    values = Sizes(20, 0.6).values
    assert values.mean() == pytest.approx(drawn.mean(), rel=0.01)
    assert values.std() == pytest.approx(drawn.std(), rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(0.6, rel=0.02)


@pytest.mark.parametrize("what", ["effect", "clusters", "size", "power"])
@pytest.mark.parametrize("control", [None, 0.3])
def test_each_answer_gives_the_others_back(what: str, control: float | None) -> None:
    known = {"clusters": 30, "size": 20, "effect": 0.2}
    rest = {"icc": 0.05, "cv": 0.3, "control": control, "by": "formula"}
    known["power"] = mlsem.plan(**known, **rest).power
    asked = {name: value for name, value in known.items() if name != what}
    assert getattr(mlsem.plan(**asked, **rest), what) == pytest.approx(known[what], rel=1e-6)


# --- rows randomised within clusters --------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "power"),
    [
        ({"clusters": 20, "size": 15, "icc": 0.17, "effect": 0.366, "effect_sd": 0.085**0.5}, 0.80),
        ({"clusters": 30, "size": 10, "icc": 0.2, "effect": 0.3}, 0.8016),
        ({"clusters": 50, "size": 20, "icc": 0.2, "effect": 0.2, "effect_sd": 0.1**0.5}, 0.776),
    ],
)
def test_multisite_trials_have_the_power_that_powerup_says(asked: dict, power: float) -> None:
    """PowerUpR's bira2: its manual, and values that are published of it."""
    plan = mlsem.plan(**asked, randomised="rows")
    assert plan.power == pytest.approx(power, abs=6e-5 if power != 0.8 else 1e-3)


def test_rows_within_equal_clusters_are_dong_and_maynards() -> None:
    asked = {"clusters": 16, "size": 12, "icc": 0.2, "treated": 0.3, "effect": 0.4}
    plan = mlsem.plan(
        **asked, effect_sd=0.25, r2=(0.4, 0.6), covariates=2, randomised="rows", by="formula"
    )
    rows = 0.8 * 0.6 / (0.3 * 0.7 * 16 * 12)
    assert plan.se == pytest.approx(np.sqrt(rows + 0.25**2 * 0.4 / 16), rel=1e-12)
    assert plan.df == pytest.approx(13, rel=1e-12)
    assert plan.power == pytest.approx(_power(0.4 / plan.se, 13), abs=1e-7)
    constant = mlsem.plan(**asked, randomised="rows")
    assert constant.design_effect == pytest.approx(0.8, rel=1e-12)


def test_effects_of_clusters_are_weighed_by_their_rows() -> None:
    """Var Σ n_j d_j / Σ n_j; and the degrees of freedom of CR2 for such a mean, by its matrices."""
    sizes = np.array([4, 8, 12, 30, 30, 60])
    plan = mlsem.plan(
        clusters=6, size=sizes, icc=0.1, effect=1.0, effect_sd=0.3, randomised="rows", by="formula"
    )
    shares = sizes / sizes.sum()
    own = 0.9 / (0.25 * sizes) + 0.09
    assert plan.se == pytest.approx(np.sqrt(shares**2 @ own), rel=1e-12)
    left = np.eye(6) - shares
    form = (left.T * (shares**2 / (1 - shares))) @ left / sizes
    assert plan.df == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form), abs=0.2)


@pytest.mark.parametrize("what", ["effect", "clusters", "size", "power"])
def test_each_answer_about_rows_gives_the_others_back(what: str) -> None:
    known = {"clusters": 30, "size": 20, "effect": 0.2}
    rest = {"icc": 0.05, "cv": 0.3, "effect_sd": 0.1, "randomised": "rows"}
    known["power"] = mlsem.plan(**known, **rest).power
    asked = {name: value for name, value in known.items() if name != what}
    assert getattr(mlsem.plan(**asked, **rest), what) == pytest.approx(known[what], rel=1e-6)


def test_the_least_number_is_the_least() -> None:
    plan = mlsem.plan(size=20, icc=0.1, effect=0.4, power=0.9)
    fewer = mlsem.plan(clusters=plan.clusters - 1, size=20, icc=0.1, effect=0.4)
    assert fewer.power < 0.9 <= plan.power


def test_effective_clusters_are_all_of_them_when_equal() -> None:
    trial = Trial(10, 5, Sizes(20), 1, (0.0, 0.1), (0.0, 0.0, 0.0), 0, None)
    assert trial.effective == 1.0
