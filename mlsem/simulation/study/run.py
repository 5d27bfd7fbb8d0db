"""Monte Carlo studies: many data sets, each analysed by several methods."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from secrets import randbits
from typing import Any

import numpy as np

from mlsem.api.reading import Reading
from mlsem.base.ending import orderly_end
from mlsem.data.table.stack import held, values_in
from mlsem.errors import OptionValueError
from mlsem.other_programs.answering import answering
from mlsem.parallel.pool import Backend, batch_size, streamed, workers_for
from mlsem.simulation.study.ahead import look_ahead
from mlsem.simulation.study.arguments import read_names, read_truth, refuse_unknown, require_numbers
from mlsem.simulation.study.methods import Method, Outcome, analyse, read_methods
from mlsem.simulation.study.records import Record
from mlsem.simulation.study.result import MethodResults, Study
from mlsem.simulation.study.sources import Drawn, InOrder, Source, read_source
from mlsem.simulation.study.store import Store

TRIED = 3  # data sets that no method can analyse, before a study is given up
LARGEST = 50  # replications that an interruption may lose, per process
HELD = 4_000_000  # values of data sets that are read together


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What a process needs to know."""

    source: Source | None  # None: the data come with the replications' numbers
    methods: tuple[Method, ...]
    seed: int
    parameters: frozenset[str] | None


@answering
def study(
    generator: object,
    models: Mapping[str, Any],
    replications: int = 1000,
    *,
    seed: int | None = None,
    truth: Mapping[str, float] | None = None,
    parameters: Iterable[str] | None = None,
    level: float = 0.95,
    n_jobs: int = 1,
    backend: Backend | None = None,
    progress: bool | None = None,
    file: str | os.PathLike[str] | None = None,
) -> Study:
    """Draw many data sets, analyse each by every method, and see how the methods do.

    Parameters
    ----------
    generator : callable, (str, mapping) or InOrder
        A function of a NumPy generator that returns a data frame; of the replication's number
        (from 0), if its argument is called `number`. Or a model and the keywords of `simulate`,
        which also gives the truth. Or `InOrder`, for one stream of R's numbers.
    models : mapping of str to mapping or callable
        Method name to the keywords of `fit` with ``model=``, or of `lmm` with ``formula=``; or a
        function of the data that returns a fit (or what has `params` and `bse` by name); what it
        raises is counted among the failures, which the printed results explain. Methods that
        differ in standard errors only share one fit. ``names={"x1": "y~x1"}`` renames parameters,
        so that methods agree on them.
    replications : int, default 1000
    seed : int, optional
        Each replication has a seed of its own, made of this one and its number: results do not
        depend on `n_jobs`, and more replications can be added. None: a new one (or that of
        `file`), which the result names.
    truth : mapping of str to float, optional
        True values by parameter, for bias and coverage. They go before those of the generator.
    parameters : iterable of str, optional
        The parameters to keep. Default: all.
    level : float, default 0.95
        Of the intervals whose coverage is counted; tests have size 1 - level.
    n_jobs : int, default 1
        Processes, -1 for all cores.
    backend : str or executor, optional
        joblib's: "loky" (the default). Or "dask", "ray", "spark": all workers of the cluster that
        is connected (a Dask client, ``ray.init()``, the active Spark session), whatever `n_jobs`.
        Or anything with the method `submit` of `concurrent.futures.Executor`. mlsem must be
        installed there; workers of one thread each are best.
    progress : bool, optional
        A bar. Default: in a terminal or a notebook, after two seconds.
    file : path, optional
        Replications are written there as they are done, as lines of JSON with a checksum. If it
        holds some of this study already, the rest is done: run an interrupted study again to finish
        it. One process at a time has the file (the note ``file.lock`` says which). Functions must
        match those stored in the file. Compared: code, defaults and the module-level values they
        use; not what functions of other modules or methods of objects do. Under another version
        of Python they count as changed.

    Returns
    -------
    Study
        `summary` and `estimates` are data frames; prints as text; `plot()` shows the relative
        bias of standard errors.

    Raises
    ------
    OptionValueError
        A value that an argument cannot take, a model that no data set could be fitted with, or a
        generator that returns nothing. Shown by the first data sets, if all methods fail there.
    DataError
        The file holds another study, is damaged or in use by another process, or cannot be read
        or written.
    InterfaceError
        Several processes without joblib, a backend without its package, or a bar without tqdm.
    WorkerError
        A process died, or cannot be sent the study; or the cluster cannot read it (mlsem is not
        installed there), or was lost.

    Examples
    --------
    >>> import mlsem
    >>> truth = "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~ 0.25*w; y ~~ 0.5*y"
    >>> model = {"model": "level: 1; y ~ x; level: 2; y ~ w", "cluster": "id"}
    >>> found = mlsem.study(
    ...     (truth, {"n_clusters": 30, "cluster_size": 5}),
    ...     {"MLR": model | {"se": "MLR"}, "CR2": model | {"se": "CR2"}},
    ...     replications=10,
    ...     seed=1,
    ... )
    >>> found.summary.loc[found.summary["parameter"] == "y~x", ["model", "n", "truth"]]
      model   n  truth
    0   MLR  10    0.5
    5   CR2  10    0.5
    """
    source, methods = read_source(generator), read_methods(models)
    require_numbers(replications, level, seed)
    known, wanted = read_truth(truth), read_names(parameters)
    workers = workers_for(n_jobs, backend)
    with orderly_end(), nullcontext() if file is None else Store.opened(file) as store:
        seed = _seed(seed, store)
        work = Work(None if isinstance(source, InOrder) else source, methods, seed, wanted)
        done: dict[int, Mapping[str, Outcome]] = {}
        if store is not None:
            fixed = [method.name for method in methods if method.is_model]
            store.begin(_head(source, methods, seed, wanted), fixed)
            done = {k: outcomes for k, outcomes in store.outcomes.items() if k < replications}
        if 0 not in done or (len(done) < replications and (known or wanted)):
            first = _tried(work, source, replications)
            _refuse_unknown(first, known, wanted or ())
            if 0 not in done and workers.are_ours:  # else all of that is the cluster's work
                done[0] = _chosen(first, wanted)
                if store is not None:
                    store.add([(0, done[0])])
        stream = _records(work, source, replications, done, n_jobs, progress, backend)
        with closing(stream):
            for records in stream:
                if store is not None:
                    store.add(records)
                done.update(records)
    return Study(
        methods=tuple(_gathered(method.name, done, replications) for method in methods),
        replications=replications,
        seed=seed,
        truth=dict(source.truth) | known,
        level=level,
    )


