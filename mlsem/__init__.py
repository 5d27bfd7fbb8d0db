"""Two-level structural equation models in lavaan's syntax, by maximum likelihood.

>>> import mlsem
>>> data = mlsem.load_example("article")
>>> model = "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1"
>>> fit = mlsem.fit(model, data, cluster="id", estimator="MLR")
>>> round(float(fit.params["y~x1"]), 3), round(float(fit.bse["y~x1"]), 3)
(0.577, 0.102)
"""

from typing import TYPE_CHECKING, Any

from mlsem.errors import (
    ConvergenceError,
    ConvergenceWarning,
    DataError,
    DataWarning,
    EstimationError,
    EstimationWarning,
    IdentificationError,
    InferenceError,
    InferenceWarning,
    InterfaceError,
    MlsemError,
    MlsemWarning,
    ModelSyntaxError,
    ModelSyntaxWarning,
    OptionError,
    OptionValueError,
    SpecificationError,
    SpecificationWarning,
    UnknownNameError,
    WorkerError,
)
from mlsem.version import __version__

if TYPE_CHECKING:
    from mlsem.api.compare import compare
    from mlsem.api.diagram import diagram
    from mlsem.api.fit import cfa, check, fit, growth, lavaan, sem
    from mlsem.api.fit_many import fit_many
    from mlsem.api.glm import gee, glm
    from mlsem.api.invariance import invariance
    from mlsem.api.lmm import lmm
    from mlsem.api.lr_test import lr_test
    from mlsem.api.missing_patterns import missing_patterns
    from mlsem.api.moments import moments
    from mlsem.api.plots import plot_coefficients
    from mlsem.api.pool import pool
    from mlsem.api.summary_table import summary_table
    from mlsem.api.within_between import within_between
    from mlsem.data.kept.moments import Moments
    from mlsem.data.table.examples import example_model, examples, load_example
    from mlsem.data.table.frame import cluster_means
    from mlsem.data.table.replicates import BRR, JK1, JK2, Fay
    from mlsem.inference.alignment.result import Alignment
    from mlsem.inference.bootstrap.result import Bootstrap
    from mlsem.inference.ratio.run import LrTest
    from mlsem.inference.wald.run import WaldTest
    from mlsem.planning.result import Plan
    from mlsem.planning.run import plan
    from mlsem.porting.port import port
    from mlsem.porting.result import Port
    from mlsem.results.generalized.result import GlmResult
    from mlsem.results.group_comparison import GroupComparison
    from mlsem.results.invariance.result import Invariance
    from mlsem.results.mixed.result import MixedResult
    from mlsem.results.nested.result import NestedResult
    from mlsem.results.pooled.generalized import PooledGlmResult
    from mlsem.results.pooled.joint import PooledTest
    from mlsem.results.pooled.mixed import PooledMixedResult
    from mlsem.results.pooled.nested import PooledNestedResult
    from mlsem.results.pooled.result import PooledResult
    from mlsem.results.result import FitResult
    from mlsem.results.within_between.result import WithinBetween
    from mlsem.simulation.draw.generate import simulate
    from mlsem.simulation.study.result import Study
    from mlsem.simulation.study.run import study
    from mlsem.simulation.study.sources import InOrder

__all__ = [
    "BRR",
    "JK1",
    "JK2",
    "Alignment",
    "Bootstrap",
    "ConvergenceError",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "EstimationError",
    "EstimationWarning",
    "Fay",
    "FitResult",
    "GlmResult",
    "GroupComparison",
    "IdentificationError",
    "InOrder",
    "InferenceError",
    "InferenceWarning",
    "InterfaceError",
    "Invariance",
    "LrTest",
    "MixedResult",
    "MlsemError",
    "MlsemWarning",
    "ModelSyntaxError",
    "ModelSyntaxWarning",
    "Moments",
    "NestedResult",
    "OptionError",
    "OptionValueError",
    "Plan",
    "PooledGlmResult",
    "PooledMixedResult",
    "PooledNestedResult",
    "PooledResult",
    "PooledTest",
    "Port",
    "SpecificationError",
    "SpecificationWarning",
    "Study",
    "UnknownNameError",
    "WaldTest",
    "WithinBetween",
    "WorkerError",
    "__version__",
    "cfa",
    "check",
    "cluster_means",
    "compare",
    "diagram",
    "example_model",
    "examples",
    "fit",
    "fit_many",
    "gee",
    "glm",
    "growth",
    "invariance",
    "lavaan",
    "lmm",
    "load_example",
    "lr_test",
    "missing_patterns",
    "moments",
    "plan",
    "plot_coefficients",
    "pool",
    "port",
    "sem",
    "simulate",
    "study",
    "summary_table",
    "within_between",
]


