"""Random slopes: lavaan's tables for them, what is refused, and the pattern they make."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.moments.aggregate import read_moments
from mlsem.errors import DataError, ModelSyntaxError, SpecificationError
from mlsem.estimation.start import starting_values
from mlsem.model.defaults import specify
from mlsem.model.elements import RandomSlope
from mlsem.model.options import SEM, model_options
from mlsem.model.pattern import build_pattern
from mlsem.syntax.parse import parse

COLUMNS = "id y y1 y2 y3 m z x x1 x2 x3 w1 w2 u1 u2 u3".split()
REFERENCE = Path(__file__).parents[1] / "reference"
ARTICLE = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s'
FACTOR = 'level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~ w1\n s ~ w1 + w2\n y1 ~~ s'


def two(within, between, **options):
    text = f"level: 1\n {within}\nlevel: 2\n {between}"
    return specify(parse(text), model_options("sem", **options), COLUMNS)


def shown(table, level=2):
    """`y ~ w1 free`, with the value of a fixed row, in order."""
    return [
        f"{r.lhs} {r.op} {r.rhs}".rstrip()
        + (" exo" if r.exo else "" if r.free >= 0 else f" {r.fixed:g}")
        for r in table.rows
        if r.level == level
    ]


# --- lavaan's tables --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rows", "names"),
    [
        (
            ARTICLE,
            "y~x1 y~~y x1~~x1 y~1 x1~1 y~w1 s~w1 s~~y y~~y s~~s w1~~w1 y~1 w1~1 s~1",
            "y~~y y~w1.l2 s~w1.l2 s~~y.l2 y~~y.l2 s~~s.l2 y~1.l2 s~1.l2",
        ),
        (
            FACTOR,
            "y1~x1 y1~x2 y1~~y1 x1~~x1 x1~~x2 x2~~x2 y1~1 x1~1 x2~1 y1~w1 s~w1 s~w2 s~~y1 "
            "y1~~y1 s~~s w1~~w1 w1~~w2 w2~~w2 y1~1 w1~1 w2~1 s~1",
            "y1~x2 y1~~y1 y1~w1.l2 s~w1.l2 s~w2.l2 s~~y1.l2 y1~~y1.l2 s~~s.l2 y1~1.l2 s~1.l2",
        ),
    ],
)
def test_rows_and_names_of_lavaan(text, rows, names):
    """Of lavaan 0.7-2's `parameterEstimates` and `coef`."""
    table = specify(parse(text), SEM, COLUMNS)
    assert [f"{r.lhs}{r.op}{r.rhs}" for r in table.rows] == rows.split()
    assert list(table.names) == names.split()


def test_added_rows_without_any_written():
    """As lavaan 0.6-14 has them, but for its row `s =~ s`, which only marks the slope."""
    table = two('y ~ rv("s")*x1 + rv("t")*x2', "y ~~ y\n z ~ s\n f =~ u1 + u2 + u3\n f ~ t")
    assert shown(table) == (
        "y ~~ y|z ~ s|f =~ u1 1|f =~ u2|f =~ u3|f ~ t|u1 ~~ u1|u2 ~~ u2|u3 ~~ u3|z ~~ z|f ~~ f|"
        "s ~~ s|t ~~ t|f ~~ z|u1 ~1|u2 ~1|u3 ~1|z ~1|y ~1|f ~1 0|s ~1|t ~1"
    ).split("|")
    assert table.levels[1].latent == ("f", "s", "t")


def test_the_fixed_part_is_the_mean_of_the_slope():
    table = two('y ~ rv("s")*x1', "y ~ w1")
    assert shown(table, 1) == ["y ~ x1 0", "y ~~ y", "x1 ~~ x1 exo", "y ~1 0", "x1 ~1 exo"]
    (slope,) = table.slopes
    assert replace(slope, span=None) == RandomSlope("s", "y", "x1")
    assert table.levels[0].covariates == ("x1",)


def test_slopes_of_several_outcomes_that_measure_a_factor():
    table = two('y1 ~ rv("s")*x1\n y2 ~ rv("t")*x1', "y1 ~~ y2\n f =~ s + t\n f ~ w1")
    assert shown(table)[:3] == ["y1 ~~ y2", "f =~ s 1", "f =~ t"]
    assert {"s ~~ s", "t ~~ t", "s ~1", "t ~1", "f ~1 0"} <= set(shown(table))
    assert "y1 ~~ y2" in shown(table, 1)


def test_moments_of_a_slope_may_be_fixed():
    table = two('y ~ rv("s")*x1', "y ~~ y\n s ~ 0*1\n s ~~ 0*s")
    assert shown(table) == ["y ~~ y", "s ~1 0", "s ~~ s 0", "y ~1"]


