"""Joint tests of pooled results: D1 and D2 of constraints, D2 to D4 of nested models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.estimation.stacked import stacked_loglik
from mlsem.inference.covariance.statistics import require_testable
from mlsem.inference.pooling.joint import JointMethod, JointTest, d2, d3, d4
from mlsem.inference.pooling.reference import PooledReference
from mlsem.inference.ratio.run import likelihood_ratio
from mlsem.inference.wald.run import wald_test
from mlsem.model.hypotheses import read_hypothesis
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import p_words
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.results.pooled.common import Pooled
    from mlsem.results.pooled.result import PooledResult
    from mlsem.results.result import FitResult

WaldMethod = Literal["D1", "D2"]
RatioMethod = Literal["D2", "D3", "D4"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PooledTest(Exported, Answering):
    """An F test of several data sets together; prints as text.

    Attributes
    ----------
    statistic : float
        F.
    df : int
        k, the number of constraints.
    df_denom : float
    pvalue : float
    method : {"D1", "D2", "D3", "D4"}
    riv : float
        The average relative increase in variance of what is tested.
    tested : tuple of str
        The constraints, or the parameters that the full model adds.
    n_data : int
        Data sets.
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
    >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
    >>> found = pooled.wald_test("`y~x1`; `y~w1.l2`")
    >>> found.method, found.df
    ('D1', 2)
    >>> found.frame[["statistic", "df", "riv"]].round(2)
       statistic  df   riv
    0      40.92   2  0.09
    """

    statistic: float
    df: int
    df_denom: float
    pvalue: float
    method: JointMethod
    riv: float
    tested: tuple[str, ...]
    n_data: int
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """The test as one row."""
        names = ("method", "statistic", "df", "df_denom", "pvalue", "riv")
        return make_frame({name: [getattr(self, name)] for name in names})

    @property
    def _result(self) -> str:
        return f"F({self.df}, {self.df_denom:.2f}) = {self.statistic:.3f}, {p_words(self.pvalue)}"

    @property
    def _title(self) -> str:
        return f"Test of {self.n_data} data sets together ({self.method})"

    def __str__(self) -> str:
        tested = [f"  {each}" for each in self.tested]
        notes = [f"  note: {note}" for note in self.notes]
        increase = f"  relative increase in variance: {self.riv:.3f}"
        return "\n".join((f"{self._title} of", *tested, increase, self._result, *notes))

    def _grid(self) -> Grid:
        test = {"F": [self.statistic], "df": [self.df], "df (denominator)": [self.df_denom]}
        table = columns_table({**test, "p": [self.pvalue], "RIV": [self.riv]})
        tables = columns_table({"Tested": self.tested}), table
        return Grid(self._title, tables, self.notes)

    def __repr__(self) -> str:
        return f"<PooledTest: {self._result}; {self.method}>"


def _result(
    found: JointTest, method: JointMethod, tested: Sequence[str], m: int, *notes: str
) -> PooledTest:
    return PooledTest(
        statistic=found.statistic.value,
        df=found.statistic.df,
        df_denom=found.statistic.df_denom,
        pvalue=found.statistic.pvalue,
        method=method,
        riv=found.riv,
        tested=tuple(tested),
        n_data=m,
        notes=notes,
    )


def _require_method(method: object, kind: object) -> None:
    choices = get_args(kind)
    if method is not None and method not in choices:
        raise OptionValueError(
            f"method={method!r}: it takes one of {listed(choices)}.{nearest(str(method), choices)}"
        )


# --- constraints ----------------------------------------------------------------------------------


def pooled_wald(
    pooled: Pooled[Any], constraints: object, rhs: object, method: WaldMethod
) -> PooledTest:
    """See `Pooled.wald_test`."""
    _require_method(method, WaldMethod)
    own, covariance = pooled._estimates, pooled.covariance
    hypothesis = read_hypothesis(constraints, own.table, own.params, rhs)
    se = covariance.se
    used = np.flatnonzero(hypothesis.gradients.any(axis=0))
    missing = [own.names[k] for k in used if not se[k] >= 0]
    if missing:
        raise InferenceError(
            f"{listed(missing)}: no {pooled.se_kind} variance in some fit. Its notes say why; "
            "leave this out of the test, or pool fits with other standard errors (with_se)."
        )
    units = np.where(se > 0, se, 1.0)
    require_testable(hypothesis.gradients, own.free, units, hypothesis.constraints)
    if method == "D2":
        chi2 = [
            wald_test(fit._estimates, fit.covariance, constraints, "chi2", rhs).statistic
            for fit in pooled.used
        ]
        _require_unnested(pooled, "D2")
        found = d2(np.array(chi2), len(hypothesis.values))
    else:
        reference = covariance.reference
        assert isinstance(reference, PooledReference)
        if not reference.tests(hypothesis.gradients):
            raise InferenceError(
                "these constraints take a variance or covariance, which has no t or F test beside "
                "those of fixed effects: compare two models by lr_test."
            )
        found = reference.d1(hypothesis.values, hypothesis.gradients)
    return _result(found, method, hypothesis.constraints, len(pooled.used))


def _require_unnested(pooled: Pooled[Any], method: str) -> None:
    if pooled.nested is not None:
        raise InferenceError(
            f"{method} is not for nested imputations: test constraints one at a time by wald_test."
        )


# --- nested models --------------------------------------------------------------------------------


def pooled_ratio(
    simple: PooledResult, full: PooledResult, method: RatioMethod | None
) -> PooledTest:
    """See `PooledResult.lr_test`."""
    _require_method(method, RatioMethod)
    _require_likelihoods(simple, full)
    chosen: RatioMethod = method or "D4"
    singles = [
        likelihood_ratio(
            one._estimates, other._estimates, boundary=False, draws=1, seed=1, method="lr"
        )
        for one, other in zip(simple.used, full.used, strict=True)
    ]
    statistics = np.array([each.statistic for each in singles])
    k, m, mean = singles[0].df, len(singles), float(statistics.mean())
    if chosen == "D2":
        found = d2(statistics, k)
    elif chosen == "D3":
        found = d3(mean, 2.0 * _difference(simple, full, _at_pooled), k, m)
    else:
        found = d4(mean, 2.0 * _difference(simple, full, _at_maximum), k, m)
    return _result(found, chosen, singles[0].added or (f"{k} equalities of the simple model",), m)


def _require_likelihoods(simple: PooledResult, full: PooledResult) -> None:
    for name, pooled in (("simple", simple), ("full", full)):
        first = pooled.used[0]
        if first.settings.estimator == "REML":
            raise InferenceError(
                f"the {name} model was fitted by REML: pooled likelihood-ratio tests take maximum "
                "likelihood (REML=False in lmm)."
            )
        if first._estimates.weighted:
            raise InferenceError(
                "a weighted log-likelihood has no likelihood-ratio test. Test the parameters by "
                "wald_test (D1)."
            )
        if not pooled.covariance.kind.model_based:
            raise InferenceError(
                f'the {name} model has robust standard errors, se="{pooled.se_kind}", and there is '
                "no rule that pools scaled likelihood ratios. Test the parameters by wald_test "
                '(D1), or pool fits with se="standard".'
            )
        _require_unnested(pooled, "lr_test")
    if len(simple.fits) != len(full.fits):
        raise InferenceError(
            f"the models were fitted to {len(simple.fits)} and {len(full.fits)} data sets: pool "
            "fits to the same ones, in the same order."
        )
    if [fit.converged for fit in simple.fits] != [fit.converged for fit in full.fits]:
        raise InferenceError(
            "the models did not converge in the same data sets: pool the fits of both to those in "
            "which both did."
        )


Level = Callable[["PooledResult"], float]


def _difference(simple: PooledResult, full: PooledResult, level: Level) -> float:
    return level(full) - level(simple)


def _at_pooled(pooled: PooledResult) -> float:
    """The mean over data sets of ℓ_i(θ̄)."""
    values = [fit._estimates.problem.loglik_at(pooled.estimates) for fit in pooled.used]
    if any(value is None for value in values):
        raise InferenceError(
            "D3: the pooled estimates have no likelihood in some data set (a covariance matrix "
            'there is not positive definite). Use method="D4".'
        )
    return float(np.mean(values))  # type: ignore[arg-type]


def _at_maximum(pooled: PooledResult) -> float:
    """The maximum of the mean over data sets of ℓ_i(θ)."""
    fits: list[FitResult] = list(pooled.used)
    found = stacked_loglik([fit._estimates for fit in fits], pooled.estimates)
    if found is None:
        raise InferenceError(
            "D4: the search for the maximum of the mean log-likelihood did not converge. Use "
            'method="D3" or "D2".'
        )
    return found
