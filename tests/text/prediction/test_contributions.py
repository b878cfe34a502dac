"""What one row adds to a score is an integer in its box, whatever it says; sums and draws keep their laws."""

from __future__ import annotations

import functools
import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.text.prediction.aggregators import AGGREGATORS
from dpsynth.text.prediction.aggregators.difference_clip import DifferenceClip, candidates
from dpsynth.text.prediction.aggregators.mean_clip import MeanClip
from dpsynth.text.prediction.aggregators.protocol import GRID, log_softmax, units_of
from dpsynth.text.prediction.copy_experts import CopyExperts
from dpsynth.text.prediction.drawing import Stream, draw
from dpsynth.text.prediction.sparse_vector import UNIT, SparseTest

V = 6
anything = st.floats(allow_nan=True, allow_infinity=True, width=32)
rows_of = st.lists(st.lists(anything, min_size=V, max_size=V), min_size=1, max_size=5)
clips = st.decimals("0.001", "400", places=3, allow_nan=False, allow_infinity=False)
PUBLIC = log_softmax(np.array([3.0, 1.0, 0.5, -2.0, -8.0, 0.1], dtype=np.float32))


def aggregators(clip):
    units = units_of(clip)
    return (
        DifferenceClip(units=units, batch_size=7, one_sided=False),
        DifferenceClip(units=units, batch_size=7, one_sided=True, ceiling=-2.0),
        MeanClip(units=units),
    )


def said(aggregator, rows):
    wide = np.array(rows, dtype=np.float32).astype(np.float64).reshape(-1, V)
    total = aggregator.public_part(PUBLIC) + (aggregator.contributions(wide, PUBLIC) if len(rows) else 0)
    return aggregator.final(total, PUBLIC)


def test_the_table_of_aggregators_is_the_folder():
    assert set(AGGREGATORS) == {DifferenceClip.name, MeanClip.name}


@settings(max_examples=150, deadline=None)
@given(rows=rows_of, clip=clips)
def test_a_row_that_comes_moves_the_score_within_its_box_exactly(rows, clip):
    """Range at most 2 C on the grid, in integers: also for logits that are infinite or no numbers."""
    for aggregator in aggregators(clip):
        moved = said(aggregator, rows) - said(aggregator, rows[1:])
        assert moved.dtype == np.int64
        assert Fraction(int(moved.max() - moved.min()), GRID) <= 2 * Fraction(clip)


@settings(max_examples=100, deadline=None)
@given(rows=rows_of, other=st.lists(anything, min_size=V, max_size=V), clip=clips)
def test_a_row_replaced_moves_the_score_by_twice_that(rows, other, clip):
    for aggregator in aggregators(clip):
        moved = said(aggregator, rows) - said(aggregator, [other, *rows[1:]])
        assert Fraction(int(moved.max() - moved.min()), GRID) <= 4 * Fraction(clip)


def test_the_box_is_reached():
    sure = np.array([[50.0, -50, 0, 0, 0, 0]])
    for aggregator in aggregators(Decimal("0.5"))[:1]:
        moved = aggregator.contributions(log_softmax(sure.astype(np.float32)), log_softmax(np.zeros(V, np.float32)))
        assert int(moved.max() - moved.min()) == 2 * units_of(Decimal("0.5"))


@settings(max_examples=60, deadline=None)
@given(rows=rows_of, clip=clips, seed=st.integers(0, 1000))
def test_the_sum_does_not_depend_on_the_order_or_on_blocks(rows, clip, seed):
    wide = np.array(rows, dtype=np.float32).astype(np.float64)
    mixed = wide[np.random.default_rng(seed).permutation(len(wide))]
    for aggregator in aggregators(clip):
        one = aggregator.contributions(wide, PUBLIC)
        assert np.array_equal(one, aggregator.contributions(mixed, PUBLIC))
        assert np.array_equal(one, sum(aggregator.contributions(row[None], PUBLIC) for row in wide))


@settings(max_examples=100, deadline=None)
@given(rows=rows_of)
def test_a_row_moves_the_distance_by_its_unit_at_most(rows):
    """1 / s with the zero vector for a blank row; a row that is no numbers is blank."""
    test = SparseTest(threshold=Decimal("0.7"), sigma=Decimal(1), batch_size=7)
    wide = log_softmax(np.array(rows, dtype=np.float32))

    def distance(some):
        return test.distance(test.contributions(some), PUBLIC)

    assert abs(distance(wide) - distance(wide[1:])) <= UNIT
    assert abs(distance(np.full((2, V), np.nan)) - distance(np.zeros((0, V)))) == 0


def test_copies_are_distributions_to_the_test():
    """A stretched copy is none, and was taken for blank: the test was paid for and asked of nothing."""
    test = SparseTest(threshold=Decimal("0.7"), sigma=Decimal(1), batch_size=8)
    agreeing, odd = np.zeros(19, dtype=np.int64), np.full(19, 4)
    distances = []
    for record in (agreeing, odd):
        group = CopyExperts(vocabulary=V, share=0.5).open([[record] * 8])
        total = sum(test.contributions(rows) for rows in group.rows(0, PUBLIC))
        distances.append(test.distance(total, PUBLIC) / (8 * UNIT))
    assert distances[0] < 0.8 < 1.5 < distances[1]


