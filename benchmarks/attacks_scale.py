"""What attacking a large release costs: CPU seconds and memory over released rows, on Adult replicated with jitter.

    OMP_NUM_THREADS=1 python benchmarks/attacks_scale.py ADULT.csv[.gz] [--rows 1000000 10000000] [--targets 2000]

For each size the release is written once, in Parquet files of a million rows (drawn from Adult with replacement; age,
fnlwgt and hours moved by a few units, gains and losses by a few where they are not zero). Members and nonmembers are
two random halves of Adult. A fresh process then attacks the folder with the suite `standard`, once for each number of
targets (so many members and as many nonmembers), `income` being the secret. Peak memory is that process's; `first` is
what it held before the attack. Exponents are least squares in logarithms. `--profile` prints where the time went.

Everybody has near-copies in such a release, so it says what attacks cost, and not what they find. With `--honest` the
rows are drawn from MST at epsilon 3, fitted to the members, and cells say what each question answered.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import os
import pstats
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from engines import BLOCK, schema_of, write

import attacks
from accounting.relation import PrivacyUnit
from attacks.released import Released
from dpsynth.core.noise import SystemNoise
from dpsynth.data.read import read
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.tabular.mst import MST


def main() -> int:
    """Write, attack each size in a process of its own, print a line each and the exponents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adult", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--targets", type=int, nargs="+", default=[2_000])
    parser.add_argument("--suite", default="standard")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, dest="json_file")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--honest", action="store_true", help="rows of a model of the members")
    parser.add_argument("--one", type=Path, help="attack this folder in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments)))
        return 0
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for rows in arguments.rows:
            folder = (arguments.folder or Path(scratch)) / f"{'honest' if arguments.honest else 'adult'}-{rows}"
            if arguments.honest:
                modelled(arguments.adult, rows, folder)
            else:
                write(read(arguments.adult).to_arrow(), rows, folder)
            for targets in arguments.targets:
                command = [sys.executable, __file__, str(arguments.adult), "--one", str(folder), "--suite"]
                command += [arguments.suite, "--targets", str(targets), *(["--profile"] if arguments.profile else [])]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
                found.append({"rows": rows, "targets": targets, **json.loads(done.stdout)})
                print(found[-1], flush=True)
    for name, fixed in (("rows", "targets"), ("targets", "rows")):
        for value in sorted({cell[fixed] for cell in found}):
            cells = [cell for cell in found if cell[fixed] == value]
            if len(cells) > 1:
                at = np.log([cell[name] for cell in cells])
                slope = np.polyfit(at, [math.log(cell["cpu_s"]) for cell in cells], 1)[0]
                print(f"CPU seconds at {value:,} {fixed}: {name}^{slope:.2f}")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(found, indent=1), "utf-8")
    return 0


def halves(adult: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Members and nonmembers."""
    table = read(adult).to_pandas()
    order = np.random.default_rng(0).permutation(len(table))
    first, second = (table.iloc[part].reset_index(drop=True) for part in np.array_split(order, 2))
    return first, second


def modelled(adult: Path, rows: int, folder: Path) -> None:
    """Parquet files of a million rows of a model of the members, unless they are there."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    members = Table.from_pandas(halves(adult)[0])
    schema = schema_of(read(adult).to_arrow())
    plan = MST().plan(schema, PrivacyUnit(), epsilon="3", delta="1e-6")
    model = fit_model(members, schema, MST(), plan, noise=SystemNoise()).model
    rng = np.random.default_rng(rows)
    for at, start in enumerate(range(0, rows, BLOCK)):
        made = model.sample(min(BLOCK, rows - start), rng).select(members.columns)
        pq.write_table(made, folder / f"part-{at:04d}.parquet")


def measured(arguments: argparse.Namespace) -> dict[str, object]:
    """One attack in this process."""
    members, nonmembers = halves(arguments.adult)
    first, start = peak(), cpu()
    profile = cProfile.Profile()
    if arguments.profile:
        profile.enable()
    report = attacks.run(
        arguments.suite,
        release=Released.of(arguments.one),
        members=members,
        nonmembers=nonmembers,
        targets=arguments.targets[0],
        roles=attacks.Roles(sensitive=("income",)),
    )
    profile.disable()
    seconds = cpu() - start
    if arguments.profile:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(18)
    rows = pd.DataFrame([row.model_dump() for row in report.attacks])
    return {
        "cpu_s": round(seconds, 1),
        "first_mib": round(first),
        "peak_mib": round(peak()),
        "verdict": report.verdict,
        "each_s": rows.groupby("name")["seconds"].sum().round(1).to_dict(),
        "conclusive": None if report.sampling is None else report.sampling.conclusive,
        "verdicts": {f"{row.name} {row.stratum} {row.endpoint}": row.verdict for row in report.attacks},
        "detectable": dict(zip(rows["name"] + " " + rows["stratum"], rows["detectable"], strict=True)),
    }


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak() -> float:
    """Largest resident memory so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    raise SystemExit(main())
