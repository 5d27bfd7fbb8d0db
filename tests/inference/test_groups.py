"""Several groups: with everything in common they are one model, with nothing separate ones, and
neither the order of rows nor the names of groups count."""

from __future__ import annotations

import numpy as np
import pytest
from grouped_kinds import ALL, KINDS, MIXED, SLOPE, rows

import mlsem

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

CLUSTERED = ("CR0", "CR2", "CR3")
SPREAD = ("standard", "MLR")


def kinds_of_se(kind):
    return (*SPREAD, *CLUSTERED) if "cluster" in kind.options else SPREAD


def assert_same(found, wanted, tol=1e-8):
    """Covariances and degrees of freedom, in units of the standard errors."""
    unit = np.outer(wanted.se, wanted.se)
    np.testing.assert_allclose(found.matrix / unit, wanted.matrix / unit, atol=tol)
    np.testing.assert_allclose(found.df, wanted.df, rtol=tol)


class Part:
    """What a fit of all groups says of the parameters of one."""

    def __init__(self, covariance, places):
        self.matrix = covariance.matrix[np.ix_(places, places)]
        self.df = covariance.df[places]


@pytest.mark.parametrize("name", KINDS)
def test_groups_with_everything_equal_are_one(name):
    kind = KINDS[name]
    one, found = kind.together(), kind.grouped(group_equal=ALL)
    assert list(found.params.index) == list(one.params.index)
    np.testing.assert_allclose((found.params - one.params) / one.bse, 0.0, atol=1e-8)
    assert found.loglik == pytest.approx(one.loglik, abs=1e-8)
    for se in kinds_of_se(kind):
        assert_same(found.with_se(se).covariance, one.with_se(se).covariance, 2e-8)


@pytest.mark.parametrize("name", ["paths at two levels", "one level, clusters across"])
def test_equalities_between_groups_are_parameters_in_common(name):
    """Labels `p0`, `p1`, … in the first group, `q0`, `q1`, … in the second, `==` two by two."""
    kind = KINDS[name]
    shared = kind.grouped(group_equal=ALL)
    table = mlsem.check(kind.text, kind.data, meanstructure=True, **kind.options)
    names = [f"p{row.free}" for row in table.rows if row.free >= 0]
    constraints = "\n".join(f"{each} == {each.replace('p', 'q')}" for each in names)
    text = f"{labelled(table)}\n{constraints}"
    found = mlsem.fit(text, kind.data, group="g", tol=1e-10, **kind.options)
    np.testing.assert_allclose(
        (found.params[names].to_numpy() - shared.params) / shared.bse, 0.0, atol=1e-7
    )
    places = [found.params.index.get_loc(each) for each in names]
    for se in kinds_of_se(kind):
        ours = Part(found.with_se(se).covariance, places)
        assert_same(ours, shared.with_se(se).covariance, 1e-6)


def labelled(table):
    """The text of a table whose free parameters have labels of each group."""
    lines = []
    for block in table.blocks:
        lines += [f"level: {block.key.level}"] if table.two_level else []
        for row in block.rows:
            value = f"c(p{row.free}, q{row.free})" if row.free >= 0 else f"{row.fixed}"
            operator = row.op.removesuffix("1")
            lines += [] if row.exo else [f"{row.lhs} {operator} {value}*{row.rhs or 1}"]
    return "\n".join(lines)


def of_second(name):
    """The name of a parameter in the second group."""
    return name.removesuffix(".l2") + (".g2.l2" if name.endswith(".l2") else ".g2")


@pytest.mark.parametrize("name", [name for name in KINDS if not KINDS[name].across])
def test_groups_with_nothing_in_common_are_separate_fits(name):
    kind = KINDS[name]
    found, parts = kind.grouped(), kind.apart()
    assert found.loglik == pytest.approx(sum(each.loglik for each in parts.values()), rel=1e-12)
    counts = [found.n_clusters, *(each.n_clusters for each in parts.values())]
    for group, wanted in zip(found._estimates.groups, parts.values(), strict=True):
        difference = found.estimates[group.places] - wanted.estimates
        np.testing.assert_allclose(difference / wanted.bse.to_numpy(), 0.0, atol=1e-8)
        for se in kinds_of_se(kind):
            ours = Part(found.with_se(se).covariance, group.places)
            if se == "MLR" and not found.table.two_level and counts[0] is not None:
                all_, own = counts[0], counts[group.number]  # J / (J - 1) is of all clusters
                ours.matrix = ours.matrix * (all_ - 1) / all_ * own / (own - 1)
            assert_same(ours, wanted.with_se(se).covariance, 1e-8)


