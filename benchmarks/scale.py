"""Rows x columns x domain: what time and memory a generator takes from process start, and with which exponents.

    python benchmarks/scale.py [--generator gibbs] [--rows 1000 10000 100000 1000000 10000000]
                               [--columns 2 10 35 100 200] [--codes 4 16 64] [--epsilon 1] [--format csv|parquet]
                               [--source covid|simulated] [--json FILE] [--full] [--most-cells 400000000]

One factor varies at a time around the middle of each list (`--full`: all combinations); tables of more than
`--most-cells` cells (rows times columns) are left out and named. Every run is the command line
in a fresh process, `dpsynth synthesize … --public -o …`, so imports, reading, fit, sampling and writing are in it; CPU
seconds and peak resident memory are the operating system's figures for that process. Wall time is printed too, and
means something on an idle machine only.

Rows are a simulated population in which each column follows one of eight hidden types, or (`--source covid`) a
bootstrap of COVID Mexico where it is there (`DPSYNTH_SHARED`), without dates and municipalities, its columns repeated
with one cell in five redrawn when more are asked for. `--codes` is the number of values of simulated columns. The input
file is also read alone, in a process of its own, so that the memory which the table takes can be told from what
synthesis adds.

The exponent of a factor is the slope of log cost against log size by least squares, through the runs in which only that
factor varies: 1 is linear. A fixed cost of start, about a second, flattens the slopes of small runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SHARED = Path(os.environ.get("DPSYNTH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
COVID = SHARED / "data" / "tabular" / "covid_mx" / "covid_mx_2020-05-27.parquet"
DROPPED = ("ID_REGISTRO", "FECHA_ACTUALIZACION", "FECHA_INGRESO", "FECHA_SINTOMAS", "FECHA_DEF", "MUNICIPIO_RES")
REDRAWN = 0.2
HIDDEN = 8
PIECE = 1_000_000
FACTORS = ("rows", "columns", "codes")
COSTS = ("cpu_s", "wall_s", "rss_mib")
READ = "import sys; from pathlib import Path; from dpsynth.data.read import read; read(Path(sys.argv[1]))"
RUN = "from dpsynth.cli.app import main; main()"

Case = dict[str, Any]


def main() -> int:
    """Run the grid, print a table and exponents, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", default="gibbs")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--columns", type=int, nargs="+", default=[2, 10, 35, 100, 200])
    parser.add_argument("--codes", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--source", choices=("covid", "simulated"), default="simulated")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", dest="form", help="of input and output")
    parser.add_argument("--most-cells", type=int, default=400_000_000, help="larger tables are left out")
    parser.add_argument("--full", action="store_true", help="all combinations")
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    if arguments.source == "covid" and not COVID.is_file():
        print(f"no data at {COVID}; set DPSYNTH_SHARED, or use --source simulated")
        return 1
    lists = {name: sorted(getattr(arguments, name)) for name in FACTORS}
    print("".join(f"{name:>10}" for name in (*FACTORS, *COSTS, "read_mib")))
    results = []
    for case in grid(lists, arguments.full):
        if case["rows"] * case["columns"] > arguments.most_cells:
            print("".join(f"{case[name]:>10.5g}" for name in FACTORS) + "  left out: beyond --most-cells")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            result = run(case, arguments.source, arguments.generator, arguments.epsilon, arguments.form, Path(scratch))
        print("".join(f"{result[name]:>10.5g}" for name in (*FACTORS, *COSTS, "read_mib")), flush=True)
        results.append(result)
    slopes = exponents(results, lists)
    for factor, found in slopes.items():
        print(f"{factor}: " + ", ".join(f"{cost} ~ {factor}^{value:.2f}" for cost, value in found.items()))
    if arguments.json_file:
        setting = {"generator": arguments.generator, "source": arguments.source, "format": arguments.form}
        body = {**setting, "epsilon": arguments.epsilon, "runs": results, "exponents": slopes}
        arguments.json_file.write_text(json.dumps(body, indent=1))
    return 0


