"""What the methods of a study need of many data sets of one design, made for all at once.

Each method then finds it made (`Reading`), and takes the same road as for one data set. What is not
made here, for whatever reason, is made there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlsem.api.call import Call, called
from mlsem.api.fit import fit
from mlsem.api.reading import Reading
from mlsem.data.moments.together import read_together
from mlsem.data.table.stack import Stack, alike
from mlsem.errors import without_warnings
from mlsem.simulation.study.methods import Method


def look_ahead(methods: Sequence[Method], readings: Sequence[Reading]) -> None:
    """Read data sets of one design for the models of all methods."""
    if len(readings) < 2:
        return
    with without_warnings(), np.errstate(all="ignore"):
        _read(methods, readings)


def _read(methods: Sequence[Method], readings: Sequence[Reading]) -> None:
    stacks: dict[str, tuple[Stack, list[int]] | None] = {}
    for call in _calls(methods, readings[0]):
        assert call.cluster is not None  # of `_calls`
        if call.cluster not in stacks:
            stacks[call.cluster] = alike([each.data for each in readings], call.cluster)
        found = stacks[call.cluster]
        if found is None:
            continue
        stack, places = found
        for place, record in zip(places, read_together(call.table, stack), strict=True):
            if record is not None:
                readings[place].known[call.read] = record


def _calls(methods: Sequence[Method], first: Reading) -> list[Call]:
    """One of those that read the same, of rows that are used as they are."""
    found: dict[object, Call] = {}
    for method in methods:
        if method.call is not fit:
            continue
        try:
            options = dict(method.options)
            cluster = options.pop("cluster", None)
            call, _ = called("sem", method.text, first.data, cluster, options)
        except Exception:  # the method itself will say so
            continue
        settings = call.how.settings
        plain = (call.how.group, call.how.center, call.how.auxiliary, settings.se_cluster)
        if call.cluster is not None and plain == (None,) * 4 and settings.missing != "fiml":
            found.setdefault(call.read, call)
    return list(found.values())
