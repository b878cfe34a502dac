"""What an outsider holds against a ledger: exports, heads kept elsewhere, two copies, prices computed again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounting import DiscreteGaussian, EventTree, Ledger, NeighboringRelation, PrivacyUnit, Signer
from accounting.errors import ParameterError
from accounting.ledger.entry import MAX_BODY_BYTES, Head
from accounting.ledger.errors import LedgerReadOnly, LedgerTampered, LedgerUnavailable, Reason, SliceRefused
from accounting.ledger.evidence import checkpoint as checkpoints
from accounting.ledger.evidence.compare import Relationship, compare_slices
from accounting.ledger.evidence.export import export_lines, read_export
from accounting.ledger.evidence.replay import TOLERANCE, Outcome, methods, replay

TERMS = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}


@pytest.fixture
def spent(ledger: Ledger, grant: Any, reserve: Any, plan: Any) -> str:
    """A ledger with a committed run; returns the budget."""
    budget = grant(ledger, "1")
    run = reserve(ledger, budget, 2)
    ledger.check_token(run.id, run.token)
    ledger.commit(run.id, plan(2))
    return budget


def fork(path: Path, signer: Signer, *writes: Callable[[Ledger], object]) -> Ledger:
    """A copy of the ledger as it is now, with other entries after it."""
    copied = path.with_name(f"copy-{len(list(path.parent.iterdir()))}.db")
    shutil.copy(path, copied)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        shutil.copy(wal, copied.with_name(copied.name + "-wal"))
    opened = Ledger.open(copied, signer=signer)
    for write in writes:
        write(opened)
    return opened


# Export


def exported(ledger: Ledger) -> list[str]:
    return list(export_lines(ledger.entries(), ledger.ledger_id, ledger.public_key))


@pytest.mark.usefixtures("spent")
def test_an_export_is_the_ledger(ledger: Ledger) -> None:
    found = read_export(exported(ledger), ledger_key=ledger.public_key)
    assert found.head == ledger.head()
    assert list(found.entries) == ledger.entries()
    assert found.books.budgets.keys() == {entry.budget_id for entry in ledger.entries() if entry.budget_id}


def edit(at: int, **changes: Any) -> Callable[[list[str]], list[str]]:
    def edited(lines: list[str]) -> list[str]:
        body = json.loads(lines[at])
        body.update(changes)
        return [*lines[:at], json.dumps(body), *lines[at + 1 :]]

    return edited


def edit_body(at: int, **changes: Any) -> Callable[[list[str]], list[str]]:
    return lambda lines: edit(at, body=json.loads(lines[at])["body"] | changes)(lines)


TAMPERED: dict[str, tuple[Callable[[list[str]], list[str]], Reason]] = {
    "an entry dropped": (lambda lines: lines[:3] + lines[4:], Reason.CHAIN_BROKEN),
    "the end dropped": (lambda lines: lines[:-1], Reason.HEAD_MISMATCH),
    "an entry doubled": (lambda lines: [*lines[:3], lines[2], *lines[3:]], Reason.CHAIN_BROKEN),
    "two entries exchanged": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], Reason.CHAIN_BROKEN),
    "a body edited": (edit_body(2, dataset="other"), Reason.CHAIN_BROKEN),
    "a signature of zeros": (edit(2, signature="00" * 64), Reason.SIGNATURE_INVALID),
    "a signature that is no text": (edit(2, signature=5), Reason.MALFORMED),
    "a number of an entry that is text": (edit(2, seq="1"), Reason.MALFORMED),
    "a number of an entry that is true": (edit(2, seq=True), Reason.MALFORMED),
    "a body that is a list": (edit(2, body=[]), Reason.MALFORMED),
    "another ledger named": (edit(0, ledger_id="ledger-0"), Reason.HEAD_MISMATCH),
    "another key named": (edit(0, public_key="00" * 32), Reason.FOREIGN_LEDGER),
    "another schema": (edit(0, schema="dpsynth.ledger-export/2"), Reason.UNKNOWN_SCHEMA),
    "an unknown field": (edit(2, note="x"), Reason.MALFORMED),
    "not JSON": (lambda lines: [*lines[:2], "{", *lines[3:]], Reason.MALFORMED),
    "a line that never ends": (lambda lines: [*lines[:2], "x" * 1_000_000, *lines[3:]], Reason.TOO_LARGE),
    "nothing": (lambda _: [], Reason.MALFORMED),
    "a header alone": (lambda lines: lines[:1], Reason.HEAD_MISMATCH),
}


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_export_is_refused(ledger: Ledger, name: str) -> None:
    tamper, reason = TAMPERED[name]
    with pytest.raises(LedgerTampered) as refused:
        read_export(tamper(exported(ledger)), ledger_key=ledger.public_key)
    assert refused.value.reason is reason


def test_the_longest_line_that_is_read(ledger: Ledger) -> None:
    """Twice the largest body: escapes may double what a body holds, and no more is built."""
    for spare, reason in ((0, Reason.MALFORMED), (1, Reason.TOO_LARGE)):
        with pytest.raises(LedgerTampered) as refused:
            read_export(["x" * (2 * MAX_BODY_BYTES + spare)], ledger_key=ledger.public_key)
        assert refused.value.reason is reason


# Checkpoints


def checked(ledger: Ledger, kept: list[checkpoints.Checkpoint], **witness: Any) -> None:
    heads = [Head(entry.seq, entry.hash) for entry in ledger.entries()]
    checkpoints.check_heads(heads, kept, ledger_id=ledger.ledger_id, ledger_key=ledger.public_key, **witness)


def test_a_ledger_that_only_grew_runs_through_its_checkpoints(ledger: Ledger, grant: Any, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    for commitment in ("a", "b", "c"):
        checkpoints.append(kept, ledger.checkpoint())
        grant(ledger, commitment=commitment)
    assert len(checkpoints.read(kept)) == 3
    checked(ledger, checkpoints.read(kept))


def test_a_restored_backup_is_found_out_by_a_checkpoint(
    ledger: Ledger, path: Path, signer: Signer, spent: str, reserve: Any
) -> None:
    backup = fork(path, signer)
    reserve(ledger, spent)
    kept = [ledger.checkpoint()]
    with backup, pytest.raises(LedgerTampered, match="cut, restored from a backup, or replaced") as refused:
        reserve(backup, spent)  # spends the same budget again, on a chain that verifies
        backup.verify(all_signatures=True)
        checked(backup, kept)
    assert refused.value.reason is Reason.ROLLED_BACK


def test_a_witness_signs_what_the_ledger_signed(ledger: Ledger) -> None:
    witness = Signer.generate()
    plain = ledger.checkpoint()
    checked(ledger, [plain.witnessed(witness)], witness_key=witness.public_bytes)
    for wrong in (plain, plain.witnessed(Signer.generate()), replace(plain.witnessed(witness), time="2001")):
        with pytest.raises(LedgerTampered, match=r"witness's signature|not of this ledger's key"):
            checked(ledger, [wrong], witness_key=witness.public_bytes)


def test_a_checkpoint_of_another_ledger_or_key_is_refused(ledger: Ledger, tmp_path: Path, signer: Signer) -> None:
    with Ledger.create(tmp_path / "other.db", signer=signer) as other, pytest.raises(LedgerTampered, match="another"):
        checked(ledger, [other.checkpoint()])
    forged = checkpoints.sign_head(ledger.ledger_id, ledger.head(), Signer.generate())
    with pytest.raises(LedgerTampered, match="not of this ledger's key"):
        checked(ledger, [forged])


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"ledger_id": 1}', "x" * 5000, json.dumps({"seq": 1})],
    ids=["no json", "a list", "empty", "few fields", "long", "other fields"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "kept.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(LedgerTampered):
        checkpoints.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": -1},
        {"seq": True},
        {"hash": "zz"},
        {"signature": "00"},
        {"time": 5},
        {"witness_key": "00" * 32},
        {"x": 1},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_shape_is_refused(ledger: Ledger, changes: dict[str, Any]) -> None:
    with pytest.raises(LedgerTampered, match=r"checkpoint"):
        checkpoints.Checkpoint.from_json(ledger.checkpoint().to_json() | changes)


def test_files_that_cannot_be_used_say_so(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        checkpoints.read(tmp_path / "absent")
    with pytest.raises(LedgerUnavailable, match="cannot be written"):
        checkpoints.append(tmp_path / "no" / "folder", ledger.checkpoint())
    with Ledger.open(path) as reader, pytest.raises(LedgerReadOnly):
        reader.checkpoint()


# Two copies


def test_copies_are_the_same_older_or_a_fork(
    ledger: Ledger, path: Path, signer: Signer, spent: str, reserve: Any
) -> None:
    key, first = ledger.public_key, ledger.slice(spent)
    assert compare_slices(first, ledger.slice(spent), ledger_key=key).relationship is Relationship.SAME
    with fork(path, signer, lambda copy: reserve(copy, spent)) as copy:
        reserve(ledger, spent)
        later = ledger.slice(spent)
        assert compare_slices(first, later, ledger_key=key).relationship is Relationship.FIRST_OLDER
        assert compare_slices(later, first, ledger_key=key).relationship is Relationship.SECOND_OLDER
        found = compare_slices(later, copy.slice(spent), ledger_key=key)
    assert (found.relationship, found.shared) == (Relationship.FORK, len(first["entries"]))
    assert "restored an old copy" in found.sentence()


def test_a_fork_shows_in_slices_of_two_budgets(
    ledger: Ledger, path: Path, signer: Signer, spent: str, grant: Any
) -> None:
    other = grant(ledger, commitment="data-2")
    with fork(path, signer, lambda copy: grant(copy, commitment="x")) as copy:
        grant(ledger, commitment="y")
        found = compare_slices(ledger.slice(spent), copy.slice(other), ledger_key=ledger.public_key)
    assert found.relationship is Relationship.FORK


def test_ledgers_of_one_key_are_not_compared(ledger: Ledger, tmp_path: Path, signer: Signer, grant: Any) -> None:
    with (
        Ledger.create(tmp_path / "other.db", signer=signer) as other,
        pytest.raises(SliceRefused, match="two ledgers"),
    ):
        compare_slices(ledger.slice(grant(ledger)), other.slice(grant(other)), ledger_key=ledger.public_key)


# Replay


@pytest.fixture
def priced(ledger: Ledger, grant: Any) -> Ledger:
    """Gaussian runs: pld, rdp and zcdp have a price for them, pure has none."""
    budget = grant(ledger, "5")
    for sigma in (10, 20, 10):
        tree = EventTree(events=(DiscreteGaussian(sigma=sigma, l2_sensitivity=1, count=3),), **TERMS)
        run = ledger.reserve(budget, tree, delta="1e-7", run_id="r", purpose="p")
        ledger.check_token(run.id, run.token)
        ledger.commit(run.id, tree)
    return ledger


@pytest.mark.parametrize("method", ["pld", "rdp", "zcdp"])
def test_every_price_is_found_again(priced: Ledger, method: str) -> None:
    found = replay(priced.entries(), method)
    assert [item.outcome for item in found] == [Outcome.HOLDS] * 6
    assert all(item.found == item.stated for item in found)


def test_an_accountant_without_a_proof_says_so(priced: Ledger) -> None:
    found = replay(priced.entries(), "pure")
    assert {item.outcome for item in found} == {Outcome.UNSUPPORTED}
    assert "pure guarantee" in found[0].reason


def _forged(ledger: Ledger, **guarantee: Any) -> list[Any]:
    entries = ledger.entries()
    last = entries[-1]
    body = json.loads(json.dumps(dict(last.body)))
    body["guarantee"] |= guarantee
    return [*entries[:-1], replace(last, body=body)]


def test_a_price_below_its_events_is_wrong(priced: Ledger) -> None:
    cheap = dict.fromkeys(dict(priced.entries()[-1].body["guarantee"])["all"], "0.01")  # type: ignore[call-overload]
    for method in ("pld", "rdp"):
        found = replay(_forged(priced, all=cheap, epsilon="0.01"), method)[-1]
        assert found.outcome is Outcome.WRONG
        assert "do not give" in found.reason


def test_a_charge_below_the_best_stated_is_wrong(priced: Ledger) -> None:
    found = replay(_forged(priced, epsilon="0.01"), "rdp")[-1]
    assert (found.outcome, "below every epsilon" in found.reason) == (Outcome.WRONG, True)


def test_a_figure_of_an_accountant_that_has_none_for_these_events_is_wrong(priced: Ledger) -> None:
    charged = str(dict(priced.entries()[-1].body["charge"])["epsilon"])  # type: ignore[call-overload]
    found = replay(_forged(priced, all={"pure/own-1": charged}), "pure")[-1]
    assert (found.outcome, found.found, str(found.stated)) == (Outcome.WRONG, None, charged)
    assert "which has none" in found.reason


def test_another_version_confirms_or_fails_to(priced: Ledger) -> None:
    # As if a tighter accountant, unknown here, had been charged on: what zcdp proves is less, and nothing to blame.
    charged = str(dict(priced.entries()[-1].body["charge"])["epsilon"])  # type: ignore[call-overload]
    found = replay(_forged(priced, all={"exact/another-1": charged}), "zcdp")[-1]
    assert (found.stated, found.outcome) == (None, Outcome.UNCONFIRMED)
    assert replay(_forged(priced, all={"exact/another-1": charged}), "pld")[-1].outcome is Outcome.HOLDS


@pytest.mark.parametrize(("more", "outcome"), [("0", Outcome.HOLDS), ("1e-9", Outcome.UNCONFIRMED)])
def test_what_is_proved_may_exceed_the_charge_by_the_tolerance_and_no_more(
    priced: Ledger, more: str, outcome: Outcome
) -> None:
    proved = replay(priced.entries(), "zcdp")[-1].found
    assert proved is not None
    charged = str(proved - TOLERANCE - Decimal(more))
    entries = _forged(priced, all={"exact/another-1": charged}, epsilon=charged)
    body = {**entries[-1].body, "charge": {**dict(entries[-1].body["charge"]), "epsilon": charged}}
    assert replay([*entries[:-1], replace(entries[-1], body=body)], "zcdp")[-1].outcome is outcome


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("more", "outcome"), [("0", Outcome.HOLDS), ("1e-9", Outcome.WRONG)])
def test_a_stated_figure_of_this_version_is_found_again_within_the_tolerance(
    priced: Ledger, sign: int, more: str, outcome: Outcome
) -> None:
    (last,) = replay(priced.entries(), "zcdp")[-1:]
    assert last.found is not None
    known = dict(dict(priced.entries()[-1].body["guarantee"])["all"])  # type: ignore[call-overload]
    name = next(one for one in known if one.startswith("zcdp"))
    stated = str(last.found + sign * (TOLERANCE + Decimal(more)))
    assert replay(_forged(priced, all={**known, name: stated}), "zcdp")[-1].outcome is outcome


def test_an_unknown_accountant_is_refused(priced: Ledger) -> None:
    with pytest.raises(ParameterError, match="analytic, pld, rdp, zcdp, pure"):
        replay(priced.entries(), "oracle")
    assert methods() == ("analytic", "pld", "rdp", "zcdp", "pure")


def test_a_replayed_entry_as_a_line_of_json(priced: Ledger) -> None:
    (held, *_), (bare, *_) = replay(priced.entries(), "zcdp"), replay(priced.entries(), "pure")
    assert held.to_json() == {
        "seq": held.seq, "kind": "reserve", "reservation": held.run, "charged": str(held.charged),
        "currency": "epsilon", "stated": str(held.stated), "found": str(held.found), "outcome": "holds",
        "reason": held.reason,
    }  # fmt: skip
    assert (bare.to_json()["found"], bare.to_json()["outcome"]) == (None, "unsupported")
