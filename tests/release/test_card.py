"""The card's sections on evaluation, reasons and licence, its JSON Schema, and cards from before they existed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpsynth.core.errors import ParameterError
from dpsynth.release.card import Card, card_json_schema, read_card
from dpsynth.release.documents import digest, pretty
from dpsynth.release.evals import evals_of, reasons_of
from dpsynth.release.evidence import TextFacts
from dpsynth.release.verify import verify
from tests.release.bundle_cases_owner import forced
from tests.release.world import ready_world

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "card.schema.json"
NEW = ("evals", "reasons", "licence")


def test_the_schema_in_the_docs_is_the_one_of_the_code() -> None:
    """To renew it: write `pretty(card_json_schema())` to the file."""
    assert SCHEMA.read_bytes() == pretty(card_json_schema())


def test_the_schema_knows_every_field_and_no_other(released) -> None:
    schema = card_json_schema()
    card = yaml.safe_load((released[1] / "card.yaml").read_bytes())
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(card) <= set(schema["properties"])
    assert set(schema["properties"]) == {field.alias or name for name, field in Card.model_fields.items()}
    assert not set(NEW) & set(schema["required"])


def test_the_card_says_how_it_was_judged_in_words_that_are_published_anyway(released) -> None:
    world, folder, _ = released
    card = read_card((folder / "card.yaml").read_bytes())
    evidence, decision = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("evidence", "decision"))
    assert card.evals.model_dump(mode="json") == evals_of(evidence)
    assert {entry.result for entry in card.evals.real_holdout} <= {row["class"] for row in evidence["quality"]}
    assert card.evals.temporal_holdout == "not published"
    assert card.reasons == {rule["name"]: rule["reason"] for rule in decision["rules"]}
    assert card.licence == "not stated"
    figures = {str(metric["value"]) for metric in world.documents.quality["report"]["metrics"]}
    assert not any(figure in entry.result for figure in figures for entry in card.evals.real_holdout)


def test_diversity_and_contamination_have_headings_of_their_own() -> None:
    quality = [
        {"name": name, "group": "text", "class": "rough"} for name in ("text_js2", "text_self_bleu4", "text_coverage")
    ]
    quality.append({"name": "spread", "group": "diversity", "class": "rough"})
    attacks = [{"name": "contamination", "stratum": "all", "verdict": "pass", "estimate": 0.1}, {"name": "canary"}]
    found = evals_of({"quality": quality, "attacks": attacks})
    assert [row["name"] for row in found["diversity_metrics"]] == ["text_self_bleu4", "text_coverage", "spread"]
    assert found["contamination_scan"] == [{"name": "contamination", "group": "all", "result": "pass"}]
    assert [row["name"] for row in found["real_holdout"]] == ["text_js2"]
    assert evals_of({}) == {"real_holdout": [], "contamination_scan": [], "diversity_metrics": [],
                            "temporal_holdout": "not published", "published_figures": []}  # fmt: skip


def better(card: dict[str, Any]) -> None:
    card["evals"]["real_holdout"][0]["result"] = "better than real"


def untold(card: dict[str, Any]) -> None:
    card["evals"]["real_holdout"].pop()


def other_reason(card: dict[str, Any]) -> None:
    card["reasons"]["quality"] = "Everything is fine."


def without(card: dict[str, Any]) -> None:
    for name in NEW:
        del card[name]


@pytest.mark.parametrize("change", [better, untold, other_reason])
def test_a_card_that_flatters_is_of_no_release(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    report = verify(made(tmp_path, change), (tmp_path / "key").read_bytes())
    assert report.failure is not None and report.failure.code == "card_mismatch"


def test_a_card_from_before_these_fields_is_accepted(tmp_path: Path) -> None:
    bundle = made(tmp_path, without)
    assert verify(bundle, (tmp_path / "key").read_bytes()).ok
    raw = (bundle / "card.yaml").read_bytes()
    assert read_card(raw).encode() == raw, "and is written as it was"


def made(home: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A bundle whose owner changed the card before the release was recorded."""
    world = ready_world(home / "world")

    def tamper(members: dict[str, bytes]) -> None:
        card = yaml.safe_load(members["card.yaml"])
        change(card)
        members["card.yaml"] = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100).encode()

    signer = world.signer
    (home / "key").write_bytes(signer.public_bytes)
    return forced(world, home / "bundle", signer, refused=False, tamper=tamper)


def test_a_licence_stands_on_the_card_and_has_the_form_of_one(tmp_path: Path) -> None:
    world = ready_world(tmp_path)
    decision = world.judge()
    for wrong in ("", "see\nbelow", "<b>MIT</b>", "x" * 300, "CC-BY-4.0; rm"):
        with pytest.raises(ParameterError, match="SPDX"):
            world.release(tmp_path / "wrong", decision=decision, licence=wrong)
    assert not (tmp_path / "wrong").exists()
    for folder, licence in (("one", "CC-BY-4.0"), ("two", "MIT OR LicenseRef-Ours")):
        made = world.release(tmp_path / folder, decision=decision, licence=licence)
        assert made.verification.ok
        assert read_card((tmp_path / folder / "card.yaml").read_bytes()).licence == licence
        assert f"Licence: {licence}\n" in (tmp_path / folder / "README.txt").read_text("utf-8")
    assert verify(tmp_path / "one", world.signer.public_bytes).ok, "a second licence leaves the first bundle as it was"


def test_text_facts_without_settings_keep_their_digest() -> None:
    old = {"column": "note", "model": "tiny", "fingerprint": "ab" * 32, "filters": []}
    assert TextFacts.model_validate(old).model_dump(mode="json") == old
    new = {**old, "settings_sha256": digest({"prompt": "{text}"})}
    assert TextFacts.model_validate(new).model_dump(mode="json") == new


def test_reasons_are_those_of_the_decision_and_nothing_for_none() -> None:
    assert reasons_of({}) == {} and reasons_of({"rules": [{"name": "tails", "reason": "r"}]}) == {"tails": "r"}
