"""Private prediction (DP inference): a public model writes, and each token hears a bin of private records.

    writer = PrivatePrediction(model="path/of/an/instruct/model", tokens=200)
    author = TextGenerator(writer=writer) ...                              # planned, charged and sealed like any other

Records fall into bins by a keyed hash. In each bin a text is drawn token by token: what every record says beyond the
public model is clipped to [-C, C], summed over the constant s, added to the public logits, and the token is drawn from
their softmax at temperature tau: an exponential mechanism. T tokens of a bin compose, bins are disjoint:

    Theorem (Vinod et al. 2025; Amin et al. 2024). Under add_remove of one unit each token has bounded range
    2 C / (s tau), a bin of T tokens is their adaptive composition, and all bins together cost what one costs.

No training, no gradient, and a guarantee that needs nothing of the model but that a row's logits are its own. The
budget fixes C; `prediction.planner.feasible` tells what it affords for each s and T.

>>> from decimal import Decimal
>>> from accounting.relation import NeighboringRelation, PrivacyUnit
>>> task = Task(unit=PrivacyUnit(), relation=NeighboringRelation.ADD_REMOVE, epsilon=Decimal(3), delta=Decimal("1e-6"))
>>> event, = PrivatePrediction(tokens=100, sequences=1, batch_size=31).settle(task, 2.2).events
>>> event.count, round(float(event.bounded_range), 3)
(100, 0.142)

Not guaranteed: as many texts as records (one bin, about s records, gives `sequences` texts); a model that never saw the
private texts in its own training: whoever names it declares that.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np

from accounting.decimals import decimal_down
from accounting.event import Event, PredictionTokens
from accounting.relation import NeighboringRelation
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress, silent
from dpsynth.text.backends.protocol import LanguageModel
from dpsynth.text.corpus import Corpus
from dpsynth.text.prediction.aggregators import AGGREGATORS
from dpsynth.text.prediction.aggregators.difference_clip import DifferenceClip
from dpsynth.text.prediction.aggregators.mean_clip import MeanClip
from dpsynth.text.prediction.aggregators.protocol import GRID, LARGEST_CLIP, Aggregator, units_of
from dpsynth.text.prediction.context_experts import PROMPT, WITHOUT, ContextExperts
from dpsynth.text.prediction.copy_experts import CopyExperts
from dpsynth.text.prediction.drawing import Stream
from dpsynth.text.prediction.engine import Engine, Spoken, tokens_per_second
from dpsynth.text.prediction.experts import Experts
from dpsynth.text.prediction.partition import Bin, bins_of, fixed, partition, pool_size
from dpsynth.text.prediction.planner import refuse_idle, refuse_test, zcdp_of
from dpsynth.text.prediction.pool import Pool
from dpsynth.text.prediction.saved import Saved
from dpsynth.text.prediction.sparse_vector import SparseTest
from dpsynth.text.protocol import Author, Released, Settled, Task
from dpsynth.text.structure.protocol import Structure

if TYPE_CHECKING:
    from dpsynth.sgd.checkpoint import Checkpoints

WEAK = ("tiny", "ngram")
BATCHES: tuple[tuple[float, int, int], ...] = ((8.0, 7, 127), (3.0, 31, 255), (0.0, 63, 511))
"""From this epsilon on: batch size for records in prompts, where each costs a pass of the model, and for copies."""
COPY_SEQUENCES = 4
"""Texts of a bin of copies: four of a bin four times as large have twice the clip, for the same number of texts."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPrediction:
    """What tokens will cost; see `Settled`."""

    events: tuple[Event, ...]
    clip: Decimal
    batch_size: int

    def describe(self) -> dict[str, Any]:
        """Public settings."""
        return {"clip": str(self.clip), "batch_size": self.batch_size}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePrediction:
    """See the module.

    Args:
        model: public; a name, a path, or an object.
        tokens: most (private) tokens of a text, public.
        batch_size: s, about how many records a bin has; default by epsilon.
        sequences: texts of a bin; their tokens add up. By default 4 for copies, 1 else.
        temperature: tau of the draw.
        top_k: candidates are the k most likely tokens of the public model, and those within 2 C / s of them; None for
            all.
        aggregator: "difference-clip", or "mean-clip" for large bins.
        sparse: threshold and sigma of the test against the public model, of mean-clip alone; texts may then have
            `longest` tokens, of which `tokens` are private.
        longest: most tokens of a text under `sparse` or a form: what a form forces costs nothing, and where `tokens`
            are spent the public model ends the form.
        experts: "context" puts each record into a prompt of its own, "copy" mixes a cache of its tokens with the public
            model; "auto" copies for models that are too weak for a prompt.
        prompt: template around a record, with {text} and {topic}.
        without: the same request without a record.
        length: tokens that a record is cut to, public.
        structure: form of each text.
        bins: how many in all; default by the released number of units over s.
    """

    name: ClassVar[str] = "private-prediction"

    model: str | LanguageModel = "tiny"
    tokens: int = 100
    batch_size: int | None = None
    sequences: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    aggregator: Literal["difference-clip", "mean-clip"] = "difference-clip"
    sparse: tuple[float, float] | None = None
    longest: int | None = None
    experts: Literal["auto", "context", "copy"] = "auto"
    prompt: str = PROMPT
    without: str = WITHOUT
    length: int = 128
    structure: Structure | None = None
    bins: int | None = None

    def __post_init__(self) -> None:
        for what, value in (("tokens", self.tokens), ("sequences", self.sequences), ("length", self.length)):
            if value is not None and value < 1:
                raise ParameterError(f"Expected {what}={value} >= 1: that is less than one text.")
        optional = (("batch_size", self.batch_size), ("top_k", self.top_k), ("bins", self.bins))
        for what, number in (*optional, ("longest", self.longest)):
            if number is not None and number < 1:
                raise ParameterError(f"Expected {what}={number} >= 1.")
        if not 0.05 <= self.temperature <= 20:
            raise ParameterError(f"Expected 0.05 <= temperature={self.temperature} <= 20.")
        if self.aggregator not in AGGREGATORS or self.experts not in ("auto", "context", "copy"):
            raise ParameterError(
                f"Unknown aggregator {self.aggregator!r} or experts {self.experts!r}.",
                f"Use one of {', '.join(AGGREGATORS)}, and of auto, context, copy.",
            )
        if self.sparse is not None and self.aggregator != "mean-clip":
            raise ParameterError(
                "The test against the public model goes with mean-clip: difference-clip says public text for free.",
                'Set aggregator="mean-clip", or leave `sparse` out.',
            )
        free = self.sparse is not None or self.structure is not None
        if self.longest is not None and (not free or self.longest < self.tokens):
            raise ParameterError(
                "`longest` is of texts under `sparse` or a form, and at least `tokens`.", "Set `tokens` alone."
            )

    @property
    def bracket(self) -> tuple[float, float]:
        """Clips to start a search from."""
        return (0.1, 10.0)

    def settle(self, task: Task, budget: float) -> SettledPrediction:
        """Events of a clip `budget`.

        Raises:
            ParameterError: the test against the public model alone costs more than epsilon.
        """
        s, count = self._batch(task), self.tokens * self._sequences()
        clip = _five_digits_down(min(budget, LARGEST_CLIP))
        tokens = PredictionTokens(
            relation=task.relation,
            clip=clip,
            batch_size=s,
            temperature=Decimal(repr(self.temperature)),
            batch="summed",
            rows_per_unit=1,
            count=count,
        )
        test = self._test(s)
        if test is None:
            return SettledPrediction(events=(tokens,), clip=clip, batch_size=s)
        rho = zcdp_of(float(task.epsilon), float(task.delta))
        refuse_test(rho, batch_size=s, tokens=count, sigma=float(test.sigma))
        return SettledPrediction(events=(test.event(task.relation, count), tokens), clip=clip, batch_size=s)

    def check(self, task: Task, settled: Settled) -> None:
        """Refuse a clip under which a whole bin is not heard, and texts that do not fit the model's context."""
        mine = _own(settled)
        tau, count = self.temperature, self.tokens * self._sequences()
        refuse_idle(float(mine.clip), batch_size=mine.batch_size, tokens=count, temperature=tau)
        if task.relation is NeighboringRelation.REPLACE_ONE and self.bins is None:
            raise ParameterError(
                "The number of bins follows from a released count, which replace_one does not change or protect.",
                "Set `bins`, or use add_remove.",
            )
        if units_of(mine.clip) < 1:
            raise ParameterError(f"A clip of {mine.clip} is below the grid.", "Use more epsilon.")
        if self._kind() == "context":
            self._experts(self._model(), mine.batch_size, self.longest or self.tokens, ("",))

    def learn(
        self,
        corpus: Corpus,
        task: Task,  # noqa: ARG002 - its price was settled before
        settled: Settled,
        released: Released,
        *,
        noise: NoiseSource,
        progress: Progress = silent,
        checkpoints: Checkpoints | None = None,
    ) -> Author:
        """Write one text after the other, `sequences` for each bin; see `Writer`."""
        mine = _own(settled)
        engine = self._engine(mine, released.topics)
        bins = self._bins(corpus, released, mine.batch_size)
        streams = [Stream(noise) for _ in bins]
        facts = mine.describe() | {
            "bins": len(bins),
            "released_units_per_bin": round(released.total / max(len(bins), 1), 1),
            "record_length": self.length,
            "experts": self._kind(),
        }
        saved = Saved(checkpoints, label=_label(self, engine.model, facts, bins))
        spoken = saved.load()
        began, before = time.monotonic(), len(spoken)
        at_once = engine.experts.lanes
        for first in range(before // engine.sequences, len(bins), at_once):
            group = slice(first, first + at_once)
            for own in engine.write(bins[group], released.topics, released.shares, streams[group]):
                spoken += own
            saved.keep(spoken)
            new = sum(len(text.tokens) for text in spoken[before:])
            progress("texts", len(spoken), len(bins) * engine.sequences, tokens_per_second(new, began))
        return Pool(
            texts=[engine.model.text(text.tokens) for text in spoken],
            topics=[text.topic for text in spoken],
            events=tuple(replace(event, noise=noise.kind) for event in mine.events),
            facts=facts,
        )

    def public_texts(self, count: int, rng: np.random.Generator) -> list[str]:
        """Texts of empty bins."""
        longest = None if self.structure is None else self.longest
        quiet = replace(self, aggregator="difference-clip", sparse=None, longest=longest)
        engine = quiet._engine(SettledPrediction(events=(), clip=Decimal(1), batch_size=1), ("",))
        noise = _Public(rng)
        texts: list[Spoken] = []
        while len(texts) < count:
            bins = [Bin(topics=(0,), rows=())] * min(engine.experts.lanes, count - len(texts))
            streams = [Stream(noise) for _ in bins]
            for own in replace(engine, sequences=1).write(bins, ("",), np.ones(1), streams):
                texts += own
        return [engine.model.text(text.tokens) for text in texts]

    def describe(self) -> Mapping[str, Any]:
        """Model and settings that shape the text."""
        model = self._model()
        return {
            "model": model.name,
            "fingerprint": model.fingerprint,
            "experts": self._kind(),
            "aggregator": self.aggregator,
            "tokens": self.tokens,
            "sequences": self._sequences(),
            "record_length": self.length,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "sparse": None if self.sparse is None else list(self.sparse),
            "structure": None if self.structure is None else self.structure.describe(),
        }

    def _model(self) -> LanguageModel:
        if isinstance(self.model, str):
            from dpsynth.text.backends import load

            return load(self.model)
        return self.model

    def _kind(self) -> Literal["context", "copy"]:
        if self.experts != "auto":
            return self.experts
        name = self.model if isinstance(self.model, str) else self.model.name
        return "copy" if name in WEAK else "context"

    def _sequences(self) -> int:
        if self.sequences is not None:
            return self.sequences
        return COPY_SEQUENCES if self._kind() == "copy" else 1

    def _batch(self, task: Task) -> int:
        if self.batch_size is not None:
            return self.batch_size
        prompted, copied = next(sizes for least, *sizes in BATCHES if float(task.epsilon) >= least)
        return copied if self._kind() == "copy" else prompted

    def _test(self, batch_size: int) -> SparseTest | None:
        if self.sparse is None:
            return None
        threshold, sigma = (Decimal(repr(value)) for value in self.sparse)
        return SparseTest(threshold=threshold, sigma=sigma, batch_size=batch_size)

    def _engine(self, settled: SettledPrediction, topics: tuple[str, ...]) -> Engine:
        model, s = self._model(), settled.batch_size
        longest = self.longest or self.tokens
        experts = self._experts(model, s, longest, topics)
        units = units_of(settled.clip)
        aggregator: Aggregator
        if self.aggregator == "mean-clip":
            aggregator = MeanClip(units=units)
        else:
            aggregator = DifferenceClip(units=units, batch_size=s, one_sided=experts.one_sided, ceiling=experts.ceiling)
        return Engine(
            model=model,
            experts=experts,
            aggregator=aggregator,
            batch_size=s,
            temperature=Decimal(repr(self.temperature)),
            top_k=self.top_k,
            margin=2 * units / GRID / s,
            tokens=self.tokens,
            longest=longest,
            sequences=self._sequences(),
            length=self.length,
            structure=self.structure,
            sparse=self._test(s),
        )

    def _experts(self, model: LanguageModel, batch_size: int, longest: int, topics: tuple[str, ...]) -> Experts:
        if self._kind() == "copy":
            return CopyExperts(vocabulary=model.vocabulary)
        context = ContextExperts(
            model=model,
            prompt=self.prompt,
            without=self.without,
            length=self.length,
            room=longest,
            batch_size=batch_size,
            topics=topics,
        )
        if context.width + longest > model.context:
            raise ParameterError(
                f"A prompt of {context.width} tokens and a text of {longest} exceed the model's {model.context}.",
                "Use a smaller `length` or fewer `tokens`, or a model of a longer context.",
            )
        return context

    def _bins(self, corpus: Corpus, released: Released, batch_size: int) -> tuple[Bin, ...]:
        if self.bins is None:
            bins = bins_of(released.total, released.shares, batch_size)
            pool = pool_size(bins, released.total, released.shares, batch_size)
        else:
            bins = fixed(self.bins, released.shares)
            pool = pool_size(bins, float(self.bins), released.shares, 1)
        return partition(corpus, bins, pool)


class _Public:
    """Words of a generator, for public text alone."""

    kind: Literal["seeded"] = "seeded"

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def uint64(self, n: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The next `n` words."""
        return self._rng.integers(0, 2**64, size=n, dtype=np.uint64)


def _own(settled: Settled) -> SettledPrediction:
    if not isinstance(settled, SettledPrediction):
        raise ParameterError("This was settled by another writer.", "Call settle() of this one.")
    return settled


def _five_digits_down(clip: float) -> Decimal:
    return decimal_down(clip, max(0, 4 - int(np.floor(np.log10(clip)))))


def _label(writer: PrivatePrediction, model: LanguageModel, facts: Mapping[str, Any], bins: Sequence[Bin]) -> str:
    """Binds a state to settings, model, and who is in which bin (private; it stands in a sealed file alone)."""
    public = json.dumps({**writer.describe(), **facts, "fingerprint": model.fingerprint}, sort_keys=True)
    held = hashlib.sha256(public.encode())
    for bin_ in bins:
        rows = sorted(hashlib.sha256(row.encode("utf-8", "surrogatepass")).digest() for row in bin_.rows)
        held.update(repr((bin_.topics, len(rows))).encode() + b"".join(rows))
    return held.hexdigest()
