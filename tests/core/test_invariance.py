"""What may not change an answer, or may change it in a known way only."""

import numpy as np
import pandas as pd
import pytest
from kinds import make_data

import mlsem

LATENT = """
level: 1
  fw =~ y1 + y2 + y3
  fw ~ x1 + x2
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w1
"""
PRODUCT = "level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1"
OBSERVED = "level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1 + w2\n z1 ~ y1"
SEVERAL = "level: 1\n y1 + y2 ~ x1 + x2\n y2 ~ y1\nlevel: 2\n y1 ~ w1 + w2\n y2 ~ w1"
SINGLE = "f =~ y1 + y2 + y3\n f ~ x1 + w1"
MODELS = {"latent": LATENT, "product": PRODUCT, "observed": OBSERVED}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
every_kind = pytest.mark.parametrize("se", ["standard", "MLR"])


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=50)
    return make_data(21, tuple(sizes))


def fit(model, data, se="MLR", **options):
    return mlsem.fit(model, data, cluster="id", se=se, **options)


def assert_same(found, wanted, tol=1e-8, but=()):
    """Estimates within `tol` of a standard error, standard errors within `tol`, relative."""
    names = [name for name in wanted.params.index if name not in but]
    away = (found.params - wanted.params)[names].abs() / wanted.bse[names]
    assert away.max() < tol, away[away >= tol]
    np.testing.assert_allclose(found.bse[names], wanted.bse[names], rtol=tol)


def intercepts(result):
    return [name for name in result.params.index if "~1" in name]


# --- rows and clusters ----------------------------------------------------------------------------


@every_model
def test_order_of_rows(data, model):
    plain = fit(model, data)
    for seed in (1, 2):
        mixed = fit(model, data.sample(frac=1, random_state=seed))
        assert_same(mixed, plain)
        assert mixed.loglik == pytest.approx(plain.loglik, rel=1e-13)
        scores = mixed.scores().sort_index()
        np.testing.assert_allclose(scores, plain.scores().sort_index(), atol=1e-6)


@pytest.mark.parametrize("ids", ["permuted", "text", "category", "float", "negative"])
def test_cluster_labels(data, ids):
    plain = fit(LATENT, data)
    shuffled = np.random.default_rng(2).permutation(data["id"].nunique())[data["id"]]
    new = {
        "permuted": shuffled,
        "text": [f"school {k}" for k in shuffled],
        "category": pd.Categorical([f"s{k}" for k in shuffled]),
        "float": shuffled + 0.5,
        "negative": shuffled - 10**12,
    }[ids]
    assert_same(fit(LATENT, data.assign(id=new)), plain)


def test_other_columns_and_index(data):
    plain = fit(LATENT, data)
    text = data.assign(note="x", missing=np.nan)[sorted([*data.columns, "note", "missing"])]
    assert_same(fit(LATENT, text.set_index(np.full(len(data), 7))), plain, 1e-12)


@every_model
def test_doubled_data(data, model):
    once = fit(model, data)
    other = data.assign(id=data["id"] + 1000)
    twice = fit(model, pd.concat((data, other)))
    assert (twice.params - once.params).abs().max() < 1e-7
    assert twice.loglik == pytest.approx(2 * once.loglik, rel=1e-12)
    np.testing.assert_allclose(twice.bse, once.bse / np.sqrt(2), rtol=1e-7)
    standard = [each.with_se("standard").bse for each in (twice, once)]
    np.testing.assert_allclose(standard[0], standard[1] / np.sqrt(2), rtol=1e-7)


# --- units ----------------------------------------------------------------------------------------


SHIFTS = [
    pytest.param(model, name, shift, tol, id=f"{label}-{name}-{shift:g}")
    for label, model, name in (
        ("latent", LATENT, "x1"),
        ("latent", LATENT, "w1"),
        ("observed", OBSERVED, "x1"),
        ("observed", OBSERVED, "w2"),
        ("several", SEVERAL, "x1"),
        ("several", SEVERAL, "w1"),
    )
    for shift, tol in ((20.0, 1e-8), (1e6, 1e-7), (1e8, 1e-5))
]


