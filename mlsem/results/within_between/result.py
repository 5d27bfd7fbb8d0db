"""`WithinBetween`: fixed effects, random effects, contextual and hybrid models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.other_programs.answering import Answering
from mlsem.results.summary_table.records import require_statistics
from mlsem.results.within_between.lines import MODELS, VALUES, lines_of, ordered

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.data.design.within_between import Covariate
    from mlsem.inference.wald.run import WaldTest
    from mlsem.results.generalized.result import GlmResult
    from mlsem.results.mixed.result import MixedResult
    from mlsem.results.summary_table.records import Statistic
    from mlsem.results.within_between.summary import WithinBetweenSummary

UNRELIABLE = 0.8


@dataclass(frozen=True, eq=False, repr=False)
class WithinBetween(Answering):
    """Models of the effects within and between clusters, as `mlsem.within_between` fits them.

    Attributes
    ----------
    fixed : GlmResult
        A constant for each cluster: within effects alone.
    random : MixedResult
        A random intercept, and one effect of each covariate within and between clusters.
    contextual : MixedResult
        With the means of clusters (Mundlak, 1978), whose coefficients are the differences of the
        two effects.
    hybrid : MixedResult
        With deviations from the means in place of the covariates: both effects.
    hausman : WaldTest or str
        Of no difference between the effects, by the means in `contextual`; why there is none.
    cluster : str
        The column of clusters.
    data : DataFrame
        The rows used, with the parts of the covariates as columns.
    formulas : mapping of str to str
        Of the four models, in columns of `data`.
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> found = mlsem.within_between("y ~ x1 + w1", data, cluster="id")
    >>> found.formulas["hybrid"]
    'y ~ x1_within + w1 + x1_between + (1 | id)'
    >>> found.fixed.params.round(3).to_dict(), round(float(found.hybrid.params["x1_within"]), 3)
    ({'x1': 0.532}, 0.532)
    >>> found.hausman
    <WaldTest: F(1, 13.18) = 2.930, p = 0.110; HTZ, CR2>
    >>> list(found.fits), found.covariates[["varies", "varying"]].values.tolist()
    (['fixed', 'random', 'contextual', 'hybrid'], [['both', 50], ['between', 0]])
    """

    fixed: GlmResult
    random: MixedResult
    contextual: MixedResult
    hybrid: MixedResult
    hausman: WaldTest | str
    cluster: str
    data: pd.DataFrame
    formulas: Mapping[str, str]
    notes: tuple[str, ...]
    _covariates: tuple[Covariate, ...]

    @property
    def fits(self) -> dict[str, GlmResult | MixedResult]:
        """The four models by name."""
        return {name: getattr(self, name) for name in MODELS}

    @property
    def covariates(self) -> pd.DataFrame:
        """A row per covariate: `varies` ("within", "between", "both"), `sd_within`, `sd_between`,
        `icc`, `reliability` (of the means of clusters as measures of the clusters: the mean of τ² /
        (τ² + σ²/n)) and `varying`, the clusters within which it varies."""
        own = self._covariates
        kinds = [_kind(each) for each in own]
        columns: dict[str, Any] = {"varies": kinds}
        for name in ("sd_within", "sd_between", "icc", "reliability", "varying"):
            columns[name] = [getattr(each, name) for each in own]
        return make_frame(columns, [each.name for each in own])

    @quiet
    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """The coefficients of all models in full.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame
            A row per covariate, effect and model: `covariate`, `effect` ("within", "between",
            "contextual": between less within, "both": one for the two), `model`, `est`, `se`,
            `stat`, `df`, `pvalue`, `ci_lower`, `ci_upper`.

        Raises
        ------
        OptionValueError
            The level lies not between 0 and 1.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> found = mlsem.within_between("y ~ x1 + w1", data, cluster="id").to_frame()
        >>> found.query("covariate == 'x1'")[["effect", "model", "est", "se", "df"]].round(2)
               effect       model   est    se     df
        3      within       fixed  0.53  0.11  41.00
        4      within  contextual  0.53  0.11  41.00
        5      within      hybrid  0.53  0.11  41.00
        6        both      random  0.54  0.11  40.88
        7     between      hybrid  1.40  0.53  12.99
        8  contextual  contextual  0.87  0.51  13.18
        """
        require_level(level)
        lines = lines_of(self.fits, self._covariates, level)
        rows = [
            (*key, model, *(lines[model][key][each] for each in VALUES))
            for key in ordered(lines, self._covariates)
            for model in MODELS
            if key in lines[model]
        ]
        names = ("covariate", "effect", "model", *VALUES)
        return make_frame(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def summary(
        self,
        statistic: Statistic | Iterable[Statistic] | None = ("se", "df", "p"),
        *,
        level: float = 0.95,
    ) -> WithinBetweenSummary:
        """The models side by side, the robust Hausman test, and what is known of the covariates.

        Parameters
        ----------
        statistic : {"se", "ci", "t", "p", "df"}, iterable, or None, default ("se", "df", "p")
            What stands below an estimate: its standard error, confidence interval, t statistic, p
            value, degrees of freedom.
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        WithinBetweenSummary
            Prints as text, shows as HTML in a notebook; `to_latex()` and its kin export it.

        Raises
        ------
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> found = mlsem.within_between("y ~ x1 + w1", data, cluster="id")
        >>> print(found.summary("se").to_markdown(digits=2).splitlines()[0])
        **Effects within and between clusters**
        """
        from mlsem.results.within_between.summary import WithinBetweenSummary

        require_level(level)
        return WithinBetweenSummary(self, require_statistics(statistic), level)

    def __repr__(self) -> str:
        fit = self.contextual
        return (
            f"<WithinBetween: {fit.model}, {fit.n_obs} rows, {fit.n_clusters} clusters, "
            f"se {fit.se_kind};\nprint(found.summary())>"
        )

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _kind(each: Covariate) -> str:
    if not each.varies:
        return "between"
    return "within" if each.split and each.between is None else "both"


def unreliable(covariates: tuple[Covariate, ...]) -> tuple[str, ...]:
    """A note on means of clusters that are rough measures of these."""
    means = [each for each in covariates if each.between is not None]
    rough = [
        f"{each.name} {each.reliability:.2f}" for each in means if each.reliability < UNRELIABLE
    ]
    if not rough:
        return ()
    return (
        f"reliability of the means of clusters: {', '.join(rough)}. Where clusters are larger than "
        "what was observed of them, between and contextual effects are drawn towards no "
        "difference; mlsem.fit with the covariate at both levels has latent means.",
    )
