"""What lavaan's tables do not show: covariates, levels, products, labels, bounds, notes."""

from math import inf

import pytest

from mlsem.errors import OptionValueError
from mlsem.model.defaults import specify
from mlsem.model.elements import LevelVariables, ProductTerm
from mlsem.model.options import ModelOptions, model_options
from mlsem.syntax.parse import parse

COLUMNS = "y y1 y2 y3 y4 m z x x1 x2 x3 w1 w2 id a".split()
ARTICLE = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"


def table_of(text, columns=COLUMNS, preset="sem", **options):
    return specify(parse(text), model_options(preset, **options), columns)


def two(within, between, **options):
    return table_of(f"level: 1\n {within}\nlevel: 2\n {between}", **options)


def row(table, lhs, op, rhs="", level=1):
    (found,) = [r for r in table.rows if (r.lhs, r.op, r.rhs, r.level) == (lhs, op, rhs, level)]
    return found


def moments(table, level=1):
    return {
        f"{r.lhs}{r.op}{r.rhs}": "exo" if r.exo else "free" if r.free >= 0 else r.fixed
        for r in table.rows
        if r.level == level and r.op in ("~~", "~1")
    }


# --- covariates -------------------------------------------------------------------------------


def test_the_article():
    table = table_of(ARTICLE)
    assert table.names == ("y~x1", "y~w1:x1", "y~~y", "y~w1.l2", "y~~y.l2", "y~1.l2")
    assert table.split == ("y",)
    assert table.products == (ProductTerm("w1:x1", ("w1", "x1"), 1),)
    assert table.levels == (
        LevelVariables((), ("y",), ("x1", "w1:x1")),
        LevelVariables((), ("y",), ("w1",)),
    )
    assert table.level_labels == ("1", "2")
    assert table.meanstructure
    assert table.two_level
    assert not table.notes
    assert table.observed == ("y", "x1", "w1:x1", "w1")


def test_a_split_covariate_has_the_moments_of_the_saturated_model():
    table = two("y ~ x1 + x", "y ~ x + w1")
    assert table.levels[0] == LevelVariables((), ("y", "x"), ("x1",), ("x",))
    assert table.levels[1] == LevelVariables((), ("y", "x"), ("w1",), ("x",))
    assert moments(table) == {
        "y~~y": "free", "x1~~x1": "exo", "x1~~x": "exo", "x~~x": "exo",
        "y~1": 0.0, "x1~1": "exo", "x~1": "exo",
    }  # fmt: skip
    assert moments(table, 2) == {
        "y~~y": "free", "x~~x": "exo", "x~~w1": "exo", "w1~~w1": "exo",
        "y~1": "free", "x~1": "exo", "w1~1": "exo",
    }  # fmt: skip
    (note,) = table.notes
    assert note.startswith("'x' has a part at both levels, and parts are not observed")
    assert "fixed_x=False makes them parameters" in note


@pytest.mark.parametrize("keywords", [{"fixed_x": False}, {"population": True}])
def test_a_split_covariate_is_modelled_with_all_of_its_level(keywords):
    text = "level: 1\n y ~ x1 + x\nlevel: 2\n y ~ x + w1"
    population = keywords.pop("population", False)
    table = specify(parse(text), model_options("sem", **keywords), population=population)
    assert table.levels[0] == LevelVariables((), ("y", "x1", "x"), ())
    assert table.levels[1] == LevelVariables((), ("y", "x", "w1"), ())
    assert moments(table) == {
        "y~~y": "free", "x1~~x1": "free", "x1~~x": "free", "x~~x": "free",
        "y~1": 0.0, "x1~1": "free", "x~1": 0.0,
    }  # fmt: skip
    assert moments(table, 2) == {
        "y~~y": "free", "x~~x": "free", "x~~w1": "free", "w1~~w1": "free",
        "y~1": "free", "x~1": "free", "w1~1": "free",
    }  # fmt: skip
    assert not table.notes


def test_outcome_at_one_level_and_covariate_at_the_other():
    table = two("y ~ x + x1", "y ~ w1\n x ~ w1")
    assert table.levels[0] == LevelVariables((), ("y", "x"), ("x1",), ("x",))
    assert table.levels[1] == LevelVariables((), ("y", "x"), ("w1",))
    assert moments(table, 2)["w1~~w1"] == "exo"
    assert len(table.notes) == 1


def test_a_named_part_is_a_parameter():
    table = two("y ~ x + x1\n x ~~ x", "y ~ x + w1")
    assert table.levels[0] == LevelVariables((), ("y", "x1", "x"), ())
    assert table.levels[1].parts == ("x",)


def test_parts_beside_random_slopes_are_parameters():
    table = two('y ~ rv("s")*x1\n m ~ x1', "y ~ m + s")
    assert not table.has_parts
    assert moments(table, 2)["m~~m"] == "free"
    assert any("the saturated model" in note for note in table.notes)


