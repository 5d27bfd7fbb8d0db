"""Steps of measurement invariance: what they fit, what they say, what they refuse."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from grouped import demo_groups, reference

import mlsem
from mlsem.inference.invariance.cutoffs import Changes, rules
from mlsem.results.invariance import words
from mlsem.results.invariance.steps import StepChange

pytestmark = pytest.mark.filterwarnings("ignore:.*negative variance:mlsem.EstimationWarning")

MODEL = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
FACTOR = "f =~ y1 + y2 + y3 + y4"


def _drawn(groups: str = "abc", size: int = 200, shift: float = 0.8) -> pd.DataFrame:
    """One factor in classes of 20; in group b the intercept of y2 is `shift` more."""
    generator = np.random.default_rng(1)
    frames = []
    for k, label in enumerate(groups):
        factor = 0.3 * k + generator.normal(size=size)
        values = factor[:, None] * [1.0, 0.8, 0.9, 0.7] + 0.6 * generator.normal(size=(size, 4))
        values[:, 1] += shift * (label == "b")
        frame = pd.DataFrame(values, columns=["y1", "y2", "y3", "y4"])
        frames.append(frame.assign(g=label, klass=[f"{label}{i // 20}" for i in range(size)]))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def found() -> mlsem.Invariance:
    return mlsem.invariance(MODEL, demo_groups(), group="g", cluster="cluster", estimator="MLR")


@pytest.fixture(scope="module")
def shifted() -> mlsem.Invariance:
    return mlsem.invariance(FACTOR, _drawn(), group="g", steps=["configural", "metric", "scalar"])


def test_steps_are_the_fits_that_lavaan_makes(found) -> None:
    cases = reference("groups.json")
    known = {
        "configural": cases["cases"]["configural"],
        "metric": cases["cases"]["metric"],
        "scalar": cases["cases_free_means"]["scalar"],
        "strict": cases["cases_free_means"]["strict"],
    }
    assert found.steps == (*known, "means")
    for step, case in known.items():
        assert found.fits[step].loglik == pytest.approx(case["logl"], abs=2e-4)
    assert found.table["npar"].tolist() == [30, 26, 24, 18, 17]
    assert found.table["df"].tolist() == [0, 4, 6, 12, 13]
    assert found.differences["df"].tolist() == [4, 2, 6, 1]


def test_of_one_level_fit_and_score_tests_are_those_of_lavaan() -> None:
    known = reference("invariance.json")
    found = mlsem.invariance(FACTOR, demo_groups(), group="g")
    for step, measures in known["steps"].items():
        own = found.table.loc[step]
        assert own["loglik"] == pytest.approx(measures["logl"], abs=1e-6)
        for name in ("chisq", "df", "cfi", "rmsea", "srmr", "npar"):
            assert own[name] == pytest.approx(measures[name], abs=2e-5)
    worst = found.worst("scalar").set_index("parameter")["mi"]
    assert len(worst) == 4
    for name, index in worst.items():
        assert index == pytest.approx(known["score"][name], abs=2e-4)


def test_tables_agree_with_the_fits(found) -> None:
    table, differences = found.table, found.differences.set_index("step")
    compared = mlsem.compare(found.fits).table
    assert np.allclose(table[compared.columns], compared, equal_nan=True)
    for name in ("cfi", "rmsea", "srmr_within", "srmr_between"):
        change = table.loc["strict", name] - table.loc["scalar", name]
        assert differences.loc["strict", f"d_{name}"] == pytest.approx(change)
    scaled = mlsem.lr_test(found.fits["metric"], found.fits["configural"])
    assert differences.loc["metric", "chisq"] == pytest.approx(scaled.statistic, rel=1e-6)
    score = mlsem.lr_test(found.fits["metric"], found.fits["configural"], method="score")
    assert differences.loc["metric", "score"] == pytest.approx(score.statistic, rel=1e-6)


def test_what_differs_is_found_and_hurts_most(shifted) -> None:
    changes = shifted.differences.set_index("step")
    assert changes.loc["metric", "score_pvalue"] > 0.05
    assert changes.loc["scalar", "score_pvalue"] < 1e-6
    assert "do not hold" in shifted.verdict[1]
    assert "nothing speaks against equal loadings" in shifted.verdict[0]
    worst = shifted.worst()
    assert worst.loc[0, ["parameter", "group"]].tolist() == ["y2~1", "b"]
    assert worst.loc[0, "epc"] == pytest.approx(0.8, abs=0.25)
    assert worst.loc[0, "interest"] == "f~1.g2"
    assert set(worst["group"]) == {"a", "b", "c"}
    # given up, it is the change that was expected
    free = mlsem.invariance(FACTOR, _drawn(), group="g", steps=["scalar"], partial=["y2~1"]).fits[
        "scalar"
    ]
    moved = free.params["f~1.g2"] - shifted.fits["scalar"].params["f~1.g2"]
    assert worst.loc[0, "change"] * moved > 0
    interest = shifted.epc_interest("scalar", interest="f~1.g2")
    assert len(interest) == len(worst)
    row = interest[(interest.parameter == "y2~1") & (interest.group == "b")].iloc[0]
    assert row["expected"] == pytest.approx(row["est"] + row["change"])
    assert row["change"] == pytest.approx(worst.loc[0, "change"])


def test_partial_invariance_stays_free_in_all_steps() -> None:
    found = mlsem.invariance(
        FACTOR,
        _drawn(),
        group="g",
        partial="y2~1",
        steps=["configural", "metric", "scalar", "lv.variances"],
    )
    fit = found.fits["scalar"]
    assert {"y2~1", "y2~1.g2", "y2~1.g3"} <= set(fit.table.names)
    assert found.equal["lv.variances"] == ("loadings", "intercepts", "lv.variances")
    assert (found.differences["score_pvalue"] > 0.001).all()


def test_levels_may_be_equal_too() -> None:
    data = demo_groups()
    found = mlsem.invariance(MODEL, data, group="g", cluster="cluster", cross_level=True)
    assert found.steps[:3] == ("configural", "metric", "cross-level")
    text = MODEL.replace("y2 + y3", "a*y2 + b*y3")
    by_label = mlsem.fit(text, data, "cluster", group="g")
    assert found.fits["cross-level"].loglik == pytest.approx(by_label.loglik, abs=1e-7)
    named = mlsem.invariance(
        MODEL,
        data,
        group="g",
        cluster="cluster",
        steps={"free": [], "levels": ["levels"], "all": ["loadings"]},
    )
    assert named.fits["all"].loglik == pytest.approx(by_label.loglik, abs=1e-7)
    assert named.fits["levels"].n_params == 26


def test_alignment_of_the_first_step() -> None:
    found = mlsem.invariance(
        FACTOR, _drawn(), group="g", steps=["configural"], alignment={"reference": "c"}
    )
    assert found.alignment is not None
    assert found.alignment.reference == "c"
    row = found.alignment.invariance.set_index(["item", "parameter"]).loc[("y2", "intercept")]
    assert row["noninvariant"] == ("b",)
    assert found.differences.empty


def test_few_clusters_are_said(found) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        few = mlsem.invariance(
            FACTOR, _drawn("ab"), group="g", cluster="klass", se="CR2", steps=["metric", "scalar"]
        )
    assert any("has 10 clusters" in note and "score tests" in note for note in few.notes)
    assert not any("clusters. With fewer" in note for note in found.notes)


def _change(added: tuple[str, ...], changes: dict[str, float], pvalue: float) -> StepChange:
    class Score:
        def __init__(self) -> None:
            self.pvalue = pvalue

    return StepChange(
        "x",
        "y",
        added,
        3,
        1.0,
        0.5,
        None,
        Score(),
        changes,
        object(),
        (),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("pvalue", "cfi", "rmsea", "said"),
    [
        (0.5, -0.002, 0.001, "nothing speaks against"),
        (0.01, -0.002, 0.001, "do not hold exactly"),
        (0.01, -0.012, 0.016, "do not hold: "),
        (0.5, -0.012, 0.016, "doubtful"),
    ],
)
def test_verdicts(pvalue, cfi, rmsea, said) -> None:
    change = _change(("loadings",), {"cfi": cfi, "rmsea": rmsea}, pvalue)
    assert said in words.verdict(change, 1000, 2)


def test_cut_offs_as_published() -> None:
    chen, cheung = rules("loadings", 301, 2)
    assert chen.exceeded(Changes(-0.010, 0.015, 0.0))
    assert chen.exceeded(Changes(-0.010, 0.0, 0.030))
    assert not chen.exceeded(Changes(-0.010, 0.014, 0.029))
    assert not chen.exceeded(Changes(-0.009, 0.020, 0.040))
    assert cheung.exceeded(Changes(-0.011, np.nan, np.nan))
    assert cheung.exceeded(Changes(np.nan, np.nan, np.nan)) is None
    small, _ = rules("intercepts", 300, 2)
    assert small.exceeded(Changes(-0.005, 0.0, 0.005))
    assert not small.exceeded(Changes(-0.004, 0.5, 0.5))
    *_, many = rules("loadings", 5000, 10)
    assert many.source.startswith("Rutkowski")
    assert not many.exceeded(Changes(-0.019, 0.029, 1.0))
    assert many.exceeded(Changes(-0.001, 0.031, 0.0))
    assert [rule.source for rule in rules("others", 5000, 10)] == [chen.source, cheung.source]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": "metric"}, "it takes a list"),
        ({"steps": ["metrik"]}, "Did you mean 'metric'"),
        ({"steps": []}, "empty"),
        ({"steps": [["metric"]]}, "is none of"),
        ({"steps": {"a": 3}}, "it takes a list of texts"),
        ({"partial": 3}, "partial=3"),
        ({"steps": ["metric", "configural"]}, "'configural' adds nothing to 'metric'"),
        ({"steps": ["metric", "metric"]}, "twice"),
        ({"steps": {"a": ["loading"]}}, "Did you mean 'loadings'"),
        ({"partial": ["f=~y9"]}, "group_partial: 'f=~y9'"),
        ({"alignment": "free"}, "alignment='free'"),
        ({"cross_level": 1}, "cross_level=1"),
        ({"cross_level": True}, "the model has one"),
        ({"group_equal": "loadings"}, "steps= says"),
        ({"clster": "klass"}, "Did you mean 'cluster'"),
    ],
)
def test_refusals(options, message) -> None:
    with pytest.raises(mlsem.MlsemError, match=message):
        mlsem.invariance(FACTOR, _drawn("ab"), group="g", **options)


def test_refusals_of_questions(shifted) -> None:
    with pytest.raises(mlsem.OptionValueError, match="'metric', 'scalar'"):
        shifted.worst("configural")
    with pytest.raises(mlsem.OptionValueError, match="no parameter 'f~2'"):
        shifted.worst("scalar", interest="f~2")
    with pytest.raises(mlsem.OptionValueError, match="no free loading"):
        shifted.plot("f=~y1")


def test_shows_itself(found, shifted) -> None:
    text = str(found)
    for words_ in ("Measurement invariance", "ΔCFI", "Chen (2007)", "score test", "SRMR b"):
        assert words_ in text
    assert "<table>" in found._repr_html_()
    pytest.importorskip("matplotlib")
    figure = shifted.plot(["f=~y2", "y2~1"])
    axes = [ax for part in figure.subfigs for ax in part.axes]
    assert len(axes) == 2 + len(
        [name for name in ("cfi", "rmsea", "srmr") if name in shifted.table]
    )
