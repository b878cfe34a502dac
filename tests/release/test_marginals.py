"""Bought quality in a bundle: shown as the ledger holds it, with its price; malformed or changed it is refused."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from accounting import DiscreteLaplace, EventTree, NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import VerificationError
from dpsynth.release.card import read_card
from dpsynth.release.documents import Refusal
from dpsynth.release.export import gather
from dpsynth.release.figures import PURPOSE, facts_of, figure_of, notes
from dpsynth.release.marginals import MarginalsFigure
from dpsynth.release.public_view import public_evidence
from dpsynth.release.verify import verify
from tests.release.figure_world import buy as buy_copies
from tests.release.world import TERMS, ready_world

TOLD = {
    "marginals": [["age"], ["children"], ["age", "children"]], "sizes": [4, 3, 4], "unseen": [2, 1],
    "released": [150, 150, 0, 0, 300, 0, 0, 150, 150, 0, 0],
    "counts": [2010, 1985, 4, -7, 3991, 12, 2, 2001, 1990, 3, 1],
}  # fmt: skip


@pytest.fixture
def world(tmp_path):
    return ready_world(tmp_path)


def buy(world, *, event=None, terms=TERMS, **changes):
    event = event or DiscreteLaplace(scale="30", l1_sensitivity="3")
    plan = EventTree(events=(event,), **terms)
    run = world.ledger.reserve(world.budget_id, plan, delta="1e-15", run_id="figure", purpose=PURPOSE,
                               policy_digest=world.policy.digest())  # fmt: skip
    world.ledger.check_token(run.id, run.token)
    body = {"statistic": "marginals", "version": "1", "draft": world.draft.draft,
            "draft_digest": world.draft.draft_digest, **TOLD, **changes}  # fmt: skip
    return world.ledger.commit(run.id, plan, facts=facts_of(body))


def test_bought_quality_stands_in_evidence_card_and_ledger_and_verify_adds_its_price_to_the_total(world):
    commit = buy(world)
    world.release(world.home / "bundle")
    report = verify(world.home / "bundle", world.signer.public_bytes)
    assert report.ok, str(report)
    (shown,) = json.loads((world.home / "bundle" / "evidence.json").read_text())["figures"]
    assert shown["commit"] == commit.hash and shown["counts"] == TOLD["counts"] and shown["epsilon"] == "0.1"
    assert shown["quality"] == figure_of(commit).shown() and len(shown["each"]) == 3
    (note,) = [note for note in report.warnings if "1 noisy table of how near the fitted rows are" in note]
    total = world.draft.claimed.epsilon + figure_of(commit).epsilon
    assert f"rows and figures together cost epsilon {format(total.normalize(), 'f')}" in note
    card = read_card((world.home / "bundle" / "card.yaml").read_bytes())
    assert note in card.limits
    low, high = (shown["quality"]["columns"][name] for name in ("ci_low", "ci_high"))
    assert card.evals.published_figures[0].result == f"{low} to {high}, epsilon 0.1"


@pytest.mark.parametrize("changed", ["counts", "released", "epsilon", "quality"])
def test_a_figure_that_was_changed_after_it_was_bought_is_refused(world, changed, monkeypatch):
    """By the owner of all keys: evidence.json signed anew says another figure than the ledger sold."""
    buy(world)
    original = MarginalsFigure.to_json

    def nicer(figure):
        body = original(figure)
        other = {"counts": [2000] * 11, "released": [1] * 11, "epsilon": "0.01", "quality": {}}[changed]
        return body | {changed: other}

    with monkeypatch.context() as patched:
        patched.setattr(MarginalsFigure, "to_json", nicer)
        world.release(world.home / "bundle")
    report = verify(world.home / "bundle", world.signer.public_bytes)
    assert not report.ok and report.failure.code == "figures_mismatch"


def test_quality_that_was_bought_counts_towards_the_limit_of_the_release(world):
    buy(world, event=DiscreteLaplace(scale="1.2", l1_sensitivity="3"))
    found = next(rule for rule in world.judge().rules if rule.name == "epsilon_per_release")
    assert float(found.value) > 2.7 and found.passed == (float(found.value) <= 3.0)


def test_it_says_nothing_of_copies_and_both_kinds_stand_side_by_side(world):
    buy(world)
    rule = next(rule for rule in world.judge().rules if rule.name == "published_figures")
    assert rule.passed and rule.value is None
    buy_copies(world)
    evidence = gather(world.documents, world.ledger, world.vault)
    (note,) = notes(world.draft.claimed.epsilon, evidence.ledger.figures)
    assert "1 noisy histogram of people and 1 noisy table of how near" in note
    assert [row["statistic"] for row in public_evidence(evidence)["figures"]] == ["marginals", "copies"]


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": [1]},
        {"sizes": [4, 3, 3]},
        {"unseen": [2]},
        {"unseen": [2, 9]},
        {"released": [150, 150, 0, 0, 299, 0, 0, 150, 150, 0, 0]},
        {"marginals": [["age", "children"], ["age"], ["children"]]},
        {"marginals": [["age"], ["children"], ["age", "children", "sex"]]},
        {"exact_counts": "9"},
        {"statistic": "means"},
        {"statistic": ["marginals"]},
    ],
)
def test_facts_that_make_no_figure_are_refused(world, changes):
    with pytest.raises(Refusal, match="not one that this version can check"):
        figure_of(buy(world, **changes))
    assert gather(world.documents, world.ledger, world.vault).ledger is None  # and the gate does not ship


def test_noise_for_fewer_rows_or_marginals_than_move_is_refused(world):
    with pytest.raises(Refusal, match="not one that this version"):
        figure_of(buy(world, event=DiscreteLaplace(scale="30", l1_sensitivity="2")))  # three marginals
    with pytest.raises(Refusal, match="not one that this version"):
        figure_of(buy(world, event=DiscreteLaplace(scale="30", l1_sensitivity="3", noise="seeded")))


class Entry:
    """A commit in other terms than the world's budget."""

    def __init__(self, entry, **terms):
        tree = EventTree(events=(DiscreteLaplace(scale="100", l1_sensitivity=terms.pop("l1")),), **terms)
        guarantee = {**entry.body["guarantee"], "relation": tree.relation.value, "unit": tree.unit.to_json()}
        self.body, self.hash = {**entry.body, "events": tree.to_json(), "guarantee": guarantee}, entry.hash


