"""Fitting people: 1-ways, numbers of rows, noisy steps of the network of transitions.

In time order: derivation and all 1-ways (sensitivity k, the most rows of a person), a histogram of people by their
number of rows (sensitivity 1), for each column that may change how many consecutive rows agree in it (sensitivity
k - 1), the steps (each person's rows clipped together: sensitivity their clip). The network starts from the 1-ways and
from the agreement that was released, and learns the rest. Nothing is measured after training.

Not guaranteed: dependence beyond one row back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accounting.event import Event, EventTree
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import NoiseSource, SystemNoise
from dpsynth.core.progress import Progress
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.table import CountTable
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.sgd.checkpoint import Checkpoints
from dpsynth.sgd.training import Units, train
from dpsynth.tabular.head import measure_columns
from dpsynth.tabular.networks.ordering import columns_of, ordered, without_gaps
from dpsynth.tabular.protocol import Plan
from dpsynth.tabular.sequences.people_model import PeopleModel
from dpsynth.tabular.sequences.steps import arranged, measured_lengths, measured_stays
from dpsynth.tabular.sequences.transitions import Transitions

LENGTHS = 0.02
"""Part of rho (zCDP) for the histogram of people by their number of rows: few cells, sensitivity 1."""

STAYS = 0.05
"""Likewise for one count a changing column: how often two consecutive rows agree, sensitivity k - 1."""


def check_order(schema: Schema, unit: PrivacyUnit) -> None:
    """Refuse an order that nothing could be learned from, before anything is planned.

    Raises:
        ParameterError: the unit is not a person of several rows.
        SchemaError: the schema declares constraints, or a single column.
    """
    if unit.column is None or unit.max_records < 2:
        raise ParameterError(
            f"Column {schema.order!r} orders the rows of a person, but the unit of privacy is {unit}: "
            "nobody has a second row.",
            "Name the person's column and how many rows of one are kept, at least 2: --unit COLUMN --max-per-unit K.",
        )
    if schema.constraints:
        raise SchemaError(
            "Constraints are rules about single rows; people with an order do not obey them.",
            "Leave out `constraints`, or the order.",
        )
    if len(schema.modelled) < 2:
        raise SchemaError("People need at least two columns that are modelled.", "Leave out the order.")


def fit_people(
    table: CountTable,
    schema: Schema,
    domains: Mapping[str, Domain],
    plan: Plan,
    generator: str,
    *,
    codes: int,
    rate: float,
    noise: NoiseSource,
    progress: Progress,
    spent: tuple[Event, ...],
    checkpoints: Checkpoints | None = None,
    every: int = 0,
) -> PeopleModel:
    """Measure, train, and hand out the model.

    Args:
        table: the private rows, at most k of each person, each person's in order (`Table.in_order`).
        schema: public facts; it has an order.
        domains: column -> domain, public or derived.
        plan: made by `generator` for this schema.
        generator: name of the generator that fits.
        codes: about how many codes a wide numeric column is merged into.
        rate: learning rate at the first step.
        noise: uniform words.
        progress: called as steps finish.
        spent: events of the derivation.
        checkpoints: where to resume training from, and to save to.
        every: steps between checkpoints; 0 for none.
    """
    if isinstance(table, EngineTable):
        raise UnsupportedByEngine(
            "Rows that come out of an engine have no order within a person, and a model of people needs one.",
            "Load the table into memory, or use a generator of rows.",
        )
    head = measure_columns(
        table, schema, domains, plan, generator, codes=codes, noise=noise, progress=progress, spent=spent
    )
    unit, schedule, sigma = plan.tree.unit, plan.settings.training, plan.settings.lengths
    if unit.column is None or schedule is None or sigma is None or schema.order is None:
        raise SchemaError("The plan is not one for people.", "Plan with the schema that has the order.")
    constant = [name for name in ordered(head.binnings, schema.target) if name in schema.constant]
    changing = [name for name in ordered(head.binnings, schema.target) if name not in schema.constant]
    order = (*constant, *changing)
    columns = columns_of(head.binnings, order, head.total)
    cells, units = table.codes({name: head.binnings[name] for name in order}, unit.column)
    if units is None:
        raise SchemaError(f"The table has no column {unit.column!r}.", "Keep the unit's column; it is not modelled.")
    counts, measured = measured_lengths(units, most=unit.max_records, sigma=sigma, noise=noise)
    progress("count rows of a person", 1, 1)
    held = np.maximum(counts, 0.0)
    people = max(float(held.sum()), 1.0)
    lengths = held / held.sum() if held.any() else np.eye(1, unit.max_records)[0]
    steps = arranged(
        without_gaps(cells, columns), units, most=unit.max_records, constant=len(constant), sizes=columns.sizes
    )
    events: tuple[Event, ...] = (*head.events, measured)
    network = Transitions(columns, constant=len(constant), most=unit.max_records)
    if plan.settings.stays is not None:
        pairs = people * float(lengths @ np.arange(unit.max_records))
        agree, event = measured_stays(
            steps, constant=len(constant), most=unit.max_records, sigma=plan.settings.stays.sigma, noise=noise
        )
        network.start_from(agree / max(pairs, 1.0))
        events = (*events, event)
    if isinstance(noise, ReplayedNoise):
        noise = SystemNoise()  # up to here a run that goes on repeats itself, from here on nothing is repeated
    trained = train(
        network,
        Units.of(steps, units),
        schedule,
        size=people,
        rate=rate,
        noise=noise,
        progress=progress,
        checkpoints=checkpoints,
        every=every,
    )
    return PeopleModel(
        generator=generator,
        unit=unit.column,
        position=schema.order,
        domains=head.domains,
        binnings=head.binnings,
        order=order,
        state=network.state(),
        lengths=lengths,
        people=round(people),
        events=EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=(*events, trained)),
    )
