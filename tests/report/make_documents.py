"""Make `documents.json`: one real run on statsmodels' `fair` (MST at epsilon 1, attacks, quality, gate).

python tests/report/make_documents.py            about 45 s; writes the file beside this one
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import attacks
from accounting.event import EventTree
from accounting.privacy_report import report as report_of
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.quality import evaluate
from dpsynth.release.documents import digest
from dpsynth.release.evidence import Evidence, LedgerFacts
from dpsynth.release.family import CAVEAT
from dpsynth.release.gate import gate
from dpsynth.release.policy import default_policy
from dpsynth.release.privacy import privacy_section
from dpsynth.release.public_view import public_decision, public_evidence
from dpsynth.schema.checks import prepare
from dpsynth.schema.derive import derive
from dpsynth.schema.model import Schema
from dpsynth.tabular.mst import MST

SCHEMA = {
    "rate_marriage": {"kind": "categorical", "values": [1, 2, 3, 4, 5], "role": "target"},
    "age": {"kind": "categorical", "values": ["17.5", "22.0", "27.0", "32.0", "37.0", "42.0"]},
    "yrs_married": {"kind": "categorical", "values": ["0.5", "2.5", "6.0", "9.0", "13.0", "16.5", "23.0"]},
    "children": {"kind": "categorical", "values": ["0.0", "1.0", "2.0", "3.0", "4.0", "5.5"]},
    "religious": {"kind": "categorical", "values": [1, 2, 3, 4]},
    "educ": {"kind": "categorical", "values": [9, 12, 14, 16, 17, 20]},
    "occupation": {"kind": "categorical", "values": [1, 2, 3, 4, 5, 6]},
    "occupation_husb": {"kind": "categorical", "values": [1, 2, 3, 4, 5, 6]},
    "affairs": {"kind": "float", "precision": 2, "role": "sensitive"},
}


@dataclass(frozen=True)
class Run:
    """The documents of one run, exact and public."""

    internal: dict[str, Any]
    public: dict[str, Any]


def survey() -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.datasets import fair

        table = fair.load_pandas().data.sample(frac=1, random_state=3).reset_index(drop=True)
    whole = ["rate_marriage", "religious", "educ", "occupation", "occupation_husb"]
    table = table.astype(dict.fromkeys(whole, "int64"))
    return table.astype(dict.fromkeys(["age", "yrs_married", "children"], "str"))


def synthesize(train: pd.DataFrame) -> tuple[pd.DataFrame, EventTree, dict[str, Any], float]:
    schema = Schema.model_validate({"version": 1, "columns": SCHEMA})
    plan = MST().plan(schema, PrivacyUnit(), epsilon="1", delta="1e-6")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        noise = unsafe_SeededNoise(1)
    prepared = prepare(Table.from_pandas(train), schema)
    domains, spent = derive(prepared.table, prepared.schema, plan.settings.derive, noise=noise)
    model = MST().fit(prepared.table, prepared.schema, domains, plan, noise=noise, progress=silent, spent=spent)
    rows = model.sample(len(train), np.random.default_rng(1)).to_pandas()[list(train.columns)]
    sigma = float(model.events.events[-1].sigma)  # the pair tables, measured last
    return rows.astype(train.dtypes.to_dict(), errors="ignore"), model.events, plan.guarantee.to_json(), sigma


def make_run() -> Run:
    table = survey()
    train, holdout = table[:4400], table[4400:]
    synthetic, events, guarantee, sigma = synthesize(train)
    report = attacks.run(
        "standard", release=synthetic, members=train, nonmembers=holdout,
        roles=attacks.Roles(sensitive=("affairs",), quasi_identifiers=("age", "yrs_married")), limits="public", seed=1,
    )  # fmt: skip
    quality = evaluate(train, synthetic, holdout, target="rate_marriage", sigma=sigma)
    draft = {
        "schema": "dpsynth.draft/1", "draft": "fair-0001", "draft_digest": "d1" * 32, "dataset": "affairs",
        "source_commitment": "5c" * 32, "schema_digest": "5d" * 32, "budget_id": "b-1", "reservation_id": "r-1",
        "run_id": "fair-0001", "policy_digest": default_policy().digest(),
        "generator": {"name": "mst", "version": "0.1.0", "third_party": False}, "rows": 4400, "row_total": 4400,
        "columns": list(train.columns), "guarantee": guarantee, "events_digest": events.digest(),
        "canaries": {"planted": 0, "share": "0"}, "seeds": {"sample": "ab" * 32}, "created": "2026-11-22T12:00:00Z",
    }  # fmt: skip
    bound = {"draft": draft["draft"], "draft_digest": draft["draft_digest"]}
    evidence = Evidence.assemble(
        draft=draft,
        attack={"schema": "dpsynth.attack/1", **bound, "report": json.loads(json.dumps(report.to_json()))},
        quality={"schema": "dpsynth.quality_of_draft/1", **bound, "report": quality.to_json()},
        ledger=ledger_facts(draft, events, guarantee),
    )
    decision = gate(evidence, default_policy())
    budget = budget_section()
    paid = {
        "guarantee": guarantee,
        "privacy": privacy_section(report_of(events, guarantee["delta"])),
        "budget": budget,
        "budget_digest": digest(budget),
        "ledger": {"entry": 17, "hash": "9f" * 32, "ledger_id": "1e" * 16},
        "draft": draft,
        "events": events.to_json(),
    }
    return Run(
        internal={
            **paid, "decision": decision.to_json(), "attacks": report.to_json(), "quality": quality.to_json(),
            "card": {"licence": "none", "generator": {"name": "mst"}},
        },
        public={**paid, "decision": public_decision(decision), "evidence": public_evidence(evidence)},
    )  # fmt: skip


def budget_section() -> dict[str, Any]:
    """A share for the public of a whole that was raised once."""
    change = {
        "seq": 9, "time": "2026-11-21T09:00:00Z", "key_id": "7c" * 16, "key_added": 2,
        "reason": "A second question was approved by the board.", "before": {"epsilon": "4", "delta": "1e-5"},
        "after": {"epsilon": "6", "delta": "2e-5"},
    }  # fmt: skip
    return {
        "schema": "dpsynth.budget/1",
        "as_of": 20,
        "amended": True,
        "line": [
            {
                "budget_id": "b-0", "dataset": "affairs", "purpose": None, "recipient": "any", "filter": "basic",
                "original": {"epsilon": "4", "delta": "1e-5"},
                "epsilon": {"granted": "6", "spent": "2.25", "reserved": "0.25", "left": "3.5"},
                "delta": {"granted": "2e-5", "spent": "4e-6", "reserved": "1e-6", "left": "1.5e-5"},
                "amendments": [change],
            },
            {
                "budget_id": "b-1", "dataset": "affairs", "purpose": "the yearly report", "recipient": "public",
                "filter": "basic", "original": {"epsilon": "3", "delta": "1e-5"},
                "epsilon": {"granted": "3", "spent": "1.75", "reserved": "0.25", "left": "1"},
                "delta": {"granted": "1e-5", "spent": "2e-6", "reserved": "1e-6", "left": "7e-6"},
                "amendments": [],
            },
        ],
        "odometer": {"epsilon": "2.25", "delta": "4e-6", "caveat": CAVEAT},
    }  # fmt: skip


def ledger_facts(draft: dict[str, Any], events: EventTree, guarantee: dict[str, Any]) -> LedgerFacts:
    from accounting.guarantee import Guarantee

    claim = Guarantee.from_json(guarantee)
    return LedgerFacts(
        ledger_id="1e" * 16, head_seq=20, head_hash="ee" * 32, budget_id="b-1", dataset="affairs",
        source_commitment="5c" * 32, relation="add_remove", unit="record", granted_epsilon=Decimal(3),
        granted_delta=Decimal("1e-5"), charged_epsilon=claim.epsilon, charged_delta=claim.delta, recipient="public",
        budget=budget_section(), notes=(), events=events, reservation_id="r-1", run_id="fair-0001",
        reserved_policy=default_policy().digest(), commit_seq=17, commit_hash="9f" * 32,
        events_digest=events.digest(), guarantee=claim, seeded_noise=True, attempt=1,
        recorded={"attempt": (), "attack": (), "quality": ()},
    )  # fmt: skip


def main() -> None:
    made = make_run()
    path = Path(__file__).with_name("documents.json")
    path.write_text(json.dumps({"internal": made.internal, "public": made.public}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
