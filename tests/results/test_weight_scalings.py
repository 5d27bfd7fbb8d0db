"""Estimates under the scalings of the weights, and pooled fits in tables and figures."""

from __future__ import annotations

from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
from mlsem.errors import DataError, InferenceError, OptionValueError, UnknownNameError

mpl.use("Agg")
pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore:.*plausible values:mlsem.errors.DataWarning"),
]
BOTH = {"total": "w_stu", "level2": "w_sch"}
FORMULA = "{} ~ ses + private + (1 | school)"
TEXT = "level: 1\n {} ~ ses\nlevel: 2\n {} ~ private"
PV = {"math": "pv{}math"}


@cache
def pupils() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "surveys" / "lsa_pv.csv")


@cache
def alone(**options) -> mlsem.FitResult:
    return mlsem.lmm(FORMULA.format("pv1math"), pupils(), REML=False, weights=BOTH, **options)


@cache
def pooled(se: str = "CR2") -> mlsem.PooledResult:
    text = TEXT.format("math", "math")
    return mlsem.fit_many(text, pupils(), "school", plausible=PV, weights=BOTH, se=se)


# --- scalings -------------------------------------------------------------------------------------


def test_each_column_is_the_fit_by_that_scaling():
    found = alone().weight_scalings(pupils())
    assert list(found.estimates) == [
        *("cluster", "ecluster", "unscaled", "gk"),
        *("level 2 alone", "none"),
    ]
    formula = FORMULA.format("pv1math")
    wanted = {
        "cluster": alone(),
        "gk": alone(weight_scaling="gk"),
        "level 2 alone": mlsem.lmm(formula, pupils(), REML=False, weights={"level2": "w_sch"}),
        "none": mlsem.lmm(formula, pupils(), REML=False),
    }
    for name, fit in wanted.items():
        gap = np.abs(found.estimates[name] - fit.params) / alone().bse
        assert gap.max() < 1e-5
    frame = found.frame
    weighted = frame[list(found.estimates)[:-1]]
    moved = (weighted.max(axis=1) - weighted.min(axis=1)) / alone().bse
    np.testing.assert_allclose(frame.moved, moved, rtol=1e-12)


def test_it_says_what_moves_and_who_wrote_of_it():
    found = alone().weight_scalings(pupils())
    far = [name for name, moved in found.frame.moved.items() if moved > 1]
    assert "Residual" in far
    assert "ses" not in far
    (note,) = found.notes
    assert all(repr(name) in note for name in far)
    assert "Asparouhov, 2006" in note
    assert "Mang et al. (2021)" in note
    assert "Residual" in str(found)
    assert any("fit.weight_scalings(data)" in each for each in alone().notes)


def test_equal_weights_do_not_move_but_unscaled():
    """There a pupil counts as three."""
    data = pupils().assign(w_stu=6.0, w_sch=2.0)
    weights = {"total": "w_stu", "level2": "w_sch"}
    fit = mlsem.fit(TEXT.format("pv1math", "pv1math"), data, "school", weights=weights)
    found = dict(fit.weight_scalings(data).estimates)
    thrice = found.pop("unscaled")
    for estimates in found.values():
        np.testing.assert_allclose(estimates, found["cluster"], rtol=1e-6)
    assert np.abs((thrice - found["cluster"]) / fit.bse).max() > 0.3


def test_weights_of_one_scaling_stand_beside_none():
    fit = mlsem.fit("pv1math ~ ses", pupils(), cluster="school", weights="w_stu")
    found = fit.weight_scalings(pupils())
    assert list(found.estimates) == ["weighted", "none"]
    assert np.isnan(found.moved).all()
    assert "one scaling" in found.notes[0]
    assert not any("weight_scalings" in each for each in fit.notes)
    with pytest.raises(OptionValueError, match=r"this fit has none: pass weights="):
        mlsem.fit("pv1math ~ ses", pupils()).weight_scalings(pupils())


def test_other_rows_are_refused():
    with pytest.raises(DataError, match=r"the fit used 550 rows.*that it was fitted to"):
        alone().weight_scalings(pupils().head(300))


# --- pooled fits beside others --------------------------------------------------------------------


def test_the_header_of_pooled_fits_says_how_they_are_weighted():
    text = str(pooled().summary())
    for line in ("total w_stu, level 2 w_sch", "Weight scaling", "Effective number of clusters"):
        assert line in text


def test_a_table_of_fits_has_pooled_ones():
    single = alone()
    found = mlsem.summary_table({"first": single, "all": pooled()})
    rows = found.tidy
    own = rows[rows.model == "all"].set_index(["lhs", "op", "rhs", "level"])
    assert own.loc[("math", "~", "ses", 1), "est"] == pooled().params["math~ses"]
    assert own.loc[("math", "~", "ses", 1), "df"] == pooled().df["math~ses"]
    assert "all: 5 fits pooled by Rubin's rules; ML; standard errors cluster-robust (CR2)" in (
        " ".join(str(found).split())
    )
    line = next(each for each in str(found).splitlines() if each.startswith("Log-likelihood"))
    assert len(line.split()) == 2  # of the one fit alone
    measures = mlsem.summary_table([pooled()], fit_measures=["n_obs"], standardized=True)
    wanted = pooled().standardized().iloc[0]
    assert measures.tidy.iloc[0].est == wanted.est_std


