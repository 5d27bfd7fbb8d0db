"""Data of several groups have each group's parameters, sizes and distributions."""

from __future__ import annotations

import numpy as np
import pytest

import mlsem
from mlsem.errors import OptionValueError, SpecificationError
from mlsem.simulation.draw.generate import data_model, simulate
from mlsem.simulation.draw.rstream import RStream

FACTORS = """
level: 1
  f =~ y1 + start(c(0.8, 0.6))*y2 + start(0.9)*y3
  f ~ start(c(0.3, 0.1))*x
  f ~~ start(1)*f
  y1 ~~ start(0.5)*y1
  y2 ~~ start(0.5)*y2
  y3 ~~ start(0.5)*y3
level: 2
  g =~ y1 + start(0.7)*y2 + start(0.9)*y3
  g ~ start(0.5)*w
  g ~~ start(c(0.6, 0.9))*g
  y1 ~~ start(0.3)*y1
  y2 ~~ start(0.3)*y2
  y3 ~~ start(0.3)*y3
  y1 ~ start(c(0, 0.5))*1
"""
SLOPE = """
level: 1
  y ~ rv("s")*x
  y ~~ start(1)*y
level: 2
  y ~ start(0.25)*w
  s ~ start(c(0.2, 0.7))*1
  y ~~ start(1)*y + start(0.2)*s
  s ~~ start(c(0.3, 0.5))*s
"""
ONE = "y ~ 0.5*x\ny ~~ 1*y"
BLOCKS = "group: p\n y ~ 0.5*x\n y ~~ 1*y\ngroup: q\n y ~ 0.2*z\n y ~~ 2*y"


@pytest.mark.parametrize(("text", "size"), [(FACTORS, 8), (SLOPE, 10)], ids=["factors", "slopes"])
def test_estimates_are_the_values_of_each_group(text, size):
    """With groups in an order of their own, which the frame keeps."""
    found = data_model(text, {"z": 500, "a": 400}, size, group_label=["z", "a"])
    fit = mlsem.fit(text, found.draw(1), "id", group="group", estimator="MLR")
    assert [group.label for group in fit.table.groups] == ["z", "a"]
    truth = np.array([found.truth[name] for name in fit.params.index])
    assert (np.abs(fit.params - truth) < 3.5 * fit.bse).all()


def test_sizes_distributions_and_misspecification_of_each_group():
    how = {"group": "land", "group_label": [1, 2], "seed": 3}
    data = simulate(ONE, {1: 2000, 2: 3000}, {1: 2, 2: [1, 2] * 1500}, **how)
    ids = data.groupby("land", observed=True)["id"].agg(["min", "max", "size"])
    np.testing.assert_array_equal(ids, [[1, 2000, 4000], [2001, 5000, 4500]])
    both = simulate(ONE, 2000, 4, **how)
    how |= {"residuals": {2: "chi2"}, "omitted_slopes": {1: {"y~1": 3.0}}}
    found = simulate(ONE, 2000, 4, heteroscedastic={2: {"y": "x"}}, **how)
    rest = (found["y"] - 0.5 * found["x"]).groupby(found["land"], observed=True)
    assert abs(rest.var()[1] - 4.0) < 0.3
    assert rest.skew()[2] > 2.0 > abs(rest.skew()[1])
    everywhere = simulate(ONE, 2000, 4, **how | {"omitted_slopes": {"y~1": 3.0}})
    assert (everywhere.groupby("land", observed=True)["y"].var() > 3.5).all()
    assert (both.groupby("land", observed=True)["y"].var() < 1.4).all()


def test_groups_are_drawn_one_after_the_other_from_one_stream():
    stream = RStream(7)
    each = [simulate(text, 20, seed=stream) for text in (ONE, "y ~ 0.2*x\ny ~~ 2*y")]
    text = "y ~ c(0.5, 0.2)*x\ny ~~ c(1, 2)*y"
    found = simulate(text, 20, seed=7, rng="R", group_label=["a", "b"])
    for label, part in zip("ab", each, strict=True):
        own = found.loc[found["group"] == label, ["y", "x"]].to_numpy()
        np.testing.assert_array_equal(own, part.to_numpy())


