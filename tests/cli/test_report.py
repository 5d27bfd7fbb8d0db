"""`mlsem fit … --report FILE`: the page of `FitResult.report`, with the guards of `--out`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlsem.cli.main import FAILED, OK, USAGE, main
from mlsem.results.report import diagnostics

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = str(EXAMPLES / "article.lav")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "DRAWS", 20)


def fit(folder: Path, *options: str) -> int:
    data = shutil.copy(EXAMPLES / "article.csv", folder / "d.csv")
    return main(["fit", MODEL, str(data), "--cluster", "id", *options])


def test_the_report_is_written_beside_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    assert fit(tmp_path, "--report", str(page)) == OK
    assert "ended normally" in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "Rows, the worst described first" in text
    assert str(tmp_path) not in text


def test_a_page_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    page.write_text("precious")
    assert fit(tmp_path, "--report", str(page)) == FAILED
    assert f"--report {page} is there already: --overwrite replaces it" in capsys.readouterr().err
    assert page.read_text() == "precious"


def test_a_page_is_called_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tmp_path, "--report", str(tmp_path / "report.pdf")) == USAGE
    assert "the name must end in .html" in capsys.readouterr().err
