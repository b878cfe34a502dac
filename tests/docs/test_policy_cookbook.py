"""Each recipe of the cookbook loads, and does what the page says: the gate's answer with it and with the default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from accounting import DiscreteGaussian, EventTree, price
from dpsynth.core.errors import ReviewRefused
from dpsynth.release.policy import Policy, default_policy
from tests.docs.blocks import ROOT, blocks
from tests.release.world import TERMS, World, attack_report, make_world

PAGE = ROOT / "docs/how-to/policy-cookbook.md"
RECIPES = {block.asks["recipe"]: block for block in blocks(PAGE) if "recipe" in block.asks}


def applied(name: str) -> Policy:
    """The default policy with the fragment's keys in the place of its own."""
    body: dict[str, Any] = default_policy().model_dump(mode="json")
    for section, value in yaml.safe_load(RECIPES[name].text).items():
        body[section] = {**body[section], **value} if isinstance(value, dict) and section in body else value
    return Policy.model_validate(body)


def events(sigma: str, **changes: Any) -> EventTree:
    return EventTree(events=(DiscreteGaussian(sigma=sigma, l2_sensitivity="1", count=9, **changes),), **TERMS)


def make(world: World, **changes: Any) -> None:
    report = changes.pop("report", None)
    world.synthesize(f"draft-{world.ledger.head().seq}", **changes)
    world.attack(report)
    world.evaluate()


def plain(world: World) -> None:
    make(world)


def dearer_than_three(world: World) -> None:
    world.budget_id = world.ledger.create_budget(
        dataset="dear", commitment=world.vault.commit(b"dear"), epsilon="9", delta="1e-5", **TERMS
    )
    make(world, events=events("4.2"))


def from_an_internal_share(world: World) -> None:
    world.budget_id = world.ledger.create_budget(
        dataset="affairs", parent=world.budget_id, purpose="inside", recipient="internal", epsilon="2", delta="5e-6",
        **TERMS)  # fmt: skip
    make(world)


def second_try(world: World) -> None:
    """Both far within the limits: a second attempt is judged at a smaller level, also by the default."""
    report = attack_report()
    rows = tuple(row.model_copy(update={"ci_high": (3 * row.estimate + row.limit) / 4}) for row in report.attacks)
    make(world)
    make(world, report=report.model_copy(update={"attacks": rows}))


def canaries_only(world: World) -> None:
    report = attack_report()
    rows = tuple(row for row in report.attacks if row.name == "canary")
    make(world, report=report.model_copy(update={"attacks": rows, "not_applicable": ()}))


def seeded(world: World) -> None:
    make(world, events=events("40", noise="seeded"))


# recipe -> (what happens, the default's answer, the recipe's answer, the rules that answer so)
CASES: dict[str, tuple[Callable[[World], None], str, str, set[str]]] = {
    "first-public-release": (plain, "ship", "reject", {"epsilon_per_release"}),
    "partners-under-contract": (dearer_than_three, "reject", "ship", {"epsilon_per_release"}),
    "inside-the-house": (from_an_internal_share, "reject", "ship", {"recipient"}),
    "persons-never-rows": (plain, "ship", "reject", {"relation_and_unit"}),
    "a-smaller-delta": (plain, "ship", "reject", {"delta"}),
    "one-try": (second_try, "ship", "reject", {"attempts"}),
    "surer-attacks": (plain, "ship", "regenerate", {"attack_level"}),
    "canaries-alone": (canaries_only, "regenerate", "ship", {"attacks_required"}),
    "the-isolated-first": (plain, "ship", "regenerate", {"attack_limits", "attack_level"}),
    "good-or-not-at-all": (plain, "ship", "regenerate", {"quality"}),
    "two-people-must-look": (plain, "ship", "ship", set()),
    "teaching-with-seeded-noise": (seeded, "reject", "ship", {"noise_exact"}),
}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    happens, without, with_it, rules = CASES[name]
    told = {}
    for policy in (default_policy(), applied(name)):
        world = make_world(tmp_path / policy.digest()[:8], policy=policy)
        happens(world)
        told[policy.digest()] = world.judge()
    before, after = told.values()
    assert (before.decision, after.decision) == (without, with_it), str(after)
    refused = before if without != "ship" else after
    assert {rule.name for rule in refused.rules if not rule.passed} == rules


def test_what_two_people_must_look_at_stays_until_they_did(tmp_path: Path) -> None:
    world = make_world(tmp_path / "asks", policy=applied("two-people-must-look"))
    plain(world)
    assert world.judge().decision == "ship"
    with pytest.raises(ReviewRefused, match="2 reviewers have to approve"):
        world.release(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_page_says_what_its_drafts_cost() -> None:
    for sigma, cost in (("40", "0.29"), ("4.2", "3.35")):
        assert f"{float(price(events(sigma), '1e-6').epsilon):.2f}" == cost
        assert f"A draft at epsilon {cost}," in PAGE.read_text("utf-8")


def test_the_page_has_a_case_for_each_recipe_and_the_other_way_round() -> None:
    assert set(CASES) == set(RECIPES) and len(CASES) >= 8


def test_a_recipe_changes_the_digest_and_says_another_name() -> None:
    assert len({applied(name).digest() for name in RECIPES} | {default_policy().digest()}) == len(RECIPES) + 1
    assert all(applied(name).name != default_policy().name for name in RECIPES)
