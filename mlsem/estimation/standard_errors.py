"""The kinds of standard errors, a record each.

A covariance of estimates is I⁻¹ or a sandwich, I⁻¹ (Σ_j u_j u_jᵀ) I⁻¹ times a factor, with scores
u_j of the clusters that may be adjusted. What a kind is made of, what its tests refer to and what
a summary calls it stand here and nowhere else: a kind that is added to `KINDS` can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from types import MappingProxyType
from typing import Literal, cast

SeName = Literal[
    "standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "replicates", "none"
]
Bread = Literal["default", "observed"]
ReferenceKind = Literal["t", "mixed", "z"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """u_j = (I - X_j)^-power s_j, X_j the leverage of the cluster.

    Attributes
    ----------
    power : float
    residuals : bool
        Whether for the fixed effects of a linear mixed model of one outcome it is residuals that
        are adjusted (Pustejovsky & Tipton, 2018, eq. 10).
    """

    power: float
    residuals: bool = False


@dataclass(frozen=True, slots=True)
class Factor:
    """A small-sample factor of the meat.

    Attributes
    ----------
    formula : str
        J robust clusters, N rows; p fixed effects of a linear mixed model, all free parameters
        elsewhere.
    terms : function
        Numerator and denominator by (J, N, p).
    takes : str
        What there are too few of where the denominator is not positive.
    single_level : bool
        Whether it is only for clusters in a model of one level.
    """

    formula: str
    terms: Callable[[int, int, int], tuple[int, int]]
    takes: str = "clusters"
    single_level: bool = False

    def __call__(self, clusters: int, rows: int, params: int) -> float:
        """NaN where the denominator is not positive."""
        numerator, denominator = self.terms(clusters, rows, params)
        return numerator / denominator if denominator > 0 else nan


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardErrors:
    """A kind of standard errors.

    Attributes
    ----------
    name : str
        What `se=` takes, in lower case or not.
    title : str
        What a summary calls it.
    bread : {"default", "observed"} or None
        Information that is inverted unless the user names one: the default of model-based errors
        (`Settings.bread`), or the observed one. None: there are no standard errors.
    sandwich : bool
        Whether the scores of the clusters stand between two breads.
    adjustment : Adjustment or None
        Of these scores; None: they are taken as they are, and the leverages are not looked at.
    reference : {"t", "mixed", "z"}
        "t": Satterthwaite's degrees of freedom for every parameter, from the clusters; "mixed":
        t tests of the fixed effects of linear mixed models where they are asked for, else z.
    factor : Factor or None
    strata : bool
        Whether its scores may be about the means of strata.
    replicated : bool
        Whether it is the spread of fits by replicate weights, and no sandwich.
    reml : bool
        Whether it exists at REML estimates, at which the scores of ℓ do not sum to zero.
    aliases : tuple of str
        Other programs' names, in lower case.
    """

    name: SeName | Literal["FG", "MBN"]
    title: str
    bread: Bread | None
    sandwich: bool
    adjustment: Adjustment | None = None
    reference: ReferenceKind = "z"
    factor: Factor | None = None
    strata: bool = False
    replicated: bool = False
    reml: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def asked(self) -> SeName:
        """The name, of a kind that `fit` takes."""
        return cast("SeName", self.name)

    @property
    def exists(self) -> bool:
        return self.bread is not None

    @property
    def model_based(self) -> bool:
        """I⁻¹: right where the model is."""
        return self.exists and not self.sandwich

    @property
    def has_df(self) -> bool:
        """Whether every parameter has degrees of freedom."""
        return self.reference == "t"

    @property
    def df_words(self) -> str:
        """Where these come from."""
        whose = "degrees of freedom of the design"
        return whose if self.replicated else "Satterthwaite's degrees of freedom"

    @property
    def form_word(self) -> str:
        """What `Covariance.form` is."""
        return "Replicates" if self.replicated else "Information"

    @property
    def takes_df(self) -> bool:
        """Whether those of a linear mixed model may be asked for."""
        return self.reference == "mixed"

    @property
    def plain(self) -> bool:
        """A sandwich with two levels that nothing corrects for few clusters."""
        adjusted = self.adjustment is not None and self.adjustment.power > 0
        return self.sandwich and not adjusted and not self.always_factor and not self.replicated

    @property
    def always_factor(self) -> bool:
        """Whether the factor does not depend on the model's levels."""
        return self.factor is not None and not self.factor.single_level


