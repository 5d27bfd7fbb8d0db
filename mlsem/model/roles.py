"""What each variable of a level is: latent, indicator, outcome, covariate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.errors import Span
    from mlsem.model.products import Products
    from mlsem.syntax.nodes import Block, Modifiers

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """One parameter that the user wrote."""

    lhs: str
    op: str
    rhs: str
    modifiers: Modifiers
    span: Span
    phantom: bool = False


@dataclass(frozen=True, slots=True)
class Roles:
    """The variables of one level by what they do there, each tuple in lavaan's order.

    Attributes
    ----------
    written : tuple of Written
        The user's rows; covariances turned as lavaan turns them.
    latent : dict
        Latent variable to its indicators (observed or latent); none for a phantom one.
    indicators, outcomes : tuple of str
        Observed indicators; observed variables on the left of `~` that are not indicators.
    covariates : tuple of str
        Exogenous: observed variables that are on the right of `~` only.
    named : tuple of str
        Those covariates that the user also names in `~~` or `~1`.
    loose : tuple of str
        `named`, and observed variables that are in `~~` or `~1` only.
    measured, predicted, predicting : frozenset of str
        On the right of `=~` (phantoms too), on the left of `~`, on the right of `~`.
    where : dict
        The first mention of each variable.
    slopes : tuple of str
        Random slopes: latent variables whose indicators are products of the data, not columns.
    """

    written: tuple[Written, ...]
    latent: dict[str, tuple[str, ...]]
    indicators: tuple[str, ...]
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    named: tuple[str, ...]
    loose: tuple[str, ...]
    measured: frozenset[str]
    predicted: frozenset[str]
    predicting: frozenset[str]
    where: dict[str, Span]
    slopes: tuple[str, ...] = ()

    @property
    def plain_covariates(self) -> tuple[str, ...]:
        """Covariates that are not `named`."""
        if not self.named:
            return self.covariates
        return tuple(name for name in self.covariates if name not in self.named)

    @property
    def observed(self) -> tuple[str, ...]:
        return self.indicators + self.outcomes + self.plain_covariates + self.loose

    @property
    def exogenous_latent(self) -> tuple[str, ...]:
        return tuple(
            name for name in self.latent if name not in self.predicted and name not in self.measured
        )

    @property
    def final_outcomes(self) -> tuple[str, ...]:
        """Latent, then observed outcomes that predict nothing and measure nothing."""
        latent = (f for f in self.latent if f in self.predicted and f not in self.measured)
        return tuple(v for v in (*latent, *self.outcomes) if v not in self.predicting)


def read_roles(block: Block, level: int, products: Products, slopes: tuple[str, ...] = ()) -> Roles:
    """The roles of the variables of one block; `slopes` are random slopes, variables of it."""
    where: dict[str, Span] = {}
    rows = _read(block, level, products, where)
    latent: dict[str, list[str]] = {}
    measured, predicted, predicting = set(), {}, {}
    for row in rows:
        if row.op == "=~":
            indicators = latent.setdefault(row.lhs, [])
            measured.add(row.rhs)
            if not row.phantom:
                indicators.append(row.rhs)
        elif row.op == "~":
            predicted[row.lhs] = predicting[row.rhs] = None
    for name in slopes:  # as lavaan's table has them: after the others, without default covariances
        latent.setdefault(name, [])
        measured.add(name)
    observed_indicators = dict.fromkeys(
        name for names in latent.values() for name in names if name not in latent
    )
    outcomes = tuple(name for name in predicted if name not in latent and name not in measured)
    covariates = tuple(
        name
        for name in predicting
        if name not in latent and name not in measured and name not in predicted
    )
    placed = (*latent, *observed_indicators, *outcomes)
    written, loose = _turn(rows, placed, covariates)
    return Roles(
        written=written,
        latent={name: tuple(names) for name, names in latent.items()},
        indicators=tuple(observed_indicators),
        outcomes=outcomes,
        covariates=covariates,
        named=tuple(name for name in covariates if name in loose),
        loose=loose,
        measured=frozenset(measured),
        predicted=frozenset(predicted),
        predicting=frozenset(predicting),
        where=where,
        slopes=slopes,
    )


def _read(
    block: Block, level: int, products: Products, where: dict[str, Span]
) -> Iterable[Written]:
    """The formulas as rows, each parameter once."""
    rows: dict[Key, Written] = {}
    for formula in block.formulas:
        lhs = formula.lhs.name
        where.setdefault(lhs, formula.lhs.span)
        if formula.phantom:
            rhs = lhs
        elif formula.rhs is None:
            rhs = ""
        else:
            products.refuse_indicator(formula)
            rhs = products.name(formula.rhs, level)
            where.setdefault(rhs, formula.rhs.span)
        row = Written(lhs, formula.op, rhs, formula.modifiers, formula.span, formula.phantom)
        if rows.setdefault(_key(row), row) is not row:
            raise SpecificationError(
                f"'{lhs} {formula.op} {rhs}' is written twice. Keep one.",
                products.text,
                formula.span,
            )
    return rows.values()


def _key(row: Written) -> Key:
    if row.op == "~~" and row.rhs < row.lhs:
        return row.rhs, "~~", row.lhs
    return row.lhs, row.op, row.rhs


def _turn(
    rows: Iterable[Written], placed: tuple[str, ...], covariates: tuple[str, ...]
) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Covariances with the earlier variable on the left, and the names only in `~~` or `~1`."""
    rows = tuple(rows)
    known = set(placed)
    sides = [row.lhs for row in rows if row.op == "~~"] + [
        row.rhs for row in rows if row.op == "~~"
    ]
    if sides:
        order = dict.fromkeys((*placed, *covariates, *sides))
        rank = {name: i for i, name in enumerate(order)}
        rows = tuple(
            Written(row.rhs, "~~", row.lhs, row.modifiers, row.span)
            if row.op == "~~" and rank[row.rhs] < rank[row.lhs]
            else row
            for row in rows
        )
        pairs = [row for row in rows if row.op == "~~"]
        sides = [row.lhs for row in pairs] + [row.rhs for row in pairs]
    sides += [row.lhs for row in rows if row.op == "~1"]
    named = [name for name in covariates if name in sides]
    return rows, tuple(dict.fromkeys(name for name in (*named, *sides) if name not in known))
