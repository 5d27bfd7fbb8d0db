"""What the methods of a study need of many data sets of one design, made for all at once.

Each method then finds it made (`Reading`), and takes the same road as for one data set. What is not
made here, for whatever reason, is made there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from mlsem.api.call import Call, called, posed_in
from mlsem.api.fit import fit
from mlsem.api.reading import Reading
from mlsem.data.moments.together import read_together
from mlsem.data.table.stack import Stack, alike
from mlsem.errors import OptionValueError, without_warnings
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import Settings
from mlsem.estimation.together import usual_maxima
from mlsem.inference.covariance.together import usual_errors
from mlsem.model.table import ParameterTable
from mlsem.simulation.study.methods import Method, numbers_of, outcome_of


def look_ahead(methods: Sequence[Method], readings: Sequence[Reading]) -> None:
    """Read data sets of one design for the models of all methods, and search their maxima.

    What a data set gets does not depend on the others, to the last digit: a study may be cut into
    waves in any way.
    """
    stacks: dict[str | None, tuple[Stack, list[int]] | None] = {None: None}
    with without_warnings(), np.errstate(all="ignore"):
        for method in methods:
            call = _call(method, readings[0]) if method.call is fit else None
            if call is None:
                continue
            if call.cluster not in stacks:
                frames = [each.data for each in readings]
                stacks[call.cluster] = alike(frames, str(call.cluster))
            found = stacks[call.cluster]
            if found is not None:
                stack, places = found
                _read(method, call, stack, [readings[place] for place in places])
            _search(method, readings)


def _call(method: Method, reading: Reading) -> Call | None:
    """What a method asks for, if that is said by the columns of the data alone."""
    options = dict(method.options)
    cluster = options.pop("cluster", None)
    try:
        call, _ = called("sem", method.text, reading.data, cluster, options)
    except Exception:  # the method itself will say so
        return None
    plain = call.how.group is None and call.how.auxiliary is None
    return call if plain else None


def _read(method: Method, call: Call, stack: Stack, readings: Sequence[Reading]) -> None:
    """Tell data sets of one design what a method asks for, and read them for it."""
    for reading in readings:
        reading.known[method] = call
    settings = call.how.settings
    other = call.how.center or settings.se_cluster is not None or settings.missing == "fiml"
    if len(readings) < 2 or other or any(call.read in each.known for each in readings):
        return  # or read for a method before
    for reading, record in zip(readings, read_together(call.table, stack), strict=True):
        if record is not None:
            reading.known[call.read] = record


def _search(method: Method, readings: Sequence[Reading]) -> None:
    """Find the maxima of all data sets at which a method looks no further, and what it says of
    them."""
    posed: dict[ParameterTable, dict[int, Posed]] = {}
    settings: Settings | None = None
    for number, reading in enumerate(readings):
        call = reading.known.get(method) or _call(method, reading)
        if call is None or call.how.start is not None:
            continue
        settings = call.how.settings
        with suppress(Exception):  # the method itself will say so
            posed.setdefault(call.table, {})[number] = posed_in(call, reading.data, reading)
    for table, problems in posed.items():
        assert settings is not None
        searched = {
            number: problem
            for number, problem in problems.items()
            if (problem, settings.search) not in readings[number].known
        }
        for number, optimum in usual_maxima(searched, settings).items():
            readings[number].known[searched[number], settings.search] = optimum
        if not table.definitions:
            _answer(method, table, problems, settings, readings)


def _answer(
    method: Method,
    table: ParameterTable,
    problems: Mapping[int, Posed],
    settings: Settings,
    readings: Sequence[Reading],
) -> None:
    """Tell data sets what a method says of them."""
    fits: dict[int, Estimates] = {}
    for number, problem in problems.items():
        optimum = readings[number].known.get((problem, settings.search))
        if optimum is not None:
            fits[number] = Estimates(problem, settings, optimum, None)
    for number, found in usual_errors(fits).items():
        numbers = numbers_of(table.names, fits[number].params, found.se, found.df)
        with suppress(OptionValueError):  # the method itself will say so
            readings[number].known[method.outcome] = outcome_of(method, True, numbers)
