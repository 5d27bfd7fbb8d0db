"""The edge of the library: NumPy's warnings about single operations stay inside.

What is infinite, undefined or lost in a calculation is looked at where it is used, and said in the
library's own words. Nothing of the process is changed for that: `numpy.errstate` holds for the
thread alone, and ends with the call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

Given = ParamSpec("Given")
Found = TypeVar("Found")


def quiet(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The function, in which no operation of NumPy's warns or raises, whatever its caller set."""

    @wraps(function)
    def silent(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return silent
