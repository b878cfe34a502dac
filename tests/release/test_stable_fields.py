"""What scripts read: the objects behind `--json`, field by field, and the verification of a bundle that is known."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accounting.ledger.desk import Appeal, CastVote
from accounting.ledger.review import Vote
from dpsynth.release.export import Release
from dpsynth.release.gate import Decision, gate
from dpsynth.release.keys import read_public_key
from dpsynth.release.policy import default_policy
from dpsynth.release.rules.protocol import Finding
from dpsynth.release.standing import FINAL, PATH, Lack, Standing, State, stamp, vote_json, waiver_json
from dpsynth.release.verify import verify

OLD = Path(__file__).with_name("bundle_f161650.zip")
STEPS = ["layout", "key", "signature", "statement", "files", "documents", "ledger", "release_entry", "release_key",
         "reviews", "decision", "policy", "draft", "guarantee", "budget", "not_recalled"]  # fmt: skip


def _own(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def test_a_lack_and_a_finding_are_their_fields() -> None:
    lack = Lack(rule="reviews", value="1", limit="2", reason="One is missing.", next_step="Review.")
    assert lack.to_json() == _own(lack)
    finding = Finding(
        name="delta", value=1, limit=2, passed=True, reason="Within.", on_fail="reject", confidential=True
    )
    assert finding.to_json() == _own(finding)


def test_a_standing_is_its_fields_with_votes_waivers_and_times_spelt_out() -> None:
    moment = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    cast = CastVote(seq=7, key_id="k", vote=Vote.APPROVE, reason="looked", time="2026-11-23T07:00:00Z", of=2)
    waiver = Appeal(seq=5, rule="utility", owner="C. Owner", reason="why", time="2026-11-23T06:00:00Z")
    lack = Lack(rule="reviews", value="1", limit="2", reason="One is missing.", next_step="Review.")
    standing = Standing(draft="draft-1", state=State.ATTACKED, done=PATH[:4], missing=(lack,), next_step="Review.",
                        votes=(cast,), sealed=("s",), waivers=(waiver,), expires=moment, notes=("a note",))  # fmt: skip
    assert standing.to_json() == _own(standing) | {
        "state": "attacked", "done": ["draft", "reserved", "sealed", "attacked"], "missing": [_own(lack)],
        "votes": [{"seq": 7, "time": "2026-11-23T07:00:00Z", "key_id": "k", "vote": "approve", "reason": "looked",
                   "blinded": True}],
        "sealed": ["s"], "waivers": [_own(waiver)], "expires": "2026-11-23T08:00:00Z", "notes": ["a note"],
    }  # fmt: skip
    assert replace(standing, expires=None).to_json()["expires"] is None
    assert (vote_json(replace(cast, of=1))["blinded"], vote_json(replace(cast, of=0))["blinded"]) == (False, False)
    assert waiver_json(waiver) == _own(waiver) and stamp(moment) == "2026-11-23T08:00:00Z"


def test_words_of_states_are_those_that_scripts_know() -> None:
    words = ["draft", "reserved", "sealed", "attacked", "reviewed", "approved", "released"]
    assert [state.value for state in PATH] == words
    assert {state.value for state in State} == {*words, "regenerating", "rejected", "withdrawn", "recalled"}
    assert {state.value for state in FINAL} == {"withdrawn", "recalled"}
    may = {state for state in State if Standing(draft="d", state=state, done=(), missing=(), next_step="").may_leave}
    assert may == {State.APPROVED, State.RELEASED}


def test_a_decision_is_read_back_as_it_was_written(evidence) -> None:
    decision = gate(evidence, default_policy())
    body = json.loads(json.dumps(decision.to_json()))
    assert body == _own(decision) | {
        "schema": "dpsynth.decision/1", "commitments": dict(decision.commitments),
        "rules": [_own(found) for found in decision.rules],
    }  # fmt: skip
    assert Decision.from_json(body) == decision
    assert decision.at == f"{evidence.ledger.head_seq}:{evidence.ledger.head_hash}"
    assert (decision.draft, decision.draft_digest) == (evidence.draft.draft, evidence.draft.draft_digest)


@pytest.fixture(scope="module")
def old_key() -> bytes:
    with zipfile.ZipFile(OLD) as archive:
        return read_public_key(archive.read("release.pub"))


def test_a_known_bundle_is_verified_step_by_step(old_key: bytes) -> None:
    body = verify(OLD, old_key).to_json()
    assert [(check["name"], check["ok"], check["code"]) for check in body["checks"]] == [
        (name, True, "ok") for name in STEPS
    ]
    assert {frozenset(check) for check in body["checks"]} == {frozenset({"name", "ok", "reason", "code"})}
    assert set(body) == {"ok", "checks", "guarantee", "privacy", "budget", "governance", "warnings", "not_checked"}
    assert body["ok"] is True and body["guarantee"] == {
        "epsilon": "0.291812", "delta": "1e-6", "relation": "add_remove", "unit": "record",
        "accountant": "pld/dp-accounting-0.6.0",
        "all": {"pld/dp-accounting-0.6.0": "0.291812", "rdp/own-1": "0.316707", "zcdp/own-1": "0.316707"},
    }  # fmt: skip
    assert (body["privacy"], body["governance"], body["warnings"], body["not_checked"]) == (None, None, [], [])
    caveat = body["budget"]["odometer"].pop("caveat")
    assert caveat and body["budget"] == {
        "schema": "dpsynth.budget/1", "as_of": 11, "amended": False,
        "line": [{
            "budget_id": "budget-bc07146289eddb1242838119a35ea942", "dataset": "affairs", "purpose": None,
            "recipient": "any", "filter": "basic", "original": {"epsilon": "3", "delta": "1e-5"}, "amendments": [],
            "epsilon": {"granted": "3", "spent": "0.291812", "reserved": "0", "left": "2.708188"},
            "delta": {"granted": "1e-5", "spent": "1e-6", "reserved": "0", "left": "9e-6"},
        }],
        "odometer": {"epsilon": "0.291812", "delta": "1e-6"},
    }  # fmt: skip


def test_what_was_not_reached_is_not_ok(old_key: bytes) -> None:
    body = verify(OLD, bytes(32)).to_json()
    assert [check["name"] for check in body["checks"]] == STEPS
    assert [check["ok"] for check in body["checks"]] == [True, True, *[False] * (len(STEPS) - 2)]
    assert {check["code"] for check in body["checks"][3:]} == {"not_reached"} and not body["ok"]
    assert body["guarantee"] is body["budget"] is None


def test_a_release_says_where_it_is_and_what_it_claims(old_key: bytes) -> None:
    report = verify(OLD, old_key)
    made = Release(path=OLD, release="release-1", root="0a" * 32, public_key=old_key, guarantee=report.guarantee,
                   verification=report)  # fmt: skip
    assert made.to_json() == {
        "bundle": str(OLD), "release": "release-1", "root": "0a" * 32, "public_key": old_key.hex(),
        "guarantee": report.guarantee.to_json(),
    }  # fmt: skip
