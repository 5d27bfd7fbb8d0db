"""How rows were drawn: the columns of sampling weights and strata, and what was done with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from mlsem.core.records import Array
from mlsem.errors import OptionValueError, listed, nearest

WeightScaling = Literal["cluster", "ecluster", "unscaled", "gk"]
KEYS = ("total", "level1", "level2")


@dataclass(frozen=True, slots=True)
class WeightColumns:
    """The columns that have weights.

    Attributes
    ----------
    total : str or None
        W_ij, of the row in the population.
    level1 : str or None
        c_ij, of the row in its cluster ("conditional").
    level2 : str or None
        w_j, of the cluster.
    """

    total: str | None = None
    level1: str | None = None
    level2: str | None = None

    @classmethod
    def of(cls, given: object) -> WeightColumns:
        """What `weights=` says: a column, or columns by level.

        Raises
        ------
        OptionValueError
        """
        if isinstance(given, WeightColumns):
            return given
        if isinstance(given, str):
            return cls(total=given)
        if not isinstance(given, Mapping) or not given:
            raise OptionValueError(
                f"weights={given!r}: it takes the names of columns by what their weights are of, "
                '{"total": "W_STU", "level2": "W_SCH"}; in a model of one level a name.'
            )
        for key, name in given.items():
            if key not in KEYS:
                raise OptionValueError(
                    f"weights= has the key {key!r}, and takes {listed(KEYS)}: total are "
                    "those of rows in the population, level1 those of rows within their cluster, "
                    f"level2 those of clusters.{nearest(str(key), KEYS)}"
                )
            if not isinstance(name, str):
                raise OptionValueError(f"weights[{key!r}] is {name!r}: it takes a column's name.")
        found = cls(**given)
        if found.total is not None and found.level1 is not None:
            raise OptionValueError(
                "weights= has rows' weights twice: total are those in the population, level1 those "
                "within the cluster (total / level2). Keep one of them."
            )
        return found

    @property
    def named(self) -> dict[str, str]:
        """The columns by their keys."""
        pairs = ((key, getattr(self, key)) for key in KEYS)
        return {key: name for key, name in pairs if name is not None}

    @property
    def scaled(self) -> bool:
        """Whether there are weights of rows within clusters, which have a scaling."""
        return self.level1 is not None or (self.total is not None and self.level2 is not None)

    @property
    def given(self) -> str | dict[str, str]:
        """As a user writes them."""
        return self.total if self.named.keys() == {"total"} else self.named  # type: ignore[return-value]

    @property
    def _columns_named(self) -> tuple[str, ...]:
        return tuple(self.named.values())


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the rows were drawn.

    Attributes
    ----------
    weights : WeightColumns or None
        None: rows and clusters count as one each.
    scaling : {"cluster", "ecluster", "unscaled", "gk"} or None
        Of the weights of rows; None: "cluster".
    strata : str or None
        The column of the strata that the robust clusters were drawn from.
    """

    weights: WeightColumns | None = None
    scaling: WeightScaling | None = None
    strata: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns that are named, with the words for where one is absent."""
        weights = {} if self.weights is None else self.weights.named
        found = dict.fromkeys(weights.values(), "weights= names")
        return found if self.strata is None else {self.strata: "strata= names", **found}


@dataclass(frozen=True, slots=True)
class Sums:
    """Of weights: how many, Σw, Σw²."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, weights: Array) -> Sums:
        return cls(len(weights), float(weights.sum()), float(weights @ weights))

    @classmethod
    def over(cls, parts: Iterable[Sums]) -> Sums:
        """Of several groups."""
        pairs = [(each.count, each.total, each.squares) for each in parts]
        return cls(*(sum(column) for column in zip(*pairs, strict=True)))

    @property
    def effective(self) -> float:
        """(Σw)² / Σw² (Kish, 1965)."""
        return self.total**2 / self.squares if self.squares else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """What was done with weights.

    Attributes
    ----------
    how : Sampling
    rows, clusters : Sums
        Of W_ij, and of w_j where the model has two levels and they have weights.
    n_zero : int
        Rows that were left out since their weight, or their cluster's, is zero.
    """

    how: Sampling
    rows: Sums
    clusters: Sums
    n_zero: int = 0


def weighted_together(parts: Sequence[Weighted | None]) -> Weighted | None:
    """Of several groups."""
    done = [each for each in parts if each is not None]
    if not done:
        return None
    rows, clusters = (
        Sums.over(getattr(each, name) for each in done) for name in ("rows", "clusters")
    )
    return Weighted(done[0].how, rows, clusters)


Read = TypeVar("Read", bound="HasRows")


class HasRows(Protocol):
    """A record of rows, of one group or of several."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def n_rows_total(self) -> int: ...
    @property
    def n_rows_dropped(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def weighted(self) -> Weighted | None: ...


def with_zeros(record: Read, count: int) -> Read:
    """The record with the rows that were left out since they weigh nothing."""
    if not count or record.weighted is None:
        return record
    rows = "1 row weighs" if count == 1 else f"{count} rows weigh"
    note = f"{rows} nothing (a weight of zero) and {'is' if count == 1 else 'are'} left out."
    return replace(
        record,
        n_rows_total=record.n_rows_total + count,
        n_rows_dropped=record.n_rows_dropped + count,
        notes=(note, *record.notes),
        weighted=replace(record.weighted, n_zero=count),
    )
