"""R's stream of random numbers, so that a study written in R can be repeated draw by draw."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from mlsem.core.records import Array
from mlsem.errors import OptionValueError

WORDS = 624
SCRAMBLES = 50
UNIT = 2.3283064365386963e-10  # 2⁻³²
EDGE = 0.5 * 2.328306437080797e-10  # ½ / (2³² - 1), which R keeps uniforms away from 0 and 1 by
BIG = 134217728.0  # 2²⁷


class RStream:
    """R's default generator after `set.seed(seed)`: Mersenne Twister, normals by inversion.

    Calls continue the stream as calls of `runif` and `rnorm` do in R. Uniforms are R's to the
    last bit, standard normals to rounding (R's `qnorm` and ours differ by some 1e-15).

    Parameters
    ----------
    seed : int
        As `set.seed` takes it: a whole number of 32 bits with sign.

    Examples
    --------
    >>> stream = RStream(1)
    >>> [round(value, 7) for value in stream.normal(3).tolist()]
    [-0.6264538, 0.1836433, -0.8356286]
    """

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise OptionValueError(f"seed={seed!r}: R's set.seed takes a whole number.")
        if abs(int(seed)) >= 2**31:
            raise OptionValueError(f"seed={seed}: R's set.seed takes whole numbers below 2^31.")
        self._words = np.random.MT19937()
        self._words.state = {
            "bit_generator": "MT19937",
            "state": {"key": _scrambled(int(seed)), "pos": WORDS},
        }

    def uniform(self, count: int) -> Array:
        """The next `runif(count)`."""
        words = np.asarray(self._words.random_raw(count), dtype=np.float64)
        return np.clip(words * UNIT, EDGE, 1.0 - EDGE)

    def normal(self, count: int) -> Array:
        """The next `rnorm(count)`. Each takes two uniforms: 27 bits of the first, all of the
        second."""
        first, second = self.uniform(2 * count).reshape(count, 2).T
        return np.asarray(ndtri((np.floor(BIG * first) + second) / BIG), dtype=np.float64)


def _scrambled(seed: int) -> np.ndarray:
    """The 624 words of state that R makes of a seed, by a linear congruential generator."""
    word = seed % 2**32
    for _ in range(SCRAMBLES):
        word = _next(word)
    word = _next(word)  # stands for the position in the state, which R then sets to its end
    words: list[int] = []
    for _ in range(WORDS):
        word = _next(word)
        words.append(word)
    return np.array(words, dtype=np.uint32)


def _next(word: int) -> int:
    return (69069 * word + 1) % 2**32
