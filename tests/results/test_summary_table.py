"""Fits side by side: what is the same parameter stands in one row."""

from __future__ import annotations

import doctest
import pickle

import pytest

import mlsem
from mlsem.errors import OptionValueError


@pytest.fixture(scope="module")
def fits() -> dict[str, mlsem.FitResult]:
    data = mlsem.load_example("article")
    model = "level: 1\n y ~ a*x1\nlevel: 2\n y ~ w1\ntwice := 2*a"
    sem = mlsem.fit(model, data, cluster="id", estimator="MLR")
    return {
        "intercept": mlsem.lmm("y ~ x1 + w1 + (1 | id)", data),
        "slope": mlsem.lmm("y ~ x1 * w1 + (x1 | id)", data),
        "MLR": sem,
        "CR2": sem.with_se("CR2"),
    }


def test_the_same_parameter_stands_in_one_row(fits: dict[str, mlsem.FitResult]) -> None:
    table = mlsem.summary_table(fits, statistic=None, digits=4)
    expected = [fits["intercept"].params["x1"], fits["slope"].params["x1"]]
    expected += [fits["MLR"].params["a"]] * 2
    (row,) = [row.cells for row in table._table.rows if row.cells[0] == "y ~ x1"]
    assert [float(cell) for cell in row[1:]] == pytest.approx(expected, abs=5e-5)
    assert any("y ~ x1: the mean of a random slope in slope." in note for note in table.notes)
    tidy = table.tidy
    assert len(tidy[(tidy.lhs == "y") & (tidy.op == "~") & (tidy.rhs == "x1")]) == 4
    assert not tidy.est.isna().any()


def test_what_stands_below(fits: dict[str, mlsem.FitResult]) -> None:
    rows = mlsem.summary_table(
        fits, statistic=["se", "ci", "t", "p", "df"], stars=True, rows="y~w1"
    )._table.rows
    (place,) = [k for k, row in enumerate(rows) if row.cells[0] == "y ~ w1"]
    cells = [row.cells[3] for row in rows[place : place + 5]]
    estimate = fits["MLR"].tidy().set_index("term").loc["y ~ w1"]
    assert cells[0] == f"{estimate['estimate']:.3f}**"
    assert cells[1] == f"({estimate['std.error']:.3f})"
    assert cells[2] == f"[{estimate['conf.low']:.3f}, {estimate['conf.high']:.3f}]"
    assert cells[3] == f"z = {estimate['statistic']:.3f}"
    assert cells[4] == f"p = {estimate['p.value']:.3f}"
    assert [row.cells[1][:2] for row in rows[place : place + 6]][3:] == ["t ", "p ", "df"]


def test_notes_say_which_errors_each_column_has(fits: dict[str, mlsem.FitResult]) -> None:
    notes = "\n".join(mlsem.summary_table(fits, stars=True).notes)
    assert "intercept: REML; standard errors model-based" in notes
    assert "MLR: ML; standard errors robust (sandwich), observed information; z tests." in notes
    assert "CR2: ML; standard errors cluster-robust (CR2)" in notes
    assert "Satterthwaite's degrees of freedom" in notes
    assert "restricted ones" in notes
    assert "*** p < .001" in notes
    assert "restricted" not in "\n".join(mlsem.summary_table(fits["MLR"]).notes)


def test_rows_levels_and_measures(fits: dict[str, mlsem.FitResult]) -> None:
    table = mlsem.summary_table(
        [fits["MLR"], fits["CR2"]], rows=["~", ":="], levels=1, fit_measures=["n_obs", "cfi"]
    )
    assert [row.cells[0] for row in table._table.rows] == [
        "Level 1 [within]", "Regressions", "y ~ x1", "", "Observations", "CFI",
    ]  # fmt: skip
    assert list(table.frame.columns) == ["(1)", "(2)"]
    named = mlsem.summary_table(fits, rows="~", labels={"y": "Score", "x1": "Hours", "w1": "Size"})
    assert "Score ~ Hours × Size" in str(named)


