"""What a budget affords, before anything runs: the clip C for a batch size s and T tokens.

By zCDP (a token costs rho = (C / (s tau))^2 / 2 under add_remove, summed bins):

    C = s tau sqrt(2 rho / T),   with a sparse vector test   C = s tau sqrt(2 (rho / T - 2 / (s sigma)^2))

The accountant that charges prices the same events as a block and finds a C that is 5 to 10 % larger; this table is for
choosing s and T. A bin whose s rows all agree can move the log-odds of two tokens by 2 C / tau: that is the most that
private text can say, and where it is below `LEAST_SHIFT` (odds times 1.1) a run is refused: it would be paid for and
the texts would be the public model's.

>>> round(clip_for(zcdp_of(10.0, 1e-6), batch_size=7, tokens=500, temperature=1.1), 2)    # InvisibleInk, B = 8
0.6
>>> table = feasible(1.0, 1e-6, batch_sizes=(3, 63), tokens=(500,))
>>> [(row.batch_size, round(row.shift, 2), row.feasible) for row in table]
[(3, 0.06, False), (63, 1.24, True)]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from accounting.zcdp import zcdp_epsilon
from dpsynth.core.errors import ParameterError

LEAST_SHIFT = math.log(1.1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Afforded:
    """One line of the planning table.

    Attributes:
        epsilon: of all tokens, at the delta asked for; add/remove one unit.
        batch_size: s.
        tokens: T, of one bin.
        clip: C; 0 where the test against the public model alone costs more.
        shift: 2 C / tau, nats: the most that the rows of a bin, all agreeing, move the log-odds of two tokens.
    """

    epsilon: float
    batch_size: int
    tokens: int
    clip: float
    shift: float

    @property
    def feasible(self) -> bool:
        """Whether private text is heard at all."""
        return self.shift >= LEAST_SHIFT


def zcdp_of(epsilon: float, delta: float) -> float:
    """The rho whose optimised conversion is epsilon at delta."""
    low, high = 0.0, epsilon + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if zcdp_epsilon(middle, delta) <= epsilon else (low, middle)
    return low


def clip_for(
    rho: float, *, batch_size: int, tokens: int, temperature: float, sparse_sigma: float | None = None, moved: int = 1
) -> float:
    """C that zCDP affords; 0 if none.

    Args:
        rho: zCDP of one bin.
        batch_size: s.
        tokens: T, private tokens of one bin.
        temperature: tau.
        sparse_sigma: scale of the sparse vector test, if there is one.
        moved: 1 for add_remove and zero_out over summed bins, 2 for replace_one.
    """
    test = 0.0 if sparse_sigma is None else 2 * (moved / (batch_size * sparse_sigma)) ** 2
    left = rho / tokens - test
    return batch_size * temperature * math.sqrt(2 * left) / moved if left > 0 else 0.0


def feasible(
    epsilon: float,
    delta: float,
    *,
    batch_sizes: Sequence[int] = (7, 15, 31, 63, 127, 255),
    tokens: Sequence[int] = (50, 100, 200, 500),
    temperature: float = 1.0,
    sparse_sigma: float | None = None,
) -> tuple[Afforded, ...]:
    """The planning table, by zCDP alone; milliseconds.

    Args:
        epsilon: target, add/remove one unit.
        delta: of the target.
        batch_sizes: s to try.
        tokens: T to try.
        temperature: tau.
        sparse_sigma: scale of a sparse vector test, for mean-clip.
    """
    rho = zcdp_of(epsilon, delta)
    rows = []
    for s in batch_sizes:
        for length in tokens:
            clip = clip_for(rho, batch_size=s, tokens=length, temperature=temperature, sparse_sigma=sparse_sigma)
            rows.append(Afforded(epsilon=epsilon, batch_size=s, tokens=length, clip=clip, shift=2 * clip / temperature))
    return tuple(rows)


def refuse_idle(clip: float, *, batch_size: int, tokens: int, temperature: float) -> None:
    """Refuse a clip under which a whole bin is not heard.

    Raises:
        ParameterError: with the batch size and the length that would do.
    """
    shift = 2 * clip / temperature
    if shift >= LEAST_SHIFT:
        return
    enough = math.ceil(batch_size * LEAST_SHIFT / shift)
    short = math.floor(tokens * (shift / LEAST_SHIFT) ** 2)
    shorter = f"or texts of {short} tokens, " if short >= 1 else ""
    raise ParameterError(
        f"A clip of {clip:.3g} lets all records of a bin raise a token's odds by {math.expm1(shift):.1%} at most: "
        "the texts would be the public model's, and paid for.",
        f"Use a batch size of {enough}, {shorter}or more epsilon.",
    )


def refuse_test(rho: float, *, batch_size: int, tokens: int, sigma: float) -> None:
    """Refuse a sparse vector test that costs more than there is.

    Raises:
        ParameterError: with the batch size, the length and the sigma that would do.
    """
    each = 2 / (batch_size * sigma) ** 2
    if tokens * each < rho:
        return
    enough = math.floor(math.sqrt(2 * tokens / rho) / sigma) + 1
    raise ParameterError(
        f"The test against the public model alone costs {tokens * each:.3g} zCDP of {rho:.3g}: no clip is affordable.",
        f"Use a batch size of {enough} at least, fewer private tokens, or a larger sigma.",
    )