def _seed(given: int | None, store: Store | None) -> int:
    """The seed that is given, or that of the file, or a new one."""
    held = None if store is None else store.head.get("seed")
    return given if given is not None else randbits(32) if held is None else held


def _records(
    work: Work,
    source: InOrder | Source,
    replications: int,
    done: Mapping[int, object],
    n_jobs: int,
    progress: bool | None,
    backend: Backend | None,
) -> Generator[list[Record], None, None]:
    """What is left to do, in batches."""
    left = [number for number in range(replications) if number not in done]
    if not left:
        return
    size = min(LARGEST, batch_size(len(left), n_jobs, backend))
    yield from streamed(
        partial(_replicated, work),
        _batches(source, left, size),
        total=len(left),
        jobs=n_jobs if len(left) > size else 1,
        progress=progress,
        label="replications",
        backend=backend,
    )


def _batches(
    source: InOrder | Source, left: Sequence[int], size: int
) -> Iterator[list[tuple[int, Any]]]:
    """Numbers, with their data where one stream gives these in order."""
    pairs: Iterator[tuple[int, Any]]
    pairs = source.data_sets(left) if isinstance(source, InOrder) else ((k, None) for k in left)
    batch: list[tuple[int, Any]] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _replicated(work: Work, batch: Sequence[tuple[int, Any]]) -> list[Record]:
    found: list[Record] = []
    for wave in _waves(work, batch):
        look_ahead(work.methods, [reading for _, reading in wave])
        for number, reading in wave:
            outcomes = analyse(work.methods, reading, strict=False)
            found.append((number, _chosen(outcomes, work.parameters)))
    return found


