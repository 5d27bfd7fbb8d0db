"""Many independent calls: one after another or on several processes, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pickle import PicklingError
from typing import Any, TypeAlias, TypeVar

import numpy as np

from mlsem.base.ending import orderly_end
from mlsem.errors import InterfaceError, OptionValueError, WorkerError, listed, nearest
from mlsem.parallel.dask import cluster_threads, on_cluster
from mlsem.parallel.executors import (
    Executor,
    on_executor,
    on_ray,
    on_spark,
    ray_workers,
    spark_workers,
    workers_of,
)
from mlsem.parallel.progress import lone_bar, showing

Item = TypeVar("Item")
Found = TypeVar("Found")

BATCHES = 8  # per process, so that the bar moves and all processes end together

Backend: TypeAlias = str | Executor
"""A name of joblib's, "dask", "ray" or "spark", or an executor."""

OF_JOBLIB = ("loky", "multiprocessing", "threading")
ELSEWHERE = ("dask", "ray", "spark")


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    count : callable
        How many batches they do side by side; errors as of `workers_for`.
    results : callable
        A function of a batch, and batches, to the results of each in their order.
    are_ours : bool
        Whether they are started here, on this machine.
    """

    count: Callable[[], int]
    results: Callable[[Callable[[Any], list[Any]], Iterable[Any]], Iterable[list[Any]]]
    are_ours: bool = False


NOBODY_ELSE = Workers(lambda: 1, map, are_ours=True)


def workers_for(jobs: object, backend: object = None) -> Workers:
    """Those that `n_jobs=` and `backend=` name; nothing is asked of them yet.

    Raises
    ------
    OptionValueError
        There are none such.
    InterfaceError
        joblib is wanted and not installed.
    """
    if isinstance(jobs, bool) or not isinstance(jobs, int) or (jobs < 1 and jobs != -1):
        raise OptionValueError(f"n_jobs={jobs!r}: it takes a number from 1, or -1 for all cores.")
    if isinstance(backend, Executor):
        return Workers(partial(workers_of, backend), partial(on_executor, backend))
    if backend == "dask":
        return Workers(cluster_threads, on_cluster)
    if backend == "ray":
        return Workers(ray_workers, on_ray)
    if backend == "spark":
        return Workers(spark_workers, on_spark)
    if backend is None and jobs == 1:
        return NOBODY_ELSE
    if backend is not None and backend not in OF_JOBLIB:
        raise OptionValueError(_no_backend(backend))
    return Workers(partial(_processes, jobs), partial(_on_joblib, jobs, backend), are_ours=True)


def _no_backend(backend: object) -> str:
    text = backend if isinstance(backend, str) else ""
    return (
        f"backend={backend!r} is not available.{nearest(text, (*OF_JOBLIB, *ELSEWHERE))} Use "
        f"{listed(ELSEWHERE)} for the cluster that is connected, {listed(OF_JOBLIB)} for processes "
        "or threads of this machine (n_jobs= says how many), or an executor: an object with the "
        "method submit, as concurrent.futures has them."
    )


def in_batches(
    function: Callable[[Sequence[Item]], list[Found]],
    items: Sequence[Item],
    *,
    jobs: int,
    progress: bool | None,
    label: str,
    backend: Backend | None = None,
) -> list[Found]:
    """The results of `function` on batches of the items, in the items' order.

    Parameters
    ----------
    function : callable
        A batch to the list of its results; with several jobs it must be picklable.
    jobs : int
        Processes; -1 as many as there are cores (joblib).
    progress : bool or None
        As of `mlsem.parallel.progress.bar`.
    label : str
        Stands beside the bar.
    backend : str or executor, optional
        As of `streamed`, which says what is raised.
    """
    size = batch_size(len(items), jobs, backend)
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    outcomes: list[Found] = []
    jobs = jobs if len(batches) > 1 else 1
    stream = streamed(
        function,
        batches,
        total=len(items),
        jobs=jobs,
        progress=progress,
        label=label,
        backend=backend,
    )
    with orderly_end(), closing(stream):
        for results in stream:
            outcomes += results
    return outcomes


def batch_size(count: int, jobs: int, backend: Backend | None = None) -> int:
    """How many of `count` items make a batch."""
    return max(1, -(-count // (BATCHES * max(workers_for(jobs, backend).count(), 2))))


def streamed(
    function: Callable[[Any], list[Found]],
    batches: Iterable[Any],
    *,
    total: int,
    jobs: int,
    progress: bool | None,
    label: str,
    backend: Backend | None = None,
) -> Generator[list[Found], None, None]:
    """The results of each batch as soon as they and those of all before are there.

    Whoever stops early closes it, which ends the processes: `contextlib.closing`.

    Parameters
    ----------
    function, jobs, progress, label
        As of `in_batches`.
    batches : iterable
        Is read as far as the processes need it.
    total : int
        Items in all batches, for the bar.
    backend : str or executor, optional
        joblib's, such as "loky"; or "dask", "ray", "spark": the cluster that is connected, all of
        it, whatever `jobs`; or what has `submit`, as of `concurrent.futures`.

    Raises
    ------
    InterfaceError
        Several jobs or a backend without its package, or a bar asked for without tqdm.
    OptionValueError
        The backend is unknown, or no cluster connected.
    WorkerError
        A process died, or cannot be sent the function; the cluster is of no use, or lost.
    """
    workers = workers_for(jobs, backend)
    with lone_bar(total, label, progress) as advance:
        for results in workers.results(partial(_quietly, function), batches):
            yield results
            advance(len(results))


def _quietly(function: Callable[[Any], list[Found]], batch: Any) -> list[Found]:
    """Another process or thread has settings of NumPy's of its own, and shows no bars."""
    with np.errstate(all="ignore"), showing(False):
        return function(batch)


