"""Each accountant against a computation that shares nothing with it: quadrature, enumeration, or its defining sum."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from accounting.errors import UnsupportedEventError
from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PredictionTokens,
    PureDP,
    SparseVector,
    ZCDPFilter,
)
from accounting.gaussian import AnalyticAccountant, discrete_gaussian_tail, gaussian_delta, gaussian_epsilon
from accounting.pld import PLDAccountant, compose
from accounting.pure import PureAccountant
from accounting.rdp import RDPAccountant, attained_divergence, divergence
from accounting.relation import NeighboringRelation, PrivacyUnit
from accounting.threshold import selection_delta
from accounting.zcdp import ZCDPAccountant, event_rho, total_atoms, zcdp_epsilon

ORDERS = np.array([1.1, 1.5, 2.0, 3.7, 8.0, 31.0])


def tree(*events, relation=NeighboringRelation.ADD_REMOVE):
    return EventTree(relation=relation, unit=PrivacyUnit(), events=events)


def curve(event):
    return divergence(tree(event), ORDERS)


def by_sum(log_p, log_q, orders=ORDERS, step=1.0):
    """Renyi divergence from its definition; the logs are of unnormalised masses or densities on equal steps."""
    log_p, log_q = (log - logsumexp(log) - math.log(step) for log in (log_p, log_q))
    return np.array([(logsumexp(a * log_p + (1 - a) * log_q) + math.log(step)) / (a - 1) for a in orders])


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("q", [0.01, 0.3])
def test_sampled_gaussian_divergence_is_the_integral(q, mu):
    x = np.linspace(-40, 120, 1_600_001)
    log_base = -(x**2) / 2 - math.log(2 * math.pi) / 2
    log_likelihood = np.logaddexp(math.log(1 - q), math.log(q) + mu * x - mu**2 / 2)
    event = PoissonSampled(probability=str(q), event=Gaussian(sigma=str(1 / mu), l2_sensitivity=1))
    found = divergence(tree(event), ORDERS[:-1])
    expected = [math.log(np.sum(np.exp(log_base + a * log_likelihood)) * (x[1] - x[0])) / (a - 1) for a in ORDERS[:-1]]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_sampled_divergence_has_no_seam_between_integer_and_fractional_orders():
    event = PoissonSampled(probability="0.02", event=Gaussian(sigma="1.3", l2_sensitivity=1))
    below, at, above = divergence(tree(event), np.array([6 - 1e-7, 6.0, 6 + 1e-7]))
    assert below == pytest.approx(at, rel=1e-6)
    assert above == pytest.approx(at, rel=1e-6)


def test_sampling_everything_is_no_sampling():
    event = PoissonSampled(probability="1", event=Gaussian(sigma="2", l2_sensitivity=1))
    assert curve(event) == pytest.approx(curve(Gaussian(sigma="2", l2_sensitivity=1)))


@pytest.mark.parametrize(("scale", "change"), [(2.0, 1), (2.0, 5), (0.7, 3)])
def test_discrete_laplace_divergence_is_its_sum(scale, change):
    j = np.arange(-300, 300)
    found = curve(DiscreteLaplace(scale=str(scale), l1_sensitivity=change))
    assert found == pytest.approx(by_sum(-np.abs(j) / scale, -np.abs(j - change) / scale), rel=1e-6)


def test_laplace_divergence_is_its_integral():
    x = np.linspace(-60, 60, 1_200_001)
    expected = by_sum(-np.abs(x), -np.abs(x - 0.8), step=x[1] - x[0])
    assert curve(Laplace(scale="1", l1_sensitivity="0.8")) == pytest.approx(expected, rel=1e-5)


def test_randomized_response_divergence_is_its_sum():
    yes = math.exp(0.9) / (1 + math.exp(0.9))
    log_p = np.log([yes, 1 - yes])
    assert curve(PureDP(epsilon="0.9")) == pytest.approx(by_sum(log_p, log_p[::-1]))


@pytest.mark.parametrize("eta", [0.05, 1.0, 6.0])
def test_bounded_range_divergence_is_the_worst_two_point_pair(eta):
    t = np.linspace(0, eta, 20_001)[1:-1]
    p = (math.exp(eta) - np.exp(t)) / math.expm1(eta)
    worst = [np.max(np.log(p * np.exp((a - 1) * t) + (1 - p) * np.exp((a - 1) * (t - eta)))) / (a - 1) for a in ORDERS]
    found = curve(Exponential(bounded_range=str(eta)))
    assert found == pytest.approx(worst, rel=1e-5)
    assert np.all(found <= ORDERS * eta**2 / 8 * (1 + 1e-12))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_discrete_gaussian_divergence_is_its_sum_and_below_the_bound(sigma):
    j = np.arange(-400, 401)
    event = DiscreteGaussian(sigma=str(sigma), l2_sensitivity=1)
    for a, exact in zip(ORDERS, by_sum(-((j / sigma) ** 2) / 2, -(((j - 1) / sigma) ** 2) / 2), strict=True):
        assert attained_divergence(tree(event), float(a)) == pytest.approx(exact, rel=1e-6, abs=1e-9)
        assert exact <= float(divergence(tree(event), np.array([a]))[0]) * (1 + 1e-9)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 7.5, 300.0])
def test_discrete_gaussian_tail_is_its_sum(sigma):
    j = np.arange(-int(50 * sigma) - 60, int(50 * sigma) + 61)
    weight = np.exp(-((j / sigma) ** 2) / 2)
    weight /= weight.sum()
    for start in (-3, 0, 1, 2, int(2 * sigma), int(5 * sigma) + 1):
        exact = weight[j >= start].sum()
        assert exact * (1 - 1e-10) <= discrete_gaussian_tail(sigma, start) <= exact * (1 + 1e-9) + 1e-11


def test_very_wide_tail_is_an_upper_bound_close_to_the_normal_one():
    found = discrete_gaussian_tail(1e6, 3_000_000)
    assert 1.349898e-3 < found < 1.3499e-3 * 1.001


def test_gaussian_epsilon_inverts_delta():
    for mu, delta in ((0.01, 1e-5), (1.0, 1e-9), (6.0, 1e-12)):
        eps = gaussian_epsilon(mu, delta)
        assert gaussian_delta(mu, eps) <= delta < gaussian_delta(mu, eps * (1 - 1e-6) - 1e-9)
    assert gaussian_epsilon(1e-9, 1e-5) == 0.0
    assert gaussian_epsilon(1.0, 0.0) == math.inf


def test_both_accountants_find_the_same_atoms_by_different_sums():
    selection = PartitionSelection(sigma="12.5", threshold="80", l2_sensitivity="2", max_keys=3, count=2)
    assert compose(tree(selection), 1e-6).atoms == pytest.approx(total_atoms(tree(selection)), rel=1e-6)


def test_selection_delta_covers_every_way_to_spread_rows_over_keys():
    sigma, threshold = 4.0, 30.0
    hazard = {w: -math.log1p(-discrete_gaussian_tail(sigma, math.ceil(threshold - w))) for w in range(1, 5)}
    for squared, keys in ((1, 1), (4, 4), (9, 2), (16, 16)):
        bound = selection_delta(
            sigma=sigma, threshold=threshold, squared_change=squared, max_keys=keys, tail=discrete_gaussian_tail
        )
        for spread in _spreads(squared, keys):
            assert -math.expm1(-sum(hazard[w] for w in spread)) <= bound * (1 + 1e-9)


def _spreads(squared, keys, largest=4):
    yield ()
    if keys:
        for w in range(min(largest, math.isqrt(squared)), 0, -1):
            for rest in _spreads(squared - w * w, keys - 1, w):
                yield (w, *rest)


def test_wide_selection_uses_the_count_of_keys_alone():
    one = selection_delta(sigma=1e4, threshold=1e5, squared_change=5000**2, max_keys=1, tail=discrete_gaussian_tail)
    assert one == pytest.approx(discrete_gaussian_tail(1e4, 95_000), rel=1e-9)


def test_zcdp_matches_the_sum_of_its_parts_and_refuses_sampling():
    parts = (Gaussian(sigma=2, l2_sensitivity=1), Exponential(bounded_range=1), PureDP(epsilon="0.2"))
    assert sum(map(event_rho, parts)) == pytest.approx(0.125 + 0.125 + 0.02)
    assert zcdp_epsilon(0.0, 1e-6) == 0.0
    assert zcdp_epsilon(0.1, 0.0) == math.inf
    with pytest.raises(UnsupportedEventError, match="no amplification"):
        event_rho(PoissonSampled(probability="0.5", event=Gaussian(sigma=1, l2_sensitivity=1)))


CHOSEN = (Exponential, SparseVector, PredictionTokens)
UNSAMPLED = (Gaussian, Laplace, DiscreteLaplace, DiscreteGaussian, *CHOSEN, PureDP, ApproxDP)
SUPPORT = {
    PLDAccountant: (*UNSAMPLED, PoissonSampled),
    RDPAccountant: (*UNSAMPLED, PoissonSampled, ZCDPFilter),
    ZCDPAccountant: (*UNSAMPLED, ZCDPFilter),
    PureAccountant: (Laplace, DiscreteLaplace, *CHOSEN, PureDP, ApproxDP),
    AnalyticAccountant: (Gaussian,),
}
EXAMPLES = (
    Gaussian(sigma=3, l2_sensitivity=1),
    Laplace(scale=3, l1_sensitivity=1),
    DiscreteLaplace(scale=3, l1_sensitivity=1),
    DiscreteGaussian(sigma=3, l2_sensitivity=1),
    Exponential(bounded_range="0.5"),
    PureDP(epsilon="0.5"),
    ApproxDP(epsilon="0.5", delta="1e-9"),
    PoissonSampled(probability="0.1", event=Gaussian(sigma=3, l2_sensitivity=1)),
    ZCDPFilter(rho="0.05"),
    SparseVector(threshold_scale=5, query_scale=10, sensitivity=1, positives=1, monotonic=True),
    SparseVector(threshold_scale=5, query_scale=10, sensitivity=1, positives=1, monotonic=False),
    PredictionTokens(
        relation="add_remove", clip=1, batch_size=8, temperature=1, batch="summed", rows_per_unit=1, count=3
    ),
)


@pytest.mark.parametrize("accountant", SUPPORT, ids=lambda cls: cls.__name__)
def test_an_accountant_answers_exactly_what_it_has_a_proof_for(accountant):
    for event in EXAMPLES:
        if isinstance(event, SUPPORT[accountant]):
            assert 0 < accountant().opinion(tree(event), 1e-6).epsilon < 5
        else:
            with pytest.raises(UnsupportedEventError):
                accountant().opinion(tree(event), 1e-6)


@pytest.mark.parametrize(
    ("events", "delta", "message"),
    [
        ((DiscreteGaussian(sigma="1.1", l2_sensitivity=7),), 1e-6, "no continuous bound"),
        ((PureDP(epsilon="10", count=100),), 1e-6, "not resolved by convolution"),
        ((PureDP(epsilon="0.001"),), 1e-12, "cannot resolve delta"),
        (tuple(PureDP(epsilon=f"0.{i:04d}") for i in range(1, 500)), 1e-6, "distinct events"),
        ((PureDP(epsilon="0.00001", count=10**9),), 1e-6, "beyond the accuracy of convolution"),
    ],
)
def test_pld_refuses_what_it_cannot_resolve(events, delta, message):
    with pytest.raises(UnsupportedEventError, match=message):
        PLDAccountant().opinion(tree(*events), delta)
