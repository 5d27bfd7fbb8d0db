"""Which room imports which: the arrows run one way, and heavy packages stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mlsem"
LONGEST = 400

# Room → the rooms that it may import. A room is a folder or a module of the package; "mlsem" is
# the package itself (`import mlsem`, what `__init__` offers).
SEES: dict[str, set[str]] = {
    "display": set(),
    "caching": set(),
    "errors": {"display"},
    "naming": {"errors"},
    "core": {"errors"},
    "syntax": {"caching", "errors", "naming"},
    "spec": {"caching", "errors", "naming", "syntax", "core"},
    "data": {"caching", "display", "errors", "naming", "syntax", "spec", "core"},
    "inference": {"errors", "core"},
    "report": {"display", "errors"},
}
SEES["version"] = set()
SEES["problem"] = {"caching", "errors", "core", "spec", "data"}
SEES["remarks"] = {"errors", "core", "spec", "problem"}
SEES["estimate"] = {"errors", "core", "spec", "problem"}
SEES["feasible"] = {"errors", "core", "spec", "problem"}
SEES["search"] = {"errors", "core", "spec", "problem", "estimate", "feasible"}
SEES["bounded"] = {"errors", "core", "spec", "problem"}
SEES["reml"] = {"errors", "core", "spec", "problem", "estimate", "bounded", "search"}
SEES["separable"] = {"errors", "core", "problem", "estimate", "bounded"}
SEES["estimators"] = {"errors", "core", "spec", "problem", "estimate", "bounded", "reml", "search"}
SEES["estimators"] |= {"separable"}
SEES["dask_workers"] = {"errors"}
SEES["workers"] = {"errors", "dask_workers"}
SEES["refit"] = {"errors", "core", "spec", "problem", "estimators"}
SEES["implicit_means"] = {"caching", "core", "spec", "problem"}
SEES["freedom"] = {"errors", "core", "spec", "inference", "problem"}
SEES["cautions"] = {"errors", "inference", "problem", "freedom"}
SEES["standard_errors"] = {"errors", "core", "spec", "inference", "problem", "estimate", "cautions"}
SEES["standard_errors"] |= {"freedom", "implicit_means"}
SEES["diagnostics"] = {"errors", "core", "data", "inference", "cautions", "report"}
SEES["diagnose"] = {"errors", "core", "spec", "inference", "problem", "standard_errors"}
SEES["diagnose"] |= {"refit", "diagnostics"}
SEES["comparison"] = {"errors", "core", "data", "report"}
SEES["compare"] = SEES["diagnose"] | {"comparison", "workers"}
SEES["profile"] = {"errors", "core", "spec", "inference", "problem", "standard_errors"}
SEES["profile"] |= {"cautions", "bounded"}
SEES["tables"] = {"errors", "core", "spec", "inference", "problem"}
SEES["summary"] = {"report", "version"}
SEES["fitted"] = set(SEES) - {"syntax", "report", "standard_errors"}
SEES["hypotheses"] = {"display", "errors", "core", "spec", "data", "inference", "fitted"}
SEES["bootstrapped"] = {"errors", "core", "data", "inference", "report"}
SEES["random_effects"] = {"errors", "core", "spec", "data", "fitted"}
SEES["variances"] = {"core", "problem"}
SEES["icc"] = {"display", "errors", "core", "data", "report", "problem", "fitted", "variances"}
SEES["explained"] = {"errors", "core", "spec", "data", "report", "problem", "fitted"}
SEES["explained"] |= {"variances"}
SEES["nested"] = {"errors", "core", "spec", "fitted"}
SEES["boundary"] = {"errors", "core", "spec", "inference", "fitted", "nested"}
SEES["likelihood_ratio"] = {"display", "errors", "core", "data", "inference", "fitted", "nested"}
SEES["likelihood_ratio"] |= {"boundary"}
SEES["bootstrap"] = SEES["diagnose"] | {"bootstrapped", "fitted", "workers"}
SEES["result"] = set(SEES) - {"syntax", "report"}
SEES["fit"] = set(SEES) - {"report", "inference", "tables", "summary", "standard_errors"}
SEES["mixed_formula"] = {"caching", "errors", "syntax"}
SEES["lmm"] = {"caching", "errors", "core", "syntax", "spec", "data", "fit", "result"}
SEES["lmm"] |= {"mixed_formula"}
SEES["examples_data"] = {"errors", "data"}
SEES["simulate"] = {*SEES, "mlsem"} - {"examples_data"}
SEES["interop"] = {*SEES, "mlsem"} - {"simulate", "examples_data"}
SEES["cli_output"] = {"display", "fitted", "result", "spec", "report"}
SEES["cli_files"] = {"errors"}
SEES["cli"] = {*SEES, "mlsem"} - {"interop"}
SEES["__main__"] = {"cli"}
SEES["__init__"] = set(SEES) - {"cli", "cli_output", "cli_files", "__main__"}

# Package → the rooms that may import it.
HOMES = {
    "lark": {"syntax"},
    "pandas": {"data"},
    "pyarrow": {"data"},
    "pyreadstat": {"data"},
    "semopy": {"interop"},
    "scipy.stats": set(),
    "statsmodels": set(),
    "matplotlib": {"report"},
    "joblib": {"workers"},
    "tqdm": {"workers"},
    "distributed": {"dask_workers"},
}
# Rooms that may name pandas' types in annotations, under `if TYPE_CHECKING`.
NAME_FRAMES = {"data", "fitted", "result", "fit", "interop", "examples_data", "__init__"}
NAME_FRAMES |= {"cli", "cli_output", "comparison", "diagnostics", "hypotheses", "bootstrapped"}
NAME_FRAMES |= {"lmm", "simulate", "random_effects", "likelihood_ratio", "icc", "explained"}
# What may not even be named by a room.
BLIND = {
    "display": {"numpy", "scipy", "pandas", "lark"},
    "caching": {"numpy", "scipy", "pandas", "lark"},
    "errors": {"numpy", "scipy", "pandas", "lark"},
    "naming": {"numpy", "scipy", "pandas", "lark"},
    "syntax": {"numpy", "scipy", "pandas"},
    "report": {"numpy", "scipy", "pandas", "lark"},
    "cli": {"numpy", "scipy", "pandas", "lark"},
    "cli_output": {"numpy", "scipy", "pandas", "lark"},
    "cli_files": {"numpy", "scipy", "pandas", "lark"},
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
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


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
    parts = target.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in SEES else "mlsem"


def _own_imports() -> list[Import]:
    return [found for found in _imports() if _is_in(found.target, "mlsem")]


def test_every_room_has_its_rule() -> None:
    assert {_room(file) for file in _files()} <= set(SEES)


def test_arrows_run_down_the_list() -> None:
    wrong = [
        found.place
        for found in _own_imports()
        if _target_room(found.target) != found.room
        and _target_room(found.target) not in SEES.get(found.room, set())
    ]
    assert wrong == []


def test_rules_have_no_circle() -> None:
    _assert_no_circle({room: seen - {"mlsem"} for room, seen in SEES.items()})


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
        and found.room not in HOMES[package]
        and not (package == "pandas" and found.typing_only and found.room in NAME_FRAMES)
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
        if any(_is_in(found.target, package) for package in slow)
        and not (found.late or found.typing_only or found.room in ("interop", "syntax"))
    ]
    assert at_the_top == []


@pytest.mark.parametrize("file", _files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_file_is_too_long(file: Path) -> None:
    assert len(file.read_text("utf-8").splitlines()) <= LONGEST


def test_import_leaves_the_slow_packages_alone() -> None:
    slow = ["lark", "scipy.stats", "scipy.optimize", "semopy", "matplotlib", "pyarrow.parquet"]
    code = f"import sys, mlsem; print([name for name in {slow} if name in sys.modules])"
    assert _python(code) == "[]"


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
