"""Renyi divergences from their definition, and zCDP with its conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp

from tests.accounting.answers.book import CKS_CONVERSION, DDR, MIRONOV, MTZ, SQRT2, F, add, golden, solve
from tests.accounting.answers.choices import response
from tests.accounting.answers.noise import dgauss, discrete_gaussian, discrete_laplace, gaussian
from tests.accounting.answers.sampling import sampled


def renyi() -> None:
    def log_mean(p: Callable[[Any], Any], q: Callable[[Any], Any], order: Any, points: list[Any]) -> Any:
        return mp.log(mp.quad(lambda x: p(x) ** order * q(x) ** (1 - order), points)) / (order - 1)

    for sigma, order in (("1", "2"), ("3", "17"), ("0.5", "1.5")):
        add("renyi", F(order) / (2 * F(sigma) ** 2), [gaussian(sigma)], MIRONOV, at=order, tolerance=1e-9)
    for scale, order in (("1", "2"), ("1", "1.3"), ("4", "9"), ("0.7", "5.5"), ("20", "64")):
        a, o = 1 / F(scale), F(order)
        value = log_mean(
            lambda x: mp.exp(-abs(x)) / 2, lambda x, a=a: mp.exp(-abs(x - a)) / 2, o, [-60, 0, a / 2, a, 60 + 3 * a]
        )
        event = {"type": "laplace", "scale": scale, "l1_sensitivity": "1"}
        add("renyi", value, [event], MIRONOV, at=order, tolerance=1e-7, method="mpmath, quadrature of the definition")
    for eps, order in (("0.5", "2"), ("1", "8"), ("0.1", "1.2"), ("2", "33")):
        value = mp.log(mp.fsum(p * mp.exp((F(order) - 1) * loss) for loss, p in response(eps))) / (F(order) - 1)
        add("renyi", value, [{"type": "pure_dp", "epsilon": eps}], MIRONOV, at=order, tolerance=1e-9)
    for scale, change, order in (("2", 1, "4"), ("3", 5, "2.5"), ("0.8", 2, "12")):
        value = mp.log(mp.fsum(p * mp.exp((F(order) - 1) * loss) for loss, p in discrete_laplace(scale, change))) / (
            F(order) - 1
        )
        event = {"type": "discrete_laplace", "scale": scale, "l1_sensitivity": str(change)}
        add("renyi", value, [event], "the definition, summed", at=order, tolerance=1e-9)
    for eta, order in (("0.2", "3"), ("1", "1.5"), ("1", "16"), ("3", "2"), ("0.05", "200")):
        o, e = F(order), F(eta)
        value = golden(lambda t, o=o, e=e: mp.log(two_outcomes_power(e, t, o)) / (o - 1), e)
        event = {"type": "exponential", "bounded_range": eta}
        add("renyi", value, [event], DDR, at=order, tolerance=1e-7, method="mpmath, supremum over t by golden section")
    # Never above alpha / (2 sigma^2), which integer orders attain: a lower bound on what the accountant may say.
    for sigma, order in (("0.5", "1.5"), ("1", "2"), ("0.6", "2.5"), ("2", "7")):
        o, s = F(order), F(sigma)
        losses = discrete_gaussian(sigma, 1, 40)
        value = mp.log(mp.fsum(p * mp.exp((o - 1) * loss) for loss, p in losses)) / (o - 1)
        add(
            "renyi",
            value,
            [dgauss(sigma, "1")],
            "Canonne, Kamath and Steinke 2020, Theorem 4; the definition, summed",
            at=order,
            bound="lower",
        )
    for q, sigma, order in (
        ("0.01", "1", "2"),
        ("0.01", "1", "32"),
        ("0.1", "2", "5"),
        ("0.02", "0.8", "3.5"),
        ("0.5", "3", "1.5"),
        ("0.001", "1.1", "10"),
    ):
        p, s, o = F(q), F(sigma), F(order)
        with mp.workdps(25):
            ratio = lambda x, p=p, s=s: 1 - p + p * mp.exp((2 * x - 1) / (2 * s**2))  # noqa: E731
            points = [-12 * s, 0, o / 2, o, o + 12 * s]
            value = mp.log(mp.quad(lambda x, s=s, o=o, ratio=ratio: mp.npdf(x, 0, s) * ratio(x) ** o, points)) / (o - 1)
        add(
            "renyi",
            value,
            [sampled(q, sigma)],
            MTZ,
            at=order,
            tolerance=1e-6,
            method="mpmath, quadrature of the definition",
        )


def two_outcomes_power(eta: Any, t: Any, order: Any) -> Any:
    p = (mp.exp(eta) - mp.exp(t)) / mp.expm1(eta)
    return p * mp.exp((order - 1) * t) + (1 - p) * mp.exp((order - 1) * (t - eta))


def concentrated() -> None:
    def log_delta(rho: Any, eps: Any) -> Any:
        f = lambda o: (o - 1) * (o * rho - eps) - mp.log(o - 1) + o * mp.log(1 - 1 / o)  # noqa: E731
        slope = lambda o: (2 * o - 1) * rho - eps + mp.log(1 - 1 / o)  # noqa: E731, derivative of f; increasing
        low, high = F("1.0000001"), F(2)
        while slope(high) < 0:
            high *= 2
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) < 0 else (low, middle)
        return f(high)

    for rho, delta in (
        ("0.001", "1e-5"),
        ("0.01", "1e-6"),
        ("0.1", "1e-5"),
        ("0.25", "1e-9"),
        ("1", "1e-6"),
        ("2.5", "1e-5"),
        ("0.005", "1e-12"),
    ):
        r = F(rho)
        eps = solve(lambda e, r=r: mp.exp(log_delta(r, e)), delta)
        event = {"type": "zcdp_filter", "rho": rho, "count": 1}
        add("epsilon", eps, [event], CKS_CONVERSION, at=delta, tolerance=2e-5)
    for event, rho in (
        (gaussian("4", "1"), F(1) / 32),
        (gaussian("3", "2"), F(2) / 9),
        (dgauss("5", SQRT2), F(1) / 25),
        ({"type": "pure_dp", "epsilon": "0.3"}, F("0.045")),
        ({"type": "laplace", "scale": "4", "l1_sensitivity": "1"}, F(1) / 32),
        ({"type": "discrete_laplace", "scale": "4", "l1_sensitivity": "2"}, F(1) / 8),
        ({"type": "exponential", "bounded_range": "0.4"}, F("0.02")),
        ({"type": "zcdp_filter", "rho": "0.7"}, F("0.7")),
    ):
        name = "Bun and Steinke 2016; Cesar and Rogers 2021; Canonne, Kamath and Steinke 2020"
        add("rho", rho, [event], name, tolerance=1e-12, method="exact arithmetic")
