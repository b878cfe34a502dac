"""Which people are attacked, where there are more than can be: a random sample, of people and not of their rows.

Members and nonmembers are drawn apart and alike, with the seed of the run, so scores stay exchangeable between the two
and a sampled pass says less, not something else: what it would have caught is measured on the sample (the positive
control plants copies of the sampled members), and the report says how many were drawn.

Units are drawn by the smallest hashes of their names under the seed: one pass finds the hashes, another the rows, and
neither holds more than the units that are drawn.

>>> people = pd.DataFrame({"who": np.repeat(np.arange(1000), 3), "x": 0})
>>> some = sampled(people, 20, unit="who", rng=np.random.default_rng(0))
>>> len(some), some["who"].nunique()
(60, 20)

Not guaranteed: that a person whom a leak concerns is among those drawn.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.encoding import mixed
from attacks.errors import AttackInputError, AttackParameterError
from attacks.released import Released, Rows

TARGETS = 20_000
"""Members, and nonmembers, that are drawn from files of more rows unless the caller says how many."""


def sampled(
    rows: Rows, targets: int | None, *, unit: Hashable | None, rng: np.random.Generator, name: str = "members"
) -> pd.DataFrame:
    """At most `targets` random rows, or the rows of so many random units; a frame is left whole if none are named.

    Args:
        rows: a frame or Parquet.
        targets: how many; None for all of a frame and for `TARGETS` of files.
        unit: column that says whose row it is.
        rng: what decides; not used if all are taken.
        name: what errors call the table.

    Raises:
        AttackInputError: Parquet that cannot be read, or that lacks the unit column.
        AttackParameterError: fewer than two targets.
    """
    if targets is not None and targets < 2:
        raise AttackParameterError(f"Expected two targets or more, got {targets}.", "Ask for thousands.")
    if targets is None and isinstance(rows, pd.DataFrame):
        return rows
    source, most = Released.of(rows, name=name), TARGETS if targets is None else targets
    if unit is None or source.rows <= most:
        return source.drawn(most, rng, source.columns)
    if unit not in source.columns:
        raise AttackInputError(f"A role names the column {str(unit)!r}, which the tables lack.", "Correct the roles.")
    salt, kept = int(rng.integers(2**62)), np.zeros(0, dtype=np.uint64)
    for block in source.blocks([unit]):
        kept = np.unique(np.concatenate([kept, _hashes(block[unit], salt)]))[:most]
    found = [
        block[np.isin(_hashes(block[unit], salt), kept, assume_unique=False)] for block in source.blocks(source.columns)
    ]
    return pd.concat(found, ignore_index=True)


def _hashes(units: pd.Series, salt: int) -> NDArray[np.uint64]:
    plain = pd.util.hash_pandas_object(units.astype(object), index=False).to_numpy()
    return mixed(plain, str(salt))
