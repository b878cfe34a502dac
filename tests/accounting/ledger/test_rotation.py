"""The ledger's key changes hands; everybody who pinned a key of the chain follows, and nobody else can take over."""

from __future__ import annotations

import copy
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounting import Ledger, Signer
from accounting.ledger.chain import Chain
from accounting.ledger.entry import Entry, Head, Kind, seal, stamp
from accounting.ledger.errors import EntryRefused, KeyRefused, LedgerTampered, Reason, SliceRefused
from accounting.ledger.evidence import checkpoint as checkpoints
from accounting.ledger.evidence.compare import Relationship, compare_slices
from accounting.ledger.evidence.export import export_lines, read_export
from accounting.ledger.rotation import rotation_fields
from accounting.ledger.slice import make_slice, verify_slice


class Story:
    """A ledger whose key was rotated twice, with a run under each key."""

    def __init__(self, path: Path, grant: Any, reserve: Any) -> None:
        self.path, self.keys = path, [Signer.generate() for _ in range(3)]
        self.recovery = Signer.generate()
        with Ledger.create(path, signer=self.keys[0]) as ledger:
            self.id = ledger.ledger_id
            spare = {"key_id": self.recovery.key_id, "public_key": self.recovery.public_bytes.hex()}
            ledger.append("key.add", {**spare, "role": "recovery"})
            self.budget = grant(ledger)
            self.kept = [ledger.checkpoint()]
            for new in self.keys[1:]:
                reserve(ledger, self.budget)
                ledger.rotate(new, "the yearly change")
                self.kept.append(ledger.checkpoint())
            reserve(ledger, self.budget)
            self.entries, self.slice = ledger.entries(), ledger.slice(self.budget)
        self.rotations = [entry.seq for entry in self.entries if entry.kind is Kind.KEY_ROTATE]

    def forge(self, upto: int, signer: Signer, kind: Kind, **fields: Any) -> list[Entry]:
        """The chain up to an entry, and one more by whom it may be."""
        kept = self.entries[:upto]
        body = stamp(kind, fields)
        return [*kept, Entry.from_row(seal(body, Head(kept[-1].seq, kept[-1].hash), signer), body)]

    def rotation(self, upto: int, signer: Signer, new: Signer, **changes: Any) -> list[Entry]:
        """The chain up to an entry, and a rotation."""
        last = self.entries[:upto][-1]
        head = Head(last.seq, last.hash)
        fields = rotation_fields(
            ledger_id=self.id, head=head, signer=signer, new=new, reason="takeover", recovery=False
        )
        return self.forge(upto, signer, Kind.KEY_ROTATE, **fields | changes)


@pytest.fixture
def story(path: Path, grant: Any, reserve: Any) -> Story:
    return Story(path, grant, reserve)


def _refused(entries: list[Entry], story: Story, pinned: Signer) -> Reason:
    """Why both readers, of chains and of slices, refuse; they must agree."""
    chain = Chain()
    with pytest.raises(LedgerTampered) as tampered:
        for entry in entries:
            chain.read_disclosed(entry)
    made = make_slice(entries, story.id, story.keys[0].public_bytes, story.budget)
    with pytest.raises(SliceRefused) as refused:
        verify_slice(made, ledger_key=pinned.public_bytes)
    assert (tampered.value.reason, tampered.value.seq) == (refused.value.reason, refused.value.seq)
    assert tampered.value.seq == entries[-1].seq
    return tampered.value.reason


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_whoever_pinned_a_key_of_the_chain_follows_it(story: Story, pinned: int) -> None:
    key = story.keys[pinned].public_bytes
    facts = verify_slice(story.slice, ledger_key=key)
    assert [one.public_key for one in facts.ledger_keys] == [one.public_bytes for one in story.keys]
    assert [one.first for one in facts.ledger_keys] == [0, *(seq + 1 for seq in story.rotations)]
    lines = list(export_lines(story.entries, story.id, story.keys[0].public_bytes))
    assert read_export(lines, ledger_key=key).head == facts.head
    assert compare_slices(story.slice, story.slice, ledger_key=key).relationship is Relationship.SAME


def test_a_key_that_the_chain_does_not_lead_to_is_foreign(story: Story) -> None:
    stranger = Signer.generate().public_bytes
    lines = list(export_lines(story.entries, story.id, story.keys[0].public_bytes))
    before = make_slice(story.entries[: story.rotations[0]], story.id, story.keys[0].public_bytes, story.budget)
    for call in (
        lambda: verify_slice(story.slice, ledger_key=stranger),
        lambda: verify_slice(story.slice, ledger_key=story.recovery.public_bytes),
        lambda: verify_slice(before, ledger_key=story.keys[1].public_bytes),
        lambda: verify_slice(
            story.slice | {"public_key": story.keys[1].public_bytes.hex()}, ledger_key=story.keys[1].public_bytes
        ),  # a slice names the first key, and no other
        lambda: read_export(lines, ledger_key=stranger),
        lambda: compare_slices(story.slice, before, ledger_key=stranger),
    ):
        with pytest.raises((SliceRefused, LedgerTampered)) as refused:
            call()
        assert refused.value.reason == Reason.FOREIGN_LEDGER


