"""Random numbers of a simulation: streams, standardised distributions, cluster sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, stdtrit

from mlsem.arguments import require_seed
from mlsem.core.records import Array, Index
from mlsem.errors import OptionValueError
from mlsem.simulation.draw.rstream import RStream

Stream = np.random.Generator | RStream
Distribution = Callable[[Stream, int, int], Array]

DEFAULT_CHI2 = 1.0  # skewness √8, excess kurtosis 12


def open_stream(seed: object, rng: str) -> Stream:
    """The stream that a seed stands for.

    Parameters
    ----------
    seed : None, int, SeedSequence, Generator or RStream
        A stream goes on where it is.
    rng : {"numpy", "R"}

    Raises
    ------
    OptionValueError
        There is no such generator, or it does not take such a seed.
    """
    if rng not in ("numpy", "R"):
        raise OptionValueError(f'rng={rng!r}: it takes "numpy" or "R".')
    if isinstance(seed, np.random.Generator) and rng == "R":
        raise OptionValueError(
            'rng="R": the seed is a generator of NumPy, whose numbers are not those of R. Pass a '
            "whole number, or leave rng out."
        )
    if isinstance(seed, RStream | np.random.Generator):
        return seed
    if rng == "numpy":
        if not isinstance(seed, np.random.SeedSequence):
            require_seed(seed)
        return np.random.default_rng(seed)  # type: ignore[arg-type]
    if seed is None or isinstance(seed, np.random.SeedSequence):
        words = (seed or np.random.SeedSequence()).generate_state(1)
        return RStream(int(words[0]) >> 1)
    return RStream(seed)  # type: ignore[arg-type]


def normals(stream: Stream, rows: int, columns: int) -> Array:
    """Independent standard normal numbers, one column after the other, (rows, columns)."""
    if isinstance(stream, RStream):
        drawn = stream.normal(rows * columns)
    else:
        drawn = stream.standard_normal(rows * columns)
    return drawn.reshape(columns, rows).T


def distribution(kind: object, keyword: str) -> Distribution:
    """How standardised numbers of a distribution are drawn.

    Those that are not normal are made of normal ones, F⁻¹(Φ(z)): with the same seed, data sets
    that differ in a distribution have the rest in common.

    Parameters
    ----------
    kind : str or callable
        "normal"; "t5" or any other "t<df>" of more than 2; "chi2" (of one degree of freedom) or
        "chi2_<df>"; all with mean 0 and variance 1. Or a function of the stream and a shape
        (rows, columns).
    keyword : str
        For errors.
    """
    if callable(kind):
        return lambda stream, rows, columns: _checked(kind, stream, (rows, columns), keyword)
    if kind == "normal":
        return normals
    family, df = _family(kind, keyword)
    if family == "t":
        scale = np.sqrt((df - 2.0) / df)
        return lambda *place: scale * stdtrit(df, ndtr(normals(*place)))
    shape = 0.5 * df
    scale = 1.0 / np.sqrt(2.0 * df)
    return lambda *place: scale * (2.0 * gammaincinv(shape, ndtr(normals(*place))) - df)


def _family(kind: object, keyword: str) -> tuple[str, float]:
    family = re.fullmatch(r"(t|chi2)_?([0-9.]*)", kind) if isinstance(kind, str) else None
    try:
        assert family is not None
        df = float(family[2]) if family[2] else DEFAULT_CHI2
        assert df > 2.0 if family[1] == "t" else df > 0.0
    except (AssertionError, ValueError):
        raise OptionValueError(
            f'{keyword}={kind!r}: it takes "normal", "t5" (or more than 2 other degrees of '
            'freedom), "chi2", "chi2_3", or a function of the random numbers and a shape that '
            "gives numbers of mean 0 and variance 1."
        ) from None
    return family[1], df


def _checked(
    function: Callable[..., Any], stream: Stream, shape: tuple[int, int], keyword: str
) -> Array:
    drawn = np.asarray(function(stream, shape), dtype=np.float64)
    if drawn.shape != shape:
        raise OptionValueError(
            f"the function {keyword} gave an array of shape {drawn.shape} where {shape} was asked "
            "for (rows, columns)."
        )
    return drawn


# --- cluster sizes --------------------------------------------------------------------------------


def cluster_sizes(wanted: object, n_clusters: int, stream: Stream) -> Index:
    """Rows of each cluster, (J,).

    Parameters
    ----------
    wanted : int, sequence (J,), callable (stream, J) or scipy's distribution
        Drawn sizes are rounded, and raised to 1 where they are less.
    """
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        return _given_sizes([int(wanted)] * n_clusters, n_clusters)
    if hasattr(wanted, "rvs"):
        if isinstance(stream, RStream):
            raise OptionValueError(
                "cluster_size: scipy's distributions do not draw from R's stream: rng=\"numpy\", "
                "or a function of the stream."
            )
        return _drawn_sizes(wanted.rvs(size=n_clusters, random_state=stream), n_clusters)  # type: ignore[attr-defined]
    if callable(wanted):
        return _drawn_sizes(wanted(stream, n_clusters), n_clusters)
    if isinstance(wanted, Sequence | np.ndarray) and not isinstance(wanted, str):
        return _given_sizes(wanted, n_clusters)
    raise OptionValueError(
        f"cluster_size={wanted!r}: it takes a number of rows, one for each cluster, a function of "
        "the random numbers and the number of clusters, or a distribution of scipy's."
    )


def _given_sizes(wanted: Sequence[int] | NDArray[Any], n_clusters: int) -> Index:
    sizes = np.asarray(wanted)
    if sizes.shape != (n_clusters,):
        raise OptionValueError(
            f"cluster_size has {sizes.size} values for {n_clusters} clusters: one each."
        )
    if not (np.issubdtype(sizes.dtype, np.integer) and (sizes >= 1).all()):
        raise OptionValueError("cluster_size: sizes are whole numbers from 1.")
    return sizes.astype(np.intp)


def _drawn_sizes(drawn: object, n_clusters: int) -> Index:
    sizes = np.asarray(drawn, dtype=np.float64)
    if sizes.shape != (n_clusters,) or not np.isfinite(sizes).all():
        raise OptionValueError(
            f"cluster_size gave {sizes.size} values for {n_clusters} clusters, or some that are "
            "no numbers: it takes one number for each."
        )
    return np.maximum(np.rint(sizes), 1).astype(np.intp)
