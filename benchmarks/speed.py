"""How fast: mlsem against lavaan. Other programs are in `benchmarks.grid`.

python -m benchmarks.speed [--cases article demo …] [--no-lavaan] [--save]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.common import child, has_r, machine, median, r_script, save, seconds, table

HEAD = (
    "case", "mlsem, median (min)", "processor", "new text", "first call",
    "lavaan, median (first)", "lavaan / mlsem", "target", "log-likelihood: mlsem − lavaan",
)  # fmt: skip


ABOUT = (
    "Median, minimum and processor time of repeated calls with the same model text; *new text*: "
    "with a text not seen before, so that it is parsed; *first call*: the first in a process, "
    "which also loads the parser. "
)
LAVAAN = (
    "lavaan {}: processor seconds of `sem()` and `parameterEstimates()`, R's start not counted, "
    "median and first call; the ratio is of the medians of processor times."
)


def lavaan_seconds(case: Case) -> dict[str, Any]:
    """Processor seconds of lavaan on the same data, and its log-likelihood."""
    with tempfile.TemporaryDirectory() as folder:
        model, data = Path(folder, "model.lav"), Path(folder, "data.csv")
        model.write_text(case.lavaan_model)
        case.lavaan_data().to_csv(data, index=False)
        (line,) = r_script(
            "lavaan_speed.R", str(model), str(data), case.cluster, str(case.lavaan_repeats)
        )
    version, loglik, *times = line
    return {"version": version, "loglik": float(loglik), "cpu": [float(t) for t in times]}


def compare(name: str, with_lavaan: bool) -> dict[str, Any]:
    """One case in both programs."""
    case = CASES[name]
    record: dict[str, Any] = {"case": case.title, "target": case.target}
    record["mlsem"] = child("benchmarks.measure", name)
    if with_lavaan:
        record["lavaan"] = lavaan_seconds(case)
    return record


def line(record: dict[str, Any]) -> list[str]:
    """A record as a row of the table."""
    ours, theirs = record["mlsem"], record.get("lavaan")
    if "error" in ours:
        return [record["case"], ours["error"], *["–"] * (len(HEAD) - 2)]
    cells = [
        record["case"],
        f"{seconds(ours['warm_wall'])} ({seconds(ours['warm_min'])})",
        seconds(ours["warm_cpu"]),
        seconds(ours["new_text"]),
        seconds(ours["cold"]),
    ]
    target = f"≥ {record['target']}" if record["target"] else ""
    if theirs is None:
        return [*cells, "–", "–", target, "–"]
    cpu = median(theirs["cpu"])
    ratio = cpu / ours["warm_cpu"]
    return [
        *cells, f"{seconds(cpu)} ({seconds(theirs['cpu'][0])})", f"{ratio:.0f}", target,
        f"{ours['loglik'] - theirs['loglik']:+.1e}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=[*CASES], default=[*CASES])
    parser.add_argument("--no-lavaan", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/speed.md and .json")
    chosen = parser.parse_args()
    with_lavaan = not chosen.no_lavaan and has_r("lavaan")
    parts = ["# Speed", machine() + "."]
    if not with_lavaan:
        parts.append("lavaan is left out (no Rscript, no lavaan, or not wanted).")
    records = [compare(name, with_lavaan) for name in chosen.cases]
    versions = {record["lavaan"]["version"] for record in records if "lavaan" in record}
    parts += [
        "## From model text and data frame to the table with MLR standard errors",
        ABOUT + (LAVAAN.format(", ".join(versions)) if versions else ""),
        table(HEAD, map(line, records)),
    ]
    text = "\n\n".join(parts)
    print(text)
    if chosen.save:
        save("speed", text, {"machine": machine(), "cases": records})


if __name__ == "__main__":
    main()