def test_an_older_copy_is_compared_by_whoever_pinned_a_newer_key(story: Story) -> None:
    before = make_slice(story.entries[: story.rotations[0]], story.id, story.keys[0].public_bytes, story.budget)
    found = compare_slices(before, story.slice, ledger_key=story.keys[2].public_bytes)
    assert (found.relationship, found.shared) == (Relationship.FIRST_OLDER, story.rotations[0])


def test_the_ledger_opens_with_the_key_in_force_alone(story: Story, reserve: Any) -> None:
    for retired in story.keys[:2]:
        with pytest.raises(KeyRefused, match="rotated away"):
            Ledger.open(story.path, signer=retired)
    with pytest.raises(KeyRefused, match="did not create"):
        Ledger.open(story.path, signer=story.recovery)
    with Ledger.open(story.path, signer=story.keys[2]) as opened:
        reserve(opened, story.budget)
        opened.verify(all_signatures=True)
        assert [key.public_key for key in opened.ledger_keys()] == [key.public_bytes for key in story.keys]


def test_a_process_that_still_holds_the_old_key_writes_nothing_more(ledger: Ledger, path: Path, signer: Signer) -> None:
    successor = Signer.generate()
    with Ledger.open(path, signer=signer) as other:
        ledger.rotate(successor, "change")
        head = ledger.head()
        with pytest.raises(KeyRefused, match="rotated away"):
            other.append("policy", {"digest": "0"})
        with pytest.raises(KeyRefused, match="rotated away"):
            other.rotate(Signer.generate(), "a second successor")
        assert ledger.head() == head
    ledger.append("policy", {"digest": "0"})  # the object that rotated goes on with the new key
    ledger.verify(all_signatures=True)


def test_a_token_outlives_a_rotation_and_is_worth_nothing_to_the_old_key(
    ledger: Ledger, path: Path, signer: Signer, grant: Any, reserve: Any
) -> None:
    run = reserve(ledger, grant(ledger))
    with Ledger.open(path, signer=signer) as old:
        ledger.rotate(Signer.generate(), "change")
        with pytest.raises(KeyRefused, match="rotated away"):
            old.check_token(run.id, run.token)
    capability = ledger.check_token(run.id, run.token)
    ledger.redeem(capability, commitment="data-1", plan=run.plan)


TAKEOVERS: dict[str, tuple[Callable[[Story], list[Entry]], Reason]] = {
    "an entry by the retired key, right after its end": (
        lambda s: s.forge(s.rotations[0] + 1, s.keys[0], Kind.POLICY, digest="0"), Reason.SIGNATURE_INVALID),
    "an entry by a retired key, much later": (
        lambda s: s.forge(99, s.keys[0], Kind.POLICY, digest="0"), Reason.SIGNATURE_INVALID),
    "an entry by the new key before it was in force": (
        lambda s: s.forge(s.rotations[0], s.keys[1], Kind.POLICY, digest="0"), Reason.SIGNATURE_INVALID),
    "a rotation signed by its own new key": (
        lambda s: _self_made(s), Reason.ROTATION_INVALID),
    "a rotation by a retired key": (
        lambda s: s.rotation(99, s.keys[0], Signer.generate()), Reason.ROTATION_INVALID),
    "a rotation by the recovery key that does not say so": (
        lambda s: s.rotation(99, s.recovery, Signer.generate()), Reason.ROTATION_INVALID),
    "a rotation without a countersignature": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), countersignature="0" * 128), Reason.ROTATION_INVALID),
    "a countersignature that is no signature": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), countersignature="no"), Reason.ROTATION_INVALID),
    "a countersignature by the old key": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), countersignature=_by_old(s)), Reason.ROTATION_INVALID),
    "a rotation with another reason than was countersigned": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), reason="no reason"), Reason.ROTATION_INVALID),
    "a rotation back to a retired key": (
        lambda s: s.rotation(99, s.keys[2], s.keys[0]), Reason.ROTATION_INVALID),
    "a rotation to the recovery key": (
        lambda s: s.rotation(99, s.keys[2], s.recovery), Reason.ROTATION_INVALID),
    "a rotation under another's key id": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), key_id="0" * 32), Reason.ROTATION_INVALID),
    "a rotation replayed at another place": (lambda s: _replayed(s), Reason.ROTATION_INVALID),
    "a rotation by a recovery key that nobody added": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), recovery_key="0" * 32), Reason.ROTATION_INVALID),
    "a rotation with a field too many": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), note="x"), Reason.RULE_BROKEN),
    "a rotation to bytes that are no key": (
        lambda s: s.rotation(99, s.keys[2], Signer.generate(), public_key="zz"), Reason.RULE_BROKEN),
}  # fmt: skip


