"""Bundles that a share of an amended budget paid for: every document shows the whole line, and none can hide it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from accounting.ledger import Signer
from accounting.ledger.slice import verify_slice
from dpsynth.cli.app import call
from dpsynth.release.card import read_card
from dpsynth.release.documents import digest, to_yaml
from dpsynth.release.export import gather
from dpsynth.release.family import budget_section, filter_words, is_plain
from dpsynth.release.policy import default_policy
from dpsynth.release.rules import load_rule
from dpsynth.release.verify import verify
from tests.release.bundle_cases_owner import forced, refresh, ship_anyway
from tests.release.bundle_tools import edit_ledger
from tests.release.world import EVENTS, TERMS, World, make_world

OLD = Path(__file__).with_name("bundle_f161650.zip")
OLD_KEY = bytes.fromhex("b2d8adf92f834f938e252545d4a3060c61972b19af8b8a547fc01e8168e20533")
REASON = "A second question was approved by the board."


def amended_world(home: Path, *, recipient: str = "public", filter_: str = "basic", **changes: Any) -> World:
    """A lineage raised from 3 to 4 by a second key, whose share paid for a draft that passes the gate."""
    world = make_world(home, **changes)
    second = Signer.generate()
    key = {"key_id": second.key_id, "public_key": second.public_bytes.hex(), "role": "budget"}
    world.ledger.append("key.add", key)
    if filter_ != "basic":
        world.budget_id = world.ledger.create_budget(
            dataset="survey", commitment=world.vault.commit(b"another survey"), epsilon="3", delta="1e-5",
            filter=filter_, **TERMS)  # fmt: skip
    whole = world.budget_id
    world.ledger.amend(whole, epsilon="4", delta="1e-5", reason=REASON, approver=second)
    world.budget_id = world.ledger.create_budget(
        dataset="affairs", parent=whole, purpose="the yearly report", recipient=recipient, epsilon="2", delta="5e-6",
        **TERMS)  # fmt: skip
    world.synthesize("draft-1")
    world.attack()
    world.evaluate()
    return world


@pytest.fixture(scope="module")
def amended(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    world = amended_world(tmp_path_factory.mktemp("amended"))
    return world, world.release(world.home / "bundle").path


def test_card_and_answer_show_line_filter_grants_and_each_amendment(amended) -> None:
    world, bundle = amended
    report = verify(bundle, world.signer.public_bytes)
    assert report.ok, str(report)
    for section in (read_card((bundle / "card.yaml").read_bytes()).budget, report.budget):
        whole, share = section["line"]
        assert section["amended"] and whole["original"]["epsilon"] == "3" and whole["epsilon"]["granted"] == "4"
        (change,) = whole["amendments"]
        approver = next(key.key_id for key in world.ledger.keys().values() if key.role == "budget")
        assert (change["reason"], change["key_id"], bool(change["time"])) == (REASON, approver, True)
        assert (share["purpose"], share["recipient"], share["amendments"]) == ("the yearly report", "public", [])
        assert whole["epsilon"]["spent"] == share["epsilon"]["spent"] != "0"
        assert "chosen before the outputs were seen" in section["odometer"]["caveat"]
    text = str(report)
    for words in (
        "AMENDED: granted first was epsilon 3",
        REASON,
        approver,
        "recipients public",
        "guarantee is the grant",
    ):
        assert words in text


def test_the_command_prints_the_amendment_and_the_rotation(tmp_path: Path, capsys) -> None:
    other = amended_world(tmp_path / "world")
    other.ledger.rotate(Signer.generate(), "the yearly\x1b[31m change")
    bundle = other.release(tmp_path / "bundle").path
    other.signer.save_public(tmp_path / "release.pub")
    assert call(["verify", str(bundle), "--key", str(tmp_path / "release.pub")]) == 0
    shown = capsys.readouterr()
    assert REASON in shown.out and "AMENDED" in shown.out
    assert shown.err.count("the ledger's key") == 1 and "handed over to" in shown.err
    assert "\x1b[31m" not in shown.out + shown.err
    assert call(["verify", str(bundle), "--key", str(tmp_path / "release.pub"), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["budget"]["line"][0]["amendments"][0]["reason"] == REASON
    assert len(body["privacy"]["deltas"]) == 3 and len(body["warnings"]) == 1


def _without(card: dict[str, Any], *path: Any, value: Any) -> None:
    for key in path[:-1]:
        card = card[key]
    card[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("budget", "line", 0, "amendments"), [], "budget_mismatch"),
        (("budget", "line", 0, "original", "epsilon"), "4", "budget_mismatch"),
        (("budget", "line", 0, "epsilon", "spent"), "0", "budget_mismatch"),
        (("budget", "line", 0, "amendments", 0, "reason"), "A slip of the pen.", "budget_mismatch"),
        (("budget", "line", 0, "amendments", 0, "key_id"), "00" * 16, "budget_mismatch"),
        (("budget", "line", 1, "recipient"), "any", "budget_mismatch"),
        (("budget", "odometer", "caveat"), "Spent so far is what it cost.", "budget_mismatch"),
        (("budget", "amended"), False, "budget_mismatch"),
        (("budget", "as_of"), 5, "budget_mismatch"),
        (("budget", "as_of"), True, "budget_mismatch"),
        (("budget", "line"), [], "budget_mismatch"),
        (("budget",), None, "budget_not_shown"),
        (("privacy", "rho"), "0.000001", "privacy_wrong"),
        (("privacy", "attacker", "tpr_at_most"), "0.01", "privacy_wrong"),
        (("privacy", "deltas", 0, "epsilon"), "0.01", "privacy_wrong"),
        (("privacy", "deltas", 0, "delta"), "0.5", "privacy_wrong"),
        (("privacy", "failure"), "0", "privacy_wrong"),
        (("privacy", "mu"), "nan", "privacy_wrong"),
        (("privacy", "attacker"), {}, "privacy_wrong"),
        (("privacy", "anonymous"), "yes", "privacy_wrong"),
        (("privacy", "deltas", 0, "epsilon"), 9, "privacy_wrong"),
        (("privacy",), None, "guarantee_mismatch"),
    ],
)
def test_an_owner_cannot_make_the_card_tell_less_than_the_ledger(tmp_path: Path, path, value, code) -> None:
    """The owner of every key forges the card, quotes the forged section in the report, and records that root."""
    world = amended_world(tmp_path / "world")

    def tamper(members: dict[str, bytes]) -> None:
        card = read_card(members["card.yaml"]).model_dump(mode="json", by_alias=True)
        _without(card, *path, value=value)
        card = {key: part for key, part in card.items() if part is not None}
        members["card.yaml"] = to_yaml(card)
        members["report.html"] += digest(card.get("budget")).encode()

    bundle = forced(world, tmp_path / "bundle", world.signer, refused=False, tamper=tamper)
    failure = verify(bundle, world.signer.public_bytes).failure
    assert failure is not None and failure.code == code, failure


def test_a_report_of_the_budget_before_its_amendment_is_refused(tmp_path: Path) -> None:
    world = amended_world(tmp_path / "world")

    def tamper(members: dict[str, bytes]) -> None:
        quoted = digest(read_card(members["card.yaml"]).budget).encode()
        members["report.html"] = members["report.html"].replace(quoted, b"00" * 32)

    bundle = forced(world, tmp_path / "bundle", world.signer, refused=False, tamper=tamper)
    failure = verify(bundle, world.signer.public_bytes).failure
    assert failure is not None and (failure.name, failure.code) == ("budget", "budget_mismatch")


def test_an_amendment_between_card_and_release_is_refused(tmp_path: Path) -> None:
    """The card is written first, then the grant is raised, then the release is recorded."""
    world = amended_world(tmp_path / "world")
    second = Signer.generate()

    def amend_now(members: dict[str, bytes]) -> None:
        del members
        key = {"key_id": second.key_id, "public_key": second.public_bytes.hex(), "role": "budget"}
        world.ledger.append("key.add", key)
        root = world.ledger.budget(world.budget_id).root
        world.ledger.amend(root, epsilon="9", delta="1e-5", reason="more", approver=second)

    bundle = forced(world, tmp_path / "bundle", world.signer, refused=False, tamper=amend_now)
    failure = verify(bundle, world.signer.public_bytes).failure
    assert failure is not None and failure.reason.startswith("A grant was amended between the card and the release")


def test_a_slice_that_withholds_the_amendment_is_refused(amended, tmp_path: Path) -> None:
    world, bundle = amended
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    withheld = {entry.seq: entry.withheld()._asdict() for entry in world.ledger.entries()}

    def change(entries: list[Any]) -> list[Any]:
        return [withheld[e["seq"]] if e.get("body", {}).get("kind") == "budget.amend" else e for e in entries]

    assert verify(edit_ledger(world, copy, change), world.signer.public_bytes).failure.name == "ledger"


def test_what_happened_after_the_release_is_in_the_answer_and_leaves_the_card_valid(tmp_path: Path) -> None:
    world = amended_world(tmp_path / "world")
    bundle = world.release(tmp_path / "bundle").path
    second = Signer.generate()
    key = {"key_id": second.key_id, "public_key": second.public_bytes.hex(), "role": "budget"}
    world.ledger.append("key.add", key)
    root = world.ledger.budget(world.budget_id).root
    world.ledger.amend(root, epsilon="9", delta="1e-5", reason="a later wish", approver=second)
    world.synthesize("draft-2", delta="1e-7")
    report = verify(refresh(world, bundle), world.signer.public_bytes)
    assert report.ok, str(report)
    card = read_card((bundle / "card.yaml").read_bytes()).budget
    assert len(card["line"][0]["amendments"]) == 1
    assert [change["reason"] for change in report.budget["line"][0]["amendments"]] == [REASON, "a later wish"]
    assert float(report.budget["line"][0]["epsilon"]["spent"]) > float(card["line"][0]["epsilon"]["spent"])


def test_a_share_is_judged_by_the_whole(tmp_path: Path) -> None:
    """The share grants 2, the policy allows 10, the whole grants 50: nothing leaves."""
    world = amended_world(tmp_path / "world")
    second = Signer.generate()
    key = {"key_id": second.key_id, "public_key": second.public_bytes.hex(), "role": "budget"}
    world.ledger.append("key.add", key)
    root = world.ledger.budget(world.budget_id).root
    total = load_rule("epsilon_total")
    assert total.check(gather(world.documents, world.ledger, world.vault), default_policy()).value == "4"
    world.ledger.amend(root, epsilon="50", delta="1e-5", reason="more", approver=second)
    found = total.check(gather(world.documents, world.ledger, world.vault), default_policy())
    assert (found.passed, found.value) == (False, "50")
    assert world.judge().decision == "reject"


def test_a_new_share_of_the_same_data_is_no_new_first_attempt(tmp_path: Path) -> None:
    world = amended_world(tmp_path / "world")
    root = world.ledger.budget(world.budget_id).root
    world.budget_id = world.ledger.create_budget(
        dataset="affairs", parent=root, purpose="another try", recipient="public", epsilon="1", delta="2e-6", **TERMS
    )
    world.synthesize("draft-2")
    assert gather(world.documents, world.ledger, world.vault).ledger.attempt == 2


def test_a_draft_from_an_internal_share_is_not_released_by_a_public_policy(tmp_path: Path) -> None:
    world = amended_world(tmp_path / "public", recipient="internal")
    decision = world.judge()
    assert decision.decision == "reject" and [f.name for f in decision.failed] == ["recipient"]
    inside = default_policy().model_copy(update={"recipient": "internal"})
    allowed = amended_world(tmp_path / "internal", recipient="internal", policy=inside)
    assert verify(allowed.release(tmp_path / "bundle").path, allowed.signer.public_bytes).ok


def test_an_owner_who_ships_an_internal_share_to_the_public_is_refused_by_the_receiver(tmp_path: Path) -> None:
    world = amended_world(tmp_path / "world", recipient="internal")
    bundle = forced(world, tmp_path / "bundle", world.signer, change=ship_anyway)
    failure = verify(bundle, world.signer.public_bytes).failure
    assert failure is not None and failure.code == "policy_recipient"


def test_under_a_filter_the_total_is_what_the_filter_proves(tmp_path: Path) -> None:
    world = amended_world(tmp_path / "world", filter_="zcdp")
    world.ledger.reserve(world.budget_id, EVENTS, delta="1e-6", run_id="run-2", purpose="a second run, still open")
    facts = gather(world.documents, world.ledger, world.vault).ledger
    root = world.ledger.balance(world.ledger.budget(world.budget_id).root)
    proved = root.composition.epsilon(root.loss.spent + root.loss.reserved)
    assert facts.charged_epsilon == proved < 2 * facts.guarantee.epsilon  # two runs: rho adds up, epsilons do not
    report = verify(world.release(tmp_path / "bundle").path, world.signer.public_bytes)
    assert report.ok, str(report)
    assert report.budget["line"][0]["loss"]["currency"] == "rho" and "rho adds up (zcdp)" in str(report)


def test_bundles_of_the_first_build_still_verify_and_show_their_budget() -> None:
    """Written by commit f161650: a card without profile and budget, a decision without the recipient rule."""
    report = verify(OLD, OLD_KEY)
    assert report.ok, str(report)
    assert report.privacy is None and "at most 1.34 %" in str(report)
    assert report.budget["amended"] is False and len(report.budget["line"]) == 1


def test_sections_do_not_depend_on_what_else_was_recorded(amended) -> None:
    world, _ = amended
    read = lambda: verify_slice(world.ledger.slice(world.budget_id), ledger_key=world.ledger_signer.public_bytes)  # noqa: E731
    before = budget_section(read(), world.budget_id)
    key = Signer.generate()
    world.ledger.append("key.add", {"key_id": key.key_id, "public_key": key.public_bytes.hex(), "role": "review"})
    assert budget_section(read(), world.budget_id) == before


def test_an_old_card_says_all_of_one_budget_as_it_was_granted_and_of_no_other() -> None:
    plain: dict[str, Any] = {"line": [{"filter": "basic"}], "amended": False}
    assert is_plain(plain)
    assert not is_plain({**plain, "amended": True})
    assert not is_plain({**plain, "line": [{"filter": "zcdp"}]})
    assert not is_plain({**plain, "line": [{"filter": "basic"}, {"filter": "basic"}]})


def test_a_filter_is_named_by_what_adds_up() -> None:
    assert filter_words("basic") == "epsilons and deltas add up (basic)"
    assert filter_words({"name": "zcdp", "conversion_delta": "1e-6"}) == "rho adds up (zcdp), converted at delta 1e-6"
    words = filter_words({"name": "rdp", "order": "8", "conversion_delta": "1e-6"})
    assert words == "the divergence of order 8 adds up (rdp), converted at delta 1e-6"
