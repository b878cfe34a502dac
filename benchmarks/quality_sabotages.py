"""In how many seeds each sabotage of a table is noticed by all the metrics that must, and real rows by none.

    python benchmarks/quality_sabotages.py network --seeds 200 220 --rows 2000 [--json FILE]
    python benchmarks/quality_sabotages.py anes96 --seeds 200 220 --rows 314

A seed draws training rows, fresh ones and a holdout, makes cells missing and damages the fresh rows; it prints what
was missed: the metrics that must have noticed and did not or, for real rows, those that noticed.
Networks and mixtures are of a new population a seed. The slow tests hold the same trials, damage by damage.
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

from tests.quality.trials import NAMES, SEEDS, trial
from tests.quality.worlds import SOURCES


def main() -> None:
    """Print what each seed missed, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("--seeds", type=int, nargs=2, default=(SEEDS.start, SEEDS.stop), metavar=("FIRST", "END"))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    full: Counter[str] = Counter()
    of: Counter[str] = Counter()
    short: Counter[str] = Counter()
    for seed in range(*arguments.seeds):
        start = time.process_time()
        split, target = SOURCES[arguments.source](arguments.rows, seed)
        tried = {name: trial(name, split, target, seed) for name in NAMES}
        found = {name: missed for name, missed in tried.items() if missed is not None}
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
