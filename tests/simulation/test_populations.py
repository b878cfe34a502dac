"""Populations: exact marginals against brute force and against their own samples, planted modes, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import chi2

from dpsynth.core.errors import ParameterError
from dpsynth.schema.model import Schema
from dpsynth.simulation import (
    WORLDS,
    BayesianNetwork,
    Column,
    Population,
    ProductMixture,
    RareMode,
    network,
    resembling,
    world,
)

ALPHA = 1e-6


def chi_square(codes: np.ndarray, shares: np.ndarray) -> float:
    """p-value of codes, shape (rows, columns), under exact cell shares; cells below 5 expected rows are pooled."""
    seen = np.bincount(np.ravel_multi_index(tuple(codes.T), shares.shape), minlength=shares.size)
    expected = shares.ravel() * len(codes)
    small = expected < 5
    seen, expected = (np.append(x[~small], x[small].sum()) for x in (seen, expected))
    kept = expected > 0
    assert seen[~kept].sum() == 0
    return float(chi2.sf(((seen - expected)[kept] ** 2 / expected[kept]).sum(), kept.sum() - 1))


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_samples_follow_the_exact_marginals(name: str) -> None:
    people = world(name, columns=7, seed=5)
    drawn = people.draw(60_000, seed=1)
    codes = people.codes(drawn.table)
    assert (codes >= 0).all()
    names = [column.name for column in people.columns]
    for size in (1, 2, 3):
        for chosen in itertools.islice(itertools.combinations(range(len(names)), size), 12):
            shares = people.marginal([names[c] for c in chosen])
            assert shares.sum() == pytest.approx(1, abs=1e-12)
            assert chi_square(codes[:, chosen], shares) > ALPHA, chosen


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_law_two_per_cent_off_is_seen(name: str) -> None:
    people = world(name, columns=4, seed=5)
    codes = people.codes(people.draw(60_000, seed=1).table)[:, [1, 3]]
    shares = people.marginal(("c1", "target"))
    shifted = shares.copy()
    shifted[0, 0], shifted[1, 1] = shares[0, 0] + 0.02, shares[1, 1] - 0.02
    assert chi_square(codes, shares) > ALPHA > chi_square(codes, shifted)


def test_a_network_sums_to_brute_force() -> None:
    rng = np.random.default_rng(0)
    sizes, parents = (2, 3, 2, 4), ((), (0,), (0, 1), (1,))
    tables = tuple(
        rng.dirichlet(np.ones(size), tuple(sizes[p] for p in above)) for size, above in zip(sizes, parents, strict=True)
    )
    made = BayesianNetwork(parents=parents, tables=tables)
    joint = np.zeros(sizes)
    for cell in np.ndindex(*sizes):
        joint[cell] = np.prod([tables[j][(*(cell[p] for p in parents[j]), cell[j])] for j in range(4)])
    assert made.marginal((0, 1, 2, 3)) == pytest.approx(joint, abs=1e-15)
    assert made.marginal((3, 0)) == pytest.approx(joint.sum(axis=(1, 2)).T, abs=1e-15)
    assert made.marginal((2,)) == pytest.approx(joint.sum(axis=(0, 1, 3)), abs=1e-15)


def test_planted_modes_are_rare_in_the_body_and_their_share_is_exact() -> None:
    people = network(columns=8, seed=2, modes=4)
    codes = people.codes(people.draw(200_000, seed=3).table)
    place = {column.name: i for i, column in enumerate(people.columns)}
    for mode in people.modes:
        share = people.share_of(mode)
        assert mode.share <= share < 1.25 * mode.share
        rows = np.all([codes[:, place[n]] == code for n, code in mode.fixed.items()], axis=0).sum()
        assert abs(rows - 200_000 * share) < 6 * np.sqrt(200_000 * share)


def test_the_rows_of_a_mode_are_those_that_have_its_combination() -> None:
    people = network(columns=8, seed=2, modes=2)
    table = people.draw(20_000, seed=3).table
    place = {column.name: i for i, column in enumerate(people.columns)}
    for mode in people.modes:
        found = people.holds(mode, table)
        codes = people.codes(table)[found]
        assert found.any() and not found.all()
        assert all((codes[:, place[name]] == code).all() for name, code in mode.fixed.items())
        assert (people.holds(mode, table.to_pandas()) == found).all()


def test_the_same_seed_gives_the_same_law_and_rows() -> None:
    one, two = network(columns=5, seed=4), network(columns=5, seed=4)
    assert one.draw(50, seed=0).table.to_arrow().equals(two.draw(50, seed=0).table.to_arrow())
    assert not one.draw(50, seed=0).table.to_arrow().equals(one.draw(50, seed=1).table.to_arrow())
    assert not np.array_equal(one.marginal(("c0",)), network(columns=5, seed=5).marginal(("c0",)))


def test_a_stand_in_has_the_columns_that_a_schema_declares() -> None:
    schema = Schema.from_dict(
        {
            "columns": {
                "sick": {"kind": "boolean", "role": "target"},
                "age": {"kind": "integer", "min": 18, "max": 67},
                "ward": {"kind": "categorical", "values": ["a", "b", "c"]},
                "cost": {"kind": "float", "min": 0, "max": 9000},
                "name": {"kind": "categorical", "role": "identifier"},
            }
        }
    )
    people = resembling(schema)
    assert [(c.name, c.size, c.kind) for c in people.columns] == [
        ("age", 50, "integer"),
        ("ward", 3, "categorical"),
        ("cost", 100, "integer"),
        ("sick", 2, "categorical"),
    ]
    assert people.target == people.schema.target == "sick"
    assert people.draw(200, seed=0).table.columns == ("age", "ward", "cost", "sick")


def test_cells_outside_the_population_have_no_code() -> None:
    import pyarrow as pa

    number, category = Column(name="n", size=3, kind="integer"), Column(name="c", size=11)
    assert number.codes(pa.chunked_array([[0, 2, 3, None, -5]])).tolist() == [0, 2, -1, -1, -1]
    assert category.values[0] == "c_00"
    assert category.codes(pa.chunked_array([["c_10", "c_0", None]])).tolist() == [10, -1, -1]


HALF = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BayesianNetwork(parents=((1,), ()), tables=(np.ones((2, 1)), HALF)), "does not come before"),
        (lambda: BayesianNetwork(parents=((), (0,)), tables=(HALF, HALF)), "does not fit its parents"),
        (lambda: BayesianNetwork(parents=((),), tables=(HALF * 2,)), "do not add up"),
        (lambda: BayesianNetwork(parents=(), tables=()), "one table and one list"),
        (lambda: ProductMixture(weights=HALF, tables=(np.array([HALF]),)), "one line a group"),
        (lambda: ProductMixture(weights=HALF * 3, tables=()), "do not add up"),
        (lambda: world("mars"), "Unknown population"),
        (lambda: network(columns=1), "columns=1 >= 2"),
        (lambda: network(columns=3).marginal(("c0", "c0")), "each column once"),
        (lambda: world("mixture", columns=3).marginal(("c0", "c0")), "each column once"),
        (lambda: network(columns=3).marginal(("nobody",)), "no column 'nobody'"),
        (lambda: network(columns=3).draw(0, seed=1), "rows=0 >= 1"),
        (lambda: two_columns(modes=(RareMode(fixed={"a": 2}, share=0.1),)), "not there"),
        (lambda: two_columns(modes=(RareMode(fixed={"a": 1}, share=0.6),)), "at most half"),
        (lambda: two_columns(columns=(Column(name="a", size=3),)), "sizes are not those"),
    ],
)
def test_what_is_no_population_is_refused(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def two_columns(**changes) -> Population:
    made = ProductMixture(weights=np.ones(1), tables=(HALF[None], HALF[None]))
    columns = (Column(name="a", size=2), Column(name="b", size=2))
    return Population(**{"name": "two", "columns": columns, "body": made} | changes)
