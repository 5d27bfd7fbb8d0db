"""`mlsem.plan`: what it answers, refuses and shows; simulated trials."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlsem
from mlsem.cli.main import FAILED, OK, USAGE, main
from mlsem.errors import OptionValueError
from mlsem.planning.simulated import Found, _Generator

TRIAL: dict[str, Any] = {"clusters": 12, "size": 20, "icc": 0.1}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"power": 0.8, "effect": 0.3}, "all given"),
        ({"clusters": None}, "'clusters', 'effect' are not given"),
        ({"clusters": 3}, "clusters=3: it takes a whole number from 4"),
        ({"size": 0.5}, "size=0.5"),
        ({"size": [3, 4]}, "2 numbers, and there are 12 clusters"),
        ({"size": [20] * 12, "cv": 0.3}, "leave cv out"),
        ({"size": None, "effect": 0.1}, "stays below 0.079"),
        ({"icc": 1.2}, "icc=1.2"),
        ({"icc": (0.1, 0.2)}, "it takes one number"),
        ({"icc": 0.1, "subclusters": 3}, "two numbers"),
        ({"icc": (0.5, 0.6), "subclusters": 3}, "together"),
        ({"r2": 0.3}, "r2=0.3: it takes 2 numbers"),
        ({"r2": (0, 0.5), "covariates": 0}, "some covariate"),
        ({"treated": 12}, "treated=12"),
        ({"treated": 11}, "1 not; each arm needs 2"),
        ({"clusters": None, "effect": 0.4, "treated": 3}, "give a share"),
        ({"clusters": 6, "covariates": 4}, "less than one degree"),
        ({"control": 0.95, "power": 0.9}, "can only rise to 1"),
        ({"control": 0.3, "effect": 0.8}, "would be 1.1"),
        ({"effect": 0.0}, "not 0"),
        ({"level": 95}, "level=95"),
        ({"by": "magic"}, "by='magic'"),
        ({"control": 0.3, "effect": 0.1, "r2": (0.9, 0), "by": "simulation"}, "more than 0.5"),
        ({"replications": 10}, "from 100"),
        ({"randomised": "pupils"}, 'it takes "clusters" or "rows"'),
        ({"effect_sd": 0.1}, 'randomised="rows"'),
        ({"randomised": "rows", "treated": 3}, "share of a cluster's rows"),
        ({"randomised": "rows", "control": 0.3}, "continuous outcomes"),
        ({"randomised": "rows", "subclusters": 2, "icc": (0.1, 0.1)}, "two levels"),
        ({"randomised": "rows", "r2": (0.3, 0.5)}, "effect_sd is 0"),
        ({"randomised": "rows", "effect_sd": -1}, "effect_sd=-1"),
        ({"randomised": "rows", "clusters": 1}, "from 2"),
        ({"randomised": "rows", "clusters": 3, "cv": 2.0}, "less than one degree"),
        ({"randomised": "rows", "size": None, "effect_sd": 0.5, "effect": 0.1}, "stays below"),
    ],
)
def test_bad_input_is_told(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionValueError, match=r".*") as raised:
        mlsem.plan(**(TRIAL | changed))
    assert words in str(raised.value)


def test_few_treated_clusters_are_simulated_and_it_is_said() -> None:
    plan = mlsem.plan(**TRIAL, treated=3, effect=1.0, replications=100, seed=3)
    assert (plan.by, plan.replications) == ("simulation", 100)
    assert any("An arm has 3 clusters" in note for note in plan.notes)
    assert "±" in str(plan)
    again = mlsem.plan(**TRIAL, treated=3, effect=1.0, replications=100, seed=3)
    assert again.power == plan.power
    plain = mlsem.plan(**TRIAL, treated=3, effect=1.0, by="formula")
    assert plain.by == "formula"
    assert any('by="simulation"' in note for note in plain.notes)


def test_an_effect_is_the_quantile_of_what_trials_need() -> None:
    rng = np.random.default_rng(1)
    found = Found(0.3, 0.3 + rng.normal(size=400), np.full(400, 1.0), np.full(400, 8.0), True)
    effect = found.smallest_effect(0.8, 0.95)
    assert found.power(effect + 1e-9, 0.95) >= 0.8 > found.power(effect - 1e-9, 0.95) - 0.01


def test_a_trial_without_standard_error_finds_nothing() -> None:
    est, se, df = np.array([5.0, 5.0]), np.array([1.0, np.nan]), np.array([9.0, np.nan])
    assert Found(0.0, est, se, df, True).power(0.0, 0.95) == 0.5


def test_other_cases() -> None:
    plan = mlsem.plan(**TRIAL)
    frame = plan.over(icc=[0.0, 0.1], size=[20])
    assert frame.columns.tolist() == ["icc", "size", "effect"]
    assert frame["effect"].iloc[1] == pytest.approx(plan.effect)
    with pytest.raises(OptionValueError, match="over: 'effect'"):
        plan.over(effect=[0.1])


def test_figures() -> None:
    plan = mlsem.plan(size=20, icc=0.1, effect=0.4)
    for against in ("clusters", "size", "effect"):
        (ax,) = plan.plot(against).axes
        assert ax.get_ylabel() == "Power"
    line = plan.plot("clusters").axes[0].lines[1]
    x, power = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert power[x.tolist().index(plan.clusters)] == pytest.approx(plan.power)
    with pytest.raises(OptionValueError, match="against='icc'"):
        plan.plot("icc")


def test_a_plan_pickles() -> None:
    plan = mlsem.plan(**TRIAL)
    assert str(pickle.loads(pickle.dumps(plan))) == str(plan)


def test_a_trial_within_clusters_is_shown_and_drawn() -> None:
    plan = mlsem.plan(**TRIAL, randomised="rows", effect_sd=0.2, treated=0.4, r2=(0.3, 0.5))
    text = str(plan)
    assert text.startswith("Plan of a trial within clusters\n")
    assert "SD of the effect between clusters" in text
    assert plan.treated == 0.4
    assert plan.trial.design_effect > 1.0 - plan.trial.icc
    assert len(plan.plot("clusters").axes) == 1
    assert plan.over(effect_sd=[0.1, 0.4])["effect"].is_monotonic_increasing
    few = mlsem.plan(clusters=3, size=30, icc=0.1, effect=0.5, randomised="rows", by="formula")
    assert few.thin == ("there are 3 clusters", "the test has 2.0 degrees of freedom")
    assert "There are 3 clusters" in few.notes[-1]


def test_trials_within_clusters_are_drawn_as_they_are_planned() -> None:
    """Differences between the arms of clusters vary as the formulas say."""
    plan = mlsem.plan(
        clusters=4000, size=20, icc=0.3, effect=0.5, effect_sd=0.4, treated=0.4, randomised="rows"
    )
    rows = _Generator(plan.trial, plan.effect)(np.random.default_rng(1))
    assert (rows.groupby("cluster")["treated"].sum() == 8.0).all()
    means = rows.pivot_table(index="cluster", columns="treated", values="y")
    found = means[1.0] - means[0.0]
    assert found.mean() == pytest.approx(0.5, abs=4.0 * plan.se)
    assert found.var() == pytest.approx(0.16 + 0.7 / (0.24 * 20), rel=0.06)
    assert found.std() / np.sqrt(4000) == pytest.approx(plan.se, rel=0.03)
    assert means[0.0].var() == pytest.approx(0.3 + 0.7 / 12, rel=0.06)


def test_binary_outcomes_are_drawn_with_their_covariates() -> None:
    """Risks, intraclass correlation, and what covariates explain of rows and of clusters."""
    plan = mlsem.plan(
        clusters=3000, size=30, icc=0.1, effect=0.2, control=0.3, r2=(0.3, 0.5), by="formula"
    )
    rows = _Generator(plan.trial, plan.effect)(np.random.default_rng(1))
    risks = rows.groupby("treated")["y"].mean()
    assert risks.tolist() == pytest.approx([0.3, 0.5], abs=0.01)
    control = rows.query("treated == 0")
    clusters = control.groupby("cluster")[["y", "w1"]].mean()
    within = control.groupby("cluster")["y"].var().mean()
    between = clusters["y"].var() - within / 30
    assert between / (between + within) == pytest.approx(0.1, abs=0.01)
    assert clusters.corr().loc["y", "w1"] ** 2 * clusters["y"].var() / between == pytest.approx(
        0.5, abs=0.05
    )
    deviations = rows[["y", "x"]] - rows.groupby("cluster")[["y", "x"]].transform("mean")
    assert deviations.corr().loc["y", "x"] ** 2 == pytest.approx(0.3, abs=0.03)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "power.png"
    asked = ["plan", "--clusters", "12", "--size", "20", "--icc", "0.1", "--r2", "0.3,0.5"]
    assert main([*asked, "--treated", "0.5", "--figure", str(figure)]) == OK
    plan = mlsem.plan(**TRIAL, r2=(0.3, 0.5))
    assert capsys.readouterr().out == str(plan)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert main([*asked, "--figure", str(figure)]) == FAILED
    assert main([*asked[:-2], "--randomised", "rows", "--effect-sd", "0.2"]) == OK
    within = mlsem.plan(**TRIAL, randomised="rows", effect_sd=0.2)
    assert capsys.readouterr().out == str(within)
    assert main(["plan", "--clusters", "12", "--icc", "0.1"]) == USAGE
    with pytest.raises(SystemExit):
        main(["plan", "--clusters", "12", "--size", "20", "--icc", "a"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial",
    [
        {"clusters": 12, "cv": 0.4},
        {"clusters": 20, "cv": 0.75, "r2": (0.3, 0.5)},
        {"clusters": 30, "treated": 5, "cv": 0.75},
        {"clusters": 12, "subclusters": 3, "icc": (0.05, 0.1)},
        {"clusters": 24, "control": 0.3, "icc": 0.05},
        {"clusters": 24, "control": 0.3, "icc": 0.1, "r2": (0.3, 0.5)},
        {"clusters": 12, "cv": 0.5, "effect_sd": 0.25, "randomised": "rows"},
        {"clusters": 24, "treated": 0.3, "effect_sd": 0.3, "r2": (0.3, 0.5), "randomised": "rows"},
    ],
)
def test_formulas_are_what_simulated_trials_find(trial: dict[str, Any]) -> None:
    """Within Monte Carlo error and the 3 points that estimated variances cost."""
    asked = {"size": 20, "icc": 0.1} | trial
    plan = mlsem.plan(**asked, power=0.8, by="formula")
    found = mlsem.plan(**asked, effect=plan.effect, by="simulation", replications=600)
    assert abs(found.power - 0.8) < 0.03 + 2.6 * np.sqrt(0.16 / 600)


def test_covariates_that_are_estimated_are_spoken_of():
    """By how much chance differences of a normal covariate between arms raise the variance."""
    known = {"size": 20, "icc": 0.1, "r2": (0.3, 0.5), "power": 0.8}
    few, many = mlsem.plan(clusters=16, **known), mlsem.plan(clusters=60, **known)
    assert any("about 8% larger" in note for note in few.notes)
    assert many.notes == ()
    x, arm = np.random.default_rng(1).normal(size=(40_000, 16)), np.repeat([0.5, -0.5], 8)
    x -= x.mean(axis=1, keepdims=True)
    shared = (x @ arm) ** 2 / (x**2).sum(axis=1) / (arm @ arm)
    assert few.trial.inflation(few.effect) == pytest.approx((1 / (1 - shared)).mean() - 1, rel=0.05)
