"""The simulation of the article again, draw by draw: ours beside what it published.

Huang & Zhang (2025) analyse data whose slope of x1 varies between clusters by models that leave it
out, and compare standard errors. Their R draws all data sets from one stream; so do we.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlsem.core.records import Array
from mlsem.parallel.pool import Backend
from mlsem.report import sheet
from mlsem.report.cells import format_number
from mlsem.simulation.article.data import article_data
from mlsem.simulation.article.published import (
    COEFFICIENTS,
    ESTIMATES,
    RELATIVE_BIAS,
    RI_ML,
    RI_MLR,
    RI_REML,
    RS_REML,
    STANDARD_ERRORS,
    Values,
)
from mlsem.simulation.study.result import MethodResults, Study
from mlsem.simulation.study.run import study
from mlsem.simulation.study.sources import InOrder

SEED = 20260106
REPLICATIONS = 1000
RI_CR2 = "RI, CR2"
MODEL = "level: 1\n  y ~ x1 + w1:x1\nlevel: 2\n  y ~ w1\n"
NAMES = {"y~1.l2": "(Intercept)", "y~w1.l2": "w1", "y~x1": "x1", "y~w1:x1": "w1:x1"}
TRUTH = {"(Intercept)": 0.0, "w1": 0.25, "x1": 0.5, "w1:x1": 0.25}
SLOPE_MODEL = 'level: 1\n  y ~ rv("s")*x1 + w1:x1\nlevel: 2\n  y ~ w1\n  y ~~ s\n'
SLOPE_NAMES = {"y~1.l2": "(Intercept)", "y~w1.l2": "w1", "s~1.l2": "x1", "y~w1:x1": "w1:x1"}


@dataclass(frozen=True, eq=False, repr=False)
class ArticleStudy(sheet.Shown):
    """The article's simulation, ours beside the published numbers; prints as text.

    Attributes
    ----------
    study : Study
    """

    study: Study

    def differences(self, measure: str) -> dict[str, Array]:
        """Ours less what was published, by method, in the order of `COEFFICIENTS`.

        Parameters
        ----------
        measure : {"mean", "mean_se", "se_bias"}
        """
        published = PUBLISHED[measure]
        return {
            each.name: _values(self.study, each, measure) - np.array(published[each.name])
            for each in self.study.methods
            if each.name in published
        }

    def _sheet(self) -> sheet.Sheet:
        facts = (
            ("Replications", str(self.study.replications)),
            ("Clusters, rows of each", "50, 10"),
            ("Seed of R's stream", str(SEED)),
        )
        failed = sum(sum(each.reasons.values()) for each in self.study.methods)
        facts += (("Fits that failed", str(failed)),) if failed else ()
        tables = tuple(
            _table(self.study, title, measure, PUBLISHED[measure])
            for measure, title in TITLES.items()
        )
        return sheet.Sheet("The article's simulation", facts, tables, "Notes", self._notes)

    @property
    def _notes(self) -> tuple[str, ...]:
        notes = [
            "published: Huang & Zhang (2025), by lme4 and lavaan in R.",
            "MLR: lavaan's robust standard errors change when a level-1 covariate is shifted, and "
            "the article's covariates are not centred. Ours have the exact scores, so the small "
            "differences there are meant.",
        ]
        if self.study.replications != REPLICATIONS:
            notes.insert(
                0,
                f"these are the first {self.study.replications} replications, the published "
                f"numbers those of {REPLICATIONS}: they differ by chance.",
            )
        return tuple(notes)


def article_study(
    replications: int = REPLICATIONS,
    *,
    n_jobs: int = 1,
    backend: Backend | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
) -> ArticleStudy:
    """Run the article's simulation: random-intercept models by ML and REML, with MLR and CR2
    standard errors, and the model with the random slope that the data have.

    Parameters
    ----------
    replications : int
        The first of the article's 1,000, or more.
    n_jobs, backend, progress, file
        As of `study`.
    """
    results = study(
        InOrder(article_data, SEED, TRUTH),
        _methods(),
        replications,
        seed=SEED,
        parameters=COEFFICIENTS,
        n_jobs=n_jobs,
        backend=backend,
        progress=progress,
        file=file,
    )
    return ArticleStudy(results)


def _methods() -> dict[str, Any]:
    """The article's four, and the random-intercept model with CR2."""
    ours: dict[str, Any] = {"model": MODEL, "cluster": "id", "names": NAMES}
    slope = ours | {"model": SLOPE_MODEL, "names": SLOPE_NAMES}
    return {
        RI_REML: ours | {"estimator": "REML"},
        RS_REML: slope | {"estimator": "REML"},
        RI_ML: ours,
        RI_MLR: ours | {"estimator": "MLR"},
        RI_CR2: ours | {"se": "CR2"},
    }


# --- ours beside the published --------------------------------------------------------------------

PUBLISHED: Mapping[str, Mapping[str, Values]] = {
    "mean": ESTIMATES,
    "mean_se": STANDARD_ERRORS,
    "se_bias": RELATIVE_BIAS,
}
TITLES = {
    "mean": "Estimates, mean",
    "mean_se": "Standard errors, mean",
    "se_bias": "Relative bias of standard errors (mean SE / SD - 1)",
}


def _values(results: Study, method: MethodResults, measure: str) -> Array:
    """A measure of a method, in the order of `COEFFICIENTS`."""
    places = [method.parameters.index(name) for name in COEFFICIENTS]
    return results.measures(method)[measure][places]


def _table(
    results: Study, title: str, measure: str, published: Mapping[str, Values]
) -> sheet.SheetTable:
    rows: list[tuple[str, tuple[str, ...]]] = []
    for method in results.methods:
        if measure == "mean" and method.name not in published:
            continue  # the estimates of another row
        values = _values(results, method, measure).tolist()
        theirs = published.get(method.name)
        for k, (name, value) in enumerate(zip(COEFFICIENTS, values, strict=True)):
            cells = (format_number(value, 6), "", "")
            if theirs is not None:
                cells = (cells[0], format_number(theirs[k], 6), f"{value - theirs[k]:.1e}")
            rows.append((f"{method.name}: {name}", cells))
    return sheet.SheetTable(title, ("ours", "published", "difference"), tuple(rows))
