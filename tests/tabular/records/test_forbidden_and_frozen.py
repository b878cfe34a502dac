"""Forbidden cells hold no record, frozen codes stay, and all other codes follow the stated density given both."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Marginal, Residuals
from tests.tabular.records.exact import LIMIT, enumerated, long_run, worst_deviation
from tests.tabular.records.test_record_table import MARGINALS, PAIRS, PRIOR, RECORDS, SIZES, problem

FORBIDDEN = {
    (0, 1): np.array([[False, True, False], [False, False, False]]),
    (1, 2): np.array([[False, False], [False, True], [False, False]]),
    (1, 3): np.array([[False], [False], [False]]),
}
START = np.array([[0, 0, 1, 0], [1, 2, 0, 0], [0, 2, 1, 0]])
FROZEN = {1: np.array([False, True, False]), 2: np.array([True, True, False])}
JOINT = [
    JointProposal.of((0, 1), np.array([[30.0, 1.0, 1.0], [1.0, 1.0, 20.0]])),
    JointProposal.of((1, 2), np.array([[1.0, 9.0], [5.0, 1.0], [1.0, 1.0]])),
]


@pytest.mark.parametrize(("penalties", "frozen"), [(FORBIDDEN, {}), ({}, FROZEN), (FORBIDDEN, FROZEN)])
def test_long_runs_agree_with_exact_enumeration_of_what_is_allowed(penalties, frozen):
    """16 cells at alpha 1e-6. Power: a strength 30 % off is rejected."""
    rng = np.random.default_rng(3)
    table = RecordTable(SIZES, PRIOR, RECORDS, rng, PRIOR)
    table.records[:] = START
    residuals = Residuals(table.sizes, MARGINALS, penalties)

    def sweep(count, each):
        table.anneal(residuals, np.ones(count), rng, joint=JOINT, each=each, frozen=frozen)

    found = long_run(table, PAIRS, sweep, 12_000)
    for strength, agrees in ((1.0, True), (1.3, False)):
        exact = enumerated(
            PRIOR, RECORDS, MARGINALS, PAIRS, strength=strength, penalties=penalties, frozen=frozen, start=START
        )
        assert (worst_deviation(found, exact) < LIMIT) == agrees


def checkerboard(rows: int, columns: int) -> np.ndarray:
    return np.add.outer(np.arange(rows), np.arange(columns)) % 2 == 1


MASKS = {(1, 3): checkerboard(7, 19), (0, 2): np.eye(4, 3, dtype=bool), (2, 4): np.array([[False], [False], [True]])}


def violations(table: RecordTable) -> int:
    return sum(int(table.tables([pair])[pair][mask].sum()) for pair, mask in MASKS.items())


def forbidding(strengths, seed: int = 0, each=None, feasible: bool = False) -> RecordTable:
    """Targets ask for half of the records in forbidden cells; the strengths range over nine decades."""
    table, loose, joint = problem(seed)
    if feasible:
        table.records[:] = np.array([1, 2, 0, 4, 0])
    targets = [Marginal(columns=marginal.columns, table=marginal.table, sigma=0.01) for marginal in loose]
    seen = (lambda: each(table)) if each else None
    residuals = Residuals(table.sizes, targets, MASKS)
    table.anneal(residuals, strengths, np.random.default_rng(seed), joint=joint, each=seen)
    return table


def test_no_record_enters_a_forbidden_cell():
    seen = []
    forbidding(np.geomspace(1e-6, 1e3, 40), each=lambda table: seen.append(violations(table)), feasible=True)
    assert seen == [0] * 40


@pytest.mark.parametrize("strength", [1e-6, 0.3, 300.0])
def test_records_leave_forbidden_cells_where_a_move_reaches_an_allowed_one(strength):
    """Every state has an allowed neighbour, so two sweeps are enough at any strength."""
    table, _, _ = problem()
    assert violations(table) > 100
    assert violations(forbidding([strength] * 2)) == 0


def test_only_a_joint_move_reaches_what_no_single_column_can():
    """Two equal columns of three codes: from (0, 0), whose cell is forbidden, both must move at once."""
    table = RecordTable((3, 3), [np.ones(3) / 3] * 2, 50, np.random.default_rng(0))
    table.records[:] = 0
    mask = ~np.eye(3, dtype=bool)
    mask[0, 0] = True
    strict = np.where(np.eye(3), 50 / 3, 0.0)
    residuals = Residuals(table.sizes, [Marginal(columns=(0, 1), table=strict, sigma=1.0)], {(0, 1): mask})
    joint = [JointProposal.of((0, 1), np.ones((3, 3)))]
    table.anneal(residuals, [1.0] * 6, np.random.default_rng(0), joint=joint)
    assert not table.tables([(0, 1)])[0, 1][mask].any()


def test_the_largest_uniform_number_takes_no_forbidden_code():
    """It takes the last code with mass; rounded to 1 in float32, as once in 30 million, it took the one after."""
    table = RecordTable((2, 3), [np.array([1.0, 0.0]), np.array([1.0, 0.0, 0.0])], 20, np.random.default_rng(0))
    mask = np.array([[False, False, True], [False, False, True]])
    rng = np.random.default_rng(0)

    class AlmostOne:
        permutation = rng.permutation

        @staticmethod
        def random(size, dtype=np.float64):
            return np.full(size, np.nextafter(dtype(1), dtype(0)))

    table.anneal(Residuals(table.sizes, [], {(0, 1): mask}), [1.0], AlmostOne())
    assert np.all(table.records[:, 1] == 1)


def test_forbidding_leaves_the_residuals_of_allowed_cells_exact():
    """A cost of 1e9 beside residuals of order 1: no allowed cell may see its rounding."""
    empty = {pair: np.zeros(mask.shape, dtype=bool) for pair, mask in MASKS.items()}
    moved = []
    for penalties in ({}, empty):
        table, targets, _ = problem()
        table.anneal(Residuals(table.sizes, targets, penalties), [1.0, 30.0], np.random.default_rng(0))
        moved.append(table.records.copy())
    assert np.array_equal(*moved)


def test_frozen_codes_never_change_and_the_others_do():
    table, targets, joint = problem()
    residuals = Residuals(table.sizes, targets)
    rng = np.random.default_rng(0)
    frozen = {column: rng.random(500) < share for column, share in ((0, 0.5), (1, 0.3), (3, 1.0))}
    before = table.records.copy()
    table.anneal(residuals, [0.1, 1.0, 10.0], rng, joint=joint, frozen=frozen)
    for column, held in frozen.items():
        assert np.array_equal(table.records[held, column], before[held, column])
    changed = (table.records != before).mean(axis=0)
    assert changed[0] > 0.2 and changed[1] > 0.2 and changed[2] > 0.3 and changed[3] == 0


@pytest.mark.parametrize("strength", [0.0, -1.0, np.nan])
def test_a_strength_at_which_nothing_can_be_forbidden_is_refused(strength):
    table, targets, _ = problem()
    residuals = Residuals(table.sizes, targets)
    with pytest.raises(ParameterError, match="no cell could be forbidden"):
        table.anneal(residuals, [strength], np.random.default_rng(0))