def test_the_test_draws_the_noise_of_its_event():
    """Threshold: mean deviation sigma s; query: above by 2 sigma s with probability e^-1 / 2."""
    test = SparseTest(threshold=Decimal("0.7"), sigma=Decimal("0.3"), batch_size=20)
    event, noise = test.event(NeighboringRelation.ADD_REMOVE, 1), unsafe_SeededNoise(3)
    middle = round(Decimal("0.7") * 20 * UNIT)
    off = np.mean([abs(test.noisy_threshold(noise) - middle) for _ in range(4000)]) / UNIT
    assert off == pytest.approx(float(event.threshold_scale), rel=0.08)
    bar = round(event.query_scale * UNIT)
    share = np.mean([test.above(0, bar, noise) for _ in range(4000)])
    assert share == pytest.approx(math.exp(-1) / 2, abs=0.033)


def test_a_public_null_would_move_the_distance_by_two():
    """The trap that the event names: a blank row that says the public law leaves it, and then 1 / s is not enough."""
    test = SparseTest(threshold=Decimal("0.7"), sigma=Decimal(1), batch_size=1)
    with np.errstate(divide="ignore"):
        far = np.log(np.array([[0, 0, 0, 0, 1.0, 0]]))
    moved = test.distance(test.contributions(far), PUBLIC) - test.distance(test.contributions(PUBLIC[None]), PUBLIC)
    assert moved > 1.9 * UNIT
    event = test.event(NeighboringRelation.ADD_REMOVE, 3)
    assert (event.sensitivity, event.threshold_scale, event.query_scale, event.count) == (1, 1, 2, 3)


@pytest.mark.parametrize(("threshold", "sigma"), [("0", "1"), ("2", "1"), ("0.5", "0"), ("0.5", "99999")])
def test_a_test_out_of_range_is_refused(threshold, sigma):
    with pytest.raises(ParameterError, match="threshold in"):
        SparseTest(threshold=Decimal(threshold), sigma=Decimal(sigma), batch_size=7)


def test_candidates_are_the_top_and_those_near_it():
    assert candidates(PUBLIC, 2, 0.0).tolist() == [0, 1]
    assert candidates(PUBLIC, 2, 0.6).tolist() == [0, 1, 2]
    assert candidates(PUBLIC, None, 0.0).tolist() == list(range(V))


SCORES, ALLOWED = np.array([0, 3 * GRID, GRID, 2 * GRID, -GRID, 900 * GRID]), np.arange(5)


@functools.cache
def drawn():
    """How often each token came in 40,000 draws."""
    noise = unsafe_SeededNoise(5)
    return np.bincount([draw(SCORES, ALLOWED, Fraction(1, 2 * GRID), noise) for _ in range(40_000)], minlength=5)


def chi_square(power):
    """p-value of the draws against softmax(power * score)."""
    counts = drawn()
    law = np.exp(power * SCORES[ALLOWED] / (2 * GRID))
    return stats.chisquare(counts, law / law.sum() * counts.sum()).pvalue


def test_tokens_follow_the_exponential_mechanism():
    assert chi_square(1.0) > 1e-6


def test_a_temperature_eight_per_cent_off_is_rejected():
    assert chi_square(1.08) < 1e-6
    assert chi_square(0.92) < 1e-6


def test_streams_are_apart_and_say_where_they_come_from():
    noise = unsafe_SeededNoise(1)
    one, other = Stream(noise), Stream(noise)
    first = one.uint64(3)
    assert one.kind == "seeded"
    assert not np.array_equal(first, other.uint64(3))
    again = unsafe_SeededNoise(1)
    Stream(again)
    kept = Stream(again)
    assert not np.array_equal(kept.uint64(3), first)


@settings(max_examples=40, deadline=None)
@given(
    records=st.lists(st.lists(st.integers(0, V - 1), max_size=8), min_size=1, max_size=4),
    last=st.none() | st.integers(0, V - 1),
)
def test_a_copy_expert_is_the_cache_of_its_own_record(records, last):
    """Against a loop over records that follows the formula."""
    experts = CopyExperts(vocabulary=V, share=0.3, bigrams=0.6, gain=2.0)
    group = experts.open([[np.array(record, dtype=np.int64) for record in records]])
    if last is not None:
        group.append(np.array([last]), np.array([True]))
    rows = [row for block in group.rows(0, PUBLIC) for row in block]
    wanted = []
    for record in filter(None, records):
        cache = 0.4 * np.bincount(record, minlength=V) / len(record)
        after = [b for a, b in itertools.pairwise(record) if a == last]
        if after:
            cache += 0.6 * np.bincount(after, minlength=V) / len(after)
        mixed = np.log(0.7 * np.exp(PUBLIC) + 0.3 * cache) - math.log(0.7) - PUBLIC
        wanted.append(PUBLIC + 2 * mixed)
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted, strict=True):
        assert row == pytest.approx(want, abs=1e-9)


def test_what_a_record_says_has_the_same_bits_whoever_is_beside_it():
    """Vector units take some numbers of an array at once and the rest alone: on this machine both say the same."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (70, 203)).astype(np.float32)
    alone = np.stack([log_softmax(row[None])[0] for row in logits])
    assert all(np.array_equal(log_softmax(logits[at:]), alone[at:]) for at in range(70))
    records = [rng.integers(0, 203, rng.integers(1, 40)) for _ in range(90)]

    def said(some):
        group = CopyExperts(vocabulary=203).open([some])
        group.append(np.array([7]), np.array([True]))
        return np.concatenate(list(group.rows(0, alone[0])))

    each = np.concatenate([said([record]) for record in records])
    order = rng.permutation(90)
    assert np.array_equal(said(records), each)
    assert np.array_equal(said([records[i] for i in order]), each[order])
    assert np.array_equal(said(records[3:]), each[3:])
