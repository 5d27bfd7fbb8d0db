"""What semopy's `Model.inspect` and `calc_stats` say, of a fit of ours.

The layout is semopy's, the numbers are ours. semopy itself is needed for `inspect` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsem.data.table.frame import make_frame
from mlsem.errors import OptionValueError, SpecificationError, listed
from mlsem.interop.semopy.writer import Writer
from mlsem.model.table import Row
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    import pandas as pd

Mode = Literal["list", "mx"]
What = Literal["est", "start", "name"]
Information = Literal["expected", "observed"]
StandardizedEstimates = Literal[True, False, "lv"]

OPTIMISER = "mlsem"
"""What stands for a method of semopy's in the outcome of a search that was ours."""

_NO_TEST = "-"
_STATS = {
    "DoF": "df",
    "DoF Baseline": "baseline.df",
    "chi2": "chisq",
    "chi2 p-value": "pvalue",
    "chi2 Baseline": "baseline.chisq",
    "CFI": "cfi",
    "GFI": "gfi_lisrel",
    "AGFI": "agfi_lisrel",
    "NFI": "nfi",
    "TLI": "tli",
    "RMSEA": "rmsea",
    "AIC": "aic",
    "BIC": "bic",
    "LogLik": "logl",
}


def calc_stats(fit: FitResult) -> pd.DataFrame:
    """Fit indices as `semopy.calc_stats` shows them, of our fit.

    Parameters
    ----------
    fit : FitResult
        Of one level or two; the measures are those of the whole model.

    Returns
    -------
    DataFrame
        One row, `Value`, with semopy's columns: DoF, DoF Baseline, chi2, chi2 p-value, chi2
        Baseline, CFI, GFI, AGFI, NFI, TLI, RMSEA, AIC, BIC, LogLik. NaN is what there is not:
        GFI and AGFI of two levels, and all but the last three columns with random slopes.

    Raises
    ------
    OptionValueError
        `fit` is something else.
    InferenceError
        The fit did not converge or is one by REML.

    Notes
    -----
    semopy's own numbers differ where these are right. Its LogLik is the discrepancy, so that its
    AIC and BIC are no more than the penalty; its GFI is the NFI, and ours is 1 - tr{[Σ⁻¹(S -
    Σ)]²} / tr{(Σ⁻¹S)²} (Jöreskog & Sörbom, 1982); its RMSEA divides by N - 1, ours by N, as in
    lavaan. Where there are fixed covariates its DoF count their variances and covariances, which
    fit by construction, and its baseline model lets them not covary: χ² is the same, and what
    is made of DoF and baseline is not. A baseline that semopy's search gives up too early has
    another χ², too. Scaled and robust versions, intervals, SRMR and tests for few clusters are
    in `fit.fit_measures()`.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.sem("y ~ x1 + w1", data)
    >>> from mlsem.interop.semopy import calc_stats
    >>> calc_stats(fit)[["DoF", "CFI", "RMSEA"]].round(2)
           DoF  CFI  RMSEA
    Value    0  1.0    0.0
    """
    require_fit(fit, "calc_stats")
    measures = fit.fit_measures().to_dict()
    stats = {column: measures.get(name, nan) for column, name in _STATS.items()}
    degrees = {name: int(df) for name, df in stats.items() if "DoF" in name and isfinite(df)}
    return make_frame({name: [value] for name, value in (stats | degrees).items()}, ["Value"])


def require_fit(fit: object, taker: str) -> None:
    if not isinstance(fit, FitResult):
        raise OptionValueError(f"fit is a {type(fit).__name__}; {taker} takes a FitResult.")
    if fit.table.groups and taker != "calc_stats":
        raise SpecificationError(
            f"{taker} takes models of one group, as semopy has them. Fit the rows of a group alone."
        )