def _of_clusters(j: int, rows: int, p: int) -> tuple[int, int]:
    return j, j - 1


def _of_parameters(j: int, rows: int, p: int) -> tuple[int, int]:
    return j, j - p


def _as_stata(j: int, rows: int, p: int) -> tuple[int, int]:
    return j * (rows - 1), (j - 1) * (rows - p)


def _cluster_robust(
    name: SeName, adjustment: Adjustment, factor: Factor | None = None
) -> StandardErrors:
    return StandardErrors(
        name=name,
        title=f"Cluster-robust ({name})",
        bread="observed",
        sandwich=True,
        adjustment=adjustment,
        reference="t",
        factor=factor,
    )


PLAIN = Adjustment(0.0)
BIAS_REDUCED = Adjustment(0.5, residuals=True)
JACKKNIFE = Adjustment(1.0)
BY_DIRECTION = Adjustment(0.5)  # each parameter by its own leverage (Fay & Graubard, 2001)

STANDARD = StandardErrors(
    name="standard", title="Standard", bread="default", sandwich=False, reference="mixed"
)
MLR = StandardErrors(
    name="MLR",
    title="Robust (sandwich)",
    bread="observed",
    sandwich=True,
    factor=Factor("J/(J-1)", _of_clusters, single_level=True),
    strata=True,
    reml=False,
    aliases=("robust", "robust.huber.white", "robust.cluster"),
)
CR0 = _cluster_robust("CR0", PLAIN)
CR1 = _cluster_robust("CR1", PLAIN, Factor("J/(J-1)", _of_clusters))
CR1P = _cluster_robust("CR1p", PLAIN, Factor("J/(J-p)", _of_parameters))
CR1S = _cluster_robust("CR1S", PLAIN, Factor("J(N-1)/((J-1)(N-p))", _as_stata, takes="rows"))
CR2 = _cluster_robust("CR2", BIAS_REDUCED)
CR3 = _cluster_robust("CR3", JACKKNIFE)
REPLICATES = StandardErrors(
    name="replicates",
    title="Replicate weights",
    bread="observed",
    sandwich=True,
    reference="t",
    replicated=True,
    reml=False,
)
NONE = StandardErrors(name="none", title="None", bread=None, sandwich=False)
FG = StandardErrors(
    name="FG",
    title="Cluster-robust (Fay & Graubard)",
    bread="observed",
    sandwich=True,
    adjustment=BY_DIRECTION,
    reference="t",
)
MBN = StandardErrors(
    name="MBN",
    title="Cluster-robust (Morel, Bokossa & Neerchal)",
    bread="observed",
    sandwich=True,
    adjustment=PLAIN,
)

KINDS: Mapping[str, StandardErrors] = MappingProxyType(
    {kind.name: kind for kind in (STANDARD, MLR, CR0, CR1, CR1P, CR1S, CR2, CR3, REPLICATES, NONE)}
)


def named(name: str) -> StandardErrors | None:
    """The kind that a name (ours or another program's) stands for."""
    wanted = name.lower()
    for kind in KINDS.values():
        if wanted == kind.name.lower() or wanted in kind.aliases:
            return kind
    return None


def plain_sandwich(*, reml: bool) -> StandardErrors:
    """The first that corrects nothing, and exists at such estimates."""
    return next(kind for kind in KINDS.values() if kind.plain and (kind.reml or not reml))
