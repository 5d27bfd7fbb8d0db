"""A formula from a stranger computes columns and can do nothing else; fits leave no trace."""

import builtins
import contextlib
import importlib
import random
import subprocess
import sys
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.design.mixed import read_mixed
from mlsem.data.design.r_evaluate import Scope
from mlsem.data.design.r_functions import CONSTANTS, FUNCTIONS, OPERATORS
from mlsem.errors import MlsemError, MlsemWarning, Span, SpecificationError
from mlsem.syntax.mixed import read_formula
from mlsem.syntax.r_language import Call, Symbol

RNG = np.random.default_rng(11)
DATA = pd.DataFrame({"id": np.repeat(np.arange(20), 6), "x": RNG.normal(size=120) + 5.0})
DATA["f"] = RNG.choice(["a", "b", "c"], 120)
DATA["y"] = DATA["x"] + RNG.normal(size=20)[DATA["id"]] + RNG.normal(size=120)

SPAN = Span(0, 0)
X = Symbol("x", SPAN)


def read(right):
    return read_mixed(read_formula(f"y ~ {right} + (1 | id)"), DATA, "listwise")


# --- what is reached ------------------------------------------------------------------------------


def test_numpy_is_its_functions_of_numbers():
    reached = [name.removeprefix("np.") for name in FUNCTIONS if name.startswith("np.")]
    assert {"exp", "arctan", "maximum", "where"} <= set(reached)
    for name in reached:
        assert "." not in name
        assert name == "where" or isinstance(getattr(np, name), np.ufunc)


def paths(module, name, depth):
    """`name.attribute`, `name.attribute.attribute` … of everything that a module holds."""
    for attribute in {*dir(module), *getattr(module, "__dict__", ())}:
        path = f"{name}.{attribute}"
        yield path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = getattr(module, attribute, None)
        if depth and isinstance(value, types.ModuleType):
            yield from paths(value, path, depth - 1)


ROOTS = [("np", "numpy"), ("pd", "pandas"), ("os", "os"), ("sys", "sys")]
ROOTS += [("mlsem", "mlsem"), ("__builtins__", "builtins"), ("subprocess", "subprocess")]


@pytest.mark.parametrize(("name", "module"), ROOTS)
def test_no_path_of_attributes_leads_anywhere(name, module):
    walked = {name, *paths(importlib.import_module(module), name, depth=1)}
    if name == "np":
        for each in (np.exp, np.add, np.ndarray, np.load, np.vectorize):
            walked |= set(paths(each, f"np.{each.__name__}", 1))
    assert len(walked) > 50
    scope = Scope(DATA, "")
    for path in sorted(walked - FUNCTIONS.keys() - CONSTANTS.keys()):
        with pytest.raises(MlsemError):
            scope.value(Call(path, (X,), (None,), SPAN))
        with pytest.raises(MlsemError):
            scope.value(Symbol(path, SPAN))


def test_no_name_of_python_is_known():
    words = {*dir(builtins), "lambda", "self", "frame", "np", "pd", "columns", "FUNCTIONS", "Scope"}
    for name in words - FUNCTIONS.keys() - {"True", "False", "None", "id"}:
        for right in (f"{name}(x)", f"I({name})", f"I(x + {name})"):
            with pytest.raises(MlsemError):
                read(right)


# --- what is tried ------------------------------------------------------------------------------

