"""Plans that train: the joint price, public facts only, and what is out of reach."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from accounting.crosscheck import price
from accounting.event import PoissonSampled
from accounting.relation import PrivacyUnit
from accounting.zcdp import zcdp_epsilon
from dpsynth.core.errors import ParameterError
from dpsynth.tabular.autoregressive import Autoregressive, recipe_at
from dpsynth.tabular.training_plan import rho_of
from tests.conformance.tables import MIXED, RECORD, USER, schema


def steps_of(plan):
    return next(event for event in plan.tree.events if isinstance(event, PoissonSampled))


@pytest.mark.parametrize("epsilon", ["0.3", "1", "3", "10"])
def test_histograms_tables_and_steps_together_cost_the_target(epsilon):
    plan = Autoregressive().plan(MIXED, RECORD, epsilon=epsilon, delta="1e-6")
    assert Decimal("0.999") * Decimal(epsilon) <= price(plan.tree, "1e-6").epsilon <= Decimal(epsilon)


def test_one_step_more_than_planned_would_cost_more():
    plan = Autoregressive().plan(MIXED, RECORD, epsilon="1", delta="1e-6")
    steps = steps_of(plan)
    more = tuple(replace(event, count=event.count + 1) if event is steps else event for event in plan.tree.events)
    assert price(replace(plan.tree, events=more), "1e-6").epsilon > plan.guarantee.epsilon


def test_steps_stand_after_the_oneways_and_before_the_tables():
    plan = Autoregressive().plan(MIXED, RECORD, epsilon="1", delta="1e-6")
    at = plan.tree.events.index(steps_of(plan))
    assert at == len(plan.tree.events) - 2 and plan.settings.trained.count == len(MIXED.modelled)


def test_rows_of_a_unit_multiply_the_noise_of_tables_and_not_of_steps():
    record = Autoregressive().plan(MIXED, RECORD, epsilon="1", delta="1e-6").settings
    user = Autoregressive().plan(MIXED, USER, epsilon="1", delta="1e-6").settings
    assert float(user.trained.sigma / record.trained.sigma) == pytest.approx(3, rel=1e-3)
    assert float(user.training.sigma / record.training.sigma) == pytest.approx(1, rel=0.03)


def test_clip_steps_and_rate_follow_from_columns_and_epsilon():
    training = Autoregressive().plan(MIXED, RECORD, epsilon="1", delta="1e-6").settings.training
    assert training.clip == Decimal(len(MIXED.modelled)) / 2
    assert training.steps * training.probability == Decimal(25)
    assert recipe_at("0.01").epochs == 25 and recipe_at("100").epochs == 50
    assert 25 < recipe_at("2").epochs < 37.5


def test_an_epsilon_beyond_reach_names_the_smallest_that_is_not():
    with pytest.raises(ParameterError, match=r"beyond reach in 1000000 steps .* the smallest that noise of 1000"):
        Autoregressive(steps=10**6, probability=Decimal("0.5")).plan(MIXED, RECORD, epsilon="1", delta="1e-6")


def test_a_batch_rate_above_one_is_refused():
    with pytest.raises(ParameterError, match="use every unit more than once"):
        Autoregressive(probability=Decimal("1.5")).plan(MIXED, RECORD, epsilon="1", delta="1e-6")


def test_an_unknown_network_is_refused_before_anything_is_spent():
    with pytest.raises(ParameterError, match="Unknown network 'gan'"):
        Autoregressive(network="gan").plan(MIXED, RECORD, epsilon="1", delta="1e-6")


def test_a_single_column_is_not_trained():
    settings = Autoregressive().plan(schema(a={"kind": "boolean"}), PrivacyUnit(), epsilon="1", delta="1e-6").settings
    assert settings.training is None and settings.trained is None


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
def test_rho_is_the_largest_that_converts_to_epsilon(epsilon):
    rho = rho_of(epsilon, 1e-9)
    assert zcdp_epsilon(rho, 1e-9) <= epsilon < zcdp_epsilon(rho * 1.0001, 1e-9)