# --- inspect -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inspection:
    """What is known of the parameters of a level, by semopy's names of the variables.

    Attributes
    ----------
    fit : FitResult
    writer : Writer
        Of the level.
    """

    fit: FitResult
    writer: Writer

    def table(
        self,
        model: Any,
        information: Information | None,
        std_est: StandardizedEstimates,
        se_robust: bool,
        *,
        means: bool,
    ) -> pd.DataFrame:
        """semopy's table of its model with our cells; what is not ours (`y ~ 0*y`) stays.

        Parameters
        ----------
        means : bool
            Whether intercepts follow the paths, as in a `ModelMeans`.
        """
        _check_options(information, std_est, se_robust)
        layout = model.layout(std_est)
        shown = self._shown(information, std_est, se_robust)
        columns = layout.to_dict("list")
        heads = ("lval", "op", "rval")
        lines = [
            dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)
        ]
        for line in lines:
            line |= shown.get(_place(*(line[head] for head in heads)), {})
        if means:
            at = sum(line["op"] == "~" for line in lines)
            lines[at:at] = [
                dict(zip(heads, place, strict=True)) | shown[place] for place in self._means()
            ]
        return make_frame({name: [line[name] for line in lines] for name in columns})

    def _means(self) -> Iterator[tuple[str, str, str]]:
        for row in self.fit.table.rows:
            here = row.level == self.writer.number and not row.exo
            if here and row.op == "~1" and (row.free >= 0 or row.fixed):
                yield self._place_of(row)

    def _place_of(self, row: Row) -> tuple[str, str, str]:
        lhs, rhs = (self.writer.rename(name) if name else "" for name in (row.lhs, row.rhs))
        if row.op == "=~":
            return _place(rhs, "~", lhs)
        return (lhs, "~", "1") if row.op == "~1" else _place(lhs, row.op, rhs)

    def _shown(
        self, information: Information | None, std_est: StandardizedEstimates, se_robust: bool
    ) -> dict[tuple[str, str, str], dict[str, Any]]:
        """The cells of each parameter, by its place."""
        fit = self._with_errors(information, se_robust)
        columns: dict[str, list[Any]] = fit.parameter_estimates(
            standardized=std_est is not False
        ).to_dict("list")
        tested = information is not None and fit.covariance.kind.exists
        shown = {}
        for k, row in enumerate(fit.table.rows):
            if row.level != self.writer.number or row.exo or not row.lhs:
                continue
            cells = {"Estimate": columns["est"][k]}
            if std_est is not False:
                scaled = "std_lv" if std_est == "lv" else "std_all"
                cells["Est. Std"] = columns[scaled][k]
            errors = {"Std. Err": "se", "z-value": "stat", "p-value": "pvalue"}
            for head, name in errors.items():
                cells[head] = columns[name][k] if tested and row.free >= 0 else _NO_TEST
            shown[self._place_of(row)] = cells
        return shown

    def _with_errors(self, information: Information | None, se_robust: bool) -> FitResult:
        fit = self.fit
        kind = fit.covariance.kind
        if information is None:
            return fit
        if se_robust and not kind.sandwich:
            chosen = "observed" if information == "observed" else None
            return fit.with_se("MLR", information=chosen)
        if information == "observed" and kind.exists:
            return fit.with_se(kind.asked, test=fit.settings.test, information=information)
        return fit


def _place(lhs: str, op: str, rhs: str) -> tuple[str, str, str]:
    """Covariances have no direction."""
    return (min(lhs, rhs), op, max(lhs, rhs)) if op == "~~" else (lhs, op, rhs)


def check_mode(mode: object, what: object) -> None:
    for name, value, choices in (
        ("mode", mode, get_args(Mode)),
        ("what", what, get_args(What)),
    ):
        if value not in choices:
            raise OptionValueError(f"{name}={value!r}: it takes one of {listed(choices)}.")


def _check_options(information: object, std_est: object, se_robust: object) -> None:
    kinds = get_args(Information)
    if information is not None and information not in kinds:
        raise OptionValueError(
            f"information={information!r}: it takes one of {listed(kinds)}, or None."
        )
    if not (isinstance(std_est, bool) or std_est == "lv"):
        raise OptionValueError(f"std_est={std_est!r}: it takes True, False or 'lv'.")
    if not isinstance(se_robust, bool):
        raise OptionValueError(f"se_robust={se_robust!r}: it takes True or False.")


def handed_over(semopy: Any, inspection: Inspection, description: str) -> Any:
    """A `semopy.Model` whose `inspect` answers from our fit, until semopy fits it itself."""

    class Model(semopy.Model):  # semopy asks for the name of a class
        inspection: Inspection | None = None

        def inspect(
            self,
            mode: str = "list",
            what: str = "est",
            information: Information | None = "expected",
            std_est: StandardizedEstimates = False,
            se_robust: bool = False,
        ) -> Any:
            check_mode(mode, what)
            result = getattr(self, "last_result", None)
            ours = getattr(result, "name_method", "") == OPTIMISER
            if mode == "mx" or self.inspection is None or not ours:
                return super().inspect(mode, what, information, std_est, se_robust)
            return self.inspection.table(self, information, std_est, se_robust, means=False)

        def layout(self, std_est: StandardizedEstimates) -> Any:
            return super().inspect(information=None, std_est=std_est)

    model = Model(description)
    model.inspection = inspection
    return model
