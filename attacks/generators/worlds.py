"""Shadow worlds: tables of one population that differ in who of a few targets is in them.

World i draws its rows from a pool and adds each target by a fair coin of its own, so one fit serves all targets: seen
from one of them, the others and the rows are part of the randomness. The first worlds train the attack, with rows that
the attacker has: an auxiliary sample of the population, or a release (Guepin et al. 2023, arXiv 2307.01701). The rest
are what the attack is judged on, with rows of the real table. No coin looks at a row, and targets are the most exposed
of the real rows by numbers that know neither coins nor releases.

The coins are independent, and a target joins or does not: two worlds that differ in one coin are neighbours under
add/remove of one record. If every fit is (epsilon, delta)-differentially private, then so are all fits together with
regard to each single coin, which is what the bounds on epsilon rest on.

Not guaranteed: that the exposed are the most vulnerable (Meeus et al. 2023); a worse target may exist.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.encoding import Encoded, encode
from attacks.errors import AttackInputError
from attacks.protocol import Roles, Stratum
from attacks.targets import EXPOSURES

CANDIDATES = 20_000
STRATA: tuple[Stratum, ...] = ("tail", "rare", "all")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Worlds:
    """What every fit is made from.

    Attributes:
        training: pool of the worlds that train the attack.
        evaluation: pool of the others; no target is in either.
        targets: one row a target.
        strata: of each target: `tail`, `rare`, or `all` for one drawn at random.
        coins: whether the target is in the world, shape (worlds, targets).
        shadows: how many worlds, the first ones, train.
        rows: rows a world, targets not counted.
        seed: of the draws.
    """

    training: pd.DataFrame
    evaluation: pd.DataFrame
    targets: pd.DataFrame
    strata: tuple[Stratum, ...]
    coins: NDArray[np.bool_]
    shadows: int
    rows: int
    seed: int

    def __len__(self) -> int:
        return len(self.coins)

    def pool(self, world: int) -> pd.DataFrame:
        """The rows that this world draws from."""
        return self.training if world < self.shadows else self.evaluation

    def drawn(self, world: int) -> NDArray[np.intp]:
        """Which rows of its pool the world holds."""
        size = len(self.pool(world))
        return rng_of(self.seed, "rows", world).permutation(size)[: self.rows]

    def table(self, world: int) -> pd.DataFrame:
        """The table to fit, in random order."""
        joined = pd.concat(
            [self.pool(world).iloc[self.drawn(world)], self.targets[self.coins[world]]], ignore_index=True
        )
        order = rng_of(self.seed, "order", world).permutation(len(joined))
        return joined.iloc[order].reset_index(drop=True)

    def digest(self) -> str:
        """SHA-256 of all that decides the tables."""
        found = hashlib.sha256(f"{self.seed} {self.rows} {self.shadows} {self.coins.shape}".encode())
        for frame in (self.training, self.evaluation, self.targets):
            found.update(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
            found.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return found.hexdigest()


def rng_of(seed: int, name: str, *more: int) -> np.random.Generator:
    """A generator of its own for each purpose."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *more])


def toss(worlds: int, targets: int, seed: int) -> NDArray[np.bool_]:
    """A fair coin for every world and target."""
    return rng_of(seed, "coins").integers(0, 2, size=(worlds, targets)).astype(bool)


def choose_targets(
    real: pd.DataFrame, reference: pd.DataFrame, *, each: int, roles: Roles, seed: int
) -> tuple[NDArray[np.intp], tuple[Stratum, ...]]:
    """The most isolated, those with the rarest combination of values, and random people; `each` of a kind.

    Args:
        real: aligned rows to choose from.
        reference: aligned rows among which they are exposed; may be the same table.
        each: how many of each kind.
        roles: roles of columns.
        seed: of random choices and of the order of ties.

    Raises:
        AttackInputError: fewer rows than targets.
    """
    rng = rng_of(seed, "targets")
    rows = rng.permutation(len(real))[:CANDIDATES]
    if len(rows) < each * len(STRATA):
        raise AttackInputError("The real table has fewer rows than there are targets.", "Ask for fewer targets.")
    encoded, layout = encode({"real": real.iloc[rows], "reference": reference}, scale_on="reference")
    people: Encoded = encoded["real"]
    chosen: list[int] = []
    strata: list[Stratum] = []
    for stratum in STRATA:
        values = rng.random(len(rows))
        if stratum in EXPOSURES:
            values = EXPOSURES[stratum](people, encoded["reference"], layout, roles)
        values[chosen] = -np.inf
        found = np.argsort(-values, kind="stable")[:each]
        chosen += found.tolist()
        strata += [stratum] * each
    return rows[chosen], tuple(strata)
