"""AIM: the inherited checks, and what choosing on the way adds: a filter that holds, scores that move by k."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

import dpsynth.mechanisms.discrete_gaussian as gaussian_module
import dpsynth.mechanisms.exponential as exponential_module
import dpsynth.tabular.aim as aim_module
from accounting.errors import FilterExhaustedError
from accounting.event import Exponential, ZCDPFilter
from accounting.filters import exact_rho
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.exponential import exponential
from dpsynth.schema.derive import derive
from dpsynth.tabular import generator
from dpsynth.tabular.aim import AIM
from dpsynth.tabular.aim_budget import AdaptiveBudget
from dpsynth.tabular.records.compiling import STAGE
from tests.conformance.generator import GeneratorConformance
from tests.conformance.tables import USER, mixed_table, schema
from tests.tabular.test_gibbs import distance, pair_table
from tests.tabular.test_mst import CHAIN, chain


class TestAIM(GeneratorConformance):
    fits, seen = 100, 100  # a fit takes steps one by one

    def make(self):
        return AIM()


def fitted(table: Table, *, of=CHAIN, epsilon: str = "2", seed: int = 1, unit: PrivacyUnit | None = None):
    plan = AIM().plan(of, unit or PrivacyUnit(), epsilon=epsilon, delta="1e-6")
    noise = unsafe_SeededNoise(seed)
    domains, spent = derive(table, of, plan.settings.derive, noise=noise)
    return plan, AIM().fit(table, of, domains, plan, noise=noise, spent=spent)


def drawn_steps(monkeypatch, table, **options):
    """The plan, and every draw of a fit as the mechanisms themselves saw it, 1-ways left out."""
    sigmas, ranges = [], []
    real_draw = gaussian_module.sample_discrete_gaussian

    def draw(n, *, sigma, noise):
        sigmas.append(Decimal(sigma))
        return real_draw(n, sigma=sigma, noise=noise)

    def choose(**parameters):
        event = Exponential(**parameters)
        ranges.append(event.bounded_range)
        return event

    monkeypatch.setattr(gaussian_module, "sample_discrete_gaussian", draw)
    monkeypatch.setattr(exponential_module, "Exponential", choose)
    plan, _ = fitted(table, **options)
    monkeypatch.undo()
    fixed = sum(not isinstance(event, ZCDPFilter) for event in plan.tree.events)
    return plan, sigmas[fixed:], ranges


@pytest.mark.parametrize("records", [1, 3])
@pytest.mark.parametrize("rows", [3, 6000])
def test_what_is_drawn_never_adds_up_to_more_than_the_filter_and_to_hardly_less(monkeypatch, rows, records):
    """Independent of the filter's own sum: sigmas and ranges as they reach the samplers."""
    unit = PrivacyUnit(kind="user", column="person", max_records=records) if records > 1 else PrivacyUnit()
    for seed in range(3):
        plan, sigmas, ranges = drawn_steps(monkeypatch, chain(rows, seed), seed=seed, unit=unit)
        spent = sum(Fraction(records) ** 2 / (2 * Fraction(sigma) ** 2) for sigma in sigmas)
        spent += sum(Fraction(eta) ** 2 / 8 for eta in ranges)
        assert 0.99 * Fraction(plan.settings.adaptive) < spent <= Fraction(plan.settings.adaptive)
        assert len(sigmas) == len(ranges) > 2


def test_the_course_depends_on_the_answers_and_the_price_does_not(monkeypatch):
    courses = {tuple(drawn_steps(monkeypatch, chain(3000), seed=seed)[1]) for seed in range(4)}
    assert len(courses) > 1
    assert len({fitted(chain(300), seed=seed)[1].events.digest() for seed in range(2)}) == 1


