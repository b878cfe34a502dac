"""How long does a receiver wait for the verdict on a large bundle, with `verify_bundle.py` and nothing else installed?

    python benchmarks/verify_single_file.py [--megabytes 200] [--python PATH] [--runs 3]

Makes a bundle of that size (rows of the test world, repeated), writes the single file and runs it as a receiver would:
`python -I verify_bundle.py BUNDLE --key KEY`, folder and zip. Prints wall and CPU seconds of each run, the best first.
`--python` names an interpreter with `cryptography` only; by default this one, of which the file imports nothing else.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa

import tests.release.world as world
from dpsynth.release.standalone.build import NAME, verifier


def rows_of(megabytes: int) -> pa.Table:
    """Rows that make about so many megabytes of CSV and Parquet together."""
    rows = megabytes * 20_000
    rng = np.random.default_rng(0)
    return pa.table({"a": rng.normal(size=rows), "b": rng.integers(0, 9, rows), "c": rng.normal(size=rows)})


def main() -> int:
    """Make, run, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--megabytes", type=int, default=200)
    asked.add_argument("--python", default=sys.executable)
    asked.add_argument("--runs", type=int, default=3)
    args = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        world.synthetic_table = lambda: rows_of(args.megabytes)
        made = world.ready_world(home / "vault")
        decision = made.judge()
        (home / "key").write_bytes(made.signer.public_bytes)
        (home / NAME).write_bytes(verifier())
        for bundle in (home / "bundle", home / "bundle.zip"):
            made.release(bundle, decision=decision)
            size = sum(p.stat().st_size for p in ([bundle] if bundle.is_file() else bundle.iterdir())) / 1e6
            found = []
            for _ in range(args.runs):
                before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                command = [args.python, "-I", str(home / NAME), str(bundle), "--key", str(home / "key")]
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                found.append((time.perf_counter() - start, cpu, ran.returncode))
            shown = ", ".join(f"{wall:.2f} s wall {cpu:.2f} s CPU (exit {code})" for wall, cpu, code in sorted(found))
            print(f"{bundle.name:<12} {size:6.0f} MB  {shown}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
