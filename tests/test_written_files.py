"""Whatever writes a file writes it whole: what is cut off in the middle leaves the former one."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

import mlsem
from mlsem.cli.main import INTERRUPTED, OK, main
from mlsem.errors import MlsemError
from mlsem.report.files import OutputError

PACKAGE = Path(__file__).parents[1] / "mlsem"
EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL, DATA = EXAMPLES / "article.lav", EXAMPLES / "article.csv"
SCRIPT = "library(lavaan)\nfit <- sem('y ~ x', data = d)\nsummary(fit)\n"
FORMER = b"what was there before"
SMALL = 64  # bytes; every file that is written here is longer

Write = Callable[[Path], object]


@cache
def _fit() -> mlsem.FitResult:
    return mlsem.fit(MODEL.read_text("utf-8"), mlsem.load_example("article"), cluster="id")


@cache
def _figure() -> mlsem.Figure:
    return _fit().plot_coefficients()


def _moments(path: Path) -> None:
    data = mlsem.load_example("article")
    mlsem.moments(MODEL.read_text("utf-8"), data, cluster="id").save(path, overwrite=True)


def _ran(*arguments: object) -> None:
    """The command; what ends it otherwise than well is raised."""
    code = main([*map(str, arguments), "--overwrite"])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code != OK:
        raise OutputError(f"code {code}")


def _fit_command(path: Path) -> None:
    _ran("fit", MODEL, DATA, "--cluster", "id", "--quiet", "--out", path)


def _port_command(path: Path) -> None:
    script = path.parents[1] / "model.R"
    if not script.exists():
        script.write_text(SCRIPT, "utf-8")
    _ran("port", script, "--out", path)


WRITERS: dict[str, tuple[str, Write]] = {
    "table, text": ("t.csv", lambda path: _fit().summary().to_csv(path)),
    "table, LaTeX": ("t.tex", lambda path: _fit().summary().to_latex(path=path)),
    "table, Markdown": ("t.md", lambda path: _fit().summary().to_markdown(path=path)),
    "table, HTML": ("t.html", lambda path: _fit().summary().to_html(path=path)),
    "table, Excel": ("t.xlsx", lambda path: _fit().summary().to_excel(path)),
    "figure, PNG": ("f.png", lambda path: _figure().savefig(path, dpi=20)),
    "figure, PDF": ("f.pdf", lambda path: _figure().savefig(str(path))),
    "figure, SVG": ("f", lambda path: _figure().savefig(path, format="svg")),
    "diagram, PNG": ("d.png", lambda path: _fit().diagram().to_png(path, scale=0.3)),
    "diagram, PDF": ("d.pdf", lambda path: _fit().diagram().save(path)),
    "diagram, SVG": ("d.svg", lambda path: _fit().diagram().save(path)),
    "diagram, graphviz": ("d.dot", lambda path: _fit().diagram().save(path)),
    "report": ("r.html", lambda path: _fit().report(path, sections=["model"], overwrite=True)),
    "moments": ("m.parquet", _moments),
    "script": ("s.py", lambda path: mlsem.port(SCRIPT).save(path, overwrite=True)),
    "mlsem fit --out": ("o.csv", _fit_command),
    "mlsem port --out": ("p.py", _port_command),
}


@contextmanager
def _full_disk() -> Iterator[None]:
    """No file of this process grows beyond a few bytes: each is cut off in its middle."""
    resource = pytest.importorskip("resource", reason="files have no limits there")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_cut_off_leaves_the_former_file(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, write = WRITERS[writer]
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / name
    path.write_bytes(FORMER)

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with _full_disk(), pytest.raises((MlsemError, OSError)):
        write(path)
    assert (path.read_bytes(), list(folder.iterdir())) == (FORMER, [path])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)  # all is written, and has no name yet
        with pytest.raises(KeyboardInterrupt):
            write(path)
    assert (path.read_bytes(), list(folder.iterdir())) == (FORMER, [path])
    write(path)
    assert len(path.read_bytes()) > SMALL
    assert list(folder.iterdir()) == [path]


def test_a_process_that_is_killed_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(FORMER)
    code = (
        "import os, signal, sys\n"
        "from mlsem.report.files import write_over\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_over(sys.argv[1], 'x' * 100)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=PACKAGE.parent, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == FORMER


# --- nothing else opens a file for writing --------------------------------------------------------

# Calls that may write a file, by name.
WRITING = {
    *("write_text", "write_bytes", "fdopen", "FileIO", "mkstemp", "NamedTemporaryFile", "touch"),
    *("savefig", "imsave", "save", "savetxt", "savez", "tofile", "dump", "copyfile", "copytree"),
    *("to_csv", "to_excel", "to_parquet", "to_feather", "to_pickle", "to_stata", "to_json"),
    *("write_table", "write_csv", "write_parquet", "write_feather", "write_dataset", "ZipFile"),
    *("sink_parquet", "sink_csv", "sink_ipc", "open"),
}
# Where they are all the same.
ALLOWED = {
    "report/files.py": {"open"},  # the one place
    "simulation/study/store.py": {"open", "FileIO"},  # appends lines, and takes back half ones
    "simulation/study/lock.py": {"open", "fdopen", "write_text"},  # a note of nothing that lasts
    "cli/terminal.py": {"open"},  # the system's waste
    "cli/files.py": {"to_csv"},  # text
    "cli/commands.py": {"to_csv"},  # standard output
    "data/frames/files.py": {"ZipFile"},  # reads
    "data/kept/parquet.py": {"write_table"},  # in memory
    "report/page/picture.py": {"save", "savefig"},  # in memory
    "report/export/spreadsheet.py": {"save"},  # in memory
    "report/figures/drawing.py": {"savefig"},  # in memory
    "report/diagram/result.py": {"savefig"},  # our own, of the last
    "results/report/build.py": {"save"},  # the same of a report
}


def _writing(file: Path) -> Iterator[str]:
    """Names of the calls in a module that may write a file."""
    text = file.read_text("utf-8")
    if not re.search(rf"\b({'|'.join(WRITING)})\(", text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
            if name in WRITING and not (name == "open" and _reads(node)):
                yield name


def _reads(call: ast.Call) -> bool:
    """Whether a call of `open` says that it only reads."""
    modes = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "mode")]
    return all(isinstance(mode, ast.Constant) and mode.value in ("r", "rb") for mode in modes)


def test_nothing_else_opens_a_file_for_writing() -> None:
    found = {
        file.relative_to(PACKAGE).as_posix(): set(_writing(file)) for file in PACKAGE.rglob("*.py")
    }
    assert {place: names for place, names in found.items() if names} == ALLOWED
