"""Parameter tables by hand."""

from __future__ import annotations

from mlsem.model.elements import LevelVariables, ProductTerm
from mlsem.model.table import ParameterTable, Row


def make_table(level1, level2=None, products=(), names=(), between_free=0):
    """A table from (modelled, covariates) per level, each a string of names.

    A product stands as `a:b`; its level is that where it is named first.
    """
    levels = [_level(*level1)] + ([] if level2 is None else [_level(*level2)])
    sets = [set(level.modelled + level.covariates) for level in levels]
    terms = []
    for product in products:
        level = 1 if product in sets[0] else 2
        terms.append(ProductTerm(product, tuple(product.split(":")), level))
    rows = tuple(Row(f"z{i}", "~1", "", 2, True, free=i) for i in range(between_free))
    return ParameterTable(
        rows=rows,
        names=tuple(names),
        levels=tuple(levels),
        level_labels=() if level2 is None else ("within", "between"),
        split=tuple(sorted(sets[0] & sets[1])) if level2 is not None else (),
        products=tuple(terms),
        definitions=(),
        constraints=(),
        meanstructure=True,
    )


def _level(modelled="", covariates=""):
    return LevelVariables((), tuple(modelled.split()), tuple(covariates.split()))
