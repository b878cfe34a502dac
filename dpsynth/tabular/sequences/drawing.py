"""People from a trained network: how many rows each has, what stays the same, then row after row.

Numbers of rows follow the released histogram by systematic rounding, so a sample has them as released up to one person
each; the network has no say. Constant columns are drawn at the first row and copied. Post-processing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.finishing.raking import drawn_by_weight
from dpsynth.tabular.networks.drawing import code_of_each, masses_of
from dpsynth.tabular.sequences.transitions import TransitionState

BLOCK = 4096
"""People drawn at once."""
FEWEST = 500
"""People drawn at once to meet a condition."""
TRIES = 200
"""Times that as many are drawn before a condition counts as met by nobody."""

Ints = NDArray[np.int64]


def lengths_for(rows: int, shares: NDArray[np.float64], rng: np.random.Generator) -> Ints:
    """Numbers of rows of people who have `rows` rows in all, shape (people,); by shares of 1 … k.

    The last few rows that rounding leaves over, or lacks, go to one person more, or are taken from one.
    """
    if rows < 1:
        return np.zeros(0, dtype=np.int64)
    most = len(shares)
    people = max(1, round(rows / float(shares @ np.arange(1, most + 1))))
    lengths = (drawn_by_weight(shares, people, rng) + 1).tolist()
    left = rows - sum(lengths)
    while left > 0:
        lengths.append(min(left, most))
        left -= lengths[-1]
    while left < 0:
        taken = lengths.pop()
        left += taken
        if left > 0:
            lengths.append(left)
            left = 0
    return np.array(lengths, dtype=np.int64)


@final
class People:
    """Draws codes of people.

    Args:
        state: a trained network.
    """

    def __init__(self, state: TransitionState) -> None:
        self._state = state
        self._ends = np.concatenate([[0], np.cumsum(state.sizes)]).tolist()
        squares = [size**2 for size in state.sizes[state.constant :]]
        parts = np.split(state.arrays["previous"], np.cumsum(squares)[:-1]) if squares else []
        shapes = state.sizes[state.constant :]
        self._previous = [part.reshape(size, size) for part, size in zip(parts, shapes, strict=True)]

    def constants(
        self, lengths: Ints, rng: np.random.Generator, evidence: Mapping[int, NDArray[np.float64]]
    ) -> tuple[Ints, Ints]:
        """People who meet conditions on constant columns and have as many rows in all as people of these lengths would.

        People are drawn and left out until enough are left, so who meets a condition has the number of rows that such
        people have; the last one gives up rows beyond the total.

        Args:
            lengths: numbers of rows to draw people with, shape (people,).
            rng: random numbers.
            evidence: number of a constant column -> weight of each code, 0 to 1.

        Returns:
            Lengths, shape (people,), and codes, shape (people, constant columns).

        Raises:
            ParameterError: hardly anybody meets the conditions.
        """
        if not evidence or not len(lengths):
            return lengths, self._first(lengths, rng)
        found_lengths, found_codes, have, tried = [], [], 0, 0
        candidates = np.resize(rng.permutation(lengths), max(len(lengths), FEWEST))
        possible = all(shares.any() for shares in evidence.values())
        while have < lengths.sum():
            if not possible or tried > TRIES * len(candidates):
                raise ParameterError(
                    "The model knows hardly anybody who meets the condition.", "Ask for a wider range or other values."
                )
            codes = self._first(candidates, rng)
            kept = np.ones(len(candidates), dtype=bool)
            for column, shares in evidence.items():
                kept &= rng.random(len(candidates)) < shares[codes[:, column]]
            found_lengths.append(candidates[kept])
            found_codes.append(codes[kept])
            have, tried = have + int(candidates[kept].sum()), tried + len(candidates)
        every = np.concatenate(found_lengths)
        ends = np.cumsum(every)
        people = int(np.searchsorted(ends, lengths.sum())) + 1
        every = every[:people].copy()
        every[-1] -= ends[people - 1] - lengths.sum()
        return every, np.concatenate(found_codes)[:people]

    def rows(self, lengths: Ints, constants: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Codes of all rows, person by person and in order, shape (rows, columns); and their positions, 0 …"""
        parts = [
            self._block(lengths[start : start + BLOCK], constants[start : start + BLOCK], rng)
            for start in range(0, len(lengths), BLOCK)
        ]
        position = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        empty = np.zeros((0, len(self._state.sizes)), dtype=np.int64)
        return np.concatenate([empty, *parts]), position

    def _first(self, lengths: Ints, rng: np.random.Generator) -> Ints:
        parts = [np.zeros((0, self._state.constant), dtype=np.int64)]
        for start in range(0, len(lengths), BLOCK):
            logits = self._logits(0, lengths[start : start + BLOCK])
            codes = np.zeros((len(logits), self._state.constant), dtype=np.int64)
            for column in range(self._state.constant):
                codes[:, column] = self._next(logits, column, None, rng)
            parts.append(codes)
        return np.concatenate(parts)

    def _block(self, lengths: Ints, constants: Ints, rng: np.random.Generator) -> Ints:
        starts = np.cumsum(lengths) - lengths
        made = np.zeros((int(lengths.sum()), len(self._state.sizes)), dtype=np.int64)
        for step in range(int(lengths.max(initial=0))):
            alive = np.flatnonzero(lengths > step)
            logits, at = self._logits(step, lengths[alive]), starts[alive] + step
            for column in range(len(self._state.sizes)):
                changing = column - self._state.constant
                if changing < 0:
                    made[at, column] = self._next(logits, column, constants[alive, column], rng)
                    continue
                if step > 0:
                    own = logits[:, self._ends[column] : self._ends[column + 1]]
                    own += self._previous[changing][made[at - 1, column]]
                made[at, column] = self._next(logits, column, None, rng)
        return made

    def _logits(self, step: int, lengths: Ints) -> NDArray[np.float32]:
        most, arrays = self._state.most, self._state.arrays
        left = np.minimum(lengths - 1 - step, most - 1)
        logits: NDArray[np.float32] = arrays["bias"] + arrays["time"][min(step, most - 1)] + arrays["time"][most + left]
        return logits

    def _next(self, logits: NDArray[np.float32], column: int, known: Ints | None, rng: np.random.Generator) -> Ints:
        """The column's codes, drawn if they are not known; their weights enter the logits of the columns after it."""
        start, end = self._ends[column], self._ends[column + 1]
        codes = code_of_each(masses_of(logits[:, start:end]), rng) if known is None else known
        if column + 2 < len(self._ends):
            logits[:, end:] += self._state.arrays["rows"][start:end, end:][codes]
        return codes
