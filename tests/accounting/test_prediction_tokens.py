"""Private prediction, run for real on small batches: its range is that of the relation and of how rows enter."""

import json
import math
from itertools import product

import numpy as np
import pytest

from accounting.crosscheck import price
from accounting.errors import EventError
from accounting.event import EventTree, Exponential, PredictionTokens
from accounting.filters import exact_rho
from accounting.ledger.containment import uncovered
from accounting.pld import compose
from accounting.relation import NeighboringRelation, PrivacyUnit

ADD, REPLACE, ZERO = NeighboringRelation.ADD_REMOVE, NeighboringRelation.REPLACE_ONE, NeighboringRelation.ZERO_OUT
CLIP, SIZE, HEAT, WORDS = 1.0, 4, 0.8, 3


def tokens(relation=ADD, **changes):
    fields = {"clip": "1", "batch_size": SIZE, "temperature": "0.8", "batch": "summed", "rows_per_unit": 1}
    return PredictionTokens(relation=relation, **{**fields, **changes})


def tree(*events, relation=ADD):
    return EventTree(relation=relation, unit=PrivacyUnit(), events=events)


def next_word(rows, batch, public):
    """Law of the next token, as the docstring describes it. `rows` in hash order; None is a blanked row."""
    kept = rows[:SIZE] if batch == "truncated" else rows
    if batch == "averaged":
        kept = [row for row in kept if row is not None]
    moved = [np.zeros(WORDS) if row is None else np.clip(row, -CLIP, CLIP) for row in kept]
    scores = public + np.sum(moved, axis=0) / (max(len(kept), 1) if batch == "averaged" else SIZE)
    weights = np.exp((scores - scores.max()) / HEAT)
    return weights / weights.sum()


def neighbours(relation, batch, rng):
    """Pairs of batches; logits far beyond the clip, so that its corners are met."""
    size = SIZE + int(rng.integers(relation is ZERO, 3)) if batch == "averaged" else SIZE
    rows = [rng.choice([-3.0, 3.0], WORDS) if rng.random() < 0.7 else rng.normal(size=WORDS) for _ in range(size)]
    other = list(rows)
    at = int(rng.integers(0, size))
    if relation is ADD:
        other.insert(at, rng.choice([-3.0, 3.0], WORDS))
        if batch == "averaged":
            return rows, other
        return (rows, other) if rng.random() < 0.5 else (other, rows)
    other[at] = None if relation is ZERO else rng.choice([-3.0, 3.0], WORDS)
    return rows, other


CASES = [(ADD, "summed", 2), (ADD, "truncated", 4), (ADD, "averaged", 4), (REPLACE, "summed", 4), (ZERO, "summed", 2)]
CASES += [(ZERO, "truncated", 2), (ZERO, "averaged", 4)]


@pytest.mark.parametrize(("relation", "batch", "factor"), CASES)
def test_no_pair_of_batches_exceeds_the_range_and_some_come_near(relation, batch, factor):
    event = tokens(relation, batch=batch)
    assert float(event.bounded_range) == pytest.approx(factor * CLIP / (SIZE * HEAT), rel=1e-12)
    rng = np.random.default_rng(7)
    widest = 0.0
    for _ in range(4000):
        one, other = neighbours(relation, batch, rng)
        public = rng.normal(size=WORDS)
        ratio = np.log(next_word(one, batch, public) / next_word(other, batch, public))
        widest = max(widest, float(np.ptp(ratio)))
    assert widest <= float(event.bounded_range) + 1e-12
    # Above half, so that no smaller multiple of two would hold. Means over more rows than s stay further below.
    assert widest > (0.75 if batch == "averaged" else 0.99) * float(event.bounded_range)


