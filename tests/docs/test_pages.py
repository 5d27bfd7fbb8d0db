"""Every block of the README and of every page runs, in order, and prints what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, agrees, blocks, folder, outputs, pages, reader_of

RUN = ("```python", "{code-cell}", "```sh")
WITH_CODE = [page for page in pages() if any(mark in page.read_text("utf-8") for mark in RUN)]
COMMAND = "python tests/support/pages.py"


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_CODE, ids=_name)
def test_the_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    reader, all_printed = reader_of(page), ""
    with folder(tmp_path):
        for block, printed, said in outputs(page, reader):
            all_printed += printed
            assert said is None or agrees(said.text, printed), (
                f"{_name(page)}, block at line {block.line}, prints something else: if that is "
                f"right, run `{COMMAND} {_name(page)}`.\n{printed}"
            )

    check = CHECKS.get(_name(page))
    if check is not None:
        check(reader.names, all_printed)


def _missing_values(names: dict[str, Any], printed: str) -> None:
    """`fiml.x` keeps what the page says it keeps, and what `z` tells mends the mean of `y1`."""
    assert "\n860 90\n1000 100\n" in printed  # "100 rows" of 10 clusters and 40 of the others
    without, told = (float(each) for each in re.findall(r"^(\d\.\d+) (\d\.\d+)$", printed, re.M)[0])
    assert abs(told - 1.0) < 0.1 < without - 1.0


def _imputations(names: dict[str, Any], printed: str) -> None:
    """Mixed models keep what imputations of one level lose: half the share, twice the slope."""
    share, within, between = names["found"].to_numpy()
    assert share[1] == pytest.approx(share[0], abs=0.05)
    assert share[2] < 0.6 * share[0]
    assert within[1] == pytest.approx(within[0], abs=0.1)
    assert between[1] == pytest.approx(between[0], abs=0.15)
    assert between[2] > 1.7 * between[0]


def _invariance(names: dict[str, Any], printed: str) -> None:
    """What was put into the data is found: the intercept of y3, in C, in every fourth country."""
    assert "scalar: equal intercepts do not hold: " in printed
    worst = names["worst"].iloc[0]
    assert worst[["parameter", "group"]].tolist() == ["y3~1.l2", "C"]
    assert worst["epc"] == pytest.approx(0.6, abs=0.15)
    tests = names["partial"].differences.set_index("step")["score_pvalue"]
    assert (tests.drop("means") > 0.05).all()
    assert tests["means"] < 0.01
    differing = names["aligned"].invariance.set_index(["item", "parameter"])["noninvariant"]
    assert differing["y3", "intercept"] == ("c00", "c04", "c08")
    assert differing.map(len).sum() == 3


def _random_slope(names: dict[str, Any], printed: str) -> None:
    """The numbers that the prose of the tutorial names."""
    assert names["fit"].pvalues["y~w1:x1"] == pytest.approx(2e-7, rel=0.1)
    assert names["robust"].pvalues["y~w1:x1"] == pytest.approx(0.003, abs=0.0005)
    assert names["slope"].params["y~w1:x1"] == pytest.approx(0.291, abs=0.0005)
    assert names["fit"].params["y~w1:x1"] == pytest.approx(0.302, abs=0.0005)
    assert 1.9 < names["compared"].table["ratio"]["y~x1"] < 2
    assert "LR = 55.5" in printed


def _assessment(names: dict[str, Any], printed: str) -> None:
    """What is said of each choice, and the sentence at the end."""
    header = re.search(r"Sampling weights +total W_FSTUWT, level 2 W_FSCHWT\n", printed)
    assert header is not None
    assert re.search(r"Effective number of clusters +7\d\.\d\n", printed)
    table, right = names["table"].drop(columns="truth"), names["pooled"]
    off = table.sub(names["truth"], axis=0).div(right.bse[names["truth"].index], axis=0)
    assert (off["as above"].abs() < 1).all()
    assert (off["schools alone"].abs() < 1).all()
    assert (off["no weights"][["math~1.l2", "s~1.l2"]] > 1.3).all()
    assert off.loc["s~~s.l2", "wrong name"] > 3
    assert (off["gaps dropped"][["math~1.l2", "math~OTHERLANG"]] > 2).all()
    assert off.loc["math~~math", "mean of values"] < -4
    one = names["choices"]["one value"]
    assert (one.bse < right.bse[one.bse.index])[["s~1.l2", "s~~s.l2", "math~~math"]].all()
    errors = [fit.bse["math~CLIMATE:ESCS"] for fit in names["fits"].values()]
    assert errors[0] < 0.95 * errors[1]
    effect, (low, high) = "s~CLIMATE.l2", right.conf_int().loc["s~CLIMATE.l2"]
    said = [right.params["s~1.l2"], right.params[effect], high, low, right.df[effect]]
    assert [f"{each:.1f}" for each in said] == ["30.5", "-7.4", "-0.8", "-14.0", "26.4"]
    assert f"{right.pvalues[effect]:.3f}" == "0.029"
    assert names["anxiety"].params["fear~math"] == pytest.approx(-0.5, abs=0.05)
    assert f"{names['gone'].mean():.0%}" == "19%"


def _clusters_of_machines(names: dict[str, Any], printed: str) -> None:
    """What it computes from are the measurements."""
    once = json.loads((ROOT / "benchmarks/results/engines_once.json").read_text("utf-8"))
    assert {each["case"]: each["wall"] for each in once} == names["measured"]
    peaks = {each["case"]: each["memory"] / 1000 for each in once if each["memory"]}
    assert peaks == names["peak"]
    assert {each["rows"] for each in once} == {10**8}
    assert "MLR: 88 s" in printed  # as the prose has it


CHECKS = {
    "docs/tutorials/assessment.md": _assessment,
    "docs/how_to/clusters_of_machines.md": _clusters_of_machines,
    "docs/how_to/imputations.md": _imputations,
    "docs/how_to/missing_values.md": _missing_values,
    "docs/how_to/invariance.md": _invariance,
    "docs/tutorials/random_slope.md": _random_slope,
}


def test_blocks_are_found() -> None:
    text = (
        "```python\na = 1\n```\n\n```text\nx\n```\n\n::::{tab-set}\n:::{tab-item} R\n"
        "```r\nlm()\n```\n:::\n::::\n\n```{code-cell}\n:tags: [raises-exception]\n1 / 0\n```\n"
    )
    found = blocks(text)
    assert [block.language for block in found] == ["python", "text", "r", "{code-cell}"]
    assert [block.line for block in found] == [1, 5, 11, 17]
    assert found[-1].code == "1 / 0\n"
    assert found[-1].raises
    begin, end = found[1].span
    assert text[begin:end] == "x\n"


def test_what_is_printed_is_compared() -> None:
    assert agrees(
        "ended after 3 iterations\na …\nc\n", "ended after 12 iterations\na 1\nb\nc  \n\n"
    )
    assert not agrees("a … c", "a b d")
    assert not agrees("1.23", "1.24")


def test_languages_of_blocks_are_those_that_are_run_or_shown() -> None:
    """A block that should not run says so by its language."""
    shown = {"text", "r", "toml", "{code-block}", "mplus", "bibtex", ""}
    odd = [
        f"{_name(page)}, line {block.line}: {block.language}"
        for page in pages()
        for block in blocks(page.read_text("utf-8"))
        if block.language not in {"python", "sh", "{code-cell}", *shown}
    ]
    assert odd == []