@pytest.mark.parametrize("records", [1, 3])
def test_scores_of_neighbouring_tables_spread_by_at_most_the_range_that_is_stated(monkeypatch, records):
    """The exact scores of every step, as they reach the mechanism, for tables that differ by one unit.

    The first step of a fit is compared: both fits hear the same answers up to it, and so expect the same tables.
    """
    of = schema(
        **{name: {"kind": "categorical", "values": [0, 1, 2, 3]} for name in "abcd"},
        e={"kind": "categorical", "values": [0, 1, 2, 3], "role": "target"},
    )
    unit = PrivacyUnit(kind="user", column="person", max_records=records) if records > 1 else PrivacyUnit()
    plan = AIM().plan(of, unit, epsilon="2", delta="1e-6")
    domains, _ = derive(chain(5), of, None, noise=unsafe_SeededNoise(1))
    released = aim_module.measure_columns(
        chain(2000),
        of,
        domains,
        plan,
        "aim",
        codes=24,
        noise=unsafe_SeededNoise(1),
        progress=aim_module.silent,
        spent=(),
    )
    monkeypatch.setattr(aim_module, "measure_columns", lambda *_, **__: released)
    seen = []

    class Stop(Exception):
        pass

    def spy(scores, **options):
        seen.append((np.array([int(score) for score in scores]), options["score_range"]))
        raise Stop

    monkeypatch.setattr(aim_module, "exponential", spy)
    spreads = []
    for extra in range(30):
        rng = np.random.default_rng(extra)
        rows = chain(2000, extra)
        added = Table.from_arrow(pa.table({name: [int(rng.integers(4))] * records for name in "abcde"}))
        for table in (rows, rows.concat(added)):
            with pytest.raises(Stop):
                AIM().fit(table, of, domains, plan, noise=unsafe_SeededNoise(1))
        (before, stated), (after, _) = seen[-2:]
        spreads.append(float(np.ptp(after - before)) / stated)
    assert stated == 2 * records * aim_module.TARGET_WORTH
    assert 0.5 < max(spreads) <= 1


def test_noise_of_the_steps_grows_with_the_rows_of_a_unit(monkeypatch):
    plans = [fitted(mixed_table(50), of=CHAIN_OF_ONE, unit=unit)[0] for unit in (PrivacyUnit(), USER)]
    first = [
        AdaptiveBudget(
            ZCDPFilter(rho=plan.settings.adaptive), steps=80, batch=1, max_records=plan.settings.max_records
        ).sigma
        for plan in plans
    ]
    assert 2.7 < first[1] / first[0] < 3.3


CHAIN_OF_ONE = schema(
    colour={"kind": "categorical", "values": ["red", "green", "blue", "never"]}, member={"kind": "boolean"}
)


def test_a_budget_refuses_what_would_pass_its_bound():
    budget = AdaptiveBudget(ZCDPFilter(rho="0.01"), steps=1, batch=1, max_records=1)
    assert budget.next_round() == 1
    budget.admit_table(budget.sigma)
    with pytest.raises(FilterExhaustedError, match="beyond its bound"):
        budget.admit_table(budget.sigma)


def test_the_last_round_takes_what_is_left_and_no_scale_rounds_below_its_price():
    for steps, grows in itertools.product((3, 40, 77), ((), (1, 2), (5,))):
        budget = AdaptiveBudget(ZCDPFilter(rho="0.0123"), steps=steps, batch=2, max_records=3)
        rounds = 0
        while count := budget.next_round():
            for _ in range(count):
                budget.admit_choice(budget.coefficient(12), 12)
                budget.admit_table(budget.sigma)
            rounds += 1
            if rounds in grows:
                budget.grow()
        assert budget.part_spent > 0.998
        assert sum(map(exact_rho, budget.steps)) <= Fraction("0.0123")


@pytest.mark.parametrize("records", [1, 2, 1000, 5000])
def test_the_last_step_fits_into_the_bound_whatever_the_bound_and_k(records):
    """For k >= 1000 the event counts a squared change a little above k^2; what was sized with k^2 was refused."""
    rng = np.random.default_rng(records)
    for _ in range(300):
        rho = Decimal(f"{10 ** rng.uniform(-5, 1):.{rng.integers(6, 12)}f}")
        budget = AdaptiveBudget(
            ZCDPFilter(rho=rho), steps=int(rng.integers(2, 40)), batch=int(rng.integers(1, 3)), max_records=records
        )
        spread = 2 * records * int(rng.integers(1, 50))
        while count := budget.next_round():
            for _ in range(count):
                budget.admit_choice(budget.coefficient(spread), spread)
            for _ in range(count):
                budget.admit_table(budget.sigma)
            if rng.random() < 0.3:
                budget.grow()
        assert 0.998 < budget.part_spent <= 1


