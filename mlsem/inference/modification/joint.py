"""A score test of several parameters to be added, and of equalities to be released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtrc

from mlsem.base.display import cell, display_width, pad_right
from mlsem.core.linalg import scaled_eigen
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.estimation.efficient import EfficientScores, efficient_scores, extended
from mlsem.estimation.estimates import Estimates
from mlsem.inference.covariance.score import complement, score_test
from mlsem.inference.modification.run import require_scores
from mlsem.model.asked import Equality, read_added, read_released, separate
from mlsem.model.candidates import extend, parameter_name
from mlsem.model.expressions import compiled_pairs, equality_space
from mlsem.model.table import ParameterTable, Row
from mlsem.report.cells import p_words
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table

if TYPE_CHECKING:
    import pandas as pd

SINGULAR = 1e-10  # smallest eigenvalue of a scaled information of parameters that are determined


@dataclass(frozen=True, eq=False, repr=False)
class ParametersTest(Exported):
    """A score test of parameters that a model does not have; prints as text.

    Attributes
    ----------
    statistic : float
        T, or T / c₀ of the robust test.
    df : int
    pvalue : float
    robust : bool
    raw, scaling : float
        T and c₀.
    tested : tuple of str
        Parameters that are added, equalities that are released.
    notes : tuple of str
        Where equalities cannot all be released at once.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("demo_twolevel")
    >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4", data)
    >>> found = fit.score_test("y1 ~~ y2; y1 ~~ y3")
    >>> round(found.statistic, 1), found.df
    (2.7, 2)
    >>> found.univariate.round(2)
       tested    mi  pvalue
    0  y1~~y2  2.60    0.11
    1  y1~~y3  0.63    0.43
    >>> found.epc[["est", "epc", "epv"]].tail(2).round(3)
       est    epc    epv
    8  0.0  0.331  0.331
    9  0.0 -0.060 -0.060
    """

    statistic: float
    df: int
    pvalue: float
    robust: bool
    raw: float
    scaling: float
    tested: tuple[str, ...]
    _alone: tuple[Shaped[Array, "m"], Shaped[Array, "m"]]
    _names: tuple[str, ...]
    _values: Shaped[Array, "npar"]
    _changes: Shaped[Array, "npar"]
    notes: tuple[str, ...] = ()

    @property
    def univariate(self) -> pd.DataFrame:
        """Each of them alone: `mi`, of a robust test `mi_robust`, and `pvalue` of the last of
        these, on one degree of freedom."""
        usual, robust = self._alone
        columns = {"tested": list(self.tested), "mi": usual}
        if self.robust:
            columns["mi_robust"] = robust
        columns["pvalue"] = chdtrc(1, robust if self.robust else usual)
        return make_frame(columns)

    @property
    def epc(self) -> pd.DataFrame:
        """Expected changes of all parameters if the tested ones were free: `est` as they are,
        `epc`, and `epv`, their sum."""
        columns = {
            "parameter": list(self._names),
            "est": self._values,
            "epc": self._changes,
            "epv": self._values + self._changes,
        }
        return make_frame(columns)

    @property
    def _result(self) -> str:
        scaled = f", scaled by {self.scaling:.3f}" if self.robust else ""
        return f"chi2({self.df}) = {self.statistic:.3f}, {p_words(self.pvalue)}{scaled}"

    def __str__(self) -> str:
        names = [cell(name) for name in self.tested]
        width = max(map(display_width, names))
        alone = self._alone[1 if self.robust else 0]
        lines = [
            f"  {pad_right(name, width)}  alone: {value:.3f}, {p_words(chdtrc(1, value))}"
            for name, value in zip(names, alone, strict=True)
        ]
        kind = "Robust score test" if self.robust else "Score test"
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join((f"{kind} of", *lines, self._result, *notes))

    def _grid(self) -> Grid:
        alone = self._alone[1 if self.robust else 0]
        own = {"Parameter": self.tested, "chi2 alone": alone, "p": chdtrc(1, alone)}
        test = {"chi2": [self.statistic], "df": [self.df], "p": [self.pvalue]}
        if self.robust:
            test["Scaled by"] = [self.scaling]
        tables = (columns_table(own), columns_table(test))
        return Grid("Robust score test" if self.robust else "Score test", tables, self.notes)

    def __repr__(self) -> str:
        return f"<ParametersTest: {self._result}>"


@dataclass(frozen=True, slots=True)
class _Larger:
    """The larger model at the estimates of the smaller one, and the directions to be tested.

    Attributes
    ----------
    at : Estimates
    own : (npar, n)
        Directions of the smaller model.
    together, alone : (npar, q), (npar, m)
        Of all that is tested, and of each.
    """

    at: Estimates
    own: Shaped[Array, "npar n"]
    together: Shaped[Array, "npar q"]
    alone: Shaped[Array, "npar m"]

    def scores(self) -> tuple[EfficientScores, EfficientScores]:
        """Together, and each alone."""
        q = self.together.shape[1]
        added = np.concatenate((self.together, self.alone), axis=1)
        found = efficient_scores(self.at, self.own, added)
        return found.chosen(np.arange(q)), found.chosen(np.arange(q, added.shape[1]))


@quiet
def joint_score_test(
    estimates: Estimates, add: object, release: object, *, robust: object
) -> ParametersTest:
    """What `FitResult.score_test` returns, which says what the arguments are."""
    require_scores(estimates)
    if not isinstance(robust, bool | np.bool_):
        raise OptionValueError(f"robust={robust!r}: it takes True, False or None.")
    if add is None and release is None:
        raise OptionValueError(
            "score_test takes parameters to be added, such as 'f =~ y5; y1 ~~ y2', or constraints "
            "to be released: release=1."
        )
    table = estimates.table
    rows = () if add is None else read_added(add, table)
    released = () if release is None else read_released(release, table)
    tested = (*(each.text for each in released), *(parameter_name(table, row) for row in rows))
    larger = _larger(estimates, rows, released, tested)
    together, alone = larger.scores()
    test, notes = None, ()
    if together.determined.all() and alone.determined.all():
        found = _determined(together)
        if released and not rows and 0 < found.scores.shape[1] < len(tested):
            together, notes = found, (_note(len(tested), found.scores.shape[1]),)
        whole = together.scores.shape[1] == found.scores.shape[1]
        test = score_test(together.scores, together.information) if whole else None
    if test is None:
        lost = [name for name, ok in zip(tested, alone.determined, strict=True) if not ok]
        raise InferenceError(
            f"the data do not determine {listed(lost or tested)}"
            + (" together" if not lost else "")
            + ": with the model's own parameters free, nothing else would be implied (a loading "
            "that sets a factor's scale, or one of several parameters that say the same)."
        )
    changes = together.directions @ np.linalg.solve(together.information, together.total)
    usual = alone.total**2 / np.diagonal(alone.information)
    each = alone.total**2 / (alone.scores**2).sum(axis=0)
    statistic = test.statistic if robust else test.raw
    return ParametersTest(
        statistic=statistic,
        df=test.df,
        pvalue=float(chdtrc(test.df, statistic)),
        robust=bool(robust),
        raw=test.raw,
        scaling=test.scaling,
        tested=tested,
        _alone=(frozen(usual), frozen(each)),
        _names=larger.at.names,
        _values=frozen(larger.at.params.copy()),
        _changes=frozen(changes),
        notes=notes,
    )


def _determined(found: EfficientScores) -> EfficientScores:
    """Along as many directions as the data determine together; itself where that is all."""
    values, vectors, scale = scaled_eigen(found.information)
    kept = np.flatnonzero(values > SINGULAR)
    return found if len(kept) == len(values) else found.turned(scale[:, None] * vectors[:, kept])


def _note(tested: int, determined: int) -> str:
    return (
        f"{tested} equalities are released, which say {determined} things: without all of them at "
        "once the model is not identified (means of latent variables are free as long as some "
        f"intercepts are equal, variances as long as loadings are). The test has {determined} "
        "degrees of freedom; of the expected changes that fit equally well the smallest are shown."
    )


def _larger(
    estimates: Estimates,
    rows: tuple[Row, ...],
    released: tuple[Equality, ...],
    tested: tuple[str, ...],
) -> _Larger:
    table = estimates.table
    shared = [each for each in released if each.rows]
    larger = extend(separate(table, shared), rows)
    count, own = len(larger.names), len(table.names)
    origins = np.array([*range(own), *(each.rows[0].free for each in shared)], dtype=np.intp)

    def carried(basis: Shaped[Array, "i n"]) -> Shaped[Array, "npar n"]:
        return np.pad(basis[origins], ((0, count - len(origins)), (0, 0)))

    values = [estimates.params[origins], [row.fixed for row in rows]]
    params = np.concatenate(values).astype(np.float64)
    at = extended(estimates, larger, params)
    texts = [each.text for each in released if each.constraint is not None]
    opened = [_opened(estimates, table, [text]) for text in texts]
    for text, directions in zip(texts, opened, strict=True):
        if directions.shape[1] != 1:
            raise InferenceError(
                f"{text!r} follows from other constraints, or holds several parameters: released "
                "alone it changes nothing that can be tested."
            )
    units = np.eye(count)
    new = [units[:, [k]] for k in range(own, count)]
    # in the order of the released constraints, then what is added
    explicit, implicit = iter([carried(each) for each in opened]), iter(new)
    alone = [next(explicit if each.constraint else implicit) for each in released] + list(implicit)
    together = [carried(_opened(estimates, table, texts)), *new] if texts else new
    assert len(alone) == len(tested)
    return _Larger(
        at,
        carried(estimates.directions().basis),
        np.concatenate(together, axis=1),
        np.concatenate(alone, axis=1),
    )


def _opened(
    estimates: Estimates, table: ParameterTable, texts: list[str]
) -> Shaped[Array, "npar n"]:
    """Directions (npar, n) that are free without the constraints of these texts, and not with
    them."""
    pairs = [pair for pair in compiled_pairs(table) if pair[0].source not in texts]
    return complement(equality_space(pairs, estimates.params), estimates.equal)
