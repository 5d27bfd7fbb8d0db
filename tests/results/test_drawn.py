"""The figures of a fit: what is in them is what the tables say."""

from __future__ import annotations

from io import BytesIO
from math import sqrt

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import InferenceError, OptionValueError
from mlsem.results.normality import normal_quantiles, standardized

MODEL = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
VARYING = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1'
DATA = mlsem.load_example("article")
FIT = mlsem.fit(MODEL, DATA, cluster="id")
MIXED = mlsem.lmm("y ~ w1*x1 + (x1 | id)", DATA)
UGLY = {"y": "Größe in $_% & <b>", "x1": "a very long name of a variable, " * 4, "w1": "δ_w^2"}


def rows_of(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def drawn(figure):
    """It can be drawn: no name is read as a formula, nothing warns."""
    target = BytesIO()
    figure.savefig(target, dpi=25)
    return target.getvalue().startswith(b"\x89PNG")


def spans(ax, colour_of_series=0):
    """Of the intervals of one series from above: the two ends."""
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_label()[0] == "_"]
    colours = list(dict.fromkeys(line.get_color() for line in lines))[1:]  # less the line at 0
    own = [line for line in lines if line.get_color() == colours[colour_of_series]]
    return [tuple(line.get_xdata()) for line in own]


# --- coefficients ---------------------------------------------------------------------------------


def test_intervals_are_those_of_conf_int():
    cr2 = FIT.with_se("CR2")
    figure = FIT.plot_coefficients(cr2)
    names = ["y~x1", "y~w1:x1", "y~w1.l2"]
    for k, fit in enumerate((FIT, cr2)):
        np.testing.assert_allclose(spans(figure.axes[0], k), fit.conf_int(parameters=names))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["standard", "CR2"]


def test_no_interval_is_named_where_there_is_none():
    bare = mlsem.fit(MODEL, DATA, cluster="id", se="none").plot_coefficients()
    assert bare.axes[0].get_xlabel() == "estimate"
    with pytest.warns(mlsem.ConvergenceWarning):
        stopped = mlsem.fit(MODEL, DATA, cluster="id", max_iter=1)
    assert "did not converge" in stopped.plot_coefficients().axes[0].get_xlabel()


def test_a_path_is_the_same_in_fits_of_different_kinds():
    """Fixed, the mean of a random slope, or in lme4's language."""
    varying = mlsem.fit(VARYING, DATA, cluster="id")
    fits = {"fixed": FIT, "varying": varying, "lmm": MIXED}
    figure = mlsem.plot_coefficients(fits)
    assert rows_of(figure) == ["level 1", "y~x1", "y~w1:x1", "level 2", "y~w1.l2"]
    np.testing.assert_allclose(
        spans(figure.axes[0], 2), MIXED.conf_int(parameters=["x1", "w1:x1", "w1"])
    )
    means = varying.conf_int(parameters=["s~1.l2", "s~w1.l2", "y~w1.l2"])
    np.testing.assert_allclose(spans(figure.axes[0], 1), means)


def test_kinds_and_definitions_can_be_asked_for():
    fit = mlsem.fit("y ~ a*x1 + b*w1; diff := a - b", DATA, se="CR2", se_cluster="id")
    assert rows_of(fit.plot_coefficients(parameters=[":=", "a"])) == ["diff", "a"]
    assert rows_of(fit.plot_coefficients(parameters="~~")) == ["y~~y"]
    with pytest.raises(OptionValueError, match="no fit has a free parameter 'y~x2'"):
        FIT.plot_coefficients(parameters="y~x2")
    with pytest.raises(OptionValueError, match="fit 2 is a str"):
        FIT.plot_coefficients("CR2")
    with pytest.raises(OptionValueError, match="a name for each of the 2 fits"):
        FIT.plot_coefficients(MIXED, names=["one"])


def test_many_parameters_make_a_tall_figure():
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(300, 61)), columns=[f"v{k}" for k in range(61)])
    fit = mlsem.fit("v0 ~ " + " + ".join(f"v{k}" for k in range(1, 61)), data)
    figure = fit.plot_coefficients()
    assert len(rows_of(figure)) == 60
    assert figure.get_size_inches()[1] > 60 * 0.2


# --- random effects -------------------------------------------------------------------------------


def test_a_caterpillar_is_sorted_and_has_posterior_intervals():
    figure = MIXED.plot_random_effects()
    effects = MIXED.random_effects()
    for ax, name in zip(figure.axes, ["(Intercept)", "x1"], strict=True):
        order = effects[name].sort_values(kind="stable")
        assert [text.get_text() for text in ax.get_yticklabels()] == [str(k) for k in order.index]
        segments = ax.collections[0].get_segments()
        wide = np.array([piece[1, 0] - piece[0, 0] for piece in segments])
        se = effects.loc[order.index, f"{name}_se"].to_numpy()
        np.testing.assert_allclose(wide, 2 * 1.959964 * se, rtol=1e-6)


def test_effects_of_groups_have_panels_of_their_own():
    data = DATA.assign(half=np.where(DATA.id % 2 == 0, "even", "odd"))
    fit = mlsem.fit(MODEL, data, cluster="id", group="half", se="none")
    titles = [ax.get_title(loc="left") for ax in fit.plot_random_effects().axes]
    assert titles == ["even: intercept of y", "odd: intercept of y"]
    one = fit.plot_random_effects("y", group="odd", labels={"y": "Achievement"})
    assert [ax.get_title(loc="left") for ax in one.axes] == ["odd: intercept of Achievement"]
    with pytest.raises(OptionValueError, match="no random effect 'x1'"):
        fit.plot_random_effects("x1")
    with pytest.raises(InferenceError, match="one level"):
        mlsem.fit("y ~ x1", DATA).plot_random_effects()


