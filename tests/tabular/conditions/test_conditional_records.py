"""Records under a condition, and filled gaps, follow the exact conditional of what pairs determine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dpsynth.tabular.conditions.conditional_records import Field, conditional_blocks, fill_records, matching
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.record_table import RecordTable

SIZES = (4, 5, 3, 6)


def world(seed: int, strength: float) -> np.ndarray:
    """A random pairwise maximum-entropy distribution over `SIZES`: what pair tables determine and no more."""
    rng = np.random.default_rng(seed)
    logs = np.zeros(SIZES)
    for columns in [*itertools.combinations(range(4), 2), *[(a,) for a in range(4)]]:
        shape = [SIZES[a] if a in columns else 1 for a in range(4)]
        logs = logs + rng.normal(0, strength if len(columns) == 2 else 1.0, shape)
    p = np.exp(logs)
    return p / p.sum()


def records_of(p: np.ndarray, rows: int, rng: np.random.Generator) -> tuple[RecordTable, PairTables]:
    """Fitted records drawn from a distribution, and its exact pair tables."""
    drawn = rng.permutation(np.repeat(np.arange(p.size), rng.multinomial(rows, p.ravel())))
    codes = np.stack([*np.unravel_index(drawn, SIZES), np.zeros(rows, int)], axis=1).astype(np.int16)
    tables = PairTables((*SIZES, 1))
    padded = p[..., None]
    for pair, table in tables.items():
        table[:] = rows * padded.sum(axis=tuple(axis for axis in range(5) if axis not in pair))
    return RecordTable.of_records(SIZES, codes), tables


def histogram(codes: np.ndarray) -> np.ndarray:
    counts = np.zeros(SIZES)
    np.add.at(counts, tuple(codes[:, at] for at in range(4)), 1)
    return counts / counts.sum()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return 0.5 * float(np.abs(a - b).sum())


def under(p: np.ndarray, condition: dict[int, int]) -> tuple[np.ndarray, float]:
    """The exact conditional, and the probability of the condition."""
    kept = np.zeros_like(p)
    at = tuple(condition.get(axis, slice(None)) for axis in range(4))
    kept[at] = p[at]
    return kept / kept.sum(), float(kept.sum())


def picked(p: np.ndarray, kind: str) -> dict[int, int]:
    if kind == "common":  # one code of one column, as near to a half as there is
        return {0: int(np.argmin(np.abs(p.sum((1, 2, 3)) - 0.5)))}
    if kind == "rare":  # a pair of codes of about 1 %
        pair = p.sum((2, 3))
        return dict(enumerate(int(i) for i in np.unravel_index(np.argmin(np.abs(pair - 0.01)), pair.shape)))
    pair = p.sum((0, 2))  # the least likely codes of two columns
    return dict(zip((1, 3), (int(i) for i in np.unravel_index(np.argmin(pair), pair.shape)), strict=True))


def one_hot(condition: dict[int, int]) -> dict[int, np.ndarray]:
    return {axis: np.eye(SIZES[axis])[code] for axis, code in condition.items()}


@pytest.mark.parametrize(("kind", "bound"), [("common", 0.05), ("rare", 0.06), ("hardly ever", 0.1)])
@pytest.mark.parametrize("strength", [0.7, 1.5])
def test_records_under_a_condition_follow_the_exact_conditional(kind, bound, strength):
    """Total variation over all columns; independent columns are 0.2 to 0.6 off, the draw itself about 0.02."""
    p, rng = world(0, strength), np.random.default_rng(1)
    table, tables = records_of(p, 20_000, rng)
    condition = picked(p, kind)
    exact, _ = under(p, condition)
    made = np.concatenate(list(conditional_blocks(table, tables, 20_000.0, 4000, one_hot(condition), rng)))
    assert len(made) == 4000
    assert all((made[:, axis] == code).all() for axis, code in condition.items())
    assert distance(histogram(made), exact) < bound
    marginals = [p.sum(tuple(a for a in range(4) if a != axis)) for axis in range(4)]
    product = marginals[0][:, None, None, None] * marginals[1][:, None, None] * marginals[2][:, None] * marginals[3]
    assert distance(under(product, condition)[0], exact) > 2 * bound


def test_the_field_gives_the_conditional_that_hardly_a_record_has_shown():
    """One row in 70,000, and two of 20,000 records match at most; the pairs still say what such a row looks like."""
    p, rng = world(1, 1.5), np.random.default_rng(1)
    table, tables = records_of(p, 20_000, rng)
    condition = picked(p, "hardly ever")
    exact, probability = under(p, condition)
    assert probability < 2e-5 and matching(table, one_hot(condition)).sum() <= 2
    field = Field.learned(table, tables, 20_000.0, rng)
    made = field.settle(np.zeros((20_000, 5), dtype=np.int16), rng, evidence=one_hot(condition))
    assert distance(histogram(made), exact) < 0.24  # columns drawn apart: 0.48


def test_gaps_of_records_follow_the_exact_conditional():
    p, rng = world(0, 0.7), np.random.default_rng(1)
    table, tables = records_of(p, 20_000, rng)
    known = np.full((8000, 4), -1)
    known[:4000, 0], known[4000:, 1] = 2, 3
    known[4000:, 3] = 1
    made = fill_records(table, tables, 20_000.0, known, {}, rng)
    assert distance(histogram(made[:4000]), under(p, {0: 2})[0]) < 0.08
    assert distance(histogram(made[4000:]), under(p, {1: 3, 3: 1})[0]) < 0.08
