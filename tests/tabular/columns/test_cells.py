"""Intervals cover their domain, follow public facts, and are fine where small numbers are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.domain import CategoryDomain, GridDomain
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.cells import NARROW, RELATIVE, Cells, interval_edges
from dpsynth.tabular.independent import Independent

NONE = np.zeros(0, dtype=np.int64)


def numbers(low, high):
    return GridDomain(kind="integer", low=low, high=high, scale=Fraction(1))


@given(st.integers(-(2**61), 2**61), st.integers(0, 2**61))
@settings(max_examples=150, deadline=None)
def test_intervals_cover_the_domain_once(low, size):
    domain = numbers(low, low + size)
    edges = interval_edges(domain)
    assert edges[0] == 0 and edges[-1] == domain.size and np.all(np.diff(edges) >= 1)
    assert len(edges) - 1 <= NARROW + 64
    cells = Cells.of(domain, NONE)
    assert np.array_equal(cells.of_codes(edges[:-1]), np.arange(cells.intervals))
    assert np.array_equal(cells.of_codes(edges[1:] - 1), np.arange(cells.intervals))
    assert cells.of_codes(np.array([-1])) == [-1]


def test_intervals_near_zero_are_narrow_on_either_side():
    domain = numbers(-1_000_000, 2_000_000)
    edges = interval_edges(domain)
    first, last = edges[:-1] + domain.low, edges[1:] + domain.low - 1
    near = np.where(first > 0, first, np.maximum(-last, 0))
    wide = np.diff(edges)
    assert np.all((wide <= np.maximum(near // RELATIVE, 1) + 1) | (wide <= domain.size / 300))
    assert wide.max() <= 3 * domain.size / NARROW


def test_a_domain_far_from_zero_has_intervals_of_equal_width():
    wide = np.diff(interval_edges(numbers(1_000_000, 1_100_000)))
    assert len(set(wide[:-1].tolist())) == 1


def test_narrow_grids_and_categories_have_a_cell_for_each_outcome():
    for domain in (numbers(0, NARROW - 1), CategoryDomain(values=tuple(range(2000)))):
        cells = Cells.of(domain, NONE)
        assert cells.single and cells.intervals == domain.size


def test_amounts_below_a_bound_that_is_far_out_keep_their_shape():
    """The public bound is ten thousand times what is usual: equal widths put everything into one or two intervals."""
    rng = np.random.default_rng(0)
    amounts = rng.lognormal(8, 1.2, 20_000).astype(int)
    schema = Schema.from_dict({"columns": {"x": {"kind": "integer", "min": 0, "max": 100_000_000}}})
    table = Table.from_arrow(pa.table({"x": pa.array(amounts, pa.int64())}))
    made = Independent()
    plan = made.plan(schema, PrivacyUnit(), epsilon="1", delta="1e-9")
    domains, _ = derive(table, schema, None, noise=unsafe_SeededNoise(1))
    model = made.fit(table, schema, domains, plan, noise=unsafe_SeededNoise(1))
    out = np.array(model.sample(20_000, np.random.default_rng(1)).column("x").drop_null())
    edges = np.quantile(amounts, np.linspace(0, 1, 21)[1:-1])
    shares = np.bincount(np.searchsorted(edges, out), minlength=20) / len(out)
    assert 0.5 * np.abs(shares - 0.05).sum() < 0.06
