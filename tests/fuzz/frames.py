"""Hostile data: a good frame, and the ways in which frames go bad."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

Frame = Any
Spoiler = Callable[[Frame, np.random.Generator], Frame]
SPOILERS: dict[str, Spoiler] = {}
NUMBERS = ("y", "x1", "w1", "y2", "y3")


def good(rng: np.random.Generator, clusters: int = 9, size: int = 4) -> pd.DataFrame:
    """Columns id, school, w1, x1, y, y2, y3."""
    n = clusters * size
    ids = np.repeat(np.arange(clusters), size)
    w1, u = np.repeat(rng.normal(size=(2, clusters)), size, axis=1)
    x1, f, e, e2, e3 = rng.normal(size=(5, n))
    return pd.DataFrame(
        {
            "id": ids,
            "school": ids // 2,
            "w1": w1,
            "x1": x1,
            "y": 0.5 * x1 + 0.3 * w1 + u + f + e,
            "y2": f + u + e2,
            "y3": f - 0.5 * u + e3,
        }
    )


def spoiler(function: Spoiler) -> Spoiler:
    SPOILERS[function.__name__] = function
    return function


def spoilt(rng: np.random.Generator) -> tuple[str, Frame]:
    """A frame that one or two things are wrong with, and their names."""
    frame: Frame = good(rng)
    names = [str(name) for name in rng.choice(list(SPOILERS), size=rng.integers(1, 3))]
    done = []
    for name in names:
        if not isinstance(frame, pd.DataFrame):
            break
        try:
            frame = SPOILERS[name](frame, rng)
        except Exception:  # it cannot be spoilt that way on top of the other
            continue
        done.append(name)
    return "+".join(done), frame


def _column(rng: np.random.Generator) -> str:
    return str(rng.choice(NUMBERS))


def _set(frame: pd.DataFrame, name: str, values: Any) -> pd.DataFrame:
    return frame.assign(**{name: values})


def _cells(frame: Frame, name: str, cell: object, rng: np.random.Generator) -> Frame:
    return with_cell(frame, name, cell, int(rng.integers(len(frame))))


def with_cell(frame: Frame, name: str, cell: object, row: int) -> Frame:
    values = frame[name].astype(object).tolist()
    values[row] = cell
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return _set(frame, name, pd.Series(column, index=frame.index, dtype=object))


# --- numbers -----------------------------------------------------------------------------------


@spoiler
def scaled(frame: Frame, rng: np.random.Generator) -> Frame:
    power = rng.choice([-320, -300, -160, -100, -30, -12, 12, 30, 100, 153, 160, 300])
    name = _column(rng)
    with np.errstate(all="ignore"):
        return _set(frame, name, frame[name] * float(f"1e{power}"))


@spoiler
def all_scaled(frame: Frame, rng: np.random.Generator) -> Frame:
    factor = float(f"1e{rng.choice([-200, -100, -30, 30, 100, 150])}")
    return frame.assign(**{name: frame[name] * factor for name in NUMBERS})


@spoiler
def shifted(frame: Frame, rng: np.random.Generator) -> Frame:
    name = _column(rng)
    return _set(frame, name, frame[name] + 10.0 ** rng.choice([5, 8, 12, 15, 17, 100, 160, 308]))


@spoiler
def infinite(frame: Frame, rng: np.random.Generator) -> Frame:
    return _cells(frame, _column(rng), float(rng.choice([np.inf, -np.inf])), rng)


@spoiler
def infinite_doubles(frame: Frame, rng: np.random.Generator) -> Frame:
    name = _column(rng)
    return _set(frame, name, frame[name].where(frame.index != frame.index[0], np.inf))


@spoiler
def extreme(frame: Frame, rng: np.random.Generator) -> Frame:
    cell = float(rng.choice([1.7e308, -1.7e308, 5e-324, 1e200]))
    name = _column(rng)
    return _set(frame, name, frame[name].where(np.arange(len(frame)) != 1, cell))


@spoiler
def missing(frame: Frame, rng: np.random.Generator) -> Frame:
    share = float(rng.choice([0.1, 0.5, 0.9, 1.0]))
    name = _column(rng)
    return _set(frame, name, frame[name].mask(rng.random(len(frame)) < share))


@spoiler
def missing_everywhere(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame.mask(rng.random(frame.shape) < 0.3)


@spoiler
def constant(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, _column(rng), float(rng.choice([0.0, -0.0, 1.0, 1e300, np.pi])))


@spoiler
def nearly_constant(frame: Frame, rng: np.random.Generator) -> Frame:
    name = _column(rng)
    return _set(frame, name, 1.0 + np.where(np.arange(len(frame)) == 3, 1e-15, 0.0))


@spoiler
def copied(frame: Frame, rng: np.random.Generator) -> Frame:
    first, second = rng.choice(NUMBERS, size=2, replace=False)
    return _set(frame, str(first), frame[str(second)] * rng.choice([1.0, -1.0, 1.0 + 1e-14]))


@spoiler
def level_swapped(frame: Frame, rng: np.random.Generator) -> Frame:
    name = _column(rng)
    return _set(frame, name, frame.groupby("id")[name].transform("mean"))


@spoiler
def within_only(frame: Frame, rng: np.random.Generator) -> Frame:
    name = _column(rng)
    return _set(frame, name, frame[name] - frame.groupby("id")[name].transform("mean"))


@spoiler
def whole_numbers(frame: Frame, rng: np.random.Generator) -> Frame:
    name = _column(rng)
    return _set(frame, name, rng.integers(0, 2, len(frame)))


class Odd:
    """Says no to everything."""

    def __float__(self) -> float:
        raise ArithmeticError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


CELLS: tuple[object, ...] = (
    *(10**400, -(10**400), Fraction(1, 3), Fraction(10**400, 3), Fraction(1, 10**400)),
    *(Decimal("1.5"), Decimal("sNaN"), Decimal("NaN"), Decimal("Infinity"), Decimal("1e9999")),
    *(True, None, pd.NA, pd.NaT, np.float16(1), np.longdouble("1e4000"), 2**64, 1 + 2j),
    *("1.5", "", b"1", "\ud800", [1.0], (1,), {}, {1}, np.array([1.0]), np.array(1.0)),
    *(slice(1), object(), Odd(), float, dt.datetime(2020, 1, 1), dt.timedelta(1)),
    *(np.datetime64("NaT"), np.timedelta64(1, "s"), float("inf"), 1.7e308, 5e-324),
)
"""What may stand in one cell of a column of numbers."""


@spoiler
def odd_number(frame: Frame, rng: np.random.Generator) -> Frame:
    return _cells(frame, _column(rng), CELLS[int(rng.integers(len(CELLS)))], rng)


@spoiler
def odd_numbers(frame: Frame, rng: np.random.Generator) -> Frame:
    makers: list[Callable[[float], object]] = [
        Fraction,
        Decimal,
        str,
        complex,
        np.float16,
        lambda v: [v],
    ]
    maker = makers[int(rng.integers(len(makers)))]
    name = _column(rng)
    column = np.empty(len(frame), dtype=object)
    column[:] = [maker(float(value)) for value in frame[name]]
    return _set(frame, name, column)


@spoiler
def number_type(frame: Frame, rng: np.random.Generator) -> Frame:
    kinds = ("float16", "float32", "longdouble", "complex128", "int8", "uint64", "bool", "object")
    kinds += ("Int64", "Float32", "boolean", "string", "category", "datetime64[ns]", "str")
    kinds += ("timedelta64[ns]", "Sparse[float]", "double[pyarrow]", "string[pyarrow]")
    kind = str(rng.choice(kinds))
    name = _column(rng)
    values = frame[name]
    if kind in ("int8", "uint64", "Int64", "datetime64[ns]", "timedelta64[ns]"):
        values = (values * 10).round().abs()
    if kind == "boolean":
        values = values > 0
    if kind == "datetime64[ns]":
        return _set(frame, name, pd.to_datetime(values, unit="D"))
    return _set(frame, name, values.astype(kind))


@spoiler
def several_types(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame.astype(str(rng.choice(["float16", "float32", "object", "string", "category"])))


# --- ids ---------------------------------------------------------------------------------------


@spoiler
def id_type(frame: Frame, rng: np.random.Generator) -> Frame:
    kinds = ("float16", "float32", "longdouble", "complex128", "bool", "object", "category", "str")
    kinds += ("string", "Int64", "Float64", "boolean", "datetime64[ns]", "timedelta64[ns]", "S8")
    kinds += ("U8", "Sparse[int]", "int64[pyarrow]", "string[pyarrow]", "uint8", "period[D]")
    column = str(rng.choice(["id", "school"]))
    kind = str(rng.choice(kinds))
    if kind in ("datetime64[ns]", "timedelta64[ns]", "period[D]"):
        days = pd.to_datetime(frame[column], unit="D")
        made: Any = days if kind == "datetime64[ns]" else days - days.iloc[0]
        return _set(frame, column, days.dt.to_period("D") if kind == "period[D]" else made)
    return _set(frame, column, frame[column].astype(kind))


IDS: tuple[Callable[[int], object], ...] = (
    lambda v: [v],
    lambda v: {v},
    lambda v: (v, "a"),
    lambda v: np.array([v]),
    lambda v: "\ud800" * (v + 1),
    lambda v: f"a\x1b[31m{v}\n",
    lambda v: v if v % 2 else str(v),
    lambda v: None if v == 3 else v,
    lambda v: float("nan") if v == 3 else v,
    lambda v: Decimal("sNaN") if v == 3 else Decimal(v),
    lambda v: Fraction(v, 7),
    lambda v: 10**400 + v,
    lambda v: frozenset({v}),
    lambda v: b"\xff" * v,
    lambda v: Odd(),
    lambda v: pd.Interval(v, v + 1),
    lambda v: pd.Timestamp(v, tz="UTC"),
    lambda v: complex(v, 1),
    lambda v: v == 1,
    lambda v: np.float16(v),
    lambda v: "same",
    lambda v: {"a": v},
    lambda v: (int, str, float)[v % 3],
)
"""What a cluster may be called."""


def with_ids(frame: Frame, column: str, maker: Callable[[int], object]) -> Frame:
    values = np.empty(len(frame), dtype=object)
    values[:] = [maker(int(value)) for value in frame[column]]
    return _set(frame, column, pd.Series(values, index=frame.index, dtype=object))


@spoiler
def id_objects(frame: Frame, rng: np.random.Generator) -> Frame:
    return with_ids(frame, str(rng.choice(["id", "school"])), IDS[int(rng.integers(len(IDS)))])


@spoiler
def one_cluster(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, str(rng.choice(["id", "school"])), 7)


@spoiler
def two_clusters(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, "id", (frame["id"] > 3).astype(int))


@spoiler
def singletons(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, "id", np.arange(len(frame)))


@spoiler
def nearly_singletons(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, "id", np.maximum(np.arange(len(frame)), 1))


@spoiler
def missing_ids(frame: Frame, rng: np.random.Generator) -> Frame:
    column = str(rng.choice(["id", "school"]))
    return _set(frame, column, frame[column].mask(rng.random(len(frame)) < 0.2))


@spoiler
def crossed(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, "school", rng.integers(0, 3, len(frame)))


@spoiler
def unused_categories(frame: Frame, rng: np.random.Generator) -> Frame:
    return _set(frame, "id", pd.Categorical(frame["id"], categories=range(50), ordered=True))


@spoiler
def odd_categories(frame: Frame, rng: np.random.Generator) -> Frame:
    labels = [(k, "\ud800") for k in range(9)]
    return _set(
        frame,
        "id",
        pd.Categorical.from_codes(frame["id"], categories=pd.Index(labels, tupleize_cols=False)),
    )


# --- shapes ------------------------------------------------------------------------------------


@spoiler
def few_rows(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame.iloc[: int(rng.choice([0, 1, 2, 3, 5, 8]))]


@spoiler
def shuffled(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame.sample(frac=1.0, random_state=int(rng.integers(1000)))


@spoiler
def no_columns(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame[[]]


@spoiler
def column_gone(frame: Frame, rng: np.random.Generator) -> Frame:
    return frame.drop(columns=str(rng.choice(frame.columns)))


@spoiler
def column_twice(frame: Frame, rng: np.random.Generator) -> Frame:
    return pd.concat([frame, frame[[str(rng.choice(frame.columns))]]], axis=1)


@spoiler
def odd_columns(frame: Frame, rng: np.random.Generator) -> Frame:
    names: list[Any] = [
        0,
        None,
        ("a", "b"),
        1.5,
        "\ud800",
        "",
        " y",
        "x" * 5000,
        "w1:x1",
        dt.date.min,
    ]
    return frame.rename(columns={"y3": names[int(rng.integers(len(names)))]})


@spoiler
def several_levels(frame: Frame, rng: np.random.Generator) -> Frame:
    if rng.random() < 0.5:
        return frame.set_axis(pd.MultiIndex.from_product([["a"], frame.columns]), axis=1)
    return frame.set_index(["id", "school"], drop=bool(rng.integers(2)))


@spoiler
def odd_index(frame: Frame, rng: np.random.Generator) -> Frame:
    choice = int(rng.integers(5))
    if choice == 0:
        return frame.set_axis([0] * len(frame))
    if choice == 1:
        return frame.set_axis(pd.date_range("2020", periods=len(frame), tz="UTC"))
    if choice == 2:
        return frame.set_axis([f"\ud800{k}" for k in range(len(frame))])
    if choice == 3:
        return frame.set_axis(pd.Index([np.nan] * len(frame)))
    return frame.rename_axis("y")


@spoiler
def no_frame(frame: Frame, rng: np.random.Generator) -> Frame:
    others: list[Any] = [
        None,
        3,
        "d.csv",
        [],
        {},
        frame.to_dict("list"),
        frame["y"],
        frame.to_numpy(),
    ]
    others += [
        frame.to_records(),
        frame.groupby("id"),
        frame.T,
        pd.DataFrame,
        iter([]),
        frame.to_dict,
    ]
    return others[int(rng.integers(len(others)))]


@spoiler
def read_only(frame: Frame, rng: np.random.Generator) -> Frame:
    values = np.asfortranarray(frame.to_numpy(dtype=float))
    values.flags.writeable = False
    return pd.DataFrame(values[::-1], columns=frame.columns, copy=False)


@spoiler
def subclass(frame: Frame, rng: np.random.Generator) -> Frame:
    return OddFrame(frame)


class OddFrame(pd.DataFrame):
    """Of another class, as geopandas' are."""

    @property
    def _constructor(self) -> Any:
        return OddFrame