@pytest.mark.parametrize("extra", ["x2 ~~ x2", "x2 ~ 1", "y ~~ x2", "m ~~ x2"])
def test_a_named_covariate_takes_the_others_along(extra):
    table = table_of(f"y ~ x1 + x2 + x3\n{extra}")
    free = {name for name, kind in moments(table).items() if kind == "free"}
    assert {"x1~~x1", "x1~~x2", "x1~~x3", "x2~~x2", "x2~~x3", "x3~~x3"} <= free
    assert not any(r.exo for r in table.rows)
    assert "'x2' is named in '~~' or '~ 1'" in table.notes[0]


def test_naming_is_a_matter_of_one_level():
    table = two("y ~ x1 + x2\n x1 ~~ x2", "y ~ w1 + w2")
    assert table.levels[0].covariates == ()
    assert table.levels[1].covariates == ("w1", "w2")


def test_a_fixed_covariance_of_covariates_stays():
    table = table_of("y ~ x1 + x2\nx1 ~~ 0*x2")
    assert moments(table) == {"x1~~x2": 0.0, "y~~y": "free", "x1~~x1": "free", "x2~~x2": "free"}


def test_covariates_keep_their_means_when_others_are_zero():
    table = table_of("i =~ 1*y1 + 1*y2 + 1*y3\ni ~ x1", preset="growth", fixed_x=False)
    kinds = moments(table)
    assert (kinds["x1~1"], kinds["y1~1"], kinds["i~1"]) == ("free", 0.0, "free")


def test_growth_in_two_levels_has_its_means_between():
    line = "i =~ 1*y1 + 1*y2 + 1*y3\n s =~ 0*y1 + 1*y2 + 2*y3"
    table = two(line + "\n h =~ i + s", line, preset="growth")
    assert [moments(table)[f"{name}~1"] for name in "ish"] == [0.0, 0.0, 0.0]
    assert [moments(table, 2)[f"{name}~1"] for name in "is"] == ["free", "free"]


def test_growth_says_which_outcomes_have_no_intercept():
    table = table_of("i =~ 1*y1 + 1*y2 + 1*y3\nz ~ i\nm ~ i\nm ~ 1", preset="growth")
    assert table.notes == ("The intercepts of 'z' are fixed to 0 (int_ov_free=False).",)


# --- means ------------------------------------------------------------------------------------


def test_means_are_off_on_or_contradictory():
    assert not table_of("y ~ x1").meanstructure
    assert table_of("y ~ x1", meanstructure=True).names == ("y~x1", "y~~y", "y~1")
    assert table_of("y ~ 1 + x1").meanstructure
    for text in ("y ~ 1 + x1", ARTICLE):
        with pytest.raises(OptionValueError, match="meanstructure=False, but"):
            table_of(text, meanstructure=False)


def test_intercepts_of_a_split_variable_at_level_1():
    assert row(two("y ~ 1 + x1", "y ~ w1"), "y", "~1").fixed == 0
    labelled = two("y ~ k*1 + x1", "y ~ w1")
    assert row(labelled, "y", "~1").fixed == 0
    assert "labelled 'k', is 0" in labelled.notes[0]
    freed = two("y ~ NA*1 + x1", "y ~ 0*1")
    assert row(freed, "y", "~1").free >= 0
    assert "one of them must be fixed" in freed.notes[0]


# --- products ---------------------------------------------------------------------------------


def test_a_column_of_that_name_is_used_as_it_is():
    assert table_of("y ~ x1 + w1:x1", [*COLUMNS, "w1:x1"]).products == ()
    table = table_of("f =~ y1 + y2 + w1:x1", [*COLUMNS, "w1:x1"])
    assert table.levels[0].modelled == ("y1", "y2", "w1:x1")


def test_two_spellings_are_one_product():
    table = table_of("y ~ x1 + w1:x1\nz ~ b*x1:w1")
    assert table.names[:3] == ("y~x1", "y~w1:x1", "b")
    assert table.products == (ProductTerm("w1:x1", ("w1", "x1"), 1),)
    assert "x1:w1 and w1:x1 are the same product; it is called w1:x1." in table.notes


def test_a_square_and_a_product_that_is_named():
    table = table_of("y ~ x1 + x1:x1\nx1 ~~ x1:x1")
    assert table.products == (ProductTerm("x1:x1", ("x1", "x1"), 1),)
    assert table.levels[0].covariates == ()


def test_a_split_factor_and_a_split_product_are_told():
    table = two("y ~ x + w1:x", "y ~ x + w1")
    assert any("w1:x is made of the observed values of 'x'" in note for note in table.notes)
    table = two("y ~ x + w1:x", "y ~ x + w1 + w1:x")
    assert table.products == (ProductTerm("w1:x", ("w1", "x"), 1),)
    assert "w1:x" in table.split
    assert any("w1:x is at both levels" in note for note in table.notes)


