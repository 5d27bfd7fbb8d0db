"""Simple slopes: R's numbers, the model fitted with the moderator moved, and the joint tests whose
duals simultaneous intervals are."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import InferenceError, OptionValueError
from mlsem.inference.slopes.equation import Source
from mlsem.inference.slopes.regions import closed_bounds, searched_bounds
from mlsem.inference.slopes.spread import of_moments

REFERENCE = Path(__file__).parents[1] / "reference" / "slopes.json"
R = json.loads(REFERENCE.read_text("utf-8"))
ACROSS = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
VARYING = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1'
FIELDS = {
    "est": "slope",
    "se": "se",
    "df": "df",
    "p": "pvalue",
    "lower": "ci_lower",
    "upper": "ci_upper",
}
AT = [-1, 0, 0.5]


def article() -> pd.DataFrame:
    data = mlsem.load_example("article")
    return data.assign(
        z=data.w1**2 / 3 + data.x1 / 2,
        g=np.array(["a", "b", "c"])[np.arange(1, len(data) + 1) % 3],
        half=np.where(data.id % 2 == 0, "even", "odd"),
        d=np.arange(len(data)) % 7 % 2 * 3.0 + 1.0,
    )


DATA = article()


# --- R --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "formula", "df", "asked"),
    [
        ("across_satterthwaite", "y ~ w1*x1 + (x1 | id)", None, ("x1", "w1", AT)),
        ("across_kenward_roger", "y ~ w1*x1 + (x1 | id)", "kenward-roger", ("x1", "w1", AT)),
        ("factor", "y ~ g*x1 + w1 + (1 | id)", None, ("x1", "g")),
        ("averaged", "y ~ x1*z + x1*g + (1 | id)", None, ("x1", "z", [-1, 1])),
        ("square", "y ~ x1 + I(x1^2) + w1 + (1 | id)", None, ("x1", "x1", [-1, 0, 2])),
    ],
)
def test_mixed_models_have_the_numbers_of_emmeans(case, formula, df, asked):
    fit = mlsem.lmm(formula, DATA)
    fit = fit if df is None else fit.with_se("standard", df=df)
    frame = fit.simple_slopes(*asked).frame
    for theirs, ours in FIELDS.items():
        np.testing.assert_allclose(frame[ours], R[case][theirs], rtol=1e-4, err_msg=ours)


def test_bound_of_satterthwaites_intervals_is_that_of_emmeans():
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", DATA)
    bounds = fit.simple_slopes("x1", "w1").johnson_neyman.bounds
    assert bounds[-1] == pytest.approx(R["across_satterthwaite"]["bound"], rel=2e-5)


def test_two_level_models_have_the_numbers_of_lavaan():
    found = mlsem.fit(ACROSS, DATA, cluster="id").simple_slopes("x1", "w1", AT)
    np.testing.assert_allclose(found.frame["slope"], R["lavaan"]["est"], rtol=1e-4)
    np.testing.assert_allclose(found.frame["se"], R["lavaan"]["se"], rtol=1e-4)
    np.testing.assert_allclose(found.johnson_neyman.bounds, R["lavaan"]["bounds"], rtol=1e-4)


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fitted",
    [
        lambda data: mlsem.fit(ACROSS, data, cluster="id"),
        lambda data: mlsem.fit(ACROSS, data, cluster="id", se="CR2"),
        lambda data: mlsem.fit(VARYING, data, cluster="id", se="CR2"),
        lambda data: mlsem.lmm("y ~ w1*x1 + (x1 | id)", data),
        lambda data: mlsem.lmm("y ~ w1*x1 + (1 | id)", data, se="CR2"),
        lambda data: mlsem.fit("y ~ x1 + w1 + w1:x1", data),
    ],
)
def test_a_slope_is_the_coefficient_where_the_moderator_is_moved(fitted):
    """The slope at w1 = 0.7 is that of x1 in the model of w1 - 0.7."""
    at = 0.7
    frame = fitted(DATA).simple_slopes("x1", "w1", at).frame.iloc[0]
    moved = fitted(DATA.assign(w1=DATA.w1 - at))
    table = moved.parameter_estimates()
    path = (table.op == "~") & (table.rhs == "x1") & table.est.notna()
    mean = (table.op == "~1") & table.lhs.isin(["s", "x1|id"])  # of a slope that varies
    row = table[mean if mean.any() else path].iloc[0]
    for ours, theirs in {"slope": "est", "se": "se", "df": "df", "ci_upper": "ci_upper"}.items():
        assert frame[ours] == pytest.approx(row[theirs], rel=1e-6), ours


def test_intervals_end_at_zero_at_the_bounds():
    fit = mlsem.fit(ACROSS, DATA, cluster="id", se="CR2")
    for simultaneous in (False, True):
        slopes = fit.simple_slopes("x1", "w1", simultaneous=simultaneous)
        bounds = slopes.johnson_neyman.bounds
        assert len(bounds) == 2
        again = fit.simple_slopes("x1", "w1", list(bounds), simultaneous=simultaneous).frame
        np.testing.assert_allclose(again["pvalue"], 0.05, rtol=1e-6)
        np.testing.assert_allclose(again["ci_upper"][:1], 0.0, atol=1e-8)
        np.testing.assert_allclose(again["ci_lower"][1:], 0.0, atol=1e-8)


def test_search_finds_the_roots_of_the_quadratic_equation():
    rng = np.random.default_rng(4)
    met = 0
    for _ in range(60):
        b, root = rng.normal(size=2) * [1.0, 2.0], rng.normal(size=(2, 2)) * 0.5
        v, critical = root @ root.T, float(rng.uniform(1.0, 3.0))

        def excess(w, b=b, v=v, critical=critical):
            rows = np.column_stack((np.ones(len(w)), w))
            variance = np.einsum("ij,jk,ik->i", rows, v, rows)
            return rows @ b / np.sqrt(variance), np.full(len(w), critical)

        closed = closed_bounds(b, v, critical)
        if not closed or np.abs(closed).max() > 100 or np.ptp(closed) < 0.05:
            continue  # the search walks in steps of half a degree
        met += 1
        np.testing.assert_allclose(searched_bounds(excess, 0.0, 1.0), closed, rtol=1e-8)
    assert met > 30


@pytest.mark.parametrize(
    ("fit", "joint"),
    [
        (mlsem.fit(ACROSS, DATA, cluster="id"), "`y~x1`; `y~w1:x1`"),
        (mlsem.fit(ACROSS, DATA, cluster="id", se="CR2"), "`y~x1`; `y~w1:x1`"),
        (mlsem.lmm("y ~ w1*x1 + (x1 | id)", DATA), "`x1`; `w1:x1`"),
        (mlsem.lmm("y ~ w1*x1 + (x1 | id)", DATA, df="kenward-roger"), "`x1`; `w1:x1`"),
    ],
)
def test_the_largest_slope_is_as_significant_as_the_joint_test(fit, joint):
    """Scheffé: over all w the largest t² is Q, so that its adjusted p value is that of Q."""
    wide = np.tan(np.linspace(-1.57, 1.57, 4001))
    slopes = fit.simple_slopes("x1", "w1", wide, simultaneous=True).frame
    assert slopes["pvalue"].min() == pytest.approx(fit.wald_test(joint).pvalue, rel=1e-4)


def test_slopes_at_levels_of_a_factor_are_those_of_dummies():
    """A formula's factor and products of dummies are the same model."""
    data = DATA.assign(b=(DATA.g == "b") * 1.0, c=(DATA.g == "c") * 1.0)
    options = {"REML": False}
    own = mlsem.lmm("y ~ g*x1 + w1 + (1 | id)", DATA, **options).simple_slopes("x1", "g").frame
    fit = mlsem.lmm("y ~ b*x1 + c*x1 + w1 + (1 | id)", data, **options)
    ones = [{"b": b, "c": c} for b, c in ((0, 0), (1, 0), (0, 1))]
    for k, at in enumerate(ones):
        row = fit.simple_slopes("x1", "b", at).frame.iloc[0]
        assert own["slope"][k] == pytest.approx(row["slope"], rel=1e-8)
        assert own["se"][k] == pytest.approx(row["se"], rel=1e-6)