def test_a_slope_keeps_its_scale_with_std_lv():
    """There lavaan fixes the variance of the slope to 1, which no user can mean."""
    table = two('y ~ rv("s")*x1', "f =~ u1 + u2 + u3\n y ~ f", std_lv=True)
    assert {"f ~~ f 1", "s ~~ s"} <= set(shown(table))


def test_lavaan_adds_nothing():
    table = specify(parse('level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1'), model_options("lavaan"))
    assert {"s ~~ s 0", "s ~1 0"} <= set(shown(table))


def test_growth_frees_the_mean_of_a_slope():
    syntax = parse('level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1')
    assert "s ~1" in shown(specify(syntax, model_options("growth")))


def test_bounds_reach_the_variance_of_a_slope():
    table = two('y ~ rv("s")*x1', "y ~ w1", bounds="pos.var")
    (row,) = [r for r in table.rows if (r.lhs, r.op, r.rhs) == ("s", "~~", "s")]
    assert row.lower == 0


def test_a_product_carries_a_slope():
    table = two('y ~ x1 + rv("s")*x1:x2 + w1:x1', "y ~ w1\n y ~~ s")
    assert table.slopes[0].carrier == "x1:x2"
    assert {term.name for term in table.products} == {"x1:x2", "w1:x1"}


def test_a_covariance_left_out_is_said():
    (note,) = two('y ~ rv("s")*x1', "y ~ w1").notes
    assert "'y ~~ s'" in note
    for between in ("y ~~ s", "y ~~ 0*s", "y ~ s", "s ~ y"):
        assert not any("covary" in note for note in two('y ~ rv("s")*x1', between).notes)
    assert not any("covary" in note for note in two('y ~ rv("s")*x1', "s ~ w1").notes)


# --- refusals ---------------------------------------------------------------------------------

