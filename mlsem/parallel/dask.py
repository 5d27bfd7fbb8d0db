"""Batches on a Dask cluster, through the client that is connected.

joblib's own backend for Dask waits for ever where a worker dies, or cannot read what it is sent;
here both are errors. The function is sent once, and with each batch only the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pickle import PicklingError
from typing import Any, TypeVar

from mlsem.errors import InterfaceError, OptionValueError, WorkerError
from mlsem.parallel.window import applied, in_order

Found = TypeVar("Found")

PATIENCE = 30.0  # seconds in which a cluster without workers must have one


def cluster_threads() -> int:
    """Threads of all workers of the cluster; 1 while there are no workers.

    Raises
    ------
    InterfaceError
        distributed is not installed.
    OptionValueError
        No client is connected.
    WorkerError
        The cluster is gone.
    """
    client = _client()
    with _losses_named():
        return _threads(client)


def on_cluster(
    function: Callable[[Any], list[Found]], batches: Iterable[Any]
) -> Iterator[list[Found]]:
    """The results of each batch, in the batches' order.

    Raises
    ------
    InterfaceError, OptionValueError
        As `cluster_threads`; or the cluster has no workers.
    WorkerError
        The cluster cannot read the function, or is gone.
    """
    client = _client()
    with _losses_named():
        held = _sent(client, function)
        yield from in_order(  # what nobody waits for any longer Dask does not do
            batches,
            workers=lambda: _threads(client),
            send=lambda batch: client.submit(applied, held, batch, pure=False),
            result=lambda future: future.result(),
        )


def _sent(client: Any, function: Callable[..., Any]) -> Any:
    """The function on the cluster: the result of a task, which Dask repeats if it is lost."""
    from dask import config
    from distributed import wait

    try:
        with config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            held = client.submit(_itself, function, pure=False)  # once, however large it is
    except (TypeError, PicklingError) as error:
        raise WorkerError(
            f"the work cannot be sent to the Dask cluster ({error.__cause__ or error}): functions "
            "may not hold open files, locks, connections or generators. Make these inside the "
            "function, or leave backend= out."
        ) from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise OptionValueError(
            f"backend='dask': the cluster had no worker within {PATIENCE:g} seconds. Start workers "
            "(client.wait_for_workers(1) waits for them), or leave backend= out."
        ) from None
    wait(held)
    if held.status == "error":
        error = held.exception()
        raise WorkerError(
            f"the Dask cluster cannot read the work sent to it ({error.__cause__ or error!r}): "
            "install mlsem, and the modules of your own functions, on its scheduler and workers."
        ) from error
    return held


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _threads(client: Any) -> int:
    return max(1, sum(client.ncores().values()))


def _client() -> Any:
    try:
        from distributed import default_client
    except ImportError:
        raise InterfaceError(
            "backend='dask' needs distributed: pip install \"mlsem[dask]\", or leave backend= out."
        ) from None
    try:
        return default_client()
    except ValueError:
        raise OptionValueError(
            "backend='dask': no Dask client is connected. Connect one first, client = "
            'distributed.Client("tcp://scheduler:8786"), or leave backend= out.'
        ) from None


@contextmanager
def _losses_named() -> Iterator[None]:
    """Says what it means that the cluster, or a worker again and again, was lost."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise WorkerError(
            "workers of the Dask cluster died at the same batch again and again: look at their "
            "logs, and give them more memory if that was it. What is in file= need not be redone."
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise WorkerError(
            f"the Dask cluster was lost ({type(error).__name__}): connect to it again. What is in "
            "file= need not be redone."
        ) from error
