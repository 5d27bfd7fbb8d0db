"""The example scripts run, the packed example loads, and the README shows what its code prints."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from mlsem.data.table.examples import example_model, load_example
from mlsem.errors import OptionValueError

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_run(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_every_script_and_file_is_in_the_readme_of_the_examples() -> None:
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    files = [path.name for path in (ROOT / "examples").iterdir() if path.suffix != ".md"]
    assert [name for name in files if name not in text and name != "__pycache__"] == []


def test_article() -> None:
    data = load_example("article")
    assert list(data.columns) == ["id", "w1", "x1", "y"]
    assert len(data) == 500
    assert data["id"].nunique() == 50
    assert "w1:x1" in example_model("article")


def test_unknown_example() -> None:
    with pytest.raises(OptionValueError, match="Did you mean 'article'"):
        load_example("artcle")


def test_readme_shows_the_real_output(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    code = re.search(r"^```python\n(.*?)^```", readme, re.M | re.S)
    assert code is not None
    output = re.search(r"^```text\n(.*?)^```", readme[code.end() :], re.M | re.S)
    assert output is not None
    exec(compile(code[1], "README.md", "exec"), {})
    assert _settled(capsys.readouterr().out) == _settled(output[1])


def _settled(text: str) -> str:
    """Without the number of iterations, which hangs on the machine's linear algebra."""
    return re.sub(r"after \d+ iterations?", "after some iterations", text).strip()


def test_the_page_on_missing_values_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "missing.md").read_text("utf-8")
    names: dict[str, object] = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        exec(compile(code, "missing.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "\n860 90\n1000 100\n" in printed  # "100 rows" of 10 clusters and 40 of the others
    without, told = (float(each) for each in re.findall(r"^(\d\.\d+) (\d\.\d+)$", printed, re.M)[0])
    assert abs(told - 1.0) < 0.1 < without - 1.0


@pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")  # of standard errors, not shown here
def test_the_page_on_invariance_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "invariance.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        exec(compile(code, "invariance.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "scalar: equal intercepts do not hold: " in printed
    assert names["worst"].iloc[0][["parameter", "group"]].tolist() == ["y3~1.l2", "C"]
    assert names["worst"]["epc"].iloc[0] == pytest.approx(0.6, abs=0.15)
    tests = names["partial"].differences.set_index("step")["score_pvalue"]
    assert (tests.drop("means") > 0.05).all()
    assert tests["means"] < 0.01
    differing = names["aligned"].invariance.set_index(["item", "parameter"])["noninvariant"]
    assert differing["y3", "intercept"] == ("c00", "c04", "c08")
    assert differing.map(len).sum() == 3
