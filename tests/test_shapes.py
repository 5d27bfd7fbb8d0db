"""Annotations of `core/` and `inference/` say the shapes of arrays; the test run checks them."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Set
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Annotated as Shaped
from typing import Any

import numpy as np
import pytest
import shapes

from mlsem.core.implied.pattern import LevelJacobian, PatternMatrix
from mlsem.core.linalg import apply_maps, sandwich_traces, scaled_eigen
from mlsem.core.records import Array
from mlsem.core.restricted.components import Components
from mlsem.inference.bootstrap.draws import p_values
from mlsem.inference.covariance.adjust import Adjusted
from mlsem.inference.covariance.intervals import delta_se
from mlsem.inference.covariance.statistics import wald_distance

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file for room in ("core", "inference") for file in (ROOT / "mlsem" / room).rglob("*.py")
)
SWITCHED_ON = os.environ.get("MLSEM_SHAPES") != "0"

checked = pytest.mark.skipif(not SWITCHED_ON, reason="MLSEM_SHAPES=0")


# --- they are checked -----------------------------------------------------------------------------


def _wrong():  # type: ignore[no-untyped-def]
    from jaxtyping import TypeCheckError

    return pytest.raises(TypeCheckError)


@checked
def test_core_refuses_wrong_shapes() -> None:
    maps, shape_of, rows = np.ones((2, 3, 4)), np.array([0, 1, 1]), np.ones((3, 4))
    assert apply_maps(maps, shape_of, rows).shape == (3, 3)
    with _wrong():
        apply_maps(maps, shape_of[:2], rows)
    with _wrong():  # would broadcast
        apply_maps(maps[:1].swapaxes(1, 2), shape_of, np.ones((3, 3, 1)))
    with _wrong():
        sandwich_traces(np.ones(2), maps, np.ones((1, 3, 3)), np.ones((1, 3, 3)))
    with _wrong():
        scaled_eigen(np.ones((2, 3)))


def _of_its_length(
    values: Shaped[Array, "n"],
    other: Shaped[Array, "n"] = (),  # type: ignore[assignment]
) -> Shaped[Array, "n"]:
    return other if len(other) else None  # type: ignore[return-value]


@checked
def test_results_are_checked_and_defaults_are_not() -> None:
    function = shapes._checked(_of_its_length)
    assert function(np.ones(2), np.zeros(2)).shape == (2,)
    with _wrong():
        function(np.ones(2), np.zeros(3))
    with _wrong():  # a result of None, of an argument that is not given
        function(np.ones(2))


@checked
def test_inference_refuses_wrong_shapes() -> None:
    gradients, covariance = np.ones((2, 3)), np.eye(3)
    delta_se(gradients, covariance)
    with _wrong():
        delta_se(gradients.T, covariance)
    with _wrong():  # would broadcast
        wald_distance(np.ones((1, 3)), covariance)
    with _wrong():  # one statistic for two columns
        p_values(np.ones((9, 2)), np.ones(1))


@checked
def test_kinds_of_numbers_are_checked() -> None:
    with _wrong():
        wald_distance(np.ones(3, dtype=int), np.eye(3))
    with _wrong():
        apply_maps(np.ones((1, 2, 2)), np.zeros(2), np.ones((2, 2)))


@checked
def test_fields_are_checked() -> None:
    jacobian = LevelJacobian(np.ones((2, 3, 3)), np.ones((2, 3, 4)))
    with _wrong():
        LevelJacobian(np.ones((2, 3, 3)), np.ones((3, 2, 4)))
    with _wrong():
        replace(jacobian, sigma=np.ones((2, 3, 4)))
    with _wrong():
        PatternMatrix(np.eye(2), np.arange(2), np.arange(2), np.arange(3))
    k = np.ones((1, 2, 2))
    with _wrong():
        Adjusted(np.ones((4, 3)), k, k, k, k, k, k)


@checked
def test_results_are_checked() -> None:
    matrix = PatternMatrix(np.ones((2, 3)), *np.zeros((3, 1), dtype=np.intp))
    assert matrix.at(np.ones(1)).shape == (2, 3)
    matrix.constants.flags.writeable = True
    with _wrong():  # square it is not
        matrix.symmetric_at(np.ones(1))


@checked
def test_dimensions_may_be_sums() -> None:
    """1 + K, of a K that another field has."""
    data: dict[str, Any] = {"origin": np.ones(3), "means": np.arange(1), "spread": np.arange(2)}
    data |= {"effects": np.ones((3, 1, 1)), "turn": np.ones((1, 1)), "n_rows": 5.0}
    data |= {"rows": np.ones((1, 3, 5)), "others": np.ones((1, 2, 2)), "n_others": np.zeros(1)}
    data |= {"classes": np.zeros((1, 1), dtype=np.intp)}
    Components(**data, residual=np.ones((3, 1)))
    with _wrong():
        Components(**data, residual=np.ones((2, 1)))


@checked
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "mlsem")))
def test_no_function_escapes(file: Path) -> None:
    module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    classes = [each for each in vars(module).values() if inspect.isclass(each)]
    own = [each for each in classes if each.__module__ == module.__name__]
    for owner in (module, *own):
        for name, value in vars(owner).items():
            bare = getattr(value, "fget", getattr(value, "func", getattr(value, "__func__", value)))
            if isinstance(bare, FunctionType) and bare.__module__ == module.__name__:
                says = any("Shaped[" in str(each) for each in bare.__annotations__.values())
                assert not says or hasattr(bare, "__wrapped__"), f"{owner}.{name}"


# --- the library knows nothing of it --------------------------------------------------------------


def test_the_library_runs_without_the_checks() -> None:
    code = (
        "import sys, mlsem, mlsem.core.records as records\n"
        "from mlsem.core.linalg import cholesky\n"
        "print([name for name in ('jaxtyping', 'beartype') if name in sys.modules])\n"
        "print(hasattr(cholesky, '__wrapped__'), {type(each) for each in "
        "[*records.ClusterMoments.__annotations__.values(), *cholesky.__annotations__.values()]})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["[]", "False {<class 'str'>}"]


# --- every array has a shape ----------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "mlsem")))
def test_every_array_says_its_shape(file: Path) -> None:
    """Of arguments, results and fields, and in the names that types are given."""
    arrays = _array_types()
    silent = [
        f"{file.name}:{node.lineno} {ast.unparse(node)}"
        for node in _annotations(ast.parse(file.read_text("utf-8")))
        if _bare(node, arrays)
    ]
    assert silent == []


def test_the_rule_sees_what_is_bare() -> None:
    code = (
        'def f(a: Array, b: Shaped[Array, "n"], *, c: list[Index | None]) -> int: ...\n'
        "class A:\n"
        "    field: NDArray[np.bool_]\n"
        "    def g(self) -> tuple[Array, float]:\n"
        "        local: Array = 1\n"
        "        def h(x: Array): ...\n"
    )
    found = [
        ast.unparse(node)
        for node in _annotations(ast.parse(code))
        if _bare(node, {"Array", "Index", "NDArray"})
    ]
    assert found == [
        "Array",
        "list[Index | None]",
        "NDArray[np.bool_]",
        "tuple[Array, float]",
        "Array",
    ]


def test_names_of_dimensions_are_in_the_notation() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = text.partition("## Shapes")[2].partition("\n## ")[0]
    known = {
        word for cell in re.findall(r"`([^`]*)`", section) for word in re.findall(r"\w+", cell)
    }
    used = {
        word
        for file in FILES
        for shape in re.findall(r'Shaped\[[^"]*"([^"]*)"', file.read_text("utf-8"))
        for word in re.findall(r"[A-Za-z]\w*", shape)
    }
    assert used - known == set()


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from (
                each.annotation
                for each in ast.walk(node.args)
                if isinstance(each, ast.arg) and each.annotation
            )
            if node.returns is not None:
                yield node.returns
        if isinstance(node, ast.ClassDef):
            yield from (each.annotation for each in node.body if isinstance(each, ast.AnnAssign))


def _bare(node: ast.AST, arrays: Set[str]) -> bool:
    """Whether an array type is in it outside of `Shaped`."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Shaped":
        return False
    if isinstance(node, ast.Name) and node.id in arrays:
        return True
    return any(_bare(each, arrays) for each in ast.iter_child_nodes(node))


@cache
def _array_types() -> frozenset[str]:
    """Names of types that are, or hold, arrays of any shape."""
    found = {"NDArray", "ndarray"}
    statements = [each for file in FILES for each in ast.parse(file.read_text("utf-8")).body]
    before: set[str] = set()
    while found != before:
        before = set(found)
        for each in statements:
            if isinstance(each, ast.Assign | ast.AnnAssign) and isinstance(
                each.value, ast.Name | ast.Subscript | ast.BinOp
            ):
                target = each.targets[0] if isinstance(each, ast.Assign) else each.target
                if isinstance(target, ast.Name) and _bare(each.value, found):
                    found.add(target.id)
    return frozenset(found)