def test_figures_of_pooled_coefficients():
    figure = pooled().plot_coefficients(pooled().with_se("MLR"))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["CR2", "MLR"]
    figure = mlsem.plot_coefficients({"first": alone(), "all": pooled()}, parameters="~")
    assert figure.axes[0].get_xlabel() == "estimate and 95 % interval"
    with pytest.raises(OptionValueError, match=r"fit 2 is a int; it takes a FitResult or a Pool"):
        pooled().plot_coefficients(3)


def test_an_update_is_that_of_each_fit():
    smaller = pooled("MLR").update(TEXT.format("math", "math").replace("~ private", "~ 0*private"))
    again = mlsem.pool([fit.update(smaller.model) for fit in pooled("MLR")])
    np.testing.assert_array_equal(smaller.estimates, again.estimates)
    assert (smaller.n_params, smaller.se_kind, smaller.origin) == (4, "MLR", pooled().origin)
    with pytest.raises(OptionValueError, match=r"several data sets. mlsem.fit_many"):
        pooled().update(data=pupils())


def test_fits_that_are_weighted_otherwise_are_not_pooled():
    one = alone()
    for other, words in {
        alone(weight_scaling="gk"): r"total and level2 \(cluster\) and total and level2 \(gk\)",
        one.update(data=pupils(), weights=None, se="MLR"): r"\(cluster\) and none",
    }.items():
        with pytest.raises(InferenceError, match=rf"different sampling weights, .*{words}"):
            mlsem.pool([one, other])
    with pytest.raises(InferenceError, match=r"fits have weights.*fits\[k\]"):
        pooled().fit_measures()


def test_what_is_not_pooled_says_why_and_what_to_do():
    with pytest.raises(OptionValueError, match=r"full\.lr_test\(simple\)"):
        mlsem.lr_test(pooled(), pooled())
    with pytest.raises(OptionValueError, match=r"fit 1 is a PooledResult: log-likelihoods"):
        mlsem.compare([pooled(), pooled()])
    for name, reason in {
        "modification_indices": r"fit the larger model to all data sets",
        "bootstrap": r"drawn or refitted from one data set",
        "residuals": r"fit_measures\(\) has SRMR",
        "loglik": r"lr_test compares two models",
        "h1": r"of one data set, and need not be the same",
    }.items():
        with pytest.raises(UnknownNameError, match=rf"no '{name}': .*{reason}"):
            getattr(pooled(), name)


# --- questions to pooled mixed models -------------------------------------------------------------


@cache
def kinds() -> tuple[pd.DataFrame, mlsem.PooledResult]:
    data = pupils().assign(kind=np.where(pupils().private > 0, "private", "public"))
    formula = "math ~ read * kind + ses + (1 | school)"
    plausible = {**PV, "read": "pv{}read"}
    found = mlsem.fit_many(formula, data, plausible=plausible, weights=BOTH, REML=False, se="CR2")
    return data, found


def rubin(values: list[float], errors: list[float]) -> tuple[float, float]:
    m = len(values)
    return float(np.mean(values)), float(
        np.sqrt(np.mean(np.square(errors)) + (1 + 1 / m) * np.var(values, ddof=1))
    )


def test_marginal_means_and_slopes_are_pooled_functions():
    """Where covariates are held, those of each data set by Rubin's rules, with matching degrees of
    freedom (1/df = λ²/(m - 1) + (1 - λ)²/ν)."""
    _, found = kinds()
    held = {"read": 500.0, "ses": 0.0}
    pairs = [
        (each.marginal_means("kind", at=held), each.marginal_slopes("read", "kind"))
        for each in found
    ]
    asked = found.marginal_means("kind", at=held), found.marginal_slopes("read", "kind")
    for k, own in enumerate(asked):
        frames = [pair[k].frame for pair in pairs]
        for row in range(2):
            est, se = rubin(*([f[name].iloc[row] for f in frames] for name in ("estimate", "se")))
            assert own.frame.estimate.iloc[row] == pytest.approx(est, rel=1e-8)
            assert own.frame.se.iloc[row] == pytest.approx(se, rel=1e-8)
            between = 1 - np.mean([f.se.iloc[row] ** 2 for f in frames]) / se**2
            nu = np.mean([f.df.iloc[row] for f in frames])
            matched = 1 / (between**2 / 4 + (1 - between) ** 2 / nu)
            assert own.frame.df.iloc[row] == pytest.approx(matched, rel=1e-6)
    assert asked[0].method == "pooled (matching), of CR2"
    difference = found.marginal_means("kind").pairs().frame
    assert np.isfinite(difference[["estimate", "se", "df"]].to_numpy(dtype=float)).all()


def test_a_contrast_of_one_coefficient_is_its_test():
    _, found = kinds()
    own = found.contrast("ses = 1 - ses = 0").frame.iloc[0]
    assert own.estimate == pytest.approx(found.params["ses"], rel=1e-10)
    assert own.se == pytest.approx(found.bse["ses"], rel=1e-10)
    assert own.df == pytest.approx(found.df["ses"], rel=1e-8)


def test_covariates_that_differ_are_held_at_the_mean_of_each_data_set():
    data, found = kinds()
    means = found.marginal_means("kind")
    assert "read at its mean in each data set, ses at its mean 0.2" in means.held
    typical = float(np.mean([data[f"pv{k}read"].mean() for k in range(1, 6)]))
    again = found.marginal_means("kind", at={"read": typical})
    np.testing.assert_allclose(means.frame.estimate, again.frame.estimate, rtol=1e-10)
    with pytest.raises(UnknownNameError, match=r"is of mixed models, and these"):
        pooled().marginal_means("private")
