"""Families and links of generalised linear models, a record each.

    E(y) = μ,   g(μ) = η = xᵀβ + offset,   Var(y) = φ V(μ) / m

(McCullagh & Nelder, 1989). m is the number of trials of a share, 1 elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Annotated as Shaped
from typing import Literal

import numpy as np
from scipy.special import logit, ndtr, ndtri

from mlsem.core.records import Array

FamilyName = Literal["binomial", "poisson", "gaussian"]
LinkName = Literal["logit", "probit", "log", "identity"]
Map = Callable[[Shaped[Array, "i"]], Shaped[Array, "i"]]

NEAREST = 1e-15  # distance of a probability from 0 and 1 at least
TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Link:
    """g, its inverse, and dμ/dη and d²μ/dη² as functions of η.

    Attributes
    ----------
    exponentiated : str
        What e^β is called; empty where it is nothing.
    """

    name: LinkName
    forward: Map
    mean: Map
    slope: Map
    bend: Map
    exponentiated: str = ""


def _logistic(eta: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    return 1.0 / (1.0 + np.exp(-eta))


def _logistic_slope(eta: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    odds = np.exp(-np.abs(eta))  # as small as the slope, whichever end is near
    return odds / (1.0 + odds) ** 2


def _logistic_bend(eta: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    return -_logistic_slope(eta) * np.tanh(0.5 * eta)


def _density(eta: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    return np.exp(-0.5 * eta**2) / np.sqrt(2.0 * np.pi)


def _density_slope(eta: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    return -eta * _density(eta)


def _same(eta: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    return eta


LOGIT = Link("logit", logit, _logistic, _logistic_slope, _logistic_bend, "odds ratio")
PROBIT = Link("probit", ndtri, ndtr, _density, _density_slope)
LOG = Link("log", np.log, np.exp, np.exp, np.exp, "ratio")
IDENTITY = Link("identity", _same, _same, np.ones_like, np.zeros_like)
LINKS: Mapping[str, Link] = MappingProxyType(
    {link.name: link for link in (LOGIT, PROBIT, LOG, IDENTITY)}
)


@dataclass(frozen=True, slots=True)
class Family:
    """V(μ), the deviance of a row, and what means may be.

    Attributes
    ----------
    variance : function
        V of μ.
    deviance : function
        Of outcomes and means, (N,) each, a row's for one trial.
    lower, upper : float
        μ stands between these.
    links : tuple of str
        The first is the usual one.
    first : function
        Means to begin with, of outcomes and trials.
    dispersed : bool
        Whether φ is estimated for model-based errors; else it is 1.
    """

    name: FamilyName
    variance: Map
    deviance: Callable[[Shaped[Array, "N"], Shaped[Array, "N"]], Shaped[Array, "N"]]
    lower: float
    upper: float
    links: tuple[LinkName, ...]
    first: Callable[[Shaped[Array, "N"], Shaped[Array, "N"]], Shaped[Array, "N"]]
    dispersed: bool = False

    def allows(self, mean: Shaped[Array, "N"]) -> bool:
        """Whether all of these may be means."""
        return bool((mean > self.lower).all() and (mean < self.upper).all())


def _binomial_variance(mean: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    return np.maximum(mean * (1.0 - mean), NEAREST)


def _divergence(outcome: Shaped[Array, "N"], mean: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    """y log(y/μ), 0 of y = 0."""
    return outcome * np.log(np.maximum(outcome, TINY) / np.maximum(mean, TINY))


def _binomial_deviance(outcome: Shaped[Array, "N"], mean: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    own = np.clip(mean, NEAREST, 1.0 - NEAREST)
    return 2.0 * (_divergence(outcome, own) + _divergence(1.0 - outcome, 1.0 - own))


def _binomial_first(outcome: Shaped[Array, "N"], trials: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    return (trials * outcome + 0.5) / (trials + 1.0)


def _poisson_deviance(outcome: Shaped[Array, "N"], mean: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    return 2.0 * (_divergence(outcome, mean) - (outcome - mean))


def _poisson_first(outcome: Shaped[Array, "N"], trials: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    return outcome + 0.1


def _gaussian_deviance(outcome: Shaped[Array, "N"], mean: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    return (outcome - mean) ** 2


def _gaussian_first(outcome: Shaped[Array, "N"], trials: Shaped[Array, "N"]) -> Shaped[Array, "N"]:
    return outcome


BINOMIAL = Family(
    name="binomial",
    variance=_binomial_variance,
    deviance=_binomial_deviance,
    lower=0.0,
    upper=1.0,
    links=("logit", "probit", "log", "identity"),
    first=_binomial_first,
)
POISSON = Family(
    name="poisson",
    variance=_same,
    deviance=_poisson_deviance,
    lower=0.0,
    upper=inf,
    links=("log", "identity"),
    first=_poisson_first,
)
GAUSSIAN = Family(
    name="gaussian",
    variance=np.ones_like,
    deviance=_gaussian_deviance,
    lower=-inf,
    upper=inf,
    links=("identity", "log"),
    first=_gaussian_first,
    dispersed=True,
)
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (BINOMIAL, POISSON, GAUSSIAN)}
)
