"""The printed summary."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from mlsem.base.display import display_width
from mlsem.report.document import Block, HeaderBlock, LevelSection, SummaryDocument, TableRow
from mlsem.report.text import render

FIXED = TableRow("fw =~", "y1", "", 1.0, 0.0, nan, nan)
FREE = TableRow("fw =~", "y2", "", 0.774567, 0.0381, 20.315, 0.0)
LABELLED = TableRow("fw =~", "y3", "L3", 0.7418, 0.0396, 18.728, 0.0)
COVARIANCE = TableRow(".y1 ~~", ".y2", "", 0.0154, 0.0381, 0.405, 0.685)
INTERCEPT = TableRow("", ".y1", "", 0.0, 0.0, nan, nan)
VARIANCE = TableRow("", "f", "", -0.578, 0.051, -11.444, 0.0)
DEFINED = TableRow("", "ind", "", 0.050, 0.029, 1.734, 0.083)

DOCUMENT = SummaryDocument(
    title="mlsem 0.1.0 ended normally after 6 iterations",
    header=(
        HeaderBlock("", (("Estimator", "ML"), ("Number of model parameters", "20"))),
        HeaderBlock("Parameter Estimates:", (("Standard errors", "Sandwich"),)),
    ),
    levels=(
        LevelSection(
            "Level 1 [within]",
            (
                Block("Latent Variables", (FIXED, FREE, LABELLED)),
                Block("Covariances", (COVARIANCE,)),
                Block("Intercepts", (INTERCEPT,)),
            ),
        ),
        LevelSection("Level 2 [cluster]", (Block("Variances", (VARIANCE,)),)),
    ),
    defined=(DEFINED,),
    notes=("x1 was centred within clusters.",),
)

# As lavaan prints the same values, but for blanks at the ends of lines.
EXPECTED = """\
mlsem 0.1.0 ended normally after 6 iterations

  Estimator                                         ML
  Number of model parameters                        20

Parameter Estimates:

  Standard errors                             Sandwich


Level 1 [within]:

Latent Variables:
                   Estimate  Std.Err  z-value  P(>|z|)
  fw =~
    y1                1.000
    y2                0.775    0.038   20.315    <.001
    y3        (L3)    0.742    0.040   18.728    <.001

Covariances:
                   Estimate  Std.Err  z-value  P(>|z|)
 .y1 ~~
   .y2                0.015    0.038    0.405    0.685

Intercepts:
                   Estimate  Std.Err  z-value  P(>|z|)
   .y1                0.000


Level 2 [cluster]:

Variances:
                   Estimate  Std.Err  z-value  P(>|z|)
    f                -0.578    0.051  -11.444    <.001

Defined Parameters:
                   Estimate  Std.Err  z-value  P(>|z|)
    ind               0.050    0.029    1.734    0.083

Notes:
  - x1 was centred within clusters.
"""


def _table(*rows: TableRow, digits: int = 3) -> list[str]:
    document = SummaryDocument("t", levels=(LevelSection("", (Block("Variances", rows),)),))
    return render(document, digits).splitlines()[3:]


def test_layout_of_lavaan() -> None:
    assert render(DOCUMENT) == EXPECTED


def test_no_line_ends_in_a_blank() -> None:
    assert all(line == line.rstrip() for line in render(DOCUMENT).splitlines())


def test_digits() -> None:
    heads, line = _table(replace(VARIANCE, name="y"), digits=5)
    assert line.split() == ["y", "-0.57800", "0.05100", "-11.44400", "<.00001"]
    assert len(heads) == len(line)


def test_t_tests_show_their_df() -> None:
    heads, first, second = _table(replace(FREE, df=8.04, group=""), replace(VARIANCE, name="b"))
    assert heads.split() == ["Estimate", "Std.Err", "t-value", "df", "P(>|t|)"]
    assert first.split() == ["y2", "0.775", "0.038", "20.315", "8.0", "<.001"]
    assert second.split()[4] == "Inf"
    assert len(heads) == len(first) == len(second)


def test_intervals() -> None:
    heads, first, fixed = _table(
        replace(VARIANCE, lower=-0.679, upper=-0.479), replace(INTERCEPT, lower=nan, upper=nan)
    )
    assert heads.split()[-2:] == ["ci.lower", "ci.upper"]
    assert first.split()[-2:] == ["-0.679", "-0.479"]
    assert fixed.split() == [".y1", "0.000"]
    assert len(heads) == len(first)


def test_missing_standard_error_is_blank() -> None:
    _, line = _table(TableRow("", "y", "", 2.0, nan, nan, nan))
    assert line.split() == ["y", "2.000"]


def test_long_names_widen_the_column_and_are_never_cut() -> None:
    name = "the_name_of_a_very_talkative_variable"
    heads, line, short = _table(replace(VARIANCE, name=name, label="lab"), VARIANCE)
    assert line.startswith(f"    {name} (lab)")
    assert len(heads) == len(line) == len(short)


def test_wide_characters_stay_in_line() -> None:
    heads, *lines = _table(
        replace(VARIANCE, name="数学成績", label="偏り"),
        replace(VARIANCE, name="σ²"),
        replace(VARIANCE, name="e\u0301te\u0301"),
    )
    assert {display_width(line) for line in lines} == {len(heads)}


def test_large_numbers_keep_the_width() -> None:
    heads, line, giant = _table(
        TableRow("", "y", "", 72936.026, 12345.6789, 5.9, 0.0),
        TableRow("", "z", "", -1.5e9, 2.5e11, 0.5, 0.6),
    )
    assert line.split() == ["y", "72936.03", "12345.68", "5.900", "<.001"]
    assert giant.split() == ["z", "-1.5e+09", "2.5e+11", "0.500", "0.600"]
    assert len(heads) == len(line) == len(giant)


def test_small_numbers_do_not_become_zero() -> None:
    _, line = _table(TableRow("", "y", "", 1.234e-6, 2.5e-7, 4.936, 0.0))
    assert line.split() == ["y", "1.2e-06", "2.5e-07", "4.936", "<.001"]


def test_long_header_values_fit() -> None:
    block = HeaderBlock("", (("Centred", "x" * 70), ("Estimator", "ML")))
    document = SummaryDocument("t", header=(block,))
    lines = render(document).splitlines()[2:]
    assert len({len(line) for line in lines}) == 1
    assert "  Centred  " in lines[0]


def test_long_notes_are_wrapped() -> None:
    lines = render(SummaryDocument("t", notes=("word " * 40,))).splitlines()
    assert max(len(line) for line in lines) <= 54
    assert lines[3].startswith("  - word")
    assert lines[4].startswith("    word")


def test_title_alone() -> None:
    assert render(SummaryDocument("nothing")) == "nothing\n"
