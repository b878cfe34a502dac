"""What other libraries count becomes events: counts kept, floats rounded to the dearer side, no proof no event.

Opacus and diffprivlib are not installed with the project. Their histories are public attributes of a known shape, which
`test_with_the_libraries_themselves` checks where the libraries are there.
"""

from __future__ import annotations

import math
from decimal import Decimal
from types import SimpleNamespace

import pytest
from dp_accounting import dp_event as theirs
from hypothesis import given
from hypothesis import strategies as st

from accounting import ApproxDP, EventTree, Gaussian, NeighboringRelation, PoissonSampled, PrivacyUnit, PureDP, price
from accounting.adapters import from_diffprivlib, from_dp_accounting, from_opacus
from accounting.adapters.numbers import loss_of, scale_of, share_of
from accounting.errors import EventError, UnsupportedEventError

REPLACE = NeighboringRelation.REPLACE_ONE
BAD = [0, -1.0, float("nan"), float("inf"), True, "1", None, 1e300]


@given(st.floats(1e-9, 1e9))
def test_rounding_never_flatters(value: float) -> None:
    assert 0 < scale_of(value, "x") <= Decimal(value) <= loss_of(value, "x")
    assert loss_of(value, "x") - scale_of(value, "x") <= Decimal(value) * Decimal("1e-5")


@pytest.mark.parametrize("value", BAD, ids=repr)
@pytest.mark.parametrize("read", [scale_of, loss_of, share_of])
def test_what_is_no_positive_number_is_refused(read, value) -> None:
    with pytest.raises(EventError, match="Expected"):
        read(value, "x")


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(EventError, match="<= 1"):
        share_of(1.5, "rate")


def opacus(*phases: tuple) -> SimpleNamespace:
    return SimpleNamespace(history=list(phases))


def test_opacus_phases_become_sampled_gaussians() -> None:
    tree = from_opacus(opacus((1.0, 0.25, 10), (2.0, 0.25, 5)), poisson=True)
    assert tree.relation is NeighboringRelation.ADD_REMOVE
    assert tree.events == (
        PoissonSampled(probability="0.25", event=Gaussian(sigma="1", l2_sensitivity="1"), count=10),
        PoissonSampled(probability="0.25", event=Gaussian(sigma="2", l2_sensitivity="1"), count=5),
    )


def test_dp_sgd_is_priced_as_opacus_and_prv_know_it() -> None:
    # q 0.01, sigma 1, T 1,000, delta 1e-5: PRV's certified bounds are 1.8181 and 1.8384, Opacus's GDP says 1.6177.
    assert 1.8181 <= price(from_opacus(opacus((1.0, 0.01, 1000)), poisson=True), "1e-5").epsilon <= Decimal("1.8384")


def test_without_poisson_sampling_nothing_is_amplified() -> None:
    tree = from_opacus(opacus((1.0, 0.01, 100)), poisson=False)
    assert tree.events == (Gaussian(sigma="1", l2_sensitivity="1", count=100),)


@pytest.mark.parametrize(
    "history",
    [[(1.0, 0.1)], [1.0], [(0.0, 0.1, 5)], [(1.0, 1.2, 5)], [(1.0, 0.1, 0)], [(1.0, 0.1, 2.5)], [(math.nan, 0.1, 5)]],
    ids=repr,
)
def test_a_history_of_another_shape_is_refused(history) -> None:
    with pytest.raises(EventError, match="Expected"):
        from_opacus(SimpleNamespace(history=history), poisson=True)


def test_something_else_than_an_accountant_is_refused() -> None:
    with pytest.raises(EventError, match=r"PrivacyEngine\.accountant"):
        from_opacus(object(), poisson=True)
    with pytest.raises(EventError, match="BudgetAccountant"):
        from_diffprivlib(object(), relation=REPLACE)
    with pytest.raises(EventError, match="DpEvent"):
        from_dp_accounting(object())


