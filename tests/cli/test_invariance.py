"""`mlsem invariance`."""

from __future__ import annotations

from pathlib import Path

import pytest
from grouped import demo_groups

from mlsem.cli.main import OK, USAGE, main

MODEL = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    model, data = tmp_path / "model.lav", tmp_path / "data.csv"
    model.write_text(MODEL, "utf-8")
    demo_groups().to_csv(data, index=False)
    return ["invariance", str(model), str(data), "--cluster", "cluster"]


def test_prints_steps_and_what_hurts(files, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--group", "g", "--steps", "configural,metric", "--partial", "fw=~y3"]
    more = ["--estimator", "MLR", "--worst", "--alignment", "--cross-level"]
    assert main([*files, *asked, *more]) == OK
    out = capsys.readouterr().out
    words = (
        "Measurement invariance",
        "cross-level",
        "Alignment",
        "Equalities of metric:",
        "fb=~y2",
    )
    for each in words:
        assert each in out


def test_wrong_usage(files, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(files) == USAGE
    assert "--group" in capsys.readouterr().err
    assert main([*files, "--group", "g", "--steps", "metrik"]) == USAGE
    assert "Did you mean 'metric'" in capsys.readouterr().err
