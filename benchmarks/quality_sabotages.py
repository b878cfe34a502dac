"""In how many seeds each sabotage of a table is noticed by all the metrics that must, and real rows by none.

    python benchmarks/quality_sabotages.py network --seeds 20 40 --rows 2000 --own-population [--json FILE]
    python benchmarks/quality_sabotages.py randhie --seeds 0 20 --rows 2000
    python benchmarks/quality_sabotages.py anes96 --seeds 0 20 --rows 314

A seed draws training rows, fresh ones and a holdout, makes cells missing and damages the fresh rows; it prints what
was missed: the metrics that must have noticed and did not or, for real rows, those that noticed.
`--own-population` draws every seed from a population of its own; without, the slow test's five are used in turn.
FILE gets a line a seed as it ends, so that a run that was stopped is not lost.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dpsynth.quality.sabotage import SABOTAGES, sabotaged
from tests.quality.worlds import SOURCES, Split, judged, simulated

REAL = "real rows"


def one_seed(split: Split, target: str, seed: int) -> dict[str, list[str]]:
    """Sabotage -> what was missed; those that the table has not what it takes for are left out."""
    found = {}
    for name in (REAL, *SABOTAGES):
        made = split["fresh"]
        if name != REAL:
            damaged = sabotaged(name, fresh=split["fresh"], real=split["real"], target=target, seed=seed)
            if damaged is None:
                continue
            made = damaged
        report = judged(split, made, target, detection=True)
        if name == REAL or not SABOTAGES[name].must:
            found[name] = sorted(metric.name for metric in report.metrics if metric.noticed)
        else:
            found[name] = list(SABOTAGES[name].missed(report))
    return found


def main() -> None:
    """Print what each seed missed, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("--seeds", type=int, nargs=2, default=(20, 40), metavar=("FIRST", "END"))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--own-population", action="store_true")
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    full: Counter[str] = Counter()
    of: Counter[str] = Counter()
    short: Counter[str] = Counter()
    for seed in range(*arguments.seeds):
        start = time.process_time()
        if arguments.own_population and arguments.source in ("network", "mixture"):
            split, target = simulated(arguments.source, arguments.rows, seed, population=seed)
        else:
            split, target = SOURCES[arguments.source](arguments.rows, seed)
        found = one_seed(split, target, seed)
        missed = {name: names for name, names in found.items() if names}
        seconds = time.process_time() - start
        print(f"{arguments.source} {arguments.rows} seed {seed}, {seconds:.0f} s: {missed or 'all right'}")
        sys.stdout.flush()
        if arguments.json_file:
            with arguments.json_file.open("a", encoding="utf-8") as file:
                file.write(
                    json.dumps({"source": arguments.source, "rows": arguments.rows, "seed": seed, **found}) + "\n"
                )
        for name, names in found.items():
            of[name] += 1
            full[name] += not names
            short.update(f"{name}: {one}" for one in names)
    print(f"\n{arguments.source}, {arguments.rows} rows, seeds {arguments.seeds[0]} to {arguments.seeds[1] - 1}")
    for name, count in of.items():
        print(f"{name:<20}{full[name]:>4} of {count}")
    for name, count in short.most_common():
        print(f"  {name}: {count}")


if __name__ == "__main__":
    main()
