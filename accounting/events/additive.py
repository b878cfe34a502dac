"""Noise added to numbers: Gaussian and Laplace, continuous and discrete, and keys released by a noisy count."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from accounting.errors import EventError
from accounting.events.fields import Checked, Noise, check_integer_change, squared_change


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian(Checked):
    """Real-valued query plus continuous N(0, sigma^2) on each coordinate."""

    type_name: ClassVar[str] = "gaussian"

    sigma: Decimal
    l2_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteGaussian(Checked):
    """Integer query plus Pr[j] proportional to exp(-j^2 / (2 sigma^2)) on each coordinate."""

    type_name: ClassVar[str] = "discrete_gaussian"

    sigma: Decimal
    l2_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        check_integer_change(self.l2_sensitivity, "l2_sensitivity")

    @property
    def squared_change(self) -> int:
        """Largest squared L2 norm of the integer change vector."""
        return squared_change(self.l2_sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace(Checked):
    """Real-valued query plus density proportional to exp(-|x| / scale) on each coordinate."""

    type_name: ClassVar[str] = "laplace"

    scale: Decimal
    l1_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteLaplace(Checked):
    """Integer query plus Pr[j] proportional to exp(-|j| / scale) on each coordinate."""

    type_name: ClassVar[str] = "discrete_laplace"

    scale: Decimal
    l1_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        check_integer_change(self.l1_sensitivity, "l1_sensitivity")

    @property
    def change(self) -> int:
        """Largest L1 norm of the integer change vector."""
        return int(self.l1_sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSelection(Checked):
    """Keys released with their discrete-Gaussian noisy count if that reaches `threshold`; empty keys never.

    Two neighbours differ in the counts of at most `max_keys` keys, and by at most `l2_sensitivity` in all.
    """

    type_name: ClassVar[str] = "partition_selection"

    sigma: Decimal
    threshold: Decimal
    l2_sensitivity: Decimal
    max_keys: int
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        check_integer_change(self.l2_sensitivity, "l2_sensitivity")
        if self.threshold <= self.l2_sensitivity:
            raise EventError(
                "Expected threshold > l2_sensitivity: otherwise one unit alone releases its own key.",
                "Raise the threshold by several sigma.",
            )

    @property
    def squared_change(self) -> int:
        """Largest squared L2 norm of the integer change vector over all keys."""
        return squared_change(self.l2_sensitivity)