def _waves(work: Work, batch: Sequence[tuple[int, Any]]) -> Iterator[list[tuple[int, Reading]]]:
    """The data sets of a batch, as many at a time as may be in memory."""
    wave: list[tuple[int, Reading]] = []
    left: float = HELD
    for number, data in batch:
        own = _drawn(work, number, data)
        if isinstance(work.source, Drawn):  # the function may fill the same arrays again
            own = held(own)
        wave.append((number, Reading(own)))
        left -= values_in(own)
        if left < 0:
            yield wave
            wave, left = [], HELD
    if wave:
        yield wave


def _drawn(work: Work, number: int, data: Any) -> Any:
    """The data set of a replication."""
    if work.source is not None:
        try:
            data = work.source.data(number, work.seed)
        except Exception as error:
            error.add_note(f"The generator of the study raised this in replication {number}.")
            raise
        except SystemExit as stop:  # would end this process, or leave others waiting
            raise OptionValueError(
                f"generator: it ended the program (sys.exit({stop.code!r})) in replication "
                f"{number}, and must return a data frame."
            ) from stop
    if data is None:
        raise OptionValueError(
            f"generator: it returned None in replication {number}, and must return a data frame. "
            "Does the function end with return?"
        )
    return data


def _chosen(outcomes: Mapping[str, Outcome], names: frozenset[str] | None) -> Mapping[str, Outcome]:
    """The outcomes with these parameters only."""
    if names is None:
        return outcomes
    return {
        method: replace(each, parameters={k: v for k, v in each.parameters.items() if k in names})
        for method, each in outcomes.items()
    }


# --- the first data set ---------------------------------------------------------------------------


def _tried(work: Work, source: InOrder | Source, replications: int) -> Mapping[str, Outcome]:
    """The first replication; slips show here, before the study and not after it.

    Raises
    ------
    OptionValueError
        All methods fail in the first data sets, and not by chance.
    """
    numbers = range(min(TRIED, replications))
    tried: list[Mapping[str, Outcome]] = []
    for [(number, data)] in _batches(source, numbers, 1):
        reading = Reading(_drawn(work, number, data))
        look_ahead(work.methods, [reading])  # its digits are those of a data set in a wave
        tried.append(analyse(work.methods, reading))
        if not all(each.is_mistake for each in tried[-1].values()):
            return tried[0]
    reasons = "; ".join(f"models[{k!r}]: {each.failure}" for k, each in tried[0].items())
    sets = "first data set" if len(tried) == 1 else f"first {len(tried)} data sets"
    raise OptionValueError(f"no method can analyse the {sets}. {reasons}")


def _refuse_unknown(
    first: Mapping[str, Outcome], truth: Mapping[str, float], wanted: Iterable[str]
) -> None:
    """Refuse names that no method has, if all could be fitted."""
    if any(outcome.failure for outcome in first.values()):
        return
    names = list(dict.fromkeys(name for each in first.values() for name in each.parameters))
    refuse_unknown("truth", truth, names)
    refuse_unknown("parameters", sorted(wanted), names)


# --- results --------------------------------------------------------------------------------------


def _gathered(
    name: str, done: Mapping[int, Mapping[str, Outcome]], replications: int
) -> MethodResults:
    """All replications of a method, in their order, as arrays."""
    outcomes = [done[number][name] for number in range(replications)]
    parameters = tuple(dict.fromkeys(key for each in outcomes for key in each.parameters))
    numbers = np.full((3, replications, len(parameters)), np.nan)
    for row, outcome in enumerate(outcomes):
        if tuple(outcome.parameters) == parameters:
            numbers[:, row] = np.array(list(outcome.parameters.values())).T
        else:
            for key, values in outcome.parameters.items():
                numbers[:, row, parameters.index(key)] = values
    return MethodResults(
        name=name,
        parameters=parameters,
        est=numbers[0],
        se=numbers[1],
        df=numbers[2],
        converged=np.array([each.converged for each in outcomes], dtype=bool),
        failures=tuple(
            each.failure or ("" if each.converged else "did not converge") for each in outcomes
        ),
    )


# --- files ----------------------------------------------------------------------------------------


def _head(
    source: InOrder | Source, methods: Sequence[Method], seed: int, wanted: frozenset[str] | None
) -> dict[str, Any]:
    return {
        "generator": source.described,
        "seed": seed,
        "models": {method.name: method.described for method in methods},
        "parameters": None if wanted is None else sorted(wanted),
    }