@every_kind
@pytest.mark.parametrize(("model", "name", "shift", "tol"), SHIFTS)
def test_shifted_covariate(data, model, name, shift, tol, se):
    """No intercept but that of its outcomes feels where a covariate's zero is."""
    plain = fit(model, data, se)
    moved = fit(model, data.assign(**{name: data[name] + shift}), se)
    assert_same(moved, plain, tol, but=intercepts(plain))
    assert moved.loglik == pytest.approx(plain.loglik, rel=1e-9 if shift < 1e8 else 1e-7)


def test_shifted_covariate_of_a_single_level_model(data):
    for options in ({}, {"estimator": "MLR"}, {"cluster": "id"}):
        plain = mlsem.fit(SINGLE, data, **options)
        moved = mlsem.fit(SINGLE, data.assign(x1=data["x1"] + 1e6), **options)
        assert_same(moved, plain, 1e-7, but=intercepts(plain))


@every_kind
def test_shifted_factor_of_a_product(data, se):
    """Only the coefficient of the other factor changes, by as much as it must."""
    plain, shift = fit(PRODUCT, data, se), 1e6
    moved = fit(PRODUCT, data.assign(x1=data["x1"] + shift), se)
    changed = ["y1~w1.l2", "y1~1.l2"]
    assert_same(moved, plain, 1e-6, but=changed)
    step = moved.params["y1~w1.l2"] - plain.params["y1~w1.l2"]
    assert step == pytest.approx(-shift * plain.params["y1~w1:x1"], rel=1e-6)
    assert moved.loglik == pytest.approx(plain.loglik, rel=1e-9)

    moved = fit(PRODUCT, data.assign(w1=data["w1"] + shift), se)
    assert_same(moved, plain, 1e-6, but=["y1~x1", "y1~1.l2"])


@every_model
def test_shifted_outcome(data, model):
    plain = fit(model, data)
    moved = fit(model, data.assign(y1=data["y1"] + 1e4))
    but = intercepts(plain)
    assert_same(moved, plain, 1e-7, but=but)
    assert moved.params["y1~1.l2"] == pytest.approx(plain.params["y1~1.l2"] + 1e4, abs=1e-7)
    if model is not OBSERVED:  # there z1 ~ y1 has its intercept moved along
        assert_same_se(moved, plain, but)


def assert_same_se(found, wanted, names, tol=1e-7):
    np.testing.assert_allclose(found.bse[names], wanted.bse[names], rtol=tol)


@every_kind
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_rescaled_outcome(data, factor, se):
    plain = fit(PRODUCT, data, se)
    scaled = fit(PRODUCT, data.assign(y1=factor * data["y1"]), se)
    power = pd.Series([2.0 if "~~" in name else 1.0 for name in plain.params.index])
    unit = factor ** power.to_numpy()
    assert ((scaled.params / unit - plain.params).abs() / plain.bse).max() < 1e-8
    np.testing.assert_allclose(scaled.bse / unit, plain.bse, rtol=1e-8)
    away = scaled.loglik - (plain.loglik - len(data) * np.log(factor))
    assert abs(away) < 1e-9 * abs(plain.loglik) * 10


@every_kind
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_rescaled_indicators(data, factor, se):
    """All indicators of a factor at once: loadings stay, variances go with the square."""
    plain = fit(LATENT, data, se)
    names = ["y1", "y2", "y3"]
    scaled = fit(LATENT, data.assign(**{name: factor * data[name] for name in names}), se)
    power = np.array([0 if "=~" in n else 2 if "~~" in n else 1 for n in plain.params.index])
    unit = factor ** power.astype(float)
    assert ((scaled.params / unit - plain.params).abs() / plain.bse).max() < 1e-7
    np.testing.assert_allclose(scaled.bse / unit, plain.bse, rtol=1e-7)