def test_a_step_that_taught_less_than_its_noise_is_followed_by_half_the_noise():
    budget = AdaptiveBudget(ZCDPFilter(rho="0.01"), steps=100, batch=1, max_records=1)
    before, warm = budget.sigma, budget.coefficient(2)
    budget.grow()
    assert float(before / budget.sigma) == pytest.approx(2, rel=1e-3)
    assert float(budget.coefficient(2) / warm) == pytest.approx(2, rel=1e-3)


def test_a_cycle_of_dependences_is_reproduced_which_no_tree_can():
    rng = np.random.default_rng(0)
    rows = 8000
    shared = rng.integers(0, 4, rows)
    columns = {name: np.where(rng.random(rows) < 0.8, shared, rng.integers(0, 4, rows)) for name in "abc"}
    table = Table.from_arrow(pa.table({name: pa.array(codes, pa.int64()) for name, codes in columns.items()}))
    _, model = fitted(table, of=schema(**{name: {"kind": "categorical", "values": [0, 1, 2, 3]} for name in "abc"}))
    made = model.sample(rows, np.random.default_rng(0))
    for left, right in itertools.combinations("abc", 2):
        assert distance(pair_table(table.to_arrow(), left, right, 4), pair_table(made, left, right, 4)) < 0.04


def test_pairs_that_depend_are_chosen_before_pairs_that_do_not(monkeypatch):
    """a - b - c - d is a chain of 0.85 copies and e is alone; the first choices fall on the chain."""

    class ThreeChosen(Exception):
        pass

    for seed in range(4):
        first = []

        def spy(scores, first=first, **options):
            if len(first) == 3:
                raise ThreeChosen
            at, event = exponential(scores, **options)
            first.append(list(itertools.combinations("abcde", 2))[at])
            return at, event

        monkeypatch.setattr(aim_module, "exponential", spy)
        with pytest.raises(ThreeChosen):
            fitted(chain(8000), seed=seed, epsilon="4")
        assert not any("e" in pair for pair in first)


def test_many_columns_choose_several_pairs_between_two_fits(monkeypatch):
    of = schema(**{f"c{at:02}": {"kind": "boolean"} for at in range(24)})
    rng = np.random.default_rng(0)
    table = Table.from_arrow(pa.table({name: pa.array(rng.random(400) < 0.5) for name in of.modelled}))
    fits = []
    real = aim_module.RecordFit.run
    monkeypatch.setattr(aim_module.RecordFit, "run", lambda self, *rest: (fits.append(1), real(self, *rest))[1])
    _, _, ranges = drawn_steps(monkeypatch, table, of=of)
    steps = aim_module.STEPS_PER_COLUMN * len(of.modelled)
    assert steps > aim_module.MOST_FITS and len(ranges) >= 2 * (len(fits) - 1)


@pytest.mark.parametrize("name", ["aim", "gibbs"])
def test_compiling_the_moves_has_a_line_of_its_own_before_the_first_fit(name):
    """A first run compiles for seconds: the bar says what it waits for, and not 0 % of the fit."""
    made, heard = generator(name), []
    plan = made.plan(CHAIN, PrivacyUnit(), epsilon="1", delta="1e-6")
    domains, _ = derive(chain(20), CHAIN, None, noise=unsafe_SeededNoise(1))
    made.fit(chain(20), CHAIN, domains, plan, noise=unsafe_SeededNoise(1), progress=lambda *said: heard.append(said[0]))
    stages = list(dict.fromkeys(heard))
    assert stages[:2] == ["count columns", STAGE] and any(stage.startswith("fit records") for stage in stages[2:])
