"""`make fuzz`: coverage-guided fuzzing with atheris of every parser, one process a target, for a time each.

    python -m tests.fuzz [--seconds 120] [--only NAME]

Findings are written to `.fuzz/<target>/` and shown; make each a regression test in tests/fuzz/test_findings.py.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["accounting", "dpsynth.release", "dpsynth.data", "dpsynth.schema", "dpsynth.workspace.run", "yaml",
            "rfc8785"]  # fmt: skip


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=int, default=120, help="CPU seconds for each target")
    asked.add_argument("--only", default="")
    args = asked.parse_args()
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.targets import TARGETS, attempt
    failed = []
    for name, target in TARGETS.items():
        if args.only not in name:
            continue
        corpus = ROOT / ".fuzz" / name.replace(" ", "_")
        corpus.mkdir(parents=True, exist_ok=True)
        for at, seed in enumerate(target.seeds()):
            (corpus / f"seed{at}").write_bytes(seed)
        pid = os.fork()
        if pid == 0:
            # libFuzzer counts wall time; the process ends itself after its CPU seconds.
            runs, started = [0], time.process_time()

            def one(raw: bytes, name=name, runs=runs, started=started) -> None:  # type: ignore[no-untyped-def]
                runs[0] += 1
                attempt(name, raw)
                if time.process_time() - started > args.seconds:
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                    print(f"{name}: {runs[0]} inputs in {args.seconds} CPU s, no finding, peak {peak} MiB", flush=True)
                    os._exit(0)

            flags = ["-timeout=60", "-rss_limit_mb=4096", "-verbosity=0", "-max_len=4000000", "-print_final_stats=0"]
            atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={corpus}/finding-", *flags], one)
            atheris.Fuzz()
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        if status:
            failed.append(name)
            print(f"{name}: FINDING, see {corpus}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
