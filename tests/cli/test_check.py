"""`mlsem check`, the model file, usage and exit codes: what needs no estimation."""

from __future__ import annotations

import io
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mlsem
from mlsem.cli.main import FAILED, OK, USAGE, main
from mlsem.cli.terminal import PIPE_CLOSED

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.lav"
    path.write_text("f =~ y1 + a*y2 + y3\nf ~ x\n", "utf-8")
    return path


def test_shows_the_parameter_table(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(model)]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["lhs", "op", "rhs", "level", "parameter", "label", "from"]
    assert lines[1].split() == ["1", "f", "=~", "y1", "1", "fixed", "1", "model"]
    assert lines[2].split() == ["2", "f", "=~", "y2", "1", "free", "1", "a", "model"]
    assert "free parameters: 7" in lines


def test_groups_have_their_numbers_and_names(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.write_text("group: north\n y ~ a*x\ngroup: south\n y ~ b*x\na == b", "utf-8")
    assert main(["check", str(model)]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[3:5] == ["group", "level"]
    assert lines[1].split()[1:7] == ["y", "~", "x", "1", "1", "free"]
    rows = [line.split() for line in lines[1:11]]
    assert [row[3 if "~1" in row else 4] for row in rows] == ["1"] * 5 + ["2"] * 5
    assert {"group 1: north", "group 2: south", "a==b"} <= set(lines)


def test_options_reach_the_table(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(model), "--std-lv"]) == OK
    assert "fixed 1" not in capsys.readouterr().out.splitlines()[1]


def test_columns_of_the_data_are_looked_up(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("y1,y2,y3,xx\n1,2,3,4\n", "utf-8")
    assert main(["check", str(model), str(data)]) == FAILED
    assert "'x'" in capsys.readouterr().err


def test_products_definitions_and_split_variables_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", str(EXAMPLES / "article.lav"), str(EXAMPLES / "article.csv")]) == OK
    out = capsys.readouterr().out
    assert "product made from the data: w1:x1" in out
    assert "split into a part at each level: y" in out
    assert main(["check", str(EXAMPLES / "mediation.lav")]) == OK
    assert "indirect_within := a1*b1" in capsys.readouterr().out


def test_model_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = io.BytesIO("\ufeffy ~ größe\r\n".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["check", "-"]) == OK
    assert "größe" in capsys.readouterr().out


def test_syntax_errors_show_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.lav"
    path.write_text("y ~ x\nz ~\n", "utf-8")
    assert main(["check", str(path)]) == FAILED
    error = capsys.readouterr().err
    assert error.startswith("error: line 2, ")
    assert "^" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.lav", "there is no model file"),
        ("y ~ x + z", "Give the name of a file"),
        ("", "folder"),
        ("binary.lav", "not a text file"),
        ("latin1.lav", "not a text file"),
        ("n" * 5000, "cannot be read"),
    ],
)
def test_unusable_model_files(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "binary.lav").write_bytes(b"y ~ x\0\1\2")
    (tmp_path / "latin1.lav").write_bytes("y ~ größe".encode("latin-1"))
    assert main(["check", str(tmp_path / name)]) == FAILED
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fi"],
        ["fit", "model.lav"],
        ["fit", "model.lav", "data.csv", "--centre", "x"],
        ["fit", "model.lav", "data.csv", "--center", "x"],
        ["fit", "model.lav", "data.csv", "--max-iter", "many"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == USAGE
    assert "usage: mlsem" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--level", "95"], ["--digits", "-1"], ["--out", "estimates.xlsx"]]
)
def test_values_out_of_range(
    option: list[str], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(model), "data.csv", *option]) == USAGE
    assert option[0] in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == OK
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert capsys.readouterr().out == f"mlsem {project['version']}\n"
    assert mlsem.__version__ == project["version"]


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "model.lav"
    path.write_text("\n".join(f"y{k} ~ x{k}" for k in range(60)), "utf-8")
    command = [sys.executable, "-m", "mlsem", "check", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert error == b""
    assert process.returncode == PIPE_CLOSED


def test_characters_that_the_terminal_lacks(tmp_path: Path) -> None:
    path = tmp_path / "model.lav"
    path.write_text("成績 ~ größe", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mlsem", "check", str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert "gr\\xf6\\xdfe" in done.stdout
