"""lavaan's specification options, under lavaan's names with `_` for `.`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsem.errors import OptionError, OptionValueError, listed, nearest
from mlsem.other_programs.options import keyword_advice, plain, value_advice

if TYPE_CHECKING:
    from collections.abc import Mapping

Bounds = Literal["none", "pos.var", "pos.ov.var", "pos.lv.var", "standard", "wide"]
GroupEqual = Literal[
    "loadings",
    "intercepts",
    "means",
    "regressions",
    "residuals",
    "residual.covariances",
    "lv.variances",
    "lv.covariances",
]
LevelEqual = Literal["loadings"]
Preset = Literal["sem", "cfa", "growth", "lavaan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What `specify` adds to the rows that the user wrote.

    Attributes
    ----------
    std_lv : bool
        Latent variances are fixed to 1 and no loading is fixed.
    fixed_x : bool
        Exogenous observed covariates are conditioned on; of those with a part at both levels the
        moments are fixed at their estimates in the saturated model. False: all are modelled.
    meanstructure : bool or None
        Whether the means are part of the model. None: on with two levels or where the model
        writes an intercept, else off.
    auto_fix_first : bool or None
        The first loading of each latent variable is fixed to 1. None: unless `std_lv`.
    auto_fix_single : bool
        The residual variance of the only indicator of a latent variable is fixed to 0.
    auto_var : bool
        Variances and residual variances are added, free; False: they are fixed to 0.
    auto_cov_lv_x, auto_cov_y : bool
        Covariances among exogenous latent variables, among residuals of final outcomes.
    int_ov_free, int_lv_free : bool
        Intercepts of observed, of latent variables are free; False: they are fixed to 0.
    orthogonal : bool
        Covariances among latent variables that a default would add are fixed to 0.
    bounds : {"none", "pos.var", "pos.ov.var", "pos.lv.var", "standard", "wide"} or None
        Lower bound 0 for variances: of all, of observed, of latent variables. "standard" and
        "wide": upper and lower bounds for variances, covariances, loadings and paths that the
        variances in the data give (De Jonckere & Rosseel, 2022; `mlsem.estimation.bounds`).
    group_equal : tuple of str
        What is equal across groups, at both levels: "loadings", "intercepts" (of observed
        variables), "means" (means and intercepts of latent variables), "regressions", "residuals"
        (variances of observed variables), "residual.covariances", "lv.variances",
        "lv.covariances" (`mlsem.model.invariance`). A text alone is one of them.
    group_partial : tuple of str
        Parameters that are not, named as in "fw=~y3", "y1~1"; "y1~1.l2" is that of level 2 alone.
    level_equal : tuple of str
        What is equal at both levels, within each group: "loadings", those of a factor of level 1
        and one of level 2 with the same indicators (`mlsem.model.cross_level`).
    """

    std_lv: bool = False
    fixed_x: bool = True
    meanstructure: bool | None = None
    auto_fix_first: bool | None = None
    auto_fix_single: bool = True
    auto_var: bool = True
    auto_cov_lv_x: bool = True
    auto_cov_y: bool = True
    int_ov_free: bool = True
    int_lv_free: bool = False
    orthogonal: bool = False
    bounds: Bounds | None = None
    group_equal: tuple[str, ...] = ()
    group_partial: tuple[str, ...] = ()
    level_equal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in SEVERAL:
            value: Any = getattr(self, name)
            if not isinstance(value, tuple) or value:
                object.__setattr__(self, name, _texts(name, value))
        for name in OPTION_NAMES:
            _check(name, getattr(self, name))
        if self.std_lv and self.auto_fix_first:
            raise OptionValueError(
                "std_lv=True and auto_fix_first=True both set the scale of the latent variables. "
                "Leave one out."
            )

    @property
    def fixes_first(self) -> bool:
        """Whether first loadings are fixed to 1."""
        return not self.std_lv if self.auto_fix_first is None else self.auto_fix_first

    @property
    def data_bounds(self) -> str | None:
        """The kind of bounds that the data give."""
        return self.bounds if self.bounds in ("standard", "wide") else None

    @property
    def lower_observed(self) -> bool:
        return self.bounds in ("pos.var", "pos.ov.var")

    @property
    def lower_latent(self) -> bool:
        return self.bounds in ("pos.var", "pos.lv.var")


