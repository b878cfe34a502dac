"""The canary suite gates alone: what it publishes is post-processing of the release and of coins, and costs nothing."""

from __future__ import annotations

import json

import pytest

from attacks.report import AttackReport
from dpsynth.release.export import gather
from dpsynth.release.policy import Policy, default_policy
from dpsynth.release.verify import verify
from tests.release.world import attack_report, make_world

INTERNAL = ("ci_low", "ci_high", "estimate", "detectable")


def canaries_alone() -> Policy:
    body = default_policy().model_dump(mode="json")
    body["attacks"] |= {"required": ["canary"], "limits": {"canary.auc": "0.75"}, "may_be_not_applicable": {}}
    return Policy.model_validate(body)


def canary_report(**changes) -> AttackReport:
    whole = attack_report()
    rows = tuple(row.model_copy(update=changes) for row in whole.attacks if row.confidentiality == "canary_only")
    verdict = rows[0].verdict
    return AttackReport(
        suite="canaries", seed=7, verdict=verdict, attacks=rows, epsilon_lower_bound=whole.epsilon_lower_bound
    )


@pytest.fixture
def world(tmp_path):
    made = make_world(tmp_path, policy=canaries_alone())
    made.synthesize("draft-1", policy=made.policy)
    made.evaluate()
    return made


def test_canaries_alone_ship_a_draft_for_no_further_epsilon_and_the_bundle_verifies(world):
    charged = world.ledger.balance(world.budget_id).epsilon.spent
    world.attack(canary_report())
    assert world.judge().decision == "ship"
    world.release(world.home / "bundle")
    assert verify(world.home / "bundle", world.signer.public_bytes).ok
    assert world.ledger.balance(world.budget_id).epsilon.spent == charged
    shown = json.loads((world.home / "bundle" / "evidence.json").read_text())
    assert {row["confidentiality"] for row in shown["attacks"]} == {"canary_only"}
    assert shown["epsilon_lower_bound"]["value"] == 0.11 and "figures" not in shown


def test_canaries_that_fail_keep_the_draft_inside(world):
    world.attack(canary_report(verdict="fail", ci_low=0.8, estimate=0.9, ci_high=0.95))
    assert world.judge().decision != "ship"


def test_every_figure_of_every_report_is_marked_and_only_canaries_keep_theirs_outside(ready):
    """Internal rows leave as a verdict and a class; whatever has a number outside is of canaries, or was bought."""
    from dpsynth.release.public_view import public_evidence

    evidence = gather(ready.documents, ready.ledger, ready.vault)
    marks = {row.confidentiality for row in evidence.attack.report.attacks}
    assert marks == {"internal", "canary_only"}
    for row in public_evidence(evidence)["attacks"]:
        numbers = {key for key in INTERNAL if key in row}
        assert numbers == ({"estimate", "ci_low", "ci_high"} if row["confidentiality"] == "canary_only" else set())
    for model, field in ((AttackReport.model_fields["attacks"], "confidentiality"),):
        row = model.annotation.__args__[0]
        assert row.model_fields[field].is_required()  # no row can be written without a mark
