"""Columns cut in two by the target, where noise is large: a plan of public facts, an event, and what they bring."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from accounting.event import DiscreteGaussian
from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular.allocation import MANY_COLUMNS
from dpsynth.tabular.columns.merging import halves
from dpsynth.tabular.gibbs import SHARES, Gibbs
from dpsynth.tabular.halves import balanced_slots
from tests.conformance.generator import schema
from tests.statistical.replay import Tape, exceeded

ROWS = 6000
NAMES = tuple(f"c{number:02}" for number in range(MANY_COLUMNS - 1))


def weak_table(rows: int = ROWS) -> Table:
    """A rare target that makes each of all columns a little more likely."""
    rng = np.random.default_rng(0)
    target = rng.random(rows) < 0.2
    columns = {name: rng.random(rows) < 0.45 + 0.15 * target for name in NAMES}
    return Table.from_arrow(pa.table({name: pa.array(codes) for name, codes in (columns | {"t": target}).items()}))


def of_target(target: str | None = "t", names: tuple[str, ...] = NAMES):
    return schema(
        **{name: {"kind": "boolean"} | ({"role": "target"} if name == target else {}) for name in (*names, "t")},
    )


def unit_of(k: int) -> PrivacyUnit:
    return PrivacyUnit(kind="user", column="person", max_records=k) if k > 1 else PrivacyUnit()


def test_halves_find_the_weak_predictors_of_a_rare_target():
    """Rows of the target hold more of the columns than others, by 0.15; halves keep more of that than pairs alone."""

    def gap(share: float) -> float:
        of = of_target()
        generator = Gibbs(shares=replace(SHARES, halves=share))
        plan = generator.plan(of, PrivacyUnit(), epsilon="0.7", delta="1e-9")
        assert (plan.settings.halves is not None) == (share > 0)
        noise = unsafe_SeededNoise(3)
        domains, spent = derive(weak_table(), of, plan.settings.derive, noise=noise)
        model = generator.fit(weak_table(), of, domains, plan, noise=noise, spent=spent)
        made = model.sample(ROWS, np.random.default_rng(0))
        held = np.mean([made.column(name).fill_null(False).to_numpy().astype(float) for name in NAMES], axis=0)
        target = made.column("t").fill_null(False).to_numpy().astype(bool)
        return float(held[target].mean() - held[~target].mean())

    assert gap(SHARES.halves) > 1.3 * gap(0.0)


def test_only_a_target_many_columns_and_large_noise_plan_halves():
    def planned(of, epsilon, k=1):
        return Gibbs().plan(of, unit_of(k), epsilon=epsilon, delta="1e-9").settings.halves

    assert planned(of_target(), "0.5").count == MANY_COLUMNS - 1
    assert planned(of_target(), "3") is None
    assert planned(of_target(), "3", k=10).count == MANY_COLUMNS - 1
    assert planned(of_target(None), "0.5") is None
    assert planned(of_target(names=NAMES[1:]), "0.5") is None


@pytest.mark.parametrize("k", [1, 2, 10])
def test_no_person_changes_the_halves_by_more_than_their_event_states(k):
    """k rows of one cell move each of the planned tables by k, and the bound is reached."""
    of = of_target()
    plan = Gibbs().plan(of, unit_of(k), epsilon="0.7", delta="1e-9")
    asked = plan.settings.halves
    base = weak_table(300)
    joined = base.concat(Table(base.to_arrow().take(pa.array([5] * k))))

    def fit_of(table: Table):
        def fit(noise):
            domains, spent = derive(table, of, plan.settings.derive, noise=noise)
            return Gibbs().fit(table, of, domains, plan, noise=noise, spent=spent)

        return fit

    without = Tape.record(fit_of(base))
    again = without.replay(fit_of(joined))
    assert exceeded(without, again) == []
    event = DiscreteGaussian(sigma=asked.sigma, l2_sensitivity=k, count=asked.count)
    assert event in plan.tree.events
    (at,) = [at for at, call in enumerate(without.calls) if replace(call.event, noise="exact") == event]
    moved = again.calls[at].entered - without.calls[at].entered
    assert np.linalg.norm(moved) == pytest.approx(k * math.sqrt(asked.count))


def test_slots_follow_the_balance_and_add_up():
    """Equal columns take equally many, a constant one none, and no slot is lost even where all are constant."""
    assert balanced_slots({"a": 0.5, "b": 0.5, "c": 0.0}, 6) == {"a": 3, "b": 3}
    assert sum(balanced_slots({"a": 0.0, "b": 0.0}, 5).values()) == 5


def test_halves_are_neighbours_of_nearly_equal_mass():
    counts = np.random.default_rng(0).normal(50.0, 60.0, 40)
    cut = halves(counts)
    assert (np.diff(cut) >= 0).all()
    mass = np.bincount(cut, weights=np.maximum(counts, 0.0))
    assert abs(mass[0] - mass[1]) <= counts.max()
    assert halves(counts[:1]).tolist() == [0]
