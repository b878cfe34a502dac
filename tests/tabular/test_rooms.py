"""The rooms that generators share: cells, codes, decoding, sampling, tree, allocation, plan."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpsynth.tabular as tabular
from accounting.event import PartitionSelection
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.partition_selection import threshold_for
from dpsynth.schema.domain import CategoryDomain, GridDomain
from dpsynth.tabular.allocation import DERIVE_SHARE, SELECTION_DELTA, RoundShares, Shares, allocate, five_digits
from dpsynth.tabular.columns.binning import MAX_CODES, bin_cells
from dpsynth.tabular.columns.decoding import decode, shrunken_counts
from dpsynth.tabular.columns.oneway import Cells, OneWay, measure_oneways, row_total
from dpsynth.tabular.forests.tree import denoise, fit_forest, project, rake, spanning_tree
from dpsynth.tabular.planning import rho_guess
from dpsynth.tabular.sampling import systematic
from tests.conformance.tables import MIXED, OPEN, schema

SHARES = Shares(rounds=(RoundShares(scores=0.05, pairs=0.45),))
TWICE = Shares(
    rounds=(RoundShares(scores=0.05, pairs=0.4, per_column=4), RoundShares(scores=0.05, pairs=0.2, per_column=1.5))
)
NONE = np.zeros(0, dtype=np.int64)


def grid(size, **fields):
    return GridDomain(**{"kind": "integer", "low": 0, "high": size - 1, "scale": Fraction(1)} | fields)


def even_edges(size, width):
    return np.append(np.arange(0, size, width), size)


def released(counts, sigma=5.0, domain=None, spikes=NONE, width=1):
    counts = np.asarray(counts, dtype=float)
    domain = domain or CategoryDomain(values=tuple(str(i) for i in range(len(counts) - 1)))
    cells = Cells(domain=domain, edges=even_edges(domain.size, width), spikes=spikes)
    return OneWay(cells=cells, counts=counts, variance=np.full(len(counts), sigma**2))


# --- the table of generators ---------------------------------------------------------------------------------------


def test_every_generator_of_the_folder_is_in_the_table_and_loads():
    folder = Path(tabular.__file__).parent
    found = {
        f"dpsynth.tabular.{path.stem}" for path in folder.glob("*.py") if "name: ClassVar[str] = " in path.read_text()
    }
    assert found == {dotted.split(":")[0] for dotted in tabular.GENERATORS.values()}
    assert all(tabular.generator(name).name == name for name in tabular.GENERATORS)


def test_an_unknown_generator_is_refused_with_the_list():
    with pytest.raises(ParameterError, match=r"Unknown generator 'gan'.*gibbs, independent, mst"):
        tabular.generator("gan")


def test_names_of_the_package_are_lazy_and_complete():
    assert {name: getattr(tabular, name) for name in tabular.__all__}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tabular.nothing


# --- cells and codes -----------------------------------------------------------------------------------------------


@given(st.integers(1, 10**15), st.integers(1, 600), st.lists(st.integers(0, 10**15), max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_code_drawn_from_a_cell_lies_in_that_cell(size, wanted, spikes):
    domain = grid(size)
    spikes = np.unique([s % size for s in spikes]).astype(np.int64)
    cells = Cells(domain=domain, edges=even_edges(size, -(-size // wanted)), spikes=spikes)
    rng = np.random.default_rng(size)
    asked = rng.integers(-1, cells.size, 50)
    codes = cells.draw(asked, rng)
    assert np.all((codes >= -1) & (codes < size)) and np.array_equal(codes < 0, asked < 0)
    back = cells.encode(pa.chunked_array([domain.decode(codes)]))
    interval = asked < cells.intervals
    hit_spike = np.isin(codes, spikes)
    assert np.array_equal(back[~(interval & hit_spike)], asked[~(interval & hit_spike)])


def test_spikes_are_found_and_small_counts_are_not():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(3000), np.full(900, 99_999), rng.integers(1, 99_999, 2000)]).astype(int)
    of = schema(x={"kind": "integer", "min": 0, "max": 99_999})
    plan = allocate(of, 1, rho=0.05, delta=1e-6, shares=SHARES)
    table = Table.from_arrow(pa.table({"x": pa.array(values, pa.int64())}))
    oneways, events = measure_oneways(table, {"x": grid(100_000)}, plan, noise=unsafe_SeededNoise(1))
    cells = oneways["x"].cells
    assert cells.spikes.tolist() == [0, 99_999]
    assert np.allclose(oneways["x"].counts[cells.intervals : cells.size], [3000, 900], atol=60)
    assert len(events) == 3 and isinstance(events[0], PartitionSelection)  # spikes, intervals, round numbers
    assert abs(row_total(oneways) - 5900) < 600


def test_a_spike_counted_twice_has_half_the_variance():
    of = schema(x={"kind": "integer", "min": 0, "max": 99_999})
    plan = allocate(of, 1, rho=0.05, delta=1e-6, shares=SHARES)
    table = Table.from_arrow(pa.table({"x": pa.array([5] * 5000, pa.int64())}))
    errors = []
    for seed in range(400):
        oneways, _ = measure_oneways(table, {"x": grid(100_000)}, plan, noise=unsafe_SeededNoise(seed))
        cells = oneways["x"].cells
        errors.append(oneways["x"].counts[cells.intervals] - 5000)
        assert oneways["x"].variance[cells.intervals] == pytest.approx(float(plan.histogram["x"]) ** 2 / 2)
    assert abs(np.std(errors) / (float(plan.histogram["x"]) / np.sqrt(2)) - 1) < 0.15


def test_rare_categories_share_a_code_and_frequent_ones_do_not():
    binning = bin_cells(released([500, 3, 400, 2, -4, 0]), codes=32)
    assert binning.code_of.tolist() == [0, 2, 1, 2, 2]
    assert binning.counts.tolist() == [500, 400, 1, 0]
    assert binning.variance.tolist() == [25, 25, 75, 25]


def test_a_single_rare_category_stays_itself():
    assert bin_cells(released([500, 3, 400, 0]), codes=32).size == 3


def test_codes_of_categories_are_bounded():
    assert bin_cells(released(np.append(np.full(5000, 100.0), 0)), codes=32).size == MAX_CODES


def test_large_grids_are_cut_into_groups_of_equal_mass():
    counts = np.append(np.full(200, 50.0), 0)
    binning = bin_cells(released(counts, domain=grid(200)), codes=10)
    assert binning.size == 10 and np.ptp(np.bincount(binning.code_of)) <= 1
    assert np.all(np.diff(binning.code_of) >= 0)


def test_small_grids_keep_every_tick_that_stands_out_of_the_noise():
    assert bin_cells(released(np.append(np.full(16, 300.0), 0), domain=grid(16)), codes=4).size == 16
    assert bin_cells(released(np.append(np.full(16, 1.0), 0), domain=grid(16)), codes=4).size <= 3


def test_codes_and_missing_cover_every_row():
    counts = np.append(np.full(200, 50.0), 7)
    binning = bin_cells(released(counts, domain=grid(200)), codes=10)
    codes = binning.encode(pa.chunked_array([pa.array([0, 199, None, 57], pa.int64())]))
    assert codes.tolist() == [0, 9, -1, binning.code_of[57]]


# --- decoding ------------------------------------------------------------------------------------------------------


def test_cells_are_pulled_to_their_mean_only_as_far_as_noise_explains():
    clear = bin_cells(released([900, 100, 0], sigma=1.0), codes=2)
    object.__setattr__(clear, "code_of", np.array([0, 0]))
    binning = type(clear)(
        oneway=clear.oneway, code_of=np.array([0, 0]), size=1, counts=np.array([1000.0, 0]), variance=np.array([2.0, 1])
    )
    assert np.allclose(shrunken_counts(binning), [900, 100], rtol=0.01)
    noisy = type(clear)(
        oneway=released([520, 480, 0], sigma=100.0),
        code_of=np.array([0, 0]),
        size=1,
        counts=np.array([1000.0, 0]),
        variance=np.array([2e4, 1e4]),
    )
    assert np.allclose(shrunken_counts(noisy), [500, 500])


def test_decoding_follows_the_fine_histogram_and_keeps_missing():
    counts = np.append(np.tile([300.0, 100.0], 50), 10)
    binning = bin_cells(released(counts, sigma=1.0, domain=grid(100)), codes=5)
    codes = np.repeat(np.arange(binning.size + 1), 400)
    values = decode(binning, codes, np.random.default_rng(0))
    assert values.null_count == 400
    even = np.array(values.drop_null()) % 2 == 0
    assert abs(even.mean() - 0.75) < 0.02


# --- sampling ------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=6), min_size=1, max_size=6), st.integers(0, 300))
@settings(max_examples=80, deadline=None)
def test_counts_are_within_one_of_their_expectation(groups, rows):
    rng = np.random.default_rng(rows)
    parents = rng.integers(0, len(groups), rows)
    starts = np.concatenate([[0], np.cumsum([len(g) for g in groups])])
    weights = np.concatenate([np.array(g) for g in groups])
    children = systematic(parents, starts, weights, rng)
    for g, members in enumerate(groups):
        mine = children[parents == g] - starts[g]
        assert np.all((mine >= 0) & (mine < len(members)))
        mass = np.array(members) if sum(members) > 0 else np.ones(len(members))
        expected = mass / mass.sum() * len(mine)
        assert np.all(np.abs(np.bincount(mine, minlength=len(members)) - expected) < 1 + 1e-6)


def test_which_row_gets_which_child_is_random():
    rng = np.random.default_rng(1)
    halves = systematic(np.zeros(10_000, int), np.array([0, 2]), np.ones(2), rng)
    assert abs(halves[:5000].mean() - 0.5) < 0.05
    assert abs(np.corrcoef(halves[:-1], halves[1:])[0, 1]) < 0.05


# --- tree ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(0.1, 1000))
@settings(max_examples=80, deadline=None)
def test_projection_is_the_nearest_point_of_the_simplex(values, total):
    y = np.array(values)
    x = project(y, total)
    assert np.all(x >= 0) and x.sum() == pytest.approx(total)
    slack = y - x  # optimality: equal where positive, not larger elsewhere
    if np.any(x > 0):
        level = slack[x > 0]
        assert np.ptp(level) < 1e-6 and np.all(slack <= level.max() + 1e-6)


def test_raking_meets_both_margins():
    rng = np.random.default_rng(0)
    rows, columns = rng.dirichlet(np.ones(6)) * 100, rng.dirichlet(np.ones(4)) * 100
    fitted = rake(rng.random((6, 4)), rows, columns)
    assert np.allclose(fitted.sum(1), rows, rtol=1e-3) and np.allclose(fitted.sum(0), columns, rtol=1e-9)


def test_denoised_tables_are_non_negative_and_keep_rare_cells_possible():
    rows = columns = np.array([500.0, 500.0])
    table = denoise(np.array([[505.0, -3.0], [2.0, 498.0]]), 10.0, rows, columns)
    assert np.all(table > 0) and table[0, 0] > 400 > table[0, 1]
    empty = denoise(np.array([[505.0, 0.0], [0.0, 0.0]]), 10.0, np.array([500.0, 0.0]), np.array([500.0, 0.0]))
    assert empty[1].tolist() == [0.0, 0.0]


def test_spanning_tree_takes_the_largest_gains_without_a_cycle():
    gains = {("a", "b"): 5.0, ("b", "c"): 4.0, ("a", "c"): 4.5, ("c", "d"): -1.0, ("a", "d"): -2.0, ("b", "d"): -3.0}
    assert spanning_tree(("a", "b", "c", "d"), gains) == (("a", "b"), ("a", "c"), ("c", "d"))
    assert spanning_tree(("a",), {}) == ()


def test_exact_tables_of_a_chain_are_reproduced_exactly():
    """Closed form against enumeration: with hardly any noise the model's joint is p(a) p(b|a) p(c|b)."""
    rng = np.random.default_rng(0)
    a, b, c = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(2), 3), rng.dirichlet(np.ones(4), 2)
    joint = np.einsum("i,ij,jk->ijk", a, b, c) * 1e6
    counts = {"a": joint.sum((1, 2)), "b": joint.sum((0, 2)), "c": joint.sum((0, 1))}
    tables = {("a", "b"): joint.sum(2), ("b", "c"): joint.sum(0)}
    forest = fit_forest(counts, {name: np.full(len(v), 1e-6) for name, v in counts.items()}, tables, 1e-3, 1e6)
    codes = forest.sample(200_000, np.random.default_rng(1))
    flat = np.bincount(codes["a"] * 8 + codes["b"] * 4 + codes["c"], minlength=24) / 200_000
    assert 0.5 * np.abs(flat - joint.ravel() / 1e6).sum() < 0.005


