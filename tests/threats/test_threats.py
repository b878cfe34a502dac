"""Every threat that we know of, once, from end to end, in a test of its name; docs/assurance/threats.md is the table.

Each shows the attack done, not a function called: a bundle that a receiver would get, a ledger file, a real draft.
Where the defence is that somebody notices, the test is what they notice.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import inspect
import io
import json
import pickle
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from accounting import DiscreteGaussian, EventTree, Ledger, Signer
from accounting.errors import AccountingError
from accounting.ledger import writer
from accounting.ledger.entry import Head, Kind
from dpsynth.core.errors import DpsynthError, GateRefused
from dpsynth.release.export import Documents
from dpsynth.release.policy import Policy, default_policy
from dpsynth.release.seal import sha256
from dpsynth.release.verify import verify
from tests.release.bundle_tools import edit_json, edit_ledger, predicate, read, resign, write
from tests.release.world import TERMS, attack_report, make_world, ready_world, synthetic_table


def code(path: Path, key: Signer, **settings) -> str:
    """The reason of the refusal; empty if it verifies."""
    failure = verify(path, key.public_bytes, **settings).failure
    return "" if failure is None else failure.code


def _rows_reordered(raw: bytes) -> bytes:
    table, sink = pq.read_table(io.BytesIO(raw)), io.BytesIO()
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), sink)
    return sink.getvalue()


def _metadata_changed(raw: bytes) -> bytes:
    table, sink = pq.read_table(io.BytesIO(raw)), io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"note": "audited"}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("data.csv", lambda raw: raw + raw.splitlines(keepends=True)[-1]),
        ("data.csv", lambda raw: raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:]),
        ("data.parquet", _rows_reordered),
        ("data.parquet", _metadata_changed),
        ("report.html", lambda raw: raw.replace(b"<p>", b"<p>safe ")),
    ],
    ids=["row appended", "bit flipped", "rows reordered", "metadata changed", "report touched up"],
)
def test_edited_file(released, bundle, name, change):
    (bundle / name).write_bytes(change((bundle / name).read_bytes()))
    assert code(bundle, released[0].signer) == "file_altered"


def test_replayed_report(own, tmp_path):
    """The passing report of one draft, shown for the next: neither the gate nor a receiver takes it."""
    own.release(tmp_path / "first")
    old = own.documents
    own.synthesize("draft-2")
    own.documents = Documents(draft=own.documents.draft, attack=old.attack, quality=old.quality)
    decision = own.judge()
    assert decision.decision != "ship"
    with pytest.raises(GateRefused):
        own.release(tmp_path / "second", decision=decision)
    own.attack()
    own.evaluate()
    own.release(tmp_path / "second")
    stale = read(tmp_path / "first")["evidence.json"]
    swapped = write(tmp_path / "second", resign({**read(tmp_path / "second"), "evidence.json": stale}, own.signer))
    assert code(swapped, own.signer) in {"root_mismatch", "other_draft"}


def _cheaper(entries):
    found = next(entry for entry in entries if entry.get("body", {}).get("kind") == "commit")
    found["body"]["guarantee"] = {**found["body"]["guarantee"], "epsilon": "0.1"}
    return entries


@pytest.mark.parametrize(
    "change",
    [_cheaper, lambda entries: entries[:-2] + entries[-1:], lambda entries: [entries[1], entries[0], *entries[2:]]],
    ids=["body edited", "entry dropped", "entries exchanged"],
)
def test_forged_entry(released, bundle, change):
    """Even by somebody who holds the release key and signs the bundle again."""
    forged = edit_ledger(released[0], bundle, change)
    assert code(forged, released[0].signer).startswith("ledger_")


def test_forged_entry_by_another_key(released, bundle):
    """A whole chain of one's own, signed by a ledger key of one's own, for a receiver who knows the real one."""
    world, _ = released
    assert code(bundle, world.signer, ledger_key=Signer.generate().public_bytes) == "ledger_foreign_ledger"


def test_restored_database(tmp_path):
    """Spend, restore yesterday's file, spend again: whoever saw the first bundle sees that the second is a fork."""
    own = make_world(tmp_path / "own")
    file, backup = own.home / "ledger.db", tmp_path / "backup.db"
    own.ledger.close()
    shutil.copy(file, backup)
    for name in ("first", "second"):
        shutil.copy(backup, file)
        own.ledger = Ledger.open(file, signer=own.ledger_signer)
        own.synthesize(f"draft-{name}")
        own.attack()
        own.evaluate()
        own.release(tmp_path / name)
        own.ledger.close()
    head = predicate(read(tmp_path / "first"))["ledger"]["head"]
    assert code(tmp_path / "second", own.signer) == ""  # alone it looks whole: that is the residual risk
    refused = code(tmp_path / "second", own.signer, anchor=Head(head["seq"], head["hash"]))
    assert refused in {"ledger_forked", "ledger_rolled_back", "ledger_anchor"}, refused


def _laxer() -> Policy:
    body = default_policy().model_dump(mode="json")
    body["attacks"]["limits"]["membership.nearest.auc"] = "0.99"
    return Policy.model_validate(body)


