"""`make mutate`: what share of small faults in the release gate and the ledger does the suite notice?

    python -m tests.mutation [--sample 400] [--seed 9] [--only PART] [--again RESULTS] [--list-only]

A random sample of all faults of `tests.mutation.mutants` is made, one at a time, each in a child process that imports
the mutated module in place of the real one and runs the tests that `tests.mutation.choice` picks, until one fails. A
child that runs out of its time is a fault noticed if it ran far longer than the same tests do without it (an endless
loop), else a survivor, so the score errs downwards. Interval: Wilson, 95 %.
"""

from __future__ import annotations

import argparse
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

from tests.mutation.choice import Touched, chosen
from tests.mutation.mutants import Mutant, mutants, mutated

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("dpsynth/release", "accounting/ledger")
NOT_HERE = ("store/postgresql.py", "release/standalone")  # a server's, and what runs in a process of its own
SUITES = (*TARGETS, "tests/release", "tests/accounting/ledger", "tests/threats", "tests/fuzz",
          "tests/accounting/test_sparse_vector.py", "tests/accounting/test_prediction_tokens.py",
          "tests/cli/test_ledger_evidence.py", "tests/docs/test_publish_a_card.py", "tests/workspace/test_figures.py",
          "tests/workspace/test_governance_machine.py", "tests/workspace/test_lineage.py",
          "tests/workspace/test_marginals.py", "tests/workspace/test_unprotected.py")  # fmt: skip
WORK = ROOT / ".mutation"
CAP = 20.0  # CPU seconds for the tests of one fault
_OPTIONS = ["-q", "-x", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-p", "no:faker",
            "--hypothesis-seed=9", "--tb=no", "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
_UNCHANGED = ("postgresql", "test_kill", "test_race", "alone", "standalone")  # what runs in processes of its own


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sample", type=int, default=400)
    asked.add_argument("--seed", type=int, default=9)
    asked.add_argument("--only", default="")
    asked.add_argument("--again", help="only the survivors of this earlier list of results, sources unchanged")
    asked.add_argument("--list-only", action="store_true")
    args = asked.parse_args()
    WORK.mkdir(exist_ok=True)
    files = tuple(path for target in TARGETS for path in sorted((ROOT / target).rglob("*.py"))
                  if not any(part in str(path) for part in NOT_HERE))  # fmt: skip
    population = [fault for path in files if args.only in str(path) for fault in mutants(ROOT, path)]
    print(f"{len(population)} faults can be made", flush=True)
    if args.list_only:
        return 0
    _preload()
    touched = _touched()
    if args.again:
        rows = [json.loads(line) for line in Path(args.again).read_text("utf-8").splitlines()]
        names = Mutant.__dataclass_fields__
        sample = [Mutant(**{name: row[name] for name in names}) for row in rows if row["verdict"] == "survived"]
    else:
        sample = random.Random(args.seed).sample(population, min(args.sample, len(population)))
    for fault in [] if args.again else sample[:3]:
        if _try(None, chosen(ROOT, fault, files, touched, CAP)) != "survived":
            print("The tests fail without any fault: mend them first.")
            return 1
    done: list[tuple[Mutant, str, float]] = []
    log = (WORK / f"results-{'again' if args.again else args.seed}.jsonl").open("w")
    for fault in sample:
        start = time.monotonic()
        verdict = _try(fault, chosen(ROOT, fault, files, touched, CAP))
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


def _touched() -> Touched:
    """Which test enters what; of test files that changed since it was written down, anew.

    A function that is new or has another name is in no list until its tests change: delete the file to have all anew.
    """
    out, more = WORK / "touched.json", WORK / "touched-more.json"
    if not out.exists():
        _record(list(SUITES), out)
    tests = [path for suite in SUITES for path in [ROOT / suite, *(ROOT / suite).rglob("test_*.py")] if path.is_file()]
    changed = [str(path.relative_to(ROOT)) for path in tests
               if path.name.startswith("test_") and path.stat().st_mtime > out.stat().st_mtime]  # fmt: skip
    if changed:
        _record(changed, more)
        old, new = json.loads(out.read_text()), json.loads(more.read_text())
        kept = {name: row for name, row in old.items() if name.partition("::")[0] not in changed}
        out.write_text(json.dumps(kept | new))
    found: Touched = json.loads(out.read_text())
    return {name: row for name, row in found.items() if not any(word in name for word in _UNCHANGED)}


def _record(suites: list[str], out: Path) -> None:
    pid = os.fork()
    if pid == 0:
        import pytest

        from tests.mutation.touched import Touched as Plugin

        os.chdir(ROOT)
        plugin = Plugin(ROOT, TARGETS, out)
        os._exit(pytest.main([*suites, *(word for word in _OPTIONS if word != "-x")], plugins=[plugin]))
    os.waitpid(pid, 0)


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
        planted = _Planted(fault)
        sys.meta_path.insert(0, planted)
        try:  # at once: a doctest of the module would otherwise put the sound one in its place
            importlib.import_module(planted.name)
        except BaseException:  # noqa: BLE001 - whatever a fault breaks is a fault noticed
            return 1
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
    # A usage error is a conftest that could not be imported: with the fault, for it is there without it.
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1


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
