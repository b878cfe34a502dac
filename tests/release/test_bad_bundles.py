"""Each named bad bundle is refused, by the right check, with the right reason."""

from __future__ import annotations

import shutil

import pytest

import tests.release.bundle_cases
import tests.release.bundle_cases_insider
import tests.release.bundle_cases_owner
import tests.release.bundle_cases_reviews
import tests.release.bundle_cases_text  # noqa: F401 - all five register their cases
from dpsynth.release.layout import MEMBERS
from dpsynth.release.verify import verify
from tests.release.bundle_tools import CASES, read, resign, write


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: f"{bad.who}-{bad.name}-{bad.code}")
def test_bad_bundle_is_refused_with_its_reason(bad, released, tmp_path):
    world, folder, _ = released
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    target = bad.make(world, copy)
    key = world.ledger_signer.public_bytes if bad.name == "signed_with_the_ledger_key" else world.signer.public_bytes
    report = verify(target, key)
    assert not report.ok
    assert report.guarantee is None
    assert (report.failure.name, report.failure.code) == (bad.check, bad.code), str(report)
    assert report.failure.reason.endswith(".")


def test_the_corpus_is_as_large_as_promised():
    assert len(CASES) >= 60
    assert len({bad.name for bad in CASES}) == len(CASES)


CLAIMS = {
    "budget_id": "b", "draft": "draft-2", "draft_digest": "00" * 32, "decision": "reject",
    "decision_digest": "00" * 32, "policy_digest": "00" * 32, "reservation_id": "r", "commit": "00" * 32,
    "guarantee": {}, "dataset": "other", "source_commitment": "00" * 32, "noise": "seeded",
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_the_ledger_contradicts_is_named(name, released, tmp_path):
    world, folder, _ = released
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    report = verify(write(copy, resign(read(copy), world.signer, **{name: CLAIMS[name]})), world.signer.public_bytes)
    assert report.failure.code == "release_entry_mismatch", str(report)
    assert report.failure.reason.startswith(f"Statement and ledger contradict each other on {name}."), str(report)


def test_what_a_receiver_builds_from_a_member_is_bounded():
    """Rows are streamed, at most 64 GiB; nothing else may fill more than 64 MiB of memory."""
    assert {name for name, member in MEMBERS.items() if member.streamed} == {"data.parquet", "data.csv"}
    assert {name: member.limit.bit_length() - 1 for name, member in MEMBERS.items()} == {
        "data.parquet": 36, "data.csv": 36, "card.yaml": 20, "report.html": 24, "decision.json": 20,
        "evidence.json": 22, "policy.yaml": 18, "README.txt": 16, "verify_bundle.py": 22, "release.pub": 12,
        "ledger.json": 26, "statement.dsse.json": 20,
    }  # fmt: skip
    assert all(member.limit.bit_count() == 1 for member in MEMBERS.values())


@pytest.mark.parametrize("name", ["decision.json", "evidence.json"])
def test_a_document_of_another_version_is_not_read_as_if_it_were_of_this_one(name, released, tmp_path):
    world, folder, _ = released
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    members = read(copy)
    members[name] = members[name].replace(b"/1", b"/9", 1)
    assert members[name] != read(copy)[name]
    report = verify(write(copy, resign(members, world.signer)), world.signer.public_bytes)
    assert (report.failure.name, report.failure.code) == ("documents", "unknown_schema_version"), str(report)
    assert name in report.failure.reason
