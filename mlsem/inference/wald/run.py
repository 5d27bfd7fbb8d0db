"""Wald tests of constraints on the parameters of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from typing import Annotated as Shaped

import numpy as np

from mlsem.base.display import cell, display_width, pad_right
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.estimation.standard_errors import CR2, KINDS
from mlsem.inference.covariance import statistics as tests
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.reference import DfMethod, Reference
from mlsem.inference.estimated import Estimated
from mlsem.model.hypotheses import Hypothesis, read_hypothesis
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import p_words
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table

if TYPE_CHECKING:
    import pandas as pd

TestKind = Literal["chi2", "F", "HTZ"]
TESTS: tuple[TestKind, ...] = ("chi2", "F", "HTZ")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WaldTest(Exported, Answering):
    """A joint test of constraints g(θ) = 0.

    Attributes
    ----------
    statistic : float
        Q of chi2, Q / q of F, δ Q / q of HTZ, λ Q / q of Kenward & Roger's F.
    df : int
        q, the number of constraints.
    df_denom : float
        Of F and HTZ; inf for chi2.
    pvalue : float
    test : {"chi2", "F", "HTZ"}
    vcov : str
        The kind of covariance of the estimates.
    df_method : {"satterthwaite", "kenward-roger"} or None
        Where `df_denom` of a model-based F test comes from; None: J - 1.
    delta, eta : float or None
        Of HTZ: δ = (η - q + 1) / η, and the degrees of freedom η of the covariance. Of Kenward &
        Roger's F: λ.
    constraints : tuple of str
        As they were written.
    names : tuple of str
        The left-hand sides less the right-hand sides.
    estimate : (q,)
        Their values, g(θ̂).

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.with_se("CR2").wald_test("`y~x1` == 0; `y~w1:x1` == 0")
    >>> found.test, found.vcov, found.df
    ('HTZ', 'CR2', 2)
    >>> found.frame[["statistic", "df", "df_denom"]].round(2)
       statistic  df  df_denom
    0      15.45   2     17.69
    """

    statistic: float
    df: int
    df_denom: float
    pvalue: float
    test: TestKind
    vcov: str
    df_method: DfMethod | None
    delta: float | None
    eta: float | None
    constraints: tuple[str, ...]
    names: tuple[str, ...]
    estimate: Shaped[Array, "q"]

    @property
    def frame(self) -> pd.DataFrame:
        """The test as one row."""
        return make_frame(
            {
                "test": [self.test],
                "vcov": [self.vcov],
                "df_method": [self.df_method],
                "statistic": [self.statistic],
                "df": [self.df],
                "df_denom": [self.df_denom],
                "pvalue": [self.pvalue],
                "delta": [np.nan if self.delta is None else self.delta],
                "eta": [np.nan if self.eta is None else self.eta],
                "constraints": ["; ".join(self.constraints)],
            }
        )

    @property
    def _result(self) -> str:
        two = "" if np.isinf(self.df_denom) else f", {self.df_denom:.2f}"
        letter = "chi2" if self.test == "chi2" else "F"
        return f"{letter}({self.df}{two}) = {self.statistic:.3f}, {p_words(self.pvalue)}"

    def __str__(self) -> str:
        constraints, names = map(cell, self.constraints), map(cell, self.names)
        shown = list(zip(constraints, names, self.estimate, strict=True))
        width = max(display_width(text) for text, _, _ in shown)
        lines = [
            f"  {pad_right(text, width)}  estimate of {name}: {value:.3f}"
            for text, name, value in shown
        ]
        return "\n".join((f"{self._title} of", *lines, self._result))

    @property
    def _title(self) -> str:
        method = f", df {self.df_method}" if self.df_method else ""
        return f"Wald test ({self.test}{method}, covariance {self.vcov})"

    def _grid(self) -> Grid:
        own = {"Constraint": self.constraints, "": self.names, "Estimate": self.estimate}
        test = {"chi2" if self.test == "chi2" else "F": [self.statistic], "df": [self.df]}
        if np.isfinite(self.df_denom):
            test["df (denominator)"] = [self.df_denom]
        tables = columns_table(own), columns_table({**test, "p": [self.pvalue]})
        return Grid(self._title, tables)

    def __repr__(self) -> str:
        return f"<WaldTest: {self._result}; {self.test}, {self.vcov}>"


# --- the test -------------------------------------------------------------------------------------


def require_test(test: object) -> TestKind | None:
    """The name of a test, if it is one.

    Raises
    ------
    OptionValueError
        With the names that there are.
    """
    if test is None or test in TESTS:
        return test  # type: ignore[return-value]
    raise OptionValueError(f"test={test!r} is not available. Use one of {listed(TESTS)}.")


@quiet
def wald_test(
    fit: Estimated,
    covariance: Covariance,
    constraints: object,
    test: TestKind | None,
    rhs: object,
) -> WaldTest:
    """Test the constraints with a covariance of the estimates.

    Raises
    ------
    ModelSyntaxError, SpecificationError, OptionValueError
        The constraints cannot be read, or name what is no parameter.
    InferenceError
        The test does not exist.
    """
    hypothesis = read_hypothesis(constraints, fit.table, fit.params, rhs)
    spread, reference = _spread(fit, covariance, hypothesis), covariance.reference
    chosen = test or _default(reference, hypothesis)
    if chosen == "HTZ" and (reference is None or reference.joint_test != "HTZ"):
        kinds = (f'"{kind.name}"' for kind in KINDS.values() if kind.has_df and kind is not CR2)
        raise OptionValueError(
            f'test="HTZ" needs a cluster-robust covariance, and vcov is {covariance.kind.name!r}. '
            f'Pass vcov="{CR2.name}" (or {", ".join(kinds)}), or test="chi2" or "F".'
        )
    found = _statistic(fit, covariance, hypothesis, spread, chosen)
    return WaldTest(
        statistic=found.value,
        df=found.df,
        df_denom=found.df_denom,
        pvalue=found.pvalue,
        test=chosen,
        vcov=covariance.kind.name,
        df_method=reference.method if reference is not None and chosen == "F" else None,
        delta=found.delta,
        eta=found.eta,
        constraints=hypothesis.constraints,
        names=hypothesis.names,
        estimate=frozen(hypothesis.values),
    )


def _default(reference: Reference | None, hypothesis: Hypothesis) -> TestKind:
    if reference is None or not reference.tests(hypothesis.gradients):
        return "chi2"
    return reference.joint_test


def _statistic(
    fit: Estimated,
    covariance: Covariance,
    hypothesis: Hypothesis,
    spread: Shaped[Array, "q q"],
    test: TestKind,
) -> tests.Statistic:
    q, clusters = len(spread), len(fit.cluster_labels)
    naive = test == "F" and covariance.reference is None
    if covariance.kind.sandwich or naive:
        tests.require_clusters(spread, clusters)
    distance = tests.wald_distance(hypothesis.values, spread)
    if test == "chi2":
        return tests.chi_square(distance, q)
    reference = covariance.reference
    if reference is None or reference.joint_test != test:
        return tests.naive_f(distance, q, clusters)
    if not reference.tests(hypothesis.gradients):
        raise InferenceError(
            'test="F" is for fixed effects, and these constraints take a variance or covariance. '
            'Pass test="chi2", or compare two fits by lr_test, which knows that a variance of '
            "zero lies on the boundary."
        )
    return reference.joint(hypothesis.values, hypothesis.gradients, spread)


def _spread(fit: Estimated, covariance: Covariance, hypothesis: Hypothesis) -> Shaped[Array, "q q"]:
    """C V Cᵀ, where the constraints can be tested."""
    gradients, matrix = hypothesis.gradients, covariance.matrix
    used = np.flatnonzero(gradients.any(axis=0))
    _require_variances(fit, covariance, [int(k) for k in used if not matrix[k, k] >= 0])
    se = covariance.se
    units = np.where(se > 0, se, 1.0)
    tests.require_testable(gradients, fit.free, units, hypothesis.constraints)
    return gradients[:, used] @ matrix[np.ix_(used, used)] @ gradients[:, used].T


def _require_variances(fit: Estimated, covariance: Covariance, missing: list[int]) -> None:
    """Refuse constraints on parameters that have no variance, with the reason."""
    if not missing:
        return
    names, kind = listed(fit.table.names[k] for k in missing), covariance.kind.name
    if not fit.converged:
        raise InferenceError("the fit did not converge: its estimates cannot be tested.")
    if not covariance.kind.exists:
        raise InferenceError(
            'the fit has no standard errors (se="none"): pass the covariance to test with, as in '
            'wald_test(…, vcov="CR2").'
        )
    robust = covariance.robust
    if robust is not None and robust.undetermined[missing].all():
        raise InferenceError(
            f"{names}: no cluster-robust variance, because a single cluster determines part of "
            f"{'it' if len(missing) == 1 else 'them'} (leverage 1). Leave this out of the test, "
            'or pass vcov="standard".'
        )
    raise InferenceError(
        f"{names}: no {kind} variance at the estimates. fit.with_se({kind!r}).notes says why; "
        "leave this out of the test, or pass another vcov."
    )
