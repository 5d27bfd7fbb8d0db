"""The data sets that come with the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError, listed, nearest
from mlsem.other_programs.answering import answering

if TYPE_CHECKING:
    import pandas as pd

DRAWN = "simulated: examples/make_data.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A data set.

    Attributes
    ----------
    rows, clusters : int
    cluster : str or None
        Column of the clusters; None where each row is one of its own.
    columns : str
        The others.
    about, source : str
    model : str or None
        File of the model that is fitted to it.
    """

    rows: int
    clusters: int
    cluster: str | None
    columns: str
    about: str
    source: str
    model: str | None


EXAMPLES = {
    "article": Example(
        rows=500,
        clusters=50,
        cluster="id",
        columns="w1, x1, y",
        about="a cross-level interaction, and a random slope that may be left out",
        source="simulated in R, after Huang & Zhang (2025)",
        model="article",
    ),
    "demo_twolevel": Example(
        rows=2500,
        clusters=200,
        cluster="cluster",
        columns="y1-y6, x1-x3, w1, w2",
        about="six indicators within and between clusters, covariates at each level",
        source="Demo.twolevel of lavaan (Rosseel, 2012)",
        model="two_level_cfa",
    ),
    "mediation": Example(
        rows=1088,
        clusters=80,
        cluster="id",
        columns="x, m, y, w, z",
        about="mediation 1-1-1 (x, m, y) and 2-1-1 (z, m, y)",
        source="simulated in R",
        model="mediation",
    ),
    "growth": Example(
        rows=600,
        clusters=120,
        cluster="pupil",
        columns="year, programme, reading",
        about="five waves of pupils, half of them in a programme: a row for each wave",
        source=DRAWN,
        model="growth",
    ),
    "growth_wide": Example(
        rows=120,
        clusters=120,
        cluster=None,
        columns="pupil, programme, reading0-reading4",
        about="the same with a row for each pupil, for mlsem.growth",
        source=DRAWN,
        model="growth_wide",
    ),
    "trial": Example(
        rows=240,
        clusters=12,
        cluster="clinic",
        columns="arm, treated, age, before, after",
        about="a cluster-randomised trial with few clusters",
        source=DRAWN,
        model="trial",
    ),
    "invariance": Example(
        rows=1200,
        clusters=120,
        cluster="school",
        columns="country, y1-y4",
        about="pupils in schools in six countries: four items, two of which differ",
        source=DRAWN,
        model="invariance",
    ),
    "holes": Example(
        rows=600,
        clusters=60,
        cluster="school",
        columns="climate, grade, q1-q3",
        about="a questionnaire with missing values at both levels",
        source=DRAWN,
        model="holes",
    ),
}
MORE_MODELS = {"mediation_211": "mediation_211"}
"""Further models, by name, with their files."""


def _listing(function: Callable[[str], pd.DataFrame]) -> Callable[[str], pd.DataFrame]:
    """With the data sets in the docstring."""
    lines = [
        f'        "{name}": {each.about}; {each.rows} rows'
        + (f" in {each.clusters} clusters (`{each.cluster}`)" if each.cluster else "")
        + f", {each.columns}"
        for name, each in EXAMPLES.items()
    ]
    if function.__doc__:
        function.__doc__ = function.__doc__.replace("        {examples}", "\n".join(lines))
    return function


@answering
@_listing
def load_example(name: str) -> pd.DataFrame:
    """The data of an example.

    Parameters
    ----------
    name : str
        {examples}

    Returns
    -------
    DataFrame

    Raises
    ------
    OptionValueError
        There is no such example.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("trial")
    >>> data.groupby("arm")["clinic"].nunique().to_dict()
    {'control': 6, 'treatment': 6}
    """
    from mlsem.data.frames.files import read_table

    return read_table(_path(_known(name, EXAMPLES), ".csv"))


@answering
def example_model(name: str) -> str:
    """The model text of an example.

    Parameters
    ----------
    name : str
        Of the data (see `load_example`); or "mediation_211", a second one of "mediation".

    Returns
    -------
    str

    Raises
    ------
    OptionValueError
        There is no such model.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("trial")
    >>> fit = mlsem.fit(mlsem.example_model("trial"), data, cluster="clinic", se="CR2")
    >>> fit.params.round(1)["after~treated.l2"]
    np.float64(3.8)
    """
    files = {key: each.model for key, each in EXAMPLES.items() if each.model} | MORE_MODELS
    return _path(files[_known(name, files)], ".lav").read_text("utf-8")


def examples() -> pd.DataFrame:
    """The data sets that come with the package.

    Returns
    -------
    DataFrame
        By name: `rows`, `clusters`, `cluster` (the column of their ids), the other `columns`,
        what it is `about`, its `source`. `load_example` has the data, `example_model` a model.

    Examples
    --------
    >>> import mlsem
    >>> mlsem.examples()[["rows", "clusters"]].head(3)
                   rows  clusters
    name
    article         500        50
    demo_twolevel  2500       200
    mediation      1088        80
    """
    import pandas as pd

    fields = ("rows", "clusters", "cluster", "columns", "about", "source")
    columns = {field: [getattr(each, field) for each in EXAMPLES.values()] for field in fields}
    return pd.DataFrame(columns, index=pd.Index(EXAMPLES, name="name"))


def _known(name: object, names: Iterable[str]) -> str:
    pool = tuple(names)
    if name not in pool:
        raise OptionValueError(
            f"There is no example {name!r}; there is {listed(pool)}.{nearest(str(name), pool)}"
        )
    return str(name)


def _path(name: str, suffix: str) -> Path:
    """The packed file, or the one in `examples/` of a checkout."""
    package = Path(__file__).parents[2]
    packed = package / "examples" / f"{name}{suffix}"
    return packed if packed.exists() else package.parent / "examples" / f"{name}{suffix}"
