"""`--out` never destroys anything: not its input, not another file, not half of itself."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import stat
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from mlsem.cli.files import separated
from mlsem.cli.main import FAILED, OK, main
from mlsem.report.export.spreadsheet import FORMULA
from mlsem.report.files import OutputError, write_whole

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = str(EXAMPLES / "article.lav")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return Path(shutil.copy(EXAMPLES / "article.csv", tmp_path / "d.csv"))


def fit(data: Path, *options: str) -> int:
    return main(["fit", MODEL, str(data), "--cluster", "id", "--quiet", *options])


def drafts(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.endswith(".tmp")]


@pytest.mark.parametrize("kind", ["itself", "dotted", "symbolic", "hard", "folder"])
def test_the_data_are_never_written_over(
    kind: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = data.read_bytes(), tmp_path / "o.csv"
    if kind == "itself":
        out = data
    elif kind == "dotted":
        (tmp_path / "sub").mkdir()
        out = tmp_path / "sub" / ".." / "d.csv"
    elif kind == "symbolic":
        out.symlink_to("d.csv")
    elif kind == "hard":
        out.hardlink_to(data)
    else:
        (tmp_path / "same").symlink_to(".")
        out = tmp_path / "same" / "d.csv"
    for options in ([], ["--overwrite"]):
        assert fit(data, "--out", str(out), *options) == FAILED
        assert "which is read: give another name" in capsys.readouterr().err
    assert data.read_bytes() == before


def test_the_model_is_never_written_over(data: Path, tmp_path: Path) -> None:
    model = Path(shutil.copy(MODEL, tmp_path / "model.csv"))
    arguments = ["fit", str(model), str(data), "--cluster", "id", "--overwrite"]
    assert main([*arguments, "--out", str(model)]) == FAILED
    assert model.read_bytes() == Path(MODEL).read_bytes()


def test_another_file_is_replaced_only_on_request(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    out.chmod(0o640)
    assert fit(data, "--out", str(out)) == FAILED
    assert "is there already: --overwrite replaces it" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert fit(data, "--out", str(out), "--overwrite") == OK
    assert len(pd.read_csv(out)) > 6
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert drafts(tmp_path) == []


def test_a_link_stays_a_link(data: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    target, link = tmp_path / "sub" / "target.csv", tmp_path / "link.csv"
    link.symlink_to(target)
    assert fit(data, "--out", str(link)) == OK
    assert link.is_symlink()
    assert len(pd.read_csv(target)) > 6
    assert fit(data, "--out", str(link)) == FAILED
    assert fit(data, "--out", str(link), "--overwrite") == OK
    assert link.is_symlink()


def test_a_new_file_has_the_usual_permissions(data: Path, tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    assert fit(data, "--out", str(tmp_path / "out.csv")) == OK
    assert (tmp_path / "out.csv").stat().st_mode == usual.stat().st_mode


def test_what_cannot_be_a_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, words in (
        ("folder.csv", "is not a file"),
        ("none/out.csv", "there is no folder"),
        ("a\0b.csv", "is not the name of a file"),
    ):
        assert fit(data, "--out", str(tmp_path / name), "--overwrite") == FAILED
        assert words in capsys.readouterr().err


def test_a_full_disk_leaves_the_old_file_and_prints_the_results(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out.csv"
    out.write_text("precious")
    monkeypatch.setattr(os, "fsync", full)
    arguments = ["fit", MODEL, str(data), "--cluster", "id", "--out", str(out), "--overwrite"]
    assert main(arguments) == FAILED
    printed = capsys.readouterr()
    assert "w1:x1" in printed.out
    assert "cannot be written: No space left on device" in printed.err
    assert out.read_text() == "precious"
    assert drafts(tmp_path) == []


def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("another program's")
    with pytest.raises(OutputError, match="is there already"):
        write_whole(str(out), "ours", overwrite=False)

    def no_links(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(OutputError, match="is there already"):
        write_whole(str(out), "ours", overwrite=False)
    assert out.read_text() == "another program's"
    write_whole(str(tmp_path / "new.csv"), "ours", overwrite=False)
    assert (tmp_path / "new.csv").read_text() == "ours"
    assert drafts(tmp_path) == []


def test_no_cell_is_a_formula() -> None:
    texts = ["=1+1", "=~", "+x", "-x", "@x", "\tx", "\rx", "x", "x=1", "", "a,b", 'a"b']
    frame = pd.DataFrame(
        {"label": texts, "est": [-1.5] * 12, "level": [-1] * 12, "=x": [None] * 12}
    )
    for mark in (",", "\t"):
        written = StringIO(separated(frame, mark), newline="")
        head, *rows = csv.reader(written, delimiter=mark)
        assert head == ["label", "est", "level", "'=x"]
        marked = [text.startswith(FORMULA) for text in texts]
        expected = ["'" * mark + text for mark, text in zip(marked, texts, strict=True)]
        assert [row[0] for row in rows] == [text.replace("\r", "\\r") for text in expected]
        assert sum(marked) == 7
        assert {(float(row[1]), int(row[2])) for row in rows} == {(-1.5, -1)}
