"""What a receiver sees: keys in every form, a quick offline answer, and no crash on any bytes."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting import AccountingError
from accounting.ledger.entry import Head
from dpsynth.core.errors import VerificationError
from dpsynth.release.archive import read_bundle
from dpsynth.release.documents import Refusal, canonical
from dpsynth.release.dsse import seal_envelope
from dpsynth.release.keys import to_pem
from dpsynth.release.layout import MEMBERS, STATEMENT
from dpsynth.release.verify import Verifier, verify
from tests.release.bundle_cases_owner import refresh
from tests.release.bundle_tools import read, zip_bytes
from tests.release.world import ready_world


def test_folder_and_zip_verify_and_say_what_they_prove(released):
    world, folder, archive = released
    for bundle in (folder, archive):
        report = verify(bundle, world.signer.public_bytes)
        assert report.ok, str(report)
        assert [check.name for check in report.checks][:5] == ["layout", "key", "signature", "statement", "files"]
        assert report.guarantee.epsilon == world.draft.claimed.epsilon
        assert report.warnings == ()


def test_json_of_the_report(released):
    world, folder, _ = released
    body = json.loads(json.dumps(verify(folder, world.signer.public_bytes).to_json()))
    assert body["ok"] is True
    assert set(body["checks"][0]) >= {"name", "ok", "reason"}
    assert body["guarantee"]["unit"] == "record"


@pytest.mark.parametrize("form", ["pem", "hex", "raw"])
def test_key_files_in_every_usual_form(released, tmp_path, form):
    world, folder, _ = released
    raw = world.signer.public_bytes
    path = tmp_path / "key.pub"
    path.write_bytes({"pem": to_pem(raw), "hex": raw.hex().encode() + b"\n", "raw": raw}[form])
    assert verify(folder, path).ok
    assert verify(folder, str(path)).ok


def test_private_key_is_not_taken_for_a_public_one(released, tmp_path):
    world, folder, _ = released
    world.signer.save(tmp_path / "release.key")
    report = verify(folder, tmp_path / "release.key")
    assert (report.failure.name, report.failure.code) == ("key", "key_unusable")
    assert "private key" in report.failure.reason


def test_key_of_another_kind_or_missing(released, tmp_path):
    _, folder, _ = released
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "ec.pub").write_bytes(pem)
    (tmp_path / "noise.pub").write_bytes(b"ssh-rsa AAAA")
    assert verify(folder, tmp_path / "ec.pub").failure.code == "key_unusable"
    assert verify(folder, tmp_path / "noise.pub").failure.code == "key_unusable"
    assert verify(folder, tmp_path / "missing.pub").failure.code == "key_unreadable"


def test_key_from_inside_the_bundle_is_pointed_out(released):
    _, folder, _ = released
    report = verify(folder, folder / "release.pub")
    assert report.ok
    assert "taken from the bundle itself" in report.warnings[0]


def test_another_key_is_told_from_an_altered_statement(released):
    world, folder, _ = released
    assert verify(folder, world.ledger_signer.public_bytes).failure.code == "wrong_key"


def test_nothing_after_the_first_failure_is_called_ok(released, tmp_path):
    world, folder, _ = released
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    (copy / "data.csv").write_bytes(b"")
    report = verify(copy, world.signer.public_bytes)
    names = [check.name for check in report.checks]
    assert names == ["layout", "key", *(name for name, _, _ in Verifier.steps(Verifier.__new__(Verifier)))]
    failed = names.index("files")
    assert all(check.ok for check in report.checks[:failed])
    assert not any(check.ok for check in report.checks[failed:])
    with pytest.raises(VerificationError, match=r"Verification failed at files: data\.csv is not the file"):
        report.require_ok()


def test_a_head_seen_earlier_must_be_in_the_chain(released):
    world, folder, _ = released
    genesis = world.ledger.entries()[0]
    assert verify(folder, world.signer.public_bytes, anchor=Head(genesis.seq, genesis.hash)).ok
    forked = verify(folder, world.signer.public_bytes, anchor=Head(3, "ab" * 32))
    assert (forked.failure.name, forked.failure.code) == ("ledger", "ledger_rolled_back")


def test_what_happens_after_a_release_does_not_change_what_it_proves(tmp_path):
    """The same release with the ledger of a later day: another attack run, another draft."""
    world = ready_world(tmp_path / "world")
    made = world.release(tmp_path / "bundle")
    world.attack()
    world.synthesize("draft-2")
    later = refresh(world, made.path)
    report = verify(later, world.signer.public_bytes)
    assert report.ok, str(report)


def test_verify_uses_no_network_and_writes_nothing(released, monkeypatch):
    world, folder, _ = released

    def refuse(*_, **__):
        raise AssertionError("verify used the network")

    monkeypatch.setattr(socket, "socket", refuse)
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    assert verify(folder, world.signer.public_bytes).ok
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before


def test_two_hundred_megabytes_are_hashed_in_two_seconds(released, tmp_path):
    """Hashing dominates: the answer (here: altered) comes after every byte was read, in blocks."""
    world, folder, _ = released
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    block = bytes(range(256)) * 4096
    with (copy / "data.parquet").open("wb") as file:
        for _ in range(200):
            file.write(block)
    start = time.perf_counter()
    report = verify(copy, world.signer.public_bytes)
    seconds = time.perf_counter() - start
    print(f"200 MiB: {seconds:.2f} s")
    assert report.failure.code == "file_altered"
    assert seconds < 2.0


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(name=st.sampled_from(sorted(MEMBERS)), raw=st.binary(max_size=400))
def test_any_bytes_in_any_file_are_refused_and_never_crash(released, tmp_path, name, raw):
    world, folder, _ = released
    copy = tmp_path / "fuzzed"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for member, body in read(folder).items():
        (copy / member).write_bytes(raw if member == name else body)
    assert not verify(copy, world.signer.public_bytes).ok


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=300), tail=st.sampled_from([b"", b"PK\x05\x06" + bytes(18), b"PK\x05\x06\0\0\0\0\1\0\1\0"])
)
def test_any_bytes_as_a_zip_are_refused_and_never_crash(tmp_path, raw, tail):
    path = tmp_path / "fuzzed.zip"
    path.write_bytes(raw + tail)
    with pytest.raises(Refusal):
        read_bundle(path)


ODD = [None, True, -1, 1e300, "", "x", [], [None], {}, {"a": []}, "9" * 400]


def everywhere(document, value):
    """The document with `value` in one place, for each place in it."""
    text = json.dumps(document)
    stack = [((), document)]
    while stack:
        path, item = stack.pop()
        pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        for key, part in pairs:
            stack.append(((*path, key), part))
        if path:
            changed = json.loads(text)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            if changed != document:
                yield path, changed


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_documents_signed_by_both_keys_are_refused_or_read_but_never_crash(released, value):
    """Past signature and digests: what an owner of all keys could write into decision and evidence."""
    world, folder, _ = released
    verifier = Verifier(read_bundle(folder), world.signer.public_bytes, None)
    steps = {name: check for name, check, _ in verifier.steps()}
    for check in steps.values():
        check()
    for attribute in ("decision", "evidence"):
        original = getattr(verifier, attribute)
        for _, changed in everywhere(original, value):
            setattr(verifier, attribute, changed)
            for name in ("decision", "policy", "draft"):
                try:
                    steps[name]()
                except Refusal as refusal:
                    assert refusal.code
        setattr(verifier, attribute, original)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_statements_with_odd_claims_are_refused(released, value):
    """Every place of the signed statement replaced, and signed again by the holder of the release key."""
    world, folder, _ = released
    contents = read_bundle(folder)
    envelope = json.loads(contents.small[STATEMENT])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    for path, changed in everywhere(statement, value):
        try:
            payload = canonical(changed)
        except Refusal:
            continue
        small = {**contents.small, STATEMENT: seal_envelope(payload, world.signer)}
        verifier = Verifier(replace(contents, small=small), world.signer.public_bytes, None)
        with pytest.raises((Refusal, AccountingError)):
            for _, check, _ in verifier.steps():
                check()
            raise AssertionError(path)


def test_a_release_from_a_budget_that_adds_up_rho_verifies(tmp_path):
    world = ready_world(tmp_path / "world", adds_up="zcdp")
    assert verify(world.release(tmp_path / "bundle").path, world.signer.public_bytes).ok


def test_a_directory_is_bounded_before_it_is_read(tmp_path):
    """Four times the members of a bundle are listed at most; so few that are no bundle are told by their names."""
    path = tmp_path / "bundle.zip"
    for count, code in ((4 * len(MEMBERS), "duplicate_member"), (4 * len(MEMBERS) + 1, "extra_file")):
        path.write_bytes(zip_bytes([("card.yaml", b"")] * count))
        failure = verify(path, bytes(32)).failure
        assert (failure.name, failure.code) == ("layout", code)
