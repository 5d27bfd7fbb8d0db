"""Many independent calls: one after another or on several processes, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pickle import PicklingError
from typing import Any, TypeAlias, TypeVar

import numpy as np

from mlsem.errors import InterfaceError, OptionValueError, WorkerError
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

CLUSTERS: dict[object, tuple[Callable[[], int], Callable[..., Any]]] = {
    "dask": (cluster_threads, on_cluster),
    "ray": (ray_workers, on_ray),
    "spark": (spark_workers, on_spark),
}
"""How many workers they have, and what gives them work."""


def is_elsewhere(backend: object) -> bool:
    """Whether the work is done by workers that are not ours to start."""
    return isinstance(backend, Executor) or (isinstance(backend, str) and backend in CLUSTERS)


def in_batches(
    function: Callable[[Sequence[Item]], list[Found]],
    items: Sequence[Item],
    *,
    jobs: int,
    progress: bool | None,
    label: str,
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

    Raises
    ------
    InterfaceError
        Several jobs without joblib, or a bar asked for without tqdm.
    WorkerError
        A process died, or cannot be sent the function.
    """
    size = batch_size(len(items), jobs)
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    outcomes: list[Found] = []
    jobs = jobs if len(batches) > 1 else 1
    for results in streamed(
        function, batches, total=len(items), jobs=jobs, progress=progress, label=label
    ):
        outcomes += results
    return outcomes


def batch_size(count: int, jobs: int, backend: Backend | None = None) -> int:
    """How many of `count` items make a batch."""
    return max(1, -(-count // (BATCHES * max(_job_count(jobs, backend), 2))))


def streamed(
    function: Callable[[Any], list[Found]],
    batches: Iterable[Any],
    *,
    total: int,
    jobs: int,
    progress: bool | None,
    label: str,
    backend: Backend | None = None,
) -> Iterator[list[Found]]:
    """The results of each batch as soon as they and those of all before are there.

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
    count = _job_count(jobs, backend)
    with lone_bar(total, label, progress) as advance:
        for results in _results(function, batches, count, backend):
            yield results
            advance(len(results))


def _job_count(jobs: object, backend: Backend | None = None) -> int:
    if isinstance(jobs, bool) or not isinstance(jobs, int) or (jobs < 1 and jobs != -1):
        raise OptionValueError(f"n_jobs={jobs!r}: it takes a number from 1, or -1 for all cores.")
    if isinstance(backend, str) and backend in CLUSTERS:
        return CLUSTERS[backend][0]()
    if isinstance(backend, Executor):
        return workers_of(backend)
    if jobs == -1:
        return int(_joblib().cpu_count())
    return jobs


def _results(
    function: Callable[[Any], list[Found]],
    batches: Iterable[Any],
    jobs: int,
    backend: Backend | None,
) -> Iterable[list[Found]]:
    function = partial(_quietly, function)
    if isinstance(backend, str) and backend in CLUSTERS:
        return CLUSTERS[backend][1](function, batches)
    if isinstance(backend, Executor):
        return on_executor(backend, function, batches)
    if jobs == 1 and backend is None:
        return map(function, batches)
    joblib = _joblib()
    try:
        with nullcontext() if backend is None else joblib.parallel_config(backend=backend):
            parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
    except (ValueError, ImportError) as error:
        raise OptionValueError(f"backend={backend!r}: joblib says: {error}") from error
    return _on_processes(parallel, (joblib.delayed(function)(batch) for batch in batches))


def _quietly(function: Callable[[Any], list[Found]], batch: Any) -> list[Found]:
    """Another process or thread has settings of NumPy's of its own, and shows no bars."""
    with np.errstate(all="ignore"), showing(False):
        return function(batch)


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
            "several processes need joblib: pip install joblib, or n_jobs=1."
        ) from None
    return joblib
