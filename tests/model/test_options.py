import pytest

from mlsem.errors import OptionError, OptionValueError
from mlsem.model.options import GROWTH, LAVAAN, SEM, ModelOptions, model_options, split_options


def test_user_values_override_the_preset():
    assert model_options("growth", int_lv_free=False) == ModelOptions(
        int_ov_free=False, int_lv_free=False, meanstructure=True
    )
    assert model_options("cfa") is SEM
    assert model_options("growth") is GROWTH
    assert model_options("lavaan", auto_var=True).auto_var
    assert not LAVAAN.auto_var


def test_first_loadings_follow_std_lv_unless_said():
    assert SEM.fixes_first
    assert not model_options(std_lv=True).fixes_first
    assert not model_options(auto_fix_first=False).fixes_first
    with pytest.raises(OptionValueError, match="Leave one out"):
        model_options(std_lv=True, auto_fix_first=True)


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [
        ("fixedx", "fixed_x"),
        ("stdlv", "std_lv"),
        ("std_lvs", "std_lv"),
        ("std.lv", "std_lv"),
        ("meanStructure", "meanstructure"),
        ("auto_cov_lvx", "auto_cov_lv_x"),
        ("estimatr", "estimator"),
    ],
)
def test_unknown_keyword_names_the_nearest(keyword, meant):
    with pytest.raises(OptionError, match=f"Did you mean '{meant}'") as caught:
        split_options({keyword: True}, ["estimator", "cluster"])
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("keyword", "advice"),
    [
        ("nclusters", r"'nclusters'\.$"),
        ("control", r"limited by max_iter= and tol=\.$"),
        ("reml", r"REML=True or False in lmm"),
    ],
)
def test_unlike_names_are_not_suggested(keyword, advice):
    with pytest.raises(OptionError, match=advice):
        split_options({keyword: True}, ["se_cluster", "tol", "start"])


def test_keywords_are_parted():
    assert split_options({"std_lv": True, "se": "robust"}, ["se"]) == (
        {"std_lv": True},
        {"se": "robust"},
    )
    with pytest.raises(OptionError, match="Unknown option 'qwertz'"):
        model_options(qwertz=1)


@pytest.mark.parametrize(
    ("values", "choices"),
    [
        ({"std_lv": 1}, "True or False"),
        ({"fixed_x": None}, "True or False"),
        ({"meanstructure": "yes"}, "True, False or None"),
        ({"bounds": "wider"}, "'pos.var', 'pos.ov.var', 'pos.lv.var'"),
        ({"bounds": True}, "'none'"),
    ],
)
def test_wrong_value_names_the_choices(values, choices):
    with pytest.raises(OptionValueError, match=choices.replace(".", r"\.")):
        model_options(**values)


def test_unknown_preset():
    with pytest.raises(OptionValueError, match="'sem', 'cfa', 'growth', 'lavaan'"):
        model_options("efa")  # pyright: ignore[reportArgumentType]
