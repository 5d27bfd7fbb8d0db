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
from mlsem.planning.simulated import Found

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
        ({"control": 0.3, "covariates": 1, "by": "simulation"}, "without covariates"),
        ({"replications": 10}, "from 100"),
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


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "power.png"
    asked = ["plan", "--clusters", "12", "--size", "20", "--icc", "0.1", "--r2", "0.3,0.5"]
    assert main([*asked, "--treated", "0.5", "--figure", str(figure)]) == OK
    plan = mlsem.plan(**TRIAL, r2=(0.3, 0.5))
    assert capsys.readouterr().out == str(plan)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert main([*asked, "--figure", str(figure)]) == FAILED
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
    ],
)
def test_formulas_are_what_simulated_trials_find(trial: dict[str, Any]) -> None:
    """Within Monte Carlo error and the 3 points that estimated variances cost."""
    asked = {"size": 20, "icc": 0.1} | trial
    plan = mlsem.plan(**asked, power=0.8, by="formula")
    found = mlsem.plan(**asked, effect=plan.effect, by="simulation", replications=600)
    assert abs(found.power - 0.8) < 0.03 + 2.6 * np.sqrt(0.16 / 600)
