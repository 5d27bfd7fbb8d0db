"""Many independent calls: one after another or on several processes, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mlsem.errors import InterfaceError, OptionValueError

Item = TypeVar("Item")
Found = TypeVar("Found")

BATCHES = 8  # per process, so that the bar moves and all processes end together


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
        Whether to show a bar (tqdm); None: where standard error is a terminal and tqdm is
        installed.
    label : str
        Stands beside the bar.

    Raises
    ------
    InterfaceError
        Several jobs without joblib, or a bar asked for without tqdm.
    """
    count = _job_count(jobs)
    size = max(1, -(-len(items) // (BATCHES * max(count, 2))))
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    found: list[Found] = []
    with _bar(len(items), progress, label) as advance:
        for batch, results in zip(batches, _results(function, batches, count), strict=True):
            found += results
            advance(len(batch))
    return found


def _job_count(jobs: object) -> int:
    if isinstance(jobs, bool) or not isinstance(jobs, int) or (jobs < 1 and jobs != -1):
        raise OptionValueError(f"n_jobs={jobs!r}: it takes a number from 1, or -1 for all cores.")
    if jobs == -1:
        return int(_joblib().cpu_count())
    return jobs


def _results(
    function: Callable[[Any], list[Found]], batches: list[Any], jobs: int
) -> Iterable[list[Found]]:
    if jobs == 1 or len(batches) < 2:
        return map(function, batches)
    joblib = _joblib()
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
    return parallel(joblib.delayed(function)(batch) for batch in batches)


def _joblib() -> Any:
    try:
        import joblib
    except ImportError:
        raise InterfaceError(
            'several processes need joblib: pip install "mlsem[simulation]", or n_jobs=1.'
        ) from None
    return joblib


@contextmanager
def _bar(total: int, progress: bool | None, label: str) -> Iterator[Callable[[int], Any]]:
    """Gives the function that moves the bar on."""
    tqdm = _tqdm(progress) if progress or (progress is None and sys.stderr.isatty()) else None
    if tqdm is None:
        yield lambda count: None
        return
    with tqdm(total=total, desc=label, leave=False) as bar:
        yield bar.update


def _tqdm(progress: bool | None) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        if progress:
            raise InterfaceError(
                'the progress bar needs tqdm: pip install "mlsem[simulation]", or progress=False.'
            ) from None
        return None
    return tqdm
