"""What the gate says, over many draws: the real thing, a null release and a planted copy generator.

    python benchmarks/gate.py [--data fair] [--runs 20] [--jobs 2] [--json FILE]

Each run makes a fresh workspace with the default policy, fits MST at epsilon 1 and seals a draft. Then the draft's
evidence is judged three times; what differs is only the rows that the attacks are run on:

    mst     the draft itself
    null    real rows that no generator saw: one half of the training part, the other half being called the members
    copy    the training rows, resampled: a generator that copies

The gate must refuse `copy` in every run and ship `null` in 19 of 20. How often `mst` ships is what a user waits for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import joblib
import numpy as np

RELEASES = ("mst", "null", "copy")


def one(data: str, seed: int) -> dict[str, Any]:
    """One workspace, three releases; for each the decision and the rules that failed."""
    import attacks
    from dpsynth.demo.data import write
    from dpsynth.quality import evaluate
    from dpsynth.release.documents import canonical
    from dpsynth.release.entries import record_report
    from dpsynth.release.evidence import bind
    from dpsynth.workspace import Workspace

    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for kind in RELEASES:
        with tempfile.TemporaryDirectory() as scratch:
            table, schema = write(data, Path(scratch))
            ws = Workspace.init(Path(scratch) / "vault")
            record = ws.register(table, schema=schema)
            ws.create_budget(record, epsilon=3, delta="1e-5")
            draft = ws.synthesize(record, "mst", epsilon=1, delta="1e-6")
            if kind == "mst":
                draft.attack()
                draft.evaluate()
            else:
                source = draft._source
                names = source.schema.modelled
                members, others = (
                    part.select(names).to_pandas() for part in (source.parts.train, source.parts.holdout)
                )
                shuffled = members.iloc[rng.permutation(len(members))].reset_index(drop=True)
                half = len(shuffled) // 2
                if kind == "null":
                    release, members = shuffled[:half], shuffled[half:].reset_index(drop=True)
                else:
                    release = members.iloc[rng.integers(0, len(members), len(members))].reset_index(drop=True)
                roles = attacks.Roles(sensitive=source.schema.sensitive, target=source.schema.target)
                limits = {n: float(v) for n, v in ws.policy().attacks.limits.items()}
                # Canaries belong to the fit, which had none of these rows in it; they keep the draft's own trace.
                judged = attacks.run(
                    "standard", release=release, members=members, nonmembers=others, roles=roles, limits=limits,
                    canaries=None, seed=seed,
                )  # fmt: skip
                with ws.ledger(write=True) as ledger:
                    for name, report in (
                        ("attack", _with_canaries(judged.to_json(), draft)),
                        ("quality", evaluate(members, release, others, schema=source.schema).to_json()),
                    ):
                        bound = bind(name, draft.document, report)
                        (draft.folder / f"{name}.json").write_text(json.dumps(bound))
                        commitment = ws.vault.commit(canonical(bound), purpose="document")
                        record_report(ledger, name, draft.document, commitment, report.get("verdict", ""))
            decision = draft.gate()
            failed = [rule.name for rule in decision.failed if rule.effect != "ship"]
            found[kind] = {"decision": decision.decision, "failed": failed}
    return found


def _with_canaries(report: dict[str, Any], draft: Any) -> dict[str, Any]:
    """The report with the canary rows of the draft's own attack."""
    own = draft.attack().to_json()
    rows = [*report["attacks"], *(row for row in own["attacks"] if row["name"] == "canary")]
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    return {
        **report,
        "attacks": rows,
        "verdict": min((row["verdict"] for row in rows), key=order.__getitem__),
        "epsilon_lower_bound": own["epsilon_lower_bound"],
        "not_applicable": [row for row in report["not_applicable"] if row["name"] != "canary"],
    }


def main() -> int:
    """Run, print a table, exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fair", choices=["fair", "randhie"])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    runs = joblib.Parallel(n_jobs=arguments.jobs)(
        joblib.delayed(one)(arguments.data, seed) for seed in range(arguments.runs)
    )
    print(f"{arguments.data}: decisions in {arguments.runs} runs")
    print(f"{'release':<10}{'ship':>6}{'regenerate':>12}{'reject':>8}   rules that failed")
    table = {}
    for kind in RELEASES:
        counts = Counter(run[kind]["decision"] for run in runs)
        rules = Counter(rule for run in runs for rule in run[kind]["failed"])
        table[kind] = {"decisions": dict(counts), "failed": dict(rules)}
        words = ", ".join(f"{name} {times}" for name, times in rules.most_common(4))
        print(f"{kind:<10}{counts['ship']:>6}{counts['regenerate']:>12}{counts['reject']:>8}   {words}")
    if arguments.json_file:
        arguments.json_file.write_text(json.dumps({"data": arguments.data, "runs": arguments.runs, **table}, indent=1))
    refused = table["copy"]["decisions"].get("ship", 0) == 0
    passed = table["null"]["decisions"].get("ship", 0) >= 0.95 * arguments.runs
    return int(not (refused and passed))


if __name__ == "__main__":
    raise SystemExit(main())
