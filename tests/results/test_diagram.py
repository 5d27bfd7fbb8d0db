"""Diagrams of fits: what of the table and its estimates they show."""

from __future__ import annotations

import doctest

import pytest

import mlsem
from mlsem.errors import OptionValueError


@pytest.fixture(scope="module")
def sloped() -> mlsem.FitResult:
    model = "level: 1\n y ~ rv('s')*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s"
    return mlsem.fit(model, mlsem.load_example("article"), cluster="id")


def test_signs_of_two_levels(sloped: mlsem.FitResult) -> None:
    between, within = sloped.diagram().picture.panels
    assert (between.title, within.title) == ("Between", "Within")
    shapes = {node.key: node.shape for node in between.nodes}
    assert shapes == {"w1": "rectangle", "s": "ellipse", "y": "ellipse"}
    mean = sloped.params["s~1.l2"]
    assert {node.key: node.note for node in between.nodes}["s"] == f"[{mean:.2f}]"
    (path,) = within.arrows
    assert (path.source, path.target, path.slope, path.value.text) == ("x1", "y", "s", "")
    assert {node.key: node.dotted for node in within.nodes} == {"x1": False, "y": True}


def test_values_and_dashes_are_those_of_the_tables(sloped: mlsem.FitResult) -> None:
    for standardized, column in ((False, "est"), (True, "est_std")):
        frame = sloped.standardized() if standardized else sloped.parameter_estimates()
        panel = sloped.diagram(standardized, digits=4, level=2).picture.panels[0]
        for arrow in panel.arrows:
            row = frame[(frame.lhs == arrow.target) & (frame.rhs == arrow.source)].iloc[0]
            assert float(arrow.value.text) == pytest.approx(row[column], abs=5e-5)
            assert arrow.value.dashed == (row.pvalue > 0.05)
    (arc,) = panel.arcs
    assert arc.value.dashed  # p = 0.87
    assert not sloped.diagram(significance=0.9, level=2).picture.panels[0].arcs[0].value.dashed


def test_options(sloped: mlsem.FitResult) -> None:
    panel = sloped.diagram(
        labels={"w1": "Size"}, covariances=False, variances=False, stars=True, level="2"
    ).picture.panels[0]
    assert panel.arcs == ()
    assert all(node.variance is None for node in panel.nodes)
    assert panel.nodes[0].label == "Size"
    assert {arrow.value.text for arrow in panel.arrows} == {"0.37*", "0.29**"}
    starry = sloped.diagram(stars=True, level=2).picture.panels[0].nodes
    varied = [node.variance.text for node in starry if node.variance is not None]
    assert len(varied) == 2
    assert not any("*" in text for text in varied)  # no Wald test of these
    noted = sloped.diagram(intercepts=True, level=2).picture.panels[0].nodes
    assert [node.key for node in noted if node.note] == ["s", "y"]
    with pytest.raises(OptionValueError, match="digits"):
        sloped.diagram(digits=-1)
    with pytest.raises(OptionValueError, match="Hours of reading"):
        sloped.diagram(labels=["x1"])  # type: ignore[arg-type]


def test_names_of_levels_stay_as_they_are() -> None:
    panels = mlsem.diagram("level: Pupil\n y ~ x1\nlevel: School\n y ~ w1").picture.panels
    assert [panel.title for panel in panels] == ["Between (School)", "Within (Pupil)"]


def test_groups_stand_one_below_the_other() -> None:
    data = mlsem.load_example("article").assign(side=lambda d: d["id"] % 2)
    fit = mlsem.fit("y ~ x1", data, group="side")
    titles = [panel.title for panel in fit.diagram().picture.panels]
    assert titles == [f"Group {k} [{group.label}]" for k, group in enumerate(fit.table.groups, 1)]
    assert len(fit.diagram(group=1).picture.panels) == 1


def test_auxiliary_variables_are_left_out_and_move_nothing() -> None:
    data = mlsem.load_example("article")
    data.loc[::7, "y"] = None
    plain = mlsem.fit("y ~ x1", data, missing="fiml")
    beside = mlsem.fit("y ~ x1", data, missing="fiml", auxiliary=["w1"])
    (panel,) = beside.diagram(digits=6).picture.panels
    assert {node.key for node in panel.nodes} == {"x1", "y"}
    assert float(panel.arrows[0].value.text) == pytest.approx(beside.params["y~x1"], abs=1e-6)
    assert plain.diagram().picture.panels[0].nodes[0].key == "x1"


def test_a_model_before_it_is_fitted() -> None:
    model = "level: 1\n f =~ y1 + l*y2 + y3\n y1 ~~ 0*y2\nlevel: 2\n g =~ y1 + l*y2 + y3"
    between, within = mlsem.diagram(model).picture.panels
    assert [arrow.value.text for arrow in within.arrows] == ["1", "l", ""]
    assert within.arcs == ()  # fixed to zero: not in the model
    assert mlsem.diagram(mlsem.check(model), level=2).picture.panels == (between,)
    with pytest.raises(OptionValueError, match=r"fit\.diagram"):
        mlsem.diagram(3)  # type: ignore[arg-type]


def test_examples_run() -> None:
    import mlsem.api.diagram as module
    import mlsem.results.drawn as drawn

    for each in (module, drawn):
        result = doctest.testmod(each, optionflags=doctest.ELLIPSIS)
        assert result.attempted
        assert not result.failed
