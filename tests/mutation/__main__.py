"""`make mutate`: what share of small faults in the release gate and the ledger does the suite notice?

    python -m tests.mutation [--sample 400] [--seed 9] [--only PREFIX] [--list-only]

A random sample of all faults of `tests.mutation.mutants` is made, one at a time, each in a child process that imports
the mutated module in place of the real one and runs the tests that enter the function, the quickest first, until one
fails. A fault in a module's own body is tried with the tests that enter any of its functions. A child that runs out of
its time is a fault noticed if it ran far longer than the same tests do without it (an endless loop), else a survivor,
so the score errs downwards. Interval: Wilson, 95 %.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.machinery
import json
import math
import os
import random
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants, mutated

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("dpsynth/release", "accounting/ledger")
NOT_HERE = ("store/postgresql.py", "release/standalone")  # a server's, and what runs in a process of its own
SUITES = ("tests/release", "tests/accounting/ledger", "tests/threats", "tests/fuzz")
WORK = ROOT / ".mutation"
CAP = 15.0  # CPU seconds for the tests of one fault
_OPTIONS = ["-q", "-x", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--hypothesis-seed=9", "--tb=no",
            "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
_UNCHANGED = ("postgresql", "test_kill", "test_race", "alone", "standalone")  # what runs in processes of its own


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sample", type=int, default=400)
    asked.add_argument("--seed", type=int, default=9)
    asked.add_argument("--only", default="")
    asked.add_argument("--list-only", action="store_true")
    args = asked.parse_args()
    WORK.mkdir(exist_ok=True)
    files = [p for target in TARGETS for p in sorted((ROOT / target).rglob("*.py"))
             if args.only in str(p) and not any(part in str(p) for part in NOT_HERE)]  # fmt: skip
    population = [fault for path in files for fault in mutants(ROOT, path)]
    print(f"{len(population)} faults can be made in {len(files)} files", flush=True)
    if args.list_only:
        return 0
    _preload()
    touched = _touched()
    sample = random.Random(args.seed).sample(population, min(args.sample, len(population)))
    for fault in sample[:3]:
        if _try(None, _tests_of(fault, touched)) != "survived":
            print("The tests fail without any fault: mend them first.")
            return 1
    done: list[tuple[Mutant, str, float]] = []
    log = (WORK / "results.jsonl").open("w")
    for fault in sample:
        start = time.monotonic()
        verdict = _try(fault, _tests_of(fault, touched))
        done.append((fault, verdict, time.monotonic() - start))
        log.write(json.dumps({**asdict(fault), "verdict": verdict, "seconds": round(done[-1][2], 1)}) + "\n")
        log.flush()
        if verdict == "survived":
            print(f"survived  {fault}", flush=True)
        if len(done) % 25 == 0:
            print(_score(done), flush=True)
    print(_score(done))
    return 0


def _score(done: list[tuple[Mutant, str, float]]) -> str:
    n = len(done)
    hits = sum(verdict != "survived" for _, verdict, _ in done)
    p, z = hits / n, 1.96
    middle, reach = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    low, high = ((middle + sign * reach) / (1 + z * z / n) for sign in (-1, 1))
    return f"{hits} of {n} noticed: {p:.1%} (95 % interval {low:.1%} to {high:.1%})"


def _preload() -> None:
    """What every child needs and no fault touches."""
    for name in ("numpy", "pandas", "pyarrow", "pyarrow.parquet", "pyarrow.csv", "pydantic", "scipy.fft",
                 "scipy.special", "scipy.signal", "scipy.stats", "sqlalchemy", "hypothesis", "cryptography", "yaml",
                 "dp_accounting.pld.privacy_loss_distribution", "statsmodels.api", "sklearn.ensemble"):  # fmt: skip
        importlib.import_module(name)


def _touched() -> dict[str, tuple[float, list[str]]]:
    out = WORK / "touched.json"
    if not out.exists():
        pid = os.fork()
        if pid == 0:
            import pytest

            from tests.mutation.touched import Touched

            os.chdir(ROOT)
            suites = [suite for suite in SUITES if (ROOT / suite).exists()]
            plugin = Touched(ROOT, TARGETS, out)
            os._exit(pytest.main([*suites, *(word for word in _OPTIONS if word != "-x")], plugins=[plugin]))
        os.waitpid(pid, 0)
    found: dict[str, tuple[float, list[str]]] = json.loads(out.read_text())
    return {name: row for name, row in found.items() if not any(word in name for word in _UNCHANGED)}


def _tests_of(fault: Mutant, touched: dict[str, tuple[float, list[str]]]) -> dict[str, float]:
    """Tests that enter the function (of a decorated one the decorator's line is its first), quickest first."""
    tree = ast.parse((ROOT / fault.path).read_text("utf-8"))
    first = {
        str(node.lineno): min([node.lineno, *(deco.lineno for deco in node.decorator_list)])
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    place = f"{fault.path}:{first[fault.function]}" if fault.function else f"{fault.path}:"
    fitting = {
        name: seconds
        for name, (seconds, places) in touched.items()
        if any(place == one or (not fault.function and one.startswith(place)) for one in places)
    }
    if not fitting:  # a table that is read and not called, or what only a shared fixture runs
        suite = "tests/release/" if fault.path.startswith("dpsynth") else "tests/accounting/ledger/"
        fitting = {name: seconds for name, (seconds, _) in touched.items() if name.startswith(suite)}
    own = f"test_{Path(fault.path).stem}.py"
    ordered = sorted(fitting.items(), key=lambda row: (row[1] > 1, own not in row[0], row[1]))
    kept: dict[str, float] = {}
    for name, seconds in ordered:
        if sum(kept.values()) + seconds > CAP:
            break
        kept[name] = seconds
    return kept


def _try(fault: Mutant | None, tests: dict[str, float]) -> str:
    expected = sum(tests.values()) + 15
    pid = os.fork()
    if pid == 0:
        os._exit(_child(fault, tests, expected))
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "endless"
    return "survived" if os.WEXITSTATUS(status) == 0 else "noticed"


def _child(fault: Mutant | None, tests: dict[str, float], expected: float) -> int:
    os.chdir(ROOT)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    signal.setitimer(signal.ITIMER_PROF, 4 * expected)  # SIGPROF ends the child; CPU time, others share the machine
    if fault is not None:
        sys.meta_path.insert(0, _Planted(fault))
    import pytest

    class Chosen:
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            place = {name: at for at, name in enumerate(tests)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    files = sorted({name.partition("::")[0] for name in tests})
    try:
        code = pytest.main([*files, *_OPTIONS], plugins=[Chosen()])
    except BaseException:  # noqa: BLE001 - whatever a fault breaks is a fault noticed
        return 1
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED, pytest.ExitCode.USAGE_ERROR) else 1


class _Planted(importlib.machinery.PathFinder):
    """Finds one module with a fault in it."""

    def __init__(self, fault: Mutant) -> None:
        parts = Path(fault.path).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.tree = mutated(ROOT, fault)

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def, override]
        if name != self.name:
            return None
        spec = super().find_spec(name, path, target)
        tree = self.tree

        class Loader(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname):  # type: ignore[no-untyped-def]
                return compile(tree, self.path, "exec", dont_inherit=True)

        spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


if __name__ == "__main__":
    sys.exit(main())
