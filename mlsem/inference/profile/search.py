"""Profile-likelihood intervals with few clusters: their reference distribution and their limits.

At θ_k = c let ℓ_p(c) be the log-likelihood maximised over the rest, at θ_c, and M the expected
information on the parameters of the means. With the model-based variance V_m = [H⁻¹]_kk, H the
observed information, and the cluster-robust one V_r of CR2, q = V_r / V_m:

    ℓ_R(c) = ℓ_p(c) - ½ log|M(θ_c)|                   REML's likelihood (Cox & Reid, 1987)
    R(c)   = 2 [max ℓ_R - ℓ_R(c)] / q                 interval {c : R(c) ≤ crit²}

√R refers to |Z| / √q with a standard normal Z, not to a t statistic: it divides by the noisy q
and follows the scores otherwise. log q varies as V_r does less what the scores explain of it,

    r = 2 (tr P² + ½ Σ ρ_j² κ₄(a_j)) / (tr P)² - |t|²,      t = Σ ρ_j κ₃(a_j, a_j, ·) / tr P
    ρ_j = (d_j - 2 h_j + Σ_k F_kᵀX_jF_k) / d_j

with P, d, F and h of `robust_contrasts`; ρ_j a_j a_jᵀ is what P keeps of cluster j's own score.
The critical value solves E Φ(-crit √q) = α/2 for log q ~ N(-r/2, r).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Generic, TypeVar

import numpy as np
from scipy.special import ndtr

from mlsem.core.records import Array, frozen
from mlsem.estimation.standard_errors import BIAS_REDUCED
from mlsem.inference.covariance.adjust import adjusted
from mlsem.inference.covariance.cluster_robust import taken_out
from mlsem.inference.covariance.equations import WhiteClusters, WhiteKinds

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
LEAST = 0.02  # r is at least this over the number of clusters: the approximation may go below 0

CLOSE = 1e-3  # a limit has been met if √R is this close to crit, relative
NARROW = 1e-4  # and a bracket is a point at this part of the interval's half-width
FAR = 1e3  # half-widths beyond which a limit is infinite
NEARLY = 0.9  # part of crit that √R must have reached where θ_c ends, to be a limit
EVALUATIONS = 60
AGAIN = 0.25  # weight of an end of a bracket at which it is looked at once more

Point = TypeVar("Point")


def critical_value(relative_variance: float, level: float) -> float:
    """crit of E Φ(-crit √q) = ½ (1 - level), log q ~ N(-r/2, r), by Gauss-Hermite quadrature."""
    from scipy.optimize import brentq

    root = np.exp(0.5 * (np.sqrt(relative_variance) * NODES - 0.5 * relative_variance))
    weights = WEIGHTS / WEIGHTS.sum()

    def excess(crit: float) -> float:
        return float(weights @ ndtr(-crit * root)) - 0.5 * (1.0 - level)

    upper = 4.0
    while excess(upper) > 0.0:
        upper *= 2.0
    return float(brentq(excess, 0.0, upper))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """What some kinds of clusters add to P, per contrast.

    Attributes
    ----------
    leverage : (k, n, n)
        X.
    directions : (k, c, n)
        a.
    pulled : (k, c, n)
        F.
    d, h : (k, c)
        cᵀ spread c and |F|².
    """

    leverage: Shaped[Array, "k n n"]
    directions: Shaped[Array, "k c n"]
    pulled: Shaped[Array, "k c n"]
    d: Shaped[Array, "k c"]
    h: Shaped[Array, "k c"]


def _shares(kinds: WhiteKinds, contrasts: Shaped[Array, "c n"]) -> _Shares:
    found = adjusted(kinds, BIAS_REDUCED)
    pulled = contrasts @ found.pull
    return _Shares(
        found.leverage,
        contrasts @ found.adjustment,
        pulled,
        np.einsum("kcn,cn->kc", contrasts @ found.spread, contrasts),
        np.einsum("kcn,kcn->kc", pulled, pulled),
    )


def relative_variances(
    clusters: WhiteClusters, contrasts: Shaped[Array, "c n"]
) -> Shaped[Array, "c"]:
    """r of contrasts cᵀθ, the variance of log q.

    Parameters
    ----------
    contrasts : (c, n)
        What they take of the scores: `WhiteClusters.contrasts`.

    Returns
    -------
    (c,)
        NaN where the contrast has no variance.
    """
    count = len(contrasts)
    trace, squares, fourth = np.zeros((3, count))
    third = np.zeros(contrasts.shape)
    corner = np.zeros((count, clusters.n_shared, clusters.n_shared))
    sums: list[Array] = []
    for term in clusters.terms:
        own, size = contrasts[:, term.places], len(term.places)
        across = np.zeros((count, size, size))
        for kinds in term.parts(count):
            each, weights = _shares(kinds, own), kinds.counts
            trace += weights @ (each.d - each.h)
            squares += weights @ (each.d * (each.d - 2.0 * each.h))
            weighted = np.sqrt(weights)[:, None, None] * each.pulled
            across += weighted.transpose(1, 2, 0) @ weighted.transpose(1, 0, 2)
        corner += taken_out(across, term.own)
        squares += np.einsum("cab,cab->c", across, across)
        sums.append(across)
    squares += np.einsum("cab,cab->c", corner, corner)
    for term, across in zip(clusters.terms, sums, strict=True):  # ρ needs all of Σ F Fᵀ
        own = contrasts[:, term.places]
        across[:, term.own :, term.own :] = corner
        for kinds in term.parts(count):
            each, weights = _shares(kinds, own), kinds.counts
            others = each.leverage.reshape(len(weights), -1) @ across.reshape(count, -1).T
            rho = 1.0 + (others - 2.0 * each.h) / np.where(each.d > 0.0, each.d, 1.0)
            fourth += weights @ (rho**2 * kinds.cumulants(each.directions))
            cumulants = kinds.third_cumulants(each.directions)
            third[:, term.places] += np.einsum("kc,kcn->cn", weights[:, None] * rho, cumulants)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.einsum("cn,cn->c", third, third) / trace**2
        found = 2.0 * (squares + 0.5 * fourth) / trace**2 - explained
    return frozen(np.maximum(found, LEAST / clusters.working.n_clusters))


# --- limits ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Place(Generic[Point]):
    """√R at θ_k = `value`, infinite where θ_c does not exist; `point` is θ_c, or the nearest."""

    value: float
    root: float
    point: Point


Profile = Callable[[float, Point], tuple[float, Point] | None]
"""√R and θ_c at a value, from a point near by; None where θ_c does not exist."""


@dataclass(frozen=True, slots=True, eq=False)
class Search(Generic[Point]):
    """The search for the limits of one parameter.

    Attributes
    ----------
    profile : callable
    centre : Place
        Where ℓ_R is highest, to first order.
    crit : float
    width : float
        Half of the interval's length, to first order.
    floor : float
        The lower end of the parameter space; where R ≤ crit² there, it is the lower limit.
    """

    profile: Profile[Point]
    centre: Place[Point]
    crit: float
    width: float
    floor: float

    def upper(self) -> float:
        """Not below the floor: an estimate so far below it that R(floor) > crit² leaves only
        the floor."""
        return max(self._limit(self.width), self.floor)

    def lower(self) -> float:
        if self.centre.value <= self.floor:
            return self.floor
        return max(self._limit(-self.width), self.floor)

    def _limit(self, step: float) -> float:
        """R = crit² by secants from the centre outwards; the parameter space's end where there is
        none, NaN if the search does not settle."""
        inside, outside, weight = self.centre, None, 1.0
        end, was_outside = float(np.sign(step) * np.inf), None
        for _ in range(EVALUATIONS):
            # an end that stays and stays may be another maximum, of a step too far: ask once more
            again = outside if weight <= AGAIN else None
            value = again.value if again else self._next(inside, outside, step, weight)
            found = self._at(value, inside)
            if abs(found.root - self.crit) < CLOSE * self.crit:
                return value
            is_outside = found.root > self.crit
            if not is_outside and value <= self.floor and step < 0.0:
                return self.floor
            if is_outside:
                outside = found
            else:
                step, inside = self._further(inside, found), found
                outside = None if again else outside
            # the Illinois rule: an end that stays counts half, so that both ends move
            factor = 2.0 if is_outside else 0.5
            weight = weight * factor if was_outside == is_outside else 1.0
            was_outside = is_outside
            if outside is None and abs(inside.value - self.centre.value) > FAR * self.width:
                return end
            if outside is not None and abs(outside.value - inside.value) < NARROW * self.width:
                # R jumps where θ_c runs off to infinity, as loadings do at a factor variance of 0
                return inside.value if inside.root > NEARLY * self.crit else end
        return np.nan

    def _further(self, last: Place[Point], found: Place[Point]) -> float:
        """The next step outwards: to where √R would be crit if it went on as it came."""
        moved = found.value - last.value
        rate = max(found.root - last.root, 1e-12) / abs(moved)
        longest = 4.0 * abs(found.value - self.centre.value)
        return float(np.sign(moved)) * min(1.2 * (self.crit - found.root) / rate, longest)

    def _next(
        self, inside: Place[Point], outside: Place[Point] | None, step: float, weight: float
    ) -> float:
        """Where to look: a step on, never beyond the floor; or inside the bracket."""
        if outside is None:
            ahead = inside.value + step
            return max(ahead, self.floor) if step < 0.0 else ahead
        length = outside.value - inside.value
        if np.isfinite(outside.root):
            under, over = self.crit - inside.root, weight * (outside.root - self.crit)
            return inside.value + length * min(max(under / (under + over), 0.05), 0.95)
        return inside.value + length * min(max(step / length, 0.05), 0.5)

    def _at(self, value: float, near: Place[Point]) -> Place[Point]:
        found = self.profile(value, near.point)
        return Place(value, np.inf, near.point) if found is None else Place(value, *found)
