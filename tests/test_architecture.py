"""Which room imports which: the arrows run one way, and heavy packages stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mlsem"
LONGEST = 400
FACADES = {  # all that a user may ask of a fit, or of several
    "results/result.py",
    "results/mixed/result.py",
    "results/nested/result.py",
    "results/generalized/result.py",
    "results/pooled/result.py",
}

# Room → what it may import, from the ground up. A room is a folder of the package, in `core`,
# `data` and `inference` one of theirs; a name stands for all rooms in it. Every room may import
# itself and `base`. "mlsem" is the package itself (`import mlsem`, what `__init__` offers).
BASIS = "errors other_programs model data core estimation"
INFERENCE = f"{BASIS} arguments report parallel inference/covariance inference/estimated"
ABOVE = f"{BASIS} arguments syntax parallel inference results"
MAY = {
    "base": "",
    "version": "",
    "errors": "",
    "arguments": "errors",
    "other_programs": "errors",
    "report": "errors other_programs",
    "parallel": "errors",
    "syntax": "errors",
    "porting": "errors report syntax other_programs",
    "core/records": "",
    "core/quiet": "",
    "core/blocks": "core/records",
    "core/linalg": "core/records core/blocks",
    "core/arrow": "core/records core/linalg",
    "core/implied": "core/records core/linalg",
    "core/sample": "errors core/records core/blocks core/linalg core/implied",
    "core/clusters": "core/records core/blocks core/linalg core/arrow core/implied core/sample",
    "core/evidence": "core/records core/blocks core/linalg core/implied",
    "core/alignment": "core/records core/linalg",
    "core/generalized": "core/records core/blocks core/linalg core/clusters",
    "core/optimise": "core/records core/linalg core/arrow core/implied core/sample core/clusters",
    "core/intercepts": "errors core/records core/blocks core/linalg core/implied core/sample "
    "core/clusters core/optimise",
    "core/slopes": "errors core/records core/blocks core/linalg core/implied core/sample "
    "core/clusters core/evidence core/optimise",
    "core/patterns": "errors core/records core/blocks core/linalg core/implied core/sample "
    "core/clusters core/evidence core/optimise",
    "core/nested": "errors core/records core/blocks core/linalg core/implied core/sample "
    "core/clusters core/optimise core/intercepts",
    "core/restricted": "errors core",
    "model": "errors other_programs report syntax core",
    "data/frames": "errors",
    "data/table": "errors other_programs syntax model core data/frames",
    "data/moments": "errors syntax model core data/frames data/table",
    "data/kept": "errors report core data/table data/moments",
    "data/engine": "errors model core data/frames data/table data/moments",
    "data/design": "errors syntax model core data/moments data/table data/frames",
    "data/queried": "errors syntax model core data",
    "estimation": "errors arguments other_programs parallel model data core",
    "inference/covariance": BASIS,
    "inference/estimated": "model core",
    "inference/fit": INFERENCE,
    "inference/effects": INFERENCE,
    "inference/slopes": INFERENCE,
    "inference/wald": INFERENCE,
    "inference/ratio": INFERENCE,
    "inference/bootstrap": INFERENCE,
    "inference/profile": INFERENCE,
    "inference/diagnosis": INFERENCE,
    "inference/modification": INFERENCE,
    "inference/comparison": INFERENCE,
    "inference/alignment": INFERENCE,
    "inference/invariance": INFERENCE,
    "inference/pooling": INFERENCE,
    "results": f"{BASIS} arguments report parallel version inference",
    "api": ABOVE,
    "interop": f"{ABOVE} api mlsem",
    "simulation": f"{ABOVE} api report parallel mlsem",
    "planning": f"{ABOVE} api report simulation mlsem",
    "cli": f"{ABOVE} api report simulation porting mlsem",
    "__init__": f"{ABOVE} api other_programs planning porting simulation version",
    "__main__": "cli",
}
SPLIT = ("core", "data", "inference")

# Package → the rooms that may import it.
HOMES = {
    "lark": "syntax",
    "pandas": "data/frames data/table data/design data/engine",
    "narwhals": "data/frames data/engine data/queried",
    "polars": "data/frames",
    "duckdb": "data/frames",
    "ibis": "data/frames",
    "dask": "data/frames parallel",
    "pyarrow": "data/frames data/kept",
    "pyreadstat": "data/frames",
    "semopy": "interop",
    "scipy.stats": "",
    "statsmodels": "",
    "matplotlib": "report",
    "joblib": "parallel",
    "tqdm": "parallel",
    "tree_sitter": "porting",
    "tree_sitter_r": "porting",
    "tree_sitter_language_pack": "porting",
    "distributed": "parallel",
    "ray": "parallel",
    "pyspark": "parallel",
}
# Rooms that may name pandas' types in annotations, under `if TYPE_CHECKING`.
NAME_FRAMES = "data inference results api simulation planning interop cli __init__"
# Modules with a subclass of a slow package's, which nobody but functions may import.
LATE = {"mlsem.report.figures.drawing"}
# What may not even be named by a room.
ARRAYS = {"numpy", "scipy", "pandas"}
BLIND = {
    **dict.fromkeys(
        ("base", "errors", "report", "arguments", "other_programs", "porting", "cli"),
        ARRAYS | {"lark"},
    ),
    "syntax": ARRAYS,
}


@dataclass(frozen=True)
class Import:
    file: Path
    line: int
    target: str
    typing_only: bool
    late: bool

    @property
    def place(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line} imports {self.target}"

    @property
    def room(self) -> str:
        return _room(self.file)


def _room(file: Path) -> str:
    return _room_of(file.relative_to(PACKAGE).with_suffix("").parts)


def _room_of(parts: tuple[str, ...]) -> str:
    inner = parts[0] in SPLIT and len(parts) > 1 and parts[1] != "__init__"
    return "/".join(parts[:2]) if inner else parts[0]


def _within(room: str, rooms: str) -> bool:
    """Whether the room, or the one that it is in, is among these."""
    return not {room, room.partition("/")[0]}.isdisjoint(rooms.split())


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def _imports() -> tuple[Import, ...]:
    return tuple(found for file in _files() for found in _imports_of(file))


def _imports_of(file: Path) -> Iterator[Import]:
    def walk(node: ast.AST, typing_only: bool, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for part in child.body:
                    yield from walk(ast.Module([part], []), True, late)
                for part in child.orelse:
                    yield from walk(ast.Module([part], []), typing_only, late)
                continue
            for target in _targets(child, file):
                yield Import(file, child.lineno, target, typing_only, late)  # type: ignore[attr-defined]
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, typing_only, late or inner)

    yield from walk(ast.parse(file.read_text("utf-8")), False, False)


def _targets(node: ast.AST, file: Path) -> list[str]:
    """Modules named by an import statement; `from a import b` counts as `a.b`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{file}:{node.lineno}: relative import"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return [first.value]
    return []