# --- residuals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [12, 60, 900, pytest.param(4000, marks=pytest.mark.slow)])
def test_the_envelope_holds_normal_samples_as_a_whole(count):
    """19 of 20 lie in it everywhere."""
    rng = np.random.default_rng(8)
    draws = (standardized(rng.normal(size=count)) for _ in range(400))
    inside = np.mean([not len(normal_quantiles(sample, 0.95).outside) for sample in draws])
    assert inside == pytest.approx(0.95, abs=3.5 * sqrt(0.95 * 0.05 * (1 / 400 + 1 / 500)))


def test_residuals_are_what_predict_leaves():
    figure = MIXED.plot_residuals(DATA)
    fitted = MIXED.predict(DATA)["y"].to_numpy()
    points = np.asarray(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(points[:, 0], fitted)
    np.testing.assert_allclose(points[:, 1], standardized(DATA.y.to_numpy() - fitted))


def test_random_effects_are_standardized_by_their_own_deviations():
    """Clusters of 2 and of 40 rows are shrunk to the mean by different shares."""
    rng = np.random.default_rng(6)
    sizes = np.tile([2, 40], 150)
    data = pd.DataFrame({"id": np.repeat(np.arange(300), sizes)})
    data["y"] = rng.normal(size=300)[data.id] + rng.normal(size=len(data)) * 1.5
    fit = mlsem.lmm("y ~ 1 + (1 | id)", data)
    ax = fit.plot_residuals().axes[0]
    values = np.concatenate([np.asarray(c.get_offsets())[:, 1] for c in ax.collections[1:]])
    effects = fit.random_effects()["(Intercept)"].to_numpy()
    assert effects[sizes == 2].std() < 0.8 * effects[sizes == 40].std()
    small, large = effects[sizes == 2], effects[sizes == 40]
    expected = np.concatenate((small / small.std(), large / large.std()))
    assert np.abs(np.sort(values) - np.sort(expected))[10:-10].max() < 0.15


def test_an_outlier_is_named():
    data = DATA.copy()
    data.loc[7, "y"] += 15.0
    figure = mlsem.lmm("y ~ w1*x1 + (1 | id)", data).plot_residuals(data)
    assert "7" in [text.get_text() for text in figure.axes[1].texts]


def test_residuals_need_rows_or_clusters():
    fit = mlsem.fit("y ~ x1", DATA)
    with pytest.raises(InferenceError, match="pass data="):
        fit.plot_residuals()
    assert len(fit.plot_residuals(DATA).axes) == 2
    with pytest.raises(OptionValueError, match="no outcome 'x1'"):
        fit.plot_residuals(DATA, outcomes="x1")


# --- profiles, draws, influence -------------------------------------------------------------------


def test_a_profile_ends_in_the_limits_of_conf_int():
    fit = mlsem.fit(MODEL, DATA, cluster="id")
    left, right = fit.plot_profile("y~~y.l2").axes
    lower, upper = fit.conf_int(ci="profile", parameters="y~~y.l2").iloc[0]
    curve = next(line for line in left.lines if line.get_label() == "profile likelihood")
    critical = left.lines[1].get_ydata()[0]
    at = np.interp([lower, upper], curve.get_xdata(), curve.get_ydata())
    np.testing.assert_allclose(at, [-critical, critical], atol=0.03)
    assert right.lines[0].get_ydata().max() == pytest.approx(1.0)
    with pytest.raises(OptionValueError, match="profiles are those of variances"):
        fit.plot_profile("y~x1")


def test_draws_have_their_estimate_and_interval():
    boot = FIT.bootstrap(draws=199, seed=3)
    ax = boot.plot("y~x1", level=0.9).axes[0]
    upright = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert upright == pytest.approx([*boot.conf_int(0.9).loc["y~x1"], FIT.params["y~x1"]])
    heights, edges, _ = ax.patches[0].get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(1.0)


def test_influence_has_a_mark_for_each_cluster():
    found = FIT.cluster_diagnostics()
    ax = found.plot_influence("y~x1").axes[0]
    marks = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "None"]
    assert sorted(np.concatenate(marks)) == pytest.approx(sorted(found.influence["y~x1"]))
    assert all(abs(x) > 2 / sqrt(50) for x in marks[1])


# --- words of users -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw",
    [
        lambda: FIT.plot_coefficients(MIXED, labels=UGLY, names=["$a_b", "<i>&"]),
        lambda: MIXED.plot_random_effects(labels=UGLY),
        lambda: MIXED.plot_residuals(DATA, labels=UGLY),
        lambda: FIT.plot_interaction("x1", "w1", labels=UGLY),
        lambda: FIT.plot_interaction("x1", "w1", "johnson-neyman", labels=UGLY, data=DATA),
        lambda: FIT.cluster_diagnostics().plot(labels=UGLY),
        lambda: FIT.cluster_diagnostics().plot_influence(labels=UGLY),
        lambda: FIT.bootstrap(draws=59, seed=1).plot(labels=UGLY),
        lambda: FIT.compare_se(draws=0).plot(labels=UGLY),
        lambda: FIT.plot_profile("y~~y.l2", labels=UGLY),
    ],
)
def test_no_word_of_a_user_is_a_formula(draw):
    assert drawn(draw())
