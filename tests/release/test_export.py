"""The way out: complete or nothing, on record before it exists, never over anything that is there."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from accounting.ledger import Signer
from dpsynth.core.errors import GateRefused, ParameterError, SealError, VerificationError
from dpsynth.release import Documents, gather
from dpsynth.release.documents import digest
from dpsynth.release.gate import gate
from dpsynth.release.layout import MEMBERS, VERIFIER
from dpsynth.release.standalone.build import verifier
from dpsynth.release.verify import verify
from tests.release.world import attack_report, make_world, ready_world, synthetic_table


@pytest.fixture
def world(tmp_path):
    return ready_world(tmp_path / "world")


def leftovers(world):
    return [path.name for path in world.home.iterdir() if path.name.startswith(".dpsynth") or "bundle" in path.name]


def releases(world):
    return [entry for entry in world.ledger.entries(world.budget_id) if entry.kind == "release"]


def test_bundle_holds_the_sealed_rows_exactly(world):
    made = world.release(world.home / "bundle")
    assert (made.path / "data.parquet").read_bytes() == world.vault.open("draft-1")
    assert pq.read_table(made.path / "data.parquet").equals(synthetic_table())
    assert {path.name for path in made.path.iterdir()} == set(MEMBERS)
    assert made.verification.ok


def test_same_evidence_gives_the_same_bytes(released):
    _, folder, archive = released
    again = archive.read_bytes()
    for name in MEMBERS:
        assert (folder / name).read_bytes() in again, name


def test_exporting_twice_leaves_one_release_on_record(released):
    world, _, _ = released
    assert len(releases(world)) == 1


def test_release_is_on_record_before_the_bundle_exists(world, monkeypatch):
    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr("dpsynth.release.export.write_members", crash)
    with pytest.raises(OSError, match="disk full"):
        world.release(world.home / "bundle")
    assert len(releases(world)) == 1
    assert leftovers(world) == []


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
@pytest.mark.parametrize("step", ["write_members", "verify", "put_in_place"])
def test_a_crash_at_any_step_leaves_no_partial_output(world, monkeypatch, step, name):
    def crash(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dpsynth.release.export.{step}", crash)
    with pytest.raises(KeyboardInterrupt):
        world.release(world.home / name)
    assert leftovers(world) == []
    monkeypatch.undo()
    assert world.release(world.home / name).verification.ok


@pytest.mark.parametrize("what", ["file", "folder", "empty folder", "link", "dangling link"])
def test_nothing_is_overwritten_and_no_link_is_followed(world, what):
    target, elsewhere = world.home / "bundle", world.home / "elsewhere"
    elsewhere.mkdir()
    if what == "file":
        target.write_text("mine")
    elif "folder" in what:
        target.mkdir()
        if what == "folder":
            (target / "mine").write_text("mine")
    else:
        target.symlink_to(elsewhere if what == "link" else world.home / "nowhere")
    before = len(world.ledger.entries())
    decision = world.judge()
    with pytest.raises(ParameterError, match="never overwrites"):
        world.release(target, decision=decision)
    assert len(world.ledger.entries()) == before + 1, "only the decision was recorded"
    assert list(elsewhere.iterdir()) == []
    assert not (world.home / "nowhere").exists()


def test_a_target_that_appears_meanwhile_is_left_alone(world, monkeypatch):
    from dpsynth.release import export

    real = export.put_in_place

    def late(stage, target):
        target.mkdir()
        (target / "mine").write_text("mine")
        real(stage, target)

    monkeypatch.setattr(export, "put_in_place", late)
    with pytest.raises(ParameterError, match="appeared"):
        world.release(world.home / "bundle")
    assert [path.name for path in (world.home / "bundle").iterdir()] == ["mine"]


def test_missing_folder_is_named(world):
    with pytest.raises(ParameterError, match="folder for out does not exist"):
        world.release(world.home / "no" / "out")


def test_without_ship_nothing_is_written(tmp_path):
    world = make_world(tmp_path / "world")
    world.synthesize("draft-1")
    for documents in (world.documents, Documents(draft=None)):
        world.documents = documents
        with pytest.raises(GateRefused, match="The gate says regenerate"):
            world.release(world.home / "bundle")
    assert leftovers(world) == []
    assert releases(world) == []


def test_a_decision_of_ship_made_by_hand_is_not_enough(tmp_path):
    world = make_world(tmp_path / "world")
    world.synthesize("draft-1")
    world.attack(attack_report(verdict="fail"))
    world.evaluate()
    forged = replace(world.judge(), decision="ship")
    with pytest.raises(GateRefused, match="The gate says reject"):
        world.release(world.home / "bundle", decision=forged)
    assert leftovers(world) == []


def test_a_decision_that_the_ledger_does_not_hold_is_refused(world):
    unrecorded = gate(gather(world.documents, world.ledger, world.vault), world.policy)
    with pytest.raises(GateRefused, match="does not record this decision"):
        world.release(world.home / "bundle", decision=unrecorded)


def test_an_earlier_refusal_is_not_cured_by_evidence_that_came_later(tmp_path):
    world = make_world(tmp_path / "world")
    world.synthesize("draft-1")
    world.attack()
    early = world.judge()
    world.evaluate()
    with pytest.raises(GateRefused, match="The gate says regenerate"):
        world.release(world.home / "bundle", decision=early)


def test_evidence_that_changed_after_the_decision_is_refused(world):
    decision = world.judge()
    world.attack(attack_report(reason="run again"))
    with pytest.raises(GateRefused, match=r"does not record this decision|attempt 2"):
        world.release(world.home / "bundle", decision=decision)


def test_rows_exchanged_in_the_vault_are_refused(world):
    from dpsynth.release import encode_parquet

    decision = world.judge()
    for path in world.vault.drafts_dir.iterdir():
        path.unlink()
    table = synthetic_table()
    world.vault.seal("draft-1", encode_parquet(table.take(list(range(table.num_rows))[::-1])), {})
    with pytest.raises(SealError, match="not the ones that were judged"):
        world.release(world.home / "bundle", decision=decision)


def test_parquet_with_metadata_is_not_released(tmp_path):
    import io

    from dpsynth.release.formats import check_parquet

    buffer = io.BytesIO()
    pq.write_table(synthetic_table().replace_schema_metadata({"host": "laptop"}), buffer)
    with pytest.raises(SealError, match="metadata"):
        check_parquet(buffer.getvalue())
    with pytest.raises(SealError, match="not a Parquet"):
        check_parquet(b"rows")


def test_a_report_about_nothing_is_refused(world):
    with pytest.raises(VerificationError, match="does not quote the digests of draft and budget"):
        world.release(world.home / "bundle", report=lambda inputs: b"<p>all is well</p>")
    assert leftovers(world) == []


def test_a_revoked_key_cannot_release(world):
    world.release(world.home / "first")
    world.ledger.append("key.revoke", {"key_id": world.signer.key_id, "reason": "lost"})
    with pytest.raises(VerificationError, match="release_key"):
        world.release(world.home / "bundle")
    assert leftovers(world) == []
    world.signer = Signer.generate()
    assert world.release(world.home / "bundle").verification.ok


def test_two_releases_of_one_budget_both_verify(world):
    first = world.release(world.home / "first")
    world.synthesize("draft-2")
    world.attack()
    world.evaluate()
    second = world.release(world.home / "second.zip")
    for made in (first, second):
        assert verify(made.path, world.signer.public_bytes).ok
    assert first.release != second.release


def test_attempts_start_anew_after_a_release_and_only_then(world):
    world.synthesize("draft-2")
    assert gather(world.documents, world.ledger, world.vault).ledger.attempt == 2
    world.documents = Documents(draft=world.documents.draft)
    world.attack()
    world.attack()
    assert gather(world.documents, world.ledger, world.vault).ledger.attempt == 3


def test_slice_in_the_bundle_withholds_other_budgets(released):
    _, folder, _ = released
    text = (folder / "ledger.json").read_text()
    assert "salaries" not in text
    assert "affairs" in text
    assert sum("body" not in entry for entry in json.loads(text)["entries"]) == 3


def test_bundle_holds_no_confidential_figure(released):
    """Exact figures of the reports on private rows: none of them stands in any file but for canaries."""
    world, folder, _ = released
    assert (folder / VERIFIER).read_bytes() == verifier()  # the same in every bundle: it tells nothing of this one
    text = b"".join((folder / name).read_bytes() for name in set(MEMBERS) - {"data.parquet", VERIFIER}).decode()
    shown = json.loads((folder / "evidence.json").read_text())
    for row in world.documents.attack["report"]["attacks"]:
        view = next(v for v in shown["attacks"] if (v["limit_id"]) == row["limit_id"])
        assert ("estimate" in view) == (row["confidentiality"] == "canary_only")
    for figure in ("0.531", "4000", "2000", "n_targets", '"real"'):
        # As a number or a word of its own: digests and signatures are random, and one in a hundred spells "2000".
        assert not re.search(rf"(?<![\w.+/]){re.escape(figure)}(?![\w+/])", text), figure


def test_files_are_plain_and_not_executable(world):
    made = world.release(world.home / "bundle")
    for path in made.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert path.stat().st_nlink == 1


def test_readme_tells_how_to_check_and_what_key(released):
    world, folder, _ = released
    text = (folder / "README.txt").read_text()
    assert "dpsynth verify" in text
    assert world.signer.key_id in text
    assert all(name in text for name in MEMBERS)


def test_the_card_names_constraints_and_is_as_before_without(tmp_path):
    world = make_world(tmp_path / "world")
    world.synthesize("draft-1", constraints=("inequality(ill, admitted)",))
    world.attack()
    world.evaluate()
    made = world.release(tmp_path / "bundle")
    assert made.verification.ok
    card = (made.path / "card.yaml").read_text("utf-8")
    assert "inequality(ill, admitted)" in card and "constraints" in card
    assert "constraints" not in ready_world(tmp_path / "free").documents.draft


def test_the_card_names_the_public_prior_as_the_ledger_does(tmp_path):
    """A card that hides a prior, or names another one, is of no release."""
    named = "ab" * 32
    for at, (drafted, committed) in enumerate([(named, named), (None, named), (named, None)]):
        world = make_world(tmp_path / f"world{at}")
        facts = {} if committed is None else {"prior_sha256": committed}
        world.synthesize("draft-1", facts=facts, **({} if drafted is None else {"prior_sha256": drafted}))
        world.attack()
        world.evaluate()
        if drafted != committed:
            with pytest.raises(VerificationError, match="public prior"):
                world.release(tmp_path / f"bundle{at}")
            continue
        made = world.release(tmp_path / f"bundle{at}")
        assert made.verification.ok
        card = (made.path / "card.yaml").read_text("utf-8")
        assert "prior_sha256" in card and named in card
    assert "prior_sha256" not in ready_world(tmp_path / "free").documents.draft


def test_a_card_that_hides_the_language_model_of_the_ledger_is_of_no_release(tmp_path):
    world = make_world(tmp_path / "world")
    world.synthesize("draft-1", facts={"text_model_sha256": "ab" * 32})
    world.attack()
    world.evaluate()
    with pytest.raises(VerificationError, match="language model"):
        world.release(tmp_path / "bundle")


def test_the_card_names_synthetic_parents_as_the_ledger_does(tmp_path):
    """A card that hides its parents, or claims real rows that the commit does not, is of no release."""
    anchored = {"parents": ["ab" * 32], "real_anchor": True}
    alone = {"parents": ["ab" * 32], "real_anchor": False}
    for at, (drafted, committed) in enumerate([(anchored, anchored), (None, anchored), (anchored, alone)]):
        world = make_world(tmp_path / f"world{at}")
        said = {} if drafted is None else {"lineage": drafted}
        world.synthesize("draft-1", facts={"lineage": digest(committed)}, **said)
        world.attack()
        world.evaluate()
        if drafted != committed:
            with pytest.raises(VerificationError, match="synthetic parents"):
                world.release(tmp_path / f"bundle{at}")
            continue
        made = world.release(tmp_path / f"bundle{at}")
        assert made.verification.ok
        assert "and on real rows" in (made.path / "card.yaml").read_text("utf-8")
    assert "lineage" not in ready_world(tmp_path / "free").documents.draft


def test_progress_is_told_step_by_step_to_the_last(released, tmp_path):
    world, _, _ = released
    told = []
    world.release(tmp_path / "again", decision=world.judge(), progress=lambda *step: told.append(step))
    assert [step[:3] for step in told] == [("release", number, 5) for number in range(1, 6)]
    assert len({step[3] for step in told}) == 5