# --- processes of this machine --------------------------------------------------------------------


def _processes(jobs: int) -> int:
    return int(_joblib().cpu_count()) if jobs == -1 else jobs


def _on_joblib(
    jobs: int,
    backend: str | None,
    function: Callable[[Any], list[Found]],
    batches: Iterable[Any],
) -> Iterator[list[Found]]:
    """Large arrays of the function go through a file that all processes map, once."""
    joblib = _joblib()
    with nullcontext() if backend is None else joblib.parallel_config(backend=backend):
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
    return _on_processes(parallel, (joblib.delayed(function)(batch) for batch in batches))


def _on_processes(
    parallel: Callable[[Iterable[Any]], Iterable[list[Found]]], tasks: Iterable[Any]
) -> Iterator[list[Found]]:
    """The tasks' results; says what it means that a process died, or cannot be sent them."""
    from concurrent.futures import BrokenExecutor

    try:
        yield from parallel(tasks)
    except BrokenExecutor as error:  # joblib's TerminatedWorkerError too
        raise WorkerError(
            "a process that did part of the work died: out of memory, perhaps (fewer n_jobs need "
            "less), or a crash in compiled code; n_jobs=1 shows where. What is in file= need not "
            "be redone."
        ) from error
    except PicklingError as error:
        raise WorkerError(
            f"the work cannot be sent to other processes ({_last_line(error)}): functions may not "
            "hold open files, locks, connections or generators. Make these inside the function, or "
            "take n_jobs=1."
        ) from error


def _last_line(error: BaseException) -> str:
    """What was raised at first, which joblib shows as a traceback."""
    lines = str(error.__cause__ or error).strip(' "\n').splitlines()
    return lines[-1] if lines else type(error).__name__


def _joblib() -> Any:
    try:
        import joblib
    except ImportError:
        raise InterfaceError(
            'several processes need joblib: pip install "mlsem[simulation]", or n_jobs=1.'
        ) from None
    return joblib
