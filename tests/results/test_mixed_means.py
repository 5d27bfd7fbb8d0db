"""Marginal means, slopes and contrasts of mixed models: emmeans' numbers, and identities."""

from __future__ import annotations

import json
import pickle
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtr

import mlsem
from mlsem.errors import InferenceError, OptionValueError
from mlsem.results.mixed.multiplicity import range_quantile, range_tail

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning")
FOLDER = Path(__file__).parents[1] / "reference"
R: Any = json.loads((FOLDER / "emmeans.json").read_text("utf-8"))
KINDS = {
    "satterthwaite": ("standard", "satterthwaite"),
    "kenward-roger": ("standard", "kenward-roger"),
    "CR2": ("CR2", None),
}


@cache
def data_of(name: str) -> pd.DataFrame:
    case = R["fits"][name]
    data = pd.read_csv(FOLDER / "data" / f"{case['data']}.csv")
    data = data.drop(index=[k - 1 for k in case.get("take", [])]).reset_index(drop=True)
    for column in data.columns:  # R's read.csv takes all words for factors
        if not pd.api.types.is_numeric_dtype(data[column]):
            data[column] = data[column].astype(object)
    return data


@cache
def fit_of(name: str, kind: str) -> Any:
    fit = mlsem.lmm(R["fits"][name]["formula"], data_of(name), missing="listwise")
    se, df = KINDS[kind]
    return fit.with_se(se, df=df)  # type: ignore[arg-type]


def asked(question: dict[str, Any], kind: str) -> Any:
    fit, spec = fit_of(question["fit"], kind), question["spec"]
    how = {name: question[name] for name in ("by", "at", "weights") if name in question}
    if "trend" in question:
        return fit.marginal_slopes(question["trend"], spec, **how)
    return fit.marginal_means(spec, **how)


def numbers(values: Any) -> np.ndarray:
    several = values if isinstance(values, list) else [values]
    return np.array([np.nan if each is None else each for each in several], dtype=float)


def name_of(question: dict[str, Any]) -> str:
    return " ".join(str(value) for key, value in question.items() if key not in KINDS)


CASES = [(q, kind) for q, kind in product(R["questions"], KINDS) if kind in q]


@pytest.mark.parametrize(
    ("question", "kind"), CASES, ids=[f"{name_of(q)} {kind}" for q, kind in CASES]
)
def test_as_emmeans(question: dict[str, Any], kind: str) -> None:
    wanted, frame = question[kind], asked(question, kind).frame
    for name, values in wanted["labels"].items():
        several = values if isinstance(values, list) else [values]
        found = [f"{each:g}" if isinstance(each, float) else each for each in frame[name]]
        assert found == several
    scale = np.nanmean(numbers(wanted["se"]))
    np.testing.assert_allclose(frame["estimate"], numbers(wanted["estimate"]), atol=1e-6 * scale)
    np.testing.assert_allclose(frame["se"], numbers(wanted["se"]), rtol=1e-6)
    np.testing.assert_allclose(frame["df"], numbers(wanted["df"]), rtol=1e-6)
    for side in ("lower", "upper"):
        np.testing.assert_allclose(frame[side], numbers(wanted[side]), atol=2e-6 * scale)


PAIRED = [(q, kind) for q, kind in CASES if "pairs" in q[kind]]


@pytest.mark.parametrize(
    ("question", "kind"), PAIRED, ids=[f"{name_of(q)} {kind}" for q, kind in PAIRED]
)
def test_pairs_as_emmeans(question: dict[str, Any], kind: str) -> None:
    means = asked(question, kind)
    for adjust in (None, "tukey", "sidak"):
        wanted = question[kind]["pairs"][adjust or "none"]
        frame = means.pairs(adjust).frame
        labels = wanted["labels"]["contrast"]
        assert frame["contrast"].tolist() == (labels if isinstance(labels, list) else [labels])
        np.testing.assert_allclose(frame["statistic"], numbers(wanted["t"]), rtol=1e-6, atol=1e-6)
        # R's ptukey is exact to 1e-4 where degrees of freedom are few
        loose = 1e-4 if adjust == "tukey" else 1e-6
        np.testing.assert_allclose(frame["pvalue"], numbers(wanted["p"]), atol=loose)
        scale = np.nanmean(numbers(wanted["se"]))
        for side in ("lower", "upper"):
            np.testing.assert_allclose(frame[side], numbers(wanted[side]), atol=1e-3 * scale)


