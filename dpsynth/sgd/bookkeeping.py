"""One forward, one activation-only backward, then clipped sums for any layers: book-keeping (Bu et al. 2023).

A network records, for some rows, a `Tape`: what went into each layer and the loss's derivative at what came out, row by
row, without any weight gradient. The norms follow from the tape (`norms`), the factors from the norms (`clipping`), and
each weight gradient is one matrix product of the tape with the rows' factors: never one gradient a record.

    units of one row          closed forms
    units of up to MEETING    exact joint norms by Gram products over their rows; units of equal size go together
    larger units              the unit's own summed gradient, block of rows by block of rows, clipped as it is

The last needs no more memory than one parameter set and has no limit on the rows of a unit. A unit whose norm is not
finite gets factor 0, and what it recorded is put to 0 before any sum, as 0 times NaN is NaN.

>>> import torch
>>> [(numbers.tolist(), index.tolist()) for numbers, index in by_size(torch.tensor([0, 1, 1, 2]))]
[([0, 2], [[0], [3]]), ([1], [[1, 2]])]

Not guaranteed: that a tape's layers see nothing but their own rows; `tests/conformance/network.py` checks a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from dpsynth.sgd.clipping import clip_factors

if TYPE_CHECKING:
    from torch import Tensor

MEETING = 16
"""Rows of a unit up to which the Gram form is used: cheaper than single sums, and float32 keeps the norm to 1e-4."""


CANCELLED = 64.0
"""Below this part of its rows' norms added up, a unit's Gram norm is not trusted: 64^2 roundings are 2^-11 of it."""


class Tape(Protocol):
    """What one pass over rows left behind."""

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Squared gradient norm of each unit.

        Args:
            index: int64, the rows of each unit, shape (units, rows of each); None if row r is unit r.
        """

    def keep(self, rows: Tensor) -> None:
        """Put to 0 what the rows left that are False here, shape (rows,)."""

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Name -> gradient of the sum of the rows' losses, each times its factor, shape (rows,); 0 off `live`."""


def clipped_sum(
    record: Callable[[Tensor], Tape], rows: Tensor, units: Tensor | None, clip: float, *, physical: int
) -> tuple[dict[str, Tensor], Tensor]:
    """`Network.clipped_sum` for a network that can record a tape of some rows.

    Args:
        record: forward and backward over rows.
        rows: int64 codes, shape (rows, columns); at least one row.
        units: int64, ascending, 0 … m-1, shape (rows,); None if every row is a unit.
        clip: bound on a unit's L2 norm.
        physical: rows of one tape at most (memory).

    Returns:
        name -> summed clipped gradient, and norms, shape (m,).
    """
    import torch

    total: dict[str, Tensor] = {}
    if units is None:
        norms = []
        for start in range(0, len(rows), physical):
            tape = record(rows[start : start + physical])
            norms.append(torch.sqrt(tape.squared_norms(None)))
            _add(total, _clipped(tape, norms[-1], clip))
        return total, torch.cat(norms)
    count = int(units[-1]) + 1
    sizes = torch.bincount(units, minlength=count)
    found = torch.zeros(count, dtype=torch.float32, device=rows.device)
    meeting = min(MEETING, physical)
    for first, last in _pieces(sizes.tolist(), meeting, physical):
        inside = slice(int(sizes[:first].sum()), int(sizes[:last].sum()))
        if last - first == 1 and int(sizes[first]) > meeting:
            gradient = _alone(record, rows[inside], physical)
            found[first] = torch.sqrt(torch.stack([part.square().sum() for part in gradient.values()]).sum())
            factor = clip_factors(found[first : first + 1], clip)[0]
            if bool(factor > 0):
                _add(total, {name: factor * part for name, part in gradient.items()})
            else:
                _add(total, {name: torch.zeros_like(part) for name, part in gradient.items()})
            continue
        tape, own = record(rows[inside]), units[inside] - first
        for numbers, index in by_size(own):
            found[first + numbers] = torch.sqrt(tape.squared_norms(index))
        _settle(tape, found[first:last], own, clip)
        _add(total, _clipped(tape, found[first:last], clip, own))
    return total, found


def by_size(units: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Units of equal size together.

    Args:
        units: int64, ascending, 0 … m-1, shape (rows,).

    Yields:
        numbers of the units, shape (u,), and their rows, shape (u, size).
    """
    import torch

    sizes = torch.bincount(units)
    starts = torch.cumsum(sizes, 0) - sizes
    for size in torch.unique(sizes[sizes > 0]).tolist():
        numbers = (sizes == size).nonzero().squeeze(1)
        yield numbers, starts[numbers, None] + torch.arange(size, device=units.device)


def _pieces(sizes: list[int], meeting: int, physical: int) -> Iterator[tuple[int, int]]:
    """Ranges of units: whole ones of up to `physical` rows together, and each larger than `meeting` on its own."""
    first, rows = 0, 0
    for unit, size in enumerate(sizes):
        if size > meeting:
            if unit > first:
                yield first, unit
            yield unit, unit + 1
            first, rows = unit + 1, 0
        elif rows + size > physical:
            yield first, unit
            first, rows = unit, size
        else:
            rows += size
    if first < len(sizes):
        yield first, len(sizes)


def _alone(record: Callable[[Tensor], Tape], rows: Tensor, physical: int) -> dict[str, Tensor]:
    """Gradient of one unit, summed over its rows."""
    total: dict[str, Tensor] = {}
    for start in range(0, len(rows), physical):
        block = rows[start : start + physical]
        _add(total, record(block).weighted_sum(block.new_ones(len(block)).float()))
    return total


def _settle(tape: Tape, norms: Tensor, own: Tensor, clip: float) -> None:
    """Norms of units whose rows cancel each other, again from the unit's own sum; in place.

    Gram products round in proportion to the squared sum S^2 of the rows' norms, so a norm far below S may be wrong by
    more than the margin of the clip. It matters only where the clip is far below S too.
    """
    import torch

    rows = torch.sqrt(tape.squared_norms(None))
    together = torch.zeros_like(norms).index_add_(0, own, rows)
    doubtful = (norms < together / CANCELLED) & (clip < together / CANCELLED)
    if not bool(doubtful.any()):
        return
    tape.keep(torch.isfinite(norms)[own])
    for unit in doubtful.nonzero().squeeze(1).tolist():
        gradient = tape.weighted_sum((own == unit).to(torch.float32))
        norms[unit] = torch.sqrt(torch.stack([part.square().sum() for part in gradient.values()]).sum())


def _clipped(tape: Tape, norms: Tensor, clip: float, own: Tensor | None = None) -> dict[str, Tensor]:
    factors = clip_factors(norms, clip)
    if own is not None:
        factors = factors[own]
    kept = factors > 0
    if not bool(kept.all()):
        tape.keep(kept)
    return tape.weighted_sum(factors)


def _add(total: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    for name, part in more.items():
        total[name] = total[name].add_(part) if name in total else part