def _is_in(target: str, package: str) -> bool:
    return target == package or target.startswith(f"{package}.")


def _target_room(target: str) -> str:
    """The room that `mlsem.core.records.Array` lies in; `mlsem` for a name of the package's."""
    parts = tuple(target.split(".")[1:])
    room = _room_of(parts) if parts else "mlsem"
    return room if room in MAY else "mlsem"


def _own_imports() -> list[Import]:
    return [found for found in _imports() if _is_in(found.target, "mlsem")]


def test_every_room_has_its_rule() -> None:
    assert {_room(file) for file in _files()} - set(SPLIT) <= set(MAY)


def test_arrows_run_down() -> None:
    wrong = [
        found.place
        for found in _own_imports()
        if _target_room(found.target) not in (found.room, "base")
        and not _within(_target_room(found.target), MAY.get(found.room, ""))
    ]
    assert wrong == []


def test_rules_have_no_circle() -> None:
    _assert_no_circle(
        {
            room: {other for other in MAY if _within(other, may)} - {room}
            for room, may in MAY.items()
        }
    )


def test_few_files_stand_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 6


def test_folders_say_what_lives_there() -> None:
    silent = [
        str(folder)
        for folder in {file.parent for file in _files()}
        if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    ]
    assert silent == []


def test_the_optimisers_coordinates_are_known_to_it_and_the_estimation() -> None:
    """Everything above speaks of the user's parameters."""
    word = re.compile(r"\bcoordinates\b|\.inner\b")
    above = [
        f"{file.relative_to(PACKAGE)}: {line.strip()}"
        for file in _files()
        if not _within(_room(file), "core estimation")
        for line in file.read_text("utf-8").splitlines()
        if word.search(line)
    ]
    assert above == []