@every_kind
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_one_rescaled_indicator(data, factor, se):
    plain = fit(LATENT, data, se)
    scaled = fit(LATENT, data.assign(y3=factor * data["y3"]), se)
    power = np.array([("y3" in n) * (2 if "~~" in n else 1) for n in plain.params.index])
    unit = factor ** power.astype(float)
    assert ((scaled.params / unit - plain.params).abs() / plain.bse).max() < 1e-7
    np.testing.assert_allclose(scaled.bse / unit, plain.bse, rtol=1e-7)


@every_kind
@pytest.mark.parametrize("factor", [1e6, 1e-6])
@pytest.mark.parametrize(("name", "at"), [("x1", "y1~x1"), ("w1", "y1~w1.l2")])
def test_rescaled_covariate(data, name, at, factor, se):
    plain = fit(OBSERVED, data, se)
    scaled = fit(OBSERVED, data.assign(**{name: factor * data[name]}), se)
    assert_same(scaled, plain, 1e-7, but=[at])
    assert scaled.params[at] * factor == pytest.approx(plain.params[at], rel=1e-7)
    assert scaled.bse[at] * factor == pytest.approx(plain.bse[at], rel=1e-7)
    assert scaled.loglik == pytest.approx(plain.loglik, rel=1e-11)


# --- the same model, written in two ways ----------------------------------------------------------


def test_clusters_of_one_row(data):
    """Robust errors over rows, but for J/(J-1), which lavaan puts before those with `cluster=`."""
    rows = len(data)
    plain = mlsem.fit(SINGLE, data, estimator="MLR")
    alone = mlsem.fit(SINGLE, data.assign(row=np.arange(rows)), cluster="row")
    np.testing.assert_allclose(alone.params, plain.params, atol=1e-8)
    np.testing.assert_allclose(alone.bse, plain.bse * np.sqrt(rows / (rows - 1)), rtol=1e-7)


def test_no_between_variance(data):
    """Then a two-level model is a regression; the cluster-robust errors agree but for J/(J-1)."""
    two = fit("level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1\n y1 ~~ 0*y1", data)
    one = mlsem.fit("y1 ~ x1 + x2 + w1", data, cluster="id", meanstructure=True)
    names = {"y1~x1": "y1~x1", "y1~x2": "y1~x2", "y1~w1.l2": "y1~w1", "y1~~y1": "y1~~y1"}
    names["y1~1.l2"] = "y1~1"
    clusters = two.n_clusters
    assert two.loglik == pytest.approx(one.loglik, rel=1e-12)
    for ours, theirs in names.items():
        assert two.params[ours] == pytest.approx(one.params[theirs], abs=1e-8)
        wanted = one.bse[theirs] * np.sqrt((clusters - 1) / clusters)
        assert two.bse[ours] == pytest.approx(wanted, rel=1e-6)


def test_least_squares(data):
    """A single-level regression is least squares, with the variance over N."""
    columns = np.column_stack((np.ones(len(data)), data["x1"], data["w1"]))
    slopes, rest, *_ = np.linalg.lstsq(columns, data["y1"], rcond=None)
    found = mlsem.fit("y1 ~ x1 + w1", data, meanstructure=True)
    names = ["y1~1", "y1~x1", "y1~w1"]
    np.testing.assert_allclose(found.params[names], slopes, rtol=1e-9)
    variance = rest[0] / len(data)
    assert found.params["y1~~y1"] == pytest.approx(variance, rel=1e-9)
    wanted = np.sqrt(variance * np.diag(np.linalg.inv(columns.T @ columns)))
    np.testing.assert_allclose(found.bse[names], wanted, rtol=1e-8)
    errors = data["y1"].to_numpy() - columns @ slopes
    inverse = np.linalg.inv(columns.T @ columns)
    white = inverse @ (columns.T * errors**2) @ columns @ inverse
    np.testing.assert_allclose(found.with_se("MLR").bse[names], np.sqrt(np.diag(white)), rtol=1e-8)