@pytest.mark.parametrize(
    ("relation", "unit", "moves"),
    [
        (NeighboringRelation.REPLACE_ONE, PrivacyUnit(), 6),
        (NeighboringRelation.ADD_REMOVE, PrivacyUnit(kind="user", column="who", max_records=4), 12),
        (NeighboringRelation.REPLACE_ONE, PrivacyUnit(kind="user", column="who", max_records=4), 24),
    ],
)
def test_the_sensitivity_that_is_asked_for_is_that_of_relation_and_unit(world, relation, unit, moves):
    entry = buy(world)
    assert figure_of(Entry(entry, relation=relation, unit=unit, l1=str(moves)))
    with pytest.raises(Refusal):
        figure_of(Entry(entry, relation=relation, unit=unit, l1=str(moves - 1)))


def test_a_figure_about_other_rows_under_the_name_of_this_draft_is_refused_by_whoever_verifies(world):
    buy(world, draft_digest="ab" * 32)
    with pytest.raises(VerificationError) as refused:
        world.release(world.home / "bundle")
    assert "other_draft" in str(refused.value) or "about other rows" in str(refused.value)
    assert not (world.home / "bundle").exists()


def test_shares_and_distances_are_of_the_cells_that_they_name():
    """By hand from the counts: a column's cells begin where those of the columns before it end."""
    told = {"statistic": "marginals", "version": "1", "draft": "draft-1", "draft_digest": "00" * 32, **TOLD,
            "scale": "0.01", "epsilon": "1", "commit": "00" * 32}  # fmt: skip
    made = MarginalsFigure.model_validate(told)
    tables, at = [], 0
    for size in TOLD["sizes"]:
        tables.append((TOLD["counts"][at : at + size], TOLD["released"][at : at + size]))
        at += size
    unseen = [max(table[cell], 0) / sum(table) for (table, _), cell in zip(tables, TOLD["unseen"], strict=False)]
    apart = [sum(abs(n / sum(real) - m / sum(drawn)) for n, m in zip(real, drawn, strict=True)) / 2
             for real, drawn in tables]  # fmt: skip
    shown = made.shown()
    assert shown["unseen"]["noisy"] == pytest.approx(sum(unseen) / 2, abs=2e-3)
    assert shown["columns"]["noisy"] == pytest.approx(sum(apart[:2]) / 2, abs=2e-3)
    assert shown["pairs"]["noisy"] == pytest.approx(apart[2], abs=2e-3)
    assert [one["columns"] for one in made.each()] == TOLD["marginals"]
    assert [one["noisy"] for one in made.each()] == pytest.approx(apart, abs=2e-3)
    for one in (*shown.values(), *made.each()):
        assert one["ci_low"] <= one["noisy"] + 1e-6 and one["ci_low"] <= one["ci_high"]
    first = {"marginals": 2, "sizes": 2, "counts": 7, "released": 7}
    alone = MarginalsFigure.model_validate(told | {name: TOLD[name][:many] for name, many in first.items()})
    assert set(alone.shown()) == {"columns", "unseen"}


@pytest.mark.parametrize(
    "changes",
    [{"sizes": [4, 3]}, {"unseen": [2]}, {"unseen": [4, 1]}, {"unseen": [2, -1]}, {"sizes": [4, 0, 7]},
     {"marginals": [["age"], ["children"], ["age"]]}, {"marginals": [["age", "x"], ["children"], ["age", "children"]]},
     {"counts": TOLD["counts"][:-1]}, {"released": TOLD["released"][:-1]},
     {"counts": [*TOLD["counts"][:-1], 2**53 + 1]}, {"counts": [*TOLD["counts"][:-1], -(2**53) - 1]},
     {"released": [150, 150, 0, 0, 301, 0, 0, 150, 150, 0, 0]},
     {"released": [301, -1, 0, 0, 300, 0, 0, 150, 150, 0, 0]}, {"marginals": [["age", "children"]], "sizes": [11],
      "unseen": []}, {"scale": "0"}, {"scale": "1000000001"}, {"epsilon": "0"}]
)  # fmt: skip
def test_counts_that_are_those_of_no_table_are_no_figure(changes):
    told = {"statistic": "marginals", "version": "1", "draft": "draft-1", "draft_digest": "00" * 32, **TOLD,
            "scale": "30", "epsilon": "1", "commit": "00" * 32}  # fmt: skip
    MarginalsFigure.model_validate(told)
    with pytest.raises(ValidationError):
        MarginalsFigure.model_validate(told | changes)
