"""Work of which only a bound is known: pure and approximate DP, and filters."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from accounting.events.fields import Checked, Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class PureDP(Checked):
    """Anything whose loss never exceeds epsilon, such as randomized response."""

    type_name: ClassVar[str] = "pure_dp"

    epsilon: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproxDP(Checked):
    """Anything that is (epsilon, delta)-DP and says no more: what another library's accountant reports of a query.

    Worst is the mechanism that gives a unit away with probability delta and is randomized response otherwise (Kairouz,
    Oh and Viswanath 2015, Theorem 3.3 proof), so delta is an atom at infinite loss beside `PureDP(epsilon)`.
    """

    type_name: ClassVar[str] = "approx_dp"

    epsilon: Decimal
    delta: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZCDPFilter(Checked):
    """Steps whose kind, number and noise were chosen from earlier outputs, while their zCDP added up to at most `rho`.

    Theorem (Feldman and Zrnic 2021, Theorem 4.3; Whitehouse, Ramdas, Rogers and Wu 2023, Theorem 1): if each step is
    rho_t-zCDP given the outputs before it, and sum_t rho_t <= rho for every course of events, then all steps together
    are rho-zCDP, as if all had been fixed beforehand. Sketch: with l_t the loss of step t and alpha > 1,
    exp((alpha - 1)(sum_{s<=t} l_s - alpha sum_{s<=t} rho_s)) is a non-negative supermartingale that starts at one, so
    E[exp((alpha - 1) sum_t l_t)] <= exp((alpha - 1) alpha rho): the Renyi divergence is at most alpha rho.

    Only the bound enters the price, never what ran: a filter that was not used up costs what it might have spent.
    `accounting.filters` enforces the bound while the steps run.
    """

    type_name: ClassVar[str] = "zcdp_filter"

    rho: Decimal
    count: int = 1
    noise: Noise = "exact"
