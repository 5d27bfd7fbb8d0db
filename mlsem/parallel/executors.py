"""Batches on whatever takes work: any `concurrent.futures.Executor`, Ray, Spark.

Each gives the results of the batches in their order, has few batches under way at a time, and drops
those that nobody waits for any longer. Who starts and stops the workers is the user's affair.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar, runtime_checkable
from uuid import uuid4

from mlsem.errors import InterfaceError, OptionValueError, WorkerError
from mlsem.parallel.kept import Sending
from mlsem.parallel.window import AHEAD, applied, in_order

Found = TypeVar("Found")

JOB_GROUP = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")


@runtime_checkable
class Executor(Protocol):
    """What `concurrent.futures.Executor` has, and pools of other packages after its example."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any: ...


def workers_of(executor: Executor) -> int:
    """How many workers it has; as many as this machine's cores if it does not tell."""
    told = getattr(executor, "_max_workers", None)
    return told if isinstance(told, int) and told > 0 else os.cpu_count() or 1


def on_executor(
    executor: Executor, function: Callable[[Any], list[Found]], batches: Iterable[Any]
) -> Iterator[list[Found]]:
    """The results of each batch, in the batches' order; the function is sent to each worker once.

    Raises
    ------
    WorkerError
        A process died, or cannot be sent the function.
    """
    from concurrent.futures import BrokenExecutor
    from pickle import PicklingError

    sending = Sending(executor.submit, function, first=AHEAD * workers_of(executor))
    try:
        yield from in_order(
            batches,
            workers=lambda: workers_of(executor),
            send=sending.send,
            result=sending.result,
            drop=lambda sent: sent[1].cancel(),
        )
    except BrokenExecutor as error:
        raise WorkerError(
            "a worker of the executor died: out of memory, perhaps, or a crash in compiled code. "
            "What is in file= need not be redone."
        ) from error
    except (PicklingError, AttributeError, TypeError) as error:
        if not isinstance(error, PicklingError) and "pickle" not in str(error):
            raise
        raise WorkerError(
            f"the work cannot be sent to the executor's workers ({error}): use functions of a "
            "module, and make what cannot be sent inside them."
        ) from error
    finally:
        sending.forget()


def ray_workers() -> int:
    """The processors of the Ray cluster.

    Raises
    ------
    InterfaceError
        Ray is not installed.
    OptionValueError
        It is not connected.
    """
    return max(1, int(_ray().cluster_resources().get("CPU", 1)))


def on_ray(function: Callable[[Any], list[Found]], batches: Iterable[Any]) -> Iterator[list[Found]]:
    """As `on_executor`, as tasks of Ray; the function is sent once."""
    ray = _ray()
    held, task = ray.put(function), ray.remote(max_retries=2)(applied)
    count = ray_workers()
    try:
        yield from in_order(
            batches,
            workers=lambda: count,
            send=lambda batch: task.remote(held, batch),
            result=ray.get,
            drop=ray.cancel,
        )
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None
    except ray.exceptions.RayError as error:
        raise WorkerError(
            f"Ray lost the work ({type(error).__name__}): look at its logs. What is in file= need "
            "not be redone."
        ) from error


def _ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InterfaceError(
            "backend='ray' needs Ray: pip install \"mlsem[ray]\", or leave backend= out."
        ) from None
    if not ray.is_initialized():
        raise OptionValueError(
            "backend='ray': Ray is not connected. Connect it first, ray.init(), or leave backend= "
            "out."
        )
    return ray


def spark_workers() -> int:
    """The tasks that Spark runs side by side; errors as of `ray_workers`."""
    return max(1, int(_spark().defaultParallelism))


def on_spark(
    function: Callable[[Any], list[Found]], batches: Iterable[Any]
) -> Iterator[list[Found]]:
    """As `on_executor`, as jobs of Spark, each of a few batches for every task that it runs.

    The function is a broadcast variable, which machines get from each other and keep.
    """
    context = _spark()
    before = {name: context.getLocalProperty(name) for name in JOB_GROUP}
    group = f"mlsem-{uuid4()}"  # so that no other job is cancelled with these
    from pyspark.errors import PySparkException  # pyright: ignore[reportMissingImports]

    left, limit = iter(batches), AHEAD * spark_workers()
    held = None
    context.setJobGroup(group, "batches of mlsem", interruptOnCancel=True)
    try:
        held = context.broadcast(function)
        task = partial(_broadcast, held)
        while wave := list(islice(left, limit)):
            yield from context.parallelize(wave, len(wave)).map(task).collect()
    except PySparkException as error:
        raise WorkerError(_said_by_spark(error)) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "py4j":
            raise
        raise WorkerError(_said_by_spark(error)) from error
    finally:
        context.cancelJobGroup(group)
        if held is not None:
            held.destroy()
        for name, value in before.items():
            context.setLocalProperty(name, value)


def _broadcast(held: Any, batch: Any) -> list[Any]:
    return held.value(batch)


def _said_by_spark(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if "Error" in line]
    shown = lines[-1] if lines else type(error).__name__
    return (
        f"Spark could not do the work ({shown[:200]}): mlsem must be installed for its Python, and "
        "the modules of your own functions, too. What is in file= need not be redone."
    )


def _spark() -> Any:
    try:
        from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InterfaceError(
            "backend='spark' needs PySpark: pip install \"mlsem[spark]\", or leave backend= out."
        ) from None
    session = SparkSession.getActiveSession()
    if session is None:
        raise OptionValueError(
            "backend='spark': there is no active session of Spark. Make one first, "
            "SparkSession.builder.getOrCreate(), or leave backend= out."
        )
    return session.sparkContext