def test_diffprivlib_pairs_become_black_boxes() -> None:
    spent = SimpleNamespace(spent_budget=[(0.5, 0), (0.5, 0), (0.25, 1e-7)])
    unit = PrivacyUnit(kind="user", column="id", max_records=3)
    tree = from_diffprivlib(spent, relation=REPLACE, unit=unit)
    assert (tree.relation, tree.unit) == (REPLACE, unit)
    first, second = tree.events
    assert first == PureDP(epsilon="0.5", count=2)
    assert isinstance(second, ApproxDP)
    assert second.epsilon == Decimal("0.25")
    assert 0 <= second.delta - Decimal.from_float(1e-7) <= Decimal("1e-20")
    assert price(tree, "1e-6").epsilon <= Decimal("1.25")


@pytest.mark.parametrize("pair", [(0, 0), (-0.1, 0), (math.inf, 0), (0.1, -1e-9), (0.1, 1.0), (math.nan, 0)], ids=repr)
def test_a_pair_outside_its_range_is_refused(pair) -> None:
    with pytest.raises(EventError, match="Expected"):
        from_diffprivlib(SimpleNamespace(spent_budget=[pair]), relation=REPLACE)


def test_dp_accounting_counts_are_multiplied_out() -> None:
    sampled = theirs.PoissonSampledDpEvent(0.5, theirs.GaussianDpEvent(2.0))
    event = theirs.ComposedDpEvent(
        [
            theirs.SelfComposedDpEvent(
                theirs.ComposedDpEvent([theirs.LaplaceDpEvent(4.0), theirs.SelfComposedDpEvent(sampled, 3)]), 5
            ),
            theirs.NoOpDpEvent(),
            theirs.DiscreteLaplaceDpEvent(0.25, 2),
        ]
    )
    found = [(type(item).__name__, item.count) for item in from_dp_accounting(event).events]
    assert found == [("Laplace", 5), ("PoissonSampled", 15), ("DiscreteLaplace", 1)]


def test_randomized_response_keeps_its_count() -> None:
    # The library's own PLD reports 1.0987 for a hundred uses.
    event = theirs.SelfComposedDpEvent(theirs.RandomizedResponseDpEvent(0.5, 2), 100)
    tree = from_dp_accounting(event)
    assert float(tree.events[0].epsilon) == pytest.approx(math.log(3), rel=1e-9)
    assert price(tree, "1e-5").epsilon > 90


def test_an_answer_without_truth_costs_nothing() -> None:
    assert from_dp_accounting(theirs.RandomizedResponseDpEvent(1.0, 4)).events == ()


@pytest.mark.parametrize(
    "event",
    [
        theirs.NonPrivateDpEvent(),
        theirs.UnsupportedDpEvent(),
        theirs.SampledWithoutReplacementDpEvent(100, 10, theirs.GaussianDpEvent(1.0)),
        theirs.PoissonSampledDpEvent(0.1, theirs.LaplaceDpEvent(1.0)),
        theirs.ZCDpEvent(0.1, 0.5),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_has_no_proof_here_is_refused(event) -> None:
    with pytest.raises(UnsupportedEventError, match="no proof of ours"):
        from_dp_accounting(event)


def test_endless_nesting_is_refused() -> None:
    event = theirs.GaussianDpEvent(1.0)
    for _ in range(60):
        event = theirs.ComposedDpEvent([event])
    with pytest.raises(EventError, match="deep"):
        from_dp_accounting(event)


def test_with_the_libraries_themselves() -> None:
    opacus_accountants = pytest.importorskip("opacus.accountants", reason="opacus is not installed")
    accountant = opacus_accountants.RDPAccountant()
    for _ in range(7):
        accountant.step(noise_multiplier=1.5, sample_rate=0.1)
    assert from_opacus(accountant, poisson=True).events[0].count == 7


def test_with_diffprivlib_itself() -> None:
    library = pytest.importorskip("diffprivlib", reason="diffprivlib is not installed")
    accountant = library.BudgetAccountant(epsilon=5, delta=1e-3)
    accountant.spend(0.5, 0).spend(1.0, 1e-6)
    tree = from_diffprivlib(accountant, relation=REPLACE)
    assert isinstance(tree, EventTree)
    assert [type(event).__name__ for event in tree.events] == ["PureDP", "ApproxDP"]