def test_lines_are_what_predict_expects_of_a_new_cluster():
    fit = mlsem.lmm("y ~ z + w1*x1 + (x1 | id)", DATA)
    slopes = fit.simple_slopes("x1", "w1", [-1.0, 1.0])
    figure = slopes.plot()
    rows = pd.DataFrame({"z": DATA.z.mean(), "w1": [-1.0, 1.0], "x1": 0.25, "id": [-5, -6]})
    expected = fit.predict(rows, random=False)["y"].to_numpy()
    for line, value in zip(figure.axes[0].lines, expected, strict=True):
        assert np.interp(0.25, line.get_xdata(), line.get_ydata()) == pytest.approx(value, rel=1e-8)


def test_terms_that_are_functions_of_a_column():
    """Of a polynomial the slope is that of its powers; what stands beside it has equal weights."""
    data = DATA.assign(high=(DATA.w1 > 0) * 1.0)
    curved = mlsem.lmm("y ~ poly(z, 2)*x1 + g*x1 + high*x1 + (1 | id)", data)
    powers = mlsem.lmm("y ~ z*x1 + I(z^2)*x1 + g*x1 + high*x1 + (1 | id)", data)
    for asked in (("x1", "z"), ("z", "x1", [-1.0, 2.0]), ("x1", "high")):
        one, other = (fit.simple_slopes(*asked).frame for fit in (curved, powers))
        np.testing.assert_allclose(one["slope"], other["slope"], rtol=1e-6)
        np.testing.assert_allclose(one["se"], other["se"], rtol=1e-6)


