"""A writer and a generator of the columns beside it, as one generator: planned, charged, sealed like any other.

    generator = TextGenerator(writer=writer("dpsgd", model="tiny"), beside=tabular.Gibbs(), topic=("issue",))
    draft     = workspace.synthesize(data, generator, epsilon=3, delta="1e-6")

In time order: domains are derived; the table's generator measures its columns, or the number of texts is measured; the
writer learns, given the released share of each topic. A topic is a combination of values of the `topic` columns; a
text's row is later drawn given its topic. All of it stands in one event tree.

Not guaranteed: that a text agrees with columns that are not its topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, final

import numpy as np

from accounting.event import Event, EventTree
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import NoiseSource, SystemNoise
from dpsynth.core.progress import Progress, silent
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.schema.domain import Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator
from dpsynth.tabular.protocol import Generator, Model
from dpsynth.text.corpus import Corpus
from dpsynth.text.filters.admission import admitted, rehearsed
from dpsynth.text.filters.form import FormFilter
from dpsynth.text.filters.protocol import Filter
from dpsynth.text.model import TextModel
from dpsynth.text.planning import TextPlan, text_plan
from dpsynth.text.protocol import Released, Writer
from dpsynth.text.topics import Topics

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TextGenerator:
    """Writes texts, and rows beside them.

    Args:
        writer: of the text column.
        beside: of the modelled columns; by default `independent` for one, `gibbs` for more.
        topic: categorical or boolean columns that a text is conditioned on; by default the schema's target.
        filters: checks that written texts must pass; the writer's form, if it has one, is the first.
        share: part of rho (zCDP) for the columns; default by their number.
        checkpoints: where a writer that trains keeps its state; a workspace hands in a sealed one.
    """

    writer: Writer
    beside: Generator | None = None
    topic: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    share: float | None = None
    checkpoints: Checkpoints | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        form = getattr(self.writer, "structure", None)
        known = {step.name for step in self.filters}
        held = () if form is None or "form" in known else (FormFilter(structure=form),)
        object.__setattr__(self, "filters", admitted((*held, *self.filters)))

    @property
    def name(self) -> str:
        """The writer's."""
        return self.writer.name

    def plan(
        self, schema: Schema, unit: PrivacyUnit, *, epsilon: Decimal | str | float, delta: Decimal | str | float
    ) -> TextPlan:
        """Divide the budget by public facts alone; see `planning`.

        Raises:
            SchemaError: no column is text, or a topic is none that a text could be conditioned on.
            ParameterError: a target outside its range, one that affords nothing useful, or a filter that cannot run.
        """
        if schema.text is None:
            raise SchemaError(
                "The schema names no text column, and a writer needs one.", "Set `kind: text` for it, or --text-column."
            )
        self._topics(schema)
        rehearsed(self.filters)
        beside = self.beside or self._default(schema)
        return text_plan(self.writer, beside, schema, unit, epsilon=epsilon, delta=delta, share=self.share)

    def fit(
        self,
        table: Table,
        schema: Schema,
        domains: Mapping[str, Domain],
        plan: TextPlan,
        *,
        noise: NoiseSource,
        progress: Progress = silent,
        spent: tuple[Event, ...] = (),
    ) -> TextModel:
        """Measure the columns or the number of texts, then let the writer learn."""
        if schema.text is None or plan.generator != self.name:
            raise ParameterError("The plan was made for another writer or schema.", "Call plan() with this schema.")
        unit, key = plan.tree.unit.column, noise.uint64(4).tobytes()
        fitted: Model | None = None
        if plan.table is not None:
            columns = (*schema.modelled, *((unit,) if unit is not None and plan.table.reads_rows else ()))
            beside = self.beside or self._default(schema)
            fitted = beside.fit(
                table.select(columns), schema, domains, plan.table, noise=noise, progress=progress, spent=spent
            )
            events, total = fitted.events.events, float(max(fitted.rows, 1))
        else:
            counted = np.array([table.unsafe_num_rows], dtype=np.int64)
            noisy, event = discrete_gaussian(
                counted, sigma=_known(plan.total_sigma), noise=noise, l2_sensitivity=plan.tree.unit.max_records
            )
            events, total = (*spent, event), float(max(int(noisy[0]), 1))
        topics = Topics.of(self._topics(schema), domains, fitted)
        corpus = Corpus.of(table, schema.text, unit=unit, key=key, topics=topics.codes(table))
        # A run that goes on has repeated itself up to here, word for word; from here on nothing is repeated. Columns
        # that were trained cannot be repeated, so then no state is kept either and such a run begins anew.
        # A writer that shows what it measured to somebody outside must not: its state is then refused as another run's.
        keeps = plan.table is None or not plan.table.reads_rows or getattr(self.writer, "shows", False)
        author = self.writer.learn(
            corpus,
            plan.task,
            plan.settled,
            Released(total=total, topics=topics.words, shares=topics.shares),
            noise=SystemNoise() if isinstance(noise, ReplayedNoise) else noise,
            progress=progress,
            checkpoints=self.checkpoints if keeps else None,
        )
        return TextModel(
            generator=self.name,
            author=author,
            table=fitted,
            text=schema.text,
            columns=tuple(n for n in schema.columns if n in (*schema.modelled, schema.text)),
            given=topics.given,
            filters=self.filters,
            writer=self.writer.describe(),
            events=EventTree(relation=plan.task.relation, unit=plan.tree.unit, events=(*events, *author.events)),
            total=round(total),
        )

    def public_texts(self, count: int, rng: np.random.Generator) -> list[str]:
        """Texts that know no private one; canaries are made of them."""
        return self.writer.public_texts(count, rng)

    def _topics(self, schema: Schema) -> tuple[str, ...]:
        """The columns that make a topic.

        Raises:
            SchemaError: one is not modelled, or neither categorical nor boolean.
        """
        if not self.topic:
            target = schema.target
            kinds = ("categorical", "boolean")
            return (target,) if target is not None and schema.columns[target].kind in kinds else ()
        for name in self.topic:
            if name not in schema.modelled:
                raise SchemaError(
                    f"The topic {name!r} is not a modelled column.", "Keep it in the schema beside the text."
                )
            if schema.columns[name].kind not in ("categorical", "boolean"):
                raise SchemaError(
                    f"The topic {name!r} is a {schema.columns[name].kind} column; a topic is one of few categories.",
                    "Choose a categorical or boolean column.",
                )
        return self.topic

    @staticmethod
    def _default(schema: Schema) -> Generator:
        return generator("independent" if len(schema.modelled) < 2 else "gibbs")


def _known(sigma: Decimal | None) -> Decimal:
    if sigma is None:
        raise ParameterError("The plan measures no number of texts.", "Call plan() with this schema.")
    return sigma
