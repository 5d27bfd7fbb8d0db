"""Replicate weights: the columns that have them, and what they make of weights by level.

A survey is drawn again on paper, R times: replicate r gives each row the weight W^(r). With θ_r the
estimates by these and θ those by the weights of the sample,

    V = Σ_r c_r (θ_r - θ)(θ_r - θ)ᵀ

    Fay    c = 1 / (R (1 - k)²)      balanced half-samples whose halves weigh k and 2 - k
    BRR    c = 1 / R                 Fay's with k = 0
    JK1    c = (R - 1) / R           each without one cluster
    JK2    c = 1, ½ for both halves  of each zone one half is left out, the other doubled

(Wolter, 2007, chapters 3 and 4; Judkins, 1990, for Fay.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.data.table.columns import require_column, rows_named
from mlsem.data.table.grouping import factorised
from mlsem.data.table.numbered import numbered
from mlsem.data.table.weights import weight_column
from mlsem.errors import DataError, DataWarning, OptionValueError, listed, warn

if TYPE_CHECKING:
    import pandas as pd

SUMS = 0.05  # by how much Σ W^(r) may differ from Σ W
RANK = 1e-5  # of the largest singular value of the weights: what is less is none


@dataclass(frozen=True, slots=True, eq=False)
class ReplicateWeights:
    """The weights of a frame's rows in all replicates.

    Attributes
    ----------
    title : str
        The method, and the columns.
    columns : tuple of str
        Those that have weights; none where zones and halves are named.
    values : (N, R)
        W^(r).
    factors : (R,)
        c_r.
    """

    title: str
    columns: tuple[str, ...]
    values: Array
    factors: Array

    @property
    def df(self) -> float:
        """Degrees of freedom of the design: the rank of the weights less one."""
        squares = np.linalg.eigvalsh(self.values.T @ self.values)  # quick, however many rows
        return float((squares > RANK**2 * squares[-1]).sum() - 1)


@dataclass(frozen=True, slots=True)
class Replicates:
    """What all kinds of replicate weights have in common.

    Attributes
    ----------
    columns : str or tuple of str or None
        The names of the columns with ``{}`` in the place of the number, or one by one.
    total : str or None
        The column of the weights that they replicate.
    """

    columns: Any = None
    total: str | None = None

    def __post_init__(self) -> None:
        if self.columns is not None and not isinstance(self.columns, str):
            object.__setattr__(self, "columns", tuple(self.columns))
        if self.total is not None and not isinstance(self.total, str):
            raise OptionValueError(f"total={self.total!r}: it takes a column's name.")

    @property
    def given(self) -> dict[str, Any]:
        """As plain values, which `replicates=` takes as well."""
        pairs = ((each.name, getattr(self, each.name)) for each in fields(self))
        own = {name: value for name, value in pairs if value is not None and value is not False}
        return {"method": self.method, **own}

    @property
    def _columns_named(self) -> tuple[Any, ...]:
        """Columns, and the pattern of names with a number; what is no text names none."""
        return tuple(getattr(self, each.name) for each in fields(self))

    @property
    def method(self) -> str:
        """As the summary calls it."""
        return type(self).__name__

    def _read(self, data: pd.DataFrame, full: Array | None) -> ReplicateWeights:
        """Their weights in a frame, checked against those of the sample, (N,), if these are known.

        Raises
        ------
        DataError
            Columns are absent, or weights are missing, negative, infinite or do not add up.
        """
        names = numbered(f"{self.method}(…)", self.columns, tuple(data.columns), what="replicates")
        values = np.column_stack([weight_column(data, name) for name in names])
        if full is not None:
            _check_sums(values, full, names)
        title = f"{self._shown}, {len(names)}: {names[0]} … {names[-1]}"
        return ReplicateWeights(title, names, values, np.full(len(names), self._factor(len(names))))

    @property
    def _shown(self) -> str:
        return self.method

    def _factor(self, count: int) -> float:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Fay(Replicates):
    """Balanced repeated replication with Fay's factor, as in PISA: V = Σ(θ_r - θ)(θ_r - θ)ᵀ /
    (R (1 - k)²).

    Parameters
    ----------
    columns : str or sequence of str
        The names of the columns with ``{}`` in the place of the number, or one by one.
    total : str, optional
        The column of the weights that they replicate, where `weights` does not have it ("level2"
        alone).
    k : float, default 0.5
        0 is `BRR`.

    References
    ----------
    Judkins, D. R. (1990). Fay's method for variance estimation. Journal of Official Statistics, 6,
    223-239.

    Examples
    --------
    >>> import mlsem
    >>> how = mlsem.Fay("W_FSTURWT{}", k=0.5)
    >>> how.method, how.given
    ('Fay', {'method': 'Fay', 'columns': 'W_FSTURWT{}', 'k': 0.5})
    """

    k: float = 0.5

    def __post_init__(self) -> None:
        Replicates.__post_init__(self)
        number = isinstance(self.k, Real) and not isinstance(self.k, bool)
        if not number or not 0.0 <= float(self.k) < 1.0:
            raise OptionValueError(
                f"k={self.k!r}: Fay's factor lies from 0 to below 1; PISA has 0.5."
            )

    @property
    def _shown(self) -> str:
        return f"Fay (k = {self.k:g})"

    def _factor(self, count: int) -> float:
        return 1.0 / (count * (1.0 - self.k) ** 2)


@dataclass(frozen=True, slots=True)
class BRR(Replicates):
    """Balanced repeated replication: V = Σ(θ_r - θ)(θ_r - θ)ᵀ / R.

    Parameters
    ----------
    columns, total
        As of `Fay`.

    Examples
    --------
    >>> import mlsem
    >>> how = mlsem.BRR(["rw1", "rw2"])
    >>> how.method, how.given["columns"]
    ('BRR', ('rw1', 'rw2'))
    """

    def _factor(self, count: int) -> float:
        return 1.0 / count


@dataclass(frozen=True, slots=True)
class JK1(Replicates):
    """The jackknife without strata: V = (R - 1)/R Σ(θ_r - θ)(θ_r - θ)ᵀ.

    Parameters
    ----------
    columns, total
        As of `Fay`.

    Examples
    --------
    >>> import mlsem
    >>> how = mlsem.JK1("rw{}")
    >>> how.method, how.given["columns"]
    ('JK1', 'rw{}')
    """

    def _factor(self, count: int) -> float:
        return (count - 1.0) / count


@dataclass(frozen=True, slots=True)
class JK2(Replicates):
    """The jackknife of paired clusters, as in TIMSS, PIRLS and NAEP: V = Σ(θ_r - θ)(θ_r - θ)ᵀ,
    halved with both halves of each zone.

    Parameters
    ----------
    columns, total
        As of `Fay`; or in their place:
    zone, rep : str, optional
        The columns of the zones and of the halves in each, JKZONE and JKREP. The half with the
        larger value is doubled and the other left out; with `both` that is done the other way
        round, too.
    both : bool, default False
        Both halves of each zone (TIMSS and PIRLS since 2015).

    References
    ----------
    Foy, P. & LaRoche, S. (2016). Estimating standard errors in the TIMSS 2015 results. Methods and
    Procedures in TIMSS 2015, 4.1-4.69.

    Examples
    --------
    >>> import mlsem
    >>> how = mlsem.JK2(zone="JKZONE", rep="JKREP", both=True)
    >>> how.method, how.given["both"]
    ('JK2', True)
    """

    zone: str | None = None
    rep: str | None = None
    both: bool = False

    def __post_init__(self) -> None:
        Replicates.__post_init__(self)
        if (self.zone is None) != (self.rep is None) or (self.zone is None) == (
            self.columns is None
        ):
            raise OptionValueError(
                'JK2 takes the columns of zones and halves, zone="JKZONE", rep="JKREP", or those '
                'of replicate weights, "SRWT{}".'
            )
        if not isinstance(self.both, bool):
            raise OptionValueError(f"both={self.both!r}: it takes True or False.")

    def _read(self, data: pd.DataFrame, full: Array | None) -> ReplicateWeights:
        """Their weights in a frame."""
        if self.zone is None or self.rep is None:
            return super(JK2, self)._read(data, full)
        if full is None:
            raise OptionValueError(
                f"JK2(zone={self.zone!r}) changes the weights of rows in the population, and "
                'weights= has none: say which they are, JK2(…, total="…").'
            )
        codes, labels = _zones(data, self.zone)
        halves = require_column(data, self.rep, "rep= names").to_numpy()
        upper = _upper_halves(codes, halves, labels, self.rep)
        found: list[Array] = []
        for zone in range(len(labels)):
            for kept in (upper, ~upper) if self.both else (upper,):
                doubled = np.where(kept, 2.0 * full, 0.0)
                found.append(np.where(codes == zone, doubled, full))
        title = f"{self._shown}: {len(labels)} zones [{self.zone}]"
        return ReplicateWeights(
            title, (), np.column_stack(found), np.full(len(found), self._factor(len(found)))
        )

    @property
    def _shown(self) -> str:
        return "JK2, both halves" if self.both else "JK2"

    def _factor(self, count: int) -> float:
        return 0.5 if self.both else 1.0


def _zones(data: pd.DataFrame, name: str) -> tuple[Index, Any]:
    """The zone of each row, and the zones."""
    codes, labels = factorised(require_column(data, name, "zone= names"), f"the column {name!r}")
    if (codes < 0).any():
        raise DataError(
            f"the zones {name!r} are missing in {rows_named(data, codes < 0)}. Give these rows "
            "their zone, or leave them out."
        )
    return codes, labels


def _upper_halves(codes: Index, halves: Any, labels: Any, rep: str) -> Any:
    """Whether a row is in the half of its zone that has the larger value."""
    upper = np.zeros(len(codes), dtype=bool)
    wrong: list[Any] = []
    for zone, label in enumerate(labels):
        own = codes == zone
        values = sorted(set(halves[own].tolist()))
        if len(values) != 2:
            wrong.append(label)
            continue
        upper |= own & (halves == values[1])
    if wrong:
        zones = "zone has" if len(wrong) == 1 else "zones have"
        raise DataError(
            f"{len(wrong)} {zones} not two halves [{rep}]: {listed(map(repr, wrong[:8]))}. Each "
            "zone is a pair of clusters, or one cluster whose rows are halved; join zones that are "
            "incomplete."
        )
    return upper


def _check_sums(values: Array, full: Array, names: Sequence[str]) -> None:
    """Refuse replicates whose sums are on average not those of the weights of the sample, and
    name single ones that are far from it."""
    sums = values.sum(axis=0) / full.sum()
    if abs(sums.mean() - 1.0) > SUMS:
        raise DataError(
            f"the replicate weights {names[0]!r} … {names[-1]!r} add up to {sums.mean():.3g} times "
            "the weights of the sample, on average. Are they the replicates of other weights (of "
            "schools, of the senate), or are rows left out?"
        )
    far = np.flatnonzero(np.abs(sums - 1.0) > SUMS)
    if len(far):
        worst = int(far[np.abs(sums[far] - 1.0).argmax()])
        warn(
            f"{len(far)} of {len(names)} replicate weights add up to sums that differ by more than "
            f"{100 * SUMS:g} % from that of the weights of the sample, {names[worst]!r} most: "
            f"{sums[worst]:.3g} times.",
            DataWarning,
        )


def weights_in(replicates: Replicates, data: pd.DataFrame, full: Array | None) -> ReplicateWeights:
    """The weights of a frame's rows in all replicates, checked against those of the sample, (N,),
    if these are known."""
    return replicates._read(data, full)


METHODS: dict[str, type[Replicates]] = {each.__name__: each for each in (Fay, BRR, JK1, JK2)}


def read_method(given: object) -> Replicates:
    """What `replicates=` says: a method, or what its `given` is.

    Raises
    ------
    OptionValueError
    """
    if isinstance(given, Replicates) and type(given) is not Replicates:
        return given
    if isinstance(given, Mapping) and given.get("method") in METHODS:
        rest = {str(name): value for name, value in given.items() if name != "method"}
        try:
            return METHODS[given["method"]](**rest)
        except TypeError:
            pass  # a keyword that it does not have
    raise OptionValueError(
        f"replicates={given!r}: it takes a method with its columns, "
        'mlsem.Fay("W_FSTURWT{}", k=0.5), mlsem.BRR(…), mlsem.JK1(…) or mlsem.JK2(…).'
    )
