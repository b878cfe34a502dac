"""From a private table to a fitted model, in the only order that the proofs allow.

    plan ── reserve ── derive ── plant canaries ── fit ── commit ── sample

`fit_model` is the part between reserve and commit: no file, no key, no ledger. It reads the table through counts
alone. Canaries come after derivation, drawn uniformly from the released domains with secret fair coins: for any fixed
canaries and coins, neighbouring tables stay neighbours once the same canaries are added, so the guarantee is that of
the generator (see docs/concepts/attacks.md), and every figure about canaries is post-processing.

Not guaranteed: that uniform rows do no harm; they are a stated share of the fitted rows, and the policy limits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import DpsynthError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.arrow_numpy import array_of
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.schema.obeying import obeying_rows
from dpsynth.tabular.protocol import Generator, Model, Plan


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlantedCanaries:
    """Public random rows, and the secret coins that decided which of them were fitted.

    Attributes:
        rows: all canaries, with the modelled columns.
        included: one fair coin each, shape (canaries,), dtype bool; secret until after the attacks.
    """

    rows: pa.Table
    included: NDArray[np.bool_]

    @property
    def planted(self) -> int:
        """How many canaries were among the fitted rows."""
        return int(self.included.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fit leaves behind.

    Attributes:
        model: released facts only; `model.events` is what was really spent.
        canaries: None if none were asked for.
    """

    model: Model
    canaries: PlantedCanaries | None


def fit_model(
    table: Table,
    schema: Schema,
    generator: Generator,
    plan: Plan,
    *,
    noise: NoiseSource,
    canaries: int = 0,
    progress: Progress = silent,
) -> Fitted:
    """Derive unknown domains, plant canaries, fit.

    Args:
        table: the private rows to fit, already bounded per unit.
        schema: what is public.
        generator: the generator that made `plan`.
        plan: what may be spent.
        noise: uniform words for mechanisms, canaries and coins.
        canaries: how many canary rows to try; about half of those that obey the constraints are fitted.
        progress: called as steps finish.

    Raises:
        DpsynthError: if the events spent are not those planned; nothing may be sampled then.
    """
    columns = table.select((*schema.modelled, *_unit_column(plan)))
    domains, spent = derive(columns, schema, plan.derive, noise=noise, progress=progress)
    planted = None
    if canaries:
        planted = plant(domains, canaries, schema=schema, like=columns, noise=noise)
        columns = columns.concat(_of_nobody(planted.rows.filter(array_of(planted.included, pa.bool_())), columns, plan))
    model = generator.fit(columns, schema, domains, plan, noise=noise, progress=progress, spent=spent)
    if model.events.events != plan.tree.events:
        raise DpsynthError(
            "The generator spent other events than it had planned, so its price is not the reserved one.",
            "Nothing was sampled. This is a defect of the generator; report it.",
        )
    return Fitted(model=model, canaries=planted)


def _unit_column(plan: Plan) -> tuple[str, ...]:
    """The unit's column, for a fit that samples, clips or parts rows by unit: it is read, never modelled."""
    column = plan.tree.unit.column
    return () if column is None or not plan.reads_rows else (column,)


def _of_nobody(rows: pa.Table, like: Table, plan: Plan) -> Table:
    """Canaries with a null in the unit's column: each is a unit of its own (`Table.codes`)."""
    for name in _unit_column(plan):
        rows = rows.append_column(name, pa.nulls(rows.num_rows, like.to_arrow().schema.field(name).type))
    return Table(rows)


def plant(
    domains: Mapping[str, Domain], count: int, *, schema: Schema, like: Table, noise: NoiseSource
) -> PlantedCanaries:
    """Draw canaries uniformly from released domains, and a fair coin for each.

    Canaries obey the declared constraints that one row can break, as `obeying_rows` says: no sample could ever repeat
    one that does not, so it would show nothing. Those that cannot be brought to obey are left out before the coins are
    tossed, so there may be fewer than asked for, or none. Constraints are public, so the canaries, and how many there
    are, still depend on no private row.

    Args:
        domains: column -> domain, public or derived with DP.
        count: how many are tried.
        schema: declared constraints; of functional dependencies the public mapping.
        like: the table whose column types the rows take; nothing else of it is read.
        noise: the source of rows and coins; a generator seeded from it makes both.
    """
    rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
    drawn = obeying_rows(domains, count, schema, rng)
    types = like.to_arrow().schema
    rows = pa.table({name: drawn[name].cast(types.field(name).type) for name in domains})
    return PlantedCanaries(rows=rows, included=rng.integers(0, 2, size=rows.num_rows).astype(bool))
