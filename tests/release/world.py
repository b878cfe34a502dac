"""A small workspace with a real ledger, vault, policy and reports, brought to the point of a release.

Everything is the real thing except the reports' figures: attacks on a table this small are inconclusive by design,
so the attack report is written out with figures of a release that passes, through the real report classes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from accounting import DiscreteGaussian, EventTree, NeighboringRelation, PrivacyUnit, Signer
from accounting.ledger import Ledger
from attacks.report import (
    AttackReport,
    AttackResult,
    EpsilonLowerBound,
    NegativeControlRecord,
    NotApplicable,
    PositiveControlRecord,
)
from dpsynth.quality.report import Band, Metric, QualityReport, Rows, Utility
from dpsynth.release import Documents, DraftDocument, Vault, bind, encode_parquet, judge, record_attempt, record_report
from dpsynth.release.documents import canonical, digest
from dpsynth.release.export import Release, ReportInputs, export
from dpsynth.release.gate import Decision
from dpsynth.release.policy import Policy, default_policy

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
EVENTS = EventTree(events=(DiscreteGaussian(sigma="40", l2_sensitivity="1", count=9),), **TERMS)


def synthetic_table(rows: int = 300) -> pa.Table:
    """Columns of Fair's survey, each shuffled on its own, plus a text column with a formula in it."""
    import statsmodels.api as sm

    survey = sm.datasets.fair.load_pandas().data.head(rows)
    rng = np.random.default_rng(1978)
    columns = {name: rng.permutation(survey[name].to_numpy()) for name in ("age", "yrs_married", "children")}
    text = np.array(["a", "=cmd()", "-5", "ü"])[rng.integers(0, 4, rows)]
    return pa.table({**columns, "note": text})


def attack_report(**changes: Any) -> AttackReport:
    """A report that passes under the default policy; `changes` replace fields of every row."""
    questions = [
        ("verbatim", "all", "match_excess", "membership.verbatim.all", 0.01, 0.02, 0.05),
        ("verbatim", "all", "match_excess@fpr=0.001", "membership.verbatim.isolated", 0.0, 0.004, 0.005),
        ("verbatim", "tail", "match_excess", "membership.verbatim.tail", 0.01, 0.03, 0.05),
        ("nearest_neighbour", "all", "auc", "membership.nearest.auc", 0.503, 0.531, 0.55),
        ("nearest_neighbour", "all", "tpr_excess@fpr=0.01", "membership.nearest.tpr", 0.002, 0.012, 0.015),
        ("nearest_neighbour", "tail", "tpr_excess@fpr=0.05", "membership.nearest.tail", 0.01, 0.06, 0.10),
        ("canary", "canaries", "auc", "canary.auc", 0.52, 0.61, 0.70),
    ]
    rows = []
    for name, stratum, endpoint, limit_id, estimate, high, limit in questions:
        canary = name == "canary"
        row = {
            "name": name, "version": "1", "threat": "no_box: one full record", "stratum": stratum,
            "endpoint": endpoint, "estimate": estimate, "ci_low": estimate - 0.02, "ci_high": high,
            "ci_method": "exact", "alpha": 0.0125, "limit": limit, "limit_id": limit_id, "verdict": "pass",
            "reason": "The upper bound is below the limit.", "n_targets": 500, "n_controls": 500, "detectable": 0.05,
            "positive_control": PositiveControlRecord(
                kind="canaries" if canary else "random", fraction=0.05, detected=10, trials=10),
            "negative_control": NegativeControlRecord(
                kind="fresh_coins" if canary else "reference_rows", estimate=0.5, passed=True),
            "confidentiality": "canary_only" if canary else "internal", "seconds": 1.0,
        }  # fmt: skip
        rows.append(AttackResult(**{**row, **changes}))
    verdict = "fail" if any(r.verdict == "fail" for r in rows) else rows[0].verdict
    bound = EpsilonLowerBound(value=0.11, ceiling=3.3, delta=1e-6, alpha=0.05, m=400, guesses=100, correct=55, auc=0.52,
                              method="one-run")  # fmt: skip
    return AttackReport(
        suite="standard", seed=7, verdict=verdict, attacks=tuple(rows), epsilon_lower_bound=bound,
        not_applicable=(
            NotApplicable(name="attribute_inference", reason="No sensitive column is declared."),
            NotApplicable(name="subspace", reason="Half of fewer than 12 columns tells nobody from others."),
        ),
    )  # fmt: skip


