"""A policy that was changed after the reservation is shown setting by setting, and lets nothing out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounting.ledger.entry import Entry
from dpsynth.release.policy import Policy, default_policy, tier_text
from dpsynth.release.policy_changes import ABSENT, changes, kept, policy_entry
from dpsynth.workspace import governance
from dpsynth.workspace.releasing import internal_report
from tests.workspace.governed import Governed, make_governed


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Governed:
    return make_governed(tmp_path_factory.mktemp("changed"))


def test_a_laxer_policy_after_the_reservation_is_a_diff_on_the_report(governed: Governed) -> None:
    path = governed.workspace.layout.policy
    text = path.read_text("utf-8")
    assert governance.governance_document(governed.workspace, governed.name)["policy_changes"] == []
    path.write_text(text.replace("membership.nearest.auc: 0.55", "membership.nearest.auc: 0.75"), "utf-8")
    try:
        found = governance.governance_document(governed.workspace, governed.name)
        changed = [{"path": "attacks: limits: membership.nearest.auc", "before": "0.55", "after": "0.75"}]
        assert found["policy_changes"] == changed
        assert "membership.nearest.auc" in internal_report(governed.draft)
        assert governed.draft.gate().decision == "reject"
    finally:
        path.write_text(text, "utf-8")


def test_a_policy_that_is_not_what_its_digest_says_is_not_believed(governed: Governed, tmp_path: Path) -> None:
    with governed.workspace.ledger(write=True) as ledger:
        ledger.append("policy", {"schema": "dpsynth.policy/1", "digest": "00" * 32, "policy": {"name": "never was"}})
        assert kept(ledger.entries(), "00" * 32) is None


def _flat(body: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(body, dict) or not body:
        return {above: body}
    return {path: value for name, part in body.items() for path, value in _flat(part, (*above, name)).items()}


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("tier", ["internal", "restricted", "public"])
def test_exactly_the_settings_that_differ_are_shown_with_both_values(tier: str) -> None:
    before, after = default_policy(), Policy.from_yaml(tier_text(tier))
    after = after.model_copy(update={"name": "ours", "text": None})
    body = {"kind": "policy", **policy_entry(before)}
    entries = [Entry(seq=0, prev_hash="", body=body, hash="", signature="", key_id="")]
    shown = changes(entries, before.digest(), after)
    old, new = (_flat(one.model_dump(mode="json")) for one in (before, after))
    wanted = {
        ": ".join(path): (_words(old[path]) if path in old else ABSENT, _words(new[path]) if path in new else ABSENT)
        for path in {*old, *new}
        if _words(old.get(path, ABSENT)) != _words(new.get(path, ABSENT))
    }
    assert {one["path"]: (one["before"], one["after"]) for one in shown} == wanted and ABSENT in str(shown)
    assert [one["path"] for one in shown] == sorted(wanted)
    assert changes(entries, before.digest(), before) == () == changes(entries, after.digest(), after)
    assert changes(entries, "00" * 32, after) == (), "a policy that the ledger does not hold is compared with nothing"
    assert kept(entries, before.digest()) == body["policy"]
    for spoilt in ({"schema": "dpsynth.policy/9"}, {"kind": "checkpoint"}, {"policy": []}, {"digest": "00" * 32}):
        other = [Entry(seq=0, prev_hash="", body=body | spoilt, hash="", signature="", key_id="")]
        assert kept(other, before.digest()) is None, spoilt