def test_swapped_policy(own, released, bundle, tmp_path):
    """A limit is raised after the figure was seen: at the gate, and in the bundle by whoever holds the release key."""
    own.policy = _laxer()
    decision = own.judge()
    assert decision.decision != "ship"
    assert "policy_reserved" in {rule.name for rule in decision.rules if not rule.passed}
    with pytest.raises(GateRefused):
        own.release(tmp_path / "out", decision=decision)
    lax = {**read(bundle), "policy.yaml": _laxer().to_yaml()}
    swapped = write(bundle, resign(lax, released[0].signer, policy_digest=_laxer().digest()))
    assert code(swapped, released[0].signer) in {"root_mismatch", "release_entry_mismatch"}


def test_clock(own, tmp_path, monkeypatch):
    """Order is by number, not by time: a clock set back changes no verdict and is shown to the receiver."""
    decision = own.judge()
    true = writer.stamp
    monkeypatch.setattr(writer, "stamp", lambda *a: true(*a) | {"time": "2001-01-01T00:00:00Z"})
    own.release(tmp_path / "bundle", decision=decision)
    report = verify(tmp_path / "bundle", own.signer.public_bytes)
    assert report.ok
    assert any("clock was set back" in warning for warning in report.warnings)


def test_regenerate_until_pass(tmp_path):
    """Every try is charged and counted, is judged at a stricter level, and there is a last one."""
    world = make_world(tmp_path, epsilon="10")
    limit = world.policy.attempts.max_attempts
    tried = []
    for number in range(1, limit + 2):
        before = world.ledger.balance(world.budget_id).epsilon.spent
        world.synthesize(f"draft-{number}")
        world.attack()
        world.evaluate()
        tried.append(world.judge())
        assert world.ledger.balance(world.budget_id).epsilon.spent != before
    assert "attempts" not in {rule.name for rule in tried[0].rules if not rule.passed}
    assert "attempts" in {rule.name for rule in tried[-1].rules if not rule.passed}
    assert tried[-1].decision != "ship"
    levels = [world.policy.alpha_at(number) for number in range(1, limit + 2)]
    assert levels == sorted(levels, reverse=True)
    assert sum(levels) <= world.policy.attempts.alpha


def test_seed_shopping(tmp_path):
    """Noise from a seed can be chosen and taken off again: it is marked in the event, and no draft of it ships."""
    world = make_world(tmp_path)
    seeded = EventTree(events=(DiscreteGaussian(sigma="40", l2_sensitivity="1", count=9, noise="seeded"),), **TERMS)
    world.synthesize("draft-1", events=seeded)
    world.attack()
    world.evaluate()
    decision = world.judge()
    assert decision.decision != "ship"
    assert "noise_exact" in {rule.name for rule in decision.rules if not rule.passed}


def test_crippled_attack(tmp_path):
    """An attack that would not see a planted leak, or sees one where there is none, is no evidence."""
    honest = attack_report().attacks[0]
    for control in (
        {"positive_control": type(honest.positive_control)(kind="random", fraction=0.05, detected=0, trials=10)},
        {"negative_control": type(honest.negative_control)(kind="reference_rows", estimate=0.9, passed=False)},
    ):
        world = make_world(tmp_path / next(iter(control)))
        world.synthesize("draft-1")
        world.attack(attack_report(**control))
        world.evaluate()
        decision = world.judge()
        assert decision.decision != "ship"
        assert "attack_controls" in {rule.name for rule in decision.rules if not rule.passed}


def test_zero_hidden_in_an_average(tmp_path):
    """One attack finds everybody, six find nobody: the worst decides, and nothing is averaged."""
    report = attack_report()
    leak = report.attacks[2]
    worst = leak.model_copy(update={"verdict": "fail", "estimate": 1.0, "ci_low": 0.99, "ci_high": 1.0})
    rows = tuple(worst if row is leak else row for row in report.attacks)
    hidden = report.model_copy(update={"attacks": rows})  # and the report's own verdict still says pass
    world = make_world(tmp_path)
    world.synthesize("draft-1")
    try:
        world.attack(hidden)
        world.evaluate()
        assert world.judge().decision != "ship"
    except (ValueError, DpsynthError) as refused:
        assert "verdict" in str(refused)