def quality_report() -> QualityReport:
    """Two-way error a quarter of the way from real to useless."""
    metrics = (
        Metric(name="tvd2_mean", group="fidelity", value=0.05, reference=0.03, floor=0.02, shuffle=0.11, matched=0.05,
               better="low"),
        Metric(name="tail_kept", group="tails", value=0.5, reference=0.8, floor=0.85, better="high"),
    )  # fmt: skip
    metrics += tuple(
        Metric(name=name, group="diversity", value=0.8, reference=0.9, floor=0.9, better="high")
        for name in ("precision", "recall", "density", "coverage")
    )
    gap = Metric(name="tstr_auc_gap", group="utility", value=0.03, reference=0.0, floor=0.0, shuffle=0.3, ci_low=0.01,
                 ci_high=0.05, better="low")  # fmt: skip
    rows = Rows(real=4000, synthetic=300, holdout=2000)
    learned = Utility(target="note", task="classification", learner="boosting", classes=4)
    return QualityReport(rows=rows, metrics=(*metrics, gap), columns=(), pairs=(), pairs_total=0, utility=learned,
                         tails=(tail_band(2),), tails1=(tail_band(1),))  # fmt: skip


def tail_band(ways: int) -> Band:
    """Cells of 100 to 999 rows, all but one of twenty kept."""
    kept = {"kept": 0.95, "kept_reference": 1.0, "kept_matched": 0.95, "kept_floor": 1.0}
    overlap = {"overlap": 0.9, "overlap_reference": 0.95, "overlap_matched": 0.9, "overlap_floor": 0.95}
    return Band(low=100, high=999, ways=ways, cells=20, mass=0.5, unresolved=None, excess=0.1, excess_reference=0.1,
                **kept, **overlap)  # fmt: skip


def render(inputs: ReportInputs) -> bytes:
    """The smallest page that a bundle accepts; the real one is the report layer's."""
    quoted = f"{inputs.card.draft_digest} {digest(inputs.card.budget)}"
    return f"<!doctype html><title>{inputs.card.release}</title><p>{quoted}</p>".encode()


