"""How a model is estimated: estimator, standard errors, missing values, the optimiser."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from mlsem.arguments import require_seed, require_whole
from mlsem.base.caching import remember
from mlsem.core.optimise.objective import InformationKind
from mlsem.data.table.replicates import Replicates, read_method
from mlsem.data.table.sampling import Sampling, WeightColumns, WeightScaling
from mlsem.errors import OptionValueError, listed
from mlsem.estimation import standard_errors
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.other_programs.options import value_advice

Estimator = Literal["ML", "MLR", "REML"]
TestName = Literal["t", "z"]
DfKind = Literal["satterthwaite", "kenward-roger"]
Missing = Literal["listwise", "error", "fiml", "fiml.x"]
OnFailure = Literal["warn", "raise"]

MOST_STARTS = 10_000
_CHOICES = {
    "estimator": get_args(Estimator),
    "test": get_args(TestName),
    "df": get_args(DfKind),
    "information": get_args(InformationKind),
    "missing": get_args(Missing),
    "weight_scaling": get_args(WeightScaling),
    "on_failure": get_args(OnFailure),
}
_OPTIONAL = ("test", "df", "information", "missing", "weight_scaling")
_MISSING_ALSO = {"ml": "fiml", "direct": "fiml", "ml.x": "fiml.x"}


def se_kind(name: object) -> StandardErrors:
    """The kind of standard errors that a name (ours or lavaan's) stands for.

    Raises
    ------
    OptionValueError
        With the names that there are.
    """
    kind = standard_errors.named(name) if isinstance(name, str) else None
    if kind is None:
        raise OptionValueError(_unavailable("se", name, standard_errors.KINDS))
    return kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Keywords of `fit` that do not change the parameter table.

    Attributes
    ----------
    estimator : {"ML", "MLR", "REML"}
        "MLR" has the estimates of "ML" and makes the standard errors robust; "REML" is restricted
        maximum likelihood.
    se : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "replicates", "none"} or None
        None: by the estimator; robust in a single-level model with clusters, as in lavaan.
    test : {"t", "z"} or None
        None: t where there are degrees of freedom (the CR kinds, `lmm`), z elsewhere.
    df : {"satterthwaite", "kenward-roger"} or None
        Degrees of freedom of model-based standard errors of a linear mixed model; None: those of
        Satterthwaite with `test="t"`, and in `lmm`.
    se_cluster : str or None
        The column of the robust clusters; None: the model's.
    weights : WeightColumns or None
        The columns of sampling weights; also as `fit` takes them.
    weight_scaling : {"cluster", "ecluster", "unscaled", "gk"} or None
        Of weights of rows; None: "cluster".
    strata : str or None
        The column of the strata that clusters were drawn from.
    replicates : Replicates or None
        The columns of replicate weights.
    information : {"expected", "observed"} or None
        Whose inverse is the bread. None: observed for robust errors, and for model-based ones with
        two levels, missing values or a product of an outcome; else expected, as in lavaan.
    missing : {"listwise", "error", "fiml", "fiml.x"} or None
        None: as "listwise", and rows that are left out are said by a warning. Also lavaan's names
        "ml", "direct" and "ml.x".
    max_iter : int
    tol : float
        Largest remaining step at the optimum, in standard errors.
    on_failure : {"warn", "raise"}
    starts : int
        Random starts beside the usual search.
    seed : int or None
        Of these; None: a new one.
    """  # noqa: E501

    estimator: str = "ML"
    se: str | None = None
    test: TestName | None = None
    df: str | None = None
    se_cluster: str | None = None
    weights: WeightColumns | None = None
    weight_scaling: WeightScaling | None = None
    strata: str | None = None
    replicates: Replicates | None = None
    information: str | None = None
    missing: str | None = None
    max_iter: int = 500
    tol: float = 1e-8
    on_failure: str = "warn"
    starts: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "estimator", _estimator(self.estimator))
        if self.se is not None:
            object.__setattr__(self, "se", se_kind(self.se).name)
        for name in (each for each in _CHOICES if each != "estimator"):
            if isinstance(value := getattr(self, name), str):
                value = value.lower()
                object.__setattr__(self, name, _MISSING_ALSO.get(value, value))
            _require(name, getattr(self, name), optional=name in _OPTIONAL)
        if self.weights is not None:
            object.__setattr__(self, "weights", WeightColumns.of(self.weights))
        if self.replicates is not None:
            object.__setattr__(self, "replicates", read_method(self.replicates))
        self._require_replicates()
        self._require_sampling()
        self._require_agreement()
        require_whole("max_iter", self.max_iter, 1)
        self._require_starts()
        if not _is_number(self.tol, (int, float)) or not 0 < self.tol < 1:
            raise OptionValueError(
                f"tol={self.tol!r}: it takes a number between 0 and 1, the largest remaining step "
                "in standard errors."
            )

    def _require_starts(self) -> None:
        if not _is_number(self.starts, int) or not 0 <= self.starts <= MOST_STARTS:
            raise OptionValueError(
                f"starts={self.starts!r}: it takes a whole number from 0 to {MOST_STARTS}, the "
                "number of random starts that are tried beside the usual search."
            )
        require_seed(self.seed)
        if self.seed is not None and not self.starts:
            raise OptionValueError(
                f"seed={self.seed} is of random starts, and there are none: add starts=20, or "
                "leave seed out."
            )

    def _require_agreement(self) -> None:
        """Keywords that say something only beside others."""
        kind = self.kind()
        if self.se is not None or self.estimator == "MLR":
            self.asked_df(kind)
        if self.df is not None:
            self._require_df()
        if self.estimator == "REML" and not kind.reml:
            raise OptionValueError(
                f'se="{kind.name}" goes with maximum likelihood: its scores do not sum to zero at '
                'the REML estimates. Use se="CR0" for the plain sandwich, or "CR2".'
            )
        if self.estimator == "REML" and self.information == "observed" and not kind.has_df:
            raise OptionValueError(
                'model-based errors with estimator="REML" go with the expected information: leave '
                "information out."
            )

    def _require_sampling(self) -> None:
        """What goes with weights and strata."""
        if self.strata is not None and not isinstance(self.strata, str):
            raise OptionValueError(f"strata={self.strata!r}: it takes the name of a column.")
        kind = self.sampled
        if self.strata is not None and kind.exists and not kind.strata:
            raise OptionValueError(
                f'strata= goes with se="MLR", and not with se="{kind.name}", whose clusters '
                "are drawn from one population: leave se out, or strata."
            )
        if self.weights is None:
            if self.weight_scaling is not None:
                raise OptionValueError(
                    f'weight_scaling="{self.weight_scaling}" says how weights are scaled, and '
                    "there are none: pass weights=…, too, or leave it out."
                )
            return
        if self.estimator == "REML":
            raise OptionValueError(
                "weights go with maximum likelihood: a restricted likelihood integrates the means "
                'out of the density of a sample, and a weighted one is none. Use estimator="ML" '
                '(REML=False in lmm); for few clusters se="CR2".'
            )
        if kind.model_based:
            raise OptionValueError(
                'se="standard" is not available with weights: the inverse information of a '
                "weighted likelihood is no covariance of its estimates, and changes with the "
                "weights' unit. "
                'Leave se out for "MLR", or use "CR2" for few clusters.'
            )

    def _require_replicates(self) -> None:
        """What goes with replicate weights."""
        given = self.replicates
        if given is None:
            if self.se is not None and self.kind().replicated:
                raise OptionValueError(
                    'se="replicates" goes with replicate weights: replicates=mlsem.Fay('
                    '"W_FSTURWT{}", k=0.5), or BRR, JK1, JK2.'
                )
            return
        if self.weights is None:
            raise OptionValueError(
                f"{given.method}(…) replicates the weights of the sample, and there are none: pass "
                "weights=…, too."
            )
        if self.strata is not None:
            raise OptionValueError(
                "replicate weights say how clusters were drawn, strata and all: leave strata out, "
                "or replicates."
            )

    @property
    def sampled(self) -> StandardErrors:
        """The standard errors that weights or strata go with."""
        return self.kind(robust=True)

    @property
    def sampling(self) -> Sampling | None:
        """How the rows were drawn; None where nothing was said of it."""
        if self.weights is None and self.strata is None:
            return None
        return Sampling(self.weights, self.weight_scaling, self.strata)

    def sampled_by(self, how: Sampling) -> Settings:
        """The same with other weights, and none that replicate them."""
        return replace(
            self,
            weights=how.weights,
            weight_scaling=how.scaling,
            strata=how.strata,
            replicates=None,
            se=None,
        )

    def _require_df(self) -> None:
        if self.test == "z":
            raise OptionValueError(f'df="{self.df}" is for t tests: leave test="z" out, or df.')
        if self.df == "kenward-roger" and self.estimator != "REML":
            raise OptionValueError(
                'df="kenward-roger" goes with restricted maximum likelihood: estimator="REML" '
                '(REML=True in lmm), or df="satterthwaite" with maximum likelihood.'
            )
        if self.information == "observed":
            raise OptionValueError(
                f'df="{self.df}" goes with the expected information, which gives the covariance '
                "of the fixed effects at the estimated variances: leave information out."
            )

    def asked_df(self, kind: StandardErrors) -> DfKind | None:
        """The degrees of freedom that are asked for beside model-based standard errors.

        Raises
        ------
        OptionValueError
            Standard errors of this kind have none, or others.
        """
        if self.df is not None and not kind.takes_df:
            also = " has degrees of freedom of its own" if kind.has_df else " has none"
            raise OptionValueError(
                f'df="{self.df}" goes with model-based standard errors (se="standard"), and '
                f'se="{kind.name}"{also}: leave df out, or se.'
            )
        if self.test != "t" or kind.has_df:
            return self.df  # type: ignore[return-value]
        if not kind.takes_df:
            raise OptionValueError(
                f'test="t" needs degrees of freedom, which se="{kind.name}" does not have: use '
                'se="CR2", or leave test out.'
            )
        return self.df or "satterthwaite"  # type: ignore[return-value]

    def with_se(
        self,
        name: str,
        test: str | None = None,
        df: str | None = None,
        information: str | None = None,
    ) -> Settings:
        """The same with other standard errors. What information model-based ones were asked to
        have says nothing of the CR kinds."""
        kind, adjusted = se_kind(name), self.se is not None and se_kind(self.se).has_df
        before = None if kind.has_df and not adjusted else self.information
        return replace(self, se=kind.name, test=test, df=df, information=information or before)

    @property
    def search(self) -> Hashable:
        """What the search for the estimates goes by: settings that have it in common have the same
        estimates."""
        return self.estimator == "REML", self.max_iter, self.tol, self.starts, self.seed

    def limited(self, most: int) -> Settings:
        """The same with no more than so many iterations."""
        return self if self.max_iter <= most else _limited(self, most)

    def kind(self, *, robust: bool = False) -> StandardErrors:
        """The standard errors that these settings mean; `robust` says whether those are where the
        settings say nothing (`Problem.only_robust`)."""
        if self.se is not None:
            return se_kind(self.se)
        if self.replicates is not None:
            return standard_errors.REPLICATES
        robust = robust or self.estimator == "MLR" or self.sampling is not None
        return standard_errors.MLR if robust else standard_errors.STANDARD

    def bread(self, kind: StandardErrors, *, expected: bool) -> InformationKind:
        """The information that the covariance of the estimates inverts; `expected` says what
        model-based errors of maximum likelihood take by default."""
        if self.information is not None:
            return self.information  # type: ignore[return-value]
        expected = expected or self.estimator == "REML"
        return "expected" if kind.bread == "default" and expected else "observed"


@remember
def _limited(settings: Settings, most: int) -> Settings:
    return replace(settings, max_iter=most)


SETTING_NAMES = tuple(field.name for field in fields(Settings))


def _is_number(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _estimator(value: object) -> str:
    name = value.upper() if isinstance(value, str) else ""
    if name not in _CHOICES["estimator"]:
        raise OptionValueError(
            f"estimator={value!r} is not available. {value_advice('estimator', value)}".rstrip()
            + ' Use "ML" for maximum likelihood, "MLR" for the same estimates with robust standard '
            'errors, or "REML" for restricted maximum likelihood.'
        )
    return name


def _require(name: str, value: object, *, optional: bool) -> None:
    if (value is None and optional) or value in _CHOICES[name]:
        return
    raise OptionValueError(_unavailable(name, value, _CHOICES[name]))


def _unavailable(name: str, value: object, choices: Iterable[str]) -> str:
    """With what there is in place of another program's value, and the choices."""
    advice = value_advice(name, value)
    said = f"{advice} " if advice else ""
    return f"{name}={value!r} is not available. {said}The choices are {listed(choices, 20)}."