def test_the_studentized_range() -> None:
    wanted = iter(R["tukey"]["upper"])
    for q, means, df in product(R["tukey"]["q"], R["tukey"]["means"], R["tukey"]["df"]):
        assert range_tail(q, means, float(df)) == pytest.approx(
            next(wanted), abs=2e-4 if float(df) < 5 else 1e-7
        )
    for df in (1.0, 2.0, 7.7, 1e4):  # the range of two is √2 |t|
        t = 1.9
        assert range_tail(np.sqrt(2.0) * t, 2, df) == pytest.approx(2 * stdtr(df, -t), abs=1e-9)
    assert range_tail(range_quantile(0.05, 6, 11.3), 6, 11.3) == pytest.approx(0.05, abs=1e-9)


def test_a_contrast_is_a_difference_of_means() -> None:
    fit = fit_of("two_slopes", "kenward-roger")
    pairs = fit.marginal_means("f").pairs(None).frame
    single = fit.contrast("f = a - f = c").frame
    for name in ("estimate", "se", "df", "pvalue", "lower"):
        assert single[name][0] == pytest.approx(pairs[name][1], rel=1e-12)
    again = fit.contrast({"f": "a"}, {"f": "c"}).frame
    pd.testing.assert_frame_equal(again.drop(columns="contrast"), single.drop(columns="contrast"))
    slope = fit.contrast("f=b, x1 = -1e0 - f=b & x1 = -2").frame
    trend = fit.marginal_slopes("x1", "f").frame
    assert slope["estimate"][0] == pytest.approx(trend["estimate"][1], rel=1e-9)
    assert slope["df"][0] == pytest.approx(trend["df"][1], rel=1e-9)
    several = fit.contrast(["f = a - f = b", "f = a - f = c", "f = b - f = c"], adjust="holm")
    p = fit.marginal_means("f").pairs(None).frame["pvalue"].to_numpy()
    holm = fit.marginal_means("f").pairs("holm").frame["pvalue"]
    np.testing.assert_allclose(several.frame["pvalue"], holm)
    assert holm.min() == pytest.approx(min(1.0, 3 * p.min()))


def test_a_wald_test_says_the_same() -> None:
    fit = fit_of("machines", "satterthwaite")
    means = fit.marginal_means("Machine")
    row = means.pairs(None).frame.iloc[2]
    matrix = np.zeros((1, len(fit.params)))
    matrix[0, :3] = means.pairs(None).weights[2]
    test = fit.wald_test(matrix)
    assert row["statistic"] ** 2 == pytest.approx(test.statistic)
    assert row["pvalue"] == pytest.approx(test.pvalue)


def test_z_tests_and_levels() -> None:
    fit = fit_of("machines", "satterthwaite").with_se("standard", test="z")
    frame = fit.marginal_means("Machine", level=0.9).frame
    assert np.isinf(frame["df"]).all()
    half = (frame["upper"] - frame["lower"]) / 2
    np.testing.assert_allclose(half, 1.6448536 * frame["se"], rtol=1e-6)
    assert "normal distribution" in str(fit.marginal_means("Machine"))