ATTACKS = [
    "np.load('{file}', allow_pickle=True)",
    "np.save('{file}', x)",
    "np.savetxt('{file}', x)",
    "np.random.seed(1)",
    "np.ctypeslib.load_library('c', '/')",
    "np.exp(x, out=x)",
    "np.exp(x, x)",
    "np.add(x, x, x)",
    "np.exp(x, dtype='int8')",
    "np.exp.at(x, 0)",
    "np.add.reduce(x)",
    "np.exp.__class__(x)",
    "np.vectorize(eval)(x)",
    "np.frompyfunc(eval, 1, 1)(x)",
    "np.seterr('ignore')",
    "x.to_csv('{file}')",
    "x.values.tofile('{file}')",
    "x.__class__",
    "x.__class__.__mro__[1].__subclasses__()",
    "f.str.cat()",
    "`x.to_csv`('{file}')",
    "`__import__`('os')",
    "`__import__('os').system('touch {file}')`",
    "__import__('os').system('touch {file}')",
    "eval('1')",
    "exec('import os')",
    "open('{file}', 'w')",
    "I(open('{file}', 'w'))",
    "getattr(x, 'to_csv')",
    "(lambda: x)()",
    "I(lambda z: z)",
    "I([z for z in x])",
    "I({{z for z in x}})",
    'I(f"{{x}}")',
    "I(x := 3)",
    "I(x if x else x)",
    "I(x; x)",
    "I(*x)",
    "I(**x)",
    "exp(**x)",
    "log(x)(x)",
    "(exp)(x)",
    "('exp')(x)",
    "scale(x, self=1)",
    "scale(x, __class__=1)",
    "mean.__globals__(x)",
    "FUNCTIONS['exp'](x)",
    "C(f, __class__)",
    "C(f, contr.__class__)",
    "I(9^9^9^9^9)",
    "rep(x, 1e12)",
    "I(1:1e12)",
    "poly(x, 1e9)",
    "bs(x, df=1e9)",
    "bs(x, degree=1e9)",
    "cut(x, seq(0, 1, 1e-300))",
    "I(" * 5000 + "x" + ")" * 5000,
    "-" * 5000 + "x",
    "x" + "^x" * 5000,
    "x" + ":x" * 5000,
    "(" + "+".join(f"a{k}" for k in range(60)) + ")^60",
    "I(x == '" + "x" * 100_000 + "')",
    "x\x00",
    "I('\\x27')",
]


def test_attacks_are_refused(tmp_path):
    """Nothing is opened, imported, compiled or started; the state of numpy stays."""
    attacks = [each.replace("{{", "{").replace("}}", "}") for each in ATTACKS]
    marked = [each.replace("{file}", str(tmp_path / "mark")) for each in attacks]
    texts = [f"y ~ {each} + (1 | id)" for each in marked]
    texts += [f"{each} ~ x + (1 | id)" for each in marked]
    texts += [f"y ~ x + ({each} | id)" for each in marked]
    code = f"""
import sys, warnings
import numpy as np, pandas as pd
import mlsem
from mlsem.data.design.mixed import read_mixed
from mlsem.errors import MlsemError
from mlsem.syntax.mixed import read_formula
data = pd.DataFrame({{"id": np.repeat(np.arange(20), 6), "x": np.linspace(1, 2, 120),
                     "y": np.arange(120.0) % 7, "f": ["a", "b", "c"] * 40}})
before = data.copy()
read = lambda text: read_mixed(read_formula(text), data, "listwise")
read("y ~ bs(x) + scale(x) + plogis(x) + cut(x, c(0, 1.5, 3)) + (1 | id)")  # modules are loaded
state = lambda: (np.random.get_state()[1].tolist(), np.geterr(), list(warnings.filters))
first, seen = state(), []
sys.addaudithook(lambda event, arguments: seen.append(event))
for text in {texts!r}:
    try:
        read(text)
        print("taken:", text[:80])
    except MlsemError:
        pass
assert state() == first
pd.testing.assert_frame_equal(data, before)
watched = ("open", "exec", "compile", "import", "os.", "subprocess.", "ctypes.", "pickle.")
print([event for event in seen if event.startswith(watched)])
"""
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True)
    assert done.stderr == ""
    *taken, events = done.stdout.splitlines()
    assert [line for line in taken if "9^9^9" not in line and "I(x == '" not in line] == []
    assert events == "[]"
    assert list(Path(tmp_path).iterdir()) == []


