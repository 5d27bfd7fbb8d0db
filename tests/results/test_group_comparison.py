"""`compare_groups`: differences of a parameter between groups."""

from __future__ import annotations

import numpy as np
import pytest
from grouped import demo_groups

import mlsem

pytestmark = pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning")

MODEL = """level: 1
 y1 ~ c(b1, b2)*x1 + x2
level: 2
 y1 ~ w1
 twice_a := 2*b1
 twice_b := 2*b2"""


@pytest.fixture(scope="module")
def fit() -> mlsem.FitResult:
    return mlsem.fit(MODEL, demo_groups(), "cluster", group="g", se="CR2")


def test_is_the_contrast_that_wald_test_tests(fit) -> None:
    found = fit.compare_groups("y1~w1.l2")
    wald = fit.wald_test("`y1~w1.g2.l2` == `y1~w1.l2`")
    (row,) = found.frame.to_dict("records")
    assert (row["group1"], row["group2"]) == ("a", "b")
    assert row["diff"] == pytest.approx(float(wald.estimate[0]))
    assert row["stat"] ** 2 == pytest.approx(wald.statistic)
    assert row["df"] == pytest.approx(wald.df_denom)
    assert row["pvalue"] == pytest.approx(wald.pvalue)
    assert found.joint is not None
    assert found.joint.test == "HTZ"
    assert found.joint.pvalue == pytest.approx(wald.pvalue)
    assert found.estimates["est"].tolist() == fit.params[["y1~w1.l2", "y1~w1.g2.l2"]].tolist()
    assert found.estimates["se"].tolist() == fit.bse[["y1~w1.l2", "y1~w1.g2.l2"]].tolist()


def test_definitions_by_group_in_every_way_of_naming_them(fit) -> None:
    slope = fit.compare_groups("y1~x1").frame
    for names in (["twice_a", "twice_b"], "twice_{group}", {"a": "twice_a", "b": "twice_b"}):
        found = fit.compare_groups(names).frame
        assert found["diff"][0] == pytest.approx(2.0 * slope["diff"][0])
        assert found["df"][0] == pytest.approx(slope["df"][0])


def test_all_pairs_or_one_reference() -> None:
    data = demo_groups().copy()
    data["third"] = np.where(data["cluster"] % 3 == 0, "z", data["g"])
    fit = mlsem.fit("level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1", data, "cluster", group="third")
    pairs = fit.compare_groups("y1~x1")
    assert len(pairs.frame) == 3
    against = fit.compare_groups("y1~x1", reference="z").frame
    assert against["group1"].tolist() == ["z", "z"]
    assert against["group2"].tolist() == ["a", "b"]
    whole = pairs.frame.set_index(["group1", "group2"])
    assert against["diff"][0] == pytest.approx(-whole.loc[("a", "z"), "diff"])
    joint = fit.wald_test(["`y1~x1.g2` == `y1~x1`", "`y1~x1.g3` == `y1~x1`"])
    assert pairs.joint is not None
    assert pairs.joint.statistic == pytest.approx(joint.statistic)
    assert pairs.joint.df == 2
    assert "p Holm" in str(pairs)
    assert "<table>" in pairs._repr_html_()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("y1~x3", "no free parameter of any group. Did you mean 'y1~x2'"),
        (["twice_a"], "1 names for 2 groups"),
        ("thrice_{group}", "called 'thrice_a'. Did you mean 'twice_a'"),
        ({"c": "twice_a"}, "no group 'c'"),
        (3, "it takes a name"),
    ],
)
def test_refusals(fit, asked, message) -> None:
    with pytest.raises(mlsem.OptionValueError) as caught:
        fit.compare_groups(asked)
    assert message in str(caught.value)


def test_what_is_one_parameter_has_no_difference() -> None:
    data = demo_groups()
    model = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
    equal = mlsem.fit(model, data, "cluster", group="g", group_equal="regressions")
    with pytest.raises(mlsem.InferenceError, match="one parameter in all groups"):
        equal.compare_groups("y1~x1")
    with pytest.raises(mlsem.InferenceError, match="one group"):
        mlsem.fit(model, data, "cluster").compare_groups("y1~x1")


def test_what_a_group_has_fixed_is_compared_as_it_is() -> None:
    """Factor means of a scalar model are those beside group 1, where it is 0."""
    data = demo_groups()
    model = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
    equal = ["loadings", "intercepts"]
    fit = mlsem.fit(model, data, "cluster", group="g", group_equal=equal, se="CR2")
    found = fit.compare_groups("fb~1.l2")
    row = found.frame.iloc[0]
    assert row["diff"] == pytest.approx(float(fit.params["fb~1.g2.l2"]))
    assert row["se"] == pytest.approx(float(fit.bse["fb~1.g2.l2"]))
    assert found.estimates["est"][0] == 0.0
    assert found.joint is not None
    assert found.joint.pvalue == pytest.approx(float(fit.pvalues["fb~1.g2.l2"]))
    with pytest.raises(mlsem.OptionValueError, match="no free parameter"):
        fit.compare_groups("fb=~y1.l2")