def test_logical_columns_and_two_values() -> None:
    """A covariate of two values counts as a factor, as in emmeans."""
    data = data_of("two").dropna().assign(flag=lambda d: d["x1"] > 2, two=lambda d: d["t"] % 2 + 3)
    fit = mlsem.lmm("y ~ flag + two + factor(t > 3) + (1 | id)", data)
    means = fit.marginal_means("flag").frame
    assert means["flag"].tolist() == [False, True]
    assert fit.contrast("flag = TRUE - flag = FALSE").frame["estimate"][0] == pytest.approx(
        fit.params["flag"]
    )
    b, at_t = fit.params, data["t"].mean() > 3
    wanted = b["(Intercept)"] + 3.5 * b["two"] + at_t * b["factor(t > 3)TRUE"]
    assert means["estimate"][0] == pytest.approx(wanted)


def test_results_print_and_travel() -> None:
    fit = fit_of("two", "satterthwaite")
    for result in (
        fit.marginal_means("f*sex"),
        fit.marginal_slopes("x1"),
        fit.marginal_means("f", by="sex").pairs(),
        fit.contrast("f = a - f = b"),
    ):
        again = pickle.loads(pickle.dumps(result))
        assert str(again) == str(result)
        assert result._repr_html_().count("<tr>") >= len(result.frame)
    text = " ".join(str(fit.marginal_means("f", weights="proportional")).split())
    assert "Averaged over sex with the weights of the data. Held: x1 at its mean 2.0" in text
    assert "Tukey's, for all pairs of 3 means" in str(fit.marginal_means("f").pairs())


def test_signs_of_markup_are_escaped() -> None:
    data = data_of("machines").assign(Machine=lambda d: d["Machine"].map("<b>{}&\x1b".format))
    means = mlsem.lmm("score ~ Machine + (1 | Worker)", data).marginal_means("Machine")
    assert "<b>A" not in means._repr_html_()
    assert "\x1b" not in str(means) + means.pairs()._repr_html_()
    assert "&lt;b&gt;A&amp;" in means._repr_html_()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda fit: fit.marginal_means("F"), r"'F' is no column.*Did you mean 'f'"),
        (lambda fit: fit.marginal_means("fb"), "made of"),
        (
            lambda fit: fit.marginal_means([]),
            "variables is empty: name one of 'f'.*columns of the data",
        ),
        (lambda fit: fit.marginal_means("f", weights="cells"), "weights='cells'.*'proportional'"),
        (lambda fit: fit.marginal_means("f", at={"sex": "femal"}), "no level 'femal'.*'female'"),
        (lambda fit: fit.marginal_means("f", at={"x1": "much"}), "is a number"),
        (lambda fit: fit.marginal_means("f", at={"x1": []}), "no values"),
        (lambda fit: fit.marginal_means("f", at=[1]), "takes values by column"),
        (lambda fit: fit.marginal_means("f", level=95), "between 0 and 1"),
        (lambda fit: fit.marginal_slopes("f"), "no column of numbers"),
        (lambda fit: fit.contrast("x1 = 1"), "a minus sign"),
        (lambda fit: fit.contrast("x1 - x2"), "such as x = 1"),
        (lambda fit: fit.contrast("x1 = 1 - x1 = 0 - x1 = 2"), "the end should stand"),
        (lambda fit: fit.contrast("x1 = 1, x1 = 2 - x1 = 0"), "twice"),
        (lambda fit: fit.contrast({"x1": 1}), "second one"),
        (lambda fit: fit.contrast("x1 = 1 - x1 = 0", {"x1": 1}), "both sides"),
        (lambda fit: fit.contrast(["x1=1 - x1=0"], adjust="tukey"), "adjust='tukey'"),
        (lambda fit: fit.contrast("f = a - f = z"), "no level 'z'"),
    ],
)
def test_what_cannot_be_asked(call: Any, words: str) -> None:
    with pytest.raises(OptionValueError, match=words):
        call(fit_of("two", "satterthwaite"))


def test_one_mean_has_no_pairs() -> None:
    with pytest.raises(InferenceError, match="nothing to compare"):
        fit_of("two", "satterthwaite").marginal_slopes("x1").pairs()
