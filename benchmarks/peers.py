"""Programs that fit a random intercept or a factor at each level, each in its own way.

python -m benchmarks.peers PEER CLUSTERS ROWS_EACH PREDICTORS FACTORS   times one in this process
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import (
    HERE,
    beyond,
    child,
    clock,
    has_r,
    median,
    repeats_for,
    run,
)
from benchmarks.designs import Design

BUDGET = 0.7  # seconds of repeated calls
MODEL_BASED = "model-based"
PROGRAMS = {
    "R": ("Rscript", "--vanilla", str(HERE / "peers.R")),
    "Julia": ("julia", str(HERE / "peers.jl")),
}

Answer = dict[str, dict[str, float]]
"""Estimates and errors by the names of parameters, as far as a peer tells them."""
Prepare = Callable[[Design, pd.DataFrame], Callable[[], Answer]]
"""Rows as a peer takes them, and the call that is timed: from them to estimates and errors."""


@dataclass(frozen=True)
class Peer:
    """A program: its kind of errors, its language, the package whose version is told, what else it
    needs, and whether it has latent variables at two levels."""

    errors: str
    language: str
    package: str
    needs: tuple[str, ...] = ()
    prepare: Prepare | None = None  # of those in Python
    latent: bool = False

    def absent(self) -> str | None:
        """Why it cannot run here, if it cannot."""
        if self.language == "Python":
            missing = [each for each in (self.package, *self.needs) if not _installed(each)]
            return f"not installed: {', '.join(missing)}" if missing else None
        packages = (self.package, *self.needs)
        there = has_r(*packages) if self.language == "R" else _has_julia(*packages)
        return None if there else f"no {self.language} with {' and '.join(packages)}"

    def takes(self, design: Design) -> bool:
        return self.latent or not design.factors


def _installed(package: str) -> bool:
    return package == "mlsem" or find_spec(package.replace("-", "_")) is not None


@cache
def _has_julia(*packages: str) -> bool:
    if shutil.which("julia") is None:
        return False
    asked = subprocess.run(
        ["julia", "-e", f"using {', '.join(packages)}"], capture_output=True, check=False
    )
    return asked.returncode == 0


# --- in Python ------------------------------------------------------------------------------------


def _mlsem(se: str) -> Prepare:
    def prepare(design: Design, data: pd.DataFrame) -> Callable[[], Answer]:
        import mlsem

        def call() -> Answer:
            fit = mlsem.fit(design.model, data, cluster="id", se=se)
            fit.parameter_estimates()
            return {"estimates": _plain(fit.params), "errors": _plain(fit.bse)}

        return call

    return prepare


def _plain(values: pd.Series) -> dict[str, float]:
    return {name.removesuffix(".l2"): float(value) for name, value in values.items()}


def _statsmodels(design: Design, data: pd.DataFrame) -> Callable[[], Answer]:
    from statsmodels.regression.mixed_linear_model import MixedLM

    def call() -> Answer:
        found = MixedLM.from_formula(design.formula, data, groups=data["id"]).fit(reml=False)
        return _answer(found.params, found.bse)

    return call


def _mixedlm(design: Design, data: pd.DataFrame) -> Callable[[], Answer]:
    import mixedlm

    def call() -> Answer:
        found = mixedlm.lmer(f"{design.formula} + (1 | id)", data, REML=False)
        effects = found.fixef()
        return _answer(effects, zip(effects, np.sqrt(np.diag(found.vcov())), strict=True))

    return call


def _mixedlm_rs(design: Design, data: pd.DataFrame) -> Callable[[], Answer]:
    from mixedlm_rs import MixedLM

    def call() -> Answer:
        found = MixedLM.from_formula(design.formula, data, groups=data["id"]).fit(reml=False)
        names = found.model.exog_names
        return _answer(
            zip(names, found.fe_params, strict=True), zip(names, found.bse_fe, strict=True)
        )

    return call


def _lme_python(robust: bool) -> Prepare:
    def prepare(design: Design, data: pd.DataFrame) -> Callable[[], Answer]:
        import lme_python
        import polars

        frame = polars.DataFrame({name: data[name].to_numpy() for name in data})

        def call() -> Answer:
            found = lme_python.lmer(f"{design.formula} + (1 | id)", data=frame, reml=False)
            if robust:
                found.with_robust_se(frame, "id")
            names = found.fixed_names
            errors = found.robust_se if robust else found.std_errors
            return _answer(
                zip(names, found.coefficients, strict=True), zip(names, errors, strict=True)
            )

        return call

    return prepare


def _semopy(design: Design, data: pd.DataFrame) -> Callable[[], Answer]:
    from semopy import ModelEffects

    frame = data.assign(int=data["w1"] * data["x1"], id=data["id"].astype(str))
    text = design.formula.replace("w1:x1", "int")

    def call() -> Answer:
        model = ModelEffects(text)
        model.fit(frame, group="id", obj="ML")
        found = model.inspect()
        paths = found[found["op"] == "~"].set_index("rval")
        return _answer(paths["Estimate"], paths["Std. Err"])

    return call


def _answer(estimates: Any, errors: Any) -> Answer:
    """Fixed effects by the names that mlsem has for them."""
    return {
        kind: {_name(term): float(value) for term, value in _pairs(values)}
        for kind, values in (("estimates", estimates), ("errors", errors))
    }


def _pairs(values: Any) -> Any:
    return values.items() if hasattr(values, "items") else values


def _name(term: str) -> str:
    bare = term.strip("():")
    return "y~" + {"x1:w1": "w1:x1", "int": "w1:x1", "Intercept": "1"}.get(bare, bare)


PEERS: dict[str, Peer] = {
    "mlsem, MLR": Peer("MLR", "Python", "mlsem", prepare=_mlsem("MLR"), latent=True),
    "mlsem, CR2": Peer("CR2", "Python", "mlsem", prepare=_mlsem("CR2"), latent=True),
    "mlsem": Peer(MODEL_BASED, "Python", "mlsem", prepare=_mlsem("standard"), latent=True),
    "lavaan, MLR": Peer("MLR", "R", "lavaan", latent=True),
    "clubSandwich, CR2": Peer("CR2", "R", "clubSandwich", ("lme4",)),
    "lme-python, CR0": Peer("CR0", "Python", "lme-python", ("polars",), _lme_python(robust=True)),
    "lme-python": Peer(
        MODEL_BASED, "Python", "lme-python", ("polars",), _lme_python(robust=False)
    ),
    "lme4": Peer(MODEL_BASED, "R", "lme4"),
    "MixedModels.jl": Peer(MODEL_BASED, "Julia", "MixedModels"),
    "mixedlm": Peer(MODEL_BASED, "Python", "mixedlm", prepare=_mixedlm),
    "mixedlm-rs": Peer(MODEL_BASED, "Python", "mixedlm-rs", prepare=_mixedlm_rs),
    "statsmodels": Peer(MODEL_BASED, "Python", "statsmodels", prepare=_statsmodels),
    "semopy": Peer(MODEL_BASED, "Python", "semopy", prepare=_semopy),
}  # fmt: skip


# --- one peer, one design -------------------------------------------------------------------------


def measured(name: str, design: Design, patience: float) -> dict[str, Any]:
    """Seconds, memory and answer of a peer in a process of its own, or {"error": why}."""
    peer = PEERS[name]
    if peer.language == "Python":
        return child("benchmarks.peers", name, *design.words, timeout=patience)
    with tempfile.TemporaryDirectory() as folder:
        for step, each in (("small", design.small), ("whole", design)):
            _write(each, Path(folder, step))
        program = PROGRAMS[peer.language]
        return run([*program, peer.package, folder, str(BUDGET)], patience)


def _write(design: Design, folder: Path) -> None:
    """The rows as bare columns of doubles, which any language reads soon, and the model's text."""
    folder.mkdir()
    data = design.data()
    if not design.factors:
        data["int"] = data["w1"] * data["x1"]
    for column in data:
        data[column].to_numpy(float).tofile(folder / f"{column}.f64")
    (folder / "columns.txt").write_text("\n".join(data.columns) + "\n")
    (folder / "model.lav").write_text(design.model.replace("w1:x1", "int"))
    (folder / "formula.txt").write_text(f"{design.formula} + (1 | id)\n")


def timed(name: str, design: Design) -> dict[str, Any]:
    """A first call to few rows, then calls to all of them."""
    prepare = PEERS[name].prepare
    assert prepare is not None
    first = clock(prepare(design.small, design.small.data()), 1)["wall"][0]
    call = prepare(design, design.data())
    answer: Answer = {}
    once: dict[str, list[float]] = {}

    def kept() -> None:
        answer.update(call())

    memory = beyond(lambda: once.update(clock(kept, 1)))
    repeats = repeats_for(once["wall"][0], BUDGET, least=0)
    runs = clock(call, repeats) if repeats > 1 else once
    return {
        "version": version(PEERS[name].package),
        "first": first,
        "wall": median(runs["wall"]),
        "cpu": median(runs["cpu"]),
        "memory": memory,
        **answer,
    }


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "source"


if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1], Design(*map(int, sys.argv[2:])))))
