"""Many uses of tiny losses: where the logarithm of a mean cancels, no curve falls below its 60-digit value."""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest

from accounting.crosscheck import ZCDP, price
from accounting.event import DiscreteLaplace, EventTree, Exponential, Laplace, PureDP, SparseVector
from accounting.events.fields import MAX_COUNT
from accounting.lifetime import total_divergence_up
from accounting.rdp import divergence
from accounting.relation import NeighboringRelation, PrivacyUnit

ORDERS = ("1.01", "2", "8", "100", "30000")
SCALES = ("3", "1e3", "1e5", "1e8")


def tree(*events):
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=events)


def two_points(high, low, order):
    """D_alpha of the pair with these two losses, in decimals."""
    yes = (1 - low.exp()) / (1 - (low - high).exp())
    return (yes * ((order - 1) * high).exp() + (1 - yes) * ((order - 1) * low).exp()).ln() / (order - 1)


def worst_top(eta, order):
    """The t at which losses t and t - eta diverge most: where the derivative vanishes."""
    low = (-(order - 1) * eta).exp()
    return ((order - 1) * (eta.exp() - low) / (order * (1 - low))).ln()


def of_laplace(eps, order):
    twice = 2 * order - 1
    mean = order / twice * ((order - 1) * eps).exp() + (order - 1) / twice * (-order * eps).exp()
    return mean.ln() / (order - 1)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("order", ORDERS)
def test_no_curve_is_below_sixty_digits(scale, order):
    with localcontext(Context(prec=60)):
        eps, alpha = 1 / Decimal(scale), Decimal(order)
        # Sensitivity over scale keeps epsilon exact where one over it would not.
        svt = SparseVector(threshold_scale=scale, query_scale=scale, sensitivity=1, positives=1, monotonic=True)
        pairs = [
            (Laplace(scale=scale, l1_sensitivity=1), of_laplace(eps, alpha)),
            (DiscreteLaplace(scale=scale, l1_sensitivity=1), two_points(eps, -eps, alpha)),
            (svt, max(two_points(2 * eps, -eps, alpha), two_points(eps, -2 * eps, alpha))),
        ]
        if scale != "3":
            pairs.append((PureDP(epsilon=eps), two_points(eps, -eps, alpha)))
            t = worst_top(eps, alpha)
            pairs.append((Exponential(bounded_range=eps), two_points(t, t - eps, alpha)))
        for event, exact in pairs:
            found = Decimal(float(divergence(tree(event), np.array([float(order)]))[0]))
            assert exact * (1 - Decimal("1e-12")) <= found <= exact * (1 + Decimal("1e-4")) + Decimal("1e-12"), event


def test_what_a_lifetime_filter_is_charged_for_a_billion_of_them_is_rounded_up():
    event = Laplace(scale="1e5", l1_sensitivity=1, count=MAX_COUNT)
    with localcontext(Context(prec=60)):
        exact = MAX_COUNT * of_laplace(Decimal("1e-5"), Decimal(8))
    assert exact <= total_divergence_up(tree(event), Decimal(8)) <= exact * (1 + Decimal("1e-5"))


def test_ten_trillion_uses_cost_what_their_line_says():
    """Then randomized response is as dear as Gaussian noise of the same rho, to one part in 10^6."""
    many = tree(*[PureDP(epsilon="1e-7", count=MAX_COUNT)] * 10_000)
    line = ZCDP.opinion(many, 1e-5).epsilon
    assert line * (1 - 1e-6) <= float(price(many, "1e-5").epsilon) <= line * (1 + 2e-6)
