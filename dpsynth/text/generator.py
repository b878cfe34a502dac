"""A writer and a generator of the columns beside it, as one generator: planned, charged, sealed like any other.

    generator = TextGenerator(writer=writer("dpsgd", model="tiny"), beside=tabular.Gibbs(), topic=("issue",))
    draft     = workspace.synthesize(data, generator, epsilon=3, delta="1e-6")

In time order: domains are derived; the table's generator measures its columns, or the number of texts is measured; the
writer learns, given the released share of each topic. A topic is a combination of values of the `topic` columns; a
text's row is later drawn given its topic. All of it stands in one event tree.

Not guaranteed: that a text agrees with columns that are not its topic.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event, EventTree
from accounting.relation import PrivacyUnit
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.schema.domain import CategoryDomain, Domain
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator
from dpsynth.tabular.conditions.conditional import share
from dpsynth.tabular.conditions.given import Allowed
from dpsynth.tabular.protocol import Generator, Model
from dpsynth.text.corpus import Corpus
from dpsynth.text.filters.protocol import Filter
from dpsynth.text.model import TextModel
from dpsynth.text.planning import TextPlan, text_plan
from dpsynth.text.protocol import Released, Writer

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints

MOST_TOPICS = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TextGenerator:
    """Writes texts, and rows beside them.

    Args:
        writer: of the text column.
        beside: of the modelled columns; by default `independent` for one, `gibbs` for more.
        topic: categorical or boolean columns that a text is conditioned on; by default the schema's target.
        filters: checks that written texts must pass.
        share: part of rho (zCDP) for the columns; default by their number.
        checkpoints: where a writer that trains keeps its state; a workspace hands in a sealed one.
    """

    writer: Writer
    beside: Generator | None = None
    topic: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    share: float | None = None
    checkpoints: Checkpoints | None = field(default=None, repr=False, compare=False)

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
            ParameterError: a target outside its range, or one that affords nothing useful.
        """
        if schema.text is None:
            raise SchemaError(
                "The schema names no text column, and a writer needs one.", "Set `kind: text` for it, or --text-column."
            )
        self._topics(schema)
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
        topics = _Topics.of(self._topics(schema), domains, fitted)
        corpus = Corpus.of(table, schema.text, unit=unit, key=key, topics=topics.codes(table))
        author = self.writer.learn(
            corpus,
            plan.task,
            plan.settled,
            Released(total=total, topics=topics.words, shares=topics.shares),
            noise=noise,
            progress=progress,
            checkpoints=self.checkpoints,
        )
        return TextModel(
            generator=self.name,
            author=author,
            table=fitted,
            text=schema.text,
            columns=tuple(n for n in schema.columns if n in (*schema.modelled, schema.text)),
            given=topics.given,
            filters=self.filters,
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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Topics:
    """Combinations of values, their words, and their released shares; all released facts."""

    domains: Mapping[str, CategoryDomain]
    words: tuple[str, ...]
    given: tuple[Mapping[str, Allowed], ...]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, names: tuple[str, ...], domains: Mapping[str, Domain], fitted: Model | None) -> _Topics:
        model: Any = fitted  # of our own generators, which tell shares by their codes
        if not names or model is None:
            return cls(domains={}, words=("",), given=({},), shares=np.ones(1))
        own = {name: domain for name in names if isinstance(domain := domains[name], CategoryDomain)}
        if math.prod(domain.size + 1 for domain in own.values()) > MOST_TOPICS:
            raise SchemaError(
                f"The topic has more than {MOST_TOPICS} combinations of values, too few texts each.",
                "Choose one column of fewer values, or declare `values` with `other: true`.",
            )
        words, given, shares = [], [], []
        for codes in itertools.product(*(range(-1, domain.size) for domain in own.values())):
            at = dict(zip(own, codes, strict=True))
            allowed = {name: _one(code) for name, code in at.items()}
            given.append(allowed)
            words.append("; ".join(f"{name}: {_word(own[name], code)}" for name, code in at.items()))
            shares.append(_share(model, allowed))
        parts = np.array(shares)
        whole = parts.sum()
        even = np.full(len(parts), 1.0 / len(parts))
        return cls(domains=own, words=tuple(words), given=tuple(given), shares=parts / whole if whole > 0 else even)

    def codes(self, table: Table) -> NDArray[np.int64]:
        """Index of each row's topic (private), in the order of `words`: missing first."""
        flat = np.zeros(table.unsafe_num_rows, dtype=np.int64)
        for name, domain in self.domains.items():
            flat = flat * (domain.size + 1) + domain.encode(table.column(name)) + 1
        return flat


def _one(code: int) -> Allowed:
    runs = np.array([[code, code]] if code >= 0 else np.zeros((0, 2)), dtype=np.int64)
    return Allowed(runs=runs.reshape(-1, 2), missing=code < 0)


def _share(model: Any, allowed: Mapping[str, Allowed]) -> float:
    """Of a topic; none where the model knows no such row."""
    try:
        return max(share(model, allowed), 0.0)
    except ParameterError:
        return 0.0


def _word(domain: CategoryDomain, code: int) -> str:
    return "unknown" if code < 0 else str(domain.decode(np.array([code]))[0].as_py())


def _known(sigma: Decimal | None) -> Decimal:
    if sigma is None:
        raise ParameterError("The plan measures no number of texts.", "Call plan() with this schema.")
    return sigma
