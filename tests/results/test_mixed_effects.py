"""`MixedResult.effects`: coefficients without interactions, averages of predictions with them."""

from __future__ import annotations

import numpy as np
import pytest

import mlsem

DATA = mlsem.load_example("article").assign(treated=lambda d: (d["w1"] > 0).astype(int))
KINDS = [{"se": "CR2"}, {}, {"df": "kenward-roger"}, {"REML": False, "se": "CR2"}]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_without_interactions_a_difference_is_the_coefficient(options):
    fit = mlsem.lmm("y ~ treated + x1 + (1 | id)", DATA, **options)
    table = fit.parameter_estimates()
    for variable, row in (("treated", 2), ("x1", 0)):
        found = fit.effects(variable).frame.iloc[row]
        own = table[table["rhs"] == variable].iloc[0]
        assert found["estimate"] == pytest.approx(own["est"], rel=1e-9)
        assert found["se"] == pytest.approx(own["se"], rel=1e-9)
        assert found["df"] == pytest.approx(own["df"], rel=1e-6)
        assert found["upper"] == pytest.approx(own["ci_upper"], rel=1e-6)


def test_means_are_averages_of_predictions_also_by_subgroup():
    rows = DATA.assign(high=(DATA["x1"] > 0).astype(int))
    fit = mlsem.lmm("y ~ treated*x1 + (x1 | id)", rows, se="CR2")
    found = fit.effects("treated", rows, by="high").frame
    for high in (0, 1):
        part = rows[rows["high"] == high]
        own = found[found["by"] == high].set_index("effect")["estimate"]
        at = [fit.predict(part.assign(treated=arm), random=False)["y"].mean() for arm in (0, 1)]
        assert own["mean"].tolist() == pytest.approx(at, rel=1e-10)
        assert own["difference"] == pytest.approx(at[1] - at[0], rel=1e-10)


@pytest.mark.parametrize("random", ["(1 | id)", "(x1 | id)", "(1 | id) + (0 + x1 | id)"])
def test_a_standardized_difference_and_its_error_are_those_of_differences(random):
    fit = mlsem.lmm(f"y ~ treated*x1 + {random}", DATA, se="CR2")
    found = fit.effects("treated").frame.set_index("effect").loc["standardized"]
    names, x = list(fit.table.names), DATA["x1"].to_numpy()

    def value(params):
        at = dict(zip(names, params, strict=True))
        variance = at["Residual"] + at["id.(Intercept)"]
        variance += at.get("id.x1", 0.0) * (x**2).mean()
        variance += 2.0 * at.get("id.x1.(Intercept)", 0.0) * x.mean()
        return (at["treated"] + at["treated:x1"] * x.mean()) / np.sqrt(variance)

    params = fit.estimates
    assert found["estimate"] == pytest.approx(value(params), rel=1e-10)
    steps = np.eye(len(params)) * 1e-5
    gradient = np.array([(value(params + s) - value(params - s)) / 2e-5 for s in steps])
    se = np.sqrt(gradient @ fit.vcov().to_numpy() @ gradient)
    assert found["se"] == pytest.approx(se, rel=1e-6)
    assert "in standard deviations of the outcome" in " ".join(str(fit.effects("treated")).split())


def test_what_is_refused():
    fit = mlsem.lmm("y ~ treated + x1 + (1 | id)", DATA)
    with pytest.raises(mlsem.OptionValueError, match=r'fit.effects\("x1"\)'):
        fit.effects("y", "x1")
    with pytest.raises(mlsem.OptionValueError, match="no column that the formula"):
        fit.effects("w1")