def test_random_formulas_end_in_a_model_or_our_error():
    draw = random.Random(3)
    frame = DATA.assign(flag=DATA["x"] > 5, many=pd.array([True, None] * 60, dtype="boolean"))
    frame = frame.assign(mixed=[1, "a", None] * 40, when=pd.date_range("2026-01-01", periods=120))
    atoms = [*frame.columns, "1", "0", "1e3", "'a'", "TRUE", "NA", "NULL", "pi", "c(1, 2)", "1:3"]
    signs = [*OPERATORS, "**", "~", "=", ",", "||", "$", "[", "'", "`"]
    words = ["na.rm", "df", "degree", "raw", "levels", "labels", "ref", "knots", "base", "right"]

    def text(depth):
        chance = draw.random()
        if not depth or chance < 0.25:
            return draw.choice(atoms)
        if chance < 0.65:
            inner = [text(depth - 1) for _ in range(draw.choice([1, 1, 2, 3]))]
            inner += [f"{draw.choice(words)}={text(0)}"] * (draw.random() < 0.3)
            return f"{draw.choice([*FUNCTIONS])}({', '.join(inner)})"
        return f"{text(depth - 1)} {draw.choice(signs)} {text(depth - 1)}"

    read_as_models = 0
    for _ in range(1500):  # which functions there are depends on numpy's version
        formula = f"{draw.choice(['y', 'y', text(1)])} ~ {text(3)} + ({draw.choice('1x')} | id)"
        with contextlib.suppress(MlsemError):
            read_mixed(read_formula(formula), frame, "listwise")
            read_as_models += 1
    assert read_as_models > 30


@pytest.mark.parametrize(
    ("right", "message"),
    [
        ("np.reciprocal(x - x):id", "infinite"),
        ("x:log(x - x)", "infinite"),
        ("cut(1, c(0, 2))", "1 values for 120 rows"),
        ("as.character(np.exp(1))", "a column is needed, not text"),
        ("cut(x, c(0, 9), labels = as.character(np.exp(1)))", "one level"),
        ("I(x * 1e200):I(x * 2e200)", "infinite"),
    ],
)
def test_numbers_without_a_row_and_infinite_ones_are_refused(right, message):
    with pytest.raises(MlsemError, match=message):
        read(right)


def test_names_of_columns_are_names_only():
    """Columns may be named as anything of Python's."""
    data = DATA.assign(**{"__class__": DATA["x"], "np.exp": DATA["x"], "x.to_csv": DATA["x"]})
    for name in ("__class__", "np.exp", "x.to_csv"):
        mixed = read_mixed(read_formula(f"y ~ I(2 * {name}) + (1 | id)"), data, "listwise")
        np.testing.assert_array_equal(mixed.rows.values[f"I(2 * {name})"], 2 * DATA["x"])
    with pytest.raises(SpecificationError, match="not known to formulas"):
        read_mixed(read_formula("y ~ x.to_csv('a') + (1 | id)"), data, "listwise")


# --- global state ---------------------------------------------------------------------------------


def test_threads_leave_no_filters():
    formulas = [
        "y ~ x + (1 | id)",
        "y ~ f*scale(x) + (1 | id)",
        "y ~ poly(x, 2) + f + (1 | id)",
        "y ~ f + bs(x) + (1 | id)",
    ]
    alone = [mlsem.lmm(each, DATA).loglik for each in formulas]
    before, errors = list(warnings.filters), np.geterr()
    with ThreadPoolExecutor(8) as threads:
        fits = list(threads.map(lambda each: mlsem.lmm(each, DATA).loglik, formulas * 8))
    assert list(warnings.filters) == before
    assert np.geterr() == errors
    assert fits == alone * 8


def test_numpys_warnings_stay_inside():
    data = DATA.assign(z=np.where(DATA["x"] > 5, DATA["x"], np.nan), big=1e300 * DATA["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", MlsemWarning)
        for right in ("log(z)", "scale(z)", "I(big^2)", "I(1/(x - x))", "log(x - 5)", "exp(big)"):
            try:
                mlsem.lmm(f"y ~ {right} + (1 | id)", data)
            except MlsemError:
                continue


@pytest.mark.parametrize("right", ["0 + (1 | id)", "-1 + (0 + x | id)"])
def test_a_model_without_fixed_effects(right):
    """ML and REML are one; there is nothing to test."""
    fits = [
        mlsem.lmm(f"y ~ {right}", DATA, **options)
        for options in ({}, {"REML": False}, {"df": "kenward-roger"}, {"se": "CR2"})
    ]
    for fit in fits:
        assert fit.loglik == pytest.approx(fits[0].loglik, abs=1e-6)
        assert [name.partition(".")[0] for name in fit.params.index] == ["id", "Residual"]
        assert "Fixed effects" not in str(fit.summary())
        assert not fit.fixef().size