def test_modules_have_no_circle() -> None:
    names = {_module(file): file for file in _files()}
    arrows: dict[str, set[str]] = {name: set() for name in names}
    for found in _own_imports():
        target = found.target if found.target in names else found.target.rpartition(".")[0]
        source = _module(found.file)
        if target in names and target not in ("mlsem", source) and not found.typing_only:
            arrows[source].add(target)
    _assert_no_circle(arrows)


def _module(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _assert_no_circle(arrows: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(arrows.get(name, ())):
                visit(target, (*path, name))
            done.add(name)

    for name in sorted(arrows):
        visit(name, ())


@pytest.mark.parametrize("package", sorted(HOMES))
def test_packages_stay_at_home(package: str) -> None:
    wrong = [
        found.place
        for found in _imports()
        if _is_in(found.target, package)
        and not _within(found.room, HOMES[package])
        and not (package == "pandas" and found.typing_only and _within(found.room, NAME_FRAMES))
    ]
    assert wrong == []


@pytest.mark.parametrize("room", sorted(BLIND))
def test_rooms_that_know_no_arrays(room: str) -> None:
    wrong = [
        found.place
        for found in _imports()
        if found.room == room
        and not found.typing_only
        and found.target.split(".")[0] in BLIND[room]
    ]
    assert wrong == []


def test_slow_packages_are_imported_late() -> None:
    slow = (
        "lark",
        "scipy.optimize",
        "semopy",
        "pyarrow",
        "pyreadstat",
        "matplotlib",
        "joblib",
        "distributed",
    )
    at_the_top = [
        found.place
        for found in _imports()
        if any(_is_in(found.target, package) for package in (*slow, *LATE))
        and not (found.late or found.typing_only or found.room in ("interop", "syntax"))
        and _module(found.file) not in LATE
    ]
    assert at_the_top == []


@pytest.mark.parametrize("file", _files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_file_is_too_long(file: Path) -> None:
    text = file.read_text("utf-8")
    facade = file.relative_to(PACKAGE).as_posix() in FACADES
    assert facade or len(text.splitlines()) - _lines_of_examples(text) <= LONGEST


def _lines_of_examples(text: str) -> int:
    """Examples of docstrings are for readers of the reference; a file's subject is its code."""
    sections = re.findall(
        r"^( +)Examples\n\1-+\n((?:\1.*\n|\n)*?)(?=\1\"\"\"|\1\w+\n\1-)", text, re.M
    )
    return sum(len(lines.splitlines()) + 2 for _, lines in sections)


def test_import_leaves_the_slow_packages_alone() -> None:
    slow = ["lark", "scipy.stats", "scipy.optimize", "semopy", "matplotlib", "pyarrow.parquet"]
    slow += ["tqdm", "mlsem.estimation.prediction", "mlsem.results.residuals"]  # of few programs
    code = (
        f"import sys, mlsem; mlsem.fit, mlsem.lmm; print([n for n in {slow} if n in sys.modules])"
    )
    assert _python(code) == "[]"


def test_import_leaves_what_was_not_asked_for_alone() -> None:
    loaded = _python("import sys, mlsem; print(*sys.modules)").split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("mlsem.")}
    assert rooms == {"base", "errors", "version"}
    assert "numpy" not in loaded
    asked = "import sys, mlsem; mlsem.fit; mlsem.FitResult; print('mlsem.api.lmm' in sys.modules)"
    assert _python(asked) == "False"


def test_help_of_the_command_needs_no_language() -> None:
    code = (
        "import sys, contextlib, io, mlsem.cli.main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    mlsem.cli.main.main(['--help'])\n"
        "print('lark' in sys.modules, 'scipy.optimize' in sys.modules)"
    )
    assert _python(code) == "False False"


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return done.stdout.strip()