def test_side_exports(private, tmp_path):
    """Neither pickle, copy, repr, a cell's HTML, a status nor the files of the workspace hold a private cell."""
    ws, draft, word = private
    assert not {name for name in dir(draft) if name.startswith("to_")}
    shown = [repr(draft), str(draft), draft._repr_html_(), repr(ws), str(draft.status), repr(draft.__dict__.keys())]
    assert word not in "".join(shown)
    with pytest.raises(GateRefused):
        draft.release(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    from dpsynth.workspace.private.room import PrivateRows, open_source

    rows = open_source(ws, draft.dataset, schema=None).rows
    assert isinstance(rows, PrivateRows)
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            leave(rows)
    assert word not in repr(rows)


def test_side_exports_of_the_workspace_folder(private):
    """What a backup of the folder shows: no cell in plain, in no file but where the schema declares it public."""
    ws, draft, word = private
    for path in ws.layout.root.rglob("*"):
        if path.is_file() and draft.name in str(path):
            assert word.encode() not in path.read_bytes(), path.name


class _Bomb:
    def __reduce__(self):
        return (open, ("/tmp/dpsynth-threat-was-run", "w"))


def test_injection_by_bundle(released, bundle, tmp_path):
    """A pickle beside the rows, code beside the rows, a YAML tag that runs something, a path as a name."""
    world, folder = released
    for name, raw in (("model.pkl", pickle.dumps(_Bomb())), ("__init__.py", b"1/0"), ("hashlib.py", b"1/0")):
        (bundle / name).write_bytes(raw)
        assert code(bundle, world.signer) == "extra_file"
        (bundle / name).unlink()
    marker = tmp_path / "was-run"
    tag = f"!!python/object/apply:os.system ['touch {marker}']\n".encode()
    for name in ("card.yaml", "policy.yaml"):
        spoilt = shutil.copytree(folder, tmp_path / name)
        report = verify(write(spoilt, resign({**read(spoilt), name: tag}, world.signer)), world.signer.public_bytes)
        assert not report.ok
        assert report.failure.name == "documents"
    assert not marker.exists()
    sources = "".join(inspect.getsource(module) for module in _verifier_modules())
    assert "import pickle" not in sources


def _verifier_modules():
    from dpsynth.release import archive, card, documents, dsse, statement
    from dpsynth.release import verify as _  # noqa: F401

    return archive, card, documents, dsse, statement


def test_insider_key(released, bundle, own):
    """The release key alone makes no release, the ledger's key is no release key, and no key has two roles."""
    world, _ = released
    unrecorded = edit_json(world, bundle, "decision.json", lambda body: body.update(at="1:00"))
    assert code(unrecorded, world.signer) in {"root_mismatch", "decision_mismatch"}
    members = read(bundle)
    other = write(bundle, resign(members, world.ledger_signer))
    assert code(other, world.ledger_signer) != ""
    try:  # the ledger's own key as a reviewer: refused when it is named, or when it votes
        own.add_key(own.ledger_signer, "review")
        with pytest.raises((AccountingError, DpsynthError)):
            own.ledger.review(own.budget_id, own.draft.draft, vote="approve", reason="mine", reviewer=own.ledger_signer)
    except (AccountingError, DpsynthError):
        pass


def test_insider_key_revoked(own, tmp_path):
    decision = own.judge()
    own.release(tmp_path / "before", decision=decision)
    own.ledger.append("key.revoke", {"key_id": own.signer.key_id, "reason": "left the house"})
    with pytest.raises(DpsynthError, match="revoked"):
        own.release(tmp_path / "after", decision=decision)


def test_insider_key_of_another_role(own, tmp_path):
    """A key that the ledger vouches for, for something else, signs no release."""
    decision = own.judge()
    own.add_key(own.signer, "budget")
    with pytest.raises(DpsynthError, match="did not authorise"):
        own.release(tmp_path / "out", decision=decision)
    assert not (tmp_path / "out").exists()


def test_hash_of_the_input_as_an_oracle(tmp_path):
    """Whoever guesses the private table to the last byte finds nothing in the bundle that tells that they are right."""
    guess = b"the survey"
    worlds = [ready_world(tmp_path / name) for name in ("one", "two")]
    published = []
    for world in worlds:
        world.release(world.home / "bundle")
        published.append(b"".join(read(world.home / "bundle").values()))
    oracles = [hashlib.new(name, guess).hexdigest() for name in ("sha256", "sha1", "md5", "sha512", "blake2b")]
    oracles += [hmac.new(key, guess, "sha256").hexdigest() for key in (b"", b"dpsynth", b"dpsynth.release/1")]
    for text in published:
        assert not [one for one in oracles if one.encode() in text]
    commitments = {world.ledger.budget(world.budget_id).commitment for world in worlds}
    assert len(commitments) == 2, "equal tables in two workspaces must not commit to the same value"


def test_hash_of_the_rows_before_a_release(own):
    """A sealed draft's own digest is keyed too: rows that were never released cannot be confirmed either."""
    entries = json.dumps([dict(entry.body) for entry in own.ledger.entries() if entry.kind is not Kind.RELEASE])
    sink = io.BytesIO()
    pq.write_table(synthetic_table(), sink)
    assert sha256(sink.getvalue()) not in entries


def test_the_table_of_threats_and_the_tests_name_each_other():
    """docs/assurance/threats.md: each row names a test that exists, and each test stands in a row."""
    here = Path(__file__)
    page = (here.parents[2] / "docs" / "assurance" / "threats.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ") and "`test_" in line]
    named = {name.strip("`,") for row in rows for name in row[3].split()}
    defined = {name for name in globals() if name.startswith("test_") and not name.startswith("test_the_table")}
    assert named == defined
    assert all(len(row) == 6 and all(cell.strip() for cell in row[1:5]) for row in rows)