def test_the_trap_truncated_bins_break_the_constant_of_summed_ones():
    """Vectors T1 to T3 of the proofs: a row that displaces another is a substitution, four times the zCDP."""
    vector = {"clip": "1", "batch_size": 8, "temperature": "1"}
    summed, truncated, replaced = (
        tokens(**vector),
        tokens(**vector, batch="truncated"),
        tokens(REPLACE, **vector),
    )
    assert float(summed.bounded_range) == 0.25 and float(exact_rho(summed)) == pytest.approx(7.8125e-3)
    assert truncated.bounded_range == replaced.bounded_range == 2 * summed.bounded_range
    assert exact_rho(truncated) == 4 * exact_rho(summed)
    rng = np.random.default_rng(1)
    for _ in range(200):
        one, other = neighbours(ADD, "truncated", rng)
        ratio = np.log(next_word(one, "truncated", 0.0) / next_word(other, "truncated", 0.0))
        if np.ptp(ratio) > float(tokens().bounded_range) * 1.5:
            return
    pytest.fail("no truncated batch broke the summed constant: the trap is not tested")


@pytest.mark.parametrize("batch", ["truncated", "averaged"])
def test_a_replaced_row_may_touch_two_batches(batch):
    assert tokens(REPLACE, batch=batch).bounded_range == 2 * tokens(REPLACE).bounded_range


def test_two_tokens_where_the_second_depends_on_the_first_are_covered():
    event = tokens(count=2)
    profile = compose(tree(event), 1e-6).pld
    once = compose(tree(tokens()), 1e-6).pld
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(300):
        one, other = neighbours(ADD, "summed", rng)
        first, second = (rng.normal(scale=2, size=(1 + WORDS, WORDS)) for _ in range(2))

        def joint(rows, first=first, second=second):
            law = np.empty((WORDS, WORDS))
            start = next_word(rows, "summed", first[0])
            for word in range(WORDS):
                # Every row's own logits turn with the prefix: here by reordering, which keeps them in their box.
                turned = [np.roll(row, word) for row in rows]
                law[word] = start[word] * next_word(turned, "summed", second[1 + word])
            return law.ravel()

        p, q = joint(one), joint(other)
        for eps in (0.0, 0.2, 0.5, 0.8):
            delta = float(np.maximum(p - math.exp(eps) * q, 0.0).sum())
            assert delta <= profile.get_delta_for_epsilon(eps) + 1e-12
            broken += delta > once.get_delta_for_epsilon(eps)
    assert broken  # a count of one would be refuted


def test_tokens_cost_what_exponential_mechanisms_of_their_range_cost():
    """Vector T5: 100 tokens of range 1/4 at delta 1e-6 within the certified bracket [6.286, 6.298]."""
    event = tokens(batch_size=8, temperature="1", count=100)
    found = price(tree(event), "1e-6")
    assert found.all == price(tree(Exponential(bounded_range="0.25", count=100)), "1e-6").all
    assert 6.286428 <= float(found.epsilon) <= 6.297841


def test_rows_of_one_unit_add_up():
    assert tokens(rows_per_unit=3).bounded_range == 3 * tokens().bounded_range


def test_a_tree_of_another_relation_refuses_them():
    with pytest.raises(EventError, match="state the tree's own relation"):
        tree(tokens(REPLACE))
    body = json.loads(json.dumps(tree(tokens()).to_json()))
    body["relation"] = "zero_out"
    with pytest.raises(EventError, match="state the tree's own relation"):
        EventTree.from_json(body)


def test_what_ran_may_be_cheaper_than_the_plan_and_not_dearer():
    plan = [tokens(count=10).to_json()]
    for change in ({"clip": "0.5"}, {"batch_size": 9}, {"temperature": "1"}, {"count": 10}):
        assert uncovered([tokens(**change).to_json()], plan) is None
    dearer = ({"clip": "1.1"}, {"batch_size": 3}, {"temperature": "0.7"}, {"rows_per_unit": 2}, {"count": 11})
    for change, batch in product(dearer, ("summed",)):
        assert uncovered([tokens(batch=batch, **change).to_json()], plan) == 0
    assert uncovered([tokens(batch="truncated").to_json()], plan) == 0
    assert uncovered([tokens(ZERO).to_json()], plan) == 0
