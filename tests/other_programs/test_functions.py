"""Names of other programs are answered by the way here, and the way can be gone."""

from __future__ import annotations

import copy
import pickle

import pytest

import mlsem
from mlsem.errors import MlsemError, OptionError, UnknownNameError
from mlsem.other_programs.arguments import ARGUMENTS
from mlsem.other_programs.functions import COUNTERPARTS, OWN, counterpart
from mlsem.results.result import FitResult
from tests.porting.names import namespace

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")
# expressions of what a model with latent variables has
NEEDS_LATENT = ("predict_latent", "cov.lv", "cor.lv", "reliability", "cor.bentler", "y1")


@pytest.fixture(scope="module")
def fit() -> FitResult:
    return namespace()["fit"]


@pytest.mark.parametrize("here", sorted({each.here for each in COUNTERPARTS} - {""}))
def test_what_is_said_to_be_typed_runs(here: str) -> None:
    names = namespace()
    if any(word in here for word in NEEDS_LATENT):
        names["fit"] = names["latent"]
    eval(here, names)


@pytest.mark.parametrize("here", sorted(set(OWN.values())))
def test_own_functions_asked_of_a_fit_are_shown_as_functions(here: str) -> None:
    eval(here, namespace())


def test_own_functions_are_all_there() -> None:
    functions = {name for name in mlsem.__all__ if name[0].islower()} - {"port", "examples"}
    assert functions - set(dir(FitResult)) <= set(OWN)


def test_no_name_is_ours_or_has_two_answers() -> None:
    names = [name for each in COUNTERPARTS for name in each.names]
    assert len(names) == len(set(names))
    ours = {*mlsem.__all__, *(name for name in dir(FitResult) if not name.startswith("_"))}
    assert set(names) & ours == set()


@pytest.mark.parametrize("name", [name for each in COUNTERPARTS for name in each.names])
def test_each_name_is_answered_on_the_package_and_on_a_fit(name: str, fit: FitResult) -> None:
    name = name.replace(".", "_")
    for place in (mlsem, fit):
        if hasattr(place, name):
            continue  # a fit may have what R's function is called
        with pytest.raises(UnknownNameError) as caught:
            getattr(place, name)
        each = counterpart(name)
        assert each is not None
        assert (each.here or each.note) in str(caught.value) or "Did you mean" in str(caught.value)


def test_an_answer_is_an_attribute_error_and_keeps_python_working(fit: FitResult) -> None:
    assert issubclass(UnknownNameError, MlsemError)
    assert not hasattr(fit, "fitMeasures")
    assert not hasattr(mlsem, "lmer")
    assert getattr(fit, "_repr_svg_", None) is None
    with pytest.raises(AttributeError, match="no attribute '_ipython_display_'") as plain:
        _ = fit._ipython_display_  # type: ignore[attr-defined]
    assert type(plain.value) is AttributeError
    copied = pickle.loads(pickle.dumps(copy.deepcopy(fit)))
    assert copied.params.equals(fit.params)
    with pytest.raises(UnknownNameError) as caught:
        _ = fit.ranef  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_an_error_inside_of_a_property_is_not_covered() -> None:
    from mlsem.other_programs.answering import Named

    class Broken(Named):
        @property
        def value(self) -> float:
            return (1.0).numerator  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="'float' object has no attribute 'numerator'"):
        Broken().value  # noqa: B018


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("parameter_estimate", "Did you mean 'parameter_estimates'?"),
        ("Params", "Did you mean 'params'?"),
        ("fitmeasure", "Did you mean 'fit_measures'?"),
        ("parameterEstimate", "Did you mean 'parameter_estimates'?"),
        ("lavInspekt", "If you mean 'lavInspect'"),
        ("lr_test", "mlsem.lr_test(simple, full)"),
        ("xyz", "A FitResult has no 'xyz'."),
        ("$<&_%ä", "A FitResult has no '$<&_%ä'."),
    ],
)
def test_slips_on_a_fit(name: str, said: str, fit: FitResult) -> None:
    with pytest.raises(UnknownNameError) as caught:
        getattr(fit, name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("summary", "'summary' is asked of a fit: fit.summary()."),
        ("loglik", "'loglik' is asked of a fit: fit.loglik."),
        ("simulat", "Did you mean 'simulate'?"),
        ("random_effect", "Did you mean 'fit.random_effects()'?"),
        ("fitt", "Did you mean 'fit'?"),
        ("Parameter_Estimates", "Did you mean 'fit.parameter_estimates()'?"),
    ],
)
def test_slips_on_the_package(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        getattr(mlsem, name)
    assert said in str(caught.value)


# --- calls that do not fit ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("fit.summary(fitmeasures=True)", "Did you mean 'fit_measures'?"),
        ("fit.summary(standardize=True)", "Did you mean 'standardized'?"),
        ("fit.summary(rsq=True)", "It is rsquare=True."),
        ("fit.parameter_estimates(standardised=True)", "Did you mean 'standardized'?"),
        ("fit.standardized(type='std.all')", 'It is kind="all"'),
        ("fit.vcov('CR2')", 'fit.with_se("CR2").vcov()'),
        ("fit.with_se(type='CR2')", 'fit.with_se("CR2")'),
        ("fit.conf_int(parm='y~x1')", "It is parameters=."),
        ("fit.conf_int(0.9, level=0.8)", "twice"),
        ("fit.modification_indices(minimum_value=10)", "It is minimum=3.84."),
        ("fit.predict(newdata=data)", "It is data=."),
        ("fit.bootstrap(R=1000)", "It is draws=1000."),
        ("fit.h1(True)", "By name it takes 'semidefinite'"),
        ("fit.effects('y')", "effects() lacks 'predictor': effects(outcome, predictor)."),
        ("fit.align(wrong=1)", "It takes 'factors', 'identification'"),
        ("fit.summary().to_text(3, 4)", "to_text() takes 1 by their place, 'digits', and 2"),
        ("mlsem.plan(rho2=0.2)", "It is icc="),
        ("mlsem.within_between('y ~ x1', data, index='id')", "It is cluster=."),
        ("mlsem.lr_test(simple)", "lr_test() lacks 'full': lr_test(simple, full)."),
        ("mlsem.cluster_means(data, 'x1')", "lacks 'cluster'"),
    ],
)
def test_calls_that_do_not_fit_are_answered(call: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        eval(call, namespace())
    assert said in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_type_error_of_the_work_itself_stays_as_it_is() -> None:
    from mlsem.other_programs.answering import answering

    @answering
    def work(x: object) -> object:
        return x + 1  # type: ignore[operator]

    with pytest.raises(TypeError, match="can only concatenate str") as caught:
        work("a")
    assert not isinstance(caught.value, MlsemError)


def test_arguments_of_other_programs_are_none_of_ours() -> None:
    import inspect

    from mlsem.other_programs.options import plain

    wrong = []
    for method, groups in ARGUMENTS.items():
        homes = (FitResult, mlsem, mlsem.MixedResult)
        function = next(filter(None, (getattr(home, method, None) for home in homes)), None)
        if not method:
            continue
        assert function is not None, method
        own = {plain(each) for each in inspect.signature(function).parameters} - {"self"}
        names = {plain(name) for each, _ in groups for name in each.split()}
        wrong += [f"{method}: {name}" for name in own & names]
    assert wrong == []
