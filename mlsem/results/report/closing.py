"""The end of a report: notes of the fit, how to repeat and cite it, what its methods rest on."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from mlsem.report.page.records import Facts, Items, Paragraph, Section, Subsection
from mlsem.results.report.context import Context, as_sentence
from mlsem.version import __version__

PACKAGES = ("numpy", "scipy", "pandas", "matplotlib")
SOURCES = {
    "mlsem": (
        "Muthén (1994). Multilevel covariance structure analysis. Sociological Methods & Research "
        "22, 376-398.",
        "Rosseel (2012). lavaan: An R package for structural equation modeling. Journal of "
        "Statistical Software 48(2), whose language the models are written in.",
    ),
    "lmm": (
        "Bates, Mächler, Bolker & Walker (2015). Fitting linear mixed-effects models using lme4. "
        "Journal of Statistical Software 67(1), whose formulas these are.",
    ),
    "REML": (
        "Patterson & Thompson (1971). Recovery of inter-block information when block sizes are "
        "unequal. Biometrika 58, 545-554.",
    ),
    "MLR": (
        "Yuan & Bentler (2000). Three likelihood-based methods for mean and covariance structure "
        "analysis with nonnormal missing data. Sociological Methodology 30, 165-200.",
    ),
    "CR": (
        "Bell & McCaffrey (2002). Bias reduction in standard errors for linear regression with "
        "multi-stage samples. Survey Methodology 28, 169-181.",
        "Pustejovsky & Tipton (2018). Small-sample methods for cluster-robust variance estimation "
        "and hypothesis testing in fixed effects models. Journal of Business & Economic Statistics "
        "36, 672-683.",
    ),
    "satterthwaite": (
        "Kuznetsova, Brockhoff & Christensen (2017). lmerTest package: Tests in linear mixed "
        "effects models. Journal of Statistical Software 82(13).",
    ),
    "kenward-roger": (
        "Kenward & Roger (1997). Small sample inference for fixed effects from restricted maximum "
        "likelihood. Biometrics 53, 983-997.",
    ),
    "fiml": (
        "Enders & Bandalos (2001). The relative performance of full information maximum likelihood "
        "estimation for missing data in structural equation models. Structural Equation Modeling "
        "8, 430-457.",
    ),
    "fit": (
        "Ryu & West (2009). Level-specific evaluation of model fit in multilevel structural "
        "equation modeling. Structural Equation Modeling 16, 583-601.",
        "Hu & Bentler (1999). Cutoff criteria for fit indexes in covariance structure analysis. "
        "Structural Equation Modeling 6, 1-55.",
    ),
    "R²": (
        "Rights & Sterba (2019). Quantifying explained variance in multilevel models. "
        "Psychological Methods 24, 309-338.",
    ),
}


def notes_section(context: Context) -> Section:
    notes = context.fit.notes
    parts = (
        (Items(tuple(map(as_sentence, notes))),)
        if notes
        else (Paragraph("The fit has no notes and gave no warnings."),)
    )
    return Section("notes", "Notes and warnings of the fit", parts)


def session_section(context: Context) -> Section:
    return session_of((*made(), *_drawn(context)), _sources(context))


def session_of(facts: Iterable[tuple[str, str]], sources: Iterable[str]) -> Section:
    """What it was made with, how to cite it, what its methods rest on."""
    cite = (
        f"mlsem (version {__version__}). Two-level structural equation models in lavaan's syntax "
        "[Computer software]."
    )
    parts = (
        Facts(tuple(facts)),
        Subsection("How to cite", (Paragraph(cite),)),
        Subsection("What the methods rest on", (Items(tuple(sources)),)),
    )
    return Section("session", "Session, citation, references", parts)


def made() -> Iterator[tuple[str, str]]:
    """What was computed with what; no names of people, machines or files."""
    now = datetime.now(UTC)
    yield "Made", f"{now:%Y-%m-%d %H:%M} UTC"
    yield "mlsem", __version__
    yield "Python", f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"
    yield "System", f"{platform.system()} {platform.machine()}".strip()


def _drawn(context: Context) -> Iterator[tuple[str, str]]:
    yield "Seed of the draws in this report", str(context.seed)
    starts = context.fit.starts
    if starts is not None:
        yield "Seed of the random starts", str(starts.seed)


def _sources(context: Context) -> Iterator[str]:
    fit = context.fit
    used = ["lmm" if context.mixed else "mlsem"]
    used += ["REML"] if context.restricted else []
    kind = fit.covariance.kind
    used += ["MLR"] if kind.sandwich and kind.adjustment is None and kind.reference == "z" else []
    used += ["CR"] if fit.n_clusters is not None and fit.converged else []
    used += [fit.df_method] if fit.df_method is not None else []
    used += ["fiml"] if fit._record.missingness is not None else []
    used += ["R²"] if context.mixed else [] if context.restricted else ["fit"]
    for each in used:
        yield from SOURCES[each]