def test_standardized(fits: dict[str, mlsem.FitResult]) -> None:
    tidy = mlsem.summary_table(fits["MLR"], standardized=True, rows="~").tidy
    frame = fits["MLR"].standardized()
    assert tidy.est.tolist() == pytest.approx(frame[frame.op == "~"].est_std.tolist())


def test_groups_have_parts_of_their_own() -> None:
    data = mlsem.load_example("article").assign(side=lambda d: (d["id"] % 2).astype(str))
    fit = mlsem.fit("y ~ x1", data, group="side")
    rows = mlsem.summary_table(fit, rows="~")._table.rows
    titles = [row.cells[0] for row in rows if row.role == "level"]
    assert sorted(titles) == sorted(fit.diagram().picture.panels[k].title for k in (0, 1))


def test_every_language(fits: dict[str, mlsem.FitResult]) -> None:
    table = pickle.loads(pickle.dumps(mlsem.summary_table(fits)))
    assert r"y $\sim$ x1" in table.to_latex()
    assert r"y \~ x1" in table.to_markdown()
    assert "<td" in table._repr_html_()
    assert table.to_csv().startswith(",intercept,slope,MLR,CR2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": "y~x2"}, r"no such row.*Did you mean 'y~x1'"),
        ({"levels": 3}, "level=3"),
        ({"statistic": "z"}, "it takes 'se', 'ci'"),
        ({"fit_measures": ["aicc"]}, "Did you mean 'aic'"),
        ({"names": ["a"]}, "a name for each of the 4 fits"),
        ({"names": ["a", "a", "b", "c"]}, "all different"),
        ({"digits": 1.5}, "whole number"),
        ({"labels": ["x1"]}, "Hours of reading"),
        ({"standardized": "lw"}, "'all', 'lv', 'nox'"),
    ],
)
def test_what_cannot_be_asked(
    fits: dict[str, mlsem.FitResult], options: dict[str, object], words: str
) -> None:
    with pytest.raises(OptionValueError, match=words):
        mlsem.summary_table(fits, **options)  # type: ignore[arg-type]


def test_what_is_no_fit() -> None:
    with pytest.raises(OptionValueError, match="fit 1 is a int"):
        mlsem.summary_table([3])  # type: ignore[list-item]
    with pytest.raises(OptionValueError, match="there is no fit"):
        mlsem.summary_table([])


def test_results_show_tables_in_notebooks(fits: dict[str, mlsem.FitResult]) -> None:
    fit = fits["slope"]
    test = mlsem.lr_test(fits["intercept"], mlsem.lmm("y ~ x1 + w1 + (x1 | id)", _data()))
    for result in (fit.icc(), fit.r_squared(), fit.implied(), fit.wald_test("`x1` == 0"), test):
        text = result._repr_html_()
        assert text.count("<table>") == text.count("</table>") >= 1
        assert result.to_latex().count(r"\toprule") >= 1


def _data():
    return mlsem.load_example("article")


def test_examples_run() -> None:
    import mlsem.api.summary_table as module
    import mlsem.results.summary as summary

    for each in (module, summary):
        result = doctest.testmod(each, optionflags=doctest.ELLIPSIS)
        assert result.attempted
        assert not result.failed


def test_paths_stand_in_the_order_of_the_formula(fits: dict[str, mlsem.FitResult]) -> None:
    for standardized in (False, True):
        table = mlsem.summary_table(fits["slope"], rows="~", standardized=standardized)
        tidy = table.tidy
        assert tidy.rhs.tolist() == ["x1", "x1:w1", "w1"]
    frame = fits["slope"].standardized()
    path = frame[(frame.op == "~") & (frame.rhs == "x1")].est_std.item()
    assert tidy.est[0] == pytest.approx(path)  # of a random path the mean slope, scaled as a path


def test_a_product_is_one_row_whatever_the_order_of_its_factors():
    data = mlsem.load_example("article")
    fits = [mlsem.lmm(f"y ~ {text} + (1 | id)", data) for text in ("x1*w1", "w1*x1")]
    for rows in ("x1:w1", "y ~ w1:x1"):
        numbers = mlsem.summary_table(fits, rows=rows).tidy
        assert list(numbers.rhs) == ["x1:w1"] * 2
        assert numbers.est[0] == pytest.approx(numbers.est[1])
