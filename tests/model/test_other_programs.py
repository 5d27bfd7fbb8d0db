"""Options of lavaan, lme4, Mplus and others: each is answered by name, and the answer is true."""

from __future__ import annotations

import inspect
import re

import pytest

import mlsem
from mlsem.errors import OptionError, OptionValueError
from mlsem.estimation.settings import SETTING_NAMES, Settings
from mlsem.model.options import OPTION_NAMES, ModelOptions
from mlsem.other_programs.options import KEYWORDS, VALUES, plain
from mlsem.results.result import FitResult

OURS = {*OPTION_NAMES, *SETTING_NAMES, "start", "cluster", "center", "group", "group_label"}

# names(lavOptions()) of lavaan 0.6-14, and the parameters of its cfa() and sem()
LAVAAN = """
model.type mimic meanstructure int.ov.free int.lv.free conditional.x fixed.x orthogonal
orthogonal.x orthogonal.y std.lv correlation effect.coding ceq.simple parameterization
auto.fix.first auto.fix.single auto.var auto.cov.lv.x auto.cov.y auto.th auto.delta auto.efa
rotation rotation.se rotation.args std.ov missing sampling.weights.normalization
sample.cov.rescale sample.icov ridge ridge.constant group.label group.equal group.partial
group.w.free level.label estimator estimator.args likelihood link representation do.fit bounds se
test information h1.information observed.information information.meat h1.information.meat
omega.information omega.h1.information omega.information.meat omega.h1.information.meat
scaled.test ug2.old.approach bootstrap gamma.n.minus.one gamma.unbiased control optim.method
optim.attempts optim.force.converged optim.gradient optim.init_nelder_mead optim.var.transform
optim.parscale optim.partrace optim.dx.tol optim.bounds em.iter.max em.fx.tol em.dx.tol
em.zerovar.offset em.h1.iter.max em.h1.tol em.h1.warn optim.gn.iter.max optim.gn.stephalf.max
optim.gn.tol.x integration.ngh parallel ncpus cl iseed zero.add zero.keep.margins zero.cell.warn
start check.start check.post check.gradient check.vcov check.lv.names h1 baseline
baseline.conditional.x.free.slopes implied loglik store.vcov verbose warn debug
ordered sampling.weights sample.cov sample.mean sample.th sample.nobs group cluster constraints
WLS.V NACOV ov.order slotOptions slotParTable slotSampleStats slotData slotModel slotCache sloth1
""".split()
LMER = "REML control start verbose subset weights na.action offset contrasts devFunOnly family"
MPLUS = "TYPE ESTIMATOR CLUSTER WITHIN BETWEEN CATEGORICAL USEVARIABLES CENTERING OUTPUT GROUPING"
OTHERS = "groups vcov re_formula vc_formula obj solver n_samples cov"

VALUES_ELSEWHERE = {
    "estimator": "ML GLS WLS DWLS ULS DLS PML MLM MLMV MLMVS MLF MLR WLSM WLSMV WLSMVS ULSM ULSMV",
    "se": "standard robust.sem robust.huber.white robust.cluster robust.cluster.sem bootstrap boot "
    "external none two.step robust first.order",
    "test": "standard none satorra.bentler yuan.bentler yuan.bentler.mplus mean.var.adjusted "
    "scaled.shifted bollen.stine bootstrap browne.residual.adf browne.residual.nt satterthwaite",
    "missing": "listwise ml ml.x direct fiml fiml.x pairwise available.cases two.stage "
    "robust.two.stage doubly.robust",
    "information": "expected observed first.order",
}


@pytest.mark.parametrize("name", [*LAVAAN, *LMER.split(), *MPLUS.split(), *OTHERS.split()])
def test_each_option_is_known_or_answered_by_name(name):
    spellings = {name, name.replace(".", "_")}
    for keyword in spellings - OURS:
        with pytest.raises(OptionError) as caught:
            mlsem.fit("y ~ x", None, **{keyword: True})  # pyright: ignore[reportArgumentType]
        said = str(caught.value).removeprefix(f"Unknown option {keyword!r}.").strip()
        close = re.fullmatch(r"Did you mean '(\w+)'\?", said)
        if plain(keyword) in {plain(ours) for ours in OURS}:
            assert close is not None
            assert close[1] in OURS
        else:
            assert close is None, said
            assert len(said) > 20


@pytest.mark.parametrize(
    ("keyword", "value"),
    [(key, value) for key, values in VALUES_ELSEWHERE.items() for value in values.split()],
)
def test_each_value_of_lavaans_is_taken_or_answered(keyword, value):
    answer = VALUES[keyword].get(plain(value))
    if answer is None:
        assert Settings(**{keyword: value})
        return
    with pytest.raises(OptionValueError, match=f"{keyword}='{value}' is not available") as caught:
        Settings(**{keyword: value})
    assert answer in str(caught.value)


SAID = [*KEYWORDS.values(), *(said for values in VALUES.values() for said in values.values())]


@pytest.mark.parametrize("said", sorted(set(SAID)))
def test_an_answer_names_what_there_is(said):
    functions = (mlsem.fit, mlsem.study, mlsem.lmm, FitResult.bootstrap, FitResult.wald_test)
    functions += (FitResult.conf_int, mlsem.glm)
    known = OURS | {name for each in functions for name in inspect.signature(each).parameters}
    assert set(re.findall(r"(?<![\w.])(\w+)=", said.replace("assign(y=", ""))) <= known
    for module, name in re.findall(r"\b(mlsem|fit)\.(\w+)", said):
        holder = mlsem if module == "mlsem" else FitResult
        assert hasattr(holder, name), name
    for name, value in re.findall(r'\b(se|test|estimator|information|missing)="([\w-]+)"', said):
        Settings(**{name: value, "se": value if name == "se" else "CR2"})
    for value in re.findall(r'bounds="([\w.]+)"', said):
        ModelOptions(bounds=value)  # pyright: ignore[reportArgumentType]


def test_the_users_value_is_in_the_answer():
    with pytest.raises(OptionError, match=r'group="sex"'):
        mlsem.fit("y ~ x", None, grouping="sex")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match=r'cluster="school"'):
        mlsem.fit("y ~ x", None, groups="school")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match=r"what follows '\|'.*se_cluster="):
        mlsem.lmm("y ~ x + (1 | id)", None, cluster="school")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("keyword", ["clusters", "cluster_id", "Cluster", "clustr"])
def test_slips_of_parameters_of_fit(keyword):
    with pytest.raises(OptionError, match=r"Did you mean 'cluster'\?"):
        mlsem.fit("y ~ x", None, **{keyword: "id"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match=r"Did you mean 'center'\?"):
        mlsem.fit("y ~ x", None, centers={})  # pyright: ignore[reportArgumentType]


def test_every_answer_is_a_sentence():
    for said in SAID:
        assert said.endswith((".", ".)")), said
