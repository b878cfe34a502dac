"""Calibration buys as much as the target allows, and never more."""

import time
from decimal import Decimal

import pytest

from accounting.calibration import calibrate
from accounting.crosscheck import price
from accounting.decimals import decimal_up
from accounting.errors import CalibrationError, EventError, ParameterError
from accounting.event import (
    DiscreteGaussian,
    DiscreteLaplace,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PredictionTokens,
    SparseVector,
)
from accounting.relation import NeighboringRelation, PrivacyUnit


def tree(*events):
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)


def sigma(rho):
    return decimal_up((2 * rho) ** -0.5, 6)


def gaussian(rho):
    return tree(Gaussian(sigma=sigma(rho), l2_sensitivity=1, count=3))


def marginals(rho):
    """The shape of a marginal generator: one-ways, thresholds, many scores, pairs."""
    ones = [DiscreteGaussian(sigma=sigma(0.3 * rho * (i + 1) / 120), l2_sensitivity=1) for i in range(15)]
    keys = []
    for i in range(6):
        s = sigma(0.1 * rho * (i + 1) / 21)
        keys.append(
            PartitionSelection(sigma=s, threshold=decimal_up(float(s) * 6.8 + 1, 6), l2_sensitivity=1, max_keys=1)
        )
    scores = DiscreteGaussian(sigma=sigma(0.2 * rho / 105), l2_sensitivity=1, count=105)
    pairs = DiscreteGaussian(sigma=sigma(0.4 * rho / 14), l2_sensitivity=1, count=14)
    return tree(*ones, *keys, scores, pairs)


def selections(rho):
    eta = decimal_up((8 * 0.3 * rho / 14) ** 0.5, 9)
    return tree(
        DiscreteGaussian(sigma=sigma(0.7 * rho / 29), l2_sensitivity=1, count=29),
        Exponential(bounded_range=eta, count=14),
    )


def sampled(noise):
    event = Gaussian(sigma=decimal_up(1 / noise, 6), l2_sensitivity=1)
    return tree(PoissonSampled(probability="0.01", event=event, count=500))


@pytest.mark.parametrize("epsilon", ["0.1", "1", "3", "10"])
@pytest.mark.parametrize("build", [gaussian, marginals, selections, sampled], ids=lambda f: f.__name__)
def test_achieved_epsilon_is_within_a_thousandth_below_the_target(build, epsilon):
    budget, guarantee = calibrate(build, epsilon=epsilon, delta="1e-9", bracket=(1e-2, 1.0))
    assert Decimal(epsilon) * Decimal("0.999") <= guarantee.epsilon <= Decimal(epsilon)
    assert guarantee == price(build(budget), "1e-9")


def test_more_budget_than_returned_breaks_the_target():
    budget, _ = calibrate(marginals, epsilon="1", delta="1e-9", bracket=(1e-3, 1.0))
    assert price(marginals(budget * 1.003), "1e-9").epsilon > 1


def test_a_bracket_far_off_is_widened():
    near, _ = calibrate(gaussian, epsilon="1", delta="1e-6", bracket=(1e-2, 1e-1))
    below, _ = calibrate(gaussian, epsilon="1", delta="1e-6", bracket=(1e-7, 2e-7))
    above, _ = calibrate(gaussian, epsilon="1", delta="1e-6", bracket=(50.0, 60.0))
    assert below == pytest.approx(near, rel=2e-3)
    assert above == pytest.approx(near, rel=2e-3)


def test_a_plan_that_moves_in_steps_gets_the_last_step_below():
    def build(budget):
        return tree(Gaussian(sigma="20", l2_sensitivity=1, count=max(1, int(budget))))

    budget, guarantee = calibrate(build, epsilon="1", delta="1e-6", bracket=(1.0, 4.0))
    assert guarantee.epsilon <= 1 < price(build(int(budget) + 1), "1e-6").epsilon


def test_pricing_and_calibration_fit_the_time_of_a_synthesis():
    price(gaussian(0.011), "1e-9")  # imports dp-accounting
    start = time.process_time()
    price(marginals(0.0171), "1e-9")
    priced = time.process_time() - start
    calibrate(marginals, epsilon="1.1", delta="1e-9", bracket=(1e-3, 1.0))
    assert priced < 0.5
    assert time.process_time() - start < 2.0


def test_targets_that_nothing_meets_are_refused():
    with pytest.raises(CalibrationError, match="No budget between"):
        calibrate(lambda _: tree(Gaussian(sigma=1, l2_sensitivity=1)), epsilon="0.1", delta="1e-6", bracket=(1, 2))
    with pytest.raises(CalibrationError, match="No budget between"):
        calibrate(lambda b: gaussian(1 / b), epsilon="50", delta="1e-6", bracket=(10.0, 20.0))


