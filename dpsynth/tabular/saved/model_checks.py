"""Do the parts of a loaded model fit together? Asked once, so that sampling need not trust the file.

Types were checked on reading (`model_codec`). Here: shapes that follow from other parts, codes within their range,
orders that are permutations, variances that are not negative. Nothing is allocated whose size the file only claims.

Not guaranteed: that the model is any good, or was fitted to any data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from accounting.errors import AccountingError
from accounting.event import ZCDPFilter
from accounting.filters import RunningFilter
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.schema.domain import Domain
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.columns.cells import Cells
from dpsynth.tabular.columns.oneway import OneWay
from dpsynth.tabular.columns.parts import SIZES
from dpsynth.tabular.finishing.raking import FARTHEST
from dpsynth.tabular.forests.forest_model import ForestModel
from dpsynth.tabular.gan.latent_model import LatentModel
from dpsynth.tabular.gan.latent_rows import FARTHEST as FARTHEST_FACTOR
from dpsynth.tabular.networks.column_model import ColumnModel
from dpsynth.tabular.networks.protocol import sampler
from dpsynth.tabular.records.record_model import RecordModel
from dpsynth.tabular.records.residuals import LARGEST
from dpsynth.tabular.saved.model_codec import MAX_CODES, MAX_COLUMNS
from dpsynth.tabular.sequences.people_model import PeopleModel

if TYPE_CHECKING:
    from dpsynth.tabular.protocol import Model

MAX_ROWS = 10**11
LARGEST_COUNT = 1e15


def check_model(model: Model) -> None:
    """Return if the model can be sampled.

    Raises:
        ModelError: it contradicts itself.
    """
    _require(0 <= model.rows <= MAX_ROWS, "its row total is impossible")
    _require(0 < len(model.generator) <= 100, "its generator has no name")
    _require(0 < len(model.domains) <= MAX_COLUMNS, "it has no columns, or too many")
    if isinstance(model, ForestModel):
        _check_columns(model.domains, model.binnings)
        _check_forest(model)
        _check_constraints(model, {name: binning.size + 1 for name, binning in model.binnings.items()})
    elif isinstance(model, RecordModel):
        _check_columns(model.domains, model.binnings)
        _check_records(model)
        _check_constraints(model, dict(zip(model.domains, model.table.sizes, strict=False)))
    elif isinstance(model, ColumnModel):
        _check_columns(model.domains, model.binnings)
        _check_network(model)
        _check_constraints(model, {name: binning.size + 1 for name, binning in model.binnings.items()})
    elif isinstance(model, PeopleModel):
        _check_columns(model.domains, model.binnings)
        _check_people(model)
    elif isinstance(model, LatentModel):
        _check_columns(model.domains, model.binnings)
        _check_latent(model)
        _check_constraints(model, {name: binning.size + 1 for name, binning in model.binnings.items()})


def _check_constraints(model: ForestModel | RecordModel | ColumnModel | LatentModel, shapes: Mapping[str, int]) -> None:
    try:
        model.enforced.over(model.binnings, shapes)
    except ParameterError as error:
        _require(False, error.message.rstrip("."))


def _check_columns(domains: Mapping[str, Domain], binnings: Mapping[str, Binning]) -> None:
    _require(tuple(domains) == tuple(binnings), "its columns and their codes differ")
    for name, binning in binnings.items():
        _require(binning.oneway.cells.domain == domains[name], f"column {name!r} has two domains")
        _check_cells(name, binning.oneway)
        codes = binning.code_of
        _require(1 <= binning.size <= MAX_CODES, f"column {name!r} has an impossible number of codes")
        _require(codes.shape == (binning.oneway.cells.size,), f"column {name!r} has codes of another shape")
        _require(bool(((codes >= 0) & (codes < binning.size)).all()), f"column {name!r} has a code out of range")
        _require(len(np.unique(codes)) == binning.size, f"column {name!r} has a code without a cell")
        _check_counts(name, binning.counts, binning.variance, binning.size + 1)


def _check_cells(name: str, oneway: OneWay) -> None:
    cells = oneway.cells
    prescribed = Cells.of(cells.domain, cells.spikes)
    _require(np.array_equal(cells.edges, prescribed.edges), f"column {name!r} has cells of an impossible width")
    spikes = cells.spikes
    ascending = spikes.ndim == 1 and bool((np.diff(spikes) > 0).all())
    _require(ascending, f"column {name!r} has spikes out of order")
    within = not len(spikes) or (int(spikes[0]) >= 0 and int(spikes[-1]) < cells.domain.size)
    _require(within, f"column {name!r} has a spike out of range")
    _check_counts(name, oneway.counts, oneway.variance, cells.size + 1)
    for part in oneway.parts:
        _require(part.counts.shape == (SIZES[part.part],), f"column {name!r} has a part of another shape")
        _require(bool((np.abs(part.counts) < LARGEST_COUNT).all()), f"column {name!r} has an impossible count")
        _require(0 < part.sigma < LARGEST_COUNT, f"column {name!r} has no noise")


def _check_counts(name: str, counts: Any, variance: Any, length: int) -> None:
    _require(counts.shape == variance.shape == (length,), f"column {name!r} has counts of another shape")
    _require(bool((np.abs(counts) < LARGEST_COUNT).all()), f"column {name!r} has an impossible count")
    _require(bool((variance > 0).all() and (variance < LARGEST_COUNT).all()), f"column {name!r} has no noise")


def _check_forest(model: ForestModel) -> None:
    forest, sizes = model.forest, {name: binning.size + 1 for name, binning in model.binnings.items()}
    _require(sorted(name for name, _ in forest.order) == sorted(sizes), "its forest is of other columns")
    _require(set(forest.oneway) == set(sizes), "its forest has counts of other columns")
    seen: set[str] = set()
    for name, parent in forest.order:
        _require(forest.oneway[name].shape == (sizes[name],), f"column {name!r} has a distribution of another shape")
        _check_masses(name, forest.oneway[name])
        if parent is not None:
            _require(parent in seen, f"column {name!r} stands before its parent")
            _require(name in forest.given, f"column {name!r} has a parent and no table")
            table = forest.given[name]
            _require(table.shape == (sizes[parent], sizes[name]), f"column {name!r} has a table of another shape")
            _check_masses(name, table)
        seen.add(name)
    children = {name for name, parent in forest.order if parent is not None}
    _require(set(forest.given) == children, "its forest has tables of no edge")


def _check_records(model: RecordModel) -> None:
    names, sizes = tuple(model.domains), model.table.sizes
    _require(len(sizes) == len(names) + 1, "its records are of other columns")
    for name, size in zip(names, sizes, strict=False):
        own = model.binnings[name].size
        _require(size in (own, own + 1), f"column {name!r} has records of another size")
    _require(1 <= model.total < MAX_ROWS, "its row total is impossible")
    _require(model.expected.sizes == sizes, "its expected tables are of other columns")
    _check_masses(names[0], model.expected.flat)
    for columns, cells in model.penalties.items():
        ascending = list(columns) == sorted(set(columns)) and 1 <= len(columns) <= LARGEST
        _require(ascending and 0 <= columns[0] <= columns[-1] < len(sizes), "it forbids cells of columns that it lacks")
        _require(cells.shape == tuple(sizes[at] for at in columns), "it forbids cells of another shape")
    for triple in model.triples:
        ascending = list(triple) == sorted(set(triple)) and len(triple) == LARGEST
        _require(ascending and 0 <= triple[0] <= triple[-1] < len(names), "it has triples of columns that it lacks")
    _check_admitted(model)
    for pair, sigma in model.measured.items():
        _require(len(set(pair)) == len(pair) and set(pair) <= set(names), "it measured columns that it lacks")
        _require(0 < sigma < LARGEST_COUNT, "it measured without noise")


def _check_network(model: ColumnModel) -> None:
    state = model.state
    _require(sorted(model.order) == sorted(model.domains), "its network is of other columns")
    _require(len(state.sizes) == len(model.order), "its network is of another number of columns")
    for name, size in zip(model.order, state.sizes, strict=True):
        own = model.binnings[name].size
        _require(size in (own, own + 1), f"column {name!r} has another size in the network")
    for array in state.arrays.values():
        _require(bool(np.isfinite(array).all()), "its network holds a number that is not finite")
    try:
        sampler(state)
    except ParameterError as error:
        _require(False, error.message.rstrip("."))
    for table in model.tables:
        ascending = list(table.columns) == sorted(set(table.columns)) and 1 <= len(table.columns) <= 2
        _require(ascending and 0 <= table.columns[0] <= table.columns[-1] < len(state.sizes), "it has odd tables")
        _require(table.shares.shape == tuple(state.sizes[at] for at in table.columns), "it has tables of other sizes")
        _check_masses(model.order[0], table.shares)
        _require(bool((table.factors > 0).all() and (table.factors <= FARTHEST).all()), "it has impossible factors")


def _check_latent(model: LatentModel) -> None:
    law = model.law
    _require(len(law.sizes) == len(model.domains), "its network is of other columns")
    for name, size in zip(model.domains, law.sizes, strict=True):
        own = model.binnings[name].size
        _require(size in (own, own + 1), f"column {name!r} has another size in the network")
    _check_masses(next(iter(model.domains)), law.shares)
    least, most = float(law.factors.min()), float(law.factors.max())
    _require(least > 0 and most <= FARTHEST_FACTOR, "it has impossible factors")


def _check_people(model: PeopleModel) -> None:
    state = model.state
    _require(sorted(model.order) == sorted(model.domains), "its network is of other columns")
    _require(len(state.sizes) == len(model.order), "its network is of another number of columns")
    for name, size in zip(model.order, state.sizes, strict=True):
        own = model.binnings[name].size
        _require(size in (own, own + 1), f"column {name!r} has another size in the network")
    names = {model.unit, model.position}
    _require(len(names) == 2 and not names & set(model.domains), "its people have no column of their own")
    _require(model.unit == model.events.unit.column, "its people are not the units of its guarantee")
    _require(state.most == model.events.unit.max_records, "its people have more rows than its guarantee protects")
    _require(1 <= model.people <= MAX_ROWS, "its number of people is impossible")
    _require(model.lengths.shape == (state.most,), "its people have impossible numbers of rows")
    _check_masses(model.order[0], model.lengths)
    _require(abs(float(model.lengths.sum()) - 1.0) < 1e-6, "its shares of people do not add up to one")


def _check_admitted(model: RecordModel) -> None:
    """Steps ran under one filter of the model's own events, and do not pass its bound."""
    if model.admitted is None or not model.admitted.events:
        return
    own = (model.admitted.relation, model.admitted.unit) == (model.events.relation, model.events.unit)
    filters = [event for event in model.events.events if isinstance(event, ZCDPFilter)]
    _require(own and len(filters) == 1, "it admitted steps that no filter of its events bounds")
    try:
        running = RunningFilter(filters[0])
        for step in model.admitted.events:
            running.admit(step)
    except AccountingError:
        _require(False, "it admitted steps beyond the bound of its filter")


def _check_masses(name: str, masses: Any) -> None:
    _require(bool((masses >= 0).all() and (masses < LARGEST_COUNT).all()), f"column {name!r} has impossible counts")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ModelError(
            f"The model file cannot be used: {otherwise}.",
            "Fetch it again from where it was made, or save the model anew with this version.",
        )
