"""Marginals of one to three columns with merged codes: counted as NumPy counts them, fitted as enumeration says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Layout, Marginal, Residuals
from tests.tabular.records.exact import LIMIT, enumerated, long_run, worst_deviation

SIZES = (2, 4, 3, 2)
PRIOR = [np.array([0.6, 0.4]), np.array([0.4, 0.1, 0.3, 0.2]), np.array([0.5, 0.2, 0.3]), np.array([0.3, 0.7])]
HALVES = [0, 1, 0, 1]
RNG = np.random.default_rng(11)
MARGINALS = [
    Marginal(columns=(0, 1, 2), table=RNG.normal(0.3, 0.5, (2, 4, 3)), sigma=0.8),
    Marginal(columns=(1, 2, 3), table=RNG.normal(0.3, 0.5, (2, 3, 2)), sigma=0.7, maps=(HALVES, None, None)),
    Marginal(columns=(0, 2), table=RNG.normal(0.3, 0.5, (2, 2)), sigma=0.9, maps=(None, [0, 1, 1])),
    Marginal(columns=(1, 3), table=RNG.normal(0.3, 0.5, (4, 2)), sigma=1.0),
    Marginal(columns=(1,), table=RNG.normal(0.5, 0.5, 2), sigma=0.6, maps=([1, 1, 0, 0],)),
    Marginal(columns=(3,), table=np.array([0.9, 1.4]), sigma=0.7),
]
PENALTIES = {(0, 3): np.array([[False, False], [True, False]])}
WANTED = [*itertools.combinations(range(4), 2), (0, 1, 2), (1, 2, 3)]
JOINT = [
    JointProposal.of((0, 1), np.array([[3.0, 1.0, 1.0, 2.0], [1.0, 1.0, 2.0, 4.0]])),
    JointProposal.of((1, 2), np.arange(1.0, 13.0).reshape(4, 3)),
    JointProposal.of((2, 3), np.array([[1.0, 9.0], [5.0, 1.0], [1.0, 1.0]])),
]


def engine(records: int, marginals=MARGINALS):
    table = RecordTable(SIZES, PRIOR, records, np.random.default_rng(3), PRIOR)
    table.records[:, 0] = 0  # allowed
    return table, Residuals(table.sizes, marginals, PENALTIES)


@pytest.mark.parametrize("joint", [(), JOINT], ids=["column moves", "and joint moves"])
def test_long_runs_agree_with_exact_enumeration(joint):
    """2,304 states of two records; 70 cells at alpha 1e-6. Power: a strength 15 % off is rejected."""
    table, residuals = engine(2)
    rng = np.random.default_rng(5)

    def sweep(count, each):
        table.anneal(residuals, np.ones(count), rng, joint=joint, each=each)

    found = long_run(table, WANTED, sweep, 20_000)
    for strength, agrees in ((1.0, True), (1.15, False)):
        exact = enumerated(PRIOR, 2, MARGINALS, WANTED, strength=strength, penalties=PENALTIES)
        assert (worst_deviation(found, exact) < LIMIT) == agrees


@pytest.mark.parametrize("dropped", range(len(MARGINALS)))
def test_every_marginal_is_seen_by_the_enumeration(dropped):
    """Power: leave one table out, and what is expected differs by more than the run's error of about 0.01."""
    whole = enumerated(PRIOR, 2, MARGINALS, WANTED, penalties=PENALTIES)
    others = [marginal for at, marginal in enumerate(MARGINALS) if at != dropped]
    without = enumerated(PRIOR, 2, others, WANTED, penalties=PENALTIES)
    assert max(float(np.abs(whole[columns] - without[columns]).max()) for columns in WANTED) > 0.03


def test_residuals_stay_those_of_the_records():
    table, residuals = engine(300)
    table.anneal(residuals, [0.01, 0.1, 1.0], np.random.default_rng(0), joint=JOINT)
    moved = residuals.flat.copy()
    residuals.refresh(table.records)
    residuals.forbid(1.0)
    assert np.abs(moved).max() > 0.1
    assert np.allclose(moved, residuals.flat, atol=1e-3)


@st.composite
def queries(draw):
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    wanted = []
    for _ in range(draw(st.integers(1, 5))):
        columns = tuple(sorted(draw(st.sets(st.integers(0, len(sizes) - 1), min_size=1, max_size=3))))
        merged = [draw(st.lists(st.integers(0, sizes[j] - 1), min_size=sizes[j], max_size=sizes[j])) for j in columns]
        maps = draw(st.sampled_from([(), tuple(merged), (None, *merged[1:])]))
        wanted.append((columns, maps))
    return sizes, wanted, draw(st.integers(0, 5000)), draw(st.integers(0, 2**32))


@settings(max_examples=40, deadline=None)
@given(queries())
def test_tables_are_what_numpy_counts(query):
    sizes, wanted, records, seed = query
    rng = np.random.default_rng(seed)
    codes = np.column_stack([*(rng.integers(0, size, records) for size in sizes), np.zeros(records)]).astype(np.int16)
    layout = Layout((*sizes, 1), wanted)
    for (columns, maps), counted, shape in zip(wanted, layout.count(codes), layout.shapes, strict=True):
        expected = np.zeros(shape, dtype=np.int64)
        merged = [
            np.arange(sizes[j]) if m is None else np.array(m)
            for j, m in zip(columns, maps or [None] * len(columns), strict=True)
        ]
        np.add.at(expected, tuple(m[codes[:, j]] for j, m in zip(columns, merged, strict=True)), 1)
        assert np.array_equal(counted, expected)


def test_tables_of_a_record_table_have_an_axis_for_each_column():
    table, _ = engine(50)
    tables = table.tables([(1,), (0, 1), (0, 1, 3), (0, 4)])
    assert [tables[columns].shape for columns in tables] == [(4,), (2, 4), (2, 4, 2), (2, 1)]
    (halves,) = table.coarse_tables([((1, 3), (HALVES, None))])
    assert np.array_equal(halves, tables[0, 1, 3].sum(axis=0)[[0, 1]] + tables[0, 1, 3].sum(axis=0)[[2, 3]])


@pytest.mark.parametrize(
    ("marginal", "message"),
    [
        (Marginal(columns=(1, 0), table=np.zeros((4, 2)), sigma=1.0), "ascending"),
        (Marginal(columns=(0, 1, 2, 3), table=np.zeros((2, 4, 3, 2)), sigma=1.0), "one to three columns"),
        (Marginal(columns=(), table=np.zeros(()), sigma=1.0), "one to three columns"),
        (Marginal(columns=(0, 7), table=np.zeros((2, 2)), sigma=1.0), "columns below 5"),
        (Marginal(columns=(0, 1), table=np.zeros((4, 2)), sigma=1.0), r"shape \(2, 4\)"),
        (Marginal(columns=(0, 1), table=np.zeros((2, 4)), sigma=1.0, maps=(None,)), "a map, or None, for each"),
        (Marginal(columns=(1,), table=np.zeros(2), sigma=1.0, maps=([0, 1, 0],)), "with 4 codes"),
        (Marginal(columns=(1,), table=np.zeros(2), sigma=1.0, maps=([0, 1, 0, -1],)), "with 4 codes"),
        (Marginal(columns=(1,), table=np.zeros(2), sigma=1.0, maps=([0, 1, 0, 4],)), "with 4 codes"),
    ],
)
def test_a_marginal_that_does_not_fit_the_columns_is_refused(marginal, message):
    with pytest.raises(ParameterError, match=message):
        engine(3, [marginal])
