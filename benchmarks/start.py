"""How long the package takes to start: import and `--help`, over bare Python, whole processes.

python benchmarks/start.py [--runs 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

CASES = {
    "bare": "pass",
    "import dpsynth": "import dpsynth",
    "import accounting": "import accounting",
    "import attacks": "import attacks",
    "dpsynth --help": "import sys; sys.argv = ['dpsynth', '--help']; from dpsynth.cli.app import main; main()",
}


def main() -> int:
    """Print medians in milliseconds; exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(arguments.runs):  # in turn, so that a busy moment hits all cases alike
        for name, code in CASES.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
            times[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<20}{median:8.0f} ms{median - medians['bare']:8.0f} ms over bare")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps(medians, indent=1))
    return int(medians["import dpsynth"] - medians["bare"] > 150 or medians["dpsynth --help"] > 300)


if __name__ == "__main__":
    raise SystemExit(main())
