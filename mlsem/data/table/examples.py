"""The data sets that come with the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlsem.data.table.fay import with_replicates
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
    "assessment": Example(
        rows=2758,
        clusters=120,
        cluster="CNTSCHID",
        columns="CNT, STRATUM, CNTSTUID, WVARSTRR, UNIT, W_FSTUWT, W_FSCHWT, SCHSIZE, PRIVATE, "
        "CLIMATE, GIRL, OTHERLANG, ESCS, ANX1-4, PV1-10MATH, PV1-10READ, W_FSTURWT1-80",
        about="an assessment as of PISA: sampling weights, plausible values, questionnaires with "
        "gaps",
        source="simulated: examples/make_assessment.py",
        model="assessment",
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

    Notes
    -----
    "assessment" is drawn from a country of 2,400 schools in which ::

        math = 480 + 30 ESCS - 25 OTHERLANG + 20 PRIVATE + 10 CLIMATE - 8 CLIMATE·ESCS
               + u0 + u1 ESCS + e,   SD(u0) = 35, SD(u1) = 16, SD(e) = 65
        anxiety = -0.5 (math - 480) / 100 + 0.25 GIRL + u + e,   SD(u) = 0.3, SD(e) = 0.8

    ANX1 to ANX4 load on anxiety by 1, 0.9, 1.1 and 0.8. Schools were drawn by size (SCHSIZE), and
    in large ones u0 and u1 are larger (correlations of .6 and .5 with the logarithm); private
    schools, and pupils who speak another language at home, were drawn more often. `W_FSTUWT` are
    total weights of pupils, `W_FSCHWT` those of schools; a pupil's conditional weight is their
    ratio. Weak pupils left out more answers. Plausible values are draws given tests and all
    answers. The 80 replicate weights follow Fay's rule with k = .5, in zones (WVARSTRR) of two
    schools each.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("trial")
    >>> data.groupby("arm")["clinic"].nunique().to_dict()
    {'control': 6, 'treatment': 6}
    """
    from mlsem.data.frames.files import read_table

    table = read_table(_path(_known(name, EXAMPLES), ".csv"))
    if name == "assessment":  # 80 columns that follow from three
        return with_replicates(table, "W_FSTUWT", "WVARSTRR", "UNIT", "W_FSTURWT{}")
    return table


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
