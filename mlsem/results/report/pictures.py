"""The figures of a report, all in one place: drawn by the fit, described here in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlsem.report.page.picture import picture
from mlsem.report.page.records import Part

if TYPE_CHECKING:
    from mlsem.inference.comparison.result import SeComparison
    from mlsem.inference.diagnosis.result import ClusterDiagnostics
    from mlsem.results.report.context import Context

PANELS = 12  # that a figure has
NUMBERS = "A table of this section has the numbers."


def diagram(context: Context) -> Iterator[Part]:
    yield from ()


def coefficients(context: Context) -> Iterator[Part]:
    yield picture(
        context.fit.plot_coefficients(labels=context.labels.words),
        f"A dot for each coefficient, with its interval, and a line at zero. {NUMBERS}",
        "Coefficients with their 95 % intervals.",
    )


def caterpillar(context: Context) -> Iterator[Part]:
    yield from ()


def row_pictures(context: Context) -> Iterator[Part]:
    yield from ()


def leverage(context: Context, found: ClusterDiagnostics) -> Iterator[Part]:
    own = [str(name) for name in found.coefficients.index]  # regression coefficients first
    more = len(own) > PANELS
    yield picture(
        found.plot(own[:PANELS] if more else None),
        "Dots for the clusters, by the share of the information on each coefficient that they have,"
        f" the largest first. {NUMBERS}",
        "Each cluster's share of the information on a coefficient. Dashed: if all had the same."
        + (f" The first {PANELS} parameters." if more else ""),
    )


def se_comparison(context: Context, found: SeComparison) -> Iterator[Part]:
    yield picture(
        found.plot(),
        "Standard errors of each coefficient as ratios to the model's, with the band in which they "
        f"lie if the model is right. {NUMBERS}",
        "Standard errors as ratios to the model's; grey: where they lie if the model is right.",
    )
