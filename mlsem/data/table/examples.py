"""The example that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError, listed, nearest
from mlsem.other_programs.answering import answering

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = ("article",)


@answering
def load_example(name: str) -> pd.DataFrame:
    """The data of an example.

    Parameters
    ----------
    name : str
        `article`: 500 rows in 50 clusters (`id`) with `w1` (between), `x1` (within) and `y`.

    Returns
    -------
    DataFrame

    Raises
    ------
    OptionValueError
        There is no such example.
    """
    from mlsem.data.table.files import read_table

    return read_table(_path(name, ".csv"))


@answering
def example_model(name: str) -> str:
    """The model text of an example; see `load_example`."""
    return _path(name, ".lav").read_text("utf-8")


def _path(name: str, suffix: str) -> Path:
    """The packed file, or the one in `examples/` of a checkout."""
    if name not in EXAMPLES:
        raise OptionValueError(
            f"There is no example {name!r}; there is {listed(EXAMPLES)}.{nearest(name, EXAMPLES)}"
        )
    package = Path(__file__).parents[2]
    packed = package / "examples" / f"{name}{suffix}"
    return packed if packed.exists() else package.parent / "examples" / f"{name}{suffix}"