def test_balanced_random_intercept():
    """In closed form: within mean square, and the variance of the means less its share of that."""
    data = make_data(3, (6,) * 30)
    found = fit("level: 1\n y1 ~~ w*y1\nlevel: 2\n y1 ~~ b*y1", data, "standard")
    groups = data.groupby("id")["y1"]
    within = groups.var(ddof=1).mean()
    between = groups.mean().var(ddof=0) - within / 6
    assert found.params["w"] == pytest.approx(within, rel=1e-9)
    assert found.params["b"] == pytest.approx(between, rel=1e-8)
    assert found.params["y1~1.l2"] == pytest.approx(data["y1"].mean(), abs=1e-9)
    assert found.bse["w"] == pytest.approx(within * np.sqrt(2 / (30 * 5)), rel=1e-8)


@every_kind
def test_unit_variance_or_unit_loading(data, se):
    """Two scales of the same factors: loadings over the marker's, by the delta method."""
    marker = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n f =~ y1 + y2 + y3"
    named = (
        "level: 1\n f =~ a1*y1 + a2*y2 + a3*y3\nlevel: 2\n f =~ b1*y1 + b2*y2 + b3*y3\n"
        "l2 := a2/a1\n l3 := a3/a1\n v := a1^2\n m2 := b2/b1\n u := b1^2"
    )
    first, second = fit(marker, data, se), fit(named, data, se, std_lv=True)
    assert first.loglik == pytest.approx(second.loglik, abs=1e-9)
    defined = second.parameter_estimates().set_index("lhs").query("op == ':='")
    pairs = {"f=~y2": "l2", "f=~y3": "l3", "f~~f": "v", "f=~y2.l2": "m2", "f~~f.l2": "u"}
    for parameter, name in pairs.items():
        assert defined["est"][name] == pytest.approx(first.params[parameter], rel=1e-7)
        assert defined["se"][name] == pytest.approx(first.bse[parameter], rel=1e-6)
    same = [name for name in first.params.index if name in second.params.index]
    assert len(same) == 9
    np.testing.assert_allclose(first.bse[same], second.bse[same], rtol=1e-6)


@pytest.mark.parametrize("marker", ["y2", "y3"])
def test_choice_of_marker(data, marker):
    plain = fit("level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n f =~ y1 + y2 + y3", data)
    others = " + ".join(name for name in ("y1", "y2", "y3") if name != marker)
    loads = f"f =~ {marker} + {others}"
    other = fit(f"level: 1\n {loads}\nlevel: 2\n {loads}", data)
    assert other.loglik == pytest.approx(plain.loglik, abs=1e-9)
    for level in (1, 2):
        ours, theirs = other.implied(level), plain.implied(level)
        names = theirs.cov.index
        np.testing.assert_allclose(ours.cov.loc[names, names], theirs.cov, atol=1e-7)


def test_product_by_hand(data):
    ours = fit(PRODUCT, data)
    column = fit(
        "level: 1\n y1 ~ x1 + made\nlevel: 2\n y1 ~ w1", data.assign(made=data.x1 * data.w1)
    )
    taken = fit(PRODUCT, data.assign(**{"w1:x1": data.x1 * data.w1}))
    for other in (column, taken):
        np.testing.assert_allclose(other.params, ours.params, atol=1e-8)
        np.testing.assert_allclose(other.bse, ours.bse, rtol=1e-7)


def test_centring_by_hand(data):
    ours = fit(PRODUCT, data, center={"x1": "cluster", "w1": "grand"})
    middle = data.groupby("id")["w1"].first().mean()
    hand = data.assign(x1=data.x1 - data.groupby("id")["x1"].transform("mean"), w1=data.w1 - middle)
    assert_same(ours, fit(PRODUCT, hand))


# --- data frames ----------------------------------------------------------------------------------


def test_frame_is_not_changed(data):
    frame = data.assign(text="a")
    before = frame.copy(deep=True)
    fit(PRODUCT, frame, center={"x1": "cluster", "w1": "grand"})
    pd.testing.assert_frame_equal(frame, before)


def test_integer_and_boolean_columns(data):
    whole = data.assign(x1=(data.x1 > 0), w1=np.round(data.w1).astype(np.int8))
    real = whole.assign(x1=whole.x1.astype(float), w1=whole.w1.astype(float))
    assert_same(fit(OBSERVED, whole), fit(OBSERVED, real), 1e-12)