def test_a_factor_and_a_number_moderate_together():
    """The slope is linear in the number at each level of the factor."""
    fit = mlsem.lmm("y ~ x1*z + x1*g + (1 | id)", DATA)
    frame = fit.simple_slopes("x1", ["z", "g"], {"z": [0.0, 1.0]}).frame
    assert frame["g"].tolist() == ["a", "a", "b", "b", "c", "c"]
    np.testing.assert_allclose(np.diff(frame["slope"])[::2], fit.params["x1:z"], rtol=1e-8)


def test_slopes_by_a_factor_are_the_marginal_ones():
    """Both have the same reference grid: other factors, and columns of two values, by halves."""
    data = DATA.assign(high=(DATA.w1 > 0) * 1.0)
    fit = mlsem.lmm("y ~ g*x1 + high*x1 + z + (1 | id)", data)
    ours, theirs = fit.simple_slopes("x1", "g").frame, fit.marginal_slopes("x1", by="g").frame
    for column, other in {"slope": "estimate", "se": "se", "df": "df"}.items():
        np.testing.assert_allclose(ours[column], theirs[other], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:far fewer effective clusters")
def test_groups_have_their_own():
    fit = mlsem.fit(ACROSS, DATA, cluster="id", group="half", se="CR2")
    found = fit.simple_slopes("x1", "w1", 0.5)
    alone = mlsem.fit(ACROSS, DATA[DATA.half == "even"], cluster="id", se="CR2")
    ours, theirs = found["even"].frame, alone.simple_slopes("x1", "w1", 0.5).frame
    np.testing.assert_allclose(ours[["slope", "se"]], theirs[["slope", "se"]], rtol=1e-5)
    assert [ax.get_title(loc="left") for ax in fit.plot_interaction("x1", "w1").axes] == [
        "even",
        "odd",
    ]


def test_a_cubic_slope_has_as_many_bounds_as_it_crosses():
    """Of x⁴/4 - x²/2 the slope is x³ - x: negative, positive, negative, positive."""
    x = np.tile(np.linspace(-1.6, 1.6, 40), 10)
    rng = np.random.default_rng(2)
    y = x**4 / 4 - x**2 / 2 + rng.normal(size=x.size) * 0.02
    fit = mlsem.fit("y ~ x + x:x + x:x:x + x:x:x:x", pd.DataFrame({"x": x, "y": y}))
    frame = fit.simple_slopes("x", "x").johnson_neyman.frame
    signs = [slope for slope in frame["slope"] if slope != "not told from 0"]
    assert signs == ["negative", "positive", "negative", "positive"]
    bounds = frame["upper"].to_numpy()[:-1]
    for near, root in zip(bounds.reshape(-1, 2).mean(axis=1), (-1.0, 0.0, 1.0), strict=True):
        assert near == pytest.approx(root, abs=0.02)


# --- what is known of a variable ------------------------------------------------------------------


def test_two_values_are_known_from_moments():
    fit = mlsem.fit("level: 1\n y ~ x1 + d + d:x1\nlevel: 2\n y ~ w1", DATA, cluster="id")
    estimates = fit._estimates
    assert of_moments(estimates, Source("d")).levels == (1.0, 4.0)
    assert of_moments(estimates, Source("x1")).levels == ()
    assert fit.simple_slopes("x1", "d").frame["d"].tolist() == [1.0, 4.0]


def test_means_and_deviations_are_those_of_the_data():
    fit = mlsem.fit(ACROSS, DATA, cluster="id")
    of_rows, of_clusters = (of_moments(fit._estimates, Source(name)) for name in ("x1", "w1"))
    assert (of_rows.mean, of_rows.sd) == pytest.approx((DATA.x1.mean(), DATA.x1.std()))
    assert not of_rows.observed
    w1 = DATA.groupby("id").w1.first()
    assert (of_clusters.mean, of_clusters.sd) == pytest.approx((w1.mean(), w1.std()))
    assert (of_clusters.low, of_clusters.high) == pytest.approx((w1.min(), w1.max()))
    seen = fit.plot_interaction("x1", "w1", data=DATA).axes[0].lines[0].get_xdata()
    assert (seen[0], seen[-1]) == pytest.approx((DATA.x1.min(), DATA.x1.max()))


# --- refusals, words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (("x1", "w"), OptionValueError, "Did you mean 'w1'"),
        (("x1", "x1"), InferenceError, "add its square, y ~ x1 \\+ x1:x1"),
        (("w1", []), OptionValueError, "a list of two different ones"),
        (("x1", "w1", "high"), OptionValueError, "'w1' takes numbers"),
        (("x1", "w1", [np.nan]), OptionValueError, "it takes values of the moderator"),
        (("x1", "w1", {"q": 1}), OptionValueError, "'q' is not among"),
    ],
)
def test_refusals_say_what_to_do(asked, error, words):
    fit = mlsem.fit(ACROSS, DATA, cluster="id")
    with pytest.raises(error, match=words):
        fit.simple_slopes(*asked)


