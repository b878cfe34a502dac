"""The Gaussian on a Poisson sample: one step in closed form, two by quadrature."""

from __future__ import annotations

from typing import Any

import mpmath as mp

from tests.accounting.answers.book import MTZ, Event, F, add, solve


def sampled(q: str, sigma: str, count: int = 1) -> Event:
    return {
        "type": "poisson_sampled",
        "probability": q,
        "event": {"type": "gaussian", "sigma": sigma, "l2_sensitivity": "1"},
        "count": count,
    }


def sampled_delta(q: Any, sigma: Any, eps: Any) -> Any:
    """One step, the larger direction; both optimal tests are thresholds on the noisy sum."""
    s = sigma

    def insert() -> Any:  # N(0) against the mixture
        excess = (mp.exp(-eps) - 1 + q) / q
        if excess <= 0:
            return F(0)
        cut = s**2 * mp.log(excess) + F(1) / 2
        return mp.ncdf(cut / s) - mp.exp(eps) * ((1 - q) * mp.ncdf(cut / s) + q * mp.ncdf((cut - 1) / s))

    return max(removed(q, s, eps), insert())


def sampled_gaussians() -> None:
    source = MTZ + ", Theorem 5; closed form of one step"
    for q, sigma, delta in (
        ("0.01", "1", "1e-6"),
        ("0.1", "1", "1e-5"),
        ("0.1", "4", "1e-5"),
        ("0.5", "2", "1e-6"),
        ("0.001", "0.8", "1e-7"),
        ("0.9", "1", "1e-5"),
    ):
        eps = solve(lambda e, q=q, sigma=sigma: sampled_delta(F(q), F(sigma), e), delta)
        add("epsilon", eps, [sampled(q, sigma)], source, at=delta, tolerance=2e-3)
    for q, sigma, at in (("0.01", "1", "0.3"), ("0.1", "1", "0.5"), ("0.5", "1", "1"), ("0.2", "0.5", "2")):
        add("delta", sampled_delta(F(q), F(sigma), F(at)), [sampled(q, sigma)], source, at=at, tolerance=2e-3)
    with mp.workdps(18):
        for q, sigma, at in (("0.1", "1", "0.6"), ("0.3", "2", "0.4"), ("0.2", "0.5", "3")):
            source_two = MTZ + "; quadrature over the first of two steps, removal"
            value = removed_twice(F(q), F(sigma), F(at))
            add("delta", value, [sampled(q, sigma, 2)], source_two, at=at, tolerance=2e-3, method="mpmath, quadrature")


def removed(q: Any, sigma: Any, eps: Any) -> Any:
    """One step, (1 - q) N(0) + q N(1) against N(0)."""
    excess = (mp.exp(eps) - 1 + q) / q
    if excess <= 0:
        return -mp.expm1(eps)
    cut = sigma**2 * mp.log(excess) + F(1) / 2
    return q * mp.ncdf((1 - cut) / sigma) + (1 - q - mp.exp(eps)) * mp.ncdf(-cut / sigma)


def removed_twice(q: Any, sigma: Any, eps: Any) -> Any:
    """E over the first step's loss of the second step's curve; the integrand has a kink where every outcome counts."""

    def integrand(x: Any) -> Any:
        loss = mp.log(1 - q + q * mp.exp((2 * x - 1) / (2 * sigma**2)))
        return ((1 - q) * mp.npdf(x, 0, sigma) + q * mp.npdf(x, 1, sigma)) * removed(q, sigma, eps - loss)

    target = mp.exp(eps - mp.log(1 - q)) - 1 + q
    kink = sigma**2 * mp.log(target / q) + F(1) / 2
    return mp.quad(integrand, sorted([*mp.linspace(-11 * sigma, 1 + 11 * sigma, 9), kink]))
