"""How fast: MLR with all measures of fit, against lavaan.

python -m benchmarks.fit_measures [--no-r] [--save]
python -m benchmarks.fit_measures --one demo     one case in this process, as JSON
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import mlsem
from benchmarks.cases import CASES
from benchmarks.common import (
    child,
    clock,
    has_r,
    machine,
    median,
    r_script,
    repeats_for,
    save,
    seconds,
    table,
)

TARGETS = {"demo": 200, "six": 300}  # lavaan / mlsem
BUDGET = 4.0  # seconds per column
HEAD = (
    "case", "fit, median (min)", "fit and fit_measures, median (min)", "measures",
    "lavaan: sem", "fitMeasures", "lavaan / mlsem, medians (least times)", "target",
    "scaled chi-square: mlsem - lavaan",
)  # fmt: skip
ABOUT = (
    "Processor seconds of repeated calls, one thread. mlsem: `fit(se='MLR')`, then all of "
    "`fit_measures()`, which estimates the saturated and the baseline model when it is called. "
)
LAVAAN = (
    "lavaan {}: `sem(estimator = 'MLR')`, which estimates these models itself, and `fitMeasures()` "
    "of the same rows; R's start and reading the data not counted. The ratio is of both calls."
)


def measure(name: str) -> dict[str, Any]:
    """Processor seconds of one case."""
    case = CASES[name]
    data = case.data()

    def fit() -> mlsem.FitResult:
        return mlsem.fit(case.model, data, cluster=case.cluster, se="MLR")

    measures = fit().fit_measures()
    repeats = repeats_for(median(clock(lambda: fit().fit_measures(), 3)["cpu"]), BUDGET)
    alone, whole = (clock(call, repeats)["cpu"] for call in (fit, lambda: fit().fit_measures()))
    return {
        "fit": median(alone),
        "fit_min": min(alone),
        "whole": median(whole),
        "whole_min": min(whole),
        "measures": len(measures),
        "chisq.scaled": measures["chisq.scaled"],
        "repeats": repeats,
    }


def lavaan_seconds(name: str) -> dict[str, Any]:
    """Processor seconds of lavaan on the same rows."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        model, data = Path(folder, "model.lav"), Path(folder, "data.csv")
        model.write_text(case.lavaan_model)
        case.lavaan_data().to_csv(data, index=False)
        (found,) = r_script(
            "lavaan_fit_measures.R",
            *map(str, (model, data, case.cluster, case.lavaan_repeats)),
        )
    version, statistic, *times = found
    values, count = [float(each) for each in times], case.lavaan_repeats
    return {
        "version": version,
        "chisq.scaled": float(statistic),
        "sem": values[:count],
        "fitMeasures": values[count:],
    }


def line(record: dict[str, Any]) -> list[str]:
    """A record as a row of the table."""
    ours, theirs = record["mlsem"], record.get("lavaan")
    if "error" in ours:
        return [record["case"], ours["error"], *["–"] * (len(HEAD) - 2)]
    cells = [
        record["case"],
        f"{seconds(ours['fit'])} ({seconds(ours['fit_min'])})",
        f"{seconds(ours['whole'])} ({seconds(ours['whole_min'])})",
        str(ours["measures"]),
    ]
    if theirs is None:
        return [*cells, "–", "–", "–", f"≥ {record['target']}", "–"]
    both = [sum(pair) for pair in zip(theirs["sem"], theirs["fitMeasures"], strict=True)]
    return [
        *cells,
        seconds(median(theirs["sem"])),
        seconds(median(theirs["fitMeasures"])),
        f"{median(both) / ours['whole']:.0f} ({min(both) / ours['whole_min']:.0f})",
        f"≥ {record['target']}",
        f"{ours['chisq.scaled'] - theirs['chisq.scaled']:+.1e}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="MLR with all measures of fit.")
    parser.add_argument("--one", choices=[*TARGETS])
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/fit_measures.md, .json")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    with_r = not chosen.no_r and has_r("lavaan")
    records: list[dict[str, Any]] = []
    for name, target in TARGETS.items():
        record: dict[str, Any] = {"case": CASES[name].title, "target": target}
        record["mlsem"] = child("benchmarks.fit_measures", "--one", name)
        if with_r:
            record["lavaan"] = lavaan_seconds(name)
        records.append(record)
    versions = {record["lavaan"]["version"] for record in records if "lavaan" in record}
    about = ABOUT + (LAVAAN.format(", ".join(versions)) if versions else "")
    cells = table(HEAD, map(line, records))
    text = "\n\n".join(("# Measures of fit", machine() + ".", about, cells))
    print(text)
    if chosen.save:
        save("fit_measures", text, {"machine": machine(), "cases": records})


if __name__ == "__main__":
    main()