SEVERAL = {  # options that take several texts, with what these may be
    "group_equal": get_args(GroupEqual),
    "group_partial": (),
    "level_equal": get_args(LevelEqual),
}
OPTION_NAMES = tuple(field.name for field in fields(ModelOptions))


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """One text or several, each once; none of None or, as in lavaan, of an empty one."""
    texts = () if value is None else value
    if isinstance(value, str):
        texts = (value,) if value else ()
    if not isinstance(texts, Iterable) or not all(isinstance(text, str) for text in texts):
        example = '["f=~y3", "y1~1"]' if name == "group_partial" else '["loadings"]'
        raise OptionValueError(f"{name}={value!r}: it takes a list of texts, such as {example}.")
    return tuple(dict.fromkeys(texts))


def _check_equal(name: str, value: str) -> None:
    choices = SEVERAL[name]
    if not choices or value in choices:
        return
    same = {plain(choice): choice for choice in choices}.get(plain(value))
    advice = f"Did you mean {same!r}?" if same else value_advice(name, value)
    advice = advice or nearest(value, choices).strip()
    raise OptionValueError(
        f"{name}: {value!r} is not among the choices: {listed(choices)}. {advice}".rstrip()
    )


def _check(name: str, value: Any) -> None:
    if name in SEVERAL:
        for each in value:
            _check_equal(name, each)
        return
    if name == "bounds":
        choices = get_args(Bounds)
        if value is not None and value not in choices:
            raise OptionValueError(
                f"bounds={value!r} is not among the choices: None, {listed(choices)}. "
                f"{value_advice(name, value)}".rstrip()
            )
        return
    may_be_none = name in ("meanstructure", "auto_fix_first")
    if not isinstance(value, bool) and not (may_be_none and value is None):
        choices = "True, False or None" if may_be_none else "True or False"
        raise OptionValueError(f"{name}={value!r}: it takes {choices}.")


SEM = ModelOptions()
CFA = SEM
GROWTH = ModelOptions(int_ov_free=False, int_lv_free=True, meanstructure=True)
LAVAAN = ModelOptions(
    auto_fix_first=False,
    auto_fix_single=False,
    auto_var=False,
    auto_cov_lv_x=False,
    auto_cov_y=False,
    int_ov_free=False,
)
PRESETS: dict[str, ModelOptions] = {"sem": SEM, "cfa": CFA, "growth": GROWTH, "lavaan": LAVAAN}


def model_options(preset: Preset = "sem", /, **values: Any) -> ModelOptions:
    """The preset with the user's values in place of its own.

    Raises
    ------
    OptionError
        An unknown keyword.
    OptionValueError
        An unknown preset, or a value that the option does not take.
    """
    if preset not in PRESETS:
        raise OptionValueError(f"Preset {preset!r} is not among {listed(PRESETS)}.")
    require_known(values, OPTION_NAMES)
    return replace(PRESETS[preset], **values) if values else PRESETS[preset]


def split_options(
    keywords: Mapping[str, Any], others: Iterable[str] = (), named: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`keywords` parted into those of `ModelOptions` and those named in `others`.

    Parameters
    ----------
    named : iterable of str
        Parameters of the caller, for which a keyword may be a slip too.

    Raises
    ------
    OptionError
        A keyword is neither; the message says what there is in its place, or names the nearest.
    """
    others = tuple(others)
    require_known(keywords, (*OPTION_NAMES, *others), named)
    model = {name: value for name, value in keywords.items() if name in OPTION_NAMES}
    return model, {name: value for name, value in keywords.items() if name not in model}


ALIKE = 0.75  # of two names of options, from which one may be a slip for the other


def require_known(
    keywords: Mapping[str, Any], known: Iterable[str], named: Iterable[str] = ()
) -> None:
    """Raise `OptionError` for the first keyword that is not `known`, with what to write."""
    known = tuple(known)
    for keyword, value in keywords.items():
        if keyword not in known:
            advice = _suggestion(keyword, value, (*known, *named))
            raise OptionError(f"Unknown option {keyword!r}.{advice}")


def _suggestion(keyword: str, value: object, known: tuple[str, ...]) -> str:
    """The known name that differs only in case, dots and underscores; else what there is in place
    of another program's option; else the nearest name."""
    bare = {plain(name): name for name in known}
    if plain(keyword) in bare:
        return f" Did you mean {bare[plain(keyword)]!r}?"
    advice = keyword_advice(keyword, value)
    return f" {advice}" if advice else nearest(keyword, known, ALIKE)
