"""What a header says of sampling weights and strata."""

from __future__ import annotations

from typing import Any

from mlsem.estimation.settings import Settings

TITLES = {"total": "total", "level1": "level 1", "level2": "level 2"}


def sampling_pairs(settings: Settings, record: Any) -> tuple[tuple[str, str], ...]:
    """Lines on the columns, the scaling, and the numbers of rows and clusters without weights that
    would tell as much, (Σw)²/Σw² (Kish, 1965); none where nothing was said of sampling.

    Parameters
    ----------
    record : DataRecord or GroupedRecord
    """
    pairs = [*_weights(settings, record)]
    strata = record.robust.strata
    if strata is not None:
        pairs.append((f"Number of strata [{settings.strata}]", str(int(strata.max()) + 1)))
    return tuple(pairs)


def _weights(settings: Settings, record: Any) -> list[tuple[str, str]]:
    columns, done = settings.weights, record.weighted
    if columns is None or done is None:
        return []
    named = columns.named
    alone = named.keys() == {"total"}
    shown = columns.total if alone else ", ".join(f"{TITLES[key]} {named[key]}" for key in named)
    pairs = [("Sampling weights", str(shown))]
    if named.keys() - {"level2"} and not alone:
        pairs.append(("Weight scaling", settings.weight_scaling or "cluster"))
    pairs.append(("Effective number of observations", f"{done.rows.effective:.1f}"))
    if "level2" in named:
        pairs.append(("Effective number of clusters", f"{done.clusters.effective:.1f}"))
    if done.n_zero:
        pairs.append(("Observations of weight zero", str(done.n_zero)))
    return pairs
