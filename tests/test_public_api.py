"""The public names and signatures are those that are written down in public_api.txt.

A change that is meant is written down by

    python -m tests.test_public_api
"""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import mlsem
from mlsem.inference.comparison.result import Band, SeComparison
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.diagnosis.left_out import LeftOut
from mlsem.inference.diagnosis.result import ClusterDiagnostics
from mlsem.inference.slopes.result import JohnsonNeyman, SimpleSlopes
from mlsem.model.table import ParameterTable
from mlsem.report.diagram.result import Diagram
from mlsem.results.icc import Icc
from mlsem.results.implied import Implied
from mlsem.results.mixed.means import Contrasts, MarginalMeans
from mlsem.results.mixed.summary import MixedSummary
from mlsem.results.mixed.varcorr import VarCorr
from mlsem.results.mixed.variance_test import VarianceTest
from mlsem.results.r_squared import RSquared
from mlsem.results.reliability import Reliability
from mlsem.results.residuals import ResidualMoments
from mlsem.results.summary import Summary
from mlsem.results.summary_table.result import SummaryTable
from mlsem.results.weight_scalings import WeightScalings
from mlsem.simulation.study.result import MethodResults

WRITTEN = Path(__file__).with_name("public_api.txt")
COMMAND = "python -m tests.test_public_api"

# Classes that a user meets without making them, besides those of `mlsem` itself.
RESULTS = (
    Band, ClusterDiagnostics, Contrasts, Covariance, Diagram, Icc, Implied, JohnsonNeyman, LeftOut,
    MarginalMeans, MethodResults, MixedSummary, ParameterTable, RSquared, Reliability,
    ResidualMoments, SeComparison, SimpleSlopes, Summary, SummaryTable,
    VarCorr, VarianceTest, WeightScalings,
)  # fmt: skip
MADE = (mlsem.InOrder,)  # by users: with the signature of the constructor


def described() -> str:
    """Every public name with its signature."""
    public = {name: getattr(mlsem, name) for name in mlsem.__all__ if not name.startswith("__")}
    blocks = [["mlsem", *_indented(_line(name, each) for name, each in public.items())]]
    classes = {each for each in public.values() if inspect.isclass(each)}
    for each in sorted({*classes, *RESULTS}, key=lambda each: each.__name__):
        if not issubclass(each, BaseException):
            blocks.append([each.__name__, *_indented(_members(each))])
    return "\n".join("\n".join(block) + "\n" for block in blocks)


def _line(name: str, each: Any) -> str:
    if not inspect.isclass(each):
        return name + _signature(each)
    if issubclass(each, BaseException):
        return f"class {name}({', '.join(_public_bases(each))})"
    base = _public_parent(each)
    above = "" if base is object else f"({base.__name__})"
    return f"class {name}{above}" + (_signature(each) if each in MADE else "")


def _public_parent(cls: type) -> type:
    """The class of `mlsem` that it is a kind of; `object` where there is none."""
    public = [getattr(mlsem, name) for name in mlsem.__all__]
    return next((base for base in cls.__mro__[1:] if base in public), object)


def _public_bases(cls: type) -> Iterator[str]:
    for base in cls.__bases__:
        yield from _public_bases(base) if base.__name__.startswith("_") else [base.__name__]


def _members(cls: type) -> Iterator[str]:
    assert dataclasses.is_dataclass(cls)
    fields = {each.name: each.type for each in dataclasses.fields(cls)}
    parent = _public_parent(cls)
    for name in sorted(name for name in {*dir(cls), *fields} if not name.startswith("_")):
        each = inspect.getattr_static(cls, name, None)
        if hasattr(parent, "__dataclass_fields__") and (
            name in parent.__dataclass_fields__
            or each is inspect.getattr_static(parent, name, None)
        ):
            continue  # as the parent's
        if name in fields:
            yield f"{name}: {fields[name]}"
        elif isinstance(each, property | cached_property):
            getter = each.fget if isinstance(each, property) else each.func
            yield f"{name}: {inspect.signature(getter).return_annotation}"
        else:
            yield name + _signature(each)


def _signature(function: Any) -> str:
    """As it stands in the source, on several lines where it is long."""
    signature = inspect.signature(function)
    parts, starred = [], False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        starred |= each.kind is each.VAR_POSITIONAL
        if each.kind is each.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        default = "" if each.default is each.empty else f" = {each.default!r}"
        parts.append(f"{stars}{each.name}: {each.annotation}{default}")
    end = signature.return_annotation
    line = f"({', '.join(parts)}) -> {end}"
    return line if len(line) < 80 else "\n".join(("(", *_indented(parts), f") -> {end}"))


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for each in lines for line in each.split("\n")]


def test_the_public_api_is_as_written_down() -> None:
    assert described().splitlines() == WRITTEN.read_text("utf-8").splitlines(), (
        f"the public names or signatures changed. If that is meant, run `{COMMAND}` and say so in "
        "CHANGELOG.md; if not, undo it."
    )


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert dir(mlsem) == sorted(mlsem.__all__)
    namespace: dict[str, object] = {}
    exec("from mlsem import *", namespace)
    assert sorted(set(namespace) - {"__builtins__"}) == dir(mlsem)


def test_modules_behind_the_public_names_can_be_imported() -> None:
    code = (
        "import mlsem, mlsem.core.linalg, mlsem.interop.semopy; print(mlsem.core.linalg.__name__)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "mlsem.core.linalg"


def test_public_names_are_pickled_by_reference() -> None:
    for name in mlsem.__all__:
        each = getattr(mlsem, name)
        assert pickle.loads(pickle.dumps(each)) == each, name


if __name__ == "__main__":
    WRITTEN.write_text(described(), "utf-8")
