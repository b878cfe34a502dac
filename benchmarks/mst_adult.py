"""How long, how big, how wrong: a generator on Adult (32,561 x 15), epsilon 1, from process start to CSV.

    python benchmarks/mst_adult.py [--generator mst|gibbs|independent] [--runs 3] [--epsilon 1] [--out DIR]
                                   [--json FILE]

Every run is the command line in a fresh process, `dpsynth synthesize … --public -o …`: imports, reading the gzipped
CSV, calibration, fit, sampling and writing are all in the wall time, and its peak resident memory is the operating
system's figure for that process. The first run of `gibbs` after an installation also compiles its moves: run it once
before measuring. The error is total variation distance over all 1- and 2-way marginals, numeric columns cut at 20
quantiles of the real table (evaluation only), as in the shared scorer. With --out, CSV and JSON files are left there in
the form that scorer reads.

The data lie beside the checkout (`../shared`) or where DPSYNTH_SHARED points.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DATA = SHARED / "bench" / "tabular" / "data"
GOALS = {
    "mst": {"wall_s": 3.0, "rss_mib": 300.0, "tvd1": 0.010, "tvd2": 0.050},
    "gibbs": {"wall_s": 15.0, "rss_mib": 350.0, "tvd1": 0.0065, "tvd2": 0.027},
    "independent": {},
}


def adult_schema() -> Any:
    """The public schema of the shared harness as a `Schema`."""
    from dpsynth.schema.model import Schema

    columns = {}
    for name, spec in json.loads((DATA / "adult.json").read_text())["columns"].items():
        if spec["type"] == "cat":
            columns[name] = {"kind": "categorical", "values": spec["values"]}
        else:
            columns[name] = {"kind": "integer", "min": spec["min"], "max": spec["max"]}
    return Schema.from_dict({"version": 1, "columns": columns})


def main() -> int:
    """Run the children, score their files, print a table; exit 1 if a mean misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", default="mst", choices=sorted(GOALS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        print(f"no data at {DATA}; set DPSYNTH_SHARED")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        results = [run(folder, arguments.generator, arguments.epsilon, seed) for seed in range(arguments.runs)]
        score_all(folder, results)
    goals = GOALS[arguments.generator]
    names = ("wall_s", "cpu_s", "rss_mib", "tvd1", "tvd2")
    print("run     " + "".join(f"{name:>10}" for name in names))
    for result in results:
        print(f"{result['seed']:<8}" + "".join(f"{result[name]:>10.4g}" for name in names))
    means = {name: sum(result[name] for result in results) / len(results) for name in names}
    print("mean    " + "".join(f"{means[name]:>10.4g}" for name in names))
    print("goal    " + "".join(f"{goals.get(name, float('nan')):>10.4g}" for name in names))
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps({"runs": results, "mean": means, "goal": goals}, indent=1))
    return int(any(means[name] > goal for name, goal in goals.items()))


def run(folder: Path, generator: str, epsilon: str, seed: int) -> dict[str, Any]:
    """One fresh process; wall time includes its start."""
    tag = f"dpsynth-release-{generator}-adult-e{epsilon}-s{seed}"
    schema = folder / "adult.schema.yaml"
    schema.write_text(adult_schema().to_yaml(), "utf-8")
    command = [
        sys.executable, "-c", "from dpsynth.cli.app import main; main()",
        "synthesize", str(DATA / "adult_train.csv.gz"),
        "--generator", generator, "--epsilon", epsilon, "--delta", "1e-9", "--schema", str(schema),
        "--target", "income", "--public", "-o", str(folder / f"{tag}.csv"), "--json",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    start = time.perf_counter()
    with (folder / f"{tag}.out").open("wb") as out, (folder / f"{tag}.err").open("wb") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit((folder / f"{tag}.err").read_text())
    made = json.loads((folder / f"{tag}.out").read_text())
    result = {
        "tag": tag,
        "system": "dpsynth-release",
        "mech": generator,
        "name": "adult",
        "eps": float(epsilon),
        "delta": 1e-9,
        "seed": seed,
        "status": "ok",
        "wall_s": round(wall, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "rss_mib": round(used.ru_maxrss / 1024),
        "epsilon": made["guarantee"]["epsilon"],
    }
    (folder / f"{tag}.json").write_text(json.dumps(result, indent=1))
    return result


def score_all(folder: Path, results: list[dict[str, Any]]) -> None:
    """Add mean 1- and 2-way total variation distance to each result."""
    import numpy as np
    import pyarrow.csv

    options = pyarrow.csv.ConvertOptions(strings_can_be_null=False, null_values=[""])
    real = pyarrow.csv.read_csv(DATA / "adult_train.csv.gz", convert_options=options)
    schema = json.loads((DATA / "adult.json").read_text())["columns"]
    cuts = {
        name: np.unique(np.quantile(real.column(name).to_numpy(), np.linspace(0, 1, 21)[1:-1]))
        for name, spec in schema.items()
        if spec["type"] != "cat"
    }

    def codes(table: Any) -> list[tuple[Any, int]]:
        out = []
        for name, spec in schema.items():
            values = table.column(name)
            if spec["type"] == "cat":
                index = {value: at for at, value in enumerate(spec["values"])}
                size = len(index) + 1
                out.append((np.array([index.get(value, size - 1) for value in values.to_pylist()]), size))
            else:
                missing = np.asarray(values.is_null())
                cell = np.searchsorted(cuts[name], values.fill_null(0).to_numpy(), side="left")
                out.append((np.where(missing, len(cuts[name]) + 1, cell), len(cuts[name]) + 2))
        return out

    def marginals(table: Any) -> tuple[list[Any], list[Any]]:
        columns = codes(table)
        ones = [np.bincount(code, minlength=size) / len(code) for code, size in columns]
        twos = [
            np.bincount(a * size_b + b, minlength=size_a * size_b) / len(a)
            for (a, size_a), (b, size_b) in itertools.combinations(columns, 2)
        ]
        return ones, twos

    truth = marginals(real)
    for result in results:
        made = marginals(pyarrow.csv.read_csv(folder / f"{result['tag']}.csv", convert_options=options))
        for name, expected, got in zip(("tvd1", "tvd2"), truth, made, strict=True):
            distances = [0.5 * float(np.abs(a - b).sum()) for a, b in zip(expected, got, strict=True)]
            result[name] = sum(distances) / len(distances)


if __name__ == "__main__":
    raise SystemExit(main())
