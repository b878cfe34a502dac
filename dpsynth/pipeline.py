"""From a private table to a fitted model, in the only order that the proofs allow.

    plan ── reserve ── derive ── plant canaries ── fit ── commit ── sample

`fit_model` is the part between reserve and commit: no file, no key, no ledger. It reads the table through counts
alone. Canaries come after derivation, drawn uniformly from the released domains with secret fair coins: for any fixed
canaries and coins, neighbouring tables stay neighbours once the same canaries are added, so the guarantee is that of
the generator (see docs/concepts/attacks.md), and every figure about canaries is post-processing.

Not guaranteed: that uniform rows do no harm; they are a stated share of the fitted rows, and the policy limits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import DpsynthError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.arrow_numpy import array_of
from dpsynth.data.arrow_types import ARROW_OF
from dpsynth.data.table import CountTable, Table
from dpsynth.schema.derive import derive
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.schema.obeying import obeying_rows
from dpsynth.tabular.protocol import Generator, Model, Plan
from dpsynth.text.generator import TextGenerator
from dpsynth.text.model import TextModel
from dpsynth.text.planning import TextPlan

AnyGenerator: TypeAlias = Generator | TextGenerator
AnyPlan: TypeAlias = Plan | TextPlan
AnyModel: TypeAlias = Model | TextModel

PUBLIC_TEXTS = 200
PREFIX_WORDS, SUFFIX_WORDS = 20, 10
"""Of a canary text; `attacks.text.canaries` says why these."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlantedCanaries:
    """Public random rows, and the secret coins that decided which of them were fitted.

    Attributes:
        rows: all canaries, with the modelled columns and the text.
        included: one fair coin each, shape (canaries,), dtype bool; secret until after the attacks.
        public: the public texts that canary texts were made from; none where no column is text.
    """

    rows: pa.Table
    included: NDArray[np.bool_]
    public: tuple[str, ...] = ()

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

    model: AnyModel
    canaries: PlantedCanaries | None


def fit_model(
    table: CountTable,
    schema: Schema,
    generator: AnyGenerator,
    plan: AnyPlan,
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
    text = () if schema.text is None else (schema.text,)
    columns = table.select((*schema.modelled, *text, *_unit_column(plan)))
    domains, spent = derive(columns, schema, plan.derive, noise=noise, progress=progress)
    planted = None
    if canaries:
        public = generator.public_texts if isinstance(generator, TextGenerator) else None
        planted = plant(domains, canaries, schema=schema, like=columns, noise=noise, public=public)
        columns = columns.concat(_of_nobody(planted.rows.filter(array_of(planted.included, pa.bool_())), columns, plan))
    fit: Any = generator.fit  # each takes the plan that it made
    model: AnyModel = fit(columns, schema, domains, plan, noise=noise, progress=progress, spent=spent)
    if model.events.events != plan.tree.events:
        raise DpsynthError(
            "The generator spent other events than it had planned, so its price is not the reserved one.",
            "Nothing was sampled. This is a defect of the generator; report it.",
        )
    return Fitted(model=model, canaries=planted)


def _unit_column(plan: AnyPlan) -> tuple[str, ...]:
    """The unit's column, for a fit that samples, clips or parts rows by unit: it is read, never modelled."""
    column = plan.tree.unit.column
    return () if column is None or not plan.reads_rows else (column,)


def _of_nobody(rows: pa.Table, like: CountTable, plan: AnyPlan) -> Table:
    """Canaries with a null in the unit's column: each is a unit of its own (`Table.codes`)."""
    for name in _unit_column(plan):
        rows = rows.append_column(name, pa.nulls(rows.num_rows, ARROW_OF[like.types[name]]))
    return Table(rows)


def plant(
    domains: Mapping[str, Domain],
    count: int,
    *,
    schema: Schema,
    like: CountTable,
    noise: NoiseSource,
    public: Callable[[int, np.random.Generator], list[str]] | None = None,
) -> PlantedCanaries:
    """Draw canaries uniformly from released domains, and a fair coin for each.

    Canaries obey the declared constraints that one row can break, as `obeying_rows` says: no sample could ever repeat
    one that does not, so it would show nothing. Those that cannot be brought to obey are left out before the coins are
    tossed, so there may be fewer than asked for, or none. Constraints are public, so the canaries, and how many there
    are, still depend on no private row. Canary texts begin like public ones and go on with words that nobody would put
    in that order (`attacks.text.canaries`); where public texts have too few words for that, there is none.

    Args:
        domains: column -> domain, public or derived with DP.
        count: how many are tried.
        schema: declared constraints; of functional dependencies the public mapping.
        like: the table whose column types the rows take; nothing else of it is read.
        noise: the source of rows and coins; a generator seeded from it makes both.
        public: makes that many public texts, where the schema has a text column.
    """
    rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
    drawn = obeying_rows(domains, count, schema, rng)
    cells = {name: drawn[name].cast(ARROW_OF[like.types[name]]) for name in domains}
    if schema.text is None or public is None:
        rows = pa.table(cells)
        return PlantedCanaries(rows=rows, included=rng.integers(0, 2, size=rows.num_rows).astype(bool))
    from attacks.errors import AttackInputError
    from attacks.text.canaries import make_text_canaries

    number = pa.table(cells).num_rows if cells else count
    fields = [pa.field(name, ARROW_OF[like.types[name]]) for name in (*cells, schema.text)]
    empty = pa.schema(fields).empty_table()
    none = PlantedCanaries(rows=empty, included=np.zeros(0, dtype=bool))
    if number < 2:
        return none
    texts = tuple(public(PUBLIC_TEXTS, rng))
    try:
        made = make_text_canaries(texts, number, rng=rng, prefix_words=PREFIX_WORDS, suffix_words=SUFFIX_WORDS)
    except AttackInputError:  # too few different words, which public text and its form decide
        return none
    rows = pa.table(cells | {schema.text: pa.array(made.texts, pa.string())})
    return PlantedCanaries(rows=rows, included=made.included, public=texts)