@pytest.mark.parametrize("bracket", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)])
def test_impossible_brackets_are_refused(bracket):
    with pytest.raises(ParameterError, match="bracket"):
        calibrate(gaussian, epsilon="1", delta="1e-6", bracket=bracket)


def test_targets_are_exact_numbers():
    with pytest.raises(EventError, match="epsilon as a decimal string"):
        calibrate(gaussian, epsilon=1.0, delta="1e-6", bracket=(0.1, 1.0))
    with pytest.raises(EventError, match="epsilon > 0"):
        calibrate(gaussian, epsilon="0", delta="1e-6", bracket=(0.1, 1.0))


def _in_units_of(rho):
    """1 / mu of rho, to scale a noise by."""
    return decimal_up((2 * rho) ** -0.5, 9)


FAMILIES = {
    "gaussian": lambda r: tree(Gaussian(sigma=_in_units_of(r), l2_sensitivity=1)),
    "discrete gaussian, one": lambda r: tree(DiscreteGaussian(sigma=_in_units_of(r), l2_sensitivity=1)),
    "discrete gaussian, ten rows": lambda r: tree(
        DiscreteGaussian(sigma=_in_units_of(r / 5000), l2_sensitivity=10, count=50)
    ),
    "laplace": lambda r: tree(Laplace(scale=_in_units_of(r / 30), l1_sensitivity=1, count=30)),
    "discrete laplace": lambda r: tree(DiscreteLaplace(scale=_in_units_of(r / 40), l1_sensitivity=2, count=10)),
    "exponential": lambda r: tree(Exponential(bounded_range=decimal_up((8 * r / 25) ** 0.5, 9), count=25)),
    "partition selection": lambda r: tree(
        PartitionSelection(
            sigma=_in_units_of(r / 4),
            threshold=decimal_up(8 * float(_in_units_of(r / 4)) + 2, 6),
            l2_sensitivity=1,
            max_keys=1,
            count=4,
        )
    ),
    "sampled gaussian": lambda r: tree(
        PoissonSampled(probability="0.02", event=Gaussian(sigma=decimal_up(1 / r, 9), l2_sensitivity=1), count=200)
    ),
    "sparse vector": lambda r: tree(
        SparseVector(
            threshold_scale=_in_units_of(r / 90),
            query_scale=_in_units_of(r / 360),
            sensitivity=1,
            positives=1,
            monotonic=False,
            count=20,
        )
    ),
    "sparse vector on counts": lambda r: tree(
        SparseVector(
            threshold_scale=_in_units_of(r / 90),
            query_scale=_in_units_of(r / 90),
            sensitivity=1,
            positives=2,
            monotonic=True,
            count=10,
        )
    ),
    "tokens": lambda r: tree(
        PredictionTokens(
            relation="add_remove",
            clip=decimal_up((8 * r / 100) ** 0.5, 9),
            batch_size=16,
            temperature="0.125",
            batch="summed",
            rows_per_unit=1,
            count=100,
        )
    ),
    "mixture": lambda r: tree(
        DiscreteGaussian(sigma=_in_units_of(r / 60), l2_sensitivity=1, count=15),
        Exponential(bounded_range=decimal_up((8 * r / 70) ** 0.5, 9), count=14),
        Laplace(scale=_in_units_of(r / 40), l1_sensitivity=1, count=2),
        Gaussian(sigma=_in_units_of(r / 4), l2_sensitivity=1),
    ),
}


@pytest.mark.parametrize(("epsilon", "delta"), [("0.5", "1e-6"), ("2", "1e-9"), ("6", "1e-5")])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_meets_its_target_from_below(name, epsilon, delta):
    budget, found = calibrate(FAMILIES[name], epsilon=epsilon, delta=delta, bracket=(1e-3, 1.0))
    assert Decimal(epsilon) * Decimal("0.999") <= found.epsilon <= Decimal(epsilon)
    assert price(FAMILIES[name](budget), delta).epsilon == found.epsilon


def test_a_jump_just_above_the_target_does_not_hold_the_search():
    """Noise rounded to few digits prices in steps; the estimate then points at the edge of one step, from above."""

    def build(rho):
        coarse = Decimal(f"{(2 * rho / 60) ** -0.5:.2g}")
        return tree(
            DiscreteGaussian(sigma=coarse, l2_sensitivity=1, count=2),
            DiscreteGaussian(sigma=_in_units_of(rho / 60), l2_sensitivity=1, count=58),
        )

    for epsilon in ("0.4", "0.7", "1", "1.3", "2"):
        _, found = calibrate(build, epsilon=epsilon, delta="1e-9", bracket=(1e-3, 1.0))
        assert Decimal(epsilon) * Decimal("0.997") <= found.epsilon <= Decimal(epsilon)
