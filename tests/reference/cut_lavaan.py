"""Keep of the output of make_lavaan.R what the tests use.  python cut_lavaan.py FULL.json

Left out: what mlsem does not fit yet (several groups), the
standardized solution, and the fit measures that need the saturated model.
"""

import json
import sys
from pathlib import Path

LEFT_OUT = ("groups_mlr",)
CASE = ("model", "data", "cluster", "options", "note", "converged", "estimates", "fit")
MEASURES = ("logl", "aic", "bic", "npar", "ntotal")


def main() -> None:
    full = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    cases = {}
    for name, case in full["cases"].items():
        if any(word in name for word in LEFT_OUT):
            continue
        kept = {key: case[key] for key in (*CASE, "coef_names", "coef", "vcov")}
        kept["options"] = kept["options"] or {}
        kept["fit"] = {key: case["fit"][key] for key in MEASURES}
        cases[name] = kept
    record = {"lavaan": full["lavaan"], "R": full["R"], "cases": cases}
    target = Path(__file__).with_name("lavaan.json")
    lines = json.dumps(record, separators=(",", ":")).replace('},"', '},\n"')
    target.write_text(lines + "\n", "utf-8")


if __name__ == "__main__":
    main()