def __dir__() -> list[str]:
    """The public names; folders of the package are none of them."""
    return sorted(__all__)


_HOMES = {
    "Alignment": "mlsem.inference.alignment.result",
    "Bootstrap": "mlsem.inference.bootstrap.result",
    "FitResult": "mlsem.results.result",
    "Fay": "mlsem.data.table.replicates",
    "BRR": "mlsem.data.table.replicates",
    "JK1": "mlsem.data.table.replicates",
    "JK2": "mlsem.data.table.replicates",
    "GlmResult": "mlsem.results.generalized.result",
    "GroupComparison": "mlsem.results.group_comparison",
    "InOrder": "mlsem.simulation.study.sources",
    "Invariance": "mlsem.results.invariance.result",
    "LrTest": "mlsem.inference.ratio.run",
    "MixedResult": "mlsem.results.mixed.result",
    "Moments": "mlsem.data.kept.moments",
    "NestedResult": "mlsem.results.nested.result",
    "Plan": "mlsem.planning.result",
    "PooledGlmResult": "mlsem.results.pooled.generalized",
    "PooledMixedResult": "mlsem.results.pooled.mixed",
    "PooledNestedResult": "mlsem.results.pooled.nested",
    "PooledResult": "mlsem.results.pooled.result",
    "PooledTest": "mlsem.results.pooled.joint",
    "Port": "mlsem.porting.result",
    "Study": "mlsem.simulation.study.result",
    "WaldTest": "mlsem.inference.wald.run",
    "WithinBetween": "mlsem.results.within_between.result",
    "cfa": "mlsem.api.fit",
    "check": "mlsem.api.fit",
    "cluster_means": "mlsem.data.table.frame",
    "compare": "mlsem.api.compare",
    "diagram": "mlsem.api.diagram",
    "example_model": "mlsem.data.table.examples",
    "examples": "mlsem.data.table.examples",
    "fit": "mlsem.api.fit",
    "fit_many": "mlsem.api.fit_many",
    "gee": "mlsem.api.glm",
    "glm": "mlsem.api.glm",
    "growth": "mlsem.api.fit",
    "invariance": "mlsem.api.invariance",
    "lavaan": "mlsem.api.fit",
    "lmm": "mlsem.api.lmm",
    "load_example": "mlsem.data.table.examples",
    "lr_test": "mlsem.api.lr_test",
    "missing_patterns": "mlsem.api.missing_patterns",
    "moments": "mlsem.api.moments",
    "plan": "mlsem.planning.run",
    "plot_coefficients": "mlsem.api.plots",
    "pool": "mlsem.api.pool",
    "port": "mlsem.porting.port",
    "sem": "mlsem.api.fit",
    "simulate": "mlsem.simulation.draw.generate",
    "study": "mlsem.simulation.study.run",
    "summary_table": "mlsem.api.summary_table",
    "within_between": "mlsem.api.within_between",
}


if not TYPE_CHECKING:  # an editor should mark unknown names

    def __getattr__(name: str) -> Any:
        """A name's module is imported when the name is asked for: a program waits for what it uses
        alone."""
        from importlib import import_module

        if name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
            globals()[name] = value
            return value
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from mlsem.other_programs.functions import unknown_name
        from mlsem.results.result import FitResult

        raise unknown_name(name, "mlsem", __all__, FitResult)
