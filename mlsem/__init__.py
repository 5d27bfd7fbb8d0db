"""Two-level structural equation models in lavaan's syntax, by maximum likelihood.

>>> import mlsem
>>> fit = mlsem.fit(model, data, cluster="id", estimator="MLR")  # doctest: +SKIP
>>> print(fit.summary())  # doctest: +SKIP
"""

from mlsem.bootstrapped import Bootstrap
from mlsem.data.frame import cluster_means
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
    WorkerError,
)
from mlsem.examples_data import example_model, load_example
from mlsem.fit import cfa, check, fit, growth, lavaan, sem
from mlsem.hypotheses import WaldTest
from mlsem.likelihood_ratio import LrTest, lr_test
from mlsem.lmm import lmm
from mlsem.result import FitResult
from mlsem.simulate.generate import simulate
from mlsem.simulate.results import Study
from mlsem.simulate.sources import InOrder
from mlsem.simulate.study import study
from mlsem.version import __version__

__all__ = [
    "Bootstrap",
    "ConvergenceError",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "EstimationError",
    "EstimationWarning",
    "FitResult",
    "IdentificationError",
    "InOrder",
    "InferenceError",
    "InferenceWarning",
    "InterfaceError",
    "LrTest",
    "MlsemError",
    "MlsemWarning",
    "ModelSyntaxError",
    "ModelSyntaxWarning",
    "OptionError",
    "OptionValueError",
    "SpecificationError",
    "SpecificationWarning",
    "Study",
    "WaldTest",
    "WorkerError",
    "__version__",
    "cfa",
    "check",
    "cluster_means",
    "example_model",
    "fit",
    "growth",
    "lavaan",
    "lmm",
    "load_example",
    "lr_test",
    "sem",
    "simulate",
    "study",
]
