"""Exact conditionals of a forest: evidence sent from the leaves to the roots, rows drawn on the way back.

For evidence lambda_j (one number a code: how well it agrees with what is known of column j) the message from a child to
its parent is

    m(parent code) = sum over the child's codes of  P(code | parent code) * lambda(code) * messages from its children

(belief propagation, Pearl 1988; on a forest two passes are exact). Under one condition for all rows the result is again
a forest, so its rows come by systematic sampling like any others. Where each row knows something else (gaps), messages
are kept row by row. Cost O(codes^2) an edge, or rows * codes^2 for gaps. Post-processing.

>>> forest = Forest(order=(("a", None), ("b", "a")), oneway={"a": np.array([3.0, 1.0]), "b": np.array([2.0, 2.0])},
...                 given={"b": np.array([[2.0, 1.0], [0.0, 1.0]])})
>>> found, share = condition_forest(forest, {"b": np.array([0.0, 1.0])})
>>> share, (found.oneway["a"] / found.oneway["a"].sum()).tolist()
(0.5, [0.5, 0.5])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.tabular.forests.tree import Forest, Vector

CHUNK = 20_000
"""Rows with gaps that are filled at once."""


def condition_forest(forest: Forest, evidence: Mapping[str, Vector]) -> tuple[Forest, float]:
    """The forest's distribution given evidence, and the probability of the evidence.

    Args:
        forest: counts to sample from.
        evidence: column -> weight of each code, missing last, 0 to 1; columns without are free.

    Returns:
        A forest of the same shape, whose rows all have positive evidence; 0 to 1. With probability 0 the forest's
        rows mean nothing.
    """
    upward = {name: evidence.get(name, np.ones(len(counts))) for name, counts in forest.oneway.items()}
    given, probability = dict(forest.given), 1.0
    oneway = dict(forest.oneway)
    for name, parent in reversed(forest.order):
        if parent is None:
            share = _distribution(forest.oneway[name])
            oneway[name] = share * upward[name]
            probability *= float(oneway[name].sum())
        else:
            given[name] = _conditional(forest.given[name]) * upward[name]
            upward[parent] = upward[parent] * given[name].sum(axis=1)
    return Forest(order=forest.order, oneway=oneway, given=given), probability


def fill_forest(
    forest: Forest, known: Mapping[str, NDArray[np.integer[Any]]], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Codes of rows of which some are known, the others drawn from their exact conditional.

    Args:
        forest: counts to sample from.
        known: column -> code of each row, -1 where it is to be drawn (never as missing, where another code can be).
        rng: random numbers for post-processing.

    Returns:
        Column -> codes, int64, shape (rows,).
    """
    rows = len(next(iter(known.values())))
    parts = [
        _fill(forest, {name: codes[start : start + CHUNK] for name, codes in known.items()}, rng)
        for start in range(0, max(rows, 1), CHUNK)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in known}


def _fill(
    forest: Forest, known: Mapping[str, NDArray[np.integer[Any]]], rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    upward = {name: _evidence(codes, len(forest.oneway[name])) for name, codes in known.items()}
    for name, parent in reversed(forest.order):
        if parent is not None:
            upward[parent] = upward[parent] * _floored(upward[name] @ _conditional(forest.given[name]).T)
    filled: dict[str, NDArray[np.int64]] = {}
    for name, parent in forest.order:
        if parent is None:
            law = _distribution(forest.oneway[name])[None, :] * upward[name]
        else:
            law = _conditional(forest.given[name])[filled[parent]] * upward[name]
        law = np.where(law.sum(axis=1, keepdims=True) > 0, law, upward[name])  # a known code that the model rules out
        upper = np.cumsum(law, axis=1)
        points = rng.random(len(law)) * upper[:, -1]
        drawn = np.minimum((upper <= points[:, None]).sum(axis=1), law.shape[1] - 1)
        filled[name] = np.where(known[name] >= 0, known[name], drawn)
    return filled


def _evidence(codes: NDArray[np.integer[Any]], size: int) -> Vector:
    """One at a known code, ones at all but missing where nothing is known; shape (rows, codes)."""
    weights = np.ones((len(codes), size))
    if size > 1:
        weights[:, -1] = 0.0
    held = np.flatnonzero(codes >= 0)
    weights[held] = 0.0
    weights[held, codes[held]] = 1.0
    return weights


def _floored(messages: Vector) -> Vector:
    """Messages scaled to a largest entry of 1, so that long chains do not underflow; all ones where nothing is left."""
    top = messages.max(axis=1, keepdims=True)
    return np.where(top > 0, messages / np.where(top > 0, top, 1.0), 1.0)


def _distribution(counts: Vector) -> Vector:
    total = counts.sum()
    return counts / total if total > 0 else np.full(len(counts), 1 / len(counts))


def _conditional(table: Vector) -> Vector:
    """P(child | parent), uniform for a parent without rows, as systematic sampling has it."""
    rows = table.sum(axis=1, keepdims=True)
    return np.where(rows > 0, table / np.where(rows > 0, rows, 1.0), 1.0 / table.shape[1])
