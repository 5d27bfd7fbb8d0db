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
    frames = [each.data for each in readings]
    stacks: dict[str | None, tuple[Stack, list[int]] | None] = {None: None}
    with without_warnings(), np.errstate(all="ignore"):
        for method in methods:
            call = _call(method, readings[0]) if method.call is fit else None
            if call is None:
                continue
            if call.cluster not in stacks:
                stacks[call.cluster] = alike(frames, str(call.cluster))
            found = stacks[call.cluster]
            if found is not None:
                stack, places = found
                _make(method, call, stack, [readings[place] for place in places])


def _call(method: Method, first: Reading) -> Call | None:
    """What a method asks for, if that is said by the columns of the data alone."""
    options = dict(method.options)
    cluster = options.pop("cluster", None)
    try:
        call, _ = called("sem", method.text, first.data, cluster, options)
    except Exception:  # the method itself will say so
        return None
    plain = call.how.group is None and call.how.auxiliary is None
    return call if plain else None


def _make(method: Method, call: Call, stack: Stack, readings: Sequence[Reading]) -> None:
    """Tell data sets of one design what a method asks for, and read them for it."""
    for reading in readings:
        reading.known[method] = call
    settings = call.how.settings
    other = call.how.center or settings.se_cluster is not None or settings.missing == "fiml"
    if other or any(call.read in each.known for each in readings):  # read for a method before
        return
    for reading, record in zip(readings, read_together(call.table, stack), strict=True):
        if record is not None:
            reading.known[call.read] = record