def _self_made(story: Story) -> list[Entry]:
    mallory, head = Signer.generate(), Head(story.entries[-1].seq, story.entries[-1].hash)
    fields = rotation_fields(
        ledger_id=story.id, head=head, signer=Signer.generate(), new=mallory, reason="takeover", recovery=False
    )
    return story.forge(99, mallory, Kind.KEY_ROTATE, **fields)


def _by_old(story: Story) -> str:
    return story.keys[2].sign(b"dpsynth.key-rotation/1").hex()


def _replayed(story: Story) -> list[Entry]:
    genuine = story.entries[story.rotations[1]].body
    fields = {name: value for name, value in genuine.items() if name not in ("kind", "nonce", "time")}
    return story.forge(story.rotations[1] - 1, story.keys[1], Kind.KEY_ROTATE, **fields)


@pytest.mark.parametrize(("forged", "reason"), TAKEOVERS.values(), ids=TAKEOVERS.keys())
def test_nobody_else_takes_over(story: Story, forged: Callable[[Story], list[Entry]], reason: Reason) -> None:
    assert _refused(forged(story), story, story.keys[0]) == reason


def test_a_well_formed_rotation_needs_the_signature_of_the_key_in_force(story: Story) -> None:
    """Everything in the body is right, only the entry itself was signed by somebody else."""
    mallory, head = Signer.generate(), Head(story.entries[-1].seq, story.entries[-1].hash)
    fields = rotation_fields(
        ledger_id=story.id, head=head, signer=story.keys[2], new=mallory, reason="takeover", recovery=False
    )
    assert _refused(story.forge(99, mallory, Kind.KEY_ROTATE, **fields), story, story.keys[0]) == (
        Reason.SIGNATURE_INVALID
    )


def test_a_rotation_forged_in_the_database_is_found_by_the_plain_check(story: Story) -> None:
    """The head would be signed by the forger's key: what vouches for that key is the rotation's own signature."""
    mallory, head = Signer.generate(), Head(story.entries[-1].seq, story.entries[-1].hash)
    fields = rotation_fields(
        ledger_id=story.id, head=head, signer=story.keys[2], new=mallory, reason="takeover", recovery=False
    )
    rows = [seal(stamp(Kind.KEY_ROTATE, fields), head, mallory)]
    rows.append(seal(stamp(Kind.POLICY, {"digest": "0"}), Head(rows[0].seq, rows[0].hash), mallory))
    connection = sqlite3.connect(story.path)
    connection.executemany("INSERT INTO ledger_entries VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    for signer in (None, mallory, story.keys[2]):
        with pytest.raises(LedgerTampered) as refused, Ledger.open(story.path, signer=signer) as opened:
            opened.verify()
        assert (refused.value.reason, refused.value.seq) == (Reason.SIGNATURE_INVALID, rows[0].seq)


def test_a_rotation_of_one_ledger_is_none_of_another_with_the_same_key(
    story: Story, tmp_path: Path, grant: Any
) -> None:
    with Ledger.create(tmp_path / "twin.db", signer=story.keys[0]) as twin:
        grant(twin)
        while len(entries := twin.entries()) < story.rotations[0]:
            twin.append("policy", {"digest": "0"})  # so that even the place is the same
    genuine = {k: v for k, v in story.entries[story.rotations[0]].body.items() if k not in ("kind", "nonce", "time")}
    body = stamp(Kind.KEY_ROTATE, genuine)
    entries.append(Entry.from_row(seal(body, Head(entries[-1].seq, entries[-1].hash), story.keys[0]), body))
    chain = Chain()
    with pytest.raises(LedgerTampered) as refused:
        for entry in entries:
            chain.read_disclosed(entry)
    assert (refused.value.reason, refused.value.seq) == (Reason.ROTATION_INVALID, entries[-1].seq)


def test_a_rotation_is_never_withheld_and_never_written_by_hand(story: Story) -> None:
    lie = copy.deepcopy(story.slice)
    hidden = story.entries[story.rotations[0]].withheld()._asdict()
    lie["entries"][story.rotations[0]] = hidden
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=story.keys[0].public_bytes)
    assert refused.value.reason == Reason.REDACTED_GLOBAL_ENTRY
    with Ledger.open(story.path, signer=story.keys[2]) as opened:
        with pytest.raises(EntryRefused, match="not appended by hand"):
            opened.append("key.rotate", {})
        with pytest.raises(EntryRefused, match="needs a reason"):
            opened.rotate(Signer.generate(), "  ")
        with pytest.raises(KeyRefused, match="is the old one"):
            opened.rotate(story.keys[2], "change")
        with pytest.raises(EntryRefused, match="rotation-invalid"):
            opened.rotate(story.keys[0], "back to the old one")