@dataclass
class World:
    """A workspace on disk."""

    home: Path
    policy: Policy
    ledger: Ledger
    vault: Vault
    ledger_signer: Signer
    signer: Signer
    budget_id: str = ""
    documents: Documents = field(default_factory=lambda: Documents(draft=None))
    generator: Signer = field(default_factory=Signer.generate)
    reviewers: list[Signer] = field(default_factory=list)
    decision: Decision | None = None

    def add_key(self, signer: Signer, role: str) -> None:
        public = signer.public_bytes.hex()
        self.ledger.append("key.add", {"key_id": signer.key_id, "public_key": public, "role": role})

    def reviewer(self, number: int = 0) -> Signer:
        """A reviewer whom the ledger knows."""
        while len(self.reviewers) <= number:
            self.reviewers.append(Signer.generate())
            self.add_key(self.reviewers[-1], "review")
        return self.reviewers[number]

    def review(self, *votes: str) -> None:
        """One vote by each reviewer in turn, as the policy wants them."""
        asked = self.policy.review
        place: Any = (self.budget_id, self.draft.draft)
        signers = [self.reviewer(number) for number in range(len(votes))]
        if asked is None or not asked.blinded or asked.approvals == 1:
            for signer, vote in zip(signers, votes, strict=True):
                self.ledger.review(*place, vote=vote, reason="looked", reviewer=signer)
            return
        kept = [
            self.ledger.seal_vote(*place, vote=vote, reason="looked", of=asked.approvals, reviewer=signer)
            for signer, vote in zip(signers, votes, strict=True)
        ]
        for signer, one in zip(signers, kept, strict=True):
            self.ledger.open_vote(*place, vote=one.vote, reason=one.reason, salt=one.salt, reviewer=signer)

    @property
    def draft(self) -> DraftDocument:
        return DraftDocument.model_validate(self.documents.draft)

    def commitment(self, document: Any) -> str:
        return self.vault.commit(canonical(document), purpose="document")

    def synthesize(self, draft_id: str, *, events: EventTree = EVENTS, plan: EventTree | None = None,
                   budget_id: str | None = None, delta: str = "1e-6", policy: Policy | None = None,
                   facts: dict[str, Any] | None = None, **changes: Any) -> None:  # fmt: skip
        """Reserve, commit, seal: what the pipeline does."""
        budget = budget_id or self.budget_id
        policy = policy or self.policy
        reserved = self.ledger.reserve(budget, plan or events, delta=delta, run_id=f"run-{draft_id}",
                                       purpose="release", policy_digest=policy.digest())  # fmt: skip
        self.ledger.check_token(reserved.id, reserved.token)
        entry = self.ledger.commit(reserved.id, events, facts=facts)
        table = synthetic_table()
        sealed = self.vault.seal(draft_id, encode_parquet(table), {"generator": "mst"})
        record = self.ledger.budget(budget)
        body = {
            "schema": "dpsynth.draft/1", "draft": draft_id, "draft_digest": sealed.draft_digest,
            "dataset": record.dataset, "source_commitment": record.commitment, "schema_digest": "5c" * 32,
            "budget_id": budget, "reservation_id": reserved.id, "run_id": f"run-{draft_id}",
            "policy_digest": policy.digest(),
            "generator": {"name": "mst", "version": "1", "third_party": False},
            "rows": table.num_rows, "row_total": 4012, "columns": table.column_names,
            "guarantee": entry.body["guarantee"], "events_digest": events.digest(),
            "canaries": {"planted": 40, "share": "0.01"}, "seeds": {"sample": "ab" * 32},
            "created": "2026-11-22T12:00:00Z",
        }  # fmt: skip
        draft = DraftDocument.model_validate({**body, **changes})
        self.documents = Documents(draft=draft.to_json())
        generator = self.generator if self.policy.review is not None else None
        known = self.ledger.keys()
        if generator is not None and generator.key_id not in known:
            self.add_key(generator, "generate")
        record_attempt(self.ledger, draft, self.commitment(self.documents.draft), generator=generator)

    def attack(self, report: AttackReport | None = None) -> None:
        body = bind("attack", self.draft, (report or attack_report()).to_json())
        self.documents = Documents(draft=self.documents.draft, attack=body, quality=self.documents.quality)
        record_report(self.ledger, "attack", self.draft, self.commitment(body), body["report"]["verdict"])

    def evaluate(self, report: QualityReport | None = None) -> None:
        body = bind("quality", self.draft, json.loads(json.dumps((report or quality_report()).to_json())))
        self.documents = Documents(draft=self.documents.draft, attack=self.documents.attack, quality=body)
        record_report(self.ledger, "quality", self.draft, self.commitment(body))

    def judge(self) -> Decision:
        self.decision = judge(self.documents, self.ledger, self.vault, self.policy)
        return self.decision

    def release(self, output: Path, *, decision: Decision | None = None, **changes: Any) -> Release:
        arguments = {"policy": self.policy, "ledger": self.ledger, "vault": self.vault, "signer": self.signer,
                     "report": render, "output": output, **changes}  # fmt: skip
        return export(self.documents, decision or self.judge(), **arguments)


def make_world(home: Path, *, policy: Policy | None = None, epsilon: str = "3", adds_up: str = "basic") -> World:
    """A workspace with a budget for one table, and a second budget that nobody outside should see."""
    home.mkdir(parents=True, exist_ok=True)
    signer = Signer.generate()
    ledger = Ledger.create(home / "ledger.db", signer=signer)
    vault = Vault.create(home / "keys")
    world = World(home=home, policy=policy or default_policy(), ledger=ledger, vault=vault, ledger_signer=signer,
                  signer=Signer.generate())  # fmt: skip
    world.budget_id = ledger.create_budget(dataset="affairs", commitment=vault.commit(b"the survey"), epsilon=epsilon,
                                           delta="1e-5", filter=adds_up, **TERMS)  # fmt: skip
    other = ledger.create_budget(dataset="salaries", commitment=vault.commit(b"others"), epsilon="2", delta="1e-5",
                                 **TERMS)  # fmt: skip
    reserved = ledger.reserve(other, EVENTS, delta="1e-6", run_id="run-other", purpose="theirs")
    ledger.commit(reserved.id, EVENTS)
    return world


def reviewed_policy(**changes: Any) -> Policy:
    """The default policy, with two blinded reviews."""
    asked = {"approvals": 2, "blinded": True, "valid_days": 30, **changes}
    return Policy.model_validate({**default_policy().model_dump(mode="json"), "review": asked})


def ready_world(home: Path, **changes: Any) -> World:
    """A workspace whose draft passes the gate."""
    world = make_world(home, **changes)
    world.synthesize("draft-1")
    world.attack()
    world.evaluate()
    return world
