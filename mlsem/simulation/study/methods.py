"""The methods of a study: one data set analysed by all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.api.call import answered
from mlsem.api.fit import fit
from mlsem.api.lmm import lmm
from mlsem.api.reading import Reading
from mlsem.core.records import Array
from mlsem.errors import (
    IdentificationError,
    InterfaceError,
    ModelSyntaxError,
    OptionError,
    OptionValueError,
    SpecificationError,
    listed,
    without_warnings,
)
from mlsem.estimation.settings import Settings
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.results.result import FitResult
from mlsem.results.tables import defined_parameters
from mlsem.simulation.study.fingerprint import described, fingerprint

if TYPE_CHECKING:
    pass

Numbers = dict[str, tuple[float, float, float]]
WRONG = (OptionError, OptionValueError, InterfaceError, ModelSyntaxError, SpecificationError)
BY_CHANCE = (
    "EstimationError",
    "ConvergenceError",
    "InferenceError",
    "LinAlgError",
    "ZeroDivisionError",
    "FloatingPointError",
    "OverflowError",
    "ModuleNotFoundError",  # a cluster may have what this process lacks
)
FUNCTION = "function"  # begins the description of a method that is one


@dataclass(frozen=True, eq=False)
class Method:
    """One way to analyse a data set.

    Attributes
    ----------
    name : str
    call : callable
        `fit`, `lmm`, or the user's function of the data alone.
    text : str
        Model or formula; empty for a function.
    options : mapping
        Keywords of the call.
    renamed : mapping of str to str
        Other names of parameters.
    """

    name: str
    call: Callable[..., Any]
    text: str
    options: Mapping[str, Any]
    renamed: Mapping[str, str]

    @property
    def is_model(self) -> bool:
        """Whether it is a model's text, whose parameters are the same in all data sets."""
        return bool(self.text) and self.call is fit

    @cached_property
    def key(self) -> object:
        """Methods that have it in common differ in their standard errors only."""
        if not self.text:
            return self.name
        estimates = {k: v for k, v in self.options.items() if k not in ("se", "test", "df")}
        if estimates.get("estimator") in ("ML", "MLR"):
            del estimates["estimator"]
        return self.call.__name__, self.text, repr(sorted(estimates.items()))

    @property
    def described(self) -> str:
        """What tells the method from others, for files that hold a study."""
        if not self.text:
            return f"{FUNCTION} {fingerprint(self.call)}"
        options = sorted((k, described(v)) for k, v in self.options.items())
        names = f" {sorted(self.renamed.items())}" if self.renamed else ""
        return f"{self.key!r} {options}{names}"

    @property
    def outcome(self) -> Hashable:
        """What `Reading.known` has its outcome by, where that was found ahead."""
        return self, "outcome"

    def fitted(self, reading: Reading) -> Any:
        """The fit; what other methods have read of the data is not read again."""
        if not self.text:
            reading.known.clear()  # the function may change the data
            return self.call(reading.data)
        if self in reading.known:
            return answered(reading.known[self], reading.data, reading)
        data: Any = reading if self.call is fit else reading.data
        return self.call(self.text, data, **self.options)

    @cached_property
    def kind(self) -> StandardErrors:
        """Of its standard errors."""
        options = {
            name: self.options[name]
            for name in ("estimator", "se", "test", "information")
            if name in self.options and not (self.call is lmm and name == "estimator")
        }
        return Settings(**options).kind()

    def from_fit(self, base: FitResult) -> Covariance | None:
        """The covariance of the estimates of a fit that has the same; None if it takes one of its
        own."""
        if not self.text or not base.table.two_level:
            return None  # with one level, robust errors bring a mean structure
        kind = self.kind
        if self.call is lmm and kind.model_based:
            return None  # lmm takes its own information
        chosen = {name: self.options.get(name) for name in ("test", "df", "information")}
        estimates = base._estimates.under(base.settings.with_se(kind.name, **chosen))
        return covariance_of(estimates)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a method found in a data set.

    Attributes
    ----------
    converged : bool
    failure : str
        Why there are no estimates; empty if there are.
    parameters : mapping of str to (est, se, df)
    """

    converged: bool
    failure: str
    parameters: Numbers

    @property
    def is_mistake(self) -> bool:
        """Whether it failed for a reason that other data sets hardly mend."""
        return bool(self.failure) and self.failure.partition(":")[0] not in BY_CHANCE


def read_methods(models: object) -> tuple[Method, ...]:
    """The methods that a user's mapping names.

    Raises
    ------
    OptionValueError
        An entry is none.
    """
    if not isinstance(models, Mapping) or not models:
        raise OptionValueError(
            'models: it takes a mapping of names to methods, {"ML": {"model": text, "cluster": '
            '"id"}, "CR2": {"model": text, "cluster": "id", "se": "CR2"}}.'
        )
    return tuple(_method(str(name), entry) for name, entry in models.items())


def _method(name: str, entry: object) -> Method:
    if callable(entry):
        return Method(name, entry, "", {}, {})
    if isinstance(entry, Mapping):
        options = dict(entry)
        renamed = options.pop("names", {})
        texts = [options.pop(key, None) for key in ("model", "formula")]
        given = [text for text in texts if text is not None]
        if len(given) == 1 and isinstance(given[0], str):
            call = fit if texts[0] is not None else lmm
            return Method(name, call, given[0], options, dict(renamed))
    raise OptionValueError(
        f"models[{name!r}]: it takes the keywords of mlsem.fit with model=, those of mlsem.lmm "
        "with formula=, or a function of the data."
    )


def analyse(methods: Sequence[Method], reading: Reading, strict: bool = True) -> dict[str, Outcome]:
    """What each method finds in a data set. Methods with the same estimates fit once.

    Parameters
    ----------
    strict : bool
        Raise what no other data set would mend; False: count it as a failure too.

    Raises
    ------
    OptionValueError
        A method is written wrongly.
    """
    bases: dict[object, FitResult] = {}
    outcomes: dict[str, Outcome] = {}
    with without_warnings(), np.errstate(all="ignore"):  # what they warn of is counted
        for method in methods:
            outcomes[method.name] = _outcome(method, reading, bases, strict)
    return outcomes


def _outcome(
    method: Method, reading: Reading, bases: dict[object, FitResult], strict: bool
) -> Outcome:
    if method.outcome in reading.known:
        return reading.known[method.outcome]
    try:
        base = bases.get(method.key)
        covariance = None if base is None else method.from_fit(base)
        if base is not None and covariance is not None:
            return outcome_of(method, base.converged, _numbers(base, covariance))
        result = method.fitted(reading)
        if not isinstance(result, FitResult):
            return outcome_of(method, bool(getattr(result, "converged", True)), _foreign(result))
        bases.setdefault(method.key, result)
        return outcome_of(method, result.converged, _numbers(result, result.covariance))
    except MemoryError:
        raise  # says nothing of the method
    except (Exception, SystemExit) as error:  # whatever a user's function raises
        written_wrongly = isinstance(error, WRONG) and not isinstance(error, IdentificationError)
        if strict and written_wrongly:
            raise _named(error, method) from error
        return Outcome(False, _reason(error), {})


def _named(error: BaseException, method: Method) -> OptionValueError:
    """A mistake of the user's, which no other data set would mend."""
    return OptionValueError(f"models[{method.name!r}]: {error}")


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def outcome_of(method: Method, converged: bool, numbers: Numbers) -> Outcome:
    """Estimates by the names that the method gives them.

    Raises
    ------
    OptionValueError
        Two have the same.
    """
    renamed = {method.renamed.get(name, name): values for name, values in numbers.items()}
    if len(renamed) < len(numbers):
        raise OptionValueError(f"names: two parameters are called the same, {listed(renamed)}.")
    return Outcome(converged, "", renamed)


