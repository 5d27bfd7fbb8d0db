"""Reliability: by hand, by identities, and the standard error of alpha in closed form."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from reference import frame
from small import DATA, FACTORS, fitted

import mlsem
from mlsem.errors import InferenceError

PLAIN = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2 + y3"


def found(fit):
    return fit.reliability().frame.set_index(["measure", "composite", "variable"])


def test_omega_by_hand():
    fit = fitted(PLAIN, se="standard")
    p, table = fit.params, found(fit)
    first, second = (
        (np.array([1, p[f"{f}=~y2{end}"], p[f"{f}=~y3{end}"]]), p[f"{f}~~{f}{end}"],
         sum(p[f"y{k}~~y{k}{end}"] for k in (1, 2, 3)))
        for f, end in (("f", ""), ("g", ".l2"))
    )  # fmt: skip
    within, between = (load.sum() ** 2 * psi for load, psi, _ in (first, second))
    sizes = DATA.groupby("id").size()
    size = len(sizes) / (1 / sizes).sum()
    assert fit.reliability().mean_size == pytest.approx(size)
    expected = {
        ("within", "f"): within / (within + first[2]),
        ("between", "g"): between / (between + second[2] + (within + first[2]) / size),
        ("latent means", "g"): between / (between + second[2]),
        ("raw", "f"): (within + between) / (within + between + first[2] + second[2]),
    }
    for (composite, factor), value in expected.items():
        assert table.at[("omega", composite, factor), "est"] == pytest.approx(value)


def test_omega_of_equal_loadings_is_alpha():
    """Two indicators with equal loadings are a saturated model, whose moments are h1's."""
    text = "level: 1\n f =~ 1*y1 + 1*y2\nlevel: 2\n g =~ 1*y1 + 1*y2"
    for se in ("standard", "MLR"):
        table = found(fitted(text, se=se))
        omega, alpha = table.loc["omega"], table.loc["alpha"]
        assert len(omega) == 4
        np.testing.assert_allclose(alpha["est"], omega["est"], rtol=1e-6)
        np.testing.assert_allclose(alpha["ci_upper"], omega["ci_upper"], rtol=0.02)
    observed = found(fitted(text, se="standard", information="observed"))
    assert (observed["se"] > 0).all()


def test_error_of_alpha_is_that_of_van_zyl():
    """Psychometrika 65 (2000), eq. 21, with normal data and N rows."""
    data = frame("demo.csv")
    names = ["y1", "y2", "y3", "y4"]
    fit = mlsem.fit("f =~ y1 + y2 + y3 + y4", data)
    row = fit.reliability().frame.set_index("measure").loc["alpha"]
    at, p, n = fit.implied().cov.to_numpy(), 4, len(data)
    total, trace = at.sum(), np.trace(at)
    variance = total * (np.trace(at @ at) + trace**2) - 2 * trace * (at @ at).sum()
    variance *= 2 * p**2 / ((p - 1) ** 2 * total**3 * n)
    sample = data[names].cov(ddof=0).to_numpy()
    value = p / (p - 1) * (1 - np.trace(sample) / sample.sum())
    assert row["est"] == pytest.approx(value, rel=1e-9)
    assert row["se"] == pytest.approx(np.sqrt(variance), rel=0.03)  # Γ at the model's moments


def test_cluster_means_by_spearman_and_brown():
    fit = fitted(FACTORS, se="standard")
    icc, size = fit.icc(), fit.reliability().mean_size
    table = fit.reliability().frame.set_index("variable")
    table = table[table["measure"] == "cluster mean"]
    expected = size * icc.icc / (1 + (size - 1) * icc.icc)
    np.testing.assert_allclose(table.loc[list(icc.variables), "est"], expected)
    slope = size / (1 + (size - 1) * icc.icc) ** 2
    np.testing.assert_allclose(table["se"], slope * icc.se, rtol=1e-5)


@pytest.mark.parametrize("model", [FACTORS, FACTORS + "\n z ~ g", "f =~ y1 + y2 + y3\n f ~ x1"])
def test_reliability_of_scores(model):
    fit = fitted(model, cluster="id" if "level" in model else None, se="standard")
    scores = found(fit).loc["scores"]
    for number, (_, name) in enumerate(scores.index, 1):
        errors = fit.predict_latent(number, data=DATA)[f"{name}_se"]
        variance = fit.inspect("cov.lv")
        variance = variance if number == 1 and "level" not in model else variance[str(number)]
        expected = 1 - (errors**2).mean() / variance.loc[name, name]
        assert scores["est"].iloc[number - 1] == pytest.approx(expected, rel=1e-9)


def test_intervals_stay_between_0_and_1():
    table = fitted(PLAIN, se="MLR").reliability(0.99).frame
    assert ((table["ci_lower"] > 0) & (table["ci_upper"] < 1)).all()
    assert ((table["ci_lower"] < table["est"]) & (table["est"] < table["ci_upper"])).all()
    assert "Harmonic mean" in str(fitted(PLAIN, se="MLR").reliability())


@pytest.mark.slow
def test_errors_agree_with_a_bootstrap():
    """Of clusters drawn with replacement, for ω of all kinds and the scores."""
    data = frame("demo.csv")
    fit = mlsem.fit(PLAIN, data, cluster="cluster", se="MLR")
    table = fit.reliability().frame
    rng = np.random.default_rng(4)
    parts = [part for _, part in data.groupby("cluster")]
    draws = []
    for _ in range(40):
        chosen = rng.integers(0, len(parts), len(parts))
        drawn = [parts[k].assign(cluster=j) for j, k in enumerate(chosen)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mlsem.MlsemWarning)
            again = mlsem.fit(PLAIN, pd.concat(drawn), cluster="cluster", se="none")
        draws.append(again.reliability().frame["est"])
    ratio = np.std(draws, axis=0) / table["se"]
    assert ((ratio > 0.65) & (ratio < 1.45)).all()


def test_models_without_factors():
    with pytest.raises(InferenceError, match="no factor"):
        mlsem.fit("y1 ~ x1", DATA).reliability()
    slope = mlsem.lmm("y1 ~ x1 + (x1 | id)", DATA)
    with pytest.raises(InferenceError, match="no factor"):
        slope.reliability()
    fit = mlsem.lmm("y1 ~ x1 + (1 | id)", DATA)
    assert list(fit.reliability().frame["measure"]) == ["cluster mean"]