@pytest.mark.parametrize("name", ["random slope", "one level, clusters across"])
def test_order_of_rows_and_names_of_groups_do_not_count(name):
    """Renamed so that the second group comes first."""
    kind = KINDS[name]
    data = kind.data.sample(frac=1.0, random_state=1)
    data = data.assign(g=data["g"].map({"a": "second", "b": "first"}))
    how = kind.options | {"group": "g", "tol": 1e-10, "se": "CR2", "group_equal": "regressions"}
    found, wanted = mlsem.fit(kind.text, data, **how), kind.fit(**how)
    twin = {name: of_second(name) for name in wanted.params.index if ".g2" not in name}
    swapped = twin | {second: first for first, second in twin.items()}
    order = [
        name if of_second(name.replace(".g2", "")) not in wanted.params.index else swapped[name]
        for name in wanted.params.index
    ]
    places = [found.params.index.get_loc(each) for each in order]
    np.testing.assert_allclose(
        (found.estimates[places] - wanted.params) / wanted.bse, 0.0, atol=1e-7
    )
    assert_same(Part(found.covariance, places), wanted.covariance, 1e-6)


# --- a grouping variable of level 2 ---------------------------------------------------------------


LABELLED = {
    MIXED: (
        "level: 1\n y1 ~ c(x1, x2)*x\n y1 ~~ c(v, v)*y1\n"
        "level: 2\n y1 ~ c(w1, w2)*w + c(m1, m2)*1\n y1 ~~ c(u, u)*y1\n"
        "dx := x2 - x1\n dw := w2 - w1\n dm := m2 - m1",
        "level: 1\n y1 ~ x + xb\nlevel: 2\n y1 ~ w + b + wb",
        {"dx": "y1~xb", "dw": "y1~wb.l2", "dm": "y1~b.l2"},
    ),
    SLOPE: (
        'level: 1\n y1 ~ rv("s")*x\n y1 ~~ c(v, v)*y1\n'
        "level: 2\n y1 ~ c(w1, w2)*w + c(m1, m2)*1\n s ~ c(q1, q2)*w + c(n1, n2)*1\n"
        " y1 ~~ c(u, u)*y1 + c(k, k)*s\n s ~~ c(t, t)*s\n"
        "dw := w2 - w1\n dm := m2 - m1\n dq := q2 - q1\n dn := n2 - n1",
        'level: 1\n y1 ~ rv("s")*x\nlevel: 2\n y1 ~ w + b + wb\n s ~ w + b + wb\n y1 ~~ s',
        {"dw": "y1~wb.l2", "dm": "y1~b.l2", "dq": "s~wb.l2", "dn": "s~b.l2"},
    ),
}


@pytest.mark.parametrize("text", LABELLED, ids=["mixed model", "random slopes"])
@pytest.mark.parametrize("se", ["standard", "MLR", "CR2"])
def test_groups_of_clusters_are_a_dummy_and_its_products(text, se):
    """With variances and covariances in common: the differences between groups."""
    grouped, dummies, names = LABELLED[text]
    data = rows().assign(b=lambda d: 1.0 * (d["g"] == "b"))
    data = data.assign(wb=data["w"] * data["b"], xb=data["x"] * data["b"])
    how = {"cluster": "id", "se": se, "tol": 1e-10}
    found = mlsem.fit(grouped, data, group="g", **how)
    wanted = mlsem.fit(dummies, data, **how)
    assert found.loglik == pytest.approx(wanted.loglik, abs=1e-9)
    ours = found.parameter_estimates().set_index("label").loc[list(names)]
    theirs = wanted.parameter_estimates()
    theirs = theirs.set_index(theirs["lhs"] + theirs["op"] + theirs["rhs"])
    theirs = theirs.loc[[name.removesuffix(".l2") for name in names.values()]]
    for column in ("est", "se", "df"):
        if column in theirs:
            np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-6)
    variances = found.params[["v", "u"]].to_numpy()
    np.testing.assert_allclose(variances, wanted.params[["y1~~y1", "y1~~y1.l2"]], rtol=1e-7)
