"""What a parameter table has beside its rows: variables by level, products, slopes, definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsem.errors import Span
    from mlsem.syntax.nodes import Expression


@dataclass(frozen=True, slots=True)
class DefinedParameter:
    """`name := expression` over labels and earlier defined parameters."""

    name: str
    expression: Expression
    source: str


@dataclass(frozen=True, slots=True)
class ParameterConstraint:
    """`expression == 0` (`equality`) or `expression >= 0`; `source` as the user wrote it."""

    expression: Expression
    equality: bool
    source: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class LevelVariables:
    """The variables of one level, each tuple in lavaan's order.

    Attributes
    ----------
    latent : tuple of str
        Latent variables.
    modelled : tuple of str
        Observed variables with a distribution at this level (outcomes, indicators, and
        covariates that are not fixed).
    covariates : tuple of str
        Fixed covariates: conditioned on. Products stand as `a:b`.
    parts : tuple of str
        Those of `modelled` that are parts of fixed covariates with a part at both levels: given
        `covariates` they have the moments of the saturated model, which are no parameters.
    """

    latent: tuple[str, ...]
    modelled: tuple[str, ...]
    covariates: tuple[str, ...]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProductTerm:
    """An automatic product `name` = product of the data columns `factors`."""

    name: str
    factors: tuple[str, ...]
    level: int


@dataclass(frozen=True, slots=True)
class RandomSlope:
    """The path of `outcome` on `carrier` at level 1, which varies between clusters.

    Attributes
    ----------
    name : str
        A variable of level 2; its intercept there is the mean of the path.
    outcome : str
        An observed variable of level 1.
    carrier : str
        A fixed covariate of level 1, or a product of such.
    """

    name: str
    outcome: str
    carrier: str
    span: Span | None = None