def _numbers(result: FitResult, covariance: Covariance) -> Numbers:
    """Estimate, standard error and degrees of freedom by name; `:=` after the parameters."""
    table = result.table
    columns, names = [result.estimates, covariance.se, covariance.df], table.names
    if table.definitions:
        values, slopes = defined_parameters(result._estimates)
        added = (values, *covariance.of_functions(slopes))
        columns = [np.concatenate(pair) for pair in zip(columns, added, strict=True)]
        names += tuple(each.name for each in table.definitions)
    return numbers_of(names, *columns)


def numbers_of(names: Sequence[str], est: Array, se: Array, df: Array) -> Numbers:
    """By name."""
    rows = zip(*(column.tolist() for column in (est, se, df)), strict=True)
    return dict(zip(names, rows, strict=True))


def _foreign(result: Any) -> Numbers:
    """Of anything with `params` and `bse` by name, and perhaps `df`."""
    if not (hasattr(result, "params") and hasattr(result, "bse")):
        raise OptionValueError(
            f"it returned a {type(result).__name__}, and must return a fit, or what has `params` "
            "and `bse` by name (and perhaps `df` and `converged`)."
        )
    df = getattr(result, "df", None)
    by_name = hasattr(df, "items")
    return {
        str(name): (
            float(value),
            float(result.bse[name]),
            float(df[name]) if by_name and df is not None else np.inf,
        )
        for name, value in result.params.items()
    }