# --- allocation and plan -------------------------------------------------------------------------------------------


def zcdp(events, records):
    return sum(event.count * records**2 / (2 * float(event.sigma) ** 2) for event in events)


@pytest.mark.parametrize("of", [MIXED, OPEN], ids=["declared", "derived"])
@pytest.mark.parametrize("records", [1, 4])
@pytest.mark.parametrize("shares", [SHARES, TWICE, Shares()], ids=["one round", "two rounds", "no pairs"])
def test_shares_add_up_to_the_budget_from_below(of, records, shares):
    plan = allocate(of, records, rho=0.02, delta=1e-9, shares=shares)
    spent = zcdp(plan.events(of), records)
    assert 0.999 * 0.02 < spent <= 0.02


def test_thresholds_spend_at_most_their_share_of_delta():
    from accounting.pld import PLDAccountant  # noqa: F401 - the accountant that forms the atoms
    from dpsynth.mechanisms.discrete_gaussian import tail

    plan = allocate(OPEN, 2, rho=0.02, delta=1e-6, shares=SHARES)
    atoms = [
        1 - (1 - tail(int(event.threshold) - 2, sigma=event.sigma)) ** 2
        for event in plan.events(OPEN)
        if isinstance(event, PartitionSelection)
    ]
    assert len(atoms) == 4 and sum(atoms) <= 0.1 * 1e-6


