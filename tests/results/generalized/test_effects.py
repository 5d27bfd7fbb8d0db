"""Effects by standardisation: against R's, and against differences of predictions."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mlsem
from tests.results.generalized.cases import data, fitted, read

NAMES = {
    "risk1": "mean",
    "risk0": "mean",
    "difference": "difference",
    "log_ratio": "ratio",
    "log_odds_ratio": "odds ratio",
}


@pytest.mark.parametrize("case", list(read("effects.json")))
def test_effects_are_r_s(case):
    record, fit = read("effects.json")[case], fitted(case)
    for kind, wanted in record["by"].items():
        form = "residuals" if kind == "CR2" else "scores"
        again = fit.with_se(kind, se_form=form)
        frame = again.effects("trt").frame
        frame.loc[0, "effect"], frame.loc[1, "effect"] = "risk0", "risk1"
        rows = frame.set_index("effect")
        for name, one in wanted.items():
            if name == "ame_x":
                row = again.effects("x").frame.iloc[0]
            else:
                row = rows.loc[name if name.startswith("risk") else NAMES[name]]
            value = np.log(row["estimate"]) if name.startswith("log") else row["estimate"]
            assert value == pytest.approx(record["estimate"][name], rel=1e-8), name
            assert (row["se"], row["df"]) == pytest.approx((one["se"], one["df"]), rel=3e-8), name


def test_intervals_of_ratios_are_those_of_their_logarithms():
    row = fitted("logit").effects("trt", level=0.9).frame.set_index("effect").loc["ratio"]
    assert row["lower"] * row["upper"] == pytest.approx(row["estimate"] ** 2, rel=1e-10)


def test_means_are_those_of_predictions_also_by_subgroup():
    rows = data("trial")
    fit = mlsem.glm("y ~ trt * female + poly(x, 2)", rows, cluster="school")
    found = fit.effects("trt", by="female").frame
    for sex in (0, 1):
        part = rows[rows["female"] == sex]
        own = found[found["by"] == sex]["estimate"].to_numpy()
        for arm in (0, 1):
            wanted = fit.predict(part.assign(trt=arm))["predicted"].mean()
            assert own[arm] == pytest.approx(wanted, rel=1e-12)
        assert own[2] == pytest.approx(own[1] - own[0], rel=1e-12)
    assert not fit.effects("trt").notes
    assert "female varies within 12 of 12 clusters" in fit.effects("female").notes[0]


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_gradients_are_those_of_differences(link):
    rows, step = data("trial"), 1e-5
    fit = mlsem.glm("y ~ trt + poly(x, 2)", rows, cluster="school", link=link, se="CR0")
    design, _ = fit._design(None)
    mean, beta = fit.settings.records[1].mean, fit.estimates
    forward = fit._design(rows.assign(x=rows["x"] + step))[0]
    backward = fit._design(rows.assign(x=rows["x"] - step))[0]

    def slope(b):
        return float((mean(forward @ b) - mean(backward @ b)).mean()) / (2 * step)

    found = fit.effects("x").frame.iloc[0]
    assert found["estimate"] == pytest.approx(slope(beta), rel=1e-6)
    moves = np.eye(len(beta)) * 1e-5
    gradient = np.array([(slope(beta + m) - slope(beta - m)) / 2e-5 for m in moves])
    wanted = np.sqrt(gradient @ fit.vcov().to_numpy() @ gradient)
    assert found["se"] == pytest.approx(wanted, rel=1e-4)
    assert design.shape == (len(rows), 4)


def test_shares_weigh_by_their_trials():
    single, grouped = fitted("ungrouped_binomial"), fitted("grouped_binomial")
    one, other = (fit.effects("trt").frame for fit in (single, grouped))
    assert one["estimate"].to_numpy() == pytest.approx(other["estimate"].to_numpy(), rel=1e-9)
    assert one["se"].to_numpy() == pytest.approx(other["se"].to_numpy(), rel=1e-9)


def test_counterfactual_values_and_words():
    fit = fitted("logit")
    found = fit.effects("x", values=(-1, 0, 1)).frame
    assert found["contrast"].tolist()[3:5] == ["x: 0 - -1", "x: 0 / -1"]
    assert re.search(r"odds ratio +trt: 1 / 0", str(fit.effects("trt")))
    with pytest.raises(mlsem.OptionValueError, match="no column that the formula"):
        fit.effects("school")
    with pytest.raises(mlsem.DataError, match="pass data="):
        fit.effects("trt", by="hours")
    assert len(fit.effects("trt", data("trial"), by="school").frame) == 12 * 5
    with pytest.raises(mlsem.InferenceError, match="absorb"):
        fitted("fixed_effects").effects("x")


def test_exponentiated():
    fit = fitted("logit")
    table = fit.exponentiated()
    assert table["ratio"].to_numpy() == pytest.approx(np.exp(fit.params.to_numpy()))
    assert table["upper"].to_numpy() == pytest.approx(np.exp(fit.conf_int()["upper"].to_numpy()))
    with pytest.raises(mlsem.InferenceError, match="no ratio"):
        fitted("lpm").exponentiated()
