"""Likelihood-ratio tests of nested models, with the right distribution at a boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from mlsem.base.display import lines
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, listed
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.weighted import refuse_weights, require_clusters
from mlsem.inference.covariance.of_estimates import stratified
from mlsem.inference.ratio.boundary import Step
from mlsem.inference.ratio.mixtures import mixture_tail, simulated_tail
from mlsem.inference.ratio.nested import Embedding, embed
from mlsem.inference.ratio.same_data import require_same_data
from mlsem.inference.ratio.scores import difference_score
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import p_words
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table

if TYPE_CHECKING:
    import pandas as pd

Reference = Literal["chi2", "mixture", "simulated", "scaled"]
Method = Literal["lr", "satorra.bentler.2001", "satorra.bentler.2010", "score"]
METHODS: tuple[Method, ...] = get_args(Method)
POSITIVE = 'method="satorra.bentler.2010" or "score"'


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LrTest(Exported, Answering):
    """A likelihood-ratio test; prints as text.

    Attributes
    ----------
    statistic : float
        2 (ℓ_full - ℓ_simple), or T of a score test; of "scaled", divided by `scaling`.
    df : int
        Difference of the numbers of parameters.
    pvalue : float
    reference : {"chi2", "mixture", "simulated", "scaled"}
        χ²(df); a mixture with known weights; a mixture by simulation (of the limiting
        distribution, from the expected information; nothing is refitted); χ²(df) of a scaled
        statistic.
    parts : tuple of (df, weight)
        Of the distribution; empty for "simulated".
    added : tuple of str
        Parameters of the full model that the simple one lacks.
    logliks : (float, float)
        Of the simple and the full model.
    n_params : (int, int)
    scaling : float or None
    error : float or None
        Monte Carlo standard error of the p value.
    draws, seed : int or None
    notes : tuple of str
    method : {"lr", "satorra.bentler.2001", "satorra.bentler.2010", "score"}
        "lr": the likelihood ratio as it is.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> simple = mlsem.lmm("y ~ w1*x1 + (1 | id)", data)
    >>> full = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    >>> found = mlsem.lr_test(simple, full)
    >>> found.distribution, found.method
    ('0.5 chi2(1) + 0.5 chi2(2)', 'lr')
    >>> found.frame[["statistic", "df"]].round(1)
       statistic  df
    0       57.7   2
    """

    statistic: float
    df: int
    pvalue: float
    reference: Reference
    parts: tuple[tuple[int, float], ...]
    added: tuple[str, ...]
    logliks: tuple[float, float]
    n_params: tuple[int, int]
    scaling: float | None = None
    error: float | None = None
    draws: int | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()
    method: Method = "lr"

    @property
    def frame(self) -> pd.DataFrame:
        """The test as one row."""
        return make_frame(
            {
                "statistic": [self.statistic],
                "df": [self.df],
                "pvalue": [self.pvalue],
                "reference": [self.reference],
                "method": [self.method],
                "distribution": [self.distribution],
                "loglik_simple": [self.logliks[0]],
                "loglik_full": [self.logliks[1]],
            }
        )

    @property
    def distribution(self) -> str:
        """In words, such as ``0.5 chi2(1) + 0.5 chi2(2)``."""
        if self.reference == "simulated":
            return f"chi-bar-square, simulated: {self.draws} draws, seed {self.seed}"
        terms = [f"{w:g} chi2({k})" if w != 1.0 else f"chi2({k})" for k, w in self.parts]
        text = " + ".join(terms)
        return text if self.scaling is None else f"{text}, scaled by {self.scaling:.3f}"

    @property
    def _result(self) -> str:
        letter = "score" if self.method == "score" else "LR"
        p = p_words(self.pvalue, self.draws)
        return f"{letter} = {self.statistic:.3f}, {p} ({self.distribution})"

    @property
    def _title(self) -> str:
        return "Score test" if self.method == "score" else "Likelihood-ratio test"

    def __str__(self) -> str:
        models = [
            f"  {name:<8}{count:>4} parameters, loglik {value:.3f}"
            for name, count, value in zip(
                ("simple", "full"), self.n_params, self.logliks, strict=True
            )
        ]
        added = [f"  added: {', '.join(self.added)}"] if self.added else []
        notes = [f"  note: {note}" for note in self.notes]
        return lines((f"{self._title} of", *models, *added, self._result, *notes))

    def _grid(self) -> Grid:
        models = {
            "": ("simple", "full"),
            "Parameters": self.n_params,
            "Log-likelihood": self.logliks,
        }
        letter = "Score" if self.method == "score" else "LR"
        test = {letter: [self.statistic], "df": [self.df], "p": [self.pvalue]}
        test |= {"Distribution": [self.distribution]}
        tables = columns_table(models), columns_table(test, draws=self.draws)
        added = (f"added: {', '.join(self.added)}",) if self.added else ()
        return Grid(self._title, tables, (*added, *self.notes))

    def __repr__(self) -> str:
        return f"<LrTest: {self._result}>"


def likelihood_ratio(
    simple: Estimates,
    full: Estimates,
    *,
    boundary: bool,
    draws: int,
    seed: int,
    method: Method | None = None,
) -> LrTest:
    """What `mlsem.lr_test` returns, which says what the arguments are.

    Raises
    ------
    InferenceError
    """
    require_same_data(simple, full)
    df = full.n_params - simple.n_params
    if df <= 0:
        raise InferenceError(
            f"the full model has {full.n_params} parameters and the simple one {simple.n_params}: "
            "it takes more. Put the simple model first."
        )
    embedding = embed(simple, full)
    _require_same_means(full, embedding)
    statistic = 2.0 * (full.loglik - simple.loglik)
    if statistic < -2e-6:
        raise InferenceError(
            f"the full model has a lower log-likelihood ({full.loglik:.4f}) than the simple one "
            f"({simple.loglik:.4f}): it is not at its maximum. Fit it with start=simple."
        )
    step = Step(simple, full, embedding)
    found = _Test(simple, full, step, df, max(statistic, 0.0))
    at_boundary = boundary and bool(step.variances)
    robust = full.settings.estimator == "MLR" or full.settings.sampling is not None
    if method is None:
        method = "satorra.bentler.2001" if robust else "lr"
    if method == "lr":
        refuse_weights(full, "unscaled likelihood ratios", "Leave method out for the scaled one.")
    if method != "lr":
        return found.scaled(method, at_boundary)
    return found.at_boundary(draws, seed) if at_boundary else found.result("chi2", ((df, 1.0),))


def _require_same_means(full: Estimates, embedding: Embedding) -> None:
    if full.settings.estimator != "REML":
        return
    found = {
        int(group.places[k])
        for group in full.groups
        for level in group.estimates.problem.pattern.levels
        for k in level.exogenous.params.tolist()
    }
    means = sorted(found & set(embedding.added))
    if means:
        raise InferenceError(
            f"the models differ in their means ({listed(full.table.names[k] for k in means)}): "
            "restricted likelihoods are then of different contrasts of the data and cannot be "
            "compared. Fit both by ML."
        )


@dataclass(frozen=True, slots=True)
class _Test:
    simple: Estimates
    full: Estimates
    step: Step
    df: int
    statistic: float

    def result(
        self, reference: Reference, parts: tuple[tuple[int, float], ...], *notes: str
    ) -> LrTest:
        return LrTest(
            statistic=self.statistic,
            df=self.df,
            pvalue=mixture_tail(self.statistic, parts),
            reference=reference,
            parts=parts,
            added=tuple(self.full.table.names[k] for k in self.step.embedding.added),
            logliks=(self.simple.loglik, self.full.loglik),
            n_params=(self.simple.n_own_params, self.full.n_own_params),
            notes=notes,
        )

    # --- robust -------------------------------------------------------------------------------

    def scaled(self, method: Method, boundary: bool) -> LrTest:
        if boundary:
            raise InferenceError(
                "the full model adds variances, and there is no scaled difference test that is "
                f"corrected for the boundary. {self._without_boundary} if variances may be "
                "negative."
            )
        require_clusters(self.full, "a scaled difference test")
        if self._stratified and method != "satorra.bentler.2001":
            raise InferenceError(
                f'method="{method}" does not know of strata: use "satorra.bentler.2001", or '
                "fit.wald_test."
            )
        if method == "satorra.bentler.2001":
            factor, statistic = self._factor_2001(), self.statistic
        elif method == "satorra.bentler.2010":
            factor = difference_score(self.step, self.df, "observed").scaling
            statistic = self.statistic
        else:
            score = difference_score(self.step, self.df, "expected")
            factor, statistic = score.scaling, score.raw
        shrunk = replace(self, statistic=statistic / factor if factor > 0 else 0.0)
        found = shrunk.result("scaled", ((self.df, 1.0),))
        return replace(found, scaling=factor, method=method)

    def _factor_2001(self) -> float:
        factor = (scaling_trace(self.full) - scaling_trace(self.simple)) / self.df
        if not factor > 0:
            instead = "" if self._stratified else f"{POSITIVE}, whose factor is positive, or "
            raise InferenceError(
                f"the scaling factor of the difference is {factor:.3f}: the scaled test (Satorra "
                f"& Bentler, 2001) does not exist for these models. Use {instead}fit.wald_test."
            )
        return factor

    @property
    def _without_boundary(self) -> str:
        if not self.full.weighted:
            return 'Fit both models with estimator="ML", or pass boundary=False'
        return "Pass boundary=False" + ("" if self._stratified else f", with {POSITIVE},")

    @property
    def _stratified(self) -> bool:
        return self.full.problem.robust.strata is not None

    # --- at the boundary ----------------------------------------------------------------------

    def at_boundary(self, draws: int, seed: int) -> LrTest:
        step = self.step
        step.require_regular()
        notes = step.notes()
        if not step.is_proper():
            if self.df > 1:
                raise InferenceError(
                    f"the estimates of the full model do not form a covariance matrix of "
                    f"{step.named(step.involved)}: the maximum among proper ones has another "
                    'log-likelihood. Fit with bounds="pos.var", or pass boundary=False, which '
                    f"tests against chi2({self.df}) and allows negative variances."
                )
            note = (
                "the added variance is estimated below zero: the statistic is computed with it at "
                "zero."
            )
            at_zero = replace(self, statistic=0.0)
            return at_zero.result("mixture", ((0, 0.5), (1, 0.5)), note, *notes)
        if len({row.free for row in step.variances}) == 1:
            return self.result("mixture", ((self.df - 1, 0.5), (self.df, 0.5)), *notes)
        cells, places = step.cells()
        covariance = step.spread()[np.ix_(places, places)]
        others = self.df - len(places)
        pvalue, error = simulated_tail(self.statistic, cells, covariance, others, draws, seed)
        found = self.result("simulated", (), *notes)
        return replace(found, pvalue=pvalue, error=error, draws=draws, seed=seed)


def scaling_trace(fit: Estimates) -> float:
    """p c = tr(I⁻¹ Σ_j s_j s_jᵀ), I the observed information and s_j the scores of the clusters
    of the robust covariance (Satorra & Bentler, 2001; White, 1982)."""
    directions = fit.directions()
    observed, scores = fit.information(directions, "observed"), fit.robust_scores(directions)
    scores = stratified(scores, fit.problem.robust.strata)
    return float(np.trace(np.linalg.solve(observed, scores.T @ scores)))
