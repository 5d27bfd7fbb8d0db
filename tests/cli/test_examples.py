"""The example scripts run, and the packed example loads."""

from __future__ import annotations

import runpy
from pathlib import Path

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
