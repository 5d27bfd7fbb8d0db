"""What is made of bootstrap draws: intervals, p values, text; and what is refused."""

import dataclasses
import warnings

import numpy as np
import pytest
from kinds import make_data, with_estimates

import mlsem
from mlsem.errors import InferenceError, InferenceWarning, OptionValueError
from mlsem.inference.bootstrap import draws as numbers

TWO_LEVEL = "level: 1\n y1 ~ a*x1 + x2\nlevel: 2\n y1 ~ b*w1\nab := a*b"
SIZES = (3, 9, 5, 12, 7, 4, 10, 6)


def fitted(text=TWO_LEVEL, sizes=SIZES):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)  # few clusters
        return mlsem.fit(text, make_data(4, tuple(sizes)), cluster="id")


@pytest.fixture(scope="module")
def few():
    """Eight clusters."""
    return fitted()


@pytest.fixture(scope="module")
def many():
    """Sixty clusters."""
    return fitted(sizes=np.random.default_rng(6).integers(4, 14, size=60))


# --- intervals and p values -----------------------------------------------------------------------


def test_limits_and_p_values_by_hand():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(39, 2))
    lower, upper = numbers.limits(draws, 0.95)  # of 39 draws the least and the largest
    np.testing.assert_allclose([lower, upper], [draws.min(axis=0), draws.max(axis=0)])
    assert [numbers.fewest_draws(level) for level in (0.9, 0.95, 0.99)] == [19, 39, 199]
    draws[0, 0] = np.nan
    assert np.isnan(numbers.limits(draws, 0.95)[0]).tolist() == [True, False]
    t = np.array([[-3.0, 1.0], [-1.0, 1.0], [0.5, np.nan], [2.0, 1.0]])
    symmetric, equal = numbers.p_values(t, np.array([-2.0, 1.0]))
    np.testing.assert_allclose(symmetric, [3 / 5, 4 / 4])  # |-3|, |2|, and the one observed
    np.testing.assert_allclose(equal, [2 * 2 / 5, 1.0])
    assert np.isnan(numbers.p_values(t, np.array([np.nan, 1.0]))[0]).tolist() == [True, False]


def test_intervals(many):
    found = many.bootstrap("wild", 999, seed=1)
    names = [*many.table.names, "ab"]
    for kind in ("t", "percentile", "basic"):
        frame = found.conf_int(0.9, kind)
        assert frame.index.tolist() == names
        assert frame.columns.tolist() == ["lower", "upper"]
        assert (frame["lower"] < frame["upper"]).all()
    low, high = numbers.limits(found.draws, 0.9)
    np.testing.assert_allclose(found.conf_int(0.9, "percentile").T, [low, high])
    np.testing.assert_allclose(
        found.conf_int(0.9, "basic").T, [2 * found.estimate - high, 2 * found.estimate - low]
    )
    low, high = numbers.limits(found.t, 0.9)
    sides = [found.estimate - found.robust_se * side for side in (high, low)]
    np.testing.assert_allclose(found.conf_int(0.9).T, sides)


def test_equal_tailed_tests_agree_with_t_intervals():
    fit = fitted("level: 1\n y1 ~ x1 + x2 + v1\nlevel: 2\n y1 ~ w1 + w2", SIZES * 3)
    found = fit.bootstrap("wild", 999, seed=1)
    limits, p = found.conf_int(), found.pvalues["equal_tailed"]
    outside = (limits["lower"] > 0) | (limits["upper"] < 0)
    assert (outside == (p <= 0.05)).all()
    assert 0 < outside.sum() < len(outside)


def test_chosen_parameters(many):
    whole = many.bootstrap("wild", 60, seed=1)
    part = many.bootstrap("wild", 60, seed=1, parameters=["ab", "b"])
    assert part.parameters == ("ab", "b")
    places = [whole.parameters.index(name) for name in part.parameters]
    np.testing.assert_array_equal(part.t, whole.t[:, places])
    np.testing.assert_array_equal(part.robust_se, whole.robust_se[places])


# --- the record -----------------------------------------------------------------------------------


def test_what_is_told(few):
    found = few.bootstrap("wild", 299, seed=11)
    text = str(found)
    assert text == found.summary() == found.summary(0.95)
    for part in ("wild", "[id]", "webb", "299", "Seed", "95 % intervals", "CR0 SE", "ab"):
        assert part in text
    assert "'y1~~y1', 'y1~~y1.l2': with few clusters" in text  # wild draws of variances
    assert "few clusters" not in str(few.bootstrap("wild", 99, parameters="a"))
    assert "<table>" in found._repr_html_()
    assert len(repr(found)) < 130
    assert "\n" not in repr(found)
    assert "too few for 95 % intervals" in str(few.bootstrap("wild", 20))
    assert "pattern once" in str(few.bootstrap("wild", 300, weights="rademacher"))


def test_definitions_without_a_value_are_told(few):
    text = TWO_LEVEL + "\nlogb := log(b + 0.6)"
    found = fitted(text).bootstrap("wild", 99, seed=1)
    gone = np.isnan(found.draws[:, -1])
    assert 0 < gone.sum() < 99
    assert f"draws without a value, which are left out there: logb {gone.sum()}." in found.notes


def test_records_do_not_change(few):
    found = few.bootstrap("wild", 50, seed=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.seed = 2
    arrays = [found.estimate, found.robust_se, found.draws, found.t]
    assert not any(array.flags.writeable for array in arrays)
    assert isinstance(found, mlsem.Bootstrap)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"kind": "jackknife"}, "'wild', 'pairs', 'parametric'"),
        ({"draws": 1}, "draws=1"),
        ({"draws": 99.0}, "draws=99.0"),
        ({"draws": True}, "draws=True"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": "a"}, "seed='a'"),
        ({"weights": "normal"}, "'rademacher', 'webb', 'mammen'"),
        ({"kind": "pairs", "weights": "webb"}, 'kind="wild"'),
        ({"parameters": "y1~x9"}, "'y1~x9'"),
        ({"kind": "pairs", "n_jobs": 0}, "n_jobs=0"),
    ],
)
def test_options_are_refused(few, keywords, words):
    with pytest.raises(OptionValueError) as caught:
        few.bootstrap(**{"draws": 20, **keywords})
    assert words in str(caught.value)


def test_levels_and_intervals_are_refused(few):
    found = few.bootstrap("wild", 60, seed=1)
    with pytest.raises(OptionValueError, match=r"needs 199 draws.*60: call bootstrap\(draws=199\)"):
        found.conf_int(0.99)
    with pytest.raises(OptionValueError, match="'t', 'percentile', 'basic'"):
        found.conf_int(kind="bca")
    for level in (0, 1.0, "95", True):
        with pytest.raises(OptionValueError, match="between 0 and 1"):
            found.conf_int(level)
    signs = few.bootstrap("wild", 999, weights="rademacher")
    with pytest.raises(OptionValueError, match=r'256: .* take weights="webb"'):
        signs.summary(0.995)


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
def test_fits_that_cannot_be_bootstrapped(few):
    stopped = few._estimates.optimum.stopped("max_iter")
    with pytest.raises(InferenceError, match="did not converge"):
        with_estimates(few, optimum=stopped).bootstrap()
    data = make_data(4, SIZES)
    product = mlsem.fit("level: 1\n y1 ~ v1 + v1:w1\n v1 ~ x1\nlevel: 2\n y1 ~ w1", data, "id")
    with pytest.raises(InferenceError, match="'v1:w1'"):
        product.bootstrap("parametric")
