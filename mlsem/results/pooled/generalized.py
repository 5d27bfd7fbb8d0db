"""`PooledGlmResult`: several fits of a generalised linear model as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np

from mlsem.core.records import frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import OptionValueError
from mlsem.estimation.generalized.settings import GlmUpdateKeywords
from mlsem.estimation.keywords import UNCHANGED, shown
from mlsem.other_programs.answering import reasons
from mlsem.results.drawn import Plotted
from mlsem.results.generalized.expected import Expecting
from mlsem.results.generalized.result import GlmResult
from mlsem.results.pooled.common import OF_ROWS, Pooled
from mlsem.results.pooled.gathered import Alike, PooledEstimates, require_same_rows
from mlsem.results.pooled.standardised import Standardising
from mlsem.results.tables import BROOM

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.estimation.generalized.settings import GlmDf, GlmSe, SeForm
    from mlsem.results.generalized.summary import GlmSummary
    from mlsem.results.pooled.summary import Pairs

REASONS = reasons(
    {
        OF_ROWS: "dispersion rho",
        "it is of one data set": "cluster_diagnostics",
        "its draws are of one data set; with_se(…) pools other standard errors": "bootstrap",
        "df has the pooled degrees of freedom, df_kind the rule": "df_method",
        "there is no likelihood-ratio test of clustered rows; test the coefficients that differ "
        "together by wald_test": "lr_test",
    }
)


@dataclass(frozen=True, eq=False, repr=False)
class PooledGlmResult(Standardising, Pooled[GlmResult], Expecting, Plotted):
    """Several fits of a generalised linear model or of estimating equations, pooled by Rubin's
    rules. A sequence of its fits, too.

    Attributes
    ----------
    fits : tuple of GlmResult
        Of all data sets.
    covariance : Covariance
        Of the pooled estimates, T = Ū + (1 + 1/m) B.
    df_kind : {"matching", "barnard-rubin", "rubin"}
    complete_df : float or None
    nested : tuple or None
        The outer data set of each fit.
    origin : tuple of (label, value)
        Where the data sets come from, for the summary.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
    >>> pooled = mlsem.pool([mlsem.glm("high ~ w1 + x1", each, cluster="id") for each in sets])
    >>> pooled
    <PooledGlmResult: 3 parameters, 3 data sets of 500 rows, 50 clusters, se CR2;
    print(pooled.summary())>
    >>> pooled.model, pooled.family, pooled.link, pooled.settings.corr
    ('high ~ w1 + x1', 'binomial', 'logit', 'independence')
    >>> len(pooled), len(pooled.used), pooled.n_failed, pooled.converged, pooled.notes
    (3, 3, 0, True, ())
    >>> pooled.n_obs, pooled.n_clusters, pooled.n_params, pooled.se_kind
    (500, 50, 3, 'CR2')
    >>> pooled.params.round(2).tolist(), pooled.df.round(1).tolist()
    ([-0.02, 0.46, 0.94], [44.4, 14.3, 3.5])
    >>> pooled.riv.round(2).tolist(), pooled.fmi.round(2).tolist()
    ([0.0, 0.0, 3.0], [0.04, 0.12, 0.83])
    >>> added = (1 + 1 / 3) * pooled.vcov_between.to_numpy()
    >>> bool(abs(pooled.vcov_within + added - pooled.vcov()).to_numpy().max() < 1e-12)
    True
    """

    _of = GlmResult
    _reasons = REASONS

    @classmethod
    def _alike(cls, fit: GlmResult) -> Alike:
        settings = fit.settings
        return (
            ("families", fit.family),
            ("links", fit.link),
            ("working correlations", settings.corr),
            ("standard errors", settings.se),
            ("degrees of freedom", settings.df),
        )

    @classmethod
    def _estimated(cls, fits: tuple[GlmResult, ...]) -> PooledEstimates:
        mean = frozen(np.mean([fit.estimates for fit in fits], axis=0))
        return PooledEstimates(tuple(fit._estimates for fit in fits), mean, mean)

    @property
    def family(self) -> str:
        """The family of the outcome."""
        return self.used[0].family

    @property
    def link(self) -> str:
        """The name of g in g(μ) = xᵀβ."""
        return self.used[0].link

    @property
    def _glanced(self) -> dict[str, list[Any]]:
        return {"family": [self.family], "link": [self.link]}

    @property
    def _said(self) -> tuple[Pairs, str | None, Pairs]:
        model = [("Formula", self.model), ("Family", self.family), ("Link", self.link)]
        if self.settings.corr != "independence":
            model.append(("Working correlation", self.settings.corr))
        return tuple(model), self.used[0]._estimates.data.cluster, ()

    # --- tables ---------------------------------------------------------------------------------

    def parameter_estimates(self, level: float = 0.95) -> pd.DataFrame:
        """The coefficients, their tests and intervals, with `riv` and `fmi`.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame
            The columns of `GlmResult.parameter_estimates`, and these two.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.glm("high ~ w1 + x1", each, cluster="id") for each in sets])
        >>> pooled.parameter_estimates()[["lhs", "op", "rhs", "est", "fmi"]].round(2)
            lhs  op rhs   est   fmi
        0  high  ~1     -0.02  0.04
        1  high   ~  w1  0.46  0.12
        2  high   ~  x1  0.94  0.83
        """
        return make_frame(self._columns(level))

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per coefficient under the names of R's broom, with `riv` and `fmi`.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.glm("high ~ w1 + x1", each, cluster="id") for each in sets])
        >>> pooled.tidy()[["term", "estimate", "riv"]].round(2)
                  term  estimate  riv
        0  (Intercept)     -0.02  0.0
        1           w1      0.46  0.0
        2           x1      0.94  3.0
        """
        columns, names = self._columns(level), {"term": list(self.table.names)}
        shown = {new: columns[old] for new, old in BROOM.items()}
        return make_frame(names | shown | {name: columns[name] for name in ("riv", "fmi")})

    def summary(self, level: float | None = None) -> GlmSummary:
        """The coefficients, how they were estimated, and the fraction of missing information.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.

        Returns
        -------
        GlmSummary
            Prints as text and shows as HTML in a notebook.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.glm("high ~ w1 + x1", each, cluster="id") for each in sets])
        >>> print(pooled.summary().to_text().splitlines()[0])
        mlsem 0.1.0: 3 fits pooled by Rubin's rules
        """
        from mlsem.results.pooled.summary import glm_summary

        return glm_summary(self, self._facts(), level)

    # --- other errors ---------------------------------------------------------------------------

    def with_se(self, kind: GlmSe, *, df: GlmDf | None = None, se_form: SeForm = "scores") -> Self:
        """The same fits with other standard errors, pooled again; nothing is fitted.

        Parameters
        ----------
        kind : {"CR2", "CR0", "CR1", "CR1p", "CR1S", "CR3", "KC", "MD", "FG", "MBN", "standard",
            "none"}
        df : {"satterthwaite", "J-p", "z"}, optional
        se_form : {"scores", "residuals"}, default "scores"
            As for `GlmResult.with_se`.

        Returns
        -------
        PooledGlmResult

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.glm("high ~ w1 + x1", each, cluster="id") for each in sets])
        >>> round(float(pooled.with_se("CR3").bse["w1"]), 2)
        0.21
        """
        fits = (fit.with_se(kind, df=df, se_form=se_form) for fit in self.fits)
        return self._again(fits, same=True)

    @shown(GlmUpdateKeywords, default=UNCHANGED)
    def update(self, formula: str | None = None, **options: Unpack[GlmUpdateKeywords]) -> Self:
        """Each fit changed (`GlmResult.update`) and pooled again.

        Parameters
        ----------
        formula : str, optional
            As for `GlmResult.update`, of columns that the fits have.
        **options
            As for `GlmResult.update`.

        Returns
        -------
        PooledGlmResult

        Raises
        ------
        InferenceError, SpecificationError, DataError, OptionError, OptionValueError
            As for `GlmResult.update`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.glm("high ~ w1 + x1", each, cluster="id") for each in sets])
        >>> pooled.update(". ~ . - w1", family="poisson").params.round(2).to_dict()
        {'(Intercept)': -0.82, 'x1': 0.4}
        """
        if "data" in options:
            raise OptionValueError(
                "data=: these fits are of several data sets. Fit each by mlsem.glm, and pool them "
                "by mlsem.pool."
            )
        return self._again(fit.update(formula, **options) for fit in self.fits)

    def _design(self, frame: pd.DataFrame | None) -> tuple[Array, Array]:
        """Means over data sets: columns of a formula such as poly(x, 2) are made otherwise in
        each."""
        if frame is None:
            owned = [fit._estimates.data for fit in self.used]
            require_same_rows([own.frame for own in owned], owned[0].cluster)
        designs, offsets = zip(*(fit._design(frame) for fit in self.used), strict=True)
        return np.mean(designs, axis=0), np.mean(offsets, axis=0)