def test_a_fork_at_the_rotation_shows_between_two_copies_and_is_foreign_to_the_newer_key(
    story: Story, forger: Any
) -> None:
    """A thief of the retired key goes on where it was still in force."""
    fork = forger(story.entries[: story.rotations[0]], story.keys[0])
    fork.add("policy", digest="0")
    lie = fork.slice(story.budget)
    verify_slice(lie, ledger_key=story.keys[0].public_bytes)  # what the first key alone proves
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=story.keys[1].public_bytes)
    assert refused.value.reason == Reason.FOREIGN_LEDGER
    with pytest.raises(SliceRefused) as refused:
        verify_slice(lie, ledger_key=story.keys[0].public_bytes, anchor=story.kept[1].head)
    assert refused.value.reason == Reason.ROLLED_BACK
    for pinned in story.keys:
        found = compare_slices(lie, story.slice, ledger_key=pinned.public_bytes)
        assert (found.relationship, found.shared) == (Relationship.FORK, story.rotations[0])


def test_checkpoints_are_of_the_key_in_force_after_their_head(story: Story) -> None:
    heads = [Head(entry.seq, entry.hash) for entry in story.entries]
    with Ledger.open(story.path) as opened:
        keys = opened.ledger_keys()
    checkpoints.check_heads(heads, story.kept, ledger_id=story.id, ledger_key=keys)
    last = heads[-1]
    for wrong in (
        checkpoints.sign_head(story.id, last, story.keys[0]),  # a retired key
        checkpoints.sign_head(story.id, heads[story.rotations[0] - 1], story.keys[1]),  # a key before its time
        checkpoints.sign_head(story.id, heads[story.rotations[0]], story.keys[0]),  # the old key on its own successor
        checkpoints.sign_head(story.id, last, story.recovery),
    ):
        with pytest.raises(LedgerTampered) as refused:
            checkpoints.check_heads(heads, [wrong], ledger_id=story.id, ledger_key=keys)
        assert refused.value.reason == Reason.SIGNATURE_INVALID


def test_a_lost_key_is_replaced_by_the_recovery_key_and_by_no_other(story: Story, reserve: Any) -> None:
    new = Signer.generate()
    for other in (*story.keys, Signer.generate()):
        with pytest.raises(EntryRefused, match="may not recover"):
            Ledger.recover(story.path, recovery=other, new_signer=new, reason="disk lost")
    with Ledger.recover(story.path, recovery=story.recovery, new_signer=new, reason="disk lost") as recovered:
        reserve(recovered, story.budget)
        recovered.verify(all_signatures=True)
        made = recovered.slice(story.budget)
    with Ledger.open(story.path, signer=new) as opened:
        opened.append("key.revoke", {"key_id": story.recovery.key_id, "reason": "used"})
    for pinned in (*story.keys, new):
        assert verify_slice(made, ledger_key=pinned.public_bytes).ledger_keys[-1].public_key == new.public_bytes
    with pytest.raises(KeyRefused, match="rotated away"):
        Ledger.open(story.path, signer=story.keys[2])
    with pytest.raises(EntryRefused, match="may not recover"):
        Ledger.recover(story.path, recovery=story.recovery, new_signer=Signer.generate(), reason="again")


@pytest.mark.parametrize("role", ["recovery", "budget"])
def test_the_ledgers_own_key_does_not_check_itself(story: Story, role: str) -> None:
    with Ledger.open(story.path, signer=story.keys[2]) as opened:
        clerk = Signer.generate()
        opened.append("key.add", {"key_id": clerk.key_id, "public_key": clerk.public_bytes.hex(), "role": "release"})
        with pytest.raises(EntryRefused, match="may not recover"):  # another role is none
            Ledger.recover(story.path, recovery=clerk, new_signer=Signer.generate(), reason="x")
        for key in (story.keys[0], story.keys[2]):
            with pytest.raises(EntryRefused, match="key of the ledger itself"):
                opened.append("key.add", {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": role})


def test_a_backup_from_before_the_rotation_is_found_by_the_new_keys_owner(story: Story, tmp_path: Path) -> None:
    """The new key opens no copy that does not know of it."""
    old = tmp_path / "backup.db"
    with Ledger.create(old, signer=story.keys[0]) as made:
        made.append("policy", {"digest": "0"})
    shutil.copy(old, story.path)
    with pytest.raises(KeyRefused, match="did not create"):
        Ledger.open(story.path, signer=story.keys[2])
