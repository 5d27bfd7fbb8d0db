"""Names of functions and attributes of other programs: what to type here, as one table.

Each is answered wherever it is typed, `mlsem.fitMeasures(fit)` or `fit.fitMeasures()`; the pages
"Coming from ..." print the same table. What is to be typed is an expression that runs, of

    fit, simple, full   fitted models, the last two nested
    mixed               a fit of `mlsem.lmm`
    model, formula, data
    pisa                data with weights and plausible values
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mlsem.errors import UnknownNameError, closest
from mlsem.other_programs.lavaan_names import LAVAAN
from mlsem.other_programs.mixed_names import MIXED
from mlsem.other_programs.options import plain
from mlsem.other_programs.python_names import PYTHON
from mlsem.other_programs.survey_names import SURVEYS
from mlsem.other_programs.trial_names import TRIALS

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What there is here in place of a function or attribute.

    Attributes
    ----------
    names : tuple of str
        As they are spelt there; the first is the usual one.
    program : str
        Whose they are.
    here : str
        The expression; empty where there is nothing.
    note : str
        What differs, or what to do instead, in sentences.
    """

    names: tuple[str, ...]
    program: str
    here: str
    note: str = ""

    def said_of(self, name: str) -> str:
        """The answer to one who typed this name."""
        head = f"{name!r} is from {self.program}"
        middle = f": here it is {self.here}." if self.here else " and has no counterpart here."
        return f"{head}{middle} {self.note}".rstrip()


# Functions of mlsem that R or habit asks of a fit.
_OWN = (
    ("lr_test", "mlsem.lr_test(simple, full)"),
    ("compare", "mlsem.compare([simple, full])"),
    ("fit_many", 'mlsem.fit_many(model, [data, data], cluster="id")'),
    ("pool", "mlsem.pool([fit, fit])"),
    ("invariance", 'mlsem.invariance(factors, pupils, group="half", cluster="cluster")'),
    ("missing_patterns", 'mlsem.missing_patterns(data, model, cluster="id")'),
    ("moments", 'mlsem.moments(model, data, cluster="id")'),
    ("check", "mlsem.check(model, data)"),
    ("cluster_means", 'mlsem.cluster_means(data, ["x1"], cluster="id")'),
    ("load_example", 'mlsem.load_example("article")'),
    ("example_model", 'mlsem.example_model("article")'),
    ("fit sem", 'mlsem.fit(model, data, cluster="id")'),
    ("cfa", 'mlsem.cfa(model, data, cluster="id")'),
    ("growth", 'mlsem.growth(model, data, cluster="id")'),
    ("lavaan", 'mlsem.lavaan(model, data, cluster="id", auto_var=True)'),
    ("lmm", "mlsem.lmm(formula, data)"),
    ("glm", 'mlsem.glm("y ~ x1", data, cluster="id", family="gaussian")'),
    ("gee", 'mlsem.gee("y ~ x1", data, cluster="id", family="gaussian")'),
    ("within_between", 'mlsem.within_between("y ~ x1 + w1", data, cluster="id")'),
    ("summary_table", "mlsem.summary_table([simple, full])"),
    ("simulate", "mlsem.simulate(truth, n_clusters=50, cluster_size=10, seed=1)"),
    (
        "study",
        'mlsem.study((truth, {"cluster_size": 10}), {"ML": {"model": model, "cluster": "id"}}, 10)',
    ),
    ("plan", "mlsem.plan(clusters=12, size=20, icc=0.1)"),
)
OWN = {name: here for names, here in _OWN for name in names.split()}

COUNTERPARTS: tuple[Counterpart, ...] = tuple(
    Counterpart(tuple(names.split()), program, here, note)
    for names, program, here, note in (*LAVAAN, *MIXED, *PYTHON, *SURVEYS, *TRIALS)
)


@cache
def _by_name() -> dict[str, Counterpart]:
    return {name: each for each in reversed(COUNTERPARTS) for name in each.names}


@cache
def _by_plain_name() -> dict[str, Counterpart]:
    return {plain(name): each for each in reversed(COUNTERPARTS) for name in each.names}


def counterpart(name: str) -> Counterpart | None:
    """Of a name of another program; capitals, dots and underscores may differ."""
    return _by_name().get(name) or _by_plain_name().get(plain(name))


def unknown_name(
    name: str, place: str, known: Iterable[str], of_fits: type | None = None
) -> UnknownNameError:
    """The error for a name that `place` does not have.

    Parameters
    ----------
    place : str
        Such as "a FitResult".
    known : iterable of str
        The public names there.
    of_fits : class, optional
        That of fits, where `place` is the package.
    """
    known, asked = tuple(known), {} if of_fits is None else _asked_of(of_fits)
    return UnknownNameError(_advice(name, known, asked) or f"{place} has no {name!r}.", name)


def public_names(kind: type) -> list[str]:
    """Attributes and methods that its users see."""
    names = {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}
    return sorted(name for name in names if not name.startswith("_"))


def _asked_of(kind: type) -> dict[str, str]:
    """Public name of a fit → how it is written."""
    methods = {name for name in dir(kind) if callable(getattr(kind, name))}
    return {name: f"fit.{name}{'()' * (name in methods)}" for name in public_names(kind)}


def _advice(name: str, known: tuple[str, ...], asked: dict[str, str]) -> str:
    """From what is certain to what is likely."""
    if name in asked:
        return f"{name!r} is asked of a fit: {asked[name]}."
    if name in OWN and name not in known:
        return f"{name!r} is a function of the package: {OWN[name]}."
    exact = _by_name().get(name)
    if exact is not None:
        return exact.said_of(name)
    written = {each: each for each in known} | asked
    same = {plain(each): here for each, here in written.items()}.get(plain(name))
    if same is not None:
        return f"There is no {name!r}. Did you mean {same!r}?"
    alike = counterpart(name)
    if alike is not None:
        return alike.said_of(name)
    return _nearest(name, written)


_ALIKE = 0.75


def _nearest(name: str, written: dict[str, str]) -> str:
    own = closest(name, written, _ALIKE)
    if own is not None:
        return f"There is no {name!r}. Did you mean {written[own]!r}?"
    other = closest(name, _by_name(), _ALIKE)
    if other is not None:
        return f"There is no {name!r}. If you mean {other!r}: {_by_name()[other].said_of(other)}"
    return ""
