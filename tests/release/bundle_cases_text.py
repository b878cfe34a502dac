"""Bad bundles with a column of text, by whoever owns every key; see `bundle_cases`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attacks.report import AttackReport, AttackResult
from dpsynth.release.policy import Policy, default_policy
from tests.release.bundle_cases_owner import forced, ship_anyway
from tests.release.bundle_tools import case
from tests.release.world import World, attack_report, make_world

MODEL = "ab" * 32
FACTS = {"column": "note", "model": "tiny", "fingerprint": MODEL}
OWNERS = {"near_duplicate": "text_near_duplicate", "verbatim": "text_verbatim", "ngram": "text_ngram",
          "overlap": "text_overlap", "embedding": "text_embedding"}  # fmt: skip


def text_rows(*, lax: float = 1.0) -> list[AttackResult]:
    """A row well within each text limit of the default policy."""
    policy, plain = default_policy(), attack_report().attacks[0]
    rows = []
    for limit_id, limit in policy.text.limits.items() if policy.text is not None else ():
        attack, at = OWNERS.get(limit_id.split(".")[1]), float(limit)
        if attack is not None:
            rows.append(plain.model_copy(update={"name": attack, "limit_id": limit_id, "limit": at * lax,
                                                 "estimate": at / 4, "ci_low": 0.0, "ci_high": at / 2}))  # fmt: skip
    return rows


def with_rows(more: Sequence[AttackResult]) -> AttackReport:
    report = attack_report()
    return report.model_copy(update={"attacks": (*report.attacks, *more)})


def shipped(world: World, folder: Path, *, text: Any, report: AttackReport, policy: Policy | None = None,
            refused: bool = True) -> Path:  # fmt: skip
    """A draft whose commit names a language model, shipped whatever the gate says."""
    other = make_world(folder.parent / "text", policy=policy)
    said = {} if text is None else {"text": text}
    other.synthesize("draft-1", facts={"text_model_sha256": MODEL}, **said)
    other.attack(report)
    other.evaluate()
    return forced(other, folder, world.signer, change=ship_anyway, refused=refused)


@case("owner", "policy", "attack_missing")
def text_that_was_attacked_as_a_table_alone(world: World, folder: Path) -> Path:
    return shipped(world, folder, text=FACTS, report=attack_report())


@case("owner", "policy", "attack_missing")
def text_under_a_policy_without_text_limits(world: World, folder: Path) -> Path:
    silent = default_policy().model_copy(update={"text": None})
    return shipped(world, folder, text=FACTS, report=with_rows(text_rows()), policy=silent)


@case("owner", "policy", "attack_missing")
def text_attack_left_out(world: World, folder: Path) -> Path:
    rows = [row for row in text_rows() if row.name != "text_near_duplicate"]
    return shipped(world, folder, text=FACTS, report=with_rows(rows))


@case("owner", "policy", "attack_not_passed")
def text_attacks_held_to_laxer_limits(world: World, folder: Path) -> Path:
    return shipped(world, folder, text=FACTS, report=with_rows(text_rows(lax=2.0)))


@case("owner", "draft", "card_mismatch")
def card_that_hides_its_text(world: World, folder: Path) -> Path:
    """As a table it passes every attack that a table is asked for."""
    return shipped(world, folder, text=None, report=attack_report(), refused=False)


@case("owner", "draft", "card_mismatch")
def card_of_another_language_model(world: World, folder: Path) -> Path:
    other = FACTS | {"fingerprint": "cd" * 32}
    return shipped(world, folder, text=other, report=with_rows(text_rows()))


@case("owner", "draft", "card_mismatch")
def card_whose_text_is_in_no_column(world: World, folder: Path) -> Path:
    other = FACTS | {"column": "elsewhere"}
    return shipped(world, folder, text=other, report=with_rows(text_rows()))