def test_a_product_between():
    assert two("y ~ x1", "y ~ w1 + w2 + w1:w2").products == (ProductTerm("w1:w2", ("w1", "w2"), 2),)


# --- labels, values, bounds -------------------------------------------------------------------


def test_rows_with_one_label_share_position_bounds_and_start():
    table = table_of("y ~ l*x1 + start(0.4)*x2\nz ~ lower(-1)*start(0.5)*l*x1 + x2\nl < 3")
    first, second = row(table, "y", "~", "x1"), row(table, "z", "~", "x1")
    assert first.free == second.free == 0
    for each in (first, second):
        assert (each.lower, each.upper, each.start) == (-1, 3, 0.5)
    assert table.names.count("l") == 1
    assert row(table, "y", "~", "x2").start == 0.4


def test_a_label_on_a_fixed_row_fixes_the_others():
    table = two("f =~ l*y1 + y2 + y3", "f =~ NA*y1 + l*y2 + y3\n f ~~ 1*f")
    assert row(table, "f", "=~", "y1").fixed == 1
    assert row(table, "f", "=~", "y2", 2).fixed == 1
    assert row(table, "f", "=~", "y1", 2).free >= 0
    assert "l" not in table.names


def test_simple_bounds_do_not_become_constraints():
    table = table_of("y ~ b*x1 + c*x2\nb > 0\n2 > b\nc > -1\nc < 4/2\nb < c\n2*b > c\n1 < 2")
    assert [each.source for each in table.constraints] == ["b<c", "2*b>c"]
    assert not any(each.equality for each in table.constraints)
    assert (row(table, "y", "~", "x1").lower, row(table, "y", "~", "x1").upper) == (0, 2)
    assert (row(table, "y", "~", "x2").lower, row(table, "y", "~", "x2").upper) == (-1, 2)


def test_an_equality_with_a_number_stays_a_constraint():
    table = table_of("y ~ b*x1\nb == 2")
    assert table.constraints[0].equality
    assert "b" in table.names


@pytest.mark.parametrize(
    ("bounds", "observed", "latent"),
    [
        (None, -inf, -inf),
        ("none", -inf, -inf),
        ("pos.var", 0, 0),
        ("pos.ov.var", 0, -inf),
        ("pos.lv.var", -inf, 0),
    ],
)
def test_bounds_of_variances(bounds, observed, latent):
    text = (
        "f =~ y1 + y2 + y3\ny1 ~~ y2 + v*y1\ny3 ~~ v*y3\nf ~~ f\ng =~ y4 + m + z\nx1 ~~ x1\ng ~ x1"
    )
    for each in table_of(text, bounds=bounds).rows:
        variance = each.op == "~~" and each.lhs == each.rhs
        expected = (latent if each.lhs in "fg" else observed) if variance else -inf
        assert each.lower == expected


def test_a_bound_of_the_user_comes_first():
    table = table_of("y ~ x1\ny ~~ lower(-1)*y\nz ~~ upper(5)*z", bounds="pos.var")
    assert row(table, "y", "~~", "y").lower == -1
    assert (row(table, "z", "~~", "z").lower, row(table, "z", "~~", "z").upper) == (0, 5)


def test_definitions_keep_their_order_and_text():
    table = table_of("y ~ a*x1 + b*x2\nab := a*b\ntwice := 2*ab\na > ab")
    assert [(each.name, each.source) for each in table.definitions] == [
        ("ab", "a*b"),
        ("twice", "2*ab"),
    ]
    assert [each.source for each in table.constraints] == ["a>ab"]


# --- notes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("x =~ y1 + y2 + y3", "the data's column 'x' is not used"),
        ("level: 1\ny ~ x1\nlevel: 2\nz ~ w1", "nothing connects the levels"),
        ("level: between\ny ~ w1\nlevel: within\ny ~ x1", "the order counts, not the labels"),
        ("f =~ y1 + y2 + y3\nf ~~ 1*f", "first loading are fixed"),
        ("f =~ start(.8)*y1 + y2 + y3", "starting value of f =~ y1 is not used"),
        ("y ~ x1\ny ~~ -1*y", "fixed to -1, a negative number"),
    ],
)
def test_notes(text, note):
    assert any(note in each for each in table_of(text).notes)


def test_a_label_that_is_a_column_is_remarked_with_its_place():
    (remark,) = table_of("y ~ a*x1").remarks
    assert "did you mean a:x1, their product?" in remark
    assert remark.startswith("line 1, column 5: ")


@pytest.mark.parametrize(
    "text",
    ["y ~ a*x1\nb := 2*a", "y ~ a*x1 + a*x2", "y ~ x1", "f =~ NA*y1 + y2\nf ~~ 1*f", "y ~ a*1"],
)
def test_nothing_to_note(text):
    assert not table_of(text).notes


def test_defaults_need_no_options():
    assert specify(parse("y ~ x1")) == specify(parse("y ~ x1"), ModelOptions())
