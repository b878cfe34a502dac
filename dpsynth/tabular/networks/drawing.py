"""Rows from a trained network, one column after another: free, under evidence, or around known cells.

Free rows follow the network's law exactly. Evidence on a column (a weight for each code) multiplies its conditional,
and what the conditional then adds up to is the row's weight: likelihood weighting (Fung and Chang 1990), exact as rows
grow, good while evidence stands early in the order or is common. Known cells are evidence on one code.

Rows are drawn in blocks of `BLOCK`, so memory beyond the codes is one block's logits. Post-processing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.sgd.threads import one_thread
from dpsynth.tabular.networks.protocol import Sampler

BLOCK = 4096

Codes = NDArray[np.unsignedinteger[Any]]


def draw_rows(
    sampler: Sampler,
    sizes: tuple[int, ...],
    rows: int,
    rng: np.random.Generator,
    evidence: Mapping[int, NDArray[np.float64]] | None = None,
) -> tuple[Codes, NDArray[np.float64]]:
    """Codes and log weights.

    Args:
        sampler: a trained network.
        sizes: number of codes of each column, in its order.
        rows: how many.
        rng: random numbers for post-processing.
        evidence: number of a column -> weight of each code, 0 to 1, shape (size,).

    Returns:
        Smallest unsigned integers, shape (rows, columns); log of the evidence's probability on the way, shape (rows,),
        -inf where no code was left.
    """
    codes = np.zeros((rows, len(sizes)), dtype=np.min_scalar_type(max(sizes) - 1))
    weights = np.zeros(rows)
    for start in range(0, rows, BLOCK):
        own = codes[start : start + BLOCK]
        prefix = sampler.begin(len(own))
        for column in range(len(sizes)):
            with one_thread():
                masses = masses_of(prefix.logits())
            if evidence is not None and column in evidence:
                whole = masses.sum(axis=1)
                masses = masses * evidence[column].astype(np.float32)
                weights[start : start + BLOCK] += _log(masses.sum(axis=1) / whole)
            own[:, column] = code_of_each(masses, rng)
            if column + 1 < len(sizes):
                prefix.append(own[:, column])
    return codes, weights


def fill_rows(
    sampler: Sampler,
    sizes: tuple[int, ...],
    known: NDArray[np.int64],
    never: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[Codes, NDArray[np.float64]]:
    """Rows whose gaps are drawn in the network's order, each weighted by how likely it makes the cells known.

    Args:
        sampler: a trained network.
        sizes: number of codes of each column.
        known: code of each cell, -1 for a gap, shape (rows, columns).
        never: of each column the code that no gap is filled with (missing), -1 if there is none.
        rng: random numbers for post-processing.

    Returns:
        Codes and log weights, as `draw_rows`.
    """
    codes = np.zeros(known.shape, dtype=np.min_scalar_type(max(max(sizes) - 1, int(known.max(initial=0)))))
    weights = np.zeros(len(known))
    for start in range(0, len(known), BLOCK):
        own, given = codes[start : start + BLOCK], known[start : start + BLOCK]
        prefix = sampler.begin(len(own))
        for column, size in enumerate(sizes):
            masses = masses_of(prefix.logits())
            whole = masses.sum(axis=1)
            held = given[:, column] >= 0
            code = np.clip(given[:, column], 0, size - 1)
            likely = masses[np.arange(len(own)), code] / whole
            weights[start : start + BLOCK][held] += _log(likely[held])
            if never[column] >= 0 and size > 1:
                masses[:, never[column]] = 0.0
            own[:, column] = np.where(held, code, code_of_each(masses, rng))
            if column + 1 < len(sizes):
                prefix.append(own[:, column])
    return codes, weights


def masses_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unnormalised probabilities, the largest of each row 1."""
    masses: NDArray[np.float32] = logits - logits.max(axis=1, keepdims=True)
    np.exp(masses, out=masses)
    return masses


def code_of_each(masses: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """One code of each row in proportion to its masses; one without mass is never drawn, unless none has any."""
    upper = np.cumsum(masses, axis=1)
    points = rng.random(len(masses), dtype=np.float32) * upper[:, -1]
    last = masses.shape[1] - 1 - np.argmax(masses[:, ::-1] > 0, axis=1)  # rounding may end beyond the last mass
    drawn: NDArray[np.int64] = np.minimum((upper <= points[:, None]).sum(axis=1), last)
    return drawn


def _log(shares: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        logs: NDArray[np.float64] = np.log(shares.astype(np.float64))
    return logs
