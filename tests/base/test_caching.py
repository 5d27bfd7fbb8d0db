"""What is kept between fits: the same as before, quickly found, and bounded in bytes."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from sys import getsizeof
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.api.fit import check
from mlsem.base.caching import CACHE, Cache, footprint
from mlsem.syntax.mixed import read_formula
from mlsem.syntax.parse import parse


def deep_bytes(value: Any) -> int:
    """Bytes of everything that can be reached, each object once."""
    seen: dict[int, Any] = {}
    left = [value]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, (bool, type)) or each is None:
            continue
        seen[id(each)] = each
        if isinstance(each, dict):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, (tuple, list, frozenset)):
            left += each
        elif is_dataclass(each):
            left += [getattr(each, field.name) for field in fields(each)]
    return sum(map(getsizeof, seen.values()))


def model(items: int, name: str = "v", comment: int = 0) -> str:
    names = [f"{name}{k}" for k in range(items)]
    sums = (" + ".join(names[k : k + 5]) for k in range(0, items, 5))
    return "\n".join(f"f{k} =~ {each}" for k, each in enumerate(sums)) + "\n#" + "c" * comment


CALCULATED = "y ~ a*x + b*z\n" + "\n".join(f"d{k} := a*b + {k}*(a - b)^2" for k in range(300))
TEXTS = {
    "small": model(10),
    "large": model(150),
    "commented": model(10, comment=200_000),
    "long names": model(60, name="n" * 200),
    "definitions": CALCULATED,
    "constraints": "y ~ a*x + b*z\n" + "\n".join(f"a + {k}*b < {k}" for k in range(300)),
    "two levels": "level: 1\n" + model(20) + "\nlevel: 2\n" + model(20),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_sizes_are_honest(text: str) -> None:
    for found in (parse(text), check(text)):
        assert 0.8 < footprint(found) / deep_bytes(found) < 3.0


@pytest.mark.parametrize("terms", ["x", " + ".join(f"x{k}" for k in range(300)), "(a+b+c+d+e+f)^6"])
def test_sizes_of_formulas_are_honest(terms: str) -> None:
    found = read_formula(f"y ~ {terms} + (1 | g)")
    assert 0.8 < footprint(found) / deep_bytes(found) < 5.0


def test_what_is_longest_unused_goes_first() -> None:
    cache, calls = Cache(entries=4, size=10_000), list[int]()

    @cache.remember
    def text(k: int) -> str:
        calls.append(k)
        return "x" * k

    for k in (1, 2, 3, 4, 1, 5):  # 2 and 3 make room
        text(k)
    assert calls == [1, 2, 3, 4, 5]
    assert len(cache) == 3
    text(1), text(2)
    assert calls == [1, 2, 3, 4, 5, 2]
    for k in range(1000, 1020):
        text(k)
    assert 0 < cache.bytes <= 10_000
    text(9_000), text(9_000)
    assert calls[-2:] == [9_000, 9_000]  # too large to be kept
    cache.clear()
    assert len(cache) == cache.bytes == 0


def test_errors_are_not_kept_and_threads_agree() -> None:
    cache = Cache(entries=50, size=20_000)

    @cache.remember
    def square(k: int) -> int:
        if k == 0:
            raise ValueError("none of zero")
        return k * k

    with pytest.raises(ValueError, match="none of zero"):
        square(0)
    with ThreadPoolExecutor(8) as pool:
        numbers = [1 + k * k % 97 for k in range(4000)]
        assert list(pool.map(square, numbers)) == [k * k for k in numbers]
    assert len(cache) <= 50
    assert cache.bytes == sum(entry.size for entry in cache._entries.values()) <= 20_000


def test_many_large_models_hold_no_more_than_the_bound() -> None:
    data = pd.DataFrame(np.random.default_rng(1).normal(size=(30, 2)), columns=["y", "x"])
    CACHE.clear()
    tracemalloc.start()
    try:
        for k in range(60):
            text = f"y ~ x\n#{k}" + "c" * 1_500_000
            if k % 30 == 0:
                mlsem.fit(text, data)
            check(text)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        CACHE.clear()
    assert CACHE.most_bytes < 70e6
    assert held < 1.1 * CACHE.most_bytes


def test_ordinary_models_are_kept() -> None:
    CACHE.clear()
    tables = [check(model(20, name=f"v{k}_")) for k in range(100)]
    again = [check(model(20, name=f"v{k}_")) for k in range(100)]
    assert all(one is other for one, other in zip(tables, again, strict=True))