def test_one_column_gives_all_of_the_budget_to_its_histogram():
    plan = allocate(schema(a={"kind": "boolean"}), 1, rho=0.02, delta=1e-9, shares=SHARES)
    assert plan.rounds == ()
    assert plan.histogram["a"] == five_digits(1 / np.sqrt(0.04))


def test_rounding_is_up_and_relative():
    assert five_digits(0.0123456789) == Decimal("0.012346")
    assert five_digits(123456.7) == Decimal("123457")


def test_the_number_of_tables_follows_from_the_number_of_columns():
    for columns, expected in ((2, (1, 1)), (5, (10, 8)), (20, (80, 30))):
        of = schema(**{f"c{at}": {"kind": "boolean"} for at in range(columns)})
        rounds = allocate(of, 1, rho=0.02, delta=1e-9, shares=TWICE).rounds
        assert tuple(part.pairs for part in rounds) == expected
        assert {part.scores for part in rounds} == {columns * (columns - 1) // 2}


def test_the_search_starts_near_its_answer():
    plan = tabular.generator("mst").plan(MIXED, PrivacyUnit(), epsilon="1", delta="1e-9")
    assert 0.5 < zcdp(plan.tree.events, 1) / rho_guess(1.0, 1e-9) < 2


def test_derivation_is_divided_among_questions_not_columns():
    """A float column asks two (bounds, decimal places), one with public bounds asks one, one fully declared none."""
    fields = [{}, {"min": 0, "max": 1}, {"min": 0, "max": 1, "precision": 2}]
    columns = {f"x{at}": {"kind": "float"} | given for at, given in enumerate(fields)}
    columns["town"] = {"kind": "categorical"}
    made = allocate(schema(**columns), 2, rho=0.05, delta=1e-6, shares=SHARES)
    assert made.derive is not None
    each = 2**2 / (2 * float(made.derive.sigma) ** 2)
    assert 4 * each == pytest.approx(0.05 * DERIVE_SHARE, rel=1e-3)
    assert sum(event.sigma == made.derive.sigma for event in made.events(schema(**columns))) == 4
    assert set(made.spikes) == {"x0", "x1"}  # 101 ticks are narrow
    atom = 1e-6 * SELECTION_DELTA / 3  # two spike searches and the categories; decimal places take none
    assert made.derive.threshold == threshold_for(sigma=made.derive.sigma, delta=atom, weight=2, max_keys=2)