def test_a_factor_model_has_no_slopes():
    waves = mlsem.load_example("growth_wide")
    fit = mlsem.cfa("f =~ reading0 + reading1 + reading2", waves)
    with pytest.raises(InferenceError, match="regressions with a product"):
        fit.simple_slopes("f", "programme")


def test_refusals_of_formulas():
    plain = mlsem.lmm("y ~ g*x1 + (1 | id)", DATA)
    with pytest.raises(InferenceError, match="make it the moderator"):
        plain.simple_slopes("g", "x1")
    with pytest.raises(InferenceError, match="no regions"):
        _ = plain.simple_slopes("x1", "g").johnson_neyman
    with pytest.raises(OptionValueError, match="no level of 'g'"):
        plain.simple_slopes("x1", "g", ["a", "q"])


def test_an_outcome_is_asked_for_where_several_have_the_effect():
    fit = mlsem.fit("z ~ x1 + w1 + w1:x1\n y ~ x1 + w1 + w1:x1", DATA)
    with pytest.raises(OptionValueError, match="outcome='z'"):
        fit.simple_slopes("x1", "w1")
    assert fit.simple_slopes("x1", "w1", outcome="y").outcome == "y"


def test_prints_and_pickles():
    slopes = mlsem.fit(ACROSS, DATA, cluster="id", se="CR2").simple_slopes("x1", "w1")
    for words in ("Simple slopes of x1 on y, by w1", "(mean + SD)", "not told from 0"):
        assert words in str(slopes)
        assert words in slopes._repr_html_()
    again = pickle.loads(pickle.dumps(slopes))
    assert again.frame.equals(slopes.frame)
    assert str(again) == str(slopes)
