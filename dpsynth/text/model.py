"""A fitted text generator: texts of an author, filtered, each with a row drawn given its topic.

Everything here is post-processing. Filters see what was written; how many texts each let through is kept, for the card.
Texts that filters took are replaced within their topic, so that topics keep their released shares though one passes
more rarely than another; an author that cannot write on a given topic gives more of all instead.

Not guaranteed: as many texts as were asked for, where an author has no more or filters let too few through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accounting.event import EventTree
from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.schema.domain import Domain
from dpsynth.tabular.conditions.given import Allowed, Given
from dpsynth.tabular.protocol import Model
from dpsynth.text.filters.protocol import Filter
from dpsynth.text.protocol import Author, TopicAuthor, Written

ROUNDS = 8
"""How often an author is asked for what filters took."""
MOST_EXTRA = 20.0
"""Texts asked for each one that is lacking, at most."""


@final
@dataclass(slots=True, kw_only=True)
class TextModel:
    """See the module; `total` is the released number of texts, `writer` the public facts of who wrote them."""

    generator: str
    author: Author
    table: Model | None
    text: str
    columns: tuple[str, ...]
    given: tuple[Mapping[str, Allowed], ...]
    filters: tuple[Filter, ...]
    writer: Mapping[str, Any]
    events: EventTree
    total: int
    passed: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def domains(self) -> Mapping[str, Domain]:
        """Of the columns beside the text."""
        return {} if self.table is None else self.table.domains

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the public model; of the writer's facts where its model is elsewhere."""
        known = self.writer.get("fingerprint")
        facts = json.dumps(dict(self.writer), sort_keys=True, default=str).encode()
        return str(known) if known else hashlib.sha256(facts).hexdigest()

    @property
    def rows(self) -> int:
        """Released number of the texts that were fitted; an author may have fewer to give."""
        return self.total

    def sample(
        self, rows: int, rng: np.random.Generator, *, given: Given | None = None, balance: str | None = None
    ) -> pa.Table:
        """`rows` rows, or as many as author and filters have to give.

        Raises:
            ParameterError: a condition was asked for.
            ModelError: filters left nothing.
        """
        if given or balance is not None:
            raise ParameterError("Texts are drawn in the released shares of their topics.", "Leave the condition out.")
        written = self._accepted(rows, rng)
        if not written.texts:
            raise ModelError(
                "No written text passed the filters, so there is nothing to seal; what was spent stays spent.",
                "Ask for weaker filters, or for longer texts.",
            )
        made: dict[str, Any] = {self.text: pa.chunked_array([pa.array(written.texts, pa.string())])}
        if self.table is not None:
            beside = _beside(self.table, self.given, written.topics, rng)
            made |= {name: beside.column(name) for name in beside.column_names}
        return pa.table({name: made[name] for name in self.columns})

    def batches(self, rows: int, rng: np.random.Generator, *, given: Given | None = None) -> Iterator[pa.Table]:
        """An empty block that shows columns and types, then the rows."""
        made = self.sample(rows, rng, given=given)
        yield made.slice(0, 0)
        yield made

    def complete(self, table: pa.Table, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Not offered for texts."""
        raise ParameterError("Gaps are filled by generators of tables, not by writers.", "Use `dpsynth.tabular`.")

    def probability(self, evidence: Mapping[str, NDArray[np.float64]]) -> float:
        """Share of rows that agree with evidence about the columns beside the text."""
        if self.table is None:
            raise ParameterError("There is no column beside the text.", "Ask about a mixed table.")
        return self.table.probability(evidence)

    def describe(self) -> dict[str, Any]:
        """The author's facts, the table's, and what filters let through."""
        facts: dict[str, Any] = {
            "generator": self.generator,
            "rows": self.rows,
            "writer": dict(self.writer),
            "text": self.author.describe(),
        }
        if self.table is not None:
            facts["table"] = self.table.describe()
        if self.filters:
            facts["filters"] = self.filtered()
        return facts

    def filtered(self) -> list[dict[str, Any]]:
        """Each declared filter with what it saw and let through."""
        seen = [self.passed.get(step.name, (0, 0)) for step in self.filters]
        return [
            {"name": step.name, "settings": step.describe(), "seen": told[0], "kept": told[1]}
            for step, told in zip(self.filters, seen, strict=True)
        ]

    def _accepted(self, rows: int, rng: np.random.Generator) -> Written:
        """Texts that pass all filters; what filters took is replaced, within its topic where the author can."""
        texts: list[str] = []
        topics: list[int] = []
        left, within = self.author.most, isinstance(self.author, TopicAuthor)
        asked, kept, due = (np.zeros(len(self.given), dtype=np.int64) for _ in range(3))
        for turn in range(ROUNDS if self.filters else 1):
            if turn and isinstance(self.author, TopicAuthor):
                wanted = np.repeat(np.arange(len(due)), _more(due - kept, asked, kept))
                made = self.author.write_on(wanted, rng) if len(wanted) else _NOTHING
            else:
                count = int(_more(np.array(rows - len(texts)), asked.sum(), kept.sum()))
                count = count if left is None else min(count, left)
                made = self.author.write(count, rng) if count else _NOTHING
                left = None if left is None else left - len(made.texts)
            if not made.texts:
                break
            asked += np.bincount(made.topics, minlength=len(asked))
            due = due if turn else asked.copy()
            for at in np.flatnonzero(self._passing(made.texts, texts)).tolist():
                topic = int(made.topics[at])
                if not within or kept[topic] < due[topic]:
                    texts.append(made.texts[at])
                    topics.append(topic)
                    kept[topic] += 1
        return Written(texts=tuple(texts[:rows]), topics=np.array(topics[:rows], dtype=np.int64))

    def _passing(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:
        """Which texts pass all filters, each filter counted on what the ones before it let through."""
        kept = np.ones(len(texts), dtype=bool)
        for step in self.filters:
            at = np.flatnonzero(kept)
            passes = step.keep([texts[i] for i in at.tolist()], earlier)
            seen, let = self.passed.get(step.name, (0, 0))
            self.passed[step.name] = seen + len(at), let + int(passes.sum())
            kept[at[~passes]] = False
        return kept


_NOTHING = Written(texts=(), topics=np.zeros(0, dtype=np.int64))


def _more(lacking: NDArray[np.int64], asked: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many texts to ask for so that those lacking pass, going by what passed so far."""
    extra = np.where(asked > 0, np.minimum(1.1 * asked / np.maximum(kept, 1), MOST_EXTRA), 1.0)
    counts: NDArray[np.int64] = np.ceil(np.maximum(lacking, 0) * extra).astype(np.int64)
    return counts


def _beside(
    table: Model, given: tuple[Mapping[str, Allowed], ...], topics: NDArray[np.int64], rng: np.random.Generator
) -> pa.Table:
    """A row for each text, drawn given its topic, in the order of the texts."""
    parts, places = [], []
    for topic in np.unique(topics).tolist():
        at = np.flatnonzero(topics == topic)
        parts.append(table.sample(len(at), rng, given=given[topic] or None))
        places.append(at)
    order = np.argsort(np.concatenate(places), kind="stable")
    return pa.concat_tables(parts).take(pa.array(order))
