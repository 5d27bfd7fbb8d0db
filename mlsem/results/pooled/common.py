"""`Pooled`: several fits of one model as one, of whatever kind they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame, make_series, square_frame
from mlsem.errors import UnknownNameError
from mlsem.inference.pooling.reference import PooledReference, pooled_covariance
from mlsem.inference.pooling.rules import Parts, PooledDf
from mlsem.other_programs.answering import Answering
from mlsem.results.pooled.gathered import (
    Alike,
    PooledEstimates,
    converged_ones,
    notes_of,
    read_nests,
    require_alike,
    require_df,
    require_fits,
    warn_of_sameness,
)
from mlsem.results.pooled.joint import PooledTest, WaldMethod, pooled_wald
from mlsem.results.tables import defined_parameters, tested_columns
from mlsem.results.tested import Coefficients

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.results.pooled.summary import Pairs, PooledFacts

Fit = TypeVar("Fit")
OF_EACH = "it has no rule by which it is pooled"
OF_ROWS = "it is of the rows or clusters of one data set; the mean over fits is the pooled value"


@dataclass(frozen=True, eq=False, repr=False)
class Pooled(Coefficients, Answering, Generic[Fit]):
    """Several fits of one model, pooled by Rubin's rules. A sequence of its fits, too.

    Attributes
    ----------
    fits : tuple
        Of all data sets.
    covariance : Covariance
        Of the pooled estimates, T = Ū + (1 + 1/m) B.
    df_kind : {"matching", "barnard-rubin", "rubin"}
    complete_df : float or None
    nested : tuple or None
        The outer data set of each fit.
    origin : tuple of (label, value)
        Where the data sets come from, for the summary.
    """

    fits: tuple[Fit, ...]
    covariance: Covariance
    df_kind: PooledDf
    complete_df: float | None
    nested: tuple[Any, ...] | None
    origin: tuple[tuple[str, str], ...]
    _estimates: PooledEstimates

    _of: ClassVar[type]
    """What its fits are."""

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __getitem__(self, k: int) -> Fit:
        return self.fits[k]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a fit has and this has not says why."""
            of, reason = type(self)._of, type(self)._reasons.get(name)
            if name.startswith("_") or not (reason or hasattr(of, name)):
                return super().__getattr__(name)
            own = f" Each fit has its own: pooled.fits[0].{name}." if hasattr(of, name) else ""
            raise UnknownNameError(
                f"a {type(self).__name__} has no {name!r}: {reason or OF_EACH}.{own}", name
            )

    @classmethod
    def _alike(cls, fit: Any) -> Alike:
        """How a fit was made, which is the same in all that are pooled."""
        raise NotImplementedError

    @classmethod
    def _estimated(cls, fits: tuple[Any, ...]) -> PooledEstimates:
        """The means over fits."""
        raise NotImplementedError

    def _again(self, fits: Iterable[Fit], *, same: bool = False) -> Self:
        """Other fits to the same data sets, pooled alike; `same` says nothing that was said."""
        how = self.df_kind, self.nested, self.complete_df, self.origin
        return pooled_as(type(self), tuple(fits), *how, again=same)

    # --- the fits -----------------------------------------------------------------------------

    @cached_property
    def used(self) -> tuple[Fit, ...]:
        """The fits that converged, which are pooled."""
        return tuple(fit for fit in self.fits if fit.converged)  # type: ignore[attr-defined]

    @property
    def _first(self) -> Any:
        return self.used[0]

    @property
    def n_failed(self) -> int:
        """Fits that did not converge."""
        return len(self.fits) - len(self.used)

    @property
    def model(self) -> str:
        """The model text."""
        return self._first.model

    @property
    def settings(self) -> Any:
        """How the fits were made."""
        return self._first.settings

    @property
    def converged(self) -> bool:
        """Whether all fits converged."""
        return not self.n_failed

    @property
    def n_obs(self) -> int:
        """Rows used of each data set."""
        return self._first.n_obs

    @property
    def n_clusters(self) -> int | None:
        """Clusters of each data set; None without."""
        return self._first.n_clusters

    @property
    def n_params(self) -> int:
        """Free parameters less equality constraints."""
        return self._first.n_params

    @property
    def se_kind(self) -> str:
        """The kind of standard errors that each fit has."""
        return self.covariance.kind.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know: notes of the fits, each once."""
        return notes_of(self.used, self.n_failed)

    # --- parameters ---------------------------------------------------------------------------

    @property
    def _reference(self) -> PooledReference:
        assert isinstance(self.covariance.reference, PooledReference)
        return self.covariance.reference

    @property
    def _parts(self) -> Parts:
        return self._reference.parts

    @property
    def riv(self) -> pd.Series:
        """Relative increase in variance, r = (1 + 1/m) b / ū."""
        return self._series(self._of_parameters[0], "riv")

    @property
    def fmi(self) -> pd.Series:
        """Fraction of missing information, (r + 2 / (df + 3)) / (1 + r)."""
        return self._series(self._of_parameters[1], "fmi")

    @property
    def vcov_within(self) -> pd.DataFrame:
        """Ū, the mean of the fits' covariance matrices."""
        return square_frame(self._parts.within, self.table.names)

    @property
    def vcov_between(self) -> pd.DataFrame:
        """B, the covariance matrix of the fits' estimates (nested: of the outer means)."""
        return square_frame(self._parts.between, self.table.names)

    def _series(self, values: Array, name: str) -> pd.Series:
        return make_series(values, self.table.names, name)

    @property
    def _of_parameters(self) -> tuple[Array, Array]:
        return self._missing(np.eye(len(self.table.names)), self.covariance.df)

    def _missing(self, gradients: Array, df: Array) -> tuple[Array, Array]:
        """r and FMI of functions with these gradients."""
        variances = self._parts.along(gradients)
        return variances.riv, variances.fmi(df)

    # --- tables -------------------------------------------------------------------------------

    @quiet
    def _columns(self, level: float) -> dict[str, Any]:
        """Those of a fit, with r and FMI."""
        require_level(level)
        table, size = self.table, len(self.table.names)
        columns = tested_columns(self._estimates, self._rows, self.covariance, level)
        gradients = np.zeros((len(columns["op"]), size))
        for k, row in enumerate(table.rows):
            if row.free >= 0:
                gradients[k, row.free] = 1.0
        gradients[len(table.rows) :] = defined_parameters(self._estimates)[1]
        riv, fmi = self._missing(gradients, columns["df"])
        varies = columns["se"] > 0
        return columns | {
            "riv": np.where(varies, riv, np.nan),
            "fmi": np.where(varies, fmi, np.nan),
        }

    @property
    def _rows(self) -> Array:
        """Estimates of the rows of the table."""
        return self._estimates.rows

    def glance(self) -> pd.DataFrame:
        """One row about the whole under the names of R's broom.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.glance()[["nobs", "n_data", "n_failed", "df_kind"]]
           nobs  n_data  n_failed   df_kind
        0   500       3         0  matching
        """
        return make_frame(
            {
                "nobs": [self.n_obs],
                "n_clusters": [self.n_clusters],
                "npar": [self.n_params],
                "n_data": [len(self.fits)],
                "n_failed": [self.n_failed],
                **self._glanced,
                "se": [self.se_kind],
                "df_kind": [self.df_kind],
                "converged": [self.converged],
            }
        )

    @property
    def _glanced(self) -> dict[str, list[Any]]:
        """Columns on how the fits were made."""
        raise NotImplementedError

    def _facts(self) -> PooledFacts:
        from mlsem.results.pooled.summary import PooledFacts

        model, cluster, sampling = self._said
        return PooledFacts(
            kind=type(self).__name__,
            n_data=len(self.fits),
            n_used=len(self.used),
            outer=None if self.nested is None else len(set(self.nested)),
            origin=self.origin,
            sampling=sampling,
            model=model,
            n_params=self.n_params,
            n_obs=self.n_obs,
            cluster=cluster,
            n_clusters=self.n_clusters,
            se=self.covariance.kind,
            form=self._first.covariance.form,
            df=self.df_kind,
            complete_df=self.complete_df,
            notes=self.notes,
        )

    @property
    def _said(self) -> tuple[Pairs, str | None, Pairs]:
        """What a header says of the model, the column of the clusters, and what it says of
        sampling."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._facts().brief

    def _repr_html_(self) -> str:
        own: Any = self
        return own.summary()._repr_html_()

    # --- tests --------------------------------------------------------------------------------

    def wald_test(
        self, constraints: object, *, rhs: object = None, method: WaldMethod = "D1"
    ) -> PooledTest:
        """Joint F test of constraints on the parameters.

        Parameters
        ----------
        constraints : str, list of str, array (q, npar) or DataFrame
            As for `FitResult.wald_test`; nonlinear ones by the delta method at the pooled
            estimates.
        rhs : array (q,) or float, optional
            What the rows of a matrix equal; 0 by default.
        method : {"D1", "D2"}, default "D1"
            "D1" pools covariances (Li, Raghunathan & Rubin, 1991), with the denominator of Reiter
            (2007) where the fits have degrees of freedom; of one constraint it is the t test,
            squared. "D2" pools each fit's χ² (Li, Meng, Raghunathan & Rubin, 1991) and is rougher.

        Returns
        -------
        PooledTest

        Raises
        ------
        ModelSyntaxError, SpecificationError, OptionValueError
            The constraints cannot be read, or name what is no parameter.
        InferenceError
            The test does not exist; says why.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> round(pooled.wald_test("`y~x1`; `y~w1.l2`").statistic, 1)
        40.9
        """
        return pooled_wald(self, constraints, rhs, method)


P = TypeVar("P", bound=Pooled[Any])


def pooled_as(
    kind: type[P],
    given: object,
    df: PooledDf = "matching",
    nested: Iterable[Hashable] | None = None,
    complete_df: float | None = None,
    origin: tuple[tuple[str, str], ...] = (),
    *,
    again: bool = False,
) -> P:
    """Fits of one kind, pooled; `again` says nothing that was said before."""
    require_df(df, complete_df)
    fits = require_fits(given, kind._of)
    if isinstance(given, Pooled):
        nested = given.nested if nested is None else nested
        origin = origin or given.origin
    labels = None if nested is None else tuple(nested)
    nests = read_nests(labels, fits)
    used = (
        tuple(fit for fit in fits if fit.converged) if again else converged_ones(fits, bool(nests))
    )
    require_alike(used, [kind._alike(fit) for fit in used])
    if not again:
        warn_of_sameness(used)
    values = np.array([fit.estimates for fit in used])
    covariance = pooled_covariance(values, [fit.covariance for fit in used], nests, df, complete_df)
    return kind(
        fits=fits,
        covariance=covariance,
        df_kind=df,
        complete_df=complete_df,
        nested=labels,
        origin=origin,
        _estimates=kind._estimated(used),
    )
