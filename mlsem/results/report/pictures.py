"""The figures of a report, all in one place: drawn by the fit, described here in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlsem.base.display import shortened
from mlsem.report.page.picture import picture
from mlsem.report.page.records import Column, Figure, Part, Table
from mlsem.results.mixed.parts import recipe_of
from mlsem.results.report.context import columns_of

if TYPE_CHECKING:
    from mlsem.data.design.remade import Recipe
    from mlsem.inference.comparison.result import SeComparison
    from mlsem.inference.diagnosis.result import ClusterDiagnostics
    from mlsem.results.report.context import Context

PANELS = 12  # that a figure has
PRODUCTS = 4  # that are drawn
WIDEST = 900  # CSS pixels
DESCRIPTION = 2000  # characters
NUMBERS = "A table of this section has the numbers."


def diagram(context: Context) -> Iterator[Part]:
    drawn = context.fit.diagram(labels=context.labels.words)
    yield Figure(
        drawn.svg.encode(),
        "svg",
        shortened(f"Path diagram. {drawn}", DESCRIPTION),
        "Path diagram with the estimates.",
        min(round(drawn.drawing.width), WIDEST),
    )


def coefficients(context: Context) -> Iterator[Part]:
    yield picture(
        context.fit.plot_coefficients(labels=context.labels.words),
        f"A dot for each coefficient, with its interval, and a line at zero. {NUMBERS}",
        "Coefficients with their 95 % intervals.",
    )


def interactions(context: Context) -> Iterator[Part]:
    """Of products of two variables, lines of the one for values of the other."""
    for predictor, moderator, outcome in _products(context)[:PRODUCTS]:
        drawn = context.fit.plot_interaction(
            predictor, moderator, outcome=outcome, data=context.data, labels=context.labels.words
        )
        first, second, third = map(context.labels.variable, (predictor, moderator, outcome))
        yield _slopes(context, predictor, moderator, outcome)
        yield picture(
            drawn,
            f"Lines of the expected {third} over {first}, one for each of some values of {second},"
            " with bands.",
            f"{third} over {first} for values of {second}, with 95 % bands.",
        )


def _slopes(context: Context, predictor: str, moderator: str, outcome: str) -> Table:
    found: Any = context.fit.simple_slopes(predictor, moderator, outcome=outcome, data=context.data)
    first, second, third = map(context.labels.variable, (predictor, moderator, outcome))
    grouped = bool(context.fit.table.groups)
    fields = ["group"] if grouped else []
    fields += [moderator, "slope", "se", "stat", "df", "pvalue", "ci_lower", "ci_upper"]
    rows = columns_of(found.frame, *fields)
    shown = tuple(
        (
            _value(values[grouped]),
            *([str(values[0])] if grouped else []),
            *values[grouped + 1 :],
        )
        for values in rows
    )
    columns = [Column(second, "name"), *([Column("Group", "text")] if grouped else [])]
    columns += [Column("Slope"), Column("SE"), Column("Statistic"), Column("df", "df")]
    columns += [Column("p", "p"), Column("CI lower"), Column("CI upper")]
    return Table(f"Slope of {first} on {third} by {second}", tuple(columns), shown)


def _value(value: Any) -> str:
    """A value of a moderator, perhaps the level of a factor."""
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)


def _products(context: Context) -> list[tuple[str, str, str]]:
    """Predictor, moderator and outcome of each: a factor is the moderator, or a variable of
    level 2."""
    table = context.fit.table
    within = {*table.levels[0].modelled, *table.levels[0].covariates}
    if context.mixed:
        recipe, outcome = recipe_of(context.fit._estimates), table.levels[0].modelled[0]
        return [(*pair, outcome) for pair in _products_of_formula(recipe, within)]
    slopes = {slope.name: slope for slope in table.slopes}
    found: list[tuple[str, str, str]] = []
    for row in table.rows:
        if row.op != "~" or row.group > 1:
            continue
        slope = slopes.get(row.lhs)
        factors = [slope.carrier, row.rhs] if slope is not None else row.rhs.split(":")
        outcome = slope.outcome if slope is not None else row.lhs
        if len(factors) == 2 and not any(":" in each for each in factors):
            second, first = sorted(factors, key=lambda name: name in within)
            found.append((first, second, outcome))
    return list(dict.fromkeys(found))


def _products_of_formula(recipe: Recipe, within: set[str]) -> Iterator[tuple[str, str]]:
    """By the columns of the data, not by those that are made of them. Two factors have means
    rather than slopes."""
    is_number = {each.name: each.kind == "number" for each in recipe.grid.predictors}
    for pair in recipe.pairs:
        moderator, predictor = sorted(pair, key=lambda name: (is_number[name], name in within))
        if is_number[predictor]:
            yield predictor, moderator


def caterpillar(context: Context) -> Iterator[Part]:
    yield picture(
        context.fit.plot_random_effects(labels=context.labels.words),
        f"A dot for each cluster, sorted, with its interval, and a line at zero. {NUMBERS}",
        "Predicted effects of clusters with 95 % intervals, sorted. That two intervals overlap "
        "says nothing of the difference of two clusters.",
    )


def residuals(context: Context) -> Iterator[Part]:
    """Of rows where data are given, and of clusters."""
    if context.data is None and not context.two_level:
        return
    yield picture(
        context.fit.plot_residuals(context.data, labels=context.labels.words),
        "Residuals over the fitted values, and against the quantiles of a normal distribution.",
        "Residuals over fitted values and against normal quantiles. Grey: where those of a normal "
        "sample lie as a whole; outside of it red.",
    )


def leverage(context: Context, found: ClusterDiagnostics) -> Iterator[Part]:
    paths = [
        name
        for name, kinds in zip(found.parameters, found.kinds, strict=True)
        if any(op == "~" for op, _ in kinds)
    ]
    own = paths or list(found.parameters)
    more = f" The first {PANELS} of {len(own)}." if len(own) > PANELS else ""
    yield picture(
        found.plot(own[:PANELS]),
        "Dots for the clusters, by the share of the information on each parameter that they have,"
        f" the largest first. {NUMBERS}",
        f"Each cluster's share of the information. Dashed: if all had the same.{more}",
    )


def se_comparison(context: Context, found: SeComparison) -> Iterator[Part]:
    yield picture(
        found.plot(),
        "Standard errors of each coefficient as ratios to the model's, with the band in which they "
        f"lie if the model is right. {NUMBERS}",
        "Standard errors as ratios to the model's; grey: where they lie if the model is right.",
    )