def test_moments_of_covariates_by_group():
    params = {"x~~x": 4.0, "x~1.g2": 3.0, "w~~w.g2.l2": 9.0}
    model = "level: 1\n y ~ 0*x\n y ~~ 1*y\nlevel: 2\n y ~ 0*w\n y ~~ 1*y"
    data = simulate(model, 3000, 3, params, seed=1, group_label=["a", "b"])
    by = data.groupby("group", observed=True)
    np.testing.assert_allclose(by["x"].std(), [2.0, 1.0], rtol=0.03)
    np.testing.assert_allclose(by["x"].mean(), [0.0, 3.0], atol=0.1)
    np.testing.assert_allclose(by["w"].std(), [1.0, 3.0], rtol=0.05)


def test_groups_of_blocks_and_of_other_variables():
    data = simulate(BLOCKS, 50, seed=1)
    assert list(data.columns) == ["group", "y", "x", "z"]
    assert data["z"].isna().tolist() == (data["group"] == "p").tolist()
    fit = mlsem.fit(BLOCKS.replace("0.5*", "").replace("0.2*", ""), data, group="group")
    assert list(fit.params.index) == ["y~x", "y~1", "y~z.g2", "y~1.g2"]


def test_a_study_of_groups():
    source = (FACTORS, {"n_clusters": 12, "cluster_size": 6, "group_label": ["b", "a"]})
    how = {"model": FACTORS, "cluster": "id", "group": "group", "group_equal": "residuals"}
    models = {"ML": how, "CR2": how | {"se": "CR2"}}
    found = mlsem.study(source, models, 4, seed=1, truth={"g~w.l2": 0.5})
    assert {"f~x", "f~x.g2"} <= set(found.methods[0].parameters)
    assert found.truth["f~x.g2"] == 0.1
    np.testing.assert_array_equal(found.methods[0].est, found.methods[1].est)
    assert (found.methods[0].se != found.methods[1].se).any()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"group": "g"}, "the model is of one group: name them, group_label="),
        ({"group_label": ["a"]}, "several groups are at least two"),
        ({"group_label": ["a", "a"]}, "'a' twice"),
        ({"group_label": ["a", None]}, "None, which is no label of a group"),
        ({"group_label": ["a", ["b"]]}, "which is no label of a group"),
        ({"group_label": ["a", "b"], "n_clusters": [3, 4]}, "one for each by its label, {'a': 20"),
        ({"group_label": ["a", "b"], "group": "x"}, "group='x' is a variable of the model"),
        ({"group_label": ["a", "b"], "group": "id"}, "group='id' is the column of clusters"),
        ({"group_label": ["a", "b"], "n_clusters": {"a": 3}}, "n_clusters has no value for 'b'"),
        ({"group_label": ["a", "b"], "residuals": {"B": "t5"}}, "Did you mean 'b'"),
        ({"group_label": ["a", "b"], "params": {"x~~x.g3": 1.0}}, "Did you mean 'x~~x.g2'"),
    ],
)
def test_slips(how, says):
    with pytest.raises(OptionValueError, match=says):
        simulate(ONE, **{"n_clusters": 5} | how)


def test_values_of_shared_parameters_and_those_that_are_missing():
    how = {"group_label": ["a", "b"], "seed": 1}
    with pytest.raises(SpecificationError, match=r"'y~x', 'y~x\.g2'"):
        simulate("y ~ x\ny ~~ 1*y", 5, **how)
    shared = {"group_equal": "regressions"} | how
    assert len(simulate("y ~ x\ny ~~ 1*y", 5, params={"y~x.g2": 0.5}, **shared)) == 10
    with pytest.raises(OptionValueError, match="are one parameter of the model"):
        simulate("y ~ x\ny ~~ 1*y", 5, params={"y~x": 0.4, "y~x.g2": 0.5}, **shared)
    with pytest.raises(OptionValueError, match="one block 'group: a'"):
        simulate("group: a\n y ~ 0.5*x\n y ~~ 1*y", 5)
