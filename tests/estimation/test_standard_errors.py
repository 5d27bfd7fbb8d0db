"""Kinds of standard errors: one registry, which everything reads."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

import mlsem
from mlsem.estimation import standard_errors
from mlsem.estimation.settings import Settings
from mlsem.estimation.standard_errors import KINDS, Adjustment, Factor, StandardErrors

MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
PACKAGE = Path(mlsem.__file__).parent
BETWEEN = StandardErrors(
    name="CR2.5",
    title="Halfway to the jackknife",
    bread="observed",
    sandwich=True,
    adjustment=Adjustment(0.75),
    reference="t",
    aliases=("halfway",),
)
DOUBLED = StandardErrors(
    name="Double",
    title="Robust, doubled",
    bread="observed",
    sandwich=True,
    factor=Factor("2", lambda clusters, rows, params: (2, 1)),
)


# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")


@pytest.fixture
def more(monkeypatch):
    """Two kinds that nobody has."""
    added = {kind.name: kind for kind in (BETWEEN, DOUBLED)}
    monkeypatch.setattr(standard_errors, "KINDS", MappingProxyType({**KINDS, **added}))


def few():
    data = mlsem.load_example("article")
    return data[data["id"].isin(sorted(data["id"].unique())[:12])]


@pytest.fixture(scope="module")
def fit():
    return mlsem.fit(MODEL, few(), cluster="id")


def test_a_kind_is_added_by_its_record(fit, more):
    halfway = fit.with_se("Halfway")
    assert halfway.se_kind == "CR2.5"
    two, three = (fit.with_se(kind).bse["y~x1"] for kind in ("CR2", "CR3"))
    assert min(two, three) < halfway.bse["y~x1"] < max(two, three)
    assert np.isfinite(halfway.covariance.df).all()
    assert halfway.wald_test("`y~x1` == 0").test == "HTZ"
    assert "Halfway to the jackknife" in str(halfway.summary())
    ratio = fit.compare_se(["standard", "CR2.5"], draws=0).ratios["CR2.5"]
    assert np.isfinite(ratio).all()
    again = mlsem.fit(MODEL, few(), cluster="id", se="cr2.5", information="observed")
    np.testing.assert_allclose(again.bse, halfway.bse)


def test_a_sandwich_with_a_factor_of_its_own(fit, more):
    doubled, plain = fit.with_se("double"), fit.with_se("MLR")
    np.testing.assert_allclose(doubled.covariance.matrix, 2.0 * plain.covariance.matrix, rtol=1e-14)
    assert doubled.covariance.form == "observed, times 2"
    assert doubled.wald_test("`y~x1` == 0").test == "chi2"
    assert not any("Double standard errors are too small" in note for note in doubled.notes)
    assert any("MLR standard errors are too small" in note for note in plain.notes)


def test_refusals_name_the_kinds_that_there_are(fit, more):
    with pytest.raises(mlsem.OptionValueError, match=r"'CR3', 'replicates', 'none', 'CR2\.5'"):
        fit.with_se("CR4")
    with pytest.raises(mlsem.OptionValueError, match=r'se="CR2\.5" has degrees of freedom of its'):
        fit.with_se("CR2.5", df="satterthwaite")
    with pytest.raises(mlsem.OptionValueError, match='which se="Double" does not have'):
        fit.with_se("Double", test="t")


def test_lmm_knows_model_based_errors_however_they_are_written():
    said, plain = (
        mlsem.lmm("y ~ x1 + (1 | id)", few(), REML=False, test="z", **options)
        for options in ({"se": "Standard"}, {})
    )
    assert said.covariance.form == plain.covariance.form == "expected"
    assert said.se_kind == plain.se_kind == "standard"


def test_names_are_told_apart():
    names = [name for kind in KINDS.values() for name in (kind.name.lower(), *kind.aliases)]
    assert len(set(names)) == len(names)
    for name, kind in KINDS.items():
        assert standard_errors.named(name) is kind
        assert standard_errors.named(name.upper()) is kind
        assert pickle.loads(pickle.dumps(kind)) == kind


@pytest.mark.parametrize(
    "documented", [mlsem.fit, mlsem.FitResult.with_se, Settings], ids=lambda each: each.__name__
)
def test_docstrings_list_them(documented):
    assert "{" + ", ".join(f'"{name}"' for name in KINDS) + "}" in documented.__doc__


def test_factors():
    factor = {name: kind.factor for name, kind in KINDS.items()}
    assert factor["CR1"](10, 200, 4) == 10 / 9
    assert factor["CR1p"](10, 200, 4) == 10 / 6
    assert factor["CR1S"](10, 200, 4) == 10 * 199 / (9 * 196)
    assert np.isnan(factor["CR1p"](4, 200, 4))


@pytest.mark.parametrize("reml", [True, False])
def test_the_plain_sandwich(reml):
    assert standard_errors.plain_sandwich(reml=reml).name == ("CR0" if reml else "MLR")


# --- nothing else knows them ----------------------------------------------------------------------

FOREIGN = ("porting",)  # where "ML" and "none" are words of R and Mplus
OTHER_WORDS = ("estimator", "bounds", "intercepts")  # keywords that have values of the same names


def test_no_kind_is_compared_outside_the_registry():
    found = [
        f"{file.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node)[:80]}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.name != "standard_errors.py" and file.relative_to(PACKAGE).parts[0] not in FOREIGN
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if _tells_kinds_apart(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'kind == "MLR"',
        'kind in ("MLR", "CR0")',
        '"none" in kinds',
        'kind.startswith("CR")',
        '{"CR2": 0.5, "CR3": 1.0}[kind]',
        'NAMES.get("MLR", 1)',
    ],
)
def test_the_scan_sees(code):
    assert any(_tells_kinds_apart(node) for node in ast.walk(ast.parse(code)))


def _tells_kinds_apart(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        text = ast.unparse(node)
        other = any(word in text for word in OTHER_WORDS)
        return not other and bool(_strings(node) & set(KINDS))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        asked, name = {each for arg in node.args for each in _strings(arg)}, node.func.attr
        if name == "startswith":
            return any(each and each != each.lower() and "CR2".startswith(each) for each in asked)
        return name == "get" and bool(asked & set(KINDS))
    if isinstance(node, ast.Dict):
        return len({k.value for k in node.keys if isinstance(k, ast.Constant)} & set(KINDS)) > 1
    return False


def _strings(node: ast.AST) -> set[str]:
    return {
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