L1, L2 = "level: 1\n", "\nlevel: 2\n"
REFUSED = {
    # where
    'y ~ rv("s")*x1': ("the model needs two levels", 'rv("s")*x1'),
    f'{L1}y ~ x1{L2}y ~ rv("s")*w1': ("level-1 regressions", 'rv("s")*w1'),
    f'{L1}f =~ y1 + rv("s")*y2{L2}y1 ~ w1': ("a loading cannot be random", 'rv("s")*y2'),
    f'{L1}y ~ x1 + rv("s")*1{L2}y ~ w1': ("name 'y' at both levels", 'rv("s")*1'),
    f'{L1}y ~ x1\ny ~~ rv("s")*x1{L2}y ~ w1': ("a covariance cannot be random", 'rv("s")*x1'),
    # carriers
    f'{L1}f =~ y1 + y2\ny ~ rv("s")*f{L2}y ~ w1': ("'f' is a latent variable", 'rv("s")*f'),
    f'{L1}y ~ rv("s")*x1{L2}y ~ x1': ("'x1' is at both levels.*cluster_means", 'rv("s")*x1'),
    f'{L1}y ~ rv("s")*m\nm ~ x1{L2}y ~ w1': ("'m' is explained by the model", 'rv("s")*m'),
    f'{L1}y ~ rv("s")*x1 + x2\nx1 ~~ x2{L2}y ~ w1': ("'x1' is named in '~~'", 'rv("s")*x1'),
    f'{L1}y ~ rv("s")*x1 + x{L2}y ~ x': ("'x' has a part at both levels", 'rv("s")*x1'),
    # outcomes
    f'{L1}f =~ y1 + y2\nf ~ rv("s")*x1{L2}y1 ~ w1': ("act on observed outcomes", 'rv("s")*x1'),
    f'{L1}m ~ rv("s")*x1\ny ~ m{L2}y ~ w1': ("predicts 'y' at level 1", 'rv("s")*x1'),
    # names
    f'{L1}y ~ rv("s")*x1 + rv("s")*x2{L2}y ~ w1': ("already names the random", 'rv("s")*x2'),
    f'{L1}y1 + y2 ~ rv("s")*x1{L2}y1 ~ w1': ("of 'y1' on 'x1'", 'rv("s")*x1'),
    f'{L1}y ~ rv("x2")*x1{L2}y ~ w1': ("is a column of the data", 'rv("x2")*x1'),
    f'{L1}y ~ rv("s")*x1\nz ~ s{L2}y ~ w1': ("cannot stand at level 1", "s"),
    f'{L1}y ~ rv("s")*x1{L2}s =~ u1 + u2': ("cannot have indicators", "u1"),
    f'{L1}y ~ rv("s")*x1{L2}z ~ s:w1': ("'s' in s:w1 is a random slope", "s:w1"),
    # other modifiers
    f'{L1}y ~ a*rv("s")*x1{L2}y ~ w1': ("a label beside rv.*'s ~ 1'", 'a*rv("s")*x1'),
    f'{L1}y ~ 0.5*rv("s")*x1{L2}y ~ w1': ("a fixed value beside rv", '0.5*rv("s")*x1'),
    f'{L1}y ~ start(1)*rv("s")*x1{L2}y ~ w1': ("a starting value", 'start(1)*rv("s")*x1'),
    f'{L1}y ~ lower(0)*rv("s")*x1{L2}y ~ w1': ("a bound beside", 'lower(0)*rv("s")*x1'),
    f'{L1}y ~ NA*rv("s")*x1{L2}y ~ w1': ("NA beside", 'NA*rv("s")*x1'),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    message, place = REFUSED[text]
    with pytest.raises(SpecificationError, match=message) as caught:
        specify(parse(text), SEM, COLUMNS)
    assert text[caught.value.span.start : caught.value.span.end] == place
    assert "^" in str(caught.value)


def test_fixed_x_false_gives_the_carrier_a_distribution():
    with pytest.raises(SpecificationError, match="leave that option out"):
        two('y ~ rv("s")*x1', "y ~ w1", fixed_x=False)


def test_the_name_stands_in_quotes():
    with pytest.raises(ModelSyntaxError, match="stands in quotes: 'rv\\(\"s\"\\)\\*x'"):
        parse("level: 1\n y ~ rv(s)*x1\nlevel: 2\n y ~ w1")


def test_a_carrier_that_does_not_vary():
    table = two('y ~ rv("s")*w1', "y ~~ y")
    with pytest.raises(DataError, match="the slope of 'w1' cannot be random"):
        read_moments(table, article(), cluster="id")


# --- the pattern and the start ----------------------------------------------------------------


def article():
    return pd.read_csv(REFERENCE / "data" / "article_50x10_rep1.csv")


def met(text, data):
    """The table, its pattern, and the maps that the pattern is made of."""
    table = specify(parse(text), SEM, tuple(data.columns))
    record = read_moments(table, data, cluster="id")
    maps = {n: np.concatenate(([m.constant], m.coefs)) for n, m in record.maps.items()}
    return table, build_pattern(table, maps), maps, record


def test_random_effects_come_first():
    text = (
        'level: 1\n m ~ x1\n z ~ rv("t")*x2\n y ~ rv("s")*w1:x1 + x1\n'
        "level: 2\n u ~ s\n y ~ w1\n z ~~ t"
    )
    rng = np.random.default_rng(1)
    data = article().assign(**{n: rng.normal(size=500) for n in ("m", "z", "x2")})
    data["u"] = data.groupby("id")["m"].transform("mean")
    table, pattern, maps, _ = met(text, data)
    assert table.split == ("z", "y")
    effects = [pattern.between.names[k] for k in pattern.between.observed]
    assert effects == ["z", "y", "t", "s", "u"]
    assert pattern.split == 4
    rows = [pattern.within.names[k] for k in pattern.within.observed]
    carriers = pattern.carriers
    assert [rows[k] for k in carriers.responses] == ["z", "y", "z", "y"]
    constant = np.eye(1, len(maps["x1"]))[0]
    expected = [constant, constant, maps["x2"], maps["w1:x1"]]
    np.testing.assert_array_equal(carriers.maps, expected)
    assert not pattern.between.responses[2:4].any()
    assert not pattern.within.exogenous.at(np.zeros(pattern.n_params)).any()


def test_a_slope_without_random_intercept():
    table, pattern, _, _ = met('level: 1\n y ~ rv("s")*x1\nlevel: 2\n s ~ w1', article())
    assert table.split == ()
    assert pattern.split == 1
    assert pattern.carriers.responses.tolist() == [0]


def test_models_without_slopes_have_no_carriers():
    assert met("level: 1\n y ~ x1\nlevel: 2\n y ~ w1", article())[1].carriers is None


def test_start_near_the_pooled_regression():
    from mlsem.core.sample.shapes import shape_moments, shapes_of

    table, _, maps, record = met(ARTICLE, article())
    data = shape_moments(record.moments, *shapes_of(record.moments))
    start = dict(zip(table.names, starting_values(table, data, maps), strict=True))
    assert start["s~1.l2"] == pytest.approx(0.58, abs=0.1)
    assert 0.02 < start["s~~s.l2"] < 0.3
    assert start["s~~y.l2"] == 0
    assert start["y~1.l2"] == pytest.approx(0, abs=0.2)


# --- what a fit with slopes cannot do yet -------------------------------------------------------


def test_no_semopy():
    pytest.importorskip("semopy")
    from mlsem.interop.semopy import to_semopy

    with pytest.raises(SpecificationError, match="has no random slopes"):
        to_semopy(mlsem.fit(ARTICLE, article(), cluster="id"))
