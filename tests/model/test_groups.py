"""Tables of several groups: what is of each group, what groups share and what that identifies."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from mlsem.errors import OptionValueError, SpecificationError
from mlsem.model.defaults import specify
from mlsem.model.expressions import compile_constraints, compile_definitions
from mlsem.model.options import ModelOptions, model_options
from mlsem.model.table import ParameterTable
from mlsem.syntax.parse import parse

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "groups" / "groups.json").read_text("utf-8")
)
CASES = {
    (section, name): case
    for section in ("cases", "cases_x", "cases_free_means")
    for name, case in REFERENCE[section].items()
}
METRIC = ["loadings"]
SCALAR = ["loadings", "intercepts"]
FACTOR = "f =~ y1 + y2 + y3"
TWO = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"


def table_of(text, groups=("a", "b"), preset="sem", columns=None, **options) -> ParameterTable:
    return specify(parse(text), model_options(preset, **options), columns, groups=groups)


def free_rows(table, group=None):
    """Rows by their name within a group."""
    return {
        f"{row.lhs}{row.op}{row.rhs}" + (".l2" if row.level == 2 else ""): table.names[row.free]
        for row in table.rows
        if row.free >= 0 and group in (None, row.group)
    }


# --- two levels, against lavaan -------------------------------------------------------------------


def kind(exo, free):
    return "exo" if exo else "free" if free else "fixed"


def theirs(case):
    table = case["table"]
    keys = ("lhs", "op", "rhs", "group", "level", "label", "exo", "free")
    rows = [dict(zip(keys, row, strict=True)) for row in zip(*map(table.get, keys), strict=True)]
    return {
        (r["lhs"], r["op"], r["rhs"], r["group"], r["level"]): (
            kind(r["exo"], r["free"]),
            r["label"],
        )
        for r in rows
        if r["op"] != "=="
    }


def ours(table):
    return {
        (r.lhs, r.op, r.rhs, r.group, r.level): (kind(r.exo, r.free >= 0), r.label)
        for r in table.rows
    }


@pytest.mark.parametrize("key", CASES, ids="-".join)
def test_two_levels_as_lavaan_has_them(key):
    case = CASES[key]
    equal = case["group.equal"]
    table = table_of(case["model"], (1, 2), group_equal=equal)
    expected, found = theirs(case), ours(table)
    if "free" not in key[0] and "intercepts" in equal and "means" not in equal:
        # lavaan does not free the mean of the between factor; with it free in the text it is the
        # same model as ours
        mean = ("fb", "~1", "", 2, 2)
        assert expected.pop(mean) == ("fixed", "")
        assert found.pop(mean) == ("free", "")
        assert len(table.names) == case["fit"]["npar"] + 1
    else:
        assert len(table.names) == case["fit"]["npar"]
    assert found == expected


@pytest.mark.parametrize("name", REFERENCE["cases_free_means"])
def test_latent_means_are_freed_between_clusters_by_themselves(name):
    """As in the text that frees them."""
    case = REFERENCE["cases_free_means"][name]
    table, written = (
        table_of(text, (1, 2), group_equal=case["group.equal"]) for text in (TWO, case["model"])
    )
    assert set(table.names) == set(written.names)
    assert "fb~1.g2.l2" in table.names
    assert not [name for name in table.names if name.startswith("fw~1")]


# --- the tables of the groups ---------------------------------------------------------------------

TEXTS = {
    "two levels": (TWO, {}),
    "metric": (TWO, {"group_equal": METRIC}),
    "scalar, std_lv": (TWO, {"group_equal": SCALAR, "std_lv": True}),
    "labels": ("y ~ a*x + c(b, d)*z\ne := b - d\nb > 0", {}),
    "blocks": ("group: b\n y ~ x\ngroup: a\n f =~ y + z + v\n f ~ w:x", {}),
    "slopes": ('level: 1\n y ~ rv(c("s", "t"))*x\nlevel: 2\n y ~ w', {}),
    "covariates": ("level: 1\n y ~ x\nlevel: 2\n group: a\n y ~ x + w\n group: b\n y ~ w", {}),
}


@pytest.mark.parametrize(("text", "options"), TEXTS.values(), ids=TEXTS)
def test_parts_and_whole(text, options):
    table = table_of(
        text, ("a", "b", "c")[: 2 if "c(" in text or "group" in text else 3], **options
    )
    assert [block.key for block in table.blocks] == sorted(block.key for block in table.blocks)
    assert {row.group for row in table.rows} == set(range(1, len(table.groups) + 1))
    for number, group in enumerate(table.groups, start=1):
        own = group.table
        assert own.groups == own.definitions == own.constraints == ()
        assert len(set(group.places)) == len(group.places) == len(own.names)
        assert own.names == tuple(table.names[place] for place in group.places)
        assert {row.free for row in own.rows} - {-1} == set(range(len(own.names)))
        rows = [row for row in table.rows if row.group == number]
        assert [
            replace(r, group=number, free=group.places[r.free] if r.free >= 0 else -1)
            for r in own.rows
        ] == rows
        assert {*own.split} <= {*table.split}
        for level, whole in zip(own.levels, table.levels, strict=True):
            assert {*level.latent} <= {*whole.latent}
            assert {*level.modelled} <= {*whole.modelled}
        assert own.meanstructure
        assert own.two_level == table.two_level
    assert {place for group in table.groups for place in group.places} == set(
        range(len(table.names))
    )


@pytest.mark.parametrize(("text", "options"), TEXTS.values(), ids=TEXTS)
def test_groups_with_nothing_in_common_have_the_tables_of_separate_models(text, options):
    """But for `.g2` in the names, and what equalities do."""
    if "group" in text or "c(" in text or options or "a*" in text:
        text = TWO
    table = table_of(text)
    one = specify(parse(text), ModelOptions(meanstructure=True))
    for number, group in enumerate(table.groups, start=1):
        suffix = f".g{number}" * (number > 1)
        names = tuple(name.replace(suffix, "") if suffix else name for name in group.table.names)
        assert replace(group.table, names=names) == replace(one, notes=())


def test_blocks_number_the_groups_and_are_matched_by_name():
    text = "group: b\n y ~ 1*x\ngroup: a\n y ~ 2*x"
    for labels in (("a", "b"), ("b", "a")):
        table = table_of(text, labels)
        assert [group.label for group in table.groups] == ["b", "a"]
        assert [group.table.rows[0].fixed for group in table.groups] == [1, 2]
    assert [group.label for group in table_of("y ~ x", ("b", "a")).groups] == ["b", "a"]


def test_different_variables():
    text = "level: 1\ngroup: a\n y ~ x\n z ~ x\ngroup: b\n y ~ v\nlevel: 2\n y ~ w"
    table = table_of(text, columns=("y", "x", "z", "v", "w"))
    assert [group.table.observed for group in table.groups] == [
        ("y", "z", "x", "w"),
        ("y", "v", "w"),
    ]
    assert table.levels[0].covariates == ("x", "v")
    assert table.split == ("y",)
    with pytest.raises(
        SpecificationError, match="column 6: group 'b': 'v' is not a column"
    ) as caught:
        table_of(text, columns=("y", "x", "z", "w"))
    assert "line 6" in str(caught.value)
    # what all groups say is not said of one
    with pytest.raises(SpecificationError, match="column 5: 'v' is not a column"):
        table_of("y ~ v", columns=("y", "x"))


def test_one_group_is_as_it_was():
    for text in ("y ~ x", TWO):
        assert specify(parse(text)).groups == ()
    assert not specify(parse("y ~ x")).meanstructure
    assert table_of("y ~ x").meanstructure
    assert not table_of("y ~ x", meanstructure=False).meanstructure


def test_random_slopes_and_products_of_groups():
    table = table_of(TEXTS["slopes"][0])
    assert [[s.name for s in g.table.slopes] for g in table.groups] == [["s"], ["t"]]
    assert [slope.name for slope in table.slopes] == ["s", "t"]
    assert table.levels[1].latent == ("s", "t")
    table = table_of('level: 1\n y ~ rv(c("s", NA))*x\nlevel: 2\n y ~ w')
    assert [len(g.table.slopes) for g in table.groups] == [1, 0]
    assert "y~x.g2" in table.names
    table = table_of("group: a\n y ~ x:w\ngroup: b\n y ~ w:x + x:x")
    assert [term.name for term in table.products] == ["x:w", "x:x"]
    assert any("w:x and x:w are the same product" in note for note in table.notes)


# --- labels, values and constraints over groups ---------------------------------------------------


def test_labels_are_shared_over_groups():
    table = table_of("y ~ a*x + c(b, b)*z + c(d, e)*w")
    assert table.names[:4] == ("a", "b", "d", "y~~y")
    assert table.groups[1].table.names[:3] == ("a", "b", "e")
    assert any("'a' labels a parameter of all groups" in note for note in table.notes)
    assert not any("'b'" in note or "'d'" in note for note in table.notes)


def test_definitions_and_constraints_over_all_groups():
    table = table_of("group: a\n y ~ p*x\ngroup: b\n y ~ q*x\nd := p - q\np == 2*q\nq < 1\np*q > 0")
    values = compile_definitions(table)(_params(table, p=3.0, q=1.0))[0]
    assert values.tolist() == [2.0]
    assert len(table.constraints) == len(compile_constraints(table)) == 2
    rows = {row.label: row for row in table.rows if row.label}
    assert rows["q"].upper == 1.0
    assert rows["p"].upper == inf
    with pytest.raises(SpecificationError, match=r"'r' is not the label"):
        table_of("group: a\n y ~ p*x\ngroup: b\n y ~ q*x\nd := p - r")


def _params(table, **values):
    import numpy as np

    return np.array([values.get(name, 0.0) for name in table.names])


def test_elements_are_for_the_groups_in_their_order():
    text = "y ~ c(1, NA)*x + start(c(2, 3))*z + lower(c(0, NA))*upper(c(5, 6))*v"
    first, second = (group.table.rows[:3] for group in table_of(text).groups)
    assert [row.fixed for row in (first[0], second[0])] == [1.0, None]
    assert [row.start for row in (first[1], second[1])] == [2.0, 3.0]
    assert [(row.lower, row.upper) for row in (first[2], second[2])] == [(0, 5), (-inf, 6)]
    with pytest.raises(SpecificationError) as caught:
        table_of(text, ("u", "v", "w"))
    assert "2 elements, and there are 3 groups, in this order: 'u', 'v', 'w'" in str(caught.value)
    with pytest.raises(SpecificationError, match="below 'group: a', where there is one group"):
        table_of("group: a\n y ~ c(1, 2)*x\ngroup: b\n y ~ x")


def test_equal_names_parameters_of_any_group():
    table = table_of('group: a\n f =~ x + y + z\ngroup: b\n f =~ x + y + equal("f=~y")*z')
    assert free_rows(table, 2)["f=~z"] == "f=~y"
    assert table.groups[1].places[:2] == (len(table.groups[0].places), 0)
    text = f"{TWO.replace('y3', '{}y3', 1)}".format('equal(c("fb=~y2.l2", "fb=~y2.g2.l2"))*')
    table = table_of(text)
    assert [free_rows(table, g)["fw=~y3"] for g in (1, 2)] == ["fb=~y2.l2", "fb=~y2.g2.l2"]
    with pytest.raises(SpecificationError, match=r"Did you mean 'f=~y2\.g2'"):
        table_of('f =~ y1 + y2 + equal(c("f=~y2", "f=~y2.g3"))*y3')


def test_groups_are_asked_for_where_the_text_has_them():
    for text, message in (
        ("group: a\n y ~ x\ngroup: b\n y ~ x", r"'group:' blocks \('a', 'b'\).*write group="),
        ("y ~ c(a, b)*x", r"c\(…\) with 2 elements is for as many groups.*write group="),
    ):
        with pytest.raises(SpecificationError, match=message) as caught:
            specify(parse(text))
        assert "^" in str(caught.value)
    for name in ("group_equal", "group_partial"):
        with pytest.raises(OptionValueError, match=f"{name}=.*write group="):
            specify(
                parse(FACTOR),
                model_options(**{name: "loadings"} if name == "group_equal" else {name: "f=~y2"}),
            )


@pytest.mark.parametrize(
    ("text", "labels", "message"),
    [
        (
            "group: aa\n y ~ x\ngroup: b\n y ~ x",
            ("a", "b"),
            r"'group: aa' is none of.*'a', 'b'\. Did you mean 'a'",
        ),
        (
            "group: a\n y ~ x\ngroup: b\n y ~ x",
            ("a", "b", "c"),
            r"the group 'c', and the model has no 'group:' block for it.*group_label=\['a', 'b'\]",
        ),
        ("group: true\n y ~ x\ngroup: TRUE\n y ~ x", (True, False), "are both the group True"),
        ("group: 1\n y ~ x\ngroup: 2\n y ~ x", (1, "1", 2), "more than one group"),
    ],
)
def test_blocks_that_fit_no_group(text, labels, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        table_of(text, labels)
    assert "^" in str(caught.value)


def test_a_level_without_formulas_is_named():
    with pytest.raises(SpecificationError, match="block 'level: 1' names no variables"):
        table_of("level: 1\nlevel: 2\n y ~ c(a, b)*x")


# --- equal across groups --------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["loadings", ["loadings"], ("loadings", "loadings")])
def test_one_text_is_a_list_of_one(value):
    assert ModelOptions(group_equal=value).group_equal == ("loadings",)
    assert hash(ModelOptions(group_equal=value))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_equal": ["loading"]}, "'loading' is not among.*Did you mean 'loadings'"),
        ({"group_equal": "lv_variances"}, "Did you mean 'lv.variances'"),
        ({"group_equal": "Loadings"}, "Did you mean 'loadings'"),
        ({"group_equal": "thresholds"}, "ordered variables, which are not fitted"),
        ({"group_equal": "composite.loadings"}, "Composites .* not supported"),
        ({"group_equal": "metric"}, r'group_equal=\["loadings"\]'),
        ({"group_equal": True}, "takes a list of texts"),
        ({"group_equal": 1}, "takes a list of texts"),
        ({"group_partial": [1]}, "takes a list of texts, such as"),
        ({"group_partial": "f=~y9"}, "'f=~y9' is no parameter.*Did you mean 'f=~y"),
        ({"group_partial": "f=~y2.g2"}, "without a group's suffix"),
        ({"group_partial": "f=~y2.l2"}, "is no parameter"),
        ({"group_equal": "intercepts", "meanstructure": False}, r"group_equal=\['intercepts'\] is"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(OptionValueError, match=message):
        table_of(FACTOR, **options)


def test_the_users_labels_and_values_win():
    table = table_of(
        f"{FACTOR.replace('y3', 'c(0.5, NA)*y3')}\ny2 ~~ c(a, b)*y2",
        group_equal=[*SCALAR, "residuals"],
    )
    assert free_rows(table, 2)["f=~y3"] == "f=~y3.g2"
    assert [free_rows(table, g)["y2~~y2"] for g in (1, 2)] == ["a", "b"]
    assert free_rows(table, 2)["f=~y2"] == "f=~y2"
    # the others of three share
    table = table_of(FACTOR.replace("y3", "c(0.5, NA, NA)*y3"), (1, 2, 3), group_equal=METRIC)
    assert free_rows(table, 3)["f=~y3"] == "f=~y3.g2"
    labels = [row.label for row in table.rows if row.rhs == "y3" and row.op == "=~"]
    assert labels == ["", ".p14.", ".p14."]


def test_bounds_of_what_is_equal_are_all_met():
    table = table_of(FACTOR.replace("y3", "lower(c(0, 1))*upper(c(3, 4))*y3"), group_equal=METRIC)
    rows = [row for row in table.rows if row.rhs == "y3" and row.op == "=~"]
    assert {(row.lower, row.upper) for row in rows} == {(1.0, 3.0)}
    with pytest.raises(SpecificationError, match="not below 5 and not above 4"):
        table_of(FACTOR.replace("y3", "lower(c(0, 5))*upper(c(4, 6))*y3"), group_equal=METRIC)


def test_partial_names_a_parameter_at_both_levels_or_at_one():
    text = TWO.replace("fw", "f").replace("fb", "f")

    def shared(partial):
        table = table_of(text, group_equal=METRIC, group_partial=partial)
        own = set(free_rows(table, 2).values())
        return {name for name in ("f=~y3", "f=~y3.l2") if name in own}

    assert shared([]) == {"f=~y3", "f=~y3.l2"}
    assert shared("f =~ y3") == set()
    assert shared("f=~y3.l2") == {"f=~y3"}
    assert shared("f=~y3.l1") == {"f=~y3.l2"}
    table = table_of("y ~~ z", group_equal="residual.covariances", group_partial="z~~y")
    assert "y~~z.g2" in table.names


def means(table, group=2):
    return {
        row.lhs for row in table.rows if row.op == "~1" and row.free >= 0 and row.group == group
    }


def test_latent_means_are_freed_where_they_are_identified():
    free = [f"{FACTOR}\nk =~ y4 + y5", "i =~ f + k"]
    table = table_of("\n".join(free), group_equal=SCALAR)
    assert {"f", "k"} <= means(table)
    assert not means(table, 1) & {"f", "k", "i"}
    assert "i" not in means(table)  # lavaan frees it, too, and then nothing fixes its scale
    assert any("mean of 'i'" in note for note in table.notes)
    # an indicator of its own identifies it
    table = table_of("\n".join([*free, "i =~ y6"]), group_equal=SCALAR)
    assert {"f", "k", "i"} <= means(table)
    # unless its intercept is free
    partial = ["y1~1", "y2~1", "y3~1"]
    table = table_of(FACTOR, group_equal=SCALAR, group_partial=partial)
    assert "f" not in means(table)
    assert any("mean of 'f'" in note for note in table.notes)
    assert "f" in means(table_of(FACTOR, group_equal=SCALAR, group_partial=partial[:2]))
    # intercepts that a label makes equal, or a value, do as well
    for same in ("y1 ~ n*1", "y1 ~ 2*1"):
        text = f"{FACTOR}\n{same}"
        assert "f" in means(table_of(text, group_equal=SCALAR, group_partial=partial[1:]))
    # one whose mean the user frees in the first group and not in the second is identified so
    text = f"group: a\n{FACTOR}\nf ~ 1\ngroup: b\n{FACTOR}\ngroup: c\n{FACTOR}"
    table = table_of(text, ("a", "b", "c"), group_equal=SCALAR)
    assert ["f" in means(table, group) for group in (1, 2, 3)] == [True, False, True]


def test_means_within_clusters_stay_zero():
    text = "level: 1\n f =~ y1 + y2 + y3\n g =~ x1 + x2 + x3\n h =~ f\nlevel: 2\n f =~ y1 + y2 + y3"
    table = table_of(text, group_equal=SCALAR)
    own = {
        (row.lhs, row.level)
        for row in table.rows
        if row.op == "~1" and row.free >= 0 and row.group == 2
    }
    assert ("g", 1) in own  # of variables of level 1 alone
    assert ("f", 2) in own
    assert not {("f", 1), ("h", 1)} & own
    assert table.notes == ()


def test_equal_means_stay_zero_but_for_partial_ones():
    equal = [*SCALAR, "means"]
    text = f"{FACTOR}\nk =~ y4 + y5 + y6"
    assert not means(table_of(text, group_equal=equal)) & {"f", "k"}
    assert means(table_of(text, group_equal=equal, group_partial="k~1")) & {"f", "k"} == {"k"}


def test_variances_are_freed_with_equal_loadings():
    def variances(**options):
        table = table_of(f"{FACTOR}\nk =~ y4 + y5\nk ~ f", std_lv=True, **options)
        return {r.lhs for r in table.rows if r.group == 2 and r.is_variance and r.free >= 0} & {
            "f",
            "k",
        }

    assert variances(group_equal=METRIC) == {"f", "k"}
    assert variances(group_equal="intercepts") == set()
    assert variances(group_equal=[*METRIC, "lv.variances"]) == set()
    assert variances(group_equal=METRIC, group_partial=["k=~y4", "k=~y5"]) == {"f"}
    table = table_of(FACTOR, std_lv=True, group_equal=METRIC, bounds="pos.var")
    assert all(row.lower == 0.0 for row in table.rows if row.is_variance and row.free >= 0)


def test_order_of_labels_changes_names_only():
    one = table_of(TWO, ("a", "b"), group_equal=SCALAR)
    other = table_of(TWO, ("b", "a"), group_equal=SCALAR)
    assert one.rows == other.rows
    assert [group.label for group in other.groups] == ["b", "a"]
    assert [g.table for g in one.groups] == [g.table for g in other.groups]


def test_notes_say_whose_they_are():
    table = table_of("group: a\n f =~ start(2)*y1 + y2\ngroup: b\n f =~ y1 + y2")
    (note,) = table.notes
    assert note.startswith("Group 'a': The starting value of f =~ y1")
    table = table_of("f =~ start(2)*y1 + y2")
    (note,) = table.notes
    assert note.startswith("The starting value")
