"""`plan`: the effect, the power, the number of clusters or their size."""

from __future__ import annotations

from typing import Any

from mlsem.arguments import require_seed, require_whole
from mlsem.core.quiet import quiet
from mlsem.errors import OptionValueError
from mlsem.other_programs.answering import answering
from mlsem.planning.arguments import Asked, Design, read
from mlsem.planning.formula import Answer, by_formula
from mlsem.planning.result import Plan
from mlsem.planning.simulated import Found, How, effect_by_simulation, simulated

STEPS = 25  # of a search among simulations


@answering
@quiet
def plan(
    *,
    clusters: int | None = None,
    size: Any = None,
    icc: Any,
    effect: float | None = None,
    power: float | None = None,
    cv: float = 0.0,
    treated: float = 0.5,
    r2: Any = 0.0,
    covariates: int | None = None,
    subclusters: int = 1,
    control: float | None = None,
    randomised: str = "clusters",
    effect_sd: float = 0.0,
    level: float = 0.95,
    by: str | None = None,
    replications: int = 1000,
    seed: int = 1,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Plan:
    """Plan a trial with clusters: what it can find, or how large it must be.

    Of `clusters`, `size`, `effect` and `power` leave out the one that is wanted. The effect is the
    difference between the arms, its test that of a random-intercept model with CR2 errors and
    Satterthwaite degrees of freedom::

        SE² = s₁²/(J₁I) + s₀²/(J₀I),    I = E[1/(ρ(1 − R₂²) + (1 − ρ)(1 − R₁²)/n)]
        power = P(|T| > t),    T ~ t(df, effect/SE)

    with J₁ clusters treated and J₀ not, s² = 1 (with a binary outcome π(1 − π)), and
    df = (Σv_a)²/Σ[v_a²/(J_a E − 1)] less one for each covariate of clusters, v_a = s_a²/J_a, E the
    part (ΣI)²/(JΣI²) of the clusters that counts; J − 2 − covariates for equal arms and clusters.
    With rows randomised in every cluster, of whose effects τ is the standard deviation::

        SE² = (1 − ρ)(1 − R²)/(P(1 − P)Jn̄) + τ²(1 − R_τ²)/(JE),    df = JE − 1 − covariates

    where E = n̄²/E[n²].

    Parameters
    ----------
    clusters : int, optional
        How many are randomised.
    size : float or sequence of int, optional
        Mean number of rows of a cluster (with subclusters: of one of these); or the number of each.
    icc : float or (float, float)
        Share ρ of the outcome's variance that lies between clusters; with subclusters the shares
        of these and of clusters. Of a binary outcome on the scale of its risk.
    effect : float, optional
        In standard deviations of the outcome; of a binary one the difference of the risks.
    power : float, optional
        Default: 0.8, where it is not what is wanted.
    cv : float, default 0
        Standard deviation of the sizes, divided by their mean.
    treated : float or int, default 0.5
        Share of the clusters that are treated, or how many; with rows randomised the share P of
        these.
    r2 : (float, float), optional
        What covariates explain of the variance of rows and of clusters; with subclusters three
        numbers, those between; with rows randomised of rows and of τ².
    covariates : int, optional
        How many covariates clusters have. Default: 1, if they explain anything.
    subclusters : int, default 1
        Of each cluster, such as classes of a school: a trial with three levels.
    control : float, optional
        The risk without treatment: the outcome is binary.
    randomised : {"clusters", "rows"}, default "clusters"
        What is treated or not: whole clusters, or rows of each (a multisite trial).
    effect_sd : float, default 0
        τ, the standard deviation of the effect between clusters whose rows are randomised, in
        standard deviations of the outcome (ω of PowerUp! is τ²/ρ).
    level : float, default 0.95
        1 minus the level of significance; the test has two sides.
    by : {"formula", "simulation"}, optional
        Default: simulation where the formulas are on thin ice (an arm with fewer than 4 clusters,
        less than 4 degrees of freedom, sizes with ``cv`` over 1, fewer than 5 events expected in an
        arm), else formula; the result says which.
    replications : int, default 1000
        Of a simulation: that many trials are drawn, and analysed by `lmm` with CR2 errors.
    seed : int, default 1
    n_jobs : int, default 1
        Processes of a simulation, -1 for all cores.
    progress : bool, optional
        A bar. Default: in a terminal or a notebook, after two seconds.

    Returns
    -------
    Plan
        Prints as text; ``plan.plot()`` shows the power, ``plan.over(icc=[.05, .1])`` other cases.

    Raises
    ------
    OptionValueError
        A value that an argument cannot take, two or none left out, or a power out of reach.

    References
    ----------
    Raudenbush, S. W. (1997). Statistical analysis and optimal design for cluster randomized trials.
    Psychological Methods, 2, 173-185 (equation 8). Dong, N. & Maynard, R. (2013). PowerUp!. Journal
    of Research on Educational Effectiveness, 6, 24-67. van Breukelen, G. J. P., Candel, M. J. J. M.
    & Berger, M. P. F. (2007). Relative efficiency of unequal versus equal cluster sizes. Statistics
    in Medicine, 26, 2589-2603.

    Examples
    --------
    >>> import mlsem
    >>> found = mlsem.plan(clusters=12, size=20, icc=0.1, cv=0.4, r2=(0.3, 0.5), power=0.8)
    >>> round(found.effect, 3), round(found.design_effect, 2), round(found.df, 1)
    (0.532, 3.0, 8.7)
    >>> mlsem.plan(size=20, icc=0.1, effect=0.4).clusters
    31
    >>> round(mlsem.plan(clusters=20, size=30, icc=0.05, effect=-0.1, control=0.3).power, 3)
    0.405
    >>> found = mlsem.plan(clusters=20, size=15, icc=0.17, randomised="rows", effect_sd=0.29)
    >>> round(found.effect, 3), found.df
    (0.365, 19.0)
    """
    asked = read(
        {
            "clusters": clusters,
            "size": size,
            "icc": icc,
            "effect": effect,
            "power": power,
            "cv": cv,
            "treated": treated,
            "r2": r2,
            "covariates": covariates,
            "subclusters": subclusters,
            "control": control,
            "randomised": randomised,
            "effect_sd": effect_sd,
            "level": level,
        }
    )
    require_whole("replications", replications, 100)
    require_seed(seed)
    found = Plan(asked, by_formula(asked))
    by = _chosen(by, found)
    if by == "formula":
        return found
    _refuse_explained(found.trial)
    return _by_simulation(asked, found, How(replications, seed, n_jobs, progress))


def _chosen(by: str | None, found: Plan) -> str:
    if by not in (None, "formula", "simulation"):
        raise OptionValueError(f'by={by!r}: it takes "formula" or "simulation".')
    return by or ("simulation" if found.thin and not any(found.trial.r2) else "formula")


def _refuse_explained(trial: Design) -> None:
    if trial.control is not None and (any(trial.r2) or trial.covariates):
        raise OptionValueError(
            'by="simulation": trials with a binary outcome are simulated without covariates. Leave '
            'out r2 and covariates, or take by="formula".'
        )


def _by_simulation(asked: Asked, formula: Plan, how: How) -> Plan:
    """What simulated trials say, beginning with what formulas say."""
    trial, effect = formula.trial, formula.effect
    if asked.what == "effect":
        assert asked.power is not None
        effect, found = effect_by_simulation(trial, effect, asked.power, asked.level, how)
        if effect != effect:
            raise OptionValueError(
                f"no effect was found in {100 * asked.power:g} % of the simulated trials, however "
                "large. Plan more clusters."
            )
    elif asked.what == "power":
        found = simulated(trial, effect, how)
    else:
        trial, found = _searched(asked, formula, how)
    answer = Answer(trial, effect, found.power(effect, asked.level))
    return Plan(asked, answer, found, how.seed)


def _searched(asked: Asked, formula: Plan, how: How) -> tuple[Design, Found]:
    """The least clusters, or size, whose simulated trials have the power."""
    assert asked.power is not None
    planned = asked.with_clusters if asked.what == "clusters" else asked.trial.with_size
    value = int(formula.asked_value)
    first = asked.fewest if asked.what == "clusters" else 1
    step = max(1, value // 20)
    trial, found = planned(value), simulated(planned(value), formula.effect, how)
    reached = found.power(formula.effect, asked.level) >= asked.power
    for _ in range(STEPS):
        value += -step if reached else step
        if value < first:
            break
        other = simulated(planned(value), formula.effect, how)
        enough = other.power(formula.effect, asked.level) >= asked.power
        if reached and not enough:
            break
        trial, found = planned(value), other
        if enough and not reached:
            break
    return trial, found
