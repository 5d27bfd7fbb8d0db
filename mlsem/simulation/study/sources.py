"""Where the data sets of a study come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlsem.errors import OptionValueError
from mlsem.simulation.draw.generate import data_model
from mlsem.simulation.draw.groups import GroupedDataModel
from mlsem.simulation.draw.model import DataModel
from mlsem.simulation.draw.rstream import RStream
from mlsem.simulation.study.fingerprint import described, fingerprint

if TYPE_CHECKING:
    import pandas as pd


class Source(Protocol):
    """Data sets by number."""

    @property
    def truth(self) -> Mapping[str, float]:
        """Values of parameters, as far as the source knows them."""
        ...

    @property
    def described(self) -> str:
        """What tells the source from others, for files that hold a study."""
        ...

    def data(self, number: int, seed: int) -> pd.DataFrame:
        """The data set of a replication."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class InOrder:
    """Data sets that one stream of R's numbers gives one after the other, as in a loop in R.

    They are drawn in that order by one process; others fit them.

    Parameters
    ----------
    draw : callable
        Takes the stream, returns a DataFrame.
    seed : int
        Of the stream; the study's own seed plays no part.
    truth : mapping of str to float, optional
        Values of parameters by their `coef()` names, which estimates are compared with.

    Raises
    ------
    OptionValueError
        `draw` is no function.

    Examples
    --------
    >>> import mlsem
    >>> import pandas as pd
    >>> def draw(stream):
    ...     return pd.DataFrame({"x": stream.normal(50), "y": stream.normal(50)})
    >>> source = mlsem.InOrder(draw, seed=1, truth={"y~x": 0.0})
    >>> found = mlsem.study(source, {"OLS": {"model": "y ~ x"}}, replications=5)
    >>> found.replications
    5
    """

    draw: Callable[[RStream], Any]
    seed: int
    truth: Mapping[str, float]

    def __init__(
        self,
        draw: Callable[[RStream], Any],
        seed: int,
        truth: Mapping[str, float] | None = None,
    ) -> None:
        if not callable(draw):
            raise OptionValueError(
                f"draw={draw!r}: it takes a function of a stream, def draw(stream): …, which "
                "returns a DataFrame."
            )
        object.__setattr__(self, "draw", draw)
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "truth", dict(truth or {}))

    @property
    def described(self) -> str:
        """What tells the source from others, for files that hold a study.

        Examples
        --------
        >>> import mlsem
        >>> source = mlsem.InOrder(lambda stream: stream.normal(3), seed=1)
        >>> source.described[-24:]
        " in R's stream of seed 1"
        """
        return f"function {fingerprint(self.draw)} in R's stream of seed {self.seed}"

    def data_sets(self, numbers: Iterable[int]) -> Iterator[tuple[int, Any]]:
        """The data sets of these numbers, which ascend; those between are drawn and left out.

        Parameters
        ----------
        numbers : iterable of int
            From 0 on.

        Yields
        ------
        number, data : int, DataFrame

        Examples
        --------
        >>> import mlsem
        >>> source = mlsem.InOrder(lambda stream: stream.normal(3).round(2).tolist(), seed=1)
        >>> list(source.data_sets(range(2)))
        [(0, [-0.63, 0.18, -0.84]), (1, [1.6, 0.33, -0.82])]
        """
        stream, drawn = RStream(self.seed), 0
        for number in numbers:
            for _ in range(drawn, number):
                self.draw(stream)
            drawn = number + 1
            yield number, self.draw(stream)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Data sets of a function, of a generator of its own for each replication."""

    function: Callable[..., Any]
    numbered: bool
    truth: Mapping[str, float]

    @property
    def described(self) -> str:
        return f"function {fingerprint(self.function)}"

    def data(self, number: int, seed: int) -> pd.DataFrame:
        if self.numbered:
            return self.function(number)
        return self.function(np.random.default_rng(replication_seed(seed, number)))


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """Data sets of a model."""

    model: DataModel | GroupedDataModel
    described: str

    @property
    def truth(self) -> Mapping[str, float]:
        return self.model.truth

    def data(self, number: int, seed: int) -> pd.DataFrame:
        return self.model.draw(replication_seed(seed, number))


def replication_seed(seed: int, number: int) -> np.random.SeedSequence:
    """The seed of a replication: that of `SeedSequence(seed).spawn(n)[number]` for any n."""
    return np.random.SeedSequence(seed, spawn_key=(number,))


def read_source(generator: object) -> InOrder | Source:
    """The source that a user's generator stands for.

    Raises
    ------
    OptionValueError
        It is none.
    """
    if isinstance(generator, InOrder):
        return generator
    if isinstance(generator, DataModel | GroupedDataModel):
        return Simulated(generator, "a model")
    if isinstance(generator, tuple) and len(generator) == 2:
        model, keywords = generator
        if isinstance(model, str) and isinstance(keywords, Mapping) and "seed" not in keywords:
            plain = {name: described(value) for name, value in keywords.items()}
            return Simulated(data_model(model, **keywords), f"{model!r} {sorted(plain.items())}")
    if callable(generator):
        return Drawn(generator, _takes_number(generator), {})
    raise OptionValueError(
        "generator: it takes a function of a NumPy generator (or, with an argument called "
        "`number`, of the replication's number) that returns a data frame; or a pair of a model "
        "and the keywords of mlsem.simulate, without seed; or mlsem.InOrder."
    )


def _takes_number(function: Callable[..., Any]) -> bool:
    try:
        names = list(signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return names[:1] == ["number"]
