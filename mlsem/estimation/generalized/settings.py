"""What a call of `glm` or `gee` asks, checked once."""
# The types are looked at when the package is imported, hence no annotations as text.

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypedDict, get_args

from mlsem.core.generalized.correlations import CorrelationName
from mlsem.core.generalized.families import FAMILIES, LINKS, Family, FamilyName, Link, LinkName
from mlsem.core.generalized.scoring import Search, Working
from mlsem.errors import OptionValueError, SpecificationError, listed
from mlsem.estimation.standard_errors import (
    CR0,
    CR1,
    CR1P,
    CR1S,
    CR2,
    CR3,
    FG,
    MBN,
    NONE,
    STANDARD,
    StandardErrors,
)

GlmSe = Literal[
    "CR2", "CR0", "CR1", "CR1p", "CR1S", "CR3", "KC", "MD", "FG", "MBN", "standard", "none"
]
GlmDf = Literal["satterthwaite", "J-p", "z"]
SeForm = Literal["scores", "residuals"]
GLM_KINDS: Mapping[str, StandardErrors] = MappingProxyType(
    {kind.name.lower(): kind for kind in (CR0, CR1, CR1P, CR1S, CR2, CR3, FG, MBN, STANDARD, NONE)}
    | {"kc": CR2, "md": CR3}
)


class GlmUpdateKeywords(TypedDict, total=False):
    """Of `GlmResult.update`, beside formula and data."""

    cluster: str | None
    family: FamilyName
    link: LinkName | None
    se: GlmSe
    df: GlmDf | None
    se_form: SeForm
    corr: CorrelationName
    order: str | None
    alpha_df: bool
    absorb: str | None
    missing: Literal["listwise", "error"] | None
    tol: float
    max_iter: int


@dataclass(frozen=True, slots=True)
class GlmSettings:
    """Family, link, and how standard errors are computed.

    Attributes
    ----------
    df : {"satterthwaite", "J-p", "z"} or None
        None: Satterthwaite's where the kind of standard errors has them, else J - p; z without
        clusters in model-based errors.
    """

    family: FamilyName
    link: LinkName | None = None
    se: GlmSe = "CR2"
    df: GlmDf | None = None
    se_form: SeForm = "scores"
    corr: CorrelationName = "independence"
    alpha_df: bool = True
    missing: Literal["listwise", "error"] | None = None
    tol: float = 1e-12
    max_iter: int = 100

    def __post_init__(self) -> None:
        _require("family", self.family, get_args(FamilyName))
        if self.link is not None:
            _require("link", self.link, get_args(LinkName))
            links = FAMILIES[self.family].links
            if self.link not in links:
                raise OptionValueError(
                    f"link={self.link!r} does not go with family={self.family!r}, which takes "
                    f"{listed(links)}."
                )
        if not isinstance(self.se, str) or self.se.lower() not in GLM_KINDS:
            raise OptionValueError(f"se={self.se!r}: it takes {listed(get_args(GlmSe), 20)}.")
        if self.df is not None:
            _require("df", self.df, get_args(GlmDf))
        _require("se_form", self.se_form, get_args(SeForm))
        _require("corr", self.corr, get_args(CorrelationName))
        if self.missing is not None:
            _require("missing", self.missing, ("listwise", "error"))
        if not isinstance(self.alpha_df, bool):
            raise OptionValueError(f"alpha_df={self.alpha_df!r}: it takes True or False.")
        if not self.tol > 0 or self.max_iter < 1:
            raise OptionValueError("tol and max_iter are positive.")
        if self.df == "satterthwaite" and not self.kind.has_df:
            raise OptionValueError(
                f'df="satterthwaite": se={self.se!r} has no such degrees of freedom; it takes '
                '"J-p" or "z". se="CR2" has them.'
            )
        if self.se_form == "residuals" and self.kind is not CR2:
            raise OptionValueError(
                f'se_form="residuals" is of se="CR2", and se is {self.se!r}: the other kinds have '
                "one form."
            )

    @property
    def kind(self) -> StandardErrors:
        """Of standard errors."""
        return GLM_KINDS[self.se.lower()]

    @property
    def records(self) -> tuple[Family, Link]:
        """Those of the names."""
        family = FAMILIES[self.family]
        return family, LINKS[self.link or family.links[0]]

    @property
    def estimator(self) -> str:
        """What was fitted, in a word or two."""
        family, link = self.records
        kind = "" if self.corr == "independence" else f"GEE {self.corr}, "
        return f"{kind}{family.name} ({link.name})"

    @property
    def working(self) -> Working:
        return Working(self.corr, self.alpha_df)

    @property
    def search(self) -> Search:
        return Search(self.tol, self.max_iter)


def _require(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionValueError(f"{name}={value!r}: it takes {listed(choices)}.")


def require_gaussian(settings: GlmSettings) -> None:
    """That constants of groups can be taken out.

    Raises
    ------
    SpecificationError
    """
    family, link = settings.records
    if family.name != "gaussian" or link.name != "identity":
        raise SpecificationError(
            f"absorb= is for linear models, and this one has link {link.name!r}: constants of "
            "groups cannot be taken out of it, and estimated beside it they bias the others. Take "
            'family="gaussian" (linear probabilities), or means of the clusters as covariates.'
        )
    if settings.corr != "independence":
        raise SpecificationError('absorb= goes with corr="independence": rows of demeaned groups.')
