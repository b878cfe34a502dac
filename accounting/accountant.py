"""What an accountant is: a pure function from an event tree and a delta to the epsilon it can prove.

`accounting.crosscheck` asks all of them, charges the smallest answer and refuses to charge when two contradict
each other. An accountant that has no proof for an event raises; it never guesses and never falls back.

>>> split_delta(1e-5, 2e-6)
8.000016...e-06

Deltas of partition selection are atoms at infinite loss, the same for every accountant: with atoms of total mass d,
delta(eps) = d + (1 - d) delta_rest(eps), so the rest is priced at (delta - d) / (1 - d).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from accounting.errors import DeltaTooSmallError
from accounting.event import EventTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One accountant's answer for one tree at one delta.

    Args:
        epsilon: proved upper bound, relation and unit of the tree; may be infinite, never NaN.
        tight: False if this accountant gave accuracy away (sub-blocks, coarse grid), so that exceeding another
            accountant is no contradiction.
    """

    epsilon: float
    tight: bool = True


class Accountant(Protocol):
    """Named source of opinions."""

    @property
    def name(self) -> str:
        """What the ledger records, e.g. "rdp/own-1": method, implementation, version."""

    def opinion(self, tree: EventTree, delta: float) -> Opinion:
        """Epsilon of `tree` at `delta` in [0, 1), relation and unit of the tree.

        Raises:
            UnsupportedEventError: if no proof covers an event.
            DeltaTooSmallError: if partition selection alone spends `delta`.
        """


def split_delta(delta: float, atoms: float) -> float:
    """What is left of `delta` for everything but the atoms of mass `atoms` at infinite loss.

    Raises:
        DeltaTooSmallError: if nothing is left.
    """
    if atoms <= 0:
        return delta
    if delta <= atoms:
        raise DeltaTooSmallError(
            f"Partition selection alone spends delta {atoms:.3g} of {delta:.3g}.",
            "Raise its threshold, or grant a larger delta.",
        )
    return (delta - atoms) / (1 - atoms)
