"""Who passes the gate's rules over quality: honest drafts at epsilon 1 and 3, and the named sabotages.

    python benchmarks/gate_quality.py measure reports.jsonl --tables fair randhie adult --seeds 0 5     # slow: fits
    python benchmarks/gate_quality.py later reports.jsonl --tables fashion fair randhie --seeds 0 3      # later rows
    python benchmarks/gate_quality.py judge reports.jsonl [--without utility later tails diversity]     # seconds

`measure` splits a table by a seed (70 % training, 30 % holdout, as a workspace does), fits each generator at each
epsilon, and writes one quality report a line; likewise for each sabotage of `dpsynth.quality.sabotage`, done once to
real rows that stand for a perfect table and once to an honest draft at epsilon 1. `judge` asks the rules over quality
with the default policy and prints how many of each kind they let pass. Attacks are left out: another question.

`later` calls half of the holdout later (no drift: a fall there is a false alarm), and adds a world of known truth in
which one column says the target by the fashion of a time, and says nothing later: honest drafts, and `shortcut`, rows
that score on the holdout as real rows do because they follow the fashion alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

GENERATORS = ("mst", "gibbs")
EPSILONS = ("1", "3")
REAL = "real rows"


def _source(name: str, folder: Path) -> tuple[Any, Any]:
    """The whole table and its schema."""
    from dpsynth.data.options import ReadOptions
    from dpsynth.data.read import read
    from dpsynth.schema.checks import column_options
    from dpsynth.schema.model import Schema

    if name == "adult":
        from tables import load

        found = load("adult")
        return read(found.train, options=ReadOptions(columns=column_options(found.schema))), found.schema
    from dpsynth.demo.data import write

    path, written = write(name, folder)
    schema = Schema.from_yaml(written)
    return read(path, options=ReadOptions(columns=column_options(schema))), schema


def measure(name: str, seed: int, out: Path) -> None:
    """One table and one split: all drafts and sabotages, a line each."""
    from accounting.relation import PrivacyUnit
    from dpsynth.data.table import Table
    from dpsynth.quality import evaluate
    from dpsynth.quality.sabotage import SABOTAGES, sabotaged
    from dpsynth.tabular import generator as generator_named
    from dpsynth.workspace.runs.public import synthesize_public

    with tempfile.TemporaryDirectory() as scratch:
        table, schema = _source(name, Path(scratch))
    rng = np.random.default_rng(seed)
    order = rng.permutation(table.unsafe_num_rows)
    held = int(0.3 * len(order))
    names = list(schema.modelled)
    train, holdout = table.take(order[held:]), table.take(order[:held])
    real, other = train.select(names).to_pandas(), holdout.select(names).to_pandas()

    def report(kind: str, epsilon: str | None, made: pd.DataFrame, real: pd.DataFrame, sigma: float | None) -> None:
        start = time.process_time()
        found = evaluate(real, made, other, schema=schema, target=schema.target, sigma=sigma)
        line = {"table": name, "seed": seed, "kind": kind, "epsilon": epsilon, "report": found.to_json()}
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(name, seed, kind, epsilon, f"{time.process_time() - start:.0f} s", flush=True)

    def damages(prefix: str, made: pd.DataFrame, real: pd.DataFrame) -> None:
        for sabotage in SABOTAGES:
            two = made[schema.target].nunique() == 2
            if sabotage != "train_copied" and (two or sabotage != "target_flipped"):  # quality must not notice copies
                damaged = sabotaged(sabotage, fresh=made, real=real, target=schema.target or "", seed=seed)
                if damaged is not None:
                    report(f"{prefix}: {sabotage}", None, damaged, real, None)

    drafts = {}
    for generator in GENERATORS:
        for epsilon in EPSILONS:
            drawn = synthesize_public(train.select(names), generator, schema=schema, epsilon=epsilon, delta="1e-6")
            made = Table.from_arrow(drawn.rows).select(names).to_pandas()
            drafts[generator, epsilon] = made
            plan = generator_named(generator).plan(schema, PrivacyUnit(), epsilon=epsilon, delta="1e-6")
            sigma = plan.pair_sigma(drawn.saved.model.describe())
            report(generator, epsilon, made, real, None if sigma is None else float(sigma))
    half = len(real) // 2
    report(REAL, None, real[half:].reset_index(drop=True), real[:half], None)
    damages("of real rows", real[half:].reset_index(drop=True), real[:half])
    damages("of a draft", drafts["gibbs", "1"], real)


def fashion(rows: int, seed: int, *, later: bool, shortcut: bool = False) -> pd.DataFrame:
    """A target that follows `cause` always, and `fashion` until later; with `shortcut` the latter alone, more so."""
    rng = np.random.default_rng([seed, later, shortcut])
    cause = rng.integers(0, 6, rows)
    log_odds = np.zeros(rows) if shortcut else 0.8 * (cause - 2.5)
    target = rng.random(rows) < 1 / (1 + np.exp(-log_odds))
    agrees = rng.random(rows) < (0.5 if later else 0.92 if shortcut else 0.85)
    noise = {f"other{i}": rng.integers(0, 4, rows) for i in range(3)}
    shown = np.where(agrees, target, ~target)
    words = {"cause": np.char.add("c", cause.astype(str)), "fashion": np.where(shown, "in", "out")}
    return pd.DataFrame({**words, **noise, "target": np.where(target, "yes", "no")})


def measure_later(name: str, seed: int, out: Path) -> None:
    """One table or the world `fashion`: a report with figures of a later time for each draft."""
    from dpsynth.data.table import Table
    from dpsynth.quality import evaluate
    from dpsynth.schema.draft import draft
    from dpsynth.schema.model import Schema
    from dpsynth.workspace.runs.public import synthesize_public

    if name == "fashion":
        parts = [fashion(rows, 10 * seed + i, later=i == 2) for i, rows in enumerate((4000, 1700, 1700))]
        table = Table.from_pandas(parts[0])
        plain = draft(table, target="target")
        values = {n: {"values": sorted(set(parts[0][n].tolist()))} for n in ("cause", "fashion", "target")}
        bounds = {f"other{i}": {"min": 0, "max": 3} for i in range(3)}
        schema: Schema = plain.with_columns(**values, **bounds)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            whole, schema = _source(name, Path(scratch))
        order = np.random.default_rng(seed).permutation(whole.unsafe_num_rows)
        held = int(0.3 * len(order))
        places = (order[held:], order[: held // 2], order[held // 2 : held])
        parts = [whole.take(place).select(list(schema.modelled)).to_pandas() for place in places]
        table = whole.take(order[held:]).select(list(schema.modelled))
    made = {}
    for generator in GENERATORS:
        for epsilon in EPSILONS:
            drawn = synthesize_public(table, generator, schema=schema, epsilon=epsilon, delta="1e-6")
            made[f"later, {generator}", epsilon] = Table.from_arrow(drawn.rows).select(table.columns).to_pandas()
    if name == "fashion":
        made["later, shortcut", ""] = fashion(4000, seed, later=False, shortcut=True)
        made["later, real rows", ""] = fashion(4000, seed + 500, later=False)
    for (kind, epsilon), rows in made.items():
        found = evaluate(parts[0], rows, parts[1], later=parts[2], schema=schema, target=schema.target)
        line = {"table": name, "seed": seed, "kind": kind, "epsilon": epsilon, "report": found.to_json()}
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(name, seed, kind, epsilon, flush=True)


def judge(path: Path, without: list[str]) -> None:
    """How many of each kind every rule lets pass, and all of them together."""
    from types import SimpleNamespace

    from dpsynth.quality.report import QualityReport
    from dpsynth.release.evidence import Evidence
    from dpsynth.release.gate import gate
    from dpsynth.release.policy import Policy, default_policy
    from dpsynth.release.rules import load_rule

    body = default_policy().model_dump(mode="json")
    body["quality"] = {key: value for key, value in body["quality"].items() if key not in without}
    policy = Policy.model_validate(body)
    rules = [load_rule(name) for name in ("quality", "utility", "later", "tail_recall", "diversity")]
    seen: Counter[tuple[str, str, str]] = Counter()
    kept: Counter[tuple[str, str, str]] = Counter()
    fell: dict[tuple[str, str, str], Counter[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        report = QualityReport.from_json(entry["report"])
        draft: Any = SimpleNamespace(
            text=None, time=None, tabular=("a", "b"), draft="d", row_total=report.rows.real, draft_digest="0" * 64,
            guarantee=None, generator=SimpleNamespace(name=entry["kind"]), claimed=None,
        )  # fmt: skip
        quality: Any = SimpleNamespace(report=report)
        evidence = Evidence(draft=draft, attack=None, quality=quality, ledger=None, commitments={}, problems={})
        decision = gate(evidence, policy, rules=rules)
        key = entry["kind"], entry["epsilon"] or "", entry["table"]
        seen[key] += 1
        kept[key] += decision.decision == "ship"
        fell.setdefault(key, Counter()).update(
            f"{found.name}: {found.effect}" for found in decision.failed if found.effect != "ship"
        )  # fmt: skip
    for key, count in sorted(seen.items()):
        print(f"{key[0]:<32}{key[1]:>3} {key[2]:<9}{kept[key]:>3} of {count:<3} {dict(fell[key]) or ''}")


def main() -> None:
    """Measure, or judge what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("measure", "later", "judge"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--tables", nargs="+", default=("fair", "randhie", "adult"))
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 5), metavar=("FIRST", "END"))
    parser.add_argument("--without", nargs="*", default=())
    arguments = parser.parse_args()
    if arguments.step == "judge":
        judge(arguments.file, list(arguments.without))
        return
    for name in arguments.tables:
        for seed in range(*arguments.seeds):
            (measure if arguments.step == "measure" else measure_later)(name, seed, arguments.file)


if __name__ == "__main__":
    main()