def grid(lists: dict[str, list[int]], full: bool) -> list[Case]:
    """Cases to run: all, or those that differ from the middle in one factor at most."""
    middle = {name: values[len(values) // 2] for name, values in lists.items()}
    every = (dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values()))
    return [case for case in every if full or sum(case[name] != middle[name] for name in lists) <= 1]


def run(case: Case, source: str, generator: str, epsilon: str, form: str, scratch: Path) -> Case:
    """One table, one fresh process."""
    data, schema = scratch / f"data.{form}", scratch / "schema.yaml"
    write(case, source, data, schema)
    command = [
        sys.executable, "-c", RUN, "synthesize", str(data), "--generator", generator, "--epsilon", epsilon,
        "--delta", "1e-9", "--schema", str(schema), "--public", "-o", str(scratch / f"out.{form}"), "--json",
    ]  # fmt: skip
    read = measured([sys.executable, "-c", READ, str(data)], scratch)
    return {**case, **measured(command, scratch), "read_mib": read["rss_mib"], "file_mib": data.stat().st_size / 2**20}


def measured(command: Sequence[str], scratch: Path) -> Case:
    """Wall and CPU seconds and peak memory of a process."""
    start = time.perf_counter()
    with (scratch / "out").open("wb") as out, (scratch / "err").open("wb") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit((scratch / "err").read_text())
    return {
        "wall_s": round(time.perf_counter() - start, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "rss_mib": round(used.ru_maxrss / 1024),
    }


def write(case: Case, source: str, data: Path, schema: Path) -> None:
    """A table of that size as CSV or Parquet, and its schema with public domains, in pieces of a million rows."""
    import pyarrow.csv
    import pyarrow.parquet

    from dpsynth.schema.model import Schema

    make = bootstrapped if source == "covid" else simulated
    pieces = iter(make(case["rows"], case["columns"], case["codes"]))
    table, seen = next(pieces), {}
    writer = pyarrow.csv.CSVWriter if data.suffix == ".csv" else pyarrow.parquet.ParquetWriter
    with writer(data, table.schema) as file:
        while table is not None:
            file.write_table(table)
            for name in table.column_names:
                seen[name] = sorted({*seen.get(name, ()), *table.column(name).unique().to_pylist()} - {None})
            table = next(pieces, None)
    columns = {name: {"kind": "categorical", "values": values} for name, values in seen.items()}
    schema.write_text(Schema.from_dict({"version": 1, "columns": columns}).to_yaml(), "utf-8")


def bootstrapped(rows: int, columns: int, codes: int) -> Iterator[Any]:
    """Rows of COVID Mexico drawn with replacement; columns beyond its own are noisy copies. Domains are its own."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    del codes
    rng = np.random.default_rng(0)
    whole = pyarrow.parquet.read_table(COVID).drop_columns(DROPPED)
    for number in pieces_of(rows):
        drawn = whole.take(pa.array(rng.integers(0, whole.num_rows, number)))
        out = {}
        for at in range(columns):
            name = whole.column_names[at % whole.num_columns]
            copy, column = at // whole.num_columns, drawn.column(name)
            if copy:
                swapped = np.where(rng.random(number) < REDRAWN, rng.permutation(number), np.arange(number))
                column = column.take(pa.array(swapped))
            out[f"{name}_{copy}" if copy else name] = column
        yield pa.table(out)


def simulated(rows: int, columns: int, codes: int) -> Iterator[Any]:
    """Each cell is its column's value for the row's hidden type, or, one time in three, any value."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(0)
    typical = rng.integers(0, codes, (columns, HIDDEN))
    for number in pieces_of(rows):
        hidden = rng.integers(0, HIDDEN, number)
        yield pa.table(
            {
                f"c{at}": np.where(rng.random(number) < 2 / 3, typical[at][hidden], rng.integers(0, codes, number))
                for at in range(columns)
            }
        )


def pieces_of(rows: int) -> list[int]:
    """Sizes of pieces of at most a million rows."""
    return [min(PIECE, rows - start) for start in range(0, rows, PIECE)]


def exponents(results: Sequence[Case], lists: dict[str, list[int]]) -> dict[str, dict[str, float]]:
    """Factor -> cost -> slope of log cost on log size, the other factors at their middle."""
    out: dict[str, dict[str, float]] = {}
    for factor, values in lists.items():
        others = [name for name in lists if name != factor]
        line = [r for r in results if all(r[name] == lists[name][len(lists[name]) // 2] for name in others)]
        if len(values) > 1 and len(line) > 1:
            out[factor] = {cost: round(slope([(r[factor], r[cost]) for r in line]), 3) for cost in COSTS}
    return out


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares in logarithms.

    >>> round(slope([(1, 2), (10, 200), (100, 20_000)]), 6)
    2.0
    """
    x, y = ([math.log(point[side]) for point in points] for side in (0, 1))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    pairs = list(zip(x, y, strict=True))
    return sum((a - mean_x) * (b - mean_y) for a, b in pairs) / sum((a - mean_x) ** 2 for a in x)


if __name__ == "__main__":
    raise SystemExit(main())
